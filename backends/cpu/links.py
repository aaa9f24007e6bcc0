"""Code between numbers without constraints and the parameters that they stand for, and derivatives back.

What enters are records of rows: softmax of a row on the simplex, exp of what is positive, a sigmoid in [0, 1], or
numbers as they are. Free numbers are in the code's type, parameters and their derivatives in float64: so the numbers
of a row sum to 1 in float64, whatever the logits' type. Loops are plain, and LLVM's passes vectorise them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.compiled import Link, Place
from . import arena
from .batch import INTEGER, POINTER
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
    """Code for parameters that lie one after the other, flat, with free numbers of so many bytes."""

    def __init__(self, places: Sequence[Place], size: int, target: Target | None = None) -> None:
        target = target or host()
        self._vectors = target.vectors(size)
        starts = np.cumsum([0, *(place.rows * place.columns for place in places)])
        rows = [(n, *row) for n, place in enumerate(places) for row in _rows(place)]
        table: NDArray[np.int64] = np.array(rows, dtype=np.int64).reshape(-1, 5)
        self._owner, self._records = table[:, 0], table[:, 1:4]
        self._within = table[:, 4]
        self._starts = starts[self._owner] + self._within
        self._longest = int(self._records[:, 2].max(initial=0))
        text = module([held(self._vectors), slopes(self._vectors)], self._vectors)
        self._library = compiled(text, target, passes=True)

    def hold(self, free: NDArray[Any], held: NDArray[np.float64]) -> None:
        """Writes the parameters that free numbers stand for."""
        self._call("held", free, held, 0 * self._starts, 1.0)

    def pull(
        self, free: NDArray[Any], held: NDArray[np.float64], slopes: Sequence[NDArray[np.float64]], factor: float
    ) -> None:
        """From derivatives with respect to parameters, times a factor, those of free numbers, written to `free`."""
        starts = np.array([each.__array_interface__["data"][0] for each in slopes], dtype=np.int64)
        self._call("slopes", free, held, starts[self._owner] + 8 * self._within, factor)

    def _call(
        self, name: str, free: NDArray[Any], held: NDArray[np.float64], slopes: NDArray[np.int64], factor: float
    ) -> None:
        v = self._vectors
        places = [free.ctypes.data + v.size * self._starts, held.ctypes.data + 8 * self._starts, slopes]
        records = np.ascontiguousarray(np.column_stack([self._records, *places]))
        work = arena.aligned((self._longest + v.width) * v.size)
        function = self._library.call(name, POINTER, INTEGER, POINTER, ctypes.c_double)
        function(records.ctypes.data, len(records), work.ctypes.data, factor)


def _rows(place: Place) -> list[tuple[int, int, int, int]]:
    """The records of a parameter: link, rows, columns, and the number that they begin with."""
    link, numbers = LINKS.index(place.link), place.rows * place.columns
    if place.link == "softmax":
        return [(link, place.rows, place.columns, 0)]
    return [(link, 1, min(PIECE, numbers - start), start) for start in range(0, numbers, PIECE)]


def held(vectors: Vectors) -> Function:
    """The function `held`: parameters from free numbers."""
    f = Function("held", _ARGUMENTS, vectors)
    number = vectors.number

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
            return _wide(f, f.load(f.at("%work", c, vectors.size), number))

        def write(value: Callable[[str], str]) -> None:
            f.loop(columns, lambda c: f.store(value(c), f.at(out, c, 8), "double"))

        match link:
            case "softmax":

                def larger(c: str, top: str) -> list[str]:
                    x = given(c)
                    return [f.op(f"select i1 {f.op(f'fcmp ogt {number} {x}, {top}')}, {number} {x}, {number} {top}")]

                top = f.loop(columns, larger, carried=[(number, _LOWEST)])[0]
                exponentials(columns, lambda c: f.op(f"fsub {number} {given(c)}, {top}"))

                def add(c: str, sum: str) -> list[str]:
                    return [f.op(f"fadd reassoc double {sum}, {done(c)}")]

                total = f.loop(columns, add, carried=[("double", "0.0")])[0]
                write(lambda c: f.op(f"fdiv double {done(c)}, {total}"))
            case "exp":
                exponentials(columns, given)
                write(done)
            case "sigmoid":
                exponentials(columns, lambda c: f.op(f"fneg {number} {given(c)}"))
                write(lambda c: f.op(f"fdiv double 1.0, {f.op(f'fadd double 1.0, {done(c)}')}"))
            case "identity":
                write(lambda c: _wide(f, given(c)))

    _each(f, row)
    return f


def slopes(vectors: Vectors) -> Function:
    """The function `slopes`: derivatives by free numbers, from those by parameters and these."""
    f = Function("slopes", _ARGUMENTS, vectors)

    def row(link: Link, columns: str, out: str, held: str, given: str) -> None:
        def w(c: str) -> str:
            return f.load(f.at(held, c, 8), "double")

        def g(c: str) -> str:
            return f.load(f.at(given, c, 8), "double")

        def write(value: Callable[[str], str]) -> None:
            def one(c: str) -> None:
                result = f.op(f"fmul double {value(c)}, %factor")
                f.store(_narrow(f, result), f.at(out, c, vectors.size), vectors.number)

            f.loop(columns, one)

        def weighted(c: str) -> str:
            return f.op(f"fmul double {w(c)}, {g(c)}")

        match link:
            case "softmax":

                def add(c: str, sum: str) -> list[str]:
                    return [f.op(f"fadd reassoc double {sum}, {weighted(c)}")]

                mean = f.loop(columns, add, carried=[("double", "0.0")])[0]
                write(lambda c: f.op(f"fmul double {w(c)}, {f.op(f'fsub double {g(c)}, {mean}')}"))
            case "exp":
                write(weighted)
            case "sigmoid":
                write(lambda c: f.op(f"fmul double {weighted(c)}, {f.op(f'fsub double 1.0, {w(c)}')}"))
            case "identity":
                write(g)

    _each(f, row)
    return f


def _each(f: Function, row: Callable[[Link, str, str, str, str], None]) -> None:
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
                sizes = (f.vectors.size, 8, 8)
                places = [f.at(base, first, size) for base, size in zip(bases, sizes, strict=True)]
                row(link, names["columns"], *places)

            f.loop(names["rows"], one)
            f.do(f"br label %{joined}")
        f.label(joined)

    f.loop("%count", record)


def _wide(f: Function, x: str) -> str:
    return x if f.vectors.size == 8 else f.op(f"fpext float {x} to double")


def _narrow(f: Function, x: str) -> str:
    return x if f.vectors.size == 8 else f.op(f"fptrunc double {x} to float")
