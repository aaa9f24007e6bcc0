"""Which marginalisation programs are exact on a circuit: total sum, any subset, Hamming weight, virtual evidence.

A program evaluates the circuit with each input summed under weights on its variable's values; it is exact where that is
the true sum. What enters is a circuit; what leaves is a verdict for each program, with what it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from random import Random
from typing import Literal
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from ....ir.circuit import Circuit
from ....ir.diagnostic import DanausError
from ....ir.domain import Bool, FiniteDomain, Variable
from ....ir.parameter import Floats
from ....ir.semirings import Array, LargeModular, Modular
from ..decomposable import decomposable
from ..result import Proved, Refuted, Result, Unknown
from ..smooth import smooth
from ..witness import WrongSum
from .feed import Feed, Weights, drawn, size_of
from .primes import Height, height, large_prime, prime
from .wrong import wrong, wrong_weights

Program = Literal["total", "subset", "hamming", "virtual"]
PROGRAMS: tuple[Program, ...] = ("total", "subset", "hamming", "virtual")

_ERROR = 1e-9
_TRIALS = 8
_ROWS = 1 << 16
_WORK = 1 << 28
# The most nodes whose numbers are computed as Python integers.
_LARGE = 1 << 21
_SEED = 0
# A polynomial of the masses of n ones that is wrong is so at one of its first points, unless n is large.
_POINTS = 24

_known: WeakKeyDictionary[Circuit, dict[Program, Result]] = WeakKeyDictionary()
_made: WeakSet[Circuit] = WeakSet()
_partly: WeakKeyDictionary[Circuit, dict[Program, Result]] = WeakKeyDictionary()


def marginalisation(circuit: Circuit) -> Mapping[Program, Result]:
    """For each marginalisation program, whether feed-forward evaluation gives the true sum, for current values.

    - "total": the sum or integral over all variables;
    - "subset": over any of the variables, for any values of the others;
    - "hamming": the mass of each number of ones, of bool variables;
    - "virtual": under any weights on the values of each variable.

    Smooth and decomposable circuits are exact for all. So are those, and only those, whose polynomial in the weights of
    values is homogeneous of degree 1 in those of each variable, as far as virtual evidence goes, which implies the
    others: tested at random points modulo random primes. The others are tried by enumeration, up to 65,536 sums.
    """
    known = _known.get(circuit)
    if known is None:
        known = _known[circuit] = _marginalisation(circuit)
    return known


def exact(circuit: Circuit, program: Program) -> Result:
    """Whether one program is exact, as `marginalisation` says, without trying the others by enumeration."""
    known = _known.get(circuit)
    if known is not None:
        return known[program]
    if all(isinstance(judge(circuit), Proved) for judge in (smooth, decomposable)):
        return marginalisation(circuit)[program]
    partly = _partly.setdefault(circuit, {})
    if program not in partly:
        partly[program] = _one(circuit, program)
    return partly[program]


def _one(circuit: Circuit, program: Program) -> Result:
    test = _Test(circuit)
    try:
        virtual = test.virtual()
        if isinstance(virtual, Proved) or program == "virtual":
            return virtual
        match program:
            case "total":
                return test.total()
            case "subset":
                return test.subset()
            case _:
                return test.hamming()
    except DanausError as failure:
        return Unknown(f"its numbers have no value modulo a prime: {failure.diagnostics[0].message}")


def taken_as_exact(circuit: Circuit, because: str) -> None:
    """Remembers that a circuit is exact for all programs, as whoever made it has proved."""
    _known[circuit] = {program: Proved(because=because) for program in PROGRAMS}
    _made.add(circuit)


def made_exact(circuit: Circuit) -> bool:
    """Whether whoever made a circuit has proved it exact for all programs."""
    return circuit in _made


def _marginalisation(circuit: Circuit) -> dict[Program, Result]:
    if all(isinstance(judge(circuit), Proved) for judge in (smooth, decomposable)):
        return {program: Proved(because="it is smooth and decomposable") for program in PROGRAMS}
    test = _Test(circuit)
    try:
        virtual = test.virtual()
    except DanausError as failure:
        reason = f"its numbers have no value modulo a prime: {failure.diagnostics[0].message}"
        return {program: Unknown(reason) for program in PROGRAMS}
    if isinstance(virtual, Proved):
        because = f"it is exact for virtual evidence: {virtual.because}"
        found: dict[Program, Result] = {program: Proved(because=because) for program in PROGRAMS}
        return {**found, "virtual": virtual}
    return {"total": test.total(), "subset": test.subset(), "hamming": test.hamming(), "virtual": virtual}


@dataclass
class _Test:
    """The tests of one circuit that is not smooth and decomposable."""

    circuit: Circuit
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(_SEED))

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.circuit.variables

    @cached_property
    def height(self) -> Height:
        """Bounds of the circuit's polynomial."""
        return height(self.circuit)

    @cached_property
    def trials(self) -> int | None:
        """How many tests make the error small enough; None where they are too many."""
        error = self.height.error
        return next((count for count in range(1, _TRIALS + 1) if error**count <= _ERROR), None)

    def proved(self, what: str) -> Result:
        """A proof by the tests that were passed."""
        assert self.trials is not None
        error = self.height.error**self.trials
        return Proved(
            because=f"{what}, by {self.trials} tests modulo random primes, which err with at most {error:.1g}"
        )

    def feeds(self) -> list[Feed]:
        """The circuit modulo random primes, one for each test."""
        return [Feed(self.circuit, Modular(prime(self.random))) for _ in range(self.trials or 0)]

    def virtual(self) -> Result:
        """Whether the polynomial is homogeneous of degree 1 in the weights of each variable."""
        what = "its polynomial is of degree 1 in the weights of each variable's values"
        if self.trials is not None:
            tests, proof = self.feeds(), self.proved(what)
        elif self.height.large is not None and self.circuit.nodes <= _LARGE:
            size, error = self.height.large
            tests = [Feed(self.circuit, LargeModular(large_prime(size, Random(_SEED))))]
            proof = Proved(
                because=f"{what}, by a test modulo a random prime of {size} bits, which errs with at most {error:.1g}"
            )
        else:
            return Unknown(
                f"its degree, up to {self.height.degree:.2g}, or its numbers are too large to test an identity"
            )
        if all(self._homogeneous(feed) for feed in tests):
            return proof
        # With numbers so large, looking for an input in fractions would take too long.
        return self._refuted(wrong_weights(self.circuit) if self.trials is not None else None)

    def _homogeneous(self, feed: Feed) -> bool:
        """Whether weights times a factor for each variable give the value times all factors, at a random point."""
        over = feed.semiring
        assert isinstance(over, Modular)
        weights: dict[Variable, Array] = {}
        factor = 1
        for variable in self.variables:
            row = drawn(self.random, 1, over, size_of(variable))
            scale = int(drawn(self.random, 2, over, 1)[0])
            factor = factor * scale % over.prime
            weights[variable] = np.stack([row, row * scale % over.prime])
        plain, scaled = feed.value(weights, 2).tolist()
        return bool(scaled == plain * factor % over.prime)

    def _refuted(self, found: WrongSum | None) -> Result:
        if found is not None:
            return Refuted(found)
        return Unknown("a test modulo a prime fails, but no input was found whose sum is certainly wrong")

    def total(self) -> Result:
        """Whether the sum over all variables is exact, by summing over all assignments."""
        return self._enumerated("total", [1] * len(self.variables), "the sum over all assignments is the same")

    def subset(self) -> Result:
        """Whether all sums over subsets are exact, by computing all of them."""
        extra = [(variable.size or 0) + 1 for variable in self.variables]
        return self._enumerated("subset", extra, "the sums over all subsets are the same")

    def hamming(self) -> Result:
        """Whether the mass of each number of ones is exact, at random points of the polynomial that has them."""
        if not all(isinstance(variable.domain, Bool) for variable in self.variables):
            return Unknown("the Hamming weight is of bool variables")
        return self._enumerated("hamming", [1] * len(self.variables), "the masses of all numbers of ones are the same")

    def _enumerated(self, program: Program, sums: list[int], what: str) -> Result:
        """All sums of a program, of which each variable has so many, against those of the table of all values."""
        if not all(isinstance(variable.domain, FiniteDomain) for variable in self.variables):
            return Unknown("it is not exact for virtual evidence, and infinite domains cannot be enumerated")
        rows = prod(variable.size or 1 for variable in self.variables)
        wanted = prod(sums)
        if self.trials is None or max(rows, wanted) > _ROWS or max(rows, wanted) * self.circuit.nodes > _WORK:
            return Unknown(
                f"it is not exact for virtual evidence, and {max(rows, wanted):,} sums are too many to try",
                f"{_ROWS:,} sums",
            )
        for feed in self.feeds():
            assert isinstance(feed.semiring, Modular)
            choices = _choices(program, self.variables, feed.semiring, self.random)
            at = _differing(feed, self.variables, choices)
            if at is not None:
                return self._refuted(self._shown(program, choices, at))
        return self.proved(what)

    def _shown(self, program: Program, choices: list[Array], at: int) -> WrongSum | None:
        """The witness of the sum at one place of a program's sums."""
        if program == "hamming":
            points = ({v: np.array([1.0, point]) for v in self.variables} for point in range(1, _POINTS))
            return next((found for each in points if (found := wrong(self.circuit, program, each))), None)
        weights: dict[Variable, Floats] = {}
        for variable, rows in zip(reversed(self.variables), reversed(choices), strict=True):
            weights[variable] = rows[at % len(rows)].astype(np.float64)
            at //= len(rows)
        return wrong(self.circuit, program, weights)


def _choices(
    program: Program, variables: tuple[Variable, ...], semiring: Modular, random: np.random.Generator
) -> list[Array]:
    """The rows of weights that a program puts on each variable: [choices, values]."""
    match program:
        case "subset":
            return [np.concatenate([np.eye(size_of(v)), np.ones((1, size_of(v)))]).astype(np.int64) for v in variables]
        case "hamming":
            point = int(random.integers(1, semiring.prime))
            return [np.array([[1, point]], dtype=np.int64) for _ in variables]
        case _:
            return [np.ones((1, size_of(variable)), dtype=np.int64) for variable in variables]


def _differing(feed: Feed, variables: tuple[Variable, ...], choices: list[Array]) -> int | None:
    """The first combination of the variables' rows of weights whose feed-forward sum is not the true one, if any."""
    semiring = feed.semiring
    table = feed.value(_combined(variables, [np.eye(size_of(v), dtype=np.int64) for v in variables]), _rows(variables))
    table = table.reshape([size_of(variable) for variable in variables])
    for axis, weights in enumerate(choices):
        moved = np.moveaxis(table, axis, 0)
        flat = semiring.matmul(weights, moved.reshape(len(moved), -1))
        table = np.moveaxis(flat.reshape(len(weights), *moved.shape[1:]), 0, axis)
    rows = prod(len(weights) for weights in choices)
    differing = np.flatnonzero(feed.value(_combined(variables, choices), rows) != table.reshape(-1))
    return int(differing[0]) if len(differing) else None


def _rows(variables: tuple[Variable, ...]) -> int:
    return prod(size_of(variable) for variable in variables)


def _combined(variables: tuple[Variable, ...], choices: list[Array]) -> Weights:
    """All combinations of rows of weights, the first variable slowest: for each variable [combinations, values]."""
    sizes = [len(weights) for weights in choices]
    rows = prod(sizes)
    numbers = np.arange(rows)
    out: dict[Variable, Array] = {}
    for variable, weights, size in zip(reversed(variables), reversed(choices), reversed(sizes), strict=True):
        out[variable] = weights[numbers % size]
        numbers = numbers // size
    return out
