"""Large circuits of single nodes, packed level by level into few blocks.

What enters is a size and a seed; what leaves is a circuit as a reader of compiled logic would build it. Each sum
decides a variable; its children are products of a literal on it, further literals, and nodes over parts of the rest.
All are smooth, decomposable and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from danaus.frontend.formats.pack import pack
from danaus.ir.block import input_block
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from danaus.ir.family import Indicator
from danaus.ir.store import Store

Indices = np.ndarray


@dataclass
class Nodes:
    """A graph of single nodes: the literals first (variable v is ¬v at 2v, v at 2v + 1), then sums and products."""

    variables: int
    sums: list[bool] = field(default_factory=list[bool])
    below: list[list[int]] = field(default_factory=list[list[int]])

    def add(self, is_sum: bool, below: list[int]) -> int:
        """A new node, by its number."""
        self.sums.append(is_sum)
        self.below.append(below)
        return 2 * self.variables + len(self.below) - 1

    def circuit(self, root: int) -> Circuit:
        """The nodes below a root, packed: all sums of a level are one block, and all products."""
        counts = np.array([len(row) for row in self.below], dtype=np.int64)
        members = np.array([node for row in self.below for node in row], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return packed(self.variables, np.array(self.sums, dtype=bool), offsets, members, root)


def packed(variables: int, sums: Indices, offsets: Indices, members: Indices, root: int) -> Circuit:
    """A circuit of single nodes, the literals of some variables first."""
    named = [Variable(f"x{v}", Bool()) for v in range(variables)]
    inputs = [input_block(Indicator(value), variable) for variable in named for value in (0, 1)]
    return Circuit(pack(inputs, sums, offsets, members, None, root).root, Store())


def bushy(size: int, variables: int, seed: int, extra: int = 1, tops: int = 6) -> Circuit:
    """About `size` nodes: 2^tops decision trees of shared nodes, each along a tree over the variables of its own."""
    random = np.random.default_rng(seed)
    nodes = Nodes(variables)
    pool = max(1, size // ((1 << tops) * variables * 3 // (1 + extra)))
    roots = [
        _over(nodes, random, list(random.permutation(np.arange(tops, variables))), pool, extra)
        for _ in range(1 << tops)
    ]
    leaves = [found[0] for found in roots]
    for v in reversed(range(tops)):
        leaves = [
            nodes.add(True, [nodes.add(False, [2 * v, a]), nodes.add(False, [2 * v + 1, b])])
            for a, b in zip(leaves[::2], leaves[1::2], strict=True)
        ]
    return nodes.circuit(leaves[0])


def _over(nodes: Nodes, random: np.random.Generator, order: list[int], pool: int, extra: int) -> list[int]:
    """Some nodes over all of the variables, by halves."""
    parts: list[list[int]] = []
    made: dict[int, list[int]] = {}
    stack = [(order, -1)]
    todo: list[tuple[list[int], int, list[int]]] = []
    while stack:
        own, parent = stack.pop()
        number = len(todo)
        head, rest = own[: 1 + extra], own[1 + extra :]
        todo.append((head, parent, []))
        if parent >= 0:
            todo[parent][2].append(number)
        if rest:
            cut = int(random.integers(1, len(rest) + 1))
            stack.extend((part, number) for part in (rest[:cut], rest[cut:]) if part)
    del parts
    for number in reversed(range(len(todo))):
        head, _, below = todo[number]
        values = random.integers(2, size=(pool, 2, len(head)))
        values[:, :, 0] = [0, 1]
        found = []
        for each in values.tolist():
            pair = []
            for row in each:
                chosen = [made[child][int(random.integers(len(made[child])))] for child in below]
                pair.append(nodes.add(False, [2 * v + value for v, value in zip(head, row, strict=True)] + chosen))
            found.append(nodes.add(True, pair))
        made[number] = found
    return made[0]


def deep(size: int, variables: int, levels: int, seed: int) -> Circuit:
    """About `size` nodes in so many levels: decisions in a chain over the variables, padded by nodes of one child."""
    random = np.random.default_rng(seed)
    nodes = Nodes(variables)
    padding = max(0, levels // variables - 2)
    width = max(1, size // (variables * (3 + padding)))
    row = [nodes.add(False, [2 * (variables - 1) + int(random.integers(2))]) for _ in range(width)]
    for v in reversed(range(variables - 1)):
        a, b = random.permutation(width).tolist(), random.permutation(width).tolist()
        row = [
            nodes.add(True, [nodes.add(False, [2 * v, row[i]]), nodes.add(False, [2 * v + 1, row[j]])])
            for i, j in zip(a, b, strict=True)
        ]
        for turn in range(padding):
            row = [nodes.add(turn % 2 == 1, [node]) for node in row]
    return nodes.circuit(row[0])
