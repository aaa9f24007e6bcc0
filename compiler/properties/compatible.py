"""Compatible: both smooth and decomposable, and the scopes under their products nested or disjoint where they meet.

What enters is two circuits; what leaves is a proof with the matching of their scopes, or a witness: of what is not
smooth or decomposable, or two factors whose scopes overlap over the shared variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.linear import Indices
from ...ir.scope import Bits, distinct
from .decomposable import decomposable
from .laminar import Tree, bits_of, nest, sizes_of
from .matching import Matching
from .result import Proved, Refuted, Result
from .smooth import smooth
from .structured import factor_of_scope, factor_scopes
from .witness import CrossingScopes

_known: WeakKeyDictionary[Circuit, WeakKeyDictionary[Circuit, Result]] = WeakKeyDictionary()

# So many scopes are unpacked to one byte per variable at once, and so many words of pairs are held at once.
_ROWS = 1 << 12
_WORDS = 1 << 22


def compatible(first: Circuit, second: Circuit) -> Result:
    """Whether two circuits are smooth, decomposable, and have no factors whose scopes overlap over shared variables.

    Over the variables that they share, each scope of a factor of one must be nested in or disjoint from each of the
    other. The scopes of a circuit that are nested or disjoint among themselves form a tree, and each scope of the other
    is held against it: variables times scopes. Only those that fit in neither circuit's tree are compared in pairs.

    Raises: DanausError `two-domains` where variables of one name differ in their domains.
    """
    known = _known.setdefault(first, WeakKeyDictionary())
    if second not in known:
        known[second] = _compatible(first, second)
    return known[second]


def _compatible(first: Circuit, second: Circuit) -> Result:
    require_domains(first, second)
    for circuit in (first, second):
        for result in (smooth(circuit), decomposable(circuit)):
            if isinstance(result, Refuted):
                return result
    scopes = [factor_scopes(circuit) for circuit in (first, second)]
    others = set(_mentioned(second))
    shared = tuple(variable for variable in _mentioned(first) if variable in others)
    sides = [_Side(circuit, rows, shared) for circuit, rows in zip((first, second), scopes, strict=True)]
    one, other = sides
    first_in_second, crossing = one.held_by(other)
    if crossing is not None:
        return Refuted(_witness(one, other, *crossing))
    second_in_first, crossing = other.held_by(one)
    assert crossing is None
    return Proved(matching=Matching(shared, one.rows, other.rows, first_in_second, second_in_first))


def require_domains(first: Circuit, second: Circuit) -> None:
    """Raises DanausError `two-domains` where variables of one name differ in their domains."""
    known = {variable.name: variable for variable in first.variables}
    for variable in second.variables:
        other = known.get(variable.name, variable)
        if other != variable:
            raise error(
                "two-domains",
                f'"{variable.name}" is {other.domain} in "{first.name}" and {variable.domain} in "{second.name}"',
                hint="two variables need two names",
            )


def _mentioned(circuit: Circuit) -> tuple[Variable, ...]:
    free = set(circuit.free)
    return tuple(variable for variable in circuit.variables if variable not in free)


class _Side:
    """The scopes of one circuit's factors over the shared variables, small ones first, with where they come from."""

    def __init__(self, circuit: Circuit, scopes: Bits, shared: Sequence[Variable]) -> None:
        self.circuit, self.scopes, self.elements = circuit, scopes, len(shared)
        restricted = _restricted(scopes, circuit.scopes.variables, shared)
        rows, place = distinct(restricted)
        source = np.zeros(len(rows), dtype=np.int64)
        source[place[::-1]] = np.arange(len(scopes))[::-1]
        order = np.lexsort((*rows.T, sizes_of(rows)))
        order = order[sizes_of(rows)[order] > 0]
        self.rows, self.source = rows[order], source[order]
        self.sizes = sizes_of(self.rows)
        tree = nest(self.rows, self.elements, np.ones(len(self.rows), dtype=bool))
        assert isinstance(tree, Tree)
        self.tree = tree
        fits = np.zeros(len(self.rows), dtype=bool)
        fits[tree.sources] = True
        self.single = np.full(self.elements, -1, dtype=np.int64)
        for row in np.flatnonzero(self.sizes == 1):
            self.single[np.flatnonzero(bits_of(self.rows[row], self.elements))] = row
        fits[self.sizes == 1] = True
        self.loose = np.flatnonzero(~fits)
        self.node_rows = np.concatenate([self.single, tree.sources])

    def held_by(self, other: _Side) -> tuple[Indices, tuple[int, int] | None]:
        """The smallest scope of the other that holds each of these, -1 for none; and two that overlap, if any do."""
        holder = np.full(len(self.rows), -1, dtype=np.int64)
        sizes = other.tree.sizes
        for row in range(len(self.rows)):
            members = bits_of(self.rows[row], self.elements)
            found = other.tree.counts(members)
            crossing = (found > 0) & (found < sizes) & (found < self.sizes[row])
            if crossing.any():
                return holder, (row, int(other.node_rows[np.flatnonzero(crossing)[0]]))
            holding = np.flatnonzero((found == self.sizes[row]) & (other.node_rows >= 0))
            if len(holding):
                holder[row] = other.node_rows[holding[np.argmin(sizes[holding])]]
        if len(other.loose):
            return self._held_by_loose(other, holder)
        return holder, None

    def _held_by_loose(self, other: _Side, holder: Indices) -> tuple[Indices, tuple[int, int] | None]:
        """The same against the scopes that do not fit in the other's tree, in pairs."""
        loose = other.rows[other.loose]
        step = max(1, _WORDS // max(1, loose.size))
        for start in range(0, len(self.rows), step):
            part = slice(start, start + step)
            common = sizes_of((self.rows[part, None] & loose[None]).reshape(-1, loose.shape[1]))
            common = common.reshape(-1, len(loose))
            own, others = self.sizes[part, None], other.sizes[other.loose][None]
            crossing = (common > 0) & (common < own) & (common < others)
            if crossing.any():
                row, place = (int(axis[0]) for axis in np.nonzero(crossing))
                return holder, (start + row, int(other.loose[place]))
            held = common == own
            for row in np.flatnonzero(held.any(axis=1)).tolist():
                best = int(other.loose[np.flatnonzero(held[row])[0]])  # the smallest: they are in order of size
                now = int(holder[start + row])
                if now < 0 or other.sizes[best] < other.sizes[now]:
                    holder[start + row] = best
        return holder, None


def _restricted(scopes: Bits, variables: Sequence[Variable], shared: Sequence[Variable]) -> Bits:
    """Scopes over some variables as scopes over others, [scopes, words]; variables that these lack are left out."""
    if tuple(variables) == tuple(shared):
        return scopes
    places = {variable: place for place, variable in enumerate(variables)}
    columns = [places[variable] for variable in shared]
    words = max(1, -(-len(shared) // 64))
    out = np.zeros((len(scopes), words), dtype=np.uint64)
    for start in range(0, len(scopes), _ROWS):
        part = np.ascontiguousarray(scopes[start : start + _ROWS])
        bits = np.unpackbits(part.view(np.uint8), axis=1, bitorder="little")[:, columns]
        padded = np.zeros((len(part), words * 64), dtype=np.uint8)
        padded[:, : len(columns)] = bits
        out[start : start + _ROWS] = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
    return out


def _witness(one: _Side, other: _Side, first: int, second: int) -> CrossingScopes:
    found = [
        factor_of_scope(side.circuit, side.scopes[side.source[row]]) for side, row in ((one, first), (other, second))
    ]
    shared = set(_mentioned(one.circuit)) & set(_mentioned(other.circuit))
    ordered = tuple(variable for variable in one.circuit.variables if variable in shared)
    return CrossingScopes((found[0][0], found[1][0]), (found[0][1], found[1][1]), ordered)
