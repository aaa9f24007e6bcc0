"""A Program as text, to read and to compare: one line per operation, loops indented, networks by their sizes.

What enters is a Program; what leaves is the same text for the same Program, on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from .operation import (
    AllPairs,
    Contract,
    Density,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Network,
    Operation,
    Repeat,
    Scale,
    Step,
    Strides,
)
from .program import LEAF, PRODUCT, SUM, Layout, Program
from .widths import Width, widths


def text(program: Program) -> str:
    """The Program's text: `b2[4] = …` fills buffer 2 with 4 nodes; `t1[1, 4, 4]` is table 1 and its shape.

    In a loop, `+ i` says how far a column or a table moves on in each turn.
    """
    sizes = ", ".join(map(str, program.buffers))
    lines = [f"program: {len(program.columns)} columns, {len(program.tables)} tables, buffers of {sizes} nodes"]
    found = iter(widths(program))
    lines += _lines(program, program.operations, found)
    return "\n".join([*lines, f"  return b{program.root}", *_networks(program)]) + "\n"


def _lines(program: Program, operations: Sequence[Operation], found: Iterator[Width]) -> Iterator[str]:
    for operation in operations:
        if isinstance(operation, Repeat):
            yield f"  repeat {operation.count} times, i = 0 … {operation.count - 1} {{"
            for step, column, table in zip(operation.body, operation.columns, operation.tables, strict=True):
                yield "  " + _line(program, step, next(found), column, table)
            yield "  }"
        else:
            yield _line(program, operation, next(found), 0, 0)


def _line(program: Program, step: Step, width: Width, column_step: int = 0, table_step: int = 0) -> str:
    nodes, below = width

    def source(buffer: int, position: int = 0) -> str:
        return f"b{buffer}[{below[position]}]"

    def sources(buffers: Sequence[int]) -> str:
        return ", ".join(source(buffer, position) for position, buffer in enumerate(buffers))

    def table(number: int) -> str:
        shape = ", ".join(map(str, program.tables[number]))
        return f"t{_moving(number, table_step)}[{shape}]"

    match step:
        case Load(_, number, column):
            what = f"load {table(number)} at column {_moving(column, column_step)}"
        case Density(_, number, column, _):
            what = f"density d{_moving(number, table_step)} at column {_moving(column, column_step)}"
        case Fill(_, number):
            what = f"fill {table(number)}"
        case Multiply(_, factors):
            what = f"multiply {sources(factors)}"
        case AllPairs(_, factors):
            what = f"all pairs {sources(factors)}"
        case Join(_, parts):
            what = f"join {sources(parts)}"
        case Gather(_, buffer, index):
            what = f"gather {source(buffer)} at index {index}"
        case Scale(_, buffer, number):
            what = f"scale {source(buffer)} by {table(number)}"
        case Contract(_, buffer, number, blocks, rows, columns, read, write):
            order = _order("read", read, columns, blocks) + _order("write", write, rows, blocks)
            what = f"contract {source(buffer)} with {table(number)}, {blocks} × {rows} × {columns}{order}"
        case Network(_, layout, leaves, weights, buffers):
            what = f"network n{layout}, leaves {table(leaves)}, weights {table(weights)}"
            what += f", of {sources(buffers)}" if buffers else ""
    return f"  b{step.out}[{nodes}] = {what}"


def _moving(number: int, step: int) -> str:
    """A number in a loop: 3, or (3 + 2 i)."""
    if not step:
        return str(number)
    size = "" if abs(step) == 1 else f"{abs(step)} "
    return f"({number} {'+' if step > 0 else '−'} {size}i)"


def _order(what: str, strides: Strides, nodes: int, blocks: int) -> str:
    """Strides that are not those of blocks laid end to end."""
    plain = (blocks == 1 or strides.block == nodes) and (nodes == 1 or strides.node == 1)
    return "" if plain else f", {what} i · {strides.block} + j · {strides.node}"


def _networks(program: Program) -> Iterator[str]:
    for number, layout in enumerate(program.layouts):
        yield f"  n{number}: {_summary(layout)}"


def _summary(layout: Layout) -> str:
    kinds = Counter(layout.kinds.tolist())
    nodes = f"{kinds[LEAF]} leaves, {kinds[PRODUCT]} products, {kinds[SUM]} sums"
    return f"{layout.nodes} nodes ({nodes}), {layout.edges} edges, {layout.size} slots"
