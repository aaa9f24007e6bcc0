"""What a compiler hands to the runtime: an engine for one Program, and what its tables are made of.

The runtime knows neither the compiler nor a backend; an engine is anything that takes tables and answers codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.domain import FiniteDomain, Variable, first_value
from ..ir.expression import Expression, Floats, Parameter
from ..ir.family import is_signed
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.program.descent import Sites
from ..ir.program.program import Program
from ..ir.program.shares import Share
from ..ir.program.tabled import Tabled
from ..ir.semirings import SIGNED_LOG
from ..ir.store import Store
from .bundle import Bundle

Bools = NDArray[np.bool_]
Codes = NDArray[np.int32]
Valued = tuple[tuple[Expression, ...], Variable, Floats]
"""The parameters of an input on a finite domain, its variable, and numbers per node and value, [width, n]."""

_FAR = 2**30


Exactly = Callable[[Sequence[int]], Sequence[Floats]]
"""Tables by number, with a row for sums over values; NaN throughout where no float64 holds an entry."""


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

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Takes tables as `Compiled.fed` gives them; False where they are not this engine's to hold."""
        ...

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """Answers codes [columns, batch] and logarithms of densities [nodes, batch], by source."""
        ...


class Derived(Protocol):
    """Log-likelihoods, and derivatives of their weighted sum: by table, and flows by density.

    Rows that are `unsure` are in neither.
    """

    @property
    def log(self) -> Floats: ...

    @property
    def unsure(self) -> Bools: ...

    @property
    def tables(self) -> list[Floats]: ...

    @property
    def densities(self) -> dict[int, Floats]: ...


class Reverse(Protocol):
    """Code for the adjoint of a Program."""

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """As an engine does; those of networks as `Compiled.tables` gives them."""
        ...

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """Derivatives of Σ weight · log p over codes [columns, batch], as `Engine.run` takes them.

        Those of tables that came by node come so; with what sums over their values add, if `whole`.
        """
        ...


class Flat(Derived, Protocol):
    """Derivatives of tables that lie end to end, in the type in which the tables came."""

    @property
    def addresses(self) -> NDArray[np.int64]:
        """Where those of each table begin, in memory."""
        ...


class FlatReverse(Reverse, Protocol):
    """Code for the adjoint of a Program of vectors, whose tables may all come in its own type."""

    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Flat:
        """As a reverse does."""
        ...

    def turns(self, links: Any, tables: NDArray[np.int64]) -> Any:
        """A way from free numbers to tables, one for each parameter, and back; None where there is none."""
        ...

    def load_through(
        self, way: Any, free: NDArray[Any], held: NDArray[Any], tables: list[Any], exactly: Exactly
    ) -> bool:
        """Takes what free numbers stand for, which it writes to `held`, and the other tables."""
        ...

    def through(
        self, codes: Indices | Codes, weights: Floats, way: Any, held: NDArray[Any], out: NDArray[Any]
    ) -> Answer | None:
        """log p on one thread; derivatives by free numbers are written to `out`, where no row is unsure. None where
        these rows do not go this way."""
        ...


@dataclass(frozen=True, slots=True)
class Apart:
    """How to run the adjoint over tables that are none of the parameters: the table that each parameter is, as it lies
    there, the bytes of the code's numbers, and code that nobody else gives tables to."""

    tables: Mapping[Parameter, int]
    size: int
    reverse: Callable[[], FlatReverse]


Link = Literal["softmax", "exp", "sigmoid", "identity"]


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter as rows of numbers, and how numbers without constraints stand for it."""

    link: Link
    rows: int
    columns: int


class Links(Protocol):
    """Code between free numbers, flat, and the parameters that they stand for, flat in a type of their own."""

    def hold(self, free: NDArray[Any], held: NDArray[Any]) -> None:
        """Writes the parameters."""
        ...

    def pull(self, free: NDArray[Any], held: NDArray[Any], slopes: NDArray[np.int64], factor: float) -> None:
        """Writes derivatives by free numbers, from those by each parameter, at addresses, times a factor."""
        ...


class Walked(Protocol):
    """Codes [columns, rows] with nothing missing that was reached, and the rows that are possible."""

    @property
    def codes(self) -> Codes: ...

    @property
    def possible(self) -> Bools: ...


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What comes through inputs: the logarithm of the root per row, rows whose shares are not certain, and shares of
    inputs' nodes."""

    log: Floats
    unsure: Bools
    shares: Sequence[Share]


class Walker(Protocol):
    """Queries on a device that walk a Program down from its root, or run it over other numbers.

    Codes are [columns, rows], missing ones at their column's number of values.
    """

    def sample(self, codes: Indices, count: int, seed: int) -> Walked:
        """Draws what is missing in one row so many times."""
        ...

    def sample_given(self, codes: Indices, seed: int) -> Walked:
        """Draws what is missing in each row."""
        ...

    def best(self, codes: Indices) -> Walked:
        """What is missing in each row at the values of the largest path."""
        ...

    def ones(self, variables: int) -> Floats:
        """The logarithms of the masses of each number of ones, where the first columns are so many booleans."""
        ...

    def log(self, codes: Indices, weights: Mapping[int, Floats]) -> Floats:
        """The logarithm of the root of each row, with weights [rows, values] in place of codes in some columns."""
        ...

    def shares(self, codes: Indices) -> Shared | None:
        """The shares of inputs in each row; None where the present numbers are not for that."""
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """A Program, its inputs on infinite domains, and how an engine and its tables follow from parameters.

    `tables` gives NaN for tables with entries out of the range of float64, `linear` 0 for what underflows there.
    `engine` gives the one whose numbers hold the circuit over its present parameters: the same one, as a rule. `fed`
    gives tables as they lie in parameters, from these and from a store of them, for engines that `load` such; `plain`
    says that all of them lie in parameters or never change; `exactly` gives some by number. `bundle` gives what is
    saved, with code for targets and queries by name. `lowered` is the Program before its passes, whose buffers are
    filled once: its reverse is derived from it, and `reverse` gives code for that over a circuit's present parameters,
    made when first asked for. From derivatives with respect to tables, `derivatives` gives those of parameters.
    `counts` gives the expected counts of entries of weights and tables, [ones, zeros] of probabilities, and counts of
    each value for inputs without a closed-form step; its flag says whether missing values count. `sites` say where the
    circuit chooses in `lowered`. `links` gives code between free numbers of so many bytes and parameters of so many,
    end to end; `apart`, where every parameter is one table, the adjoint over other tables than the module's. `walker`
    gives queries on a device over present tables, if it has them. `signed` gives an engine for a circuit whose
    present numbers have both signs, if there is one: it takes `tables`, and answers NaN where the root is negative;
    `signs` says that densities have both, whatever the numbers. `signed_reverse` gives code for derivatives of such.
    """

    engine: Callable[[Circuit], Engine]
    program: Program
    variables: tuple[Variable, ...]
    densities: tuple[Input, ...]
    tables: Callable[[Store], Sequence[Floats]]
    fed: Callable[[Callable[[Parameter], Floats], Callable[[], Store]], list[Floats]] | None
    plain: bool
    exactly: Callable[[Store, Sequence[int]], Sequence[Floats]]
    bundle: Callable[[Circuit, Sequence[str], Sequence[str]], Bundle]
    lowered: Program
    linear: Callable[[Store], Sequence[Floats]]
    reverse: Callable[[Circuit], Reverse | None]
    derivatives: Callable[[Callable[[], Store], Sequence[Floats]], dict[Parameter, Floats]]
    counts: Callable[
        [Store, Sequence[Floats], bool], tuple[dict[Parameter, Floats], dict[Parameter, Floats], list[Valued]]
    ]
    sites: Sites
    links: Callable[[Sequence[Place], int, int], Links]
    apart: Apart | None = None
    walker: Callable[[Tabled], Walker | None] | None = None
    signed: Callable[[Circuit], Engine | None] | None = None
    signs: bool = False
    signed_reverse: Callable[[], Reverse] | None = None


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


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The first value of each column of data, all on finite domains, and how many values it has."""

    firsts: Codes
    sizes: Codes

    @staticmethod
    def of(compiled: Compiled) -> Columns | None:
        """Those of a circuit; None where a number is too large for the quick way."""
        sizes = np.array(compiled.program.columns, dtype=np.int64)
        if not (sizes > 0).all():
            return None
        firsts = np.array([first_value(variable.domain) for variable in compiled.variables], dtype=np.int64)
        if (np.abs(firsts) >= _FAR).any() or (sizes >= _FAR).any():
            return None
        return Columns(firsts.astype(np.int32), sizes.astype(np.int32))

    def plain(self, x: NDArray[Any], observed: Any) -> Codes | None:
        """Rows of numbers as codes [batch, columns]; None where one is, or may be, no value of its column.

        Nothing is copied as float64 and nothing is looked at one by one: that is for the rows that this refuses.
        """
        if x.ndim != 2 or x.shape[1] != len(self.sizes) or x.dtype.kind not in "biuf":
            return None
        if observed is not None:
            if not isinstance(observed, np.ndarray) or observed.dtype != np.bool_ or observed.shape != x.shape:
                return None
            x = np.where(observed, x, self.firsts)
        with np.errstate(invalid="ignore"):
            codes = x.astype(np.int32)
        if (x.dtype.kind == "f" or x.dtype.itemsize >= 4) and not (codes == x).all():
            return None
        codes -= self.firsts
        # below the first value, the same bits are beyond all numbers of values
        if (codes.view(np.uint32).max(axis=0, initial=0) >= self.sizes).any():
            return None
        return codes if observed is None else np.where(observed, codes, self.sizes)

    def codes(self, values: Floats, observed: Bools) -> Indices:
        """Rows that are checked as codes [columns, batch]."""
        return np.where(observed, values - self.firsts, self.sizes).astype(np.int64).T

    def rows(self, codes: Codes) -> tuple[Floats, Bools]:
        """The values and the mask of what is observed of codes [batch, columns]."""
        observed = codes != self.sizes
        return np.where(observed, codes + self.firsts, self.firsts).astype(np.float64), observed


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
    """The logarithms of an input's functions on an infinite domain, or of their integrals, [nodes, batch]; with signs,
    [nodes, batch, 2], of a family that has them."""
    known = observed[:, column]
    out = np.empty((block.width, len(values), 2))
    if known.any():
        x = values[known, column]
        out[:, known] = numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)
    if not known.all():
        total = numbers.moments(block.family, block.variable, block.parameters, 0, SIGNED_LOG)
        out[:, ~known] = total[:, None]
    return out if is_signed(block.family) else out[..., 0]
