"""In which order to eliminate the variables of a network: min-fill, and what each order costs.

What enters is how many values each variable has and which variables share a factor; what leaves is an order, with the
size of the table that each step makes. Nothing is computed yet, so that a network that is too large is refused first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2

import numpy as np

from ...ir.diagnostic import DanausError, error
from .network import Network

_WORK = 20_000_000
"""Neighbours that all tries together may look at, about a second; one try on a 20 × 20 grid looks at 1,000,000."""

_TRIES = 32
_SMALL = 16.0
"""Orders whose largest table has at most 2¹⁶ entries are good enough at the first try."""


@dataclass(frozen=True, slots=True)
class Order:
    """Variables in the order of their elimination, and log₂ of the entries of the table that each one needs."""

    variables: tuple[int, ...]
    logs: tuple[float, ...]

    @property
    def largest(self) -> tuple[int, float]:
        """The variable whose elimination needs the largest table, and log₂ of its entries."""
        at = max(range(len(self.logs)), key=self.logs.__getitem__)
        return self.variables[at], self.logs[at]

    @property
    def entries(self) -> float:
        """The entries of all tables together; infinite where no float holds it."""
        return sum(2.0**log if log < 1000 else float("inf") for log in self.logs)


MOST_LOG = 62.0
"""Planning ends at a table of 2⁶² entries: no memory holds it, and no integer its assignments."""

_CROWDED = 250
"""With more neighbours than this a variable waits until it has fewer; looking at their pairs takes time in squares."""

BYTES = 140
"""Memory per edge of the circuit while it is built and packed; measured: 110 on barley, 137 on diabetes."""

BYTES_JOINED = 120
"""Memory per entry of the table that is being joined."""


def too_large(name: str, log: float, needed: float, memory: int, entries: int | None = None) -> DanausError:
    """The refusal of an elimination whose table has 2^log entries, or that brings the circuit to so many `entries`."""
    if entries is None:
        what = f'eliminating "{name}" needs a table of 2^{log:.0f} entries; the circuit takes'
    else:
        what = f'with the table for "{name}" the circuit has {entries:,} entries that are not zero, which take'
    return error(
        "too-large",
        f"{what} at least {_bytes(needed)}, and {_bytes(memory)} may be used",
        hint="raise --memory, or fix variables with --evidence",
    )


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} PB"


def require_memory(network: Network, order: Order, memory: int) -> None:
    """Raises DanausError `too-large` where an order certainly takes more memory than there is.

    Zeros may make tables far smaller than their assignments are many: with them, the trace finds out.
    """
    if not order.variables:
        return
    variable, log = order.largest
    sure = all(bool((factor.table > 0).all()) for factor in network.factors)
    needed = max(order.entries * BYTES, 2.0 ** min(log, 1000) * BYTES_JOINED)
    planned = set(order.variables)
    missing = any(
        network.sizes[each] > 1 and each not in planned for factor in network.factors for each in factor.scope
    )
    if missing or (sure and needed > memory):  # a plan that was given up is not whole
        raise too_large(network.names[variable], log, needed, memory)


def min_fill(sizes: Sequence[int], scopes: Iterable[Sequence[int]]) -> Order:
    """The best of several min-fill orders: ties go to the smaller table, then, after the first try, to a seeded draw.

    Variables of one value or of no scope are left out.
    """
    graph: dict[int, set[int]] = {}
    for scope in scopes:
        wide = [variable for variable in scope if sizes[variable] > 1]
        for variable in wide:
            graph.setdefault(variable, set()).update(wide)
    for variable, others in graph.items():
        others.discard(variable)
    logs = {variable: log2(sizes[variable]) for variable in graph}
    best, work = _eliminate(graph, logs, {variable: variable for variable in graph})
    if best.logs and max(best.logs) > MOST_LOG:
        return best
    random = np.random.default_rng(0)
    spent, tries = work, 1
    while best.logs and max(best.logs) > _SMALL and spent + work < _WORK and tries < _TRIES:
        ranks = dict(zip(sorted(graph), random.permutation(len(graph)).tolist(), strict=True))
        other, work = _eliminate(graph, logs, ranks)
        spent, tries = spent + work, tries + 1
        if other.entries < best.entries:
            best = other
    return best


def _eliminate(graph: dict[int, set[int]], logs: dict[int, float], ranks: dict[int, int]) -> tuple[Order, int]:
    """One min-fill order, and how many pairs of neighbours were looked at.

    The fill of a variable is the number of pairs of its neighbours that are not joined. It changes only for the
    neighbours of what is eliminated, and for those that see both ends of a new edge.
    """
    near = {variable: set(others) for variable, others in graph.items()}
    fills = {variable: _fill(near, variable) for variable in near}
    weights = {variable: logs[variable] + sum(logs[other] for other in near[variable]) for variable in near}
    heap = [(fills[variable], weights[variable], ranks[variable], variable) for variable in near]
    heapq.heapify(heap)
    order: list[int] = []
    sizes: list[float] = []
    work = 0
    while heap:
        fill, weight, _, variable = heapq.heappop(heap)
        if variable not in near or fill != fills[variable] or weight != weights[variable]:
            continue
        order.append(variable)
        sizes.append(weight)
        if weight > MOST_LOG or work > 50 * _WORK:
            break
        others = near.pop(variable)
        touched = set(others)
        for other in others:
            near[other].discard(variable)
        if fill:
            for left, right in combinations(sorted(others), 2):
                if right not in near[left]:
                    work += len(near[left])
                    for third in near[left] & near[right]:
                        if third not in others:
                            fills[third] -= 1
                            touched.add(third)
                    near[left].add(right)
                    near[right].add(left)
        for other in others:
            work += min(len(near[other]), _CROWDED) ** 2
            fills[other] = _fill(near, other)
            weights[other] = logs[other] + sum(logs[third] for third in near[other])
        for other in touched:
            heapq.heappush(heap, (fills[other], weights[other], ranks[other], other))
    return Order(tuple(order), tuple(sizes)), work


def _fill(near: dict[int, set[int]], variable: int) -> int:
    others = near[variable]
    if len(others) > _CROWDED:
        return len(others) ** 2
    return sum(len(others) - 1 - len(others & near[other]) for other in others) // 2
