"""A Program without loops whose buffers are filled once each: what a walk back from the root reads.

What enters is any Program; what leaves computes the same, with its loops spelt out and a new buffer for every value.
"""

from __future__ import annotations

from dataclasses import replace

from .operation import Step, reads, renamed, unrolled
from .program import Program
from .widths import width_of


def single(program: Program) -> Program:
    """The same Program, its loops spelt out and each of its buffers filled by one operation."""
    place: dict[int, int] = {}
    sizes: list[int] = []
    steps: list[Step] = []
    for step in unrolled(program.operations):
        sources = reads(step)
        own = {source: place[source] for source in sources}
        # one that writes over what it reads is renamed as it reads, then writes elsewhere
        steps.append(replace(renamed(step, {step.out: len(sizes), **own}), out=len(sizes)))
        size = width_of(step, tuple(sizes[place[source]] for source in sources), program)
        place[step.out] = len(sizes)
        sizes.append(size)
    return replace(program, operations=tuple(steps), buffers=tuple(sizes), root=place[program.root])
