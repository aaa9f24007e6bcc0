"""Code that fills buffers from what is outside of them: rows of tables by code, constants, densities.

Rows of a table are brought into columns of lanes by transposing squares of them in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .builder import Function
from .products import close_product
from .state import ERROR, EXPONENT, HEAD, LARGEST, LEAST, LOST, NONZERO, STATE, Range, State, put, state, values
from .vectors import ROW

LINE = 64
"""Bytes of a line of cache."""


def load(
    f: Function,
    nodes: int,
    count: int,
    out: str,
    data: str,
    codes: str,
    other: str | None = None,
) -> None:
    """Rows of a table [count, nodes] by code, in columns of lanes; before them their statistics [count, HEAD].

    With another buffer, its product with that.
    """
    v = f.vectors
    start = _padded(HEAD * count * v.size)
    table = f.at(data, None, offset=start)
    for c in range(f.columns):
        index = _codes(f, codes, c)
        beside = f.integer("mul", index, f.whole(HEAD))
        known = 2 if v.signed else 5
        statistics = [f.gather(f.at(data, None, offset=row * v.size), beside) for row in range(known)]
        statistics += ["zeroinitializer"] * (5 - known)
        if other is None:
            for kept, found in zip((EXPONENT, LARGEST, LEAST, NONZERO, LOST), statistics, strict=True):
                put(f, out, kept, c, f.bits(found) if kept == EXPONENT else found)
            put(f, out, ERROR, c, "zeroinitializer")
            _rows(f, nodes, table, codes, index, c, partial(_store, f, out, c))
            continue
        # rows lie with a largest number in [1, 2), or are zeros
        exponent, largest, least, nonzero, lost = statistics
        none = "zeroinitializer"
        left = State(f.bits(exponent), largest, least, nonzero, lost, none, f.number(1.0), none)
        right = state(f, other, c)

        def multiplied(k: str, value: str, *found: str, c: int = c, right: State = right) -> list[str]:
            x = f.load(f.at(f.at(values(f, other), k, ROW), c, v.bytes))
            value = f.multiply(value, f.multiply(x, right.scale))
            _store(f, out, c, k, value)
            return Range(*found).with_value(f, value).parts

        parts = _rows(f, nodes, table, codes, index, c, multiplied, Range.carried(f))
        close_product(f, out, c, Range(*parts), left, right)


def _store(f: Function, out: str, c: int, k: str, value: str) -> None:
    f.store(value, f.at(f.at(values(f, out), k, ROW), c, f.vectors.bytes))


def _rows(
    f: Function,
    nodes: int,
    table: str,
    codes: str,
    index: str,
    c: int,
    put_value: Callable[..., list[str] | None],
    carried: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """Calls put_value(node, value, *carried) for every node, in squares of rows and lanes as far as they go."""
    v = f.vectors
    full = nodes - nodes % v.width
    found = [value for _, value in carried]
    if full:
        rows = [f.at(table, f.word(f.at(codes, c * v.width + lane, 4)), nodes * v.size) for lane in range(v.width)]

        def square(k: str, *found: str) -> list[str]:
            vectors = [f.load(f.at(row, k, v.size), align=v.size) for row in rows]
            for r, value in enumerate(transposed(f, vectors)):
                found = tuple(put_value(f.op(f"add i64 {k}, {r}") if r else k, value, *found) or ())
            return list(found)

        found = f.loop(full, square, v.width, carried)
    if full < nodes:
        scaled = f.integer("mul", index, f.whole(nodes))

        def single(k: str, *found: str) -> list[str]:
            return list(put_value(k, f.gather(f.at(table, k, v.size), scaled), *found) or ())

        kinds = [(kind, value) for (kind, _), value in zip(carried, found, strict=True)]
        found = f.loop(nodes, single, carried=kinds, start=full)
    return found


def ask(f: Function, nodes: int, count: int, data: str, codes: str) -> None:
    """Asks for the lines of what another load of this size will read."""
    v = f.vectors
    start = _padded(HEAD * count * v.size)
    before = min(start // LINE, -(-nodes * v.size // LINE))

    def lane(b: str) -> None:
        code = f.word(f.at(codes, b, 4))
        places = [f.at(data, code, HEAD * v.size)]
        row = f.at(data, code, nodes * v.size, start)
        places += [f.at(row, None, offset=line * LINE) for line in range(before)]
        for place in places:
            f.do(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")

    f.loop(v.lanes, lane)


def _padded(size: int) -> int:
    return -(-size // ROW) * ROW


def _codes(f: Function, codes: str, column: int) -> str:
    v = f.vectors
    kind = f"<{v.width} x i32>"
    found = f.load(f.at(codes, column, v.width * 4), kind, v.width * 4)
    return found if v.size == 4 else f.op(f"sext {kind} {found} to {v.ints}")


def transposed(f: Function, rows: list[str]) -> list[str]:
    """As many vectors as they have lanes, transposed in registers: one exchange of halves per power of two."""
    v = f.vectors
    step = 1
    while step < v.width:
        low = [j if not j & step else v.width + j - step for j in range(v.width)]
        high = [j + step if not j & step else v.width + j for j in range(v.width)]
        after = list(rows)
        for i in range(v.width):
            if not i & step:
                after[i] = _shuffled(f, rows[i], rows[i + step], low)
                after[i + step] = _shuffled(f, rows[i], rows[i + step], high)
        rows = after
        step *= 2
    return rows


def _shuffled(f: Function, a: str, b: str, index: list[int]) -> str:
    v = f.vectors
    mask = ", ".join(f"i32 {i}" for i in index)
    return f.op(f"shufflevector {v.floats} {a}, {v.floats} {b}, <{v.width} x i32> <{mask}>")


def fill(f: Function, nodes: int, out: str, data: str) -> None:
    """The numbers of a table of one row in every lane."""
    v = f.vectors
    table = f.at(data, None, offset=_padded(HEAD * v.size))
    for row, kept in enumerate((EXPONENT, LARGEST, LEAST, NONZERO, LOST)):
        one = f.splat(f.load(f.at(data, row, v.size), v.number))
        for c in range(v.columns):
            put(f, out, kept, c, f.bits(one) if kept == EXPONENT else one)
    for c in range(v.columns):
        put(f, out, ERROR, c, "zeroinitializer")

    def node(k: str) -> None:
        value = f.splat(f.load(f.at(table, k, v.size), v.number))
        for c in range(v.columns):
            f.store(value, f.at(f.at(values(f, out), k, ROW), c, v.bytes))

    f.loop(nodes, node)


def copy(f: Function, nodes: int, out: str, source: str) -> None:
    """A buffer with its state, as the executable has laid it out."""
    v = f.vectors

    def row(k: str) -> None:
        for c in range(v.columns):
            f.store(f.load(f.at(f.at(source, k, ROW), c, v.bytes)), f.at(f.at(out, k, ROW), c, v.bytes))

    f.loop(nodes + STATE, row)
