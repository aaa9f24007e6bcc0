"""Common subexpressions: what is computed twice from the same operands is computed once.

What enters is a Program whose buffers are filled once; what leaves has no two operations of one kind with the same
operands, tables and columns. Equal blocks of a circuit are one already; this finds those that were made apart.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.program.operation import (
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
    Scale,
    Step,
    reads,
    renamed,
    unrolled,
)
from ...ir.program.program import Program


def common(program: Program) -> Program:
    """The same Program with each operation once."""
    same: dict[int, int] = {}
    known: dict[object, int] = {}
    operations: list[Operation] = []
    for step in unrolled(program.operations):
        if same and any(source in same for source in reads(step)):
            place = {source: same.get(source, source) for source in reads(step)}
            step = renamed(step, {**place, step.out: step.out})
        first = known.setdefault(_key(step), step.out)
        if first == step.out:
            operations.append(step)
        else:
            same[step.out] = first
    if not same:
        return program
    return replace(program, operations=tuple(operations), root=same.get(program.root, program.root))


def _key(step: Step) -> object:
    """What an operation is, apart from the buffer that it fills."""
    match step:
        case Load(_, table, column):
            return (Load, table, column)
        case Multiply(_, factors):
            return (Multiply, factors if len(factors) != 2 or factors[0] <= factors[1] else factors[::-1])
        case Contract(_, source, table, blocks, rows, _, read, write):
            return (Contract, source, table, blocks, rows, read.block, read.node, write.block, write.node)
        case AllPairs(_, factors):
            return (AllPairs, factors)
        case Join(_, parts):
            return (Join, parts)
        case Gather(_, source, index):
            return (Gather, source, index)
        case Scale(_, source, table):
            return (Scale, source, table)
        case Fill(_, table):
            return (Fill, table)
        case Density(_, source, column, nodes):
            return (Density, source, column, nodes)
        case Network(_, layout, leaves, weights, sources):
            return (Network, layout, leaves, weights, sources)
