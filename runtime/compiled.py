"""What a compiler hands to the runtime: an engine for one Program, and what its tables are made of.

The runtime knows neither the compiler nor a backend; an engine is anything that takes tables and answers codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.domain import Variable
from ..ir.expression import Expression
from ..ir.parameter import Floats, Parameter
from ..ir.program.descent import Sites
from ..ir.program.program import Program
from ..ir.program.tabled import Tabled
from ..ir.store import Store
from .bundle import Bundle
from .engines import Engine, FlatReverse, Resident, Reverse
from .links import Links, Place
from .walking import Walker

Valued = tuple[tuple[Expression, ...], Variable, Floats]
"""The parameters of an input on a finite domain, its variable, and numbers per node and value, [width, n]."""


@dataclass(frozen=True, slots=True)
class Apart:
    """How to run the adjoint over tables that are none of the parameters: the table that each parameter is, as it lies
    there, the bytes of the code's numbers, and code that nobody else gives tables to."""

    tables: Mapping[Parameter, int]
    size: int
    reverse: Callable[[], FlatReverse]


@dataclass(frozen=True, slots=True)
class Staying:
    """How to learn where the tables are: the table that each parameter is, and tables on a device of their own."""

    tables: Mapping[Parameter, int]
    make: Callable[[], Resident]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A Program, its inputs on infinite domains, and how an engine and its tables follow from parameters."""

    engine: Callable[[Circuit], Engine]
    """The one whose numbers hold the circuit over its present parameters: the same one, as a rule."""

    program: Program
    variables: tuple[Variable, ...]

    densities: tuple[Input, ...]
    """Inputs on infinite domains."""

    tables: Callable[[Store], Sequence[Floats]]
    """The Program's tables; NaN throughout one with entries out of the range of float64."""

    fed: Callable[[Callable[[Parameter], Floats], Callable[[], Store]], list[Floats]] | None
    """Tables as they lie in parameters, from these and from a store of them, for engines that `load` such."""

    plain: bool
    """Whether all tables lie in parameters or never change."""

    exactly: Callable[[Store, Sequence[int]], Sequence[Floats]]
    """Some tables by number."""

    bundle: Callable[[Circuit, Sequence[str], Sequence[str], str | None], Bundle]
    """What is saved, with code for targets and queries by name."""

    lowered: Program
    """The Program before its passes, whose buffers are filled once: its reverse is derived from it."""

    linear: Callable[[Store], Sequence[Floats]]
    """Tables of `lowered`; 0 for what underflows in float64."""

    reverse: Callable[[Circuit], Reverse | None]
    """Code for the reverse over a circuit's present parameters, made when first asked for."""

    derivatives: Callable[[Callable[[], Store], Sequence[Floats]], dict[Parameter, Floats]]
    """Derivatives with respect to parameters, from those with respect to tables."""

    counts: Callable[
        [Store, Sequence[Floats], bool], tuple[dict[Parameter, Floats], dict[Parameter, Floats], list[Valued]]
    ]
    """Expected counts of entries of weights and tables, [ones, zeros] of probabilities, and counts of each value for
    inputs without a closed-form step; the flag says whether missing values count."""

    sites: Sites
    """Where the circuit chooses in `lowered`."""

    links: Callable[[Sequence[Place], int, int], Links]
    """Code between free numbers of so many bytes and parameters of so many, end to end."""

    apart: Apart | None = None
    """Where every parameter is one table, the adjoint over other tables than the module's."""

    staying: Staying | None = None
    """Steps of EM on a device, where every parameter is one table there, and rows of those that learn sum to 1."""

    walker: Callable[[Tabled], Walker | None] | None = None
    """Queries on a device over present tables, if it has them."""

    signed: Callable[[Circuit], Engine | None] | None = None
    """An engine for a circuit whose present numbers have both signs, if there is one: it takes `tables`, and answers
    NaN where the root is negative."""

    signs: bool = False
    """Whether densities have both signs, whatever the numbers."""

    signed_reverse: Callable[[], Reverse] | None = None
    """Code for derivatives of such."""


class Compiler(Protocol):
    """What an executable asks of the compiler while it runs."""

    def require(self, kind: str, circuit: Circuit) -> None:
        """Proves what a query needs of the circuit.

        Raises: DanausError with a witness where it does not hold.
        """
        ...

    def deterministic(self, circuit: Circuit) -> bool:
        """Whether the circuit is proved deterministic."""
        ...
