"""The engine of circuits with numbers of both signs: each value beside the one that it has where no sign is negative.

Tables enter, then codes of rows; what leaves are logarithms of the root, NaN where it is negative, and the rows in
which these numbers cannot vouch for it. A Program runs twice: over the magnitudes of its tables, with the bound on
underflow (state.py), and over the tables, with powers of two alone. A value of the second never exceeds its magnitude
in the first, so that neither does its scale: what the first can have lost bounds what the second can have lost, and
rounding takes no more from a value than some units in the last place of its magnitude. `share` is the value beside its
magnitude: the less of it, the more digits have cancelled.

Rows with too small a share are run again in float64; of those that cancel there too, one whose float32 and float64
agree is right, for float64 is 2²⁹ times nearer than they are to each other. The others are for whoever asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.operation import Load, unrolled
from ...ir.program.program import Program
from . import arena
from .batch import Answer, Bools, Bytes, Codes, Make
from .machine import Target, compiled, compiled_meanwhile, host
from .packed import Exactly
from .scalar import Scalar
from .vector import TOLERANCE, Vector, parts

SHARE = {4: 2.0**-8, 8: 2.0**-30}
"""The least that a value may be beside its magnitude, by bytes of a number: 16 of 24 bits are left, 23 of 53."""

AGREE = 2.0**-8
"""How near, relatively, float32 and float64 must come to each other for a row of which little is left."""

Numbers = tuple[Bytes, ...]
"""Tables as code reads them: first their magnitudes, then they themselves."""


@dataclass(frozen=True, slots=True)
class Found:
    """Per row: the logarithm of the root's size, its sign, its share of its magnitude, and the relative error that
    underflow may have brought."""

    log: Floats
    sign: Floats
    share: Floats
    loss: Floats

    def sure(self, size: int) -> Bools:
        """Whether underflow has taken too little to see."""
        return self.loss <= TOLERANCE[size]


@dataclass(slots=True)
class Vectors:
    """A Program of vectors of nodes in one type of numbers; of `magnitudes` the code serves, whatever it holds."""

    program: Program
    size: int
    magnitudes: Vector
    target: Target = field(default_factory=host)
    make: Make = compiled_meanwhile
    signed: Vector = field(init=False)

    def __post_init__(self) -> None:
        self.signed = Vector(self.program, self.size, self.target, self.make, signed=True)

    def packed(self, magnitudes: Sequence[Floats], tables: Sequence[Floats]) -> Numbers:
        """Arenas of the tables."""
        places: list[Bytes] = []
        for vector, own in ((self.magnitudes, magnitudes), (self.signed, tables)):
            place = arena.aligned(vector.plan.arena)
            arena.fill(vector.plan, own, vector.vectors, place)
            places.append(place)
        return tuple(places)

    def run(self, numbers: Numbers, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int) -> Found:
        """All of one batch."""
        rows = codes.shape[1]
        (above, high, lost, error), (value, power, _, _) = (
            parts(vector.tiles(place, codes, densities, threads), rows, vector.vectors)
            for vector, place in zip((self.magnitudes, self.signed), numbers, strict=True)
        )
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            share = np.ldexp(np.abs(value) / above, np.clip(power - high, -2000, 0).astype(np.int64))
            none = (above == 0) & (lost == 0)
            loss = np.where(error * above + lost == 0, 0.0, (error + lost / above) / share)
            log = np.where(value == 0, -np.inf, np.log(np.abs(value)) + power * np.log(2.0))
        return Found(log, np.sign(value), np.where(none, 1.0, share), np.where(none, 0.0, loss))


@dataclass(slots=True)
class Scalars:
    """A network of scalar nodes in one type of plain numbers, whose range shows that none underflows."""

    program: Program
    size: int
    target: Target = field(default_factory=host)
    make: Make = compiled
    network: Scalar = field(init=False)

    def __post_init__(self) -> None:
        self.network = Scalar(self.program, self.size, "linear", self.target, self.make)

    def packed(self, magnitudes: Sequence[Floats], tables: Sequence[Floats]) -> Numbers:
        """Leaves and weights."""
        return (*self.network.packed(magnitudes), *self.network.packed(tables))

    def run(self, numbers: Numbers, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int) -> Found:
        """All of one batch."""
        assert not densities
        above = self.network.values((numbers[0], numbers[1]), codes, threads)
        value = self.network.values((numbers[2], numbers[3]), codes, threads)
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            share = np.where(above == 0, 1.0, np.abs(value) / above)
            return Found(np.log(np.abs(value)), np.sign(value), share, np.zeros(len(value)))


Both = Vectors | Scalars


@dataclass(slots=True)
class _Loaded:
    """Tables, their magnitudes, and both as the code for each type of numbers reads them, made when first asked for."""

    magnitudes: Sequence[Floats]
    tables: Sequence[Floats]
    rounded: bool
    packed: dict[int, Numbers] = field(default_factory=dict[int, Numbers])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, both: Both) -> Numbers:
        with self.lock:
            if both.size not in self.packed:
                self.packed[both.size] = both.packed(self.magnitudes, self.tables)
            return self.packed[both.size]


@dataclass(slots=True)
class Signed:
    """A Program over numbers of both signs. `narrow` and `wide` give it in float32, None where that cannot hold it, and
    in float64; rows begin in numbers of `size` bytes. `again` counts the rows that were run in the other type.
    """

    size: int
    narrow: Callable[[], Both | None]
    wide: Callable[[], Both]
    again: int = 0
    loaded: _Loaded | None = field(init=False, default=None)

    def fill(self, magnitudes: Sequence[Floats], tables: Sequence[Floats], rounded: bool) -> None:
        """Takes values for the tables, and for what they are where no sign is negative; `rounded` as `Magnitudes`."""
        loaded = _Loaded(magnitudes, tables, rounded)
        first = self._first()
        loaded.of(first)
        self.loaded = loaded

    def refill(self, tables: Sequence[Floats]) -> None:
        """Takes other values for the tables."""
        found = magnitudes(self._first().program, tables)
        self.fill(found.tables, tables, found.rounded)

    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Tables come with their sums: `refill` takes them."""
        return False

    def run(self, codes: Indices | Codes, densities: Mapping[int, Floats], threads: int = 1) -> Answer:
        """Logarithms of codes [columns, batch], NaN where the root is negative; of densities, by source, logarithms
        [nodes, batch], or with signs [nodes, batch, 2]."""
        loaded, first = self.loaded, self._first()
        assert loaded is not None
        found = first.run(loaded.of(first), codes, densities, threads)
        log = np.where(found.sign < 0, np.nan, found.log)
        unsure = ~(found.sure(first.size) & (found.share >= SHARE[first.size]))
        other = self.wide() if first.size == 4 else self.narrow()
        rows = np.flatnonzero(unsure if first.size == 4 else unsure & found.sure(8))
        if other is None or not len(rows):
            return Answer(log, unsure)
        self.again += len(rows)
        inner = {source: values[:, rows] for source, values in densities.items()}
        second = other.run(loaded.of(other), codes[:, rows], inner, threads)
        agree = (second.sign == found.sign[rows]) & (second.sign != 0) & (not loaded.rounded)
        with np.errstate(invalid="ignore"):
            agree &= np.abs(second.log - found.log[rows]) <= AGREE
        if other.size == 8:
            log[rows] = np.where(second.sign < 0, np.nan, second.log)
            agree = second.sure(8) & (agree | (second.share >= SHARE[8]))
        unsure[rows] = ~agree
        return Answer(log, unsure)

    def _first(self) -> Both:
        """The numbers in which rows begin."""
        narrow = self.narrow() if self.size == 4 else None
        return self.wide() if narrow is None else narrow


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """Tables of a Program as it was lowered where no number is negative: sums over values are of magnitudes too.

    `rounded` says that a sum over values is so small beside its magnitude that it is made of rounding: then float32 and
    float64 agree on what is not so.
    """

    tables: list[Floats]
    rounded: bool


def magnitudes(program: Program, tables: Sequence[Floats]) -> Magnitudes:
    """Those of tables with rows, or entries, for sums over values."""
    found = [np.abs(table) for table in tables]
    sums: list[tuple[Floats, Floats]] = []
    for number in {step.table for step in unrolled(program.operations) if isinstance(step, Load)}:
        found[number][-1] = found[number][:-1].sum(axis=0)
        sums.append((tables[number][-1], found[number][-1]))
    for layout in program.layouts:
        starts, first = np.unique(layout.leaf_offsets, return_index=True)
        sizes = np.array([*program.columns, 0], dtype=np.int64)[layout.leaf_columns[first]]
        own = sizes > 0
        places = np.stack([starts[own], starts[own] + sizes[own]], axis=1)
        if places.size:
            found[0][places[:, 1]] = np.add.reduceat(found[0], places.ravel())[::2]
            sums.append((tables[0][places[:, 1]], found[0][places[:, 1]]))
    rounded = any(bool(((total != 0) & (np.abs(total) < SHARE[8] * size)).any()) for total, size in sums)
    return Magnitudes(found, rounded)
