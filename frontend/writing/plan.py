"""Which blocks a text can spell, and which only an operator can make: in what form each block is written.

What enters are circuits, with those that their operators were given. What leaves is, for each block that can be
written, its own form or the circuit that stands for it. It is forward chaining over two kinds of rules, "a block, from
its children" and "a root, from the roots of what its operator was given", the first kind first: so a block is spelled
where it can be, an operator is named where it must be, and the result has no cycle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...ir.block import Block, Input, children
from ...ir.circuit import Circuit
from ...ir.diagnostic import DanausError, error
from .blocks import obstacle
from .fold import Folded
from .operators import is_operator


def with_origins(circuits: Iterable[Circuit]) -> list[Circuit]:
    """Circuits and all that they were made from, each once, in order."""
    out: dict[Circuit, None] = {}
    stack = [*circuits][::-1]
    while stack:
        circuit = stack.pop()
        if circuit not in out:
            out[circuit] = None
            stack.extend(reversed(circuit.origin.circuits if circuit.origin else ()))
    return list(out)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A block can be written where all of `needs` can: in its own form, or as a circuit that an operator makes."""

    block: Block
    needs: tuple[Block, ...]
    made: Circuit | None


def forms(circuits: Sequence[Circuit], folded: Folded) -> dict[Block, Circuit | None]:
    """For each block that can be written: None for its own form, or the circuit that stands for it."""
    seen: dict[Block, None] = {}
    rules: list[_Rule] = []
    for circuit in circuits:
        for block in circuit.blocks:
            if block not in seen:
                seen[block] = None
                if not obstacle(block, folded):
                    rules.append(_Rule(block, children(block), None))
        if is_operator(circuit.origin):
            assert circuit.origin is not None
            rules.append(_Rule(circuit.root, tuple(made.root for made in circuit.origin.circuits), circuit))
    return _chained(rules)


def _chained(rules: Sequence[_Rule]) -> dict[Block, Circuit | None]:
    missing = [len(set(rule.needs)) for rule in rules]
    waiting: dict[Block, list[int]] = {}
    for number, rule in enumerate(rules):
        for block in set(rule.needs):
            waiting.setdefault(block, []).append(number)
    spelled: deque[int] = deque()
    made: deque[int] = deque()
    for number, count in enumerate(missing):
        if not count:
            (made if rules[number].made else spelled).append(number)
    out: dict[Block, Circuit | None] = {}
    while spelled or made:
        rule = rules[spelled.popleft() if spelled else made.popleft()]
        if rule.block in out:
            continue
        out[rule.block] = rule.made
        for number in waiting.get(rule.block, ()):
            missing[number] -= 1
            if not missing[number]:
                (made if rules[number].made else spelled).append(number)
    return out


def unwritable(circuit: Circuit, found: Mapping[Block, Circuit | None], folded: Folded) -> DanausError:
    """The error of a circuit with a block that has no text, and no operator that made it."""
    blocks = (block for block in circuit.blocks if block not in found and obstacle(block, folded))
    block = next(blocks, circuit.root)
    what = "an input" if isinstance(block, Input) else "a sum"
    holds = obstacle(block, folded) or "what only an operator made, over other free variables"
    return error(
        "no-text-form",
        f'"{circuit.name}" cannot be written: {what} in it holds {holds}',
        block.span or circuit.span,
        hint="write it together with the circuits that it was built from",
    )
