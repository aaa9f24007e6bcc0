"""The vtree that a structured circuit follows: a tree whose leaves are variables, of any arity and any depth.

Held flat, children before parents, so that a chain of ten thousand variables is built, compared and printed without
recursion.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.domain import Variable


@dataclass(frozen=True, slots=True)
class Vtree:
    """A tree over variables: each node is a variable or the positions of its children, which stand before it.

    The last node is the root; a circuit without variables has no nodes. Children are in the order of their first
    variables, so that equal trees are equal values.
    """

    nodes: tuple[Variable | tuple[int, ...], ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The leaves, from left to right."""
        found: list[Variable] = []
        stack = [len(self.nodes) - 1] if self.nodes else []
        while stack:
            node = self.nodes[stack.pop()]
            if isinstance(node, Variable):
                found.append(node)
            else:
                stack.extend(reversed(node))
        return tuple(found)

    def __str__(self) -> str:
        """The tree in nested parentheses: ((a b) c)."""
        parts: list[str] = []
        stack: list[int | str] = [len(self.nodes) - 1] if self.nodes else ["()"]
        while stack:
            item = stack.pop()
            node = item if isinstance(item, str) else self.nodes[item]
            if isinstance(node, tuple):
                between: list[int | str] = ["("]
                for position, child in enumerate(node):
                    between += [" ", child] if position else [child]
                stack.extend(reversed([*between, ")"]))
            else:
                parts.append(str(node))
        return "".join(parts)
