"""Variables, inputs on infinite domains and composed queries as a bundle's manifest says them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ir.block import Input
from ..ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from ..ir.family import Family, Gaussian, Indicator, One, Poisson, name_of
from ..ir.parameter import Floats, constant
from ..ir.query.formula import Formula, LogOf, Share
from ..ir.semirings import Array
from .asked import Composed

_FAMILIES: dict[str, Family] = {name_of(family): family for family in (Gaussian(), Poisson(), One())}


def variable_written(variable: Variable) -> dict[str, Any]:
    """A variable's name and domain."""
    domain = variable.domain
    about: dict[str, Any] = {"name": variable.name, "domain": type(domain).__name__.lower()}
    match domain:
        case Cat(n, names):
            return {**about, "n": n, "names": list(names)}
        case Int(lo, hi):
            return {**about, "lo": lo, "hi": hi}
        case _:
            return about


def read_variable(data: Mapping[str, Any]) -> Variable:
    """The variable of a name and a domain."""
    domain: Domain
    match data["domain"]:
        case "cat":
            domain = Cat(int(data["n"]), tuple(map(str, data["names"])))
        case "int":
            domain = Int(int(data["lo"]), int(data["hi"]))
        case name:
            kinds: dict[str, Domain] = {"bool": Bool(), "count": Count(), "real": Real()}
            domain = kinds[name]
    return Variable(str(data["name"]), domain)


def density_written(block: Input, columns: tuple[Variable, ...]) -> dict[str, Any]:
    """An input's family, column and width, and the number of its parameters."""
    about: dict[str, Any] = {
        "family": name_of(block.family),
        "column": columns.index(block.variable),
        "width": block.width,
        "parameters": len(block.parameters),
    }
    match block.family:
        case Indicator(value):
            return {**about, "value": value}
        case _:
            return about


def read_densities(
    data: list[Mapping[str, Any]], columns: tuple[Variable, ...], arrays: Mapping[str, Array]
) -> tuple[tuple[Input, ...], tuple[tuple[Floats, ...], ...]]:
    """The inputs, and the values of their parameters."""
    blocks: list[Input] = []
    held: list[tuple[Floats, ...]] = []
    for source, each in enumerate(data):
        family = Indicator(int(each["value"])) if each["family"] == "indicator" else _FAMILIES[each["family"]]
        values = tuple(arrays[f"density.{source}.{i}"] for i in range(each["parameters"]))
        assert all(value.dtype == np.float64 for value in values)
        held.append(values)
        parameters = tuple(constant(value) for value in values)
        blocks.append(Input(family, columns[each["column"]], parameters, int(each["width"])))
    return tuple(blocks), tuple(held)


def composed_written(name: str, composed: Composed) -> dict[str, Any]:
    """A composed query: each summand of its formula with its factor and the positions of its terms."""
    summands: list[list[Any]] = []
    for each in composed.formula.summands:
        match each:
            case LogOf(factor, of):
                summands.append(["log", factor, of])
            case Share(factor, of, over):
                summands.append(["share", factor, of, over])
    about = {"name": name, "kind": composed.kind, "terms": list(composed.terms)}
    return {**about, "formula": summands, "infinite": composed.infinite}


def read_composed(data: Mapping[str, Any]) -> tuple[str, Composed]:
    """A composed query and its name."""
    terms = tuple(map(str, data["terms"]))
    summands: list[LogOf[int] | Share[int]] = []
    for sort, factor, *places in data["formula"]:
        assert sort in ("log", "share") and (len(terms) > max(place or 0 for place in places) or data["infinite"])
        summands.append(LogOf(float(factor), *places) if sort == "log" else Share(float(factor), *places))
    return str(data["name"]), Composed(str(data["kind"]), terms, Formula(tuple(summands)), bool(data["infinite"]))
