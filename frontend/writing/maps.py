"""Sums and selections as text: a linear map, and what it is of, as one call or a chain of calls.

A composed map that one `map=` cannot say (two `kron`, a selection that is no permutation, a sparse part whose last rows
are empty) is said by several sums, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.expression import constant
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    compose,
    expressions,
    monarch_parts,
)
from .arrays import Arrays
from .fold import Folded, factors


def obstacle(linear: LinearMap, folded: Folded) -> str:
    """Why a map has no text; empty where it has."""
    for part in _flat(linear):
        if isinstance(part, Kronecker):
            found = [folded.matrix_obstacle(factor) for factor in factors(part)]
        else:
            found = [folded.obstacle(expression) for expression in expressions(part)]
        if reasons := [reason for reason in found if reason]:
            return reasons[0]
    return ""


def _flat(linear: LinearMap) -> tuple[LinearMap, ...]:
    if not isinstance(linear, Compose):
        return (linear,)
    made = compose(linear.maps)
    return made.maps if isinstance(made, Compose) else (made,)


@dataclass(frozen=True, slots=True)
class MapWriter:
    """Writes maps of one block, whose arrays are named after a stem."""

    arrays: Arrays
    folded: Folded
    stem: str
    indent: int

    def weighted(self, operand: str, linear: LinearMap, bind: Callable[[str], str]) -> str:
        """A map of an operand; `bind` gives a name to a call that another is made of."""
        runs = _runs(_flat(linear))
        text = operand
        for position, run in enumerate(reversed(runs)):
            text = self._run(text if position == 0 else bind(text), run)
        return text

    def _run(self, operand: str, run: Sequence[LinearMap]) -> str:
        match list(run):
            case [Selection() as chosen]:
                return self._selected(operand, chosen)
            case [Dense(weights)]:
                return f"sum({operand}, {self.arrays.numbers(self.folded.leaf(weights), self.stem, self.indent)})"
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

    def _selected(self, operand: str, chosen: Selection) -> str:
        """A slice where the nodes stand in a row, else a gather."""
        index = chosen.index
        start, stop = int(index[0]), int(index[-1]) + 1
        if np.array_equal(index, np.arange(start, stop)):
            return f"{operand}[{start}]" if stop == start + 1 else f"{operand}[{start}..{stop}]"
        return f"gather({operand}, {self.arrays.index(index, self.stem, self.indent)})"

    def _part(self, part: LinearMap, names: list[str]) -> str:
        """A map as a part of `map=`; the names of its arrays are added to those so far."""
        match part:
            case Dense(weights):
                names.append(self.arrays.name(self.folded.leaf(weights), self.stem))
                return "dense"
            case Diagonal(weights):
                names.append(self.arrays.name(self.folded.leaf(weights), self.stem))
                return "diagonal"
            case BlockDiagonal(weights):
                names.append(self.arrays.name(self.folded.leaf(weights), self.stem))
                return f"block_diagonal({part.blocks})"
            case Kronecker():
                names.extend(self.arrays.name(self.folded.matrix(factor), self.stem) for factor in factors(part))
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
                raise AssertionError("a composed map is written part by part")


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
    if any(isinstance(other, Selection) and not other.is_permutation for other in (part, last)):
        return False
    if isinstance(part, Kronecker) and any(isinstance(other, Kronecker) for other in run):
        return False
    # Only of the first part of a compose does a text say how many outputs it has.
    return not isinstance(last, Sparse) or (len(last.rows) > 0 and int(last.rows.max()) + 1 == last.outputs)
