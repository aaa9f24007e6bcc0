"""Code for products of buffers, and for buffers that are gathered or laid end to end.

Each kernel reads values of one tile, applies the powers of two that the states ask for, and writes values with a state.
"""

from __future__ import annotations

from .builder import Function
from .state import SURE, Range, State, both, close, is_zero, state, unless, values
from .vectors import ROW


def multiply(f: Function, first: int, second: int, out: str, a: str, b: str, pairs: bool) -> None:
    """The product of two buffers, elementwise or of all pairs; one of a single node stands in every node."""
    v = f.vectors
    xs, ys, target = values(f, a), values(f, b), values(f, out)
    for c in range(f.columns):
        left, right = state(f, a, c), state(f, b, c)

        def put_value(x: str, y: str, place: str, found: Range, c: int = c) -> Range:
            value = f.multiply(x, y)
            f.store(value, f.at(place, c, v.bytes))
            return found.with_value(f, value)

        if pairs:
            found = _all_pairs(f, first, second, (xs, ys, target), c, left, right)
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
        close_product(f, out, c, found, left, right)


def _all_pairs(
    f: Function, first: int, second: int, places: tuple[str, str, str], c: int, left: State, right: State
) -> Range:
    """Every pair, several of the first factor's nodes at once; the range of products is the product of the ranges.

    Rounding keeps the order of numbers, so the largest and the least are exact; where the least product that is not
    zero would be none any more, it counts as the least number there is, which is far from sure.
    """
    v = f.vectors
    xs, ys, target = places
    together = next(n for n in (4, 2, 1) if first % n == 0)

    def outer(i: str) -> None:
        found = [
            f.multiply(f.load(f.at(f.at(xs, i, ROW), None, offset=u * ROW + c * v.bytes)), left.scale)
            for u in range(together)
        ]
        row = f.at(target, f.op(f"mul i64 {i}, {second}"), ROW)

        def inner(j: str) -> None:
            y = f.multiply(f.load(f.at(f.at(ys, j, ROW), c, v.bytes)), right.scale)
            place = f.at(row, j, ROW)
            for u, x in enumerate(found):
                f.store(f.multiply(x, y), f.at(place, None, offset=u * second * ROW + c * v.bytes))

        f.loop(second, inner)

    f.loop(first, outer, together)
    if v.signed:
        largest = f.multiply(f.multiply(left.largest, left.scale), f.multiply(right.largest, right.scale))
        return Range(largest, "zeroinitializer", "zeroinitializer")
    ranges = [
        f.multiply(f.multiply(a, left.scale), f.multiply(b, right.scale))
        for a, b in ((left.largest, right.largest), (left.least, right.least), (left.nonzero, right.nonzero))
    ]
    # infinity stands for no value at all: times anything it stays so
    none = f.op(
        f"or <{v.width} x i1> {f.compare('oeq', left.nonzero, f.number(float('inf')))}, "
        f"{f.compare('oeq', right.nonzero, f.number(float('inf')))}"
    )
    nonzero = f.bits(f.select(none, f.number(float("inf")), ranges[2]))
    gone = f.op(f"icmp eq {v.ints} {nonzero}, zeroinitializer")
    nonzero = f.select(gone, f.whole(1), nonzero, v.ints)
    return Range(ranges[0], ranges[1], f.integer("add", nonzero, f.whole(-1)))


def close_product(f: Function, out: str, c: int, found: Range, left: State, right: State) -> None:
    """The state after a product, whose range is found."""
    v = f.vectors
    exponent = f.integer(
        "add", f.integer("add", left.exponent, right.exponent), f.integer("add", left.shift, right.shift)
    )
    if v.signed:
        close(f, out, c, found, exponent, "zeroinitializer", "zeroinitializer")
        return
    least = f.multiply(f.multiply(left.nonzero, left.scale), f.multiply(right.nonzero, right.scale))
    lost_left, lost_right = f.multiply(left.lost, left.scale), f.multiply(right.lost, right.scale)
    sure = f.compare("oge", least, f.number(v.tiny * SURE))
    sure = both(f, sure, both(f, is_zero(f, left.lost), is_zero(f, right.lost)))
    top_left, top_right = f.multiply(left.largest, left.scale), f.multiply(right.largest, right.scale)
    lost = f.fma(lost_left, top_right, f.number(8 * v.tiny))
    lost = f.fma(lost_right, top_left, lost)
    lost = f.fma(lost_left, lost_right, lost)
    close(f, out, c, found, exponent, unless(f, sure, lost), f.add(left.error, right.error))


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
    for c in range(f.columns):

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
