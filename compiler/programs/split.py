"""Products of many factors become products of two, so that a kernel holds two buffers and a range.

What enters is a Program whose buffers are filled once; factors of few nodes come first, so that products stay narrow.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.program.operation import AllPairs, Multiply, Operation
from ...ir.program.program import Program


def split(program: Program) -> Program:
    """The same Program with two factors in every product."""
    sizes = list(program.buffers)
    operations: list[Operation] = []

    def buffer(nodes: int) -> int:
        sizes.append(nodes)
        return len(sizes) - 1

    for operation in program.operations:
        match operation:
            case Multiply(out, factors) if len(factors) > 2:
                ordered = sorted(factors, key=lambda factor: sizes[factor])
                left = ordered[0]
                for factor in ordered[1:-1]:
                    after = buffer(max(sizes[left], sizes[factor]))
                    operations.append(Multiply(after, (left, factor)))
                    left = after
                operations.append(Multiply(out, (left, ordered[-1])))
            case AllPairs(out, factors) if len(factors) > 2:
                left = factors[0]
                for factor in factors[1:-1]:
                    after = buffer(sizes[left] * sizes[factor])
                    operations.append(AllPairs(after, (left, factor)))
                    left = after
                operations.append(AllPairs(out, (left, factors[-1])))
            case _:
                operations.append(operation)
    return replace(program, operations=tuple(operations), buffers=tuple(sizes))
