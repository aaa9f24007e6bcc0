"""Code for the way back through a network of scalar nodes: one loop over runs of instructions, per tile of the batch.

In plain numbers a node has its derivative: of the logarithm of the root with respect to the node. Nothing is divided
but the weight of a row by the root, so zeros are exact. In logarithms it has its flow, the derivative times the node's
value, which lies between 0 and the weight of the row, so that nothing overflows: a product passes it on, a sum shares
it out. A node's number is cleared when it is read, so that all are 0 again in the end.
"""

from __future__ import annotations

from collections.abc import Callable

from .adjoint_stream import fields
from .builder import Function
from .mathematics import exp
from .network import KINDS, SOFT, Numeric, density
from .pulls import sum_into
from .reach import FLOOR
from .vectors import Vectors

ARGUMENTS = (
    "ptr noalias %stream, i64 %count, ptr %values, ptr %slots, ptr %scratch, ptr noalias %weights, "
    "ptr noalias %codes, i64 %row, ptr noalias %seeds, ptr noalias %leaves, ptr noalias %sums, "
    "ptr noalias %roots, ptr noalias %out, i64 %root, i64 %tile"
)

BLOCK = 8
"""Vectors of a node's row that are held in registers while its members go by."""

UNROLLED = 4
"""Rows of data that a leaf adds to its table at once."""


def kernel(
    vectors: Vectors, numeric: Numeric, by_levels: bool, leaves: bool, weights: bool, soft: bool = False
) -> Function:
    """The function `back`: from the roots of a tile to sums for tables, those that are wanted.

    %out gets 0 for each row, and NaN where a number is beyond all. `soft` says that there are leaves on infinite
    domains: what these get is written over their rows of the tile.
    """
    names = SOFT if soft else KINDS
    f = Function("back", ARGUMENTS, vectors)
    sizes, place = fields(numeric, by_levels), 0 if by_levels else 1
    codes = f.at("%codes", f.op("mul i64 %tile, %row"), 1)
    bad = f.at("%out", "%tile", vectors.row)
    _seed(f, numeric, bad, soft)
    end = f.at("%stream", "%count", 4)
    before, head, joined, done = f.block, f.fresh("head"), f.fresh("joined"), f.fresh("done")
    f.do(f"br label %{head}")
    f.label(head)
    line = len(f.lines)
    pc = "%" + f.fresh("pc")
    kind, members, count = (f.word(f.at(pc, field, 4)) for field in range(3))
    labels = [f.fresh(name) for name in names]
    cases = " ".join(f"i64 {i}, label %{label}" for i, label in enumerate(labels))
    f.do(f"switch i64 {kind}, label %{labels[0]} [ {cases} ]")
    ends: list[tuple[str, str]] = []
    for name, label in zip(names, labels, strict=True):
        f.label(label)

        def node(_: str, words: str, name: str = name) -> list[str]:
            if name == "soft":
                _soft(f, words, codes, bad, numeric)
                return [f.at(words, 3, 4)]
            if name == "leaf":
                _leaf(f, words, codes, bad, leaves)
                return [f.at(words, 3, 4)]
            own, each = sizes[name.rstrip("2")]
            _inner(f, name, words, own, each, place, members, bad, numeric, weights)
            known = name.endswith("2")
            after = f.at(words, own + 2 * each if known else own, 4)
            return [after if known else f.at(after, members, 4 * each)]

        ends.append((f.loop(count, node, carried=[("ptr", f.at(pc, 3, 4))])[0], f.block))
        f.do(f"br label %{joined}")
    f.label(joined)
    after = f.op("phi ptr " + ", ".join(f"[ {value}, %{block} ]" for value, block in ends))
    f.do(f"br i1 {f.op(f'icmp ult ptr {after}, {end}')}, label %{head}, label %{done}, !llvm.loop !0")
    f.lines.insert(line, f"  {pc} = phi ptr [ %stream, %{before} ], [ {after}, %{joined} ]")
    f.label(done)
    return f


def _seed(f: Function, numeric: Numeric, bad: str, soft: bool) -> None:
    """What the root begins with: 0 for a row that is impossible, or, among densities, below what numbers vouch for."""
    v = f.vectors
    root, roots, seeds = f.at("%slots", "%root", v.row), f.at("%roots", "%tile", v.row), f.at("%seeds", "%tile", v.row)
    for c in range(v.columns):
        value, seed = f.load(f.at(roots, c, v.bytes)), f.load(f.at(seeds, c, v.bytes))
        if soft and numeric == "linear":
            none = f.compare("olt", value, f.number(FLOOR))
        else:
            none = f.compare("oeq", value, f.number(0.0 if numeric == "linear" else float("-inf")))
        given = f.op(f"fdiv {v.floats} {seed}, {value}") if numeric == "linear" else seed
        f.store(f.select(none, f.number(0.0), given), f.at(root, c, v.bytes))
        beyond = f.multiply(f.select(none, f.number(0.0), value), f.number(0.0))
        f.store(beyond, f.at(bad, c, v.bytes))


def _leaf(f: Function, words: str, codes: str, bad: str, wanted: bool) -> None:
    """Adds the rows of a leaf to the entries of its table."""
    v = f.vectors
    slot, column = f.at("%slots", f.word(words), v.row), f.at(codes, f.word(f.at(words, 1, 4)), v.lanes * 4)
    table = f.at("%leaves", f.word(f.at(words, 2, 4)), v.size)
    if wanted:
        step = min(UNROLLED, v.lanes)

        def some(lane: str) -> None:
            for i in range(step):
                code = f.word(f.at(f.at(column, lane, 4), i, 4))
                place = f.at(table, code, v.size)
                _add_number(f, place, f.load(f.at(f.at(slot, lane, v.size), i, v.size), v.number))

        f.loop(v.lanes, some, step=step)
    for c in range(v.columns):
        place = f.at(slot, c, v.bytes)
        _check(f, f.load(place), f.at(bad, c, v.bytes))
        f.store(f.number(0.0), place)


def _soft(f: Function, words: str, codes: str, bad: str, numeric: Numeric) -> None:
    """Writes what a leaf on an infinite domain gets, its flow, over its logarithms."""
    v = f.vectors
    slot = f.at("%slots", f.word(words), v.row)
    for c in range(v.columns):
        place = f.at(slot, c, v.bytes)
        flow = f.load(place)
        value, log = density(f, f.at(words, 1, 4), codes, c, numeric)
        if numeric == "linear":
            flow = f.multiply(flow, value)
        _check(f, flow, f.at(bad, c, v.bytes))
        f.store(flow, log)
        f.store(f.number(0.0), place)


def _add_number(f: Function, place: str, value: str) -> None:
    number = f.vectors.number
    f.store(f.op(f"fadd {number} {f.load(place, number)}, {value}"), place, number)


def _check(f: Function, value: str, place: str) -> None:
    """0 stays 0 unless the value is beyond all numbers."""
    f.store(f.fma(value, f.number(0.0), f.load(place)), place)


def _inner(
    f: Function,
    name: str,
    words: str,
    own: int,
    each: int,
    place: int,
    members: str,
    bad: str,
    numeric: Numeric,
    wanted: bool,
) -> None:
    """One node that has members: each gets its share. Words: the node's own, each member's, and where places stand."""
    v = f.vectors
    slot, first = _slot(f, words), f.at(words, own, 4)
    kind, two = name.rstrip("2"), name.endswith("2")
    block = v.columns if two else BLOCK
    for start in range(0, v.columns, block):
        columns = range(start, min(start + block, v.columns))
        if kind == "product" and numeric == "linear":
            (_two if two else _product)(f, slot, first, each, place, members, columns)
        elif kind == "product" or (kind == "sum" and numeric == "linear"):
            _pass_on(f, slot, first, 2 if two else members, columns)
        else:
            value = _value(f, words, place) if numeric == "log" else None
            heavy = kind == "weighted"
            _share(f, slot, value, first, each, place, 2 if two else members, bad, columns, heavy, wanted)


def _taken(f: Function, slot: str, columns: range) -> list[str]:
    """A node's numbers, which are 0 then."""
    found: list[str] = []
    for c in columns:
        place = f.at(slot, c, f.vectors.bytes)
        found.append(f.load(place))
        f.store(f.number(0.0), place)
    return found


def _give(f: Function, slot: str, column: int, share: str, factor: str | None = None) -> None:
    """Adds a share, or its product with a factor."""
    place = f.at(slot, column, f.vectors.bytes)
    held = f.load(place)
    f.store(f.add(held, share) if factor is None else f.fma(share, factor, held), place)


def _slot(f: Function, words: str) -> str:
    return f.at("%slots", f.word(words), f.vectors.row)


def _value(f: Function, words: str, place: int) -> str:
    return f.at("%values", f.word(f.at(words, place, 4)), f.vectors.row)


def _each(f: Function, members: str | int, body: Callable[[str], None], first: str, words: int) -> None:
    """For each member; two are written out."""
    if isinstance(members, int):
        for i in range(members):
            body(f.at(first, i, 4 * words))
    else:
        f.loop(members, lambda i: body(f.at(first, i, 4 * words)))


def _pass_on(f: Function, slot: str, first: str, members: str | int, columns: range) -> None:
    """The same to every member."""
    if isinstance(members, int):
        slots = [_slot(f, f.at(first, i, 4)) for i in range(members)]
        for c in columns:
            (value,) = _taken(f, slot, range(c, c + 1))
            for each in slots:
                _give(f, each, c, value)
        return
    values = _taken(f, slot, columns)

    def member(words: str) -> None:
        place = _slot(f, words)
        for c, value in zip(columns, values, strict=True):
            _give(f, place, c, value)

    _each(f, members, member, first, 1)


def _two(f: Function, slot: str, first: str, words: int, place: int, members: str, columns: range) -> None:
    """A product of two: each gets the derivative times the other."""
    v = f.vectors
    slots = [_slot(f, f.at(first, words * i, 4)) for i in range(2)]
    values = [_value(f, f.at(first, words * i, 4), place) for i in range(2)]
    for c in columns:
        (derivative,) = _taken(f, slot, range(c, c + 1))
        a, b = (f.load(f.at(value, c, v.bytes)) for value in values)
        for each, other in zip(slots, (b, a), strict=True):
            _give(f, each, c, derivative, other)


def _product(f: Function, slot: str, first: str, words: int, place: int, members: str, columns: range) -> None:
    """A product of any number: the members before one, from the first on, times those after it, from the last on."""
    v = f.vectors

    def before(i: str, *held: str) -> list[str]:
        value, kept = _value(f, f.at(first, i, 4 * words), place), f.at("%scratch", i, v.row)
        after: list[str] = []
        for c, left in zip(columns, held, strict=True):
            f.store(left, f.at(kept, c, v.bytes))
            after.append(f.multiply(left, f.load(f.at(value, c, v.bytes))))
        return after

    f.loop(members, before, carried=[(v.floats, each) for each in _taken(f, slot, columns)])

    def after(i: str, *held: str) -> list[str]:
        back = f.op(f"sub i64 {f.op(f'sub i64 {members}, 1')}, {i}")
        member, kept = f.at(first, back, 4 * words), f.at("%scratch", back, v.row)
        target, value = _slot(f, member), _value(f, member, place)
        found: list[str] = []
        for c, right in zip(columns, held, strict=True):
            left = f.load(f.at(kept, c, v.bytes))
            _give(f, target, c, left, right)
            found.append(f.multiply(right, f.load(f.at(value, c, v.bytes))))
        return found

    f.loop(members, after, carried=[(v.floats, f.number(1.0))] * len(columns))


def _share(
    f: Function,
    slot: str,
    own: str | None,
    first: str,
    words: int,
    place: int,
    members: str | int,
    bad: str,
    columns: range,
    heavy: bool,
    wanted: bool,
) -> None:
    """A sum with weights, or, where it has its `own` value, any in logarithms: to each member in proportion."""
    v = f.vectors
    values = _taken(f, slot, columns)
    if own is not None:  # −inf less −inf is not a number; what is −inf has nothing to share out
        tops = [f.maximum(f.load(f.at(own, c, v.bytes)), f.number(-3e38)) for c in columns]

    def member(named: str) -> None:
        target, below = _slot(f, named), _value(f, named, place)
        weight = sums = None
        if heavy:
            number = f.word(f.at(named, words - 1, 4))
            weight = f.splat(f.load(f.at("%weights", number, v.size), v.number))
            sums = f.at("%sums", number, v.size) if wanted else None
        gained: list[str] = []
        for n, c in enumerate(columns):
            held = f.load(f.at(below, c, v.bytes))
            if own is None:
                assert weight is not None
                _give(f, target, c, values[n], weight)
                gained.append(f.multiply(values[n], held))
            else:
                term = held if weight is None else f.add(held, weight)
                share = f.multiply(exp(f, f.subtract(term, tops[n])), values[n])
                _give(f, target, c, share)
                gained.append(share)
            if sums is not None:
                _check(f, gained[-1], f.at(bad, c, v.bytes))
        if sums is not None:
            sum_into(f, gained, sums)

    _each(f, members, member, first, words)
