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


def shares(
    value: Value, flow: torch.Tensor, starts: dict[int, NDArray[np.int64]]
) -> Iterator[tuple[Leaf, torch.Tensor]]:
    """The flow [width, batch] of each leaf of a value, in the order of `leaves`; indices by slot."""
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
                waiting.append((source, _scattered(own, starts[index], source.width)))
            case leaf:
                yield leaf, own


def _scattered(flow: torch.Tensor, index: NDArray[np.int64], width: int) -> torch.Tensor:
    """Sums of rows by index: in each turn every node takes one more of its rows."""
    out = torch.zeros((width, flow.shape[1]), dtype=flow.dtype, device=flow.device)
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=width)
    first = np.cumsum(counts) - counts
    for turn in range(int(counts.max(initial=0))):
        nodes = np.flatnonzero(counts > turn)
        rows = torch.from_numpy(order[first[nodes] + turn]).to(flow.device)
        at = torch.from_numpy(nodes).to(flow.device)
        out[at] = out[at] + flow[rows]
    return out
