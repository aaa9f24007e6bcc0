"""A circuit as a tree of lines, the root on top, for a terminal."""

from __future__ import annotations

from ..block import Block, children
from ..circuit import Circuit
from .label import label

_MOST_LINES = 40
_MOST_LEVELS = 24


def picture(circuit: Circuit, lines: int = _MOST_LINES) -> str:
    """The circuit's blocks as a tree, each with its width, without a newline at its end.

    A block that stands in several places is drawn once, with a number, and named by it elsewhere. Of a large circuit
    the first so many lines are drawn.

    >>> from danaus.ir.block import hadamard, input_block, weighted
    >>> from danaus.ir.domain import Bool, Variable
    >>> from danaus.ir.parameter import constant
    >>> from danaus.ir.family import Bernoulli
    >>> from danaus.ir.linear import Dense
    >>> from danaus.ir.store import Store
    >>> a, b = (input_block(Bernoulli(), Variable(x, Bool()), [constant([0.2, 0.9])]) for x in ("rain", "wet"))
    >>> print(picture(Circuit(weighted([hadamard([a, b])], Dense(constant([[0.3, 0.7]]))), Store(), "p")))
    sum dense 1 × 2 : 1
    └─ product elementwise : 2
       ├─ bernoulli rain : 2
       └─ bernoulli wet : 2
    """
    shared = _shared(circuit)
    numbers: dict[Block, int] = {}
    drawn: set[Block] = set()
    out: list[str] = []
    stack: list[tuple[Block, str, str, int]] = [(circuit.root, "", "", 0)]
    while stack and len(out) < lines:
        block, lead, indent, level = stack.pop()
        if block in numbers:
            out.append(f"{lead}↑ #{numbers[block]}")
            continue
        drawn.add(block)
        mark = ""
        if block in shared:
            numbers[block] = len(numbers) + 1
            mark = f"  #{numbers[block]}"
        out.append(f"{lead}{label(block)}{mark}")
        below = children(block)
        if below and level == _MOST_LEVELS:
            out.append(f"{indent}└─ …")
            continue
        for position in reversed(range(len(below))):
            last = position == len(below) - 1
            ends = ("└─ ", "   ") if last else ("├─ ", "│  ")
            stack.append((below[position], indent + ends[0], indent + ends[1], level + 1))
    hidden = len(circuit.blocks) - len(drawn)
    if hidden:
        out.append(f"… and {hidden:,} more block{'' if hidden == 1 else 's'}")
    return "\n".join(out)


def _shared(circuit: Circuit) -> set[Block]:
    """The blocks, other than plain inputs of one place, that stand in more than one place."""
    seen: set[Block] = set()
    out: set[Block] = set()
    for block in circuit.blocks:
        for child in children(block):
            (out if child in seen else seen).add(child)
    return out
