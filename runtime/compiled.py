"""What a compiler hands to the runtime: an engine for one Program, and what its tables are made of.

The runtime knows neither the compiler nor a backend; an engine is anything that takes tables and answers codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.domain import FiniteDomain, Variable, first_value
from ..ir.expression import Floats
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.program.program import Program
from ..ir.semirings import SIGNED_LOG
from ..ir.store import Store
from .bundle import Bundle

Bools = NDArray[np.bool_]


class Answer(Protocol):
    """The logarithm of the root per row, and the rows in which the engine cannot vouch for it."""

    @property
    def log(self) -> Floats: ...

    @property
    def unsure(self) -> Bools: ...


class Engine(Protocol):
    """Code for one Program."""

    def refill(self, tables: Sequence[Floats]) -> None:
        """Takes other values for the tables."""
        ...

    def run(self, codes: Indices, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """Answers codes [columns, batch] and logarithms of densities [nodes, batch], by source."""
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """A Program, its inputs on infinite domains, and how an engine and its tables follow from parameters.

    `engine` gives the one whose numbers hold the circuit over its present parameters: the same one, as a rule.
    `bundle` gives what is saved of the circuit, with code for targets by name.
    """

    engine: Callable[[Circuit], Engine]
    program: Program
    variables: tuple[Variable, ...]
    densities: tuple[Input, ...]
    tables: Callable[[Store], Sequence[Floats]]
    bundle: Callable[[Circuit, Sequence[str]], Bundle]


def codes_of(sizes: Sequence[int], variables: Sequence[Variable], values: Floats, observed: Bools) -> Indices:
    """Rows of raw values as codes [columns, batch]; the number of values of a domain says that one is missing."""
    ends = np.array(sizes, dtype=np.int64)
    firsts = np.array(
        [first_value(variable.domain) if size else 0 for variable, size in zip(variables, sizes, strict=True)]
    )
    codes = np.where(ends > 0, values - firsts, 0).astype(np.int64)
    return np.where(observed, codes, ends).T


def with_first_values(variables: Sequence[Variable], values: Floats, observed: Bools) -> tuple[Floats, Bools]:
    """Rows with a Program's further columns, of variables that stand under zero weights alone."""
    more = variables[values.shape[1] :]
    if not more:
        return values, observed
    firsts = np.array([float(first_value(variable.domain)) for variable in more])
    rows = np.broadcast_to(firsts, (len(values), len(more)))
    return np.hstack([values, rows]), np.hstack([observed, np.ones(rows.shape, dtype=bool)])


def free_logs(variables: Sequence[Variable], free: Iterable[int], observed: Bools) -> Floats:
    """The logarithm of what free variables that are missing multiply a row by, [batch]: their numbers of values."""
    out = np.zeros(len(observed))
    for position in free:
        domain = variables[position].domain
        if isinstance(domain, FiniteDomain):
            out += np.where(observed[:, position], 0.0, np.log(domain.size))
    return out


def density_logs(block: Input, column: int, values: Floats, observed: Bools, numbers: Numbers) -> Floats:
    """The logarithms of an input's functions on an infinite domain, or of their integrals, [nodes, batch]."""
    known = observed[:, column]
    out = np.empty((block.width, len(values)))
    if known.any():
        x = values[known, column]
        out[:, known] = numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)[..., 0]
    if not known.all():
        total = numbers.moments(block.family, block.variable, block.parameters, 0, SIGNED_LOG)[..., 0]
        out[:, ~known] = total[:, None]
    return out
