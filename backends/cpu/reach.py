"""Whether plain float64 holds a network of densities, and of which rows: those whose root is not below a floor.

What enters are a network and its tables; what leaves says whether all that underflow can take from any row is less
than a part in 10¹³ of the floor. Densities are at most 1 there, as soft.py lays them. The bound is that of a
derivative: what one node loses, times the most that the root can gain from it, summed over all nodes.
"""

from __future__ import annotations

import numpy as np

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import PRODUCT
from ...ir.program.ranks import Ranked

FLOOR = 2.0**-900
"""The smallest root of a row that plain numbers vouch for."""

_LEAST = np.log(2.0) * 1022
_LARGEST = np.log(2.0) * 1000
_SURE = np.log(1e-13)


def within_reach(net: Ranked, leaves: Floats, weights: Floats) -> bool:
    """For a network's tables in float64, none of them negative."""
    with np.errstate(divide="ignore"):
        heavy = np.append(np.log(weights), 0.0)[net.weights]
    high = _highest(net, leaves, heavy)
    reach = np.full(net.nodes, -np.inf)  # the logarithm of the most that the root gains from a node
    lost = np.full(net.nodes, -np.inf)
    reach[-1] = 0.0
    order, starts = net.above
    shares = np.full(len(net.members), -np.inf)
    for rank in reversed(net.ranks):
        lengths = np.diff(rank.offsets)
        if rank.nodes.stop < net.nodes:
            reach[rank.nodes] = _together(shares, order, starts, rank.nodes)
        own = reach[rank.nodes]
        members = net.members[rank.edges]
        if rank.kind == PRODUCT:
            above = np.maximum(high[members], 0.0)
            most = _sums(above, rank.offsets)
            shares[rank.edges] = np.repeat(own + most, lengths) - above
        else:
            most = np.zeros(len(own))
            shares[rank.edges] = np.repeat(own, lengths) + heavy[rank.edges]
        if most.max(initial=0.0) > _LARGEST:
            return False
        with np.errstate(divide="ignore"):
            lost[rank.nodes] = own + most + np.log(lengths)
    if net.ranks:
        lost[: net.leaves] = _together(shares, order, starts, slice(0, net.leaves))
    total = _log_sum(lost)
    return bool(high.max(initial=0.0) < _LARGEST and total - _LEAST - np.log(FLOOR) < _SURE)


def _highest(net: Ranked, leaves: Floats, heavy: Floats) -> Floats:
    """A bound on the logarithm of each node, whatever the data."""
    own = net.layout
    high = np.zeros(net.nodes)
    tabled = np.flatnonzero(~own.soft)
    tops = np.zeros(len(own.leaf_offsets))  # a density is at most 1
    if len(tabled):
        order = tabled[np.argsort(own.leaf_offsets[tabled])]
        with np.errstate(divide="ignore"):
            tops[order] = np.log(np.maximum.reduceat(leaves, own.leaf_offsets[order]))
    high[: net.leaves] = tops[net.leaf]
    for rank in net.ranks:
        terms = high[net.members[rank.edges]]
        if rank.kind == PRODUCT:
            high[rank.nodes] = _sums(terms, rank.offsets)
        else:
            terms += heavy[rank.edges]
            high[rank.nodes] = _log_sums(terms, rank.offsets)
    return high


def _together(shares: Floats, order: Indices, starts: Indices, nodes: slice) -> Floats:
    """log Σ exp over the edges that read each node."""
    bounds = starts[nodes.start : nodes.stop + 1]
    return _log_sums(shares[order[bounds[0] : bounds[-1]]], bounds - bounds[0])


def _sums(terms: Floats, offsets: Indices) -> Floats:
    out = np.zeros(len(offsets) - 1)
    some = np.flatnonzero(np.diff(offsets))
    if len(some):
        out[some] = np.add.reduceat(terms, offsets[some])
    return out


def _log_sums(terms: Floats, offsets: Indices) -> Floats:
    out = np.full(len(offsets) - 1, -np.inf)
    some = np.flatnonzero(np.diff(offsets))
    if len(some):
        top = np.maximum.reduceat(terms, offsets[some])
        top = np.where(np.isfinite(top), top, 0.0)
        masses = np.exp(terms - np.repeat(top, np.diff(offsets)[some]))
        with np.errstate(divide="ignore"):
            out[some] = np.log(np.add.reduceat(masses, offsets[some])) + top
    return out


def _log_sum(terms: Floats) -> float:
    return float(_log_sums(terms, np.array([0, len(terms)]))[0])
