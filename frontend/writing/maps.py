"""Sums and selections as text: a linear map, and what it is of, as one call or a chain of calls.

What one `map=` cannot say is said in steps: a composed map with two `kron`, a selection that is no permutation, or a
sparse part whose last rows are empty; and a Kronecker product of structured maps, one factor after the other, slice by
slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    compose,
    expressions,
    monarch_parts,
)
from ...ir.parameter import constant
from .arrays import Arrays
from .fold import Folded


def obstacle(linear: LinearMap, folded: Folded) -> str:
    """Why a map has no text; empty where it has."""
    return next(filter(None, map(folded.obstacle, expressions(linear))), "")


@dataclass(frozen=True, slots=True)
class MapWriter:
    """Writes maps of one block: its arrays are named after a stem, and `bind` gives a name to a step."""

    arrays: Arrays
    folded: Folded
    stem: str
    indent: int
    bind: Callable[[str], str]

    def weighted(self, operand: str, linear: LinearMap) -> str:
        """A map of an operand, which is a name or a call."""
        text = operand
        for position, run in enumerate(reversed(_runs(_laid_flat(linear)))):
            text = self._run(text if position == 0 else self.bind(text), run)
        return text

    def _run(self, operand: str, run: Sequence[LinearMap]) -> str:
        match list(run):
            case [Selection(index, _)]:
                return self._selected(operand, index)
            case [Dense(weights)]:
                return f"sum({operand}, {self.arrays.numbers(self.folded.leaf(weights), self.stem, self.indent)})"
            case [Kronecker() as product] if not _is_plain(product):
                return self._by_factors(operand, _factors(product))
        names: list[str] = []
        parts = monarch_parts(compose(run))
        if parts:
            names = [self.arrays.name(self.folded.leaf(part), self.stem) for part in parts]
            form = f"monarch({', '.join(str(part.shape[1]) for part in parts)})"
        else:
            forms = [self._part(part, names) for part in run]
            form = forms[0] if len(forms) == 1 else f"compose({', '.join(forms)})"
        width = [f"width={run[0].outputs}"] if isinstance(run[0], Sparse) else []
        return f"sum({', '.join([operand, *names, *width, f'map={form}'])})"

    def _selected(self, operand: str, index: Indices) -> str:
        """A slice where the nodes stand in a row, else a gather."""
        start, stop = int(index[0]), int(index[-1]) + 1
        if np.array_equal(index, np.arange(start, stop)):
            return _slice(operand, start, stop)
        return f"gather({operand}, {self.arrays.index(index, self.stem, self.indent)})"

    def _part(self, part: LinearMap, names: list[str]) -> str:
        """A map as a part of `map=`; the names of its arrays are added to those so far."""
        match part:
            case Dense(weights) | Diagonal(weights) | BlockDiagonal(weights):
                names.append(self.arrays.name(self.folded.leaf(weights), self.stem))
                if isinstance(part, BlockDiagonal):
                    return f"block_diagonal({part.blocks})"
                return "dense" if isinstance(part, Dense) else "diagonal"
            case Kronecker():
                for factor in _factors(part):
                    names += [self.arrays.name(self.folded.leaf(found), self.stem) for found in expressions(factor)]
                return "kron"
            case Selection(index, _):
                return f"permute({self.arrays.index(index, self.stem, self.indent)})"
            case Sparse(rows, columns, weights):
                leaf = self.folded.leaf(weights)
                if not len(rows):  # a sum of nothing: one weight, of zero
                    rows = columns = np.zeros(1, dtype=np.int64)
                    leaf = constant(np.zeros(1))
                names.append(self.arrays.name(leaf, self.stem))
                row, column = (self.arrays.index(index, self.stem, self.indent) for index in (rows, columns))
                return f"sparse({row}, {column})"
            case Compose():
                raise AssertionError("the parts of a composed map are laid flat")

    def _by_factors(self, operand: str, factors: Sequence[LinearMap]) -> str:
        """A Kronecker product, the last factor first: each acts on its digit of the index, brought to the end."""
        sizes = [factor.inputs for factor in factors]
        text = operand
        for position in reversed(range(len(factors))):
            factor, before, after = factors[position], prod(sizes[:position]), prod(sizes[position + 1 :])
            if isinstance(factor, Selection) and factor.is_identity:
                continue
            size = sizes[position]
            name = self._named(self._turned(text, (before, size, after)))
            if before * after == 1:
                text = self.weighted(name, factor)
            else:
                slices = (self.bind(_slice(name, i * size, (i + 1) * size)) for i in range(before * after))
                parts = [self.bind(self.weighted(part, factor)) for part in slices]
                text = f"concat({', '.join(parts)})"
            sizes[position] = factor.outputs
            text = self._turned(text, (before, after, factor.outputs))
        return text

    def _named(self, text: str) -> str:
        return self.bind(text) if text[-1] in ")]" else text

    def _turned(self, text: str, digits: tuple[int, int, int]) -> str:
        """The nodes with the last two of their three digits exchanged."""
        if 1 in digits[1:]:
            return text
        index = np.arange(prod(digits)).reshape(digits).swapaxes(1, 2).ravel()
        return f"gather({self._named(text)}, {self.arrays.index(index, self.stem, self.indent)})"


def _slice(name: str, start: int, stop: int) -> str:
    return f"{name}[{start}]" if stop == start + 1 else f"{name}[{start}..{stop}]"


def _laid_flat(linear: LinearMap) -> tuple[LinearMap, ...]:
    if not isinstance(linear, Compose):
        return (linear,)
    made = compose(linear.maps)
    return made.maps if isinstance(made, Compose) else (made,)


def _factors(linear: Kronecker) -> list[LinearMap]:
    """The factors of a Kronecker product; those of a factor that is one itself stand in its place."""
    flat: list[LinearMap] = []
    stack: list[LinearMap] = [linear]
    while stack:
        part = stack.pop()
        if isinstance(part, Kronecker):
            stack.extend(reversed(part.factors))
        else:
            flat.append(part)
    return flat


def _is_plain(linear: Kronecker) -> bool:
    """Whether all factors are matrices, as `map=kron` takes them."""
    return all(isinstance(factor, Dense) for factor in _factors(linear))


def _runs(parts: Sequence[LinearMap]) -> list[list[LinearMap]]:
    """Parts of a composed map, the last applied first, cut into stretches that one call can say each."""
    runs: list[list[LinearMap]] = []
    for part in reversed(parts):
        if runs and _continues(part, runs[-1]):
            runs[-1].insert(0, part)
        else:
            runs.append([part])
    return runs[::-1]


def _continues(part: LinearMap, run: Sequence[LinearMap]) -> bool:
    """Whether a part can stand in one `compose` before those that are applied first."""
    last = run[0]
    for other in (part, last):
        if isinstance(other, Selection) and not other.is_permutation:
            return False
        if isinstance(other, Kronecker) and not _is_plain(other):
            return False
    if isinstance(part, Kronecker) and any(isinstance(other, Kronecker) for other in run):
        return False
    # Only of the first part of a compose does a text say how many outputs it has.
    return not isinstance(last, Sparse) or (len(last.rows) > 0 and int(last.rows.max()) + 1 == last.outputs)
