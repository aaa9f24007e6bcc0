"""Vtrees as text, as libsdd reads and writes them: made from an elimination order, and read back."""

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


def elimination_vtree(count: int, order: Sequence[int], parents: dict[int, int]) -> str:
    """A vtree over variables 1 … count in the shape of an elimination tree.

    What was eliminated below a variable stands beside it; trees of equal rank are joined in a balanced way.
    """
    below: dict[int, list[int]] = {}
    lines: list[str] = []

    def leaf(variable: int) -> int:
        lines.append(f"L {len(lines)} {variable}")
        return len(lines) - 1

    def joined(trees: list[int]) -> int:
        while len(trees) > 1:
            paired: list[int] = []
            for at in range(0, len(trees) - 1, 2):
                lines.append(f"I {len(lines)} {trees[at]} {trees[at + 1]}")
                paired.append(len(lines) - 1)
            trees = paired + trees[len(trees) - len(trees) % 2 :]
        return trees[0]

    listed = set(order)
    roots: list[int] = []
    for variable in [*order, *(each for each in range(1, count + 1) if each not in listed)]:
        trees = below.pop(variable, [])
        mine = leaf(variable)
        tree = joined([mine, joined(trees)]) if trees else mine
        if variable in parents:
            below.setdefault(parents[variable], []).append(tree)
        else:
            roots.append(tree)
    joined(roots)
    return "\n".join([f"vtree {len(lines)}", *lines, ""])
