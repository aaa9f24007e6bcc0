"""Where inputs are not zero: the values of a variable in classes, and for each input node the classes that it has.

Values that no input tells apart are one class, so that a variable of an infinite domain has few: the values that some
indicator names, and all others. A learnable number counts as non-zero. What is not certain to be zero is not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....ir.block import Input
from ....ir.density import domain_values
from ....ir.dependence import is_learnable
from ....ir.diagnostic import DanausError
from ....ir.domain import FiniteDomain, Variable
from ....ir.expression import Expression
from ....ir.family import Bernoulli, Binomial, Categorical, Gaussian, Indicator, InputProduct, Poisson, Table
from ....ir.linear import Indices
from ....ir.numbers import Numbers
from ....ir.parameter import Constant, Floats, Parameter
from ....ir.products import singles_of
from ....ir.scope import Bits
from ....ir.semirings import BOOLEAN, EXACT
from ....ir.support import Booleans, Support
from .graph import Graph

_WORD = 64


@dataclass(frozen=True)
class Domains:
    """The variables of a graph's inputs, their classes of values, and the classes of each input node.

    `representatives` has a value of each class; `variable` is the position of each input node's variable, -1 for other
    nodes; `masks` [nodes of inputs, words] the classes where it is not zero, at `row` of the node; `sizes` the number
    of classes of each variable.
    """

    variables: tuple[Variable, ...]
    representatives: tuple[Floats, ...]
    sizes: Indices
    variable: Indices
    row: Indices
    masks: Bits

    @cached_property
    def restricts(self) -> Booleans:
        """Whether each input node is zero for some class, [rows of masks]."""
        return np.asarray(np.bitwise_count(self.masks).sum(axis=1, dtype=np.int64) < self._own_sizes)

    @cached_property
    def _own_sizes(self) -> Indices:
        nodes = np.flatnonzero(self.variable >= 0)
        out = np.zeros(len(self.masks), dtype=np.int64)
        out[self.row[nodes]] = self.sizes[self.variable[nodes]]
        return out

    def mask(self, node: int) -> int:
        """The classes of one input node, as the bits of a number."""
        return self._integers[int(self.row[node])]

    @cached_property
    def _integers(self) -> list[int]:
        if self.masks.shape[1] == 1:
            found: list[int] = self.masks[:, 0].tolist()
            return found
        return [int.from_bytes(np.ascontiguousarray(mask).tobytes(), "little") for mask in self.masks]


def domains_of(graph: Graph) -> Domains:
    """The classes of values of all variables that inputs of a graph stand on."""
    by_variable: dict[Variable, list[tuple[int, Input]]] = {}
    for stretch in graph.stretches:
        if isinstance(stretch.block, Input):
            by_variable.setdefault(stretch.block.variable, []).append((stretch.start, stretch.block))
    variables = tuple(sorted(by_variable, key=lambda variable: variable.order))
    variable = np.full(graph.size, -1, dtype=np.int64)
    row = np.full(graph.size, -1, dtype=np.int64)
    found: list[tuple[Floats, list[Bits]]] = []
    rows = 0
    for position, each in enumerate(variables):
        for start, block in by_variable[each]:
            variable[start : start + block.width] = position
            row[start : start + block.width] = np.arange(rows, rows + block.width)
            rows += block.width
        found.append(_classes(each, [block for _, block in by_variable[each]], graph.circuit.support))
    words = max([bits.shape[1] for _, parts in found for bits in parts], default=1)
    masks = np.zeros((rows, words), dtype=np.uint64)
    at = 0
    for _, parts in found:
        for bits in parts:
            masks[at : at + len(bits), : bits.shape[1]] = bits
            at += len(bits)
    sizes = np.array([len(values) for values, _ in found], dtype=np.int64)
    return Domains(variables, tuple(values for values, _ in found), sizes, variable, row, masks)


def _classes(variable: Variable, blocks: Sequence[Input], support: Support) -> tuple[Floats, list[Bits]]:
    """A value of each class, and for each block the classes of its nodes as bits."""
    values = _values(variable, blocks, support)
    if len(values) <= _WORD and all(isinstance(block.family, Indicator) for block in blocks):
        codes = [int(np.flatnonzero(values == float(_indicated(block)))[0]) for block in blocks]
        return values, [np.array([[1 << code]], dtype=np.uint64) for code in codes]
    tables = [_table(block, values, support) for block in blocks]
    restricting = [table for table in tables if table is not None]
    if not restricting:
        return values[:1], [np.ones((block.width, 1), dtype=np.uint64) for block in blocks]
    if len(values) > _WORD:
        _, first = np.unique(np.concatenate(restricting), axis=1, return_index=True)
        kept = np.sort(first)
    else:
        kept = np.arange(len(values))
    full = np.ones((1, len(kept)), dtype=bool)
    return values[kept], [
        _bits(np.repeat(full, block.width, axis=0) if table is None else table[:, kept])
        for block, table in zip(blocks, tables, strict=True)
    ]


def _indicated(block: Input) -> int:
    assert isinstance(block.family, Indicator)
    return block.family.value


def _bits(table: Booleans) -> Bits:
    words = -(-table.shape[1] // _WORD)
    padded = np.zeros((len(table), words * _WORD), dtype=bool)
    padded[:, : table.shape[1]] = table
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def _values(variable: Variable, blocks: Sequence[Input], support: Support) -> Floats:
    """The values of a finite domain; of an infinite one those that indicators name, and one more."""
    if isinstance(variable.domain, FiniteDomain):
        return domain_values(variable)
    singles = [single for block in blocks for single in singles_of(block)]
    named = sorted({family.value for family, _ in singles if isinstance(family, Indicator)})
    for family, parameters in singles:
        if isinstance(family, Gaussian | Poisson):
            (usual, *_) = Numbers(support.store).floats(parameters)
            other = float(usual[0]) if isinstance(family, Gaussian) else float(np.floor(usual[0]))
            break
    else:
        other = 0.0
    while other in named:
        other += 1.0
    return np.array([*map(float, named), other])


def _table(block: Input, values: Floats, support: Support) -> Booleans | None:
    """Where the nodes of an input are not zero, [width, values]; None where they are nowhere zero."""
    match block.family:
        case InputProduct(_, widths):
            found = np.ones((1, len(values)), dtype=bool)
            for (family, parameters), width in zip(block.family.split(block.parameters), widths, strict=True):
                own = _table(Input(family, block.variable, parameters, width), values, support)
                full = np.ones((width, len(values)), dtype=bool) if own is None else own
                found = (found[:, None] & full[None]).reshape(-1, len(values))
            return None if found.all() else found
        case Indicator(value):
            return np.asarray(values == float(value))[None]
        case Bernoulli() | Binomial():
            (p,) = block.parameters
            zero, one = ~np.asarray(support.of(p, BOOLEAN), dtype=bool), _is_one(p, support)
            if not zero.any() and not one.any():
                return None
            least, most = values == values[0], values == values[-1]
            found = np.ones((block.width, len(values)), dtype=bool)
            found[zero] = least
            found[one] = most
            return found
        case Categorical() | Table():
            (rows,) = block.parameters
            found = np.asarray(support.of(rows, BOOLEAN), dtype=bool)
            return None if found.all() else found
        case _:
            return None


def _is_one(expression: Expression, support: Support) -> Booleans:
    """Which entries are certainly 1."""
    if is_learnable(expression):
        return np.zeros(expression.shape, dtype=bool)
    (floats,) = Numbers(support.store).floats((expression,))
    found = np.asarray(floats == 1.0)
    if not found.any():
        return found
    match expression:
        case Parameter():
            value = support.store[expression]
        case Constant(value):
            pass
        case _:
            try:
                return np.asarray(found & (Numbers(support.store).of(expression, EXACT) == 1), dtype=bool)
            except DanausError:  # it is irrational, and may be near 1 only
                return np.zeros(expression.shape, dtype=bool)
    if value.rationals is not None:
        found = found & np.asarray(value.rationals == 1, dtype=bool)
    return found
