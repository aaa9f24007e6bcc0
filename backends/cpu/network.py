"""Code for networks of scalar nodes: one loop over a stream of instructions, per tile of the batch.

An instruction is a row of 32-bit words: kind, number of members, where its value goes, then its members; a sum with
weights has a member and a weight in turn. Code per edge would be up to three times faster on small networks, but takes
minutes to compile on large ones.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.program.program import LEAF, PRODUCT, Layout
from .builder import Function
from .mathematics import exp, log
from .vectors import Vectors

Numeric = Literal["linear", "log"]
KINDS = ("leaf", "product", "product2", "sum", "sum2", "weighted", "weighted2")
SOFT = (*KINDS, "soft")
"""With leaves on infinite domains, whose logarithms lie behind the codes (soft.py)."""

ARGUMENTS = (
    "ptr noalias %stream, i64 %count, ptr noalias %leaves, ptr noalias %weights, ptr noalias %codes, i64 %row, "
    "ptr noalias %slots, ptr noalias %out, i64 %first, i64 %last"
)


def instructions(layout: Layout) -> NDArray[np.int32]:
    """The stream of a layout: slots, columns, leaves and weights by number."""
    lengths = np.diff(layout.offsets)
    kinds, weighted = kinds_of(layout)
    leaf = layout.kinds == LEAF
    words = np.where(leaf, 5, 3 + lengths * np.where(weighted, 2, 1))
    starts = np.concatenate([[0], np.cumsum(words)])
    stream = np.zeros(starts[-1], dtype=np.int32)
    starts = starts[:-1]
    stream[starts], stream[starts + 1], stream[starts + 2] = kinds, lengths, layout.slots
    named = layout.members[layout.offsets[:-1][leaf]]
    stream[starts[leaf] + 3] = layout.leaf_columns[named]
    stream[starts[leaf] + 4] = offset_words(layout)[named]
    inner = np.repeat(~leaf, lengths)
    node = np.repeat(np.arange(layout.nodes), lengths)[inner]
    position = (np.arange(layout.edges) - np.repeat(layout.offsets[:-1], lengths))[inner]
    places = starts[node] + 3 + position * np.where(weighted[node], 2, 1)
    stream[places] = layout.members[inner]
    heavy = weighted[node]
    stream[places[heavy] + 1] = layout.weights[inner][heavy] + 1  # the first weight is 1
    return stream


def offset_words(layout: Layout) -> Indices:
    """The last word of each leaf: where its values begin, or, of a density, the row of what is taken out of it."""
    return np.where(layout.soft, -1 - layout.leaf_offsets, layout.leaf_offsets)


def kinds_of(layout: Layout) -> tuple[Indices, NDArray[np.bool_]]:
    """The kind of each node's instruction, and which are sums with weights, [nodes] each."""
    lengths = np.diff(layout.offsets)
    heavy = np.repeat(np.arange(layout.nodes), lengths)[layout.weights >= 0]
    weighted = np.bincount(heavy, minlength=layout.nodes) > 0
    leaf = layout.kinds == LEAF
    kinds = np.where(leaf, 0, np.where(layout.kinds == PRODUCT, 1, np.where(weighted, 5, 3)))
    kinds = np.where(~leaf & (lengths == 2), kinds + 1, kinds)
    kinds[np.flatnonzero(leaf)[layout.soft[layout.members[layout.offsets[:-1][leaf]]]]] = SOFT.index("soft")
    return kinds, weighted


def kernel(vectors: Vectors, numeric: Numeric, soft: bool = False) -> Function:
    """The function `network`: all nodes for the tiles from first to last, the root's values in out.

    `soft` says that it has leaves on infinite domains.
    """
    names = SOFT if soft else KINDS
    f = Function("network", ARGUMENTS, vectors)

    def tile(t: str) -> None:
        codes = f.at("%codes", f.op(f"mul i64 {t}, %row"), 1)
        end = f.at("%stream", "%count", 4)
        before, head, done = f.block, f.fresh("head"), f.fresh("done")
        f.do(f"br label %{head}")
        f.label(head)
        place = len(f.lines)
        pc, after = "%" + f.fresh("pc"), "%" + f.fresh("next")
        kind, members = f.word(pc), f.word(f.at(pc, 1, 4))
        out = f.at("%slots", f.word(f.at(pc, 2, 4)), vectors.row)
        labels = [f.fresh(name) for name in names]
        joined = f.fresh("joined")
        cases = " ".join(f"i64 {i}, label %{label}" for i, label in enumerate(labels))
        f.do(f"switch i64 {kind}, label %{labels[0]} [ {cases} ]")
        ends: list[tuple[str, str]] = []
        for name, label in zip(names, labels, strict=True):
            f.label(label)
            follow = instruction(f, name, f.at(pc, 3, 4), members, out, codes, numeric)
            ends.append((follow, f.block))
            f.do(f"br label %{joined}")
        f.label(joined)
        f.lines.append(f"  {after} = phi ptr " + ", ".join(f"[ {value}, %{block} ]" for value, block in ends))
        last = f.op(f"phi ptr [ {out}, %{ends[0][1]} ]" + "".join(f", [ {out}, %{block} ]" for _, block in ends[1:]))
        more = f.op(f"icmp ult ptr {after}, {end}")
        f.do(f"br i1 {more}, label %{head}, label %{done}, !llvm.loop !0")
        f.lines.insert(place, f"  {pc} = phi ptr [ %stream, %{before} ], [ {after}, %{joined} ]")
        f.label(done)
        target = f.at("%out", t, vectors.row)
        for c in range(vectors.columns):
            f.store(f.load(f.at(last, c, vectors.bytes)), f.at(target, c, vectors.bytes))

    f.loop("%last", tile, start="%first")
    return f


def instruction(f: Function, name: str, words: str, members: str, out: str, codes: str, numeric: Numeric) -> str:
    """One instruction, whose members begin at `words`; gives where the next begins."""
    match name:
        case "leaf":
            column = f.at(codes, f.word(words), f.vectors.lanes * 4)
            _leaf(f, f.at("%leaves", f.word(f.at(words, 1, 4)), f.vectors.size), column, out)
            return f.at(words, 2, 4)
        case "soft":
            for c in range(f.vectors.columns):
                f.store(density(f, words, codes, c, numeric)[0], f.at(out, c, f.vectors.bytes))
            return f.at(words, 2, 4)
        case "product2" | "sum2" | "weighted2":
            weighted = name == "weighted2"
            parts = [_member(f, f.at(words, i * (2 if weighted else 1), 4), weighted) for i in range(2)]
            for c in range(f.vectors.columns):
                a, b = (_term(f, part, c, numeric) for part in parts)
                value = _times(f, a, b, numeric) if name == "product2" else _plus(f, a, b, numeric)
                f.store(value, f.at(out, c, f.vectors.bytes))
            return f.at(words, 4 if weighted else 2, 4)
        case "product":
            one = f.number(1.0 if numeric == "linear" else 0.0)
            _fold(f, words, members, out, one, lambda a, b: _times(f, a, b, numeric), numeric)
            return f.at(words, members, 4)
        case _:
            weighted = name == "weighted"
            if numeric == "linear":
                _fold(f, words, members, out, f.number(0.0), f.add, numeric, weighted)
            else:
                _log_sum(f, words, members, out, weighted)
            return f.at(words, members, 8 if weighted else 4)


def density(f: Function, words: str, codes: str, column: int, numeric: Numeric) -> tuple[str, str]:
    """What a leaf on an infinite domain is beside what is taken out of its row; and where its logarithm stands."""
    row, top = (f.at(codes, f.word(f.at(words, i, 4)), f.vectors.lanes * 4) for i in range(2))
    place = f.at(row, column, f.vectors.bytes)
    log = f.subtract(f.load(place), f.load(f.at(top, column, f.vectors.bytes)))
    return log if numeric == "log" else exp(f, log), place


def _member(f: Function, words: str, weighted: bool) -> tuple[str, str | None]:
    """Where a member's value stands, and its weight in every lane."""
    pointer = f.at("%slots", f.word(words), f.vectors.row)
    if not weighted:
        return pointer, None
    place = f.at("%weights", f.word(f.at(words, 1, 4)), f.vectors.size)
    return pointer, f.splat(f.load(place, f.vectors.number))


def _term(f: Function, part: tuple[str, str | None], column: int, numeric: Numeric) -> str:
    value = f.load(f.at(part[0], column, f.vectors.bytes))
    return value if part[1] is None else _times(f, value, part[1], numeric)


def _times(f: Function, a: str, b: str, numeric: Numeric) -> str:
    return f.multiply(a, b) if numeric == "linear" else f.add(a, b)


def _plus(f: Function, a: str, b: str, numeric: Numeric) -> str:
    if numeric == "linear":
        return f.add(a, b)
    high, low = f.maximum(a, b), f.minimum(a, b)
    # the larger gives 1, the smaller e to the difference, which is −inf and not NaN where both are −inf
    below = exp(f, f.subtract(low, f.maximum(high, f.number(-3e38))))
    return f.add(high, log(f, f.add(below, f.number(1.0))))


def _leaf(f: Function, table: str, column: str, out: str) -> None:
    v = f.vectors
    for c in range(v.columns):
        codes = f.load(f.at(column, c, v.width * 4), f"<{v.width} x i32>", min(v.width * 4, 64))
        index = codes if v.size == 4 else f.op(f"sext <{v.width} x i32> {codes} to {v.ints}")
        f.store(f.gather(table, index), f.at(out, c, v.bytes))


def _fold(
    f: Function,
    words: str,
    members: str,
    out: str,
    first: str,
    combine: object,
    numeric: Numeric,
    weighted: bool = False,
) -> None:
    v = f.vectors
    assert callable(combine)

    def step(i: str, *values: str) -> list[str]:
        part = _member(f, f.at(words, i, 8 if weighted else 4), weighted)
        if weighted and numeric == "linear":
            assert part[1] is not None
            return [f.fma(f.load(f.at(part[0], c, v.bytes)), part[1], values[c]) for c in range(v.columns)]
        return [combine(values[c], _term(f, part, c, numeric)) for c in range(v.columns)]

    for c, value in enumerate(f.loop(members, step, carried=[(v.floats, first)] * v.columns)):
        f.store(value, f.at(out, c, v.bytes))


def _log_sum(f: Function, words: str, members: str, out: str, weighted: bool) -> None:
    """log Σ exp: the largest member first, then the sum below it."""
    v = f.vectors

    def member(i: str) -> tuple[str, str | None]:
        return _member(f, f.at(words, i, 8 if weighted else 4), weighted)

    def larger(i: str, *tops: str) -> list[str]:
        part = member(i)
        return [f.maximum(tops[c], _term(f, part, c, "log")) for c in range(v.columns)]

    tops = f.loop(members, larger, carried=[(v.floats, f.number(-3e38))] * v.columns)

    def add(i: str, *sums: str) -> list[str]:
        part = member(i)
        return [f.add(sums[c], exp(f, f.subtract(_term(f, part, c, "log"), tops[c]))) for c in range(v.columns)]

    for c, total in enumerate(f.loop(members, add, carried=[(v.floats, f.number(0.0))] * v.columns)):
        f.store(f.add(log(f, total), tops[c]), f.at(out, c, v.bytes))
