"""From the flow of a value to the flows of what it was made of, with torch: for what kernels do not do in place.

A factor has the flow of the product; one node in place of many has the sum; parts have their own stretches. What a
gather reads more than once gets its shares one after the other, so that sums have one order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from .value import Constant, Joined, Look, Paired, Picked, Read, Times, Value

Leaf = Read | Look | Constant


Turns = tuple[tuple[torch.Tensor, torch.Tensor], ...]
"""Of what a gather reads more than once: in each turn nodes take one more of their rows each (nodes, rows)."""


def turns_of(index: NDArray[np.int64], device: torch.device) -> Turns:
    """The turns of a gather's flows on a device."""
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index)
    first = np.cumsum(counts) - counts
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    for turn in range(int(counts.max(initial=0))):
        nodes = np.flatnonzero(counts > turn)
        pair = (nodes, order[first[nodes] + turn])
        found.append((torch.from_numpy(pair[0]).to(device), torch.from_numpy(pair[1]).to(device)))
    return tuple(found)


def shares(value: Value, flow: torch.Tensor, turns: dict[int, Turns]) -> Iterator[tuple[Leaf, torch.Tensor]]:
    """The flow [width, batch] of each leaf of a value, in the order of `leaves`; turns of gathers by slot."""
    waiting: list[tuple[Value, torch.Tensor]] = [(value, flow)]
    while waiting:
        what, own = waiting.pop()
        match what:
            case Times(factors, width):
                one = own.sum(0, keepdim=True) if width > 1 else own
                waiting += [(factor, own if factor.width == width else one) for factor in reversed(factors)]
            case Paired(factors, _):
                split = own.reshape(*(factor.width for factor in factors), own.shape[1])
                for place in reversed(range(len(factors))):
                    others = [axis for axis in range(len(factors)) if axis != place]
                    waiting.append((factors[place], split.sum(others) if others else split))
            case Joined(parts, _):
                ends = np.cumsum([part.width for part in parts]).tolist()
                stretches = [(part, own[end - part.width : end]) for part, end in zip(parts, ends, strict=True)]
                waiting += reversed(stretches)
            case Picked(index, source, _):
                waiting.append((source, _scattered(own, turns[index], source.width)))
            case leaf:
                yield leaf, own


def _scattered(flow: torch.Tensor, turns: Turns, width: int) -> torch.Tensor:
    """Sums of rows by node."""
    out = torch.zeros((width, flow.shape[1]), dtype=flow.dtype, device=flow.device)
    for nodes, rows in turns:
        out[nodes] = out[nodes] + flow[rows]
    return out
