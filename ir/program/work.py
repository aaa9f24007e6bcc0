"""How much a Program computes: floating-point operations per row, whatever they run on."""

from __future__ import annotations

from .operation import AllPairs, Contract, Multiply, Network, Repeat, Scale, Step
from .program import PRODUCT, Layout, Program
from .widths import Width, widths


def operations_per_row(program: Program) -> int:
    """Multiplications and additions per row of data; those that keep numbers in range are not counted."""
    found = iter(widths(program))
    total = 0
    for operation in program.operations:
        if isinstance(operation, Repeat):
            total += operation.count * sum(_step(program, step, next(found)) for step in operation.body)
        else:
            total += _step(program, operation, next(found))
    return total


def _step(program: Program, step: Step, width: Width) -> int:
    match step:
        case Contract(blocks=blocks, rows=rows, columns=columns):
            return 2 * blocks * rows * columns
        case Multiply() | AllPairs() | Scale():
            return width[0]
        case Network(layout=layout):
            return _network(program.layouts[layout])
        case _:
            return 0


def _network(layout: Layout) -> int:
    """An operation per edge beyond the first of a node, and one per weight."""
    inner = layout.kinds >= PRODUCT
    edges = (layout.offsets[1:] - layout.offsets[:-1])[inner]
    return int((edges - 1).sum() + (layout.weights >= 0).sum())
