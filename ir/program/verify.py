"""What every Program must satisfy, checked after each pass and when one is read from a file.

What enters is a Program; nothing leaves, or an error that names the operation. A buffer is filled before it is read,
tables, columns and indices are there and fit, loops move evenly, and the answer is one node.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..diagnostic import DanausError, error
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
    Repeat,
    Scale,
    Step,
    Strides,
    reads,
    shifted,
    unrolled,
)
from .program import LEAF, SUM, Layout, Program
from .widths import width_of


def verify(program: Program) -> None:
    """Checks a Program.

    Raises: DanausError `invalid-program`, which names the operation by its position.
    """
    held: dict[int, int] = {}
    for number, layout in enumerate(program.layouts):
        _require(_whole(layout), f"network n{number}", "its nodes read what is not there")
    for position, operation in enumerate(program.operations):
        if isinstance(operation, Repeat):
            _loop(program, operation, held, f"operation {position}")
        else:
            _step(program, operation, held, ("operation ", position))
    _require(held.get(program.root) == 1, "the root", "is not one node that is filled")
    if program.layouts:
        steps = list(unrolled(program.operations))
        filled = {step.out for step in steps if isinstance(step, Density)}
        read = {source for step in steps if isinstance(step, Network) for source in step.sources}
        _require(read <= filled, "the network", "reads buffers that no density fills")


def _require(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise _invalid(where, what)


def _invalid(where: str, what: str) -> DanausError:
    return error("invalid-program", f"{where}: {what}")


def _loop(program: Program, loop: Repeat, held: dict[int, int], where: str) -> None:
    """A loop: its first turns and its last in full, and that the tables of all turns have one shape."""
    count = loop.count
    _require(count >= 1 and len(loop.body) > 0, where, "a loop without turns or body")
    _require(len(loop.columns) == len(loop.tables) == len(loop.body), where, "not one step per operation of the body")
    seen: list[dict[int, int]] = []
    for turn in sorted({0, min(1, count - 1), count - 1}):
        for number, step in enumerate(loop.body):
            moved = shifted(step, turn * loop.columns[number], turn * loop.tables[number])
            _step(program, moved, held, (where, ", turn ", turn, ", ", number))
        seen.append(dict(held))
    _require(all(state == seen[0] for state in seen), where, "a later turn fills buffers with other numbers of nodes")
    for number, step in enumerate(loop.body):
        if isinstance(step, Load | Fill | Scale | Contract):
            first, jump = step.table, loop.tables[number]
            shapes = {program.tables[first + turn * jump] for turn in range(count)} if jump else set()
            _require(len(shapes) < 2, f"{where}, {number}", "its tables differ in shape from turn to turn")
        if isinstance(step, Load | Density):
            jump = loop.columns[number]
            sizes = {program.columns[step.column + turn * jump] for turn in range(count)} if jump else set()
            _require(len(sizes) < 2, f"{where}, {number}", "its columns differ in size from turn to turn")


def _step(program: Program, step: Step, held: dict[int, int], where: tuple[object, ...]) -> None:
    """Checks one operation; where it stands is written out, part by part, only if something is wrong."""
    problem = _problem(program, step, held)
    if problem:
        raise _invalid(f"{''.join(map(str, where))}, {type(step).__name__}", problem)
    held[step.out] = width_of(step, tuple([held[source] for source in reads(step)]), program)


def _problem(program: Program, step: Step, held: dict[int, int]) -> str:
    """What is wrong with an operation, once the buffers before it are filled; empty where nothing is."""
    if not 0 <= step.out < len(program.buffers):
        return f"there is no buffer {step.out}"
    for source in reads(step):
        if source not in held:
            return f"buffer {source} is read before it is filled"
    below = tuple([held[source] for source in reads(step)])
    problem = _operands(program, step, below)
    if problem:
        return problem
    width = width_of(step, below, program)
    if not 1 <= width <= program.buffers[step.out]:
        return f"{width} nodes do not fit buffer {step.out}"
    if step.out in reads(step) and not (isinstance(step, Multiply | Scale) and held[step.out] == width):
        return f"buffer {step.out} is written while it is read"
    return ""


def _operands(program: Program, step: Step, below: tuple[int, ...]) -> str:
    match step:
        case Load(_, number, place):
            problem = _column(program, place) or _table(program, number, 2)
            if not problem:
                size, rows = program.columns[place], program.tables[number][0]
                if size <= 0 or rows != size + 1:
                    problem = f"{rows} rows for a column of {size} values"
            return problem
        case Density(_, source, place, _):
            problem = _column(program, place)
            if not problem and (program.columns[place] or source < 0):
                problem = "a density on a finite domain"
            return problem
        case Fill(_, number):
            return _table(program, number, 1)
        case Multiply():
            return "" if below and set(below) <= {1, max(below)} else f"factors of {list(below)} nodes"
        case AllPairs() | Join():
            return "" if below else "of nothing"
        case Gather(_, _, index):
            if not 0 <= index < len(program.indices):
                return f"there is no index {index}"
            inside = _within(program.indices[index], below[0])
            return "" if inside else f"index {index} is out of {below[0]} nodes"
        case Scale(_, _, number):
            problem = _table(program, number, 1)
            if not problem and program.tables[number] != below:
                problem = f"table {number} does not fit {below[0]} nodes"
            return problem
        case Contract(_, _, number, blocks, rows, columns, read, write):
            problem = _table(program, number, 3)
            if problem:
                return problem
            shape = program.tables[number]
            if shape not in ((blocks, rows, columns), (1, rows, columns)):
                return f"its table is {list(shape)}"
            if blocks * columns != below[0]:
                return f"{blocks} × {columns} of {below[0]} nodes"
            if not _is_order(read, columns, blocks):
                return "it does not read each node once"
            return "" if _is_order(write, rows, blocks) else "it does not write each node once"
        case Network(_, number, leaves, weights, _):
            if not 0 <= number < len(program.layouts):
                return f"there is no network {number}"
            problem = _table(program, leaves, 1) or _table(program, weights, 1)
            if problem:
                return problem
            layout = program.layouts[number]
            fits = _fits(layout, program.tables[leaves][0], program.tables[weights][0], program.columns, sum(below))
            return "" if fits else "its leaves or weights are out of its tables or columns"


def _table(program: Program, number: int, axes: int) -> str:
    if not 0 <= number < len(program.tables):
        return f"there is no table {number}"
    shape = program.tables[number]
    return "" if len(shape) == axes and min(shape, default=1) >= 0 else f"table {number} has shape {list(shape)}"


def _column(program: Program, number: int) -> str:
    return "" if 0 <= number < len(program.columns) else f"there is no column {number}"


def _within(index: np.ndarray[tuple[int, ...], np.dtype[np.int64]], size: int) -> bool:
    return bool(((index >= 0) & (index < size)).all())


def _is_order(strides: Strides, nodes: int, blocks: int) -> bool:
    """Whether i · block + j · node takes each number below blocks · nodes once: either digit is the slower one."""
    ahead = (blocks == 1 or strides.block == nodes) and (nodes == 1 or strides.node == 1)
    turned = (blocks == 1 or strides.block == 1) and (nodes == 1 or strides.node == blocks)
    return ahead or turned


def _fits(layout: Layout, leaves: int, weights: int, columns: Sequence[int], rows: int) -> bool:
    """Whether a network's leaves are in their table and columns, or rows of its sources, and its weights in theirs."""
    if not _within(layout.leaf_columns, len(columns)) or len(layout.leaf_columns) != len(layout.leaf_offsets):
        return False
    sizes = np.array([*columns, 0], dtype=np.int64)[layout.leaf_columns]
    soft = layout.soft
    ends = layout.leaf_offsets + sizes + 1
    named = layout.members[np.repeat(layout.kinds == LEAF, np.diff(layout.offsets))]
    return bool(
        ((sizes > 0) != soft).all()
        and (layout.leaf_offsets >= -rows).all()
        and (ends[~soft] <= leaves).all()
        and _within(named, len(ends))
        and (layout.weights < weights).all()
    )


def _whole(layout: Layout) -> bool:
    """Whether a network's arrays fit together, and each slot is written before it is read."""
    nodes, offsets = layout.nodes, layout.offsets
    if nodes < 1 or len(layout.slots) != nodes or len(offsets) != nodes + 1 or len(layout.weights) != layout.edges:
        return False
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != layout.edges or (lengths < 0).any() or not _within(layout.slots, layout.size):
        return False
    if not ((layout.kinds >= LEAF) & (layout.kinds <= SUM)).all() or (lengths[layout.kinds == LEAF] != 1).any():
        return False
    node = np.repeat(np.arange(nodes), lengths)
    inner = layout.kinds[node] != LEAF
    read = layout.members[inner]
    if not _within(read, layout.size):
        return False
    first = np.full(layout.size, nodes, dtype=np.int64)
    np.minimum.at(first, layout.slots, np.arange(nodes))
    return bool((first[read] < node[inner]).all() and (layout.weights >= -1).all())
