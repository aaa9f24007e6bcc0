"""The function that runs a Program's records for tiles of the batch, with the code of every kernel that they name.

Tiles are independent: threads take ranges of them, each with buffers of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from . import loads, maps, products
from .builder import Function
from .plan import FIELDS, RECORD, Kernel, Plan
from .state import ERROR, EXPONENT, LOST, STATE
from .vectors import ROW, Vectors

ARGUMENTS = (
    "ptr noalias %records, i64 %count, ptr noalias %arena, ptr noalias %words, ptr noalias %codes, i64 %row, "
    "ptr noalias %soft, i64 %softness, ptr %slots, i64 %root, ptr noalias %out, i64 %group, i64 %first, i64 %last"
)
CACHE, MOST_TOGETHER = 3 << 17, 4
"""Bytes of a second-level cache that the buffers of some tiles may take together, and how many tiles at most."""

ANSWERS = 4
"""Rows of a tile's answer: value, exponent, lost, error."""


def driver(plan: Plan, vectors: Vectors) -> Function:
    """The function `program`: all records for the tiles from first to last."""
    f = Function("program", ARGUMENTS, vectors)

    def group(first: str, last: str) -> None:
        end = f.at("%records", "%count", RECORD)
        before, head, joined, done = f.block, f.fresh("head"), f.fresh("joined"), f.fresh("done")
        f.do(f"br label %{head}")
        f.label(head)
        place = len(f.lines)
        pc, turn = "%" + f.fresh("pc"), "%" + f.fresh("turn")
        names = {name: f.load(f.at(pc, None, offset=8 * i), "i64") for i, name in enumerate(FIELDS)}
        labels = [f.fresh(kernel.kind) for kernel in plan.kernels]
        cases = " ".join(f"i64 {i}, label %{label}" for i, label in enumerate(labels))
        f.do(f"switch i64 {names['kernel']}, label %{labels[0]} [ {cases} ]")
        ends: list[tuple[str, str, str]] = []
        for kernel, label in zip(plan.kernels, labels, strict=True):
            f.label(label)
            if kernel.kind == "repeat":
                ends.append(_turned(f, pc, turn, names))
            else:
                data = f.op(f"add i64 {names['data']}, {f.op(f'mul i64 {turn}, ' + names['data_step'])}")
                column = f.op(f"add i64 {names['column']}, {f.op(f'mul i64 {turn}, ' + names['column_step'])}")

                def tile(t: str, kernel: Kernel = kernel, data: str = data, column: str = column) -> None:
                    codes = f.at(f.at("%codes", f.op(f"mul i64 {t}, %row"), 1), column)
                    soft = f.at("%soft", f.op(f"mul i64 {t}, %softness"), 1)
                    forward(f, kernel, names, data, codes, soft, slots_of(f, t, first, plan.slots))

                f.loop(last, tile, start=first)
                ends.append((f.at(pc, 1, RECORD), turn, f.block))
            f.do(f"br label %{joined}")
        f.label(joined)
        after = f.op("phi ptr " + ", ".join(f"[ {to}, %{block} ]" for to, _, block in ends))
        turned = f.op("phi i64 " + ", ".join(f"[ {now}, %{block} ]" for _, now, block in ends))
        more = f.op(f"icmp ult ptr {after}, {end}")
        f.do(f"br i1 {more}, label %{head}, label %{done}, !llvm.loop !0")
        f.lines[place:place] = [
            f"  {pc} = phi ptr [ %records, %{before} ], [ {after}, %{joined} ]",
            f"  {turn} = phi i64 [ 0, %{before} ], [ {turned}, %{joined} ]",
        ]
        f.label(done)

        def answer(t: str) -> None:
            _answer(f, f.at(slots_of(f, t, first, plan.slots), "%root"), f.at("%out", t, ANSWERS * ROW))

        f.loop(last, answer, start=first)

    groups(f, group)
    return f


def groups(f: Function, body: Callable[[str, str], None]) -> None:
    """Code for the tiles from %first to %last, %group of them together: body(first, last) for each group."""
    more = f.op(f"add i64 {f.op('sub i64 %last, %first')}, %group")
    count = f.op(f"udiv i64 {f.op(f'sub i64 {more}, 1')}, %group")

    def each(i: str) -> None:
        first = f.op(f"add i64 {f.op(f'mul i64 {i}, %group')}, %first")
        last = f.op(f"add i64 {first}, %group")
        before = f.op(f"icmp slt i64 {last}, %last")
        body(first, f.op(f"select i1 {before}, i64 {last}, i64 %last"))

    f.loop(count, each)


def slots_of(f: Function, t: str, first: str, size: int) -> str:
    """Where the buffers of a tile begin, of a group that begins with the first."""
    return f.at("%slots", f.op(f"sub i64 {t}, {first}"), size)


def together(slots: int, buffers: Sequence[int], tiles: int) -> int:
    """How many tiles go through each operation together, so that its tables are read once for all of them: as many as
    keep their buffers in cache, or at least those of one operation where all together are more than that anyway."""
    one = slots if slots <= CACHE else 2 * ROW * max(buffers, default=1)
    return max(1, min(tiles, MOST_TOGETHER, CACHE // one))


def _turned(f: Function, pc: str, turn: str, names: dict[str, str]) -> tuple[str, str, str]:
    """The end of a loop: back to its body, or on."""
    following = f.op(f"add i64 {turn}, 1")
    again = f.op(f"icmp slt i64 {following}, {names['out']}")
    back = f.at(pc, f.op(f"sub i64 0, {names['first']}"))
    to = f.op(f"select i1 {again}, ptr {back}, ptr {f.at(pc, 1, RECORD)}")
    return to, f.op(f"select i1 {again}, i64 {following}, i64 0"), f.block


def forward(f: Function, kernel: Kernel, names: dict[str, str], data: str, codes: str, soft: str, slots: str) -> None:
    """The code of a kernel that fills a buffer, from the fields of its record."""
    out, first, second = (f.at(slots, names[name]) for name in ("out", "first", "second"))
    sizes, step = kernel.sizes, f.vectors.bytes
    match kernel.kind:
        case "load":
            if sizes[2]:
                loads.ask(f, sizes[0], sizes[1], f.at("%arena", names["second"]), f.at(codes, names["words"]))
            table = f.at("%arena", data)

            def load(out: str, codes: str, other: str) -> None:
                loads.load(f, sizes[0], sizes[1], out, table, codes, other if sizes[3] else None)

            f.each_column(load, (out, step), (codes, 4 * f.vectors.width), (first, step))
        case "fill":
            loads.fill(f, sizes[0], out, f.at("%arena", data))
        case "copy":
            loads.copy(f, sizes[0], out, f.at(soft, data))
        case "multiply":
            multiply = partial(products.multiply, f, sizes[0], sizes[1], pairs=False)
            f.each_column(multiply, (out, step), (first, step), (second, step))
        case "pairs":
            multiply = partial(products.multiply, f, sizes[0], sizes[1], pairs=True)
            f.each_column(multiply, (out, step), (first, step), (second, step))
        case "join":
            words = f.at("%words", names["words"])
            f.each_column(lambda out, slots: products.join(f, out, slots, words), (out, step), (slots, step))
        case "gather":
            products.gather(f, sizes[0], out, first, f.at("%words", names["words"]))
        case "scale":
            maps.scale(f, sizes[0], out, first, f.at("%arena", data))
        case _:
            blocks, rows, columns, *strides, shared = sizes
            read, write = (strides[0], strides[1]), (strides[2], strides[3])
            maps.contract(f, blocks, rows, columns, read, write, bool(shared), out, first, f.at("%arena", data))


def _answer(f: Function, root: str, out: str) -> None:
    v = f.vectors
    rows = (STATE, EXPONENT) if v.signed else (STATE, EXPONENT, LOST, ERROR)
    for position, row in enumerate(rows):
        for c in range(v.columns):
            value = f.load(f.at(root, None, offset=row * ROW + c * v.bytes))
            f.store(value, f.at(out, None, offset=position * ROW + c * v.bytes))
