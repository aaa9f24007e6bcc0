"""Circuits written as texts agree with functions written by hand, in every semiring, and have the properties stated."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from agreement import (
    TOLERANCE,
    assert_agrees,
    assert_derivatives,
    assert_largest,
    assert_masses_of_ones,
    assert_network_polynomial,
    evidence,
    has_negative_numbers,
    masses_of_ones,
)
from cases import bodies, families, forms, maps, operators, templates
from cases.case import Case
from danaus.compiler.driver import load, parse
from danaus.compiler.properties import check
from danaus.frontend.spec import Spec
from danaus.frontend.write import write_circuit
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Variable
from danaus.ir.evaluate import evaluate
from danaus.ir.semirings import EXACT
from definitions import Definitions
from exact import ONE, ZERO, Assignment, Number, values
from oracle import Oracle
from same import assert_same

LARGEST_SUM = 400
CASES = [*families.CASES, *forms.CASES, *maps.CASES, *bodies.CASES, *templates.CASES, *operators.CASES]


class Written:
    """A case, read by Danaus, beside the function that was written for it."""

    def __init__(self, case: Case, folder: Path) -> None:
        for name, text in case.files.items():
            (folder / name).write_text(text)
        for name, arrays in case.tensors.items():
            save_file({key: np.array(value, dtype=np.float64) for key, value in arrays.items()}, folder / name)
        self.case = case
        self.spec: Spec = parse(case.text, case.name, folder)
        self.circuit: Circuit = self.spec.circuits[case.circuit]
        self.definitions = Definitions(self.circuit)
        self.numbers = {name: self.spec.store[found].exact.tolist() for name, found in self.spec.parameters.items()}

    def value(self, row: Assignment) -> Fraction:
        """The function by hand."""
        at = [row[variable] for variable in self.circuit.variables]
        given = [int(x) if x == int(x) and v.size is not None else x for v, x in zip(row, at, strict=True)]
        return Fraction(self.case.function(*([self.numbers] if self.case.drawn else []), *given))

    @cached_property
    def rows(self) -> list[Assignment]:
        """All assignments, or, of count and real variables, the values to try."""
        columns = [self._values(variable) for variable in self.circuit.variables]
        return [dict(zip(self.circuit.variables, row, strict=True)) for row in itertools.product(*columns)]

    def _values(self, variable: Variable) -> list[Number]:
        if variable.size is not None:
            return list(values(variable.domain))
        return list(self.case.points[variable.name.partition("[")[0]])

    def magnitude(self, row: Assignment) -> Fraction:
        """What rounding is relative to: the value itself, unless something is negative."""
        return self.definitions.oracle.magnitude(row) if has_negative_numbers(self.circuit) else self.value(row)

    @property
    def finite(self) -> bool:
        """Whether all its variables are."""
        return all(variable.size is not None for variable in self.circuit.variables)

    @property
    def slack(self) -> Fraction:
        """How far off sums over points are, where they stand for integrals."""
        return ZERO if self.finite else Fraction(1, 10**16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cases")


@pytest.fixture
def written(request: Any, folder: Path) -> Written:
    return read(request.param, folder)


@cache
def read(case: Case, folder: Path) -> Written:
    """A case, read once."""
    return Written(case, folder)


def every(cases: Iterable[Case]) -> Any:
    """A test of each of the cases."""
    names = {case: f"{case.function.__module__.removeprefix('cases.')}-{case.name}" for case in cases}
    return pytest.mark.parametrize("written", names, ids=names.values(), indirect=True)


SUMMED = [case for case in CASES if {"smooth", "decomposable"} <= case.holds]
FINITE = [case for case in CASES if not case.points]
BOOLEAN = [case for case in SUMMED if set(re.findall(r"var [^:;]*: (\w+)", case.text)) == {"bool"}]


def test_there_are_forty_or_more() -> None:
    assert len(CASES) >= 40
    assert len({(case.function.__module__, case.name) for case in CASES}) == len(CASES)


@every(CASES)
def test_the_circuit_is_the_function(written: Written) -> None:
    wanted = [written.value(row) for row in written.rows]
    found = [written.definitions.oracle.value(row) for row in written.rows]
    if written.case.rounded:  # the enumeration is exact for the rounded parameters
        assert all(abs(a - b) <= TOLERANCE * b for a, b in zip(found, wanted, strict=True))
        assert_agrees(written.circuit, written.rows, found, found)
    else:
        magnitudes = [written.magnitude(row) for row in written.rows]
        assert all(abs(a - b) <= written.slack * m for a, b, m in zip(found, wanted, magnitudes, strict=True))
        assert_agrees(written.circuit, written.rows, wanted, magnitudes, written.slack)


@every(SUMMED)
def test_what_is_missing_is_summed_out(written: Written) -> None:
    for row in _partial(written):
        table = [(written.value(at) * weight, written.magnitude(at) * weight) for at, weight in _points(written, row)]
        wanted, magnitude = sum((v for v, _ in table), ZERO), sum((m for _, m in table), ZERO)
        if written.case.rounded:
            found = evaluate(written.circuit, EXACT, evidence(written.circuit, [row]))[0]
            assert abs(found - wanted) <= TOLERANCE * wanted
        else:
            assert_agrees(written.circuit, [row], [wanted], [magnitude], written.slack)


def _partial(written: Written) -> Iterator[Assignment]:
    """Rows with some variables missing: sets of them whose sum has few terms, with the values of two assignments."""
    variables = written.circuit.variables
    lengths = {variable: len(written.definitions.oracle.points(variable)) for variable in variables}
    for count in range(len(variables)):
        for known in itertools.combinations(variables, count):
            if prod(lengths[variable] for variable in variables if variable not in known) <= LARGEST_SUM:
                for row in written.rows[:: max(1, len(written.rows) - 1)]:
                    yield {variable: row[variable] for variable in known}


def _points(written: Written, known: Assignment) -> Iterator[tuple[Assignment, Fraction]]:
    """All assignments with these values, each with what it weighs in a sum."""
    variables = written.circuit.variables
    found = [[(known[v], ONE)] if v in known else written.definitions.oracle.points(v) for v in variables]
    for row in itertools.product(*found):
        yield dict(zip(variables, (x for x, _ in row), strict=True)), prod((weight for _, weight in row), start=ONE)


@every(CASES)
def test_maxima_are_the_largest_products(written: Written) -> None:
    rows = [*written.rows, {}] if written.finite else written.rows
    if has_negative_numbers(written.circuit):
        with pytest.raises(DanausError, match="which has no logarithm"):
            assert_largest(written.circuit, rows, [])
        return
    wanted = [written.definitions.oracle.largest(row) for row in rows]
    assert_largest(written.circuit, rows, wanted)
    if written.case.selective and written.finite:
        assert wanted[:-1] == [written.definitions.oracle.value(row) for row in written.rows]
        assert wanted[-1] == max(wanted[:-1])


@every(FINITE)
def test_the_network_polynomial_is_the_function_at_indicators(written: Written) -> None:
    value = written.definitions.oracle.value if written.case.rounded else written.value
    assert_network_polynomial(written.circuit, written.rows, [value(row) for row in written.rows])


@every(BOOLEAN)
def test_polynomials_count_ones(written: Written) -> None:
    wanted = masses_of_ones(written.circuit, {tuple(row.values()): written.value(row) for row in written.rows})
    scales = {tuple(row.values()): written.magnitude(row) for row in written.rows}
    assert_masses_of_ones(written.circuit, wanted, masses_of_ones(written.circuit, scales))


@every([case for case in SUMMED if case in FINITE])
def test_dual_numbers_are_derivatives(written: Written) -> None:
    for row in [{}, *(dict(list(row.items())[1:]) for row in written.rows[::7])]:
        assert_derivatives(written.definitions, row)


@every(CASES)
def test_it_has_the_properties_stated(written: Written) -> None:
    names = ["smooth", "decomposable", "structured", "normalized", "nonnegative"]
    if not written.finite and "nonnegative" not in written.case.holds:
        names.remove("nonnegative")
    for name in names:
        assert check(written.circuit, name)[name].status == ("proved" if name in written.case.holds else "refuted")
        if name not in ("normalized", "nonnegative") or written.finite:
            assert getattr(written.definitions, name) == (name in written.case.holds), name


@every(CASES)
def test_it_is_written_and_read_back(written: Written, tmp_path: Path) -> None:
    write_circuit(written.circuit, tmp_path / "again.circuit")
    again = load(tmp_path / "again.circuit").circuits[written.circuit.name]
    if written.circuit.origin is None:
        named = [parameter.name for parameter in written.circuit.parameters]
        assert_same(written.circuit, again, [p.name for p in again.parameters if p.name not in named])
    assert again.variables == written.circuit.variables
    oracle, definitions = Oracle(again), written.definitions.oracle
    assert all(abs(oracle.value(row) - definitions.value(row)) <= written.slack for row in written.rows)
