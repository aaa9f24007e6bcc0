"""Code that brings derivatives back through products, gathers, joins and diagonal maps, and into tables that are read.

A buffer of derivatives holds d[k] = ∂ log p / ∂ x[k] per lane, for x as it lies in the buffer of values: its power of
two is a constant. It has no state: where a number is beyond the type, it is infinite or NaN, reaches an input that way,
and is seen there.
"""

from __future__ import annotations

from .builder import Function
from .loads import transposed
from .state import ERROR, EXPONENT, LOST, State, both, get, state, values
from .vectors import ROW

ANSWERS = 5
"""Rows of a tile's answer: value, exponent, lost, error, and whether a derivative was beyond all numbers (not 0)."""


def seed(f: Function, tolerance: float, root: str, out: str, answer: str, weights: str) -> None:
    """weight / root per lane, 0 where the root is 0 or too much of it may be lost; and the answer of the tile.

    Of signed numbers whoever gives the weights knows which roots to trust.
    """
    v = f.vectors
    for c in range(v.columns):
        for position, row in enumerate((None, EXPONENT) if v.signed else (None, EXPONENT, LOST, ERROR)):
            value = f.load(f.at(values(f, root), c, v.bytes)) if row is None else f.load(_state(f, root, row, c))
            f.store(value, f.at(answer, None, offset=position * ROW + c * v.bytes))
        f.store("zeroinitializer", f.at(answer, None, offset=4 * ROW + c * v.bytes))
        value = f.load(f.at(values(f, root), c, v.bytes))
        if v.signed:
            sure = f.compare("une", value, "zeroinitializer")
        else:
            lost, error = get(f, root, LOST, c), get(f, root, ERROR, c)
            sure = f.compare("ole", f.fma(error, value, lost), f.multiply(value, f.number(tolerance)))
            sure = both(f, sure, f.compare("ogt", value, "zeroinitializer"))
        divisor = f.select(sure, value, f.number(1.0))
        share = f.op(f"fdiv {v.floats} {f.load(f.at(weights, c, v.bytes))}, {divisor}")
        f.store(f.select(sure, share, "zeroinitializer"), f.at(values(f, out), c, v.bytes))


def _state(f: Function, slot: str, row: int, column: int) -> str:
    return f.at(slot, None, offset=row * ROW + column * f.vectors.bytes)


def clear(f: Function, nodes: int, out: str) -> None:
    """Zeros in every node."""
    v = f.vectors

    def node(k: str) -> None:
        for c in range(v.columns):
            f.store("zeroinitializer", f.at(f.at(values(f, out), k, ROW), c, v.bytes))

    f.loop(nodes, node)


def _give(f: Function, value: str, place: str, add: bool) -> None:
    f.store(f.add(f.load(place), value) if add else value, place)


def _watch(f: Function, value: str, bad: str) -> str:
    """Not zero once a number was infinite or none."""
    return f.add(bad, f.op(f"fsub {f.vectors.floats} {value}, {value}"))


def _note(f: Function, answer: str, column: int, bad: str) -> None:
    place = f.at(answer, None, offset=4 * ROW + column * f.vectors.bytes)
    f.store(f.add(f.load(place), bad), place)


def load(f: Function, nodes: int, result: str, gradient: str, codes: str, answer: str) -> None:
    """Derivatives of rows of a table [values, nodes]: each lane adds to the row of its code."""
    v = f.vectors
    source = values(f, result)
    full = nodes - nodes % v.width
    for c in range(v.columns):
        rows = [
            f.at(gradient, f.word(f.at(codes, (c * v.width + lane) * 4), "i32"), nodes * v.size)
            for lane in range(v.width)
        ]
        bad = "zeroinitializer"
        if full:

            def square(k: str, bad: str, rows: list[str] = rows, c: int = c) -> list[str]:
                place = f.at(source, k, ROW)
                found = [f.load(f.at(place, None, offset=r * ROW + c * v.bytes)) for r in range(v.width)]
                for value in found:
                    bad = _watch(f, value, bad)
                for row, value in zip(rows, transposed(f, found), strict=True):
                    target = f.at(row, k, v.size)
                    f.do(f"store {v.floats} {f.add(f.load(target, align=v.size), value)}, ptr {target}, align {v.size}")
                return [bad]

            bad = f.loop(full, square, v.width, [(v.floats, bad)])[0]
        if full < nodes:

            def single(k: str, bad: str, rows: list[str] = rows, c: int = c) -> list[str]:
                value = f.load(f.at(f.at(source, k, ROW), c, v.bytes))
                for lane, row in enumerate(rows):
                    one = f.op(f"extractelement {v.floats} {value}, i64 {lane}")
                    target = f.at(row, k, v.size)
                    total = f.op(f"fadd {v.number} {f.load(target, v.number)}, {one}")
                    f.store(total, target, v.number)
                return [_watch(f, value, bad)]

            bad = f.loop(nodes, single, carried=[(v.floats, bad)], start=full)[0]
        _note(f, answer, c, bad)


def fill(f: Function, nodes: int, result: str, gradient: str, answer: str) -> None:
    """Derivatives of numbers that stand in every lane: their sums."""
    v = f.vectors

    def node(k: str, *bad: str) -> list[str]:
        found = [f.load(f.at(f.at(values(f, result), k, ROW), c, v.bytes)) for c in range(v.columns)]
        sum_into(f, found, f.at(gradient, k, v.size))
        return [_watch(f, value, each) for value, each in zip(found, bad, strict=True)]

    for c, bad in enumerate(f.loop(nodes, node, carried=[(v.floats, "zeroinitializer")] * v.columns)):
        _note(f, answer, c, bad)


def sum_into(f: Function, found: list[str], place: str) -> None:
    """Adds all lanes of vectors to one number."""
    v = f.vectors
    total = found[0]
    for value in found[1:]:
        total = f.add(total, value)
    width = v.width
    while width > 1:
        width //= 2
        mask = ", ".join(f"i32 {min(i + width, v.width - 1)}" for i in range(v.width))
        other = f.op(f"shufflevector {v.floats} {total}, {v.floats} poison, <{v.width} x i32> <{mask}>")
        total = f.add(total, other)
    one = f.op(f"extractelement {v.floats} {total}, i64 0")
    f.store(f.op(f"fadd {v.number} {f.load(place, v.number)}, {one}"), place, v.number)


def copy(f: Function, nodes: int, result: str, soft: str, flows: str, answer: str) -> None:
    """How far each node of an input on an infinite domain answers for each row: derivative times value."""
    v = f.vectors

    def node(k: str, *bad: str) -> list[str]:
        after: list[str] = []
        for c, each in enumerate(bad):
            derivative = f.load(f.at(f.at(values(f, result), k, ROW), c, v.bytes))
            value = f.load(f.at(f.at(values(f, soft), k, ROW), c, v.bytes))
            place = f.at(f.at(values(f, flows), k, ROW), c, v.bytes)
            f.store(f.add(f.load(place), f.multiply(derivative, value)), place)
            after.append(_watch(f, derivative, each))
        return after

    for c, bad in enumerate(f.loop(nodes, node, carried=[(v.floats, "zeroinitializer")] * v.columns)):
        _note(f, answer, c, bad)


def multiply(
    f: Function,
    first: int,
    second: int,
    result: str,
    factors: tuple[str, str],
    shares: tuple[str, str],
    adds: tuple[bool, bool],
) -> None:
    """Of an elementwise product: the derivative times the other factor, summed for a factor of a single node."""
    v = f.vectors
    nodes = max(first, second)
    for c in range(v.columns):
        states = [state(f, factor, c) for factor in factors]
        narrow = [first == 1 < nodes, second == 1 < nodes]

        def each(
            k: str, *sums: str, c: int = c, states: list[State] = states, narrow: list[bool] = narrow
        ) -> list[str]:
            derivative = f.load(f.at(f.at(values(f, result), k, ROW), c, v.bytes))
            places = [
                f.at(values(f, factor) if one else f.at(values(f, factor), k, ROW), c, v.bytes)
                for factor, one in zip(factors, narrow, strict=True)
            ]
            # each factor is brought to its range before it meets the other: the scales alone may be beyond all numbers
            x, y = (f.multiply(f.load(place), each.scale) for place, each in zip(places, states, strict=True))
            after: list[str] = []
            for position, (other, own) in enumerate(((y, states[0].scale), (x, states[1].scale))):
                share = f.multiply(f.multiply(derivative, other), own)
                if narrow[position]:
                    after.append(f.add(sums[len(after)], share))
                else:
                    _give(f, share, f.at(f.at(values(f, shares[position]), k, ROW), c, v.bytes), adds[position])
            return after

        sums = f.loop(nodes, each, carried=[(v.floats, "zeroinitializer")] * sum(narrow))
        for position, total in zip([p for p in (0, 1) if narrow[p]], sums, strict=True):
            _give(f, total, f.at(values(f, shares[position]), c, v.bytes), adds[position])


def pairs(
    f: Function,
    first: int,
    second: int,
    result: str,
    factors: tuple[str, str],
    shares: tuple[str, str],
    adds: tuple[bool, bool],
) -> None:
    """Of all pairs: for each factor's node the sum over the other's nodes."""
    v = f.vectors
    if not adds[1]:
        clear(f, second, shares[1])
    for c in range(v.columns):
        left, right = state(f, factors[0], c), state(f, factors[1], c)

        def outer(i: str, c: int = c, left: State = left, right: State = right) -> None:
            x = f.multiply(f.load(f.at(f.at(values(f, factors[0]), i, ROW), c, v.bytes)), left.scale)
            x = f.multiply(x, right.scale)
            row = f.at(values(f, result), f.op(f"mul i64 {i}, {second}"), ROW)

            def inner(j: str, total: str) -> list[str]:
                derivative = f.load(f.at(f.at(row, j, ROW), c, v.bytes))
                y = f.multiply(f.load(f.at(f.at(values(f, factors[1]), j, ROW), c, v.bytes)), right.scale)
                _give(f, f.multiply(derivative, x), f.at(f.at(values(f, shares[1]), j, ROW), c, v.bytes), True)
                return [f.fma(derivative, y, total)]

            total = f.loop(second, inner, carried=[(v.floats, "zeroinitializer")])[0]
            _give(f, f.multiply(total, left.scale), f.at(f.at(values(f, shares[0]), i, ROW), c, v.bytes), adds[0])

        f.loop(first, outer)


def gather(f: Function, nodes: int, result: str, share: str, index: str) -> None:
    """Of a gather: each node's derivative is added to that of the node which it was."""
    v = f.vectors

    def each(k: str) -> None:
        row = f.at(values(f, share), f.word(f.at(index, k, 4)), ROW)
        for c in range(v.columns):
            _give(f, f.load(f.at(f.at(values(f, result), k, ROW), c, v.bytes)), f.at(row, c, v.bytes), True)

    f.loop(nodes, each)


def join(f: Function, result: str, slots: str, parts: str, answer: str, strict: str) -> None:
    """Of a join: each part's derivatives by the power of two that brought it under the common exponent.

    The words are how many parts, then for each its slot, its nodes and its share's slot. A part without any value
    passes nothing on; where that may matter, `strict` is not a number, and the lane is taken for bad.
    """
    v = f.vectors
    count = f.word(parts, "i64")
    for c in range(v.columns):

        def part(i: str) -> tuple[str, str, str]:
            words = f.at(parts, i, 24, 8)
            slot = f.at(slots, f.word(words, "i64"))
            return slot, f.word(f.at(words, 1, 8), "i64"), f.at(slots, f.word(f.at(words, 2, 8), "i64"))

        def highest(i: str, top: str, c: int = c) -> list[str]:
            before = state(f, part(i)[0], c)
            power = f.integer("add", before.exponent, before.shift)
            there = f.compare("ogt", before.largest, "zeroinitializer")
            above = f.op(f"icmp sgt {v.ints} {power}, {top}")
            return [f.select(both(f, there, above), power, top, v.ints)]

        top = f.loop(count, highest, carried=[(v.ints, f.whole(-(1 << (v.mantissa + 6))))])[0]

        def each(i: str, place: str, bad: str, c: int = c, top: str = top) -> list[str]:
            slot, nodes, share = part(i)
            before = state(f, slot, c)
            gap = f.integer("sub", f.integer("add", before.exponent, before.shift), top)
            near = f.op(f"icmp sgt {v.ints} {gap}, {f.whole(-v.bias)}")
            there = f.compare("ogt", before.largest, "zeroinitializer")
            bits = f.integer("shl", f.integer("add", gap, f.whole(v.bias)), f.whole(v.mantissa))
            factor = f.select(both(f, near, there), f.from_bits(bits), "zeroinitializer")
            scale = f.select(there, before.scale, "zeroinitializer")

            def row(k: str) -> None:
                derivative = f.load(f.at(f.at(place, k, ROW), c, v.bytes))
                value = f.multiply(f.multiply(derivative, factor), scale)
                _give(f, value, f.at(f.at(values(f, share), k, ROW), c, v.bytes), True)

            f.loop(nodes, row)
            far = f.compare("oeq", factor, "zeroinitializer")
            return [f.at(place, nodes, ROW), f.add(bad, f.select(far, strict, "zeroinitializer"))]

        after = f.loop(count, each, carried=[("ptr", values(f, result)), (v.floats, "zeroinitializer")])
        _note(f, answer, c, after[1])


def scale(
    f: Function, nodes: int, result: str, source: str, share: str, add: bool, data: str, gradient: str | None
) -> None:
    """Of a diagonal map."""
    v = f.vectors
    table = f.at(data, None, offset=ROW)
    states = [state(f, source, c) for c in range(v.columns)]

    def each(k: str) -> None:
        weight = f.splat(f.load(f.at(table, k, v.size), v.number))
        found: list[str] = []
        for c, before in enumerate(states):
            derivative = f.load(f.at(f.at(values(f, result), k, ROW), c, v.bytes))
            x = f.load(f.at(f.at(values(f, source), k, ROW), c, v.bytes))
            found.append(f.multiply(f.multiply(x, before.scale), derivative))
            _give(
                f,
                f.multiply(f.multiply(derivative, weight), before.scale),
                f.at(f.at(values(f, share), k, ROW), c, v.bytes),
                add,
            )
        if gradient is not None:
            sum_into(f, found, f.at(gradient, k, v.size))

    f.loop(nodes, each)
