"""Code for linear maps of buffers: matrices on blocks of nodes in register blocks, and diagonals.

A register block holds so many rows by two vectors of sums; strides on both sides make permutations addresses.
"""

from __future__ import annotations

from collections.abc import Callable

from .builder import Function
from .state import LARGEST, LEAST, NONZERO, SURE, Range, State, both, close, get, is_zero, put, state, unless, values
from .vectors import ROW, Vectors

_MARGIN = 1 + 2.0**-18


def scale(f: Function, nodes: int, out: str, source: str, data: str) -> None:
    """A diagonal map."""
    v = f.vectors
    table = f.at(data, None, offset=ROW)
    for c in range(v.columns):
        before = state(f, source, c)

        def each(k: str, *carried: str, c: int = c, before: State = before) -> list[str]:
            weight = f.splat(f.load(f.at(table, k, v.size), v.number))
            x = f.load(f.at(f.at(values(f, source), k, ROW), c, v.bytes))
            value = f.multiply(f.multiply(x, before.scale), weight)
            f.store(value, f.at(f.at(values(f, out), k, ROW), c, v.bytes))
            return Range(*carried).with_value(f, value).parts

        found = Range(*f.loop(nodes, each, carried=Range.carried(f)))
        _close_map(f, out, c, found, before, 1, data)


def _close_map(f: Function, out: str, c: int, found: Range, before: State, terms: int, data: str) -> None:
    """The state after a map whose table, its largest row sum at most 1, has its exponent and least weight before it."""
    v = f.vectors
    exponent, smallest = f.load(data, v.integer), f.splat(f.load(f.at(data, 1, v.size), v.number))
    one = f.op(f"insertelement {v.ints} poison, {v.integer} {exponent}, i64 0")
    power = f.op(f"shufflevector {v.ints} {one}, {v.ints} poison, <{v.width} x i32> zeroinitializer")
    total = f.integer("add", f.integer("add", before.exponent, before.shift), power)
    if v.signed:
        close(f, out, c, found, total, "zeroinitializer", "zeroinitializer")
        return
    least = f.multiply(f.multiply(before.nonzero, before.scale), smallest)
    unscaled = f.multiply(before.nonzero, smallest)
    enough = f.number(v.tiny * SURE)
    sure = both(f, f.compare("oge", least, enough), f.compare("oge", unscaled, enough))
    sure = both(f, sure, is_zero(f, before.lost))
    lost = f.multiply(f.multiply(before.lost, before.scale), f.number(_MARGIN))
    lost = f.fma(before.scale, f.number(2 * terms * v.tiny), f.add(lost, f.number(4 * terms * v.tiny)))
    close(f, out, c, found, total, unless(f, sure, lost), before.error)


def contract(
    f: Function,
    blocks: int,
    rows: int,
    columns: int,
    read: tuple[int, int],
    write: tuple[int, int],
    shared: bool,
    out: str,
    source: str,
    data: str,
) -> None:
    """Matrices on blocks of nodes, from packed tables; strides are (block, node) in rows."""
    v = f.vectors
    xs, ys, table = values(f, source), values(f, out), f.at(data, None, offset=ROW)
    group = min(2, v.columns)
    for c in range(v.columns):
        first = Range.empty(f)
        put(f, out, LARGEST, c, first.largest)
        put(f, out, LEAST, c, first.least)
        f.store(first.nonzero, f.at(out, None, offset=NONZERO * ROW + c * v.bytes), v.ints)
    scales = [state(f, source, c).scale for c in range(v.columns)]

    def block(i: str) -> None:
        w = table if shared else f.at(table, i, rows * columns * v.size)
        offset = row = 0
        for size, count in row_blocks(rows, v):

            def rows_of(n: str, size: int = size, offset: int = offset, row: int = row) -> None:
                weights = f.at(w, n, size * columns * v.size, offset)
                for c in range(0, v.columns, group):  # the weights stay in cache from one group of lanes to the next
                    x = f.at(f.at(xs, i, read[0] * ROW), c, v.bytes)
                    y = f.at(f.at(ys, i, write[0] * ROW), c, v.bytes)
                    place = f.at(y, n, size * write[1] * ROW, row * write[1] * ROW)
                    _rows(f, weights, x, place, columns, size, (read[1], write[1]), out, c, scales[c : c + group])

            f.loop(count, rows_of)
            offset += count * size * columns * v.size
            row += count * size

    f.loop(blocks, block)
    for c in range(v.columns):
        found = Range(
            get(f, out, LARGEST, c),
            get(f, out, LEAST, c),
            f.load(f.at(out, None, offset=NONZERO * ROW + c * v.bytes), v.ints),
        )
        _close_map(f, out, c, found, state(f, source, c), columns, data)


def _rows(
    f: Function,
    weights: str,
    x: str,
    place: str,
    columns: int,
    size: int,
    strides: tuple[int, int],
    out: str,
    c: int,
    scales: list[str],
) -> None:
    """One register block, stored with the range of what it holds."""
    v = f.vectors
    ranges = [
        Range(
            get(f, out, LARGEST, c + g),
            get(f, out, LEAST, c + g),
            f.load(f.at(out, None, offset=NONZERO * ROW + (c + g) * v.bytes), v.ints),
        )
        for g in range(len(scales))
    ]

    def store(r: int, g: int, value: str) -> None:
        value = f.multiply(value, scales[g])
        ranges[g] = ranges[g].with_value(f, value)
        f.store(value, f.at(place, None, offset=r * strides[1] * ROW + g * v.bytes))

    register_block(f, weights, x, columns, size, len(scales), strides[0] * ROW, store)
    for g, found in enumerate(ranges):
        put(f, out, LARGEST, c + g, found.largest)
        put(f, out, LEAST, c + g, found.least)
        f.store(found.nonzero, f.at(out, None, offset=NONZERO * ROW + (c + g) * v.bytes), v.ints)


def row_blocks(rows: int, vectors: Vectors) -> list[tuple[int, int]]:
    """Rows per register block, and how many such blocks: at most two sizes, that differ by one.

    Eight rows of two AVX-512 vectors, or six of two of half the width, fill the registers without spilling.
    """
    most = 8 if vectors.registers >= 32 else 6
    count = -(-rows // most)
    small, extra = divmod(rows, count)
    return [part for part in ((small + 1, extra), (small, count - extra)) if part[1] and part[0]]


def register_block(
    f: Function,
    weights: str,
    x: str,
    columns: int,
    rows: int,
    group: int,
    stride: int,
    store: Callable[[int, int, str], None],
) -> None:
    """Σ over columns of weights [columns, rows] times rows of x, in registers."""
    v = f.vectors
    step = next(u for u in (4, 2, 1) if columns % u == 0)

    def each(k: str, *sums: str) -> list[str]:
        after = list(sums)
        wp, xp = f.at(weights, k, rows * v.size), f.at(x, k, stride)
        for u in range(step):
            found = [f.load(f.at(xp, None, offset=u * stride + g * v.bytes)) for g in range(group)]
            for r in range(rows):
                weight = f.splat(f.load(f.at(wp, None, offset=(u * rows + r) * v.size), v.number))
                for g in range(group):
                    after[r * group + g] = f.fma(weight, found[g], after[r * group + g])
        return after

    sums = f.loop(columns, each, step, [(v.floats, "zeroinitializer")] * (rows * group))
    for r in range(rows):
        for g in range(group):
            store(r, g, sums[r * group + g])
