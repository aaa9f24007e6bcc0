"""Vtrees as text, as libsdd reads and writes them: made from an order of variables, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Tree = dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class VtreeNodes:
    """Nodes, children first: leaves have a variable, inner nodes two children."""

    order: tuple[int, ...]
    leaves: dict[int, int]
    inner: Tree


def read_vtree_text(text: str) -> VtreeNodes:
    """The nodes of a vtree that libsdd wrote."""
    order: list[int] = []
    leaves: dict[int, int] = {}
    inner: Tree = {}
    for line in text.split("\n"):
        words = line.split()
        if words[:1] == ["L"]:
            leaves[int(words[1])] = int(words[2])
            order.append(int(words[1]))
        elif words[:1] == ["I"]:
            inner[int(words[1])] = (int(words[2]), int(words[3]))
            order.append(int(words[1]))
    return VtreeNodes(tuple(order), leaves, inner)


def balanced_vtree(variables: Sequence[int]) -> str:
    """The balanced vtree over variables in an order."""
    lines = [f"L {number} {variable}" for number, variable in enumerate(variables)]
    trees = list(range(len(lines)))
    while len(trees) > 1:
        paired: list[int] = []
        for at in range(0, len(trees) - 1, 2):
            lines.append(f"I {len(lines)} {trees[at]} {trees[at + 1]}")
            paired.append(len(lines) - 1)
        trees = paired + trees[len(trees) - len(trees) % 2 :]
    return "\n".join([f"vtree {len(lines)}", *lines, ""])
