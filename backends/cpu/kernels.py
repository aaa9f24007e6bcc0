"""Code for the operations on vectors of nodes, one tile of the batch: loads, products, matrices, gathers.

Each kernel reads buffers whose values stand in rows of one tile, applies the powers of two that their states ask for,
and writes its values with a state of their own (state.py). Matrices run in register blocks of rows by two vectors.
"""

from __future__ import annotations

from collections.abc import Callable

from .builder import Function
from .state import (
    ERROR,
    EXPONENT,
    LARGEST,
    LEAST,
    LOST,
    NONZERO,
    STATE,
    SURE,
    Range,
    State,
    both,
    close,
    get,
    is_zero,
    put,
    state,
    unless,
    values,
)
from .vectors import ROW, Vectors

STATISTICS = 5
"""Rows of numbers beside a loaded table: exponent, largest, least, least non-zero, lost; one per value."""

_MARGIN = 1 + 2.0**-18


def load(f: Function, nodes: int, count: int, out: str, data: str, codes: str) -> None:
    """Rows of a table [count, nodes] by code, brought into columns of lanes; its statistics [5, count] stand before."""
    v = f.vectors
    table = f.at(data, None, offset=_padded(STATISTICS * count * v.size))
    target = values(f, out)
    full = nodes - nodes % v.width
    for c in range(v.columns):
        index = _codes(f, codes, c)
        for row, kept in enumerate((EXPONENT, LARGEST, LEAST, NONZERO, LOST)):
            found = f.gather(f.at(data, None, offset=row * count * v.size), index)
            put(f, out, kept, c, f.bits(found) if kept == EXPONENT else found)
        put(f, out, ERROR, c, "zeroinitializer")
        if full:
            rows = [f.at(table, f.word(f.at(codes, c * v.width + lane, 4)), nodes * v.size) for lane in range(v.width)]

            def square(k: str, rows: list[str] = rows, c: int = c) -> None:
                vectors = [f.load(f.at(row, k, v.size), align=v.size) for row in rows]
                place = f.at(target, k, ROW)
                for r, value in enumerate(transposed(f, vectors)):
                    f.store(value, f.at(place, None, offset=r * ROW + c * v.bytes))

            f.loop(full, square, v.width)
        if full < nodes:
            scaled = f.integer("mul", index, f.whole(nodes))

            def single(k: str, scaled: str = scaled, c: int = c) -> None:
                value = f.gather(f.at(table, k, v.size), scaled)
                f.store(value, f.at(f.at(target, k, ROW), c, v.bytes))

            f.loop(nodes, single, start=full)


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
    table = f.at(data, None, offset=_padded(STATISTICS * v.size))
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


def multiply(f: Function, first: int, second: int, out: str, a: str, b: str, pairs: bool) -> None:
    """The product of two buffers, elementwise or of all pairs; one of a single node stands in every node."""
    v = f.vectors
    xs, ys, target = values(f, a), values(f, b), values(f, out)
    for c in range(v.columns):
        left, right = state(f, a, c), state(f, b, c)

        def put_value(x: str, y: str, place: str, found: Range, c: int = c) -> Range:
            value = f.multiply(x, y)
            f.store(value, f.at(place, c, v.bytes))
            return found.with_value(f, value)

        if pairs:

            def outer(i: str, *carried: str, c: int = c, left: State = left, right: State = right) -> list[str]:
                x = f.multiply(f.load(f.at(f.at(xs, i, ROW), c, v.bytes)), left.scale)
                row = f.at(target, f.op(f"mul i64 {i}, {second}"), ROW)

                def inner(j: str, *carried: str) -> list[str]:
                    y = f.multiply(f.load(f.at(f.at(ys, j, ROW), c, v.bytes)), right.scale)
                    return put_value(x, y, f.at(row, j, ROW), Range(*carried)).parts

                firsts = [(kind, value) for (kind, _), value in zip(Range.carried(f), carried, strict=True)]
                return f.loop(second, inner, carried=firsts)

            found = Range(*f.loop(first, outer, carried=Range.carried(f)))
        else:
            nodes = max(first, second)
            step = 2 if nodes % 2 == 0 else 1

            def each(
                k: str, *carried: str, c: int = c, left: State = left, right: State = right, step: int = step
            ) -> list[str]:
                found = Range(*carried)
                for u in range(step):
                    x = f.load(
                        f.at(xs if first == 1 else f.at(xs, k, ROW), None, offset=(first > 1) * u * ROW + c * v.bytes)
                    )
                    y = f.load(
                        f.at(ys if second == 1 else f.at(ys, k, ROW), None, offset=(second > 1) * u * ROW + c * v.bytes)
                    )
                    place = f.at(f.at(target, k, ROW), u, ROW)
                    found = put_value(f.multiply(x, left.scale), f.multiply(y, right.scale), place, found)
                return found.parts

            found = Range(*f.loop(nodes, each, step, Range.carried(f)))
        _close_product(f, out, c, found, left, right)


def _close_product(f: Function, out: str, c: int, found: Range, left: State, right: State) -> None:
    v = f.vectors
    least = f.multiply(f.multiply(left.nonzero, left.scale), f.multiply(right.nonzero, right.scale))
    lost_left, lost_right = f.multiply(left.lost, left.scale), f.multiply(right.lost, right.scale)
    sure = f.compare("oge", least, f.number(v.tiny * SURE))
    sure = both(f, sure, both(f, is_zero(f, left.lost), is_zero(f, right.lost)))
    top_left, top_right = f.multiply(left.largest, left.scale), f.multiply(right.largest, right.scale)
    lost = f.fma(lost_left, top_right, f.number(8 * v.tiny))
    lost = f.fma(lost_right, top_left, lost)
    lost = f.fma(lost_left, lost_right, lost)
    exponent = f.integer(
        "add", f.integer("add", left.exponent, right.exponent), f.integer("add", left.shift, right.shift)
    )
    close(f, out, c, found, exponent, unless(f, sure, lost), f.add(left.error, right.error))


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
    least = f.multiply(f.multiply(before.nonzero, before.scale), smallest)
    unscaled = f.multiply(before.nonzero, smallest)
    enough = f.number(v.tiny * SURE)
    sure = both(f, f.compare("oge", least, enough), f.compare("oge", unscaled, enough))
    sure = both(f, sure, is_zero(f, before.lost))
    lost = f.multiply(f.multiply(before.lost, before.scale), f.number(_MARGIN))
    lost = f.fma(before.scale, f.number(2 * terms * v.tiny), f.add(lost, f.number(4 * terms * v.tiny)))
    total = f.integer("add", f.integer("add", before.exponent, before.shift), power)
    close(f, out, c, found, total, unless(f, sure, lost), before.error)


def gather(f: Function, nodes: int, out: str, source: str, index: str) -> None:
    """Nodes by an index of 32-bit words."""
    v = f.vectors

    def each(k: str, *carried: str) -> list[str]:
        row = f.at(values(f, source), f.word(f.at(index, k, 4)), ROW)
        parts: list[str] = []
        for c in range(v.columns):
            value = f.load(f.at(row, c, v.bytes))
            f.store(value, f.at(f.at(values(f, out), k, ROW), c, v.bytes))
            parts += Range(*carried[3 * c : 3 * c + 3]).with_value(f, value).parts
        return parts

    found = f.loop(nodes, each, carried=Range.carried(f) * v.columns)
    for c in range(v.columns):
        before = state(f, source, c)
        part = Range(*found[3 * c : 3 * c + 3])
        close(f, out, c, part, before.exponent, before.lost, before.error)


def join(f: Function, out: str, slots: str, parts: str) -> None:
    """Buffers end to end under one exponent: the words are how many parts, then for each its slot and its nodes."""
    v = f.vectors
    count = f.word(parts, "i64")
    for c in range(v.columns):

        def part(i: str) -> tuple[str, str]:
            words = f.at(parts, i, 16, 8)
            return f.at(slots, f.word(words, "i64")), f.word(f.at(words, 1, 8), "i64")

        def highest(i: str, *carried: str, c: int = c) -> list[str]:
            slot, _ = part(i)
            before = state(f, slot, c)
            power = f.integer("add", before.exponent, before.shift)
            there = f.compare("ogt", before.largest, "zeroinitializer")
            above = f.op(f"icmp sgt {v.ints} {power}, {carried[0]}")
            return [f.select(both(f, there, above), power, carried[0], v.ints)]

        lowest = -(1 << (v.mantissa + 6))
        top = f.loop(count, highest, carried=[(v.ints, f.whole(lowest))])[0]

        def each(i: str, place: str, *carried: str, c: int = c, top: str = top) -> list[str]:
            slot, nodes = part(i)
            before = state(f, slot, c)
            gap = f.integer("sub", f.integer("add", before.exponent, before.shift), top)
            near = f.op(f"icmp sgt {v.ints} {gap}, {f.whole(-v.bias)}")
            there = f.compare("ogt", before.largest, "zeroinitializer")
            bits = f.integer("shl", f.integer("add", gap, f.whole(v.bias)), f.whole(v.mantissa))
            factor = f.select(both(f, near, there), f.from_bits(bits), "zeroinitializer")

            def row(k: str, *carried: str) -> list[str]:
                x = f.load(f.at(f.at(values(f, slot), k, ROW), c, v.bytes))
                value = f.multiply(f.multiply(x, before.scale), factor)
                f.store(value, f.at(f.at(place, k, ROW), c, v.bytes))
                return Range(*carried).with_value(f, value).parts

            kinds = [kind for kind, _ in Range.carried(f)]
            found = f.loop(nodes, row, carried=list(zip(kinds, carried[:3], strict=True)))
            least = f.multiply(f.multiply(before.nonzero, before.scale), factor)
            sure = f.op(f"or <{v.width} x i1> {f.compare('oge', least, f.number(v.tiny * SURE))}, {_none(f, before)}")
            lost = f.fma(f.multiply(before.lost, before.scale), factor, f.number(4 * v.tiny))
            lost = unless(f, both(f, sure, is_zero(f, before.lost)), lost)
            # a part with no value left may still have lost some, beyond the reach of the factor
            far = f.compare("oeq", factor, "zeroinitializer")
            out_of_sight = both(f, far, f.compare("ogt", before.lost, "zeroinitializer"))
            lost = f.select(out_of_sight, f.number(float("inf")), lost)
            return [
                f.at(place, nodes, ROW),
                *found,
                f.maximum(carried[3], lost),
                f.maximum(carried[4], before.error),
            ]

        firsts = [
            ("ptr", values(f, out)),
            *Range.carried(f),
            (v.floats, "zeroinitializer"),
            (v.floats, "zeroinitializer"),
        ]
        after = f.loop(count, each, carried=firsts)
        close(f, out, c, Range(*after[1:4]), top, after[4], after[5])


def _none(f: Function, before: State) -> str:
    """Where a buffer holds nothing but zeros."""
    return f.compare("oeq", before.largest, "zeroinitializer")


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
    for c in range(0, v.columns, group):
        befores = [state(f, source, c + g) for g in range(group)]

        def block(i: str, c: int = c, befores: list[State] = befores) -> None:
            x = f.at(f.at(xs, i, read[0] * ROW), c, v.bytes)
            y = f.at(f.at(ys, i, write[0] * ROW), c, v.bytes)
            w = table if shared else f.at(table, i, rows * columns * v.size)
            offset = 0
            row = 0
            for size, count in row_blocks(rows, v):

                def rows_of(n: str, size: int = size, offset: int = offset, row: int = row) -> None:
                    weights = f.at(w, n, size * columns * v.size, offset)
                    place = f.at(y, n, size * write[1] * ROW, row * write[1] * ROW)
                    ranges = [
                        Range(
                            get(f, out, LARGEST, c + g),
                            get(f, out, LEAST, c + g),
                            f.load(f.at(out, None, offset=NONZERO * ROW + (c + g) * v.bytes), v.ints),
                        )
                        for g in range(group)
                    ]

                    def store(r: int, g: int, value: str) -> None:
                        value = f.multiply(value, befores[g].scale)
                        ranges[g] = ranges[g].with_value(f, value)
                        f.store(value, f.at(place, None, offset=r * write[1] * ROW + g * v.bytes))

                    register_block(f, weights, x, columns, size, group, read[1] * ROW, store)
                    for g in range(group):
                        put(f, out, LARGEST, c + g, ranges[g].largest)
                        put(f, out, LEAST, c + g, ranges[g].least)
                        f.store(ranges[g].nonzero, f.at(out, None, offset=NONZERO * ROW + (c + g) * v.bytes), v.ints)

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
