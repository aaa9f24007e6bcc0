"""What a compiler hands to the runtime: an engine for one Program, and what its tables are made of.

The runtime knows neither the compiler nor a backend; an engine is anything that takes tables and answers codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..ir.block import Input
from ..ir.domain import Variable, first_value
from ..ir.expression import Floats, Parameter
from ..ir.linear import Indices
from ..ir.program.program import Program
from ..ir.store import Store

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
    """An engine with its Program, the inputs on infinite domains, and how its tables follow from parameters.

    `lowered` is the Program before its passes, whose buffers are filled once: its reverse is derived from it. From
    derivatives with respect to tables, `derivatives` gives those of parameters, and `counts` the expected counts of
    simplex entries, and [ones, zeros] of probabilities; its flag says whether missing values count.
    """

    engine: Engine
    program: Program
    variables: tuple[Variable, ...]
    densities: tuple[Input, ...]
    tables: Callable[[Store], Sequence[Floats]]
    lowered: Program
    derivatives: Callable[[Store, Sequence[Floats]], dict[Parameter, Floats]]
    counts: Callable[[Store, Sequence[Floats], bool], tuple[dict[Parameter, Floats], dict[Parameter, Floats]]]


def codes_of(compiled: Compiled, values: Floats, observed: Bools) -> Indices:
    """Rows of raw values as codes [columns, batch]; the number of values of a domain says that one is missing."""
    sizes = np.array(compiled.program.columns, dtype=np.int64)
    firsts = np.array(
        [first_value(variable.domain) if size else 0 for variable, size in zip(compiled.variables, sizes, strict=True)]
    )
    finite = sizes > 0
    codes = np.where(finite, values - firsts, 0).astype(np.int64)
    return np.where(observed, codes, sizes).T
