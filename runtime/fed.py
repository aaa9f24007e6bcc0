"""Where parameters lie in a Program's tables: from derivatives of tables to expected counts by parameter.

What enters are tables and derivatives of log-likelihoods with respect to their entries; what leaves are, by parameter,
its entries times their derivatives: how often, in expectation, each is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from ..ir.parameter import Floats


@dataclass(frozen=True, slots=True)
class Fed:
    """A parameter of a `shape` that lies in a table from entry `start` on, as it is.

    That of an input has a `width`, its nodes: each has one entry more than the parameter, for the sum over values. They
    stand value by value, or node by node where tables are laid end to end (`by_node`).
    """

    name: str
    shape: tuple[int, ...]
    table: int
    start: int
    width: int = 0
    by_node: bool = False

    @property
    def size(self) -> int:
        """How many entries of the table it takes."""
        return prod(self.shape) + self.width

    def part(self, table: Floats) -> Floats:
        """Its entries of a table; of an input [values + 1, nodes]."""
        flat = table.reshape(-1)[self.start : self.start + self.size]
        if not self.width:
            return flat.reshape(self.shape)
        return flat.reshape(self.width, -1).T if self.by_node else flat.reshape(-1, self.width)

    def count(self, table: Floats, derivative: Floats) -> Floats:
        """Its entries times their derivatives."""
        own, slope = self.part(table), self.part(derivative)
        if not self.width:
            return np.asarray(own * slope)
        # a missing value has the sum, of which each entry is a term
        return np.ascontiguousarray(((own[:-1] * (slope[:-1] + slope[-1])).T).reshape(self.shape))


def counts(fed: Sequence[Fed], tables: Sequence[Floats], derivatives: Sequence[Floats]) -> dict[str, Floats]:
    """Expected counts by parameter; one that lies in several tables has the sum."""
    found: dict[str, Floats] = {}
    for each in fed:
        own = each.count(tables[each.table], derivatives[each.table])
        found[each.name] = found[each.name] + own if each.name in found else own
    return found


def fed_written(fed: Sequence[Fed]) -> list[dict[str, Any]]:
    """What a manifest says of them."""
    return [asdict(each) for each in fed]


def read_fed(data: Sequence[Mapping[str, Any]], tables: Sequence[tuple[int, ...]]) -> tuple[Fed, ...]:
    """Those that a manifest speaks of, each within a table of the shapes given."""
    found = tuple(
        Fed(
            str(each["name"]),
            tuple(map(int, each["shape"])),
            int(each["table"]),
            int(each["start"]),
            int(each["width"]),
            bool(each["by_node"]),
        )
        for each in data
    )
    for each in found:
        assert min(each.table, each.start, each.width, *each.shape, 0) == 0
        assert each.start + each.size <= prod(tables[each.table])
        assert each.width == 0 or prod(each.shape) % each.width == 0
    return found
