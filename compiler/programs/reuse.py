"""Liveness: buffers whose value is no longer read take the next one, so that memory follows what lives at once.

What enters is a Program whose buffers are filled once; what leaves has fewer, each as large as the largest value in it.
An elementwise product may write over the factor that it is the last to read.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.program.operation import Multiply, Operation, Scale, reads, renamed, unrolled
from ...ir.program.program import Program


def reuse(program: Program) -> Program:
    """The same Program over as few buffers as the order of its operations allows."""
    steps = list(unrolled(program.operations))
    read = [reads(operation) for operation in steps]
    last: dict[int, int] = {program.root: len(steps)}
    for position in reversed(range(len(steps))):
        for source in read[position]:
            last.setdefault(source, position)
    sizes: list[int] = []
    free: list[int] = []
    place: dict[int, int] = {}
    operations: list[Operation] = []
    for position, operation in enumerate(steps):
        dying = [source for source in dict.fromkeys(read[position]) if last[source] == position]
        out, nodes = operation.out, program.buffers[operation.out]
        mine: list[int] = []
        if dying and isinstance(operation, Multiply | Scale):
            mine = [place[source] for source in dying if program.buffers[source] == nodes]
        place[out] = mine[0] if mine else _taken(free, sizes, nodes)
        for source in dying:
            if place[source] != place[out]:
                free.append(place[source])
        operations.append(renamed(operation, place))
        if out not in last:
            free.append(place[out])
    return replace(program, operations=tuple(operations), buffers=tuple(sizes), root=place[program.root])


def _taken(free: list[int], sizes: list[int], nodes: int) -> int:
    """The free buffer that fits best: the smallest that is large enough, else the largest, made larger."""
    if not free:
        sizes.append(nodes)
        return len(sizes) - 1
    enough = [buffer for buffer in free if sizes[buffer] >= nodes]
    chosen = min(enough, key=lambda buffer: sizes[buffer]) if enough else max(free, key=lambda buffer: sizes[buffer])
    free.remove(chosen)
    sizes[chosen] = max(sizes[chosen], nodes)
    return chosen
