"""How many nodes each operation of a Program reads and writes, by the operations before it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

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
    reads,
)
from .program import Program

Width = tuple[int, tuple[int, ...]]


def widths(program: Program) -> list[Width]:
    """For each operation, those in the bodies of loops once, the nodes that it writes and that each source has."""
    found: list[Width] = []
    _walk(program, program.operations, {}, found)
    return found


def _walk(program: Program, operations: Sequence[Operation], held: dict[int, int], found: list[Width]) -> None:
    for operation in operations:
        if isinstance(operation, Repeat):
            _walk(program, operation.body, held, found)
            continue
        sources = tuple(held[source] for source in reads(operation))
        held[operation.out] = width_of(operation, sources, program)
        found.append((held[operation.out], sources))


def width_of(operation: Step, sources: tuple[int, ...], program: Program) -> int:
    """The nodes that an operation writes, from those that it reads."""
    match operation:
        case Load(_, table, _):
            return program.tables[table][1]
        case Fill(_, table):
            return program.tables[table][0]
        case Density(nodes=nodes):
            return nodes
        case Multiply():
            return max(sources)
        case AllPairs():
            return prod(sources)
        case Join():
            return sum(sources)
        case Gather(index=index):
            return len(program.indices[index])
        case Scale():
            return sources[0]
        case Contract(blocks=blocks, rows=rows):
            return blocks * rows
        case Network():
            return 1
