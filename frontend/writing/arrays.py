"""The arrays of a text: which stand in it, which go to the `.safetensors` beside it, and under which names.

An array of more than 64 numbers goes to the file, unless a float64 does not hold its numbers exactly. Parameters keep
their names; constants and indices that need one are named after the block that they are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Constant, Constraint, Parameter, Value
from ...ir.store import Store, settle
from .fold import Leaf
from .names import Names, spelled
from .numbers import array_text, listed, nested

MOST_INLINE = 64

Tensor = NDArray[np.float64] | NDArray[np.int64]


@dataclass(slots=True)
class Arrays:
    """The arrays that a text has used so far, and the statements that declare them."""

    store: Store
    names: Names
    statements: list[str] = field(default_factory=list[str])
    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    _reserved: dict[Parameter, str] = field(default_factory=dict[Parameter, str])
    _declared: set[Parameter] = field(default_factory=set[Parameter])
    _constants: dict[tuple[Constant, Constraint], str] = field(default_factory=dict[tuple[Constant, Constraint], str])
    _indices: dict[tuple[tuple[int, ...], bytes], str] = field(default_factory=dict[tuple[tuple[int, ...], bytes], str])

    def reserve(self, parameters: Iterable[Parameter]) -> None:
        """Gives parameters their names, before any constant or index takes one; a second of one name is numbered."""
        for parameter in parameters:
            if parameter not in self._reserved:
                self._reserved[parameter] = self.names.fresh(parameter.name)

    def name(self, leaf: Leaf, stem: str, constraint: Constraint = "real") -> str:
        """The name of an array, spelled; a constant is declared as a `const` named after the stem."""
        if isinstance(leaf, Parameter):
            if leaf not in self._declared:
                self._declared.add(leaf)
                keyword = "param" if leaf.learnable else "const"
                value, _ = settle(leaf, self.store[leaf])
                self._declare(keyword, self._reserved[leaf], leaf.constraint, value)
            return spelled(self._reserved[leaf])
        found = self._constants.get((leaf, constraint))
        if found is None:
            found = self._constants[leaf, constraint] = self.names.fresh(stem)
            self._declare("const", found, None if constraint == "real" else constraint, leaf.value)
        return spelled(found)

    def numbers(self, leaf: Leaf, stem: str, indent: int, constraint: Constraint = "real") -> str:
        """An array where a list of numbers may stand: the list, or the name of an array that is declared or moved."""
        if isinstance(leaf, Parameter) or is_moved(leaf.value):
            return self.name(leaf, stem, constraint)
        return array_text(leaf.value, indent)

    def _declare(self, keyword: str, name: str, constraint: Constraint | None, value: Value) -> None:
        head = f"{keyword} {spelled(name)}{_sizes(value.shape)}" + (f" : {constraint}" if constraint else "")
        if is_moved(value):
            self.tensors[name] = value.floats
            self.statements.append(head)
        else:
            self.statements.append(f"{head} = {array_text(value, 0)}")

    def index(self, values: Indices, stem: str, indent: int) -> str:
        """A flat index: a list, or the name of an `index` where it is long."""
        if len(values) <= MOST_INLINE:
            return listed([str(value) for value in values.tolist()], indent)
        return self._index(values, stem)

    def rows(self, offsets: Indices, members: Indices, stem: str, indent: int) -> str:
        """The rows of a product's index: lists, or the name of an `index` with rows padded by −1 where they are many.

        Rows so unequal that padding would waste most of it stand in the text.
        """
        lengths = np.diff(offsets)
        width = int(lengths.max(initial=0))
        padded = len(lengths) * max(width, 1)
        if max(len(members), len(lengths)) <= MOST_INLINE or padded > max(1 << 22, 8 * (len(members) + len(lengths))):
            texts = [str(value) for value in members.tolist()]
            bounds = offsets.tolist()
            rows = [f"[{', '.join(texts[a:b])}]" for a, b in pairwise(bounds)]
            return listed(rows, indent)
        table = np.full((len(lengths), max(width, 1)), -1, dtype=np.int64)
        row = np.repeat(np.arange(len(lengths)), lengths)
        table[row, np.arange(len(members)) - np.repeat(offsets[:-1], lengths)] = members
        return self._index(table, stem)

    def _index(self, values: Indices, stem: str) -> str:
        key = (tuple(values.shape), values.tobytes())
        found = self._indices.get(key)
        if found is None:
            found = self._indices[key] = self.names.fresh(stem)
            head = f"index {spelled(found)}{_sizes(values.shape)}"
            if values.size > MOST_INLINE:
                self.tensors[found] = values
                self.statements.append(head)
            else:
                texts = [str(value) for value in values.ravel().tolist()]
                self.statements.append(f"{head} = {nested(texts, values.shape, 0)}")
        return spelled(found)


def is_moved(value: Value) -> bool:
    """Whether an array goes to the file beside the text."""
    return value.floats.size > MOST_INLINE and value.rationals is None


def _sizes(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else ""
