"""Code between numbers without constraints and the parameters that they stand for, and derivatives back.

What enters are records of rows: softmax of a row on the simplex, exp of what is positive, a sigmoid in [0, 1], or
numbers as they are. Free numbers are in the code's type, parameters and their derivatives in float64 (so that the
numbers of a row sum to 1 there, whatever the logits' type) or in the type of the code that they are for. Loops are
plain, and LLVM's passes vectorise them.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.links import Link, Place
from . import arena
from .batch import INTEGER, POINTER, Bytes
from .between import cast
from .between import number as number_of
from .builder import Function, module
from .machine import Target, compiled, host
from .mathematics import exp
from .vectors import Vectors

LINKS: tuple[Link, ...] = ("softmax", "exp", "sigmoid", "identity")

PIECE = 512
"""Numbers of a row at most where each stands alone: what is worked on stays in the first-level cache."""

_FIELDS = ("link", "rows", "columns", "free", "held", "slopes")
_ARGUMENTS = "ptr %records, i64 %count, ptr %work, double %factor"
_LOWEST = "0xFFF0000000000000"


class Links:
    """Code for parameters that lie one after the other, flat, of `held` bytes, with free numbers of `size` bytes."""

    STRIDE = 8 * len(_FIELDS)
    """Bytes of a record."""

    def __init__(self, places: Sequence[Place], size: int, held: int = 8, target: Target | None = None) -> None:
        target = target or host()
        self._vectors, self.size, self.outer = target.vectors(size), size, held
        starts = np.cumsum([0, *(place.rows * place.columns for place in places)])
        rows = [(n, *row) for n, place in enumerate(places) for row in _rows(place)]
        table: NDArray[np.int64] = np.array(rows, dtype=np.int64).reshape(-1, 5)
        self._owner, self._records = table[:, 0], table[:, 1:4]
        self._within = table[:, 4]
        self.firsts = np.searchsorted(self._owner, np.arange(len(places) + 1)).astype(np.int64)
        self._starts = starts[self._owner] + self._within
        self._longest = int(self._records[:, 2].max(initial=0))
        text = module([forth(self._vectors, held), back(self._vectors, held)], self._vectors)
        self._library = compiled(text, target, passes=True)

    def hold(self, free: NDArray[Any], held: NDArray[Any]) -> None:
        """Writes the parameters that free numbers stand for."""
        there = self.places(held)
        self._call("held", self.records(free, there, there), 1.0)

    def pull(self, free: NDArray[Any], held: NDArray[Any], slopes: NDArray[np.int64], factor: float) -> None:
        """From derivatives with respect to each parameter at addresses, times a factor, those of free numbers, written
        to `free`."""
        self._call("slopes", self.records(free, self.places(held), slopes), factor)

    def places(self, held: NDArray[Any]) -> NDArray[np.int64]:
        """Where each parameter begins that lies in an array, end to end with the others."""
        return held.ctypes.data + self.outer * self._starts[self.firsts[:-1]]

    def records(self, free: NDArray[Any], held: NDArray[np.int64], slopes: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the code walks over, for parameters and their derivatives at addresses; those of parameter i are from
        `firsts[i]` to `firsts[i + 1]`."""
        within = self.outer * self._within
        places = [
            free.ctypes.data + self.size * self._starts,
            held[self._owner] + within,
            slopes[self._owner] + within,
        ]
        return np.ascontiguousarray(np.column_stack([self._records, *places]))

    def work(self) -> Bytes:
        """Room for a row's exponentials."""
        return arena.aligned((self._longest + self._vectors.width) * self._vectors.size)

    def address(self, name: str) -> int:
        """Where the code of `held` or `slopes` is."""
        return self._library.address(name)

    def _call(self, name: str, records: NDArray[np.int64], factor: float) -> None:
        function, work = self._library.call(name, POINTER, INTEGER, POINTER, ctypes.c_double), self.work()
        function(records.ctypes.data, len(records), work.ctypes.data, factor)


def _rows(place: Place) -> list[tuple[int, int, int, int]]:
    """The records of a parameter: link, rows, columns, and the number that they begin with."""
    link, numbers = LINKS.index(place.link), place.rows * place.columns
    if place.link == "softmax":
        return [(link, place.rows, place.columns, 0)]
    return [(link, 1, min(PIECE, numbers - start), start) for start in range(0, numbers, PIECE)]


def forth(vectors: Vectors, outer: int) -> Function:
    """The function `held`: parameters of `outer` bytes from free numbers."""
    f = Function("held", _ARGUMENTS, vectors)
    number, kind = vectors.number, number_of(outer)

    def exponentials(count: str, value: Callable[[str], str]) -> None:
        """exp of so many numbers into %work."""
        f.loop(count, lambda c: f.store(value(c), f.at("%work", c, vectors.size), number))
        tail = f.at("%work", count, vectors.size)
        f.loop(vectors.width, lambda c: f.store(_LOWEST, f.at(tail, c, vectors.size), number))

        def vector(c: str) -> None:
            place = f.at("%work", c, vectors.size)
            f.store(exp(f, f.load(place)), place)

        f.loop(count, vector, vectors.width)

    def row(link: Link, columns: str, free: str, out: str, _: str) -> None:
        def given(c: str) -> str:
            return f.load(f.at(free, c, vectors.size), number)

        def done(c: str) -> str:
            return _kept(f, f.load(f.at("%work", c, vectors.size), number), outer)

        def write(value: Callable[[str], str]) -> None:
            f.loop(columns, lambda c: f.store(value(c), f.at(out, c, outer), kind))

        def softmax() -> None:
            def larger(c: str, top: str) -> list[str]:
                x = given(c)
                known = f.op(f"select i1 {f.op(f'fcmp ord {number} {x}, 0.0')}, {number} {x}, {number} {_LOWEST}")
                more = f.op(f"fcmp nnan nsz ogt {number} {known}, {top}")
                return [f.op(f"select nnan nsz i1 {more}, {number} {known}, {number} {top}")]

            top = f.loop(columns, larger, carried=[(number, _LOWEST)])[0]
            exponentials(columns, lambda c: f.op(f"fsub {number} {given(c)}, {top}"))

            def add(c: str, sum: str) -> list[str]:
                return [f.op(f"fadd reassoc {kind} {sum}, {done(c)}")]

            total = f.loop(columns, add, carried=[(kind, "0.0")])[0]
            share = f.op(f"fdiv {kind} 1.0, {total}")
            write(lambda c: f.op(f"fmul {kind} {done(c)}, {share}"))

        def in_vectors() -> None:
            """A softmax of whole vectors, whose exponentials wait where the result belongs."""

            def larger(c: str, top: str) -> list[str]:
                x = f.load(f.at(free, c, vectors.size), align=vectors.size)
                known = f.select(f.compare("ord", x, "zeroinitializer"), x, f.number(-math.inf))
                return [f.maximum(known, top)]

            lowest = f.number(-math.inf)
            top = f.splat(_folded(f, f.maximum, f.loop(columns, larger, vectors.width, [(vectors.floats, lowest)])[0]))

            def raised(c: str, sum: str) -> list[str]:
                x = f.load(f.at(free, c, vectors.size), align=vectors.size)
                value = exp(f, f.subtract(x, top))
                f.store(value, f.at(out, c, outer), align=outer)
                return [f.add(sum, value)]

            total = f.loop(columns, raised, vectors.width, [(vectors.floats, "zeroinitializer")])[0]
            share = f.splat(f.op(f"fdiv {kind} 1.0, {_folded(f, f.add, total)}"))

            def shared(c: str) -> None:
                place = f.at(out, c, outer)
                f.store(f.multiply(f.load(place, align=outer), share), place, align=outer)

            f.loop(columns, shared, vectors.width)

        match link:
            case "softmax" if outer == vectors.size:
                rest = f.op(f"urem i64 {columns}, {vectors.width}")
                whole, parts, joined = (f.fresh(each) for each in ("whole", "parts", "joined"))
                f.do(f"br i1 {f.op(f'icmp eq i64 {rest}, 0')}, label %{whole}, label %{parts}")
                f.label(whole)
                in_vectors()
                f.do(f"br label %{joined}")
                f.label(parts)
                softmax()
                f.do(f"br label %{joined}")
                f.label(joined)
            case "softmax":
                softmax()
            case "exp":
                exponentials(columns, given)
                write(done)
            case "sigmoid":
                exponentials(columns, lambda c: f.op(f"fneg {number} {given(c)}"))
                write(lambda c: f.op(f"fdiv {kind} 1.0, {f.op(f'fadd {kind} 1.0, {done(c)}')}"))
            case "identity":
                write(lambda c: _kept(f, given(c), outer))

    _each(f, row, outer)
    return f


def back(vectors: Vectors, outer: int) -> Function:
    """The function `slopes`: derivatives by free numbers, from those by parameters and these."""
    f = Function("slopes", _ARGUMENTS, vectors)
    kind = number_of(outer)
    factor = cast(f, "%factor", 8, outer)

    def row(link: Link, columns: str, out: str, held: str, given: str) -> None:
        def w(c: str) -> str:
            return f.load(f.at(held, c, outer), kind)

        def g(c: str) -> str:
            return f.load(f.at(given, c, outer), kind)

        def write(value: Callable[[str], str]) -> None:
            def one(c: str) -> None:
                result = cast(f, f.op(f"fmul {kind} {value(c)}, {factor}"), outer, vectors.size)
                f.store(result, f.at(out, c, vectors.size), vectors.number)

            f.loop(columns, one)

        def weighted(c: str) -> str:
            return f.op(f"fmul {kind} {w(c)}, {g(c)}")

        match link:
            case "softmax":

                def add(c: str, sum: str) -> list[str]:
                    return [f.op(f"fadd reassoc {kind} {sum}, {weighted(c)}")]

                mean = f.loop(columns, add, carried=[(kind, "0.0")])[0]
                write(lambda c: f.op(f"fmul {kind} {w(c)}, {f.op(f'fsub {kind} {g(c)}, {mean}')}"))
            case "exp":
                write(weighted)
            case "sigmoid":
                write(lambda c: f.op(f"fmul {kind} {weighted(c)}, {f.op(f'fsub {kind} 1.0, {w(c)}')}"))
            case "identity":
                write(g)

    _each(f, row, outer)
    return f


def _each(f: Function, row: Callable[[Link, str, str, str, str], None], outer: int) -> None:
    """Emits the walk over records and their rows: row(link, columns, and the places of free, held and slopes)."""

    def record(i: str) -> None:
        place = f.at("%records", i, 8 * len(_FIELDS))
        names = {name: f.load(f.at(place, None, offset=8 * n), "i64") for n, name in enumerate(_FIELDS)}
        bases = [f.op(f"inttoptr i64 {names[name]} to ptr") for name in ("free", "held", "slopes")]
        labels, joined = [f.fresh("link") for _ in LINKS], f.fresh("joined")
        cases = " ".join(f"i64 {n}, label %{label}" for n, label in enumerate(labels))
        f.do(f"switch i64 {names['link']}, label %{labels[0]} [ {cases} ]")
        for link, label in zip(LINKS, labels, strict=True):
            f.label(label)

            def one(r: str, link: Link = link) -> None:
                first = f.op(f"mul nsw i64 {r}, {names['columns']}")
                sizes = (f.vectors.size, outer, outer)
                places = [f.at(base, first, size) for base, size in zip(bases, sizes, strict=True)]
                row(link, names["columns"], *places)

            f.loop(names["rows"], one)
            f.do(f"br label %{joined}")
        f.label(joined)

    f.loop("%count", record)


def _folded(f: Function, both: Callable[[str, str], str], x: str) -> str:
    """One number of all lanes, by halves."""
    v, step = f.vectors, f.vectors.width // 2
    while step:
        mask = ", ".join(f"i32 {(lane + step) % v.width}" for lane in range(v.width))
        x = both(x, f.op(f"shufflevector {v.floats} {x}, {v.floats} poison, <{v.width} x i32> <{mask}>"))
        step //= 2
    return f.op(f"extractelement {v.floats} {x}, i64 0")


def _kept(f: Function, x: str, outer: int) -> str:
    """A number in the type of parameters. What is not 0 does not become 0 there: so small a number is out of the reach
    of the code that packs it, and taken exactly."""
    size, kind = f.vectors.size, number_of(outer)
    value = cast(f, x, size, outer)
    if outer >= size:
        return value
    for how, least in (("ogt", 0x3810000000000000), ("olt", 0xB810000000000000)):  # 2^-126, and below 0
        there = f.op(f"fcmp {how} {f.vectors.number} {x}, 0.0")
        beyond = f.op(f"fcmp {how} {kind} {value}, 0x{least:016X}")
        lost = f.op(f"and i1 {there}, {f.op(f'xor i1 {beyond}, true')}")
        value = f.op(f"select i1 {lost}, {kind} 0x{least:016X}, {kind} {value}")
    return value
