"""Tables that stay on a device while expectation maximisation moves them.

What enters are the tables once, then codes of rows; what leaves are log-likelihoods, and the numbers when they are
asked for. Between two steps nothing of a circuit's size leaves the device: expected counts are the reverse's sums, a
step normalises them where they are, in float64, and the kernels' numbers are packed there again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import torch

from ...ir.linear import Indices
from ...ir.parameter import Floats
from .adjoint import FusedReverse
from .alone import Lock, alone
from .engine import with_sums
from .tables import is_held

Counts = dict[int, torch.Tensor]
"""By table, in the shape of its parameter."""

TINY = 1e-300
"""What is about to leave the range of float64 is 0, as in a step on the host."""


@dataclass(slots=True, eq=False)
class Resident:
    """Tables of a Program on its device; `shapes` are those of the parameters that learn, whose last axis sums to 1.

    `reverse` is nobody else's: its kernels read these tables.
    """

    reverse: FusedReverse
    shapes: Mapping[int, tuple[int, ...]]
    tables: list[torch.Tensor] = field(default_factory=list[torch.Tensor])

    @property
    def lock(self) -> Lock:
        """That of the reverse, whose buffers it uses."""
        return self.reverse.lock

    @alone
    def hold(self, tables: Sequence[Floats]) -> bool:
        """Takes tables as they lie in parameters; False where they are not held."""
        by_node = self.reverse.by_node
        found = [with_sums(table) if i in by_node else np.array(table) for i, table in enumerate(tables)]
        if not all(is_held(table) for table in found):
            return False
        self.tables = [torch.from_numpy(table).to(self.reverse.device) for table in found]
        self.reverse.hold(self.tables)
        return True

    @alone
    def expected(self, codes: Indices) -> tuple[Floats, Counts] | None:
        """log p and expected counts of rows, codes [columns, batch]; None where a row is unsure."""
        return self._counted(codes, False)

    @alone
    def prior(self) -> tuple[Floats, Counts] | None:
        """The same of a row that the circuit draws: what reaches each node, times what it expects."""
        return self._counted(np.array(self.reverse.program.columns, dtype=np.int64)[:, None], True)

    @alone
    def maximise(self, counts: Mapping[int, torch.Tensor], pseudocount: float = 0.0) -> None:
        """Moves each row to its share of the counts; a row that nothing uses stays as it is."""
        for number, count in counts.items():
            table = self.tables[number]
            held = count + pseudocount
            total = held.sum(-1, keepdim=True)
            share = torch.where(total > 0, held / torch.where(total > 0, total, 1.0), self._parameter(number, table))
            share = torch.where(share < TINY, 0.0, share)
            if number in self.reverse.by_node:
                table[:-1], table[-1] = share.T, share.sum(-1)
            else:
                table.copy_(share.reshape(table.shape))
        self.reverse.hold(self.tables)

    def numbers(self) -> dict[int, Floats]:
        """The numbers of the parameters that learn, by table."""
        found = {number: self._parameter(number, self.tables[number]) for number in self.shapes}
        return {number: np.array(each.cpu().numpy()) for number, each in found.items()}

    def lifted(self, arrays: Mapping[int, Floats]) -> Counts:
        """Counts from the host, by table."""
        return {number: torch.from_numpy(array).to(self.reverse.device) for number, array in arrays.items()}

    def _counted(self, codes: Indices, missing: bool) -> tuple[Floats, Counts] | None:
        """log p and counts; those of values that are `missing` are what they are expected to be, else nothing."""
        count = codes.shape[1]
        ready = self.reverse.way(count)
        log, flows = np.empty(count), {number: torch.zeros_like(self.tables[number]) for number in self.shapes}
        for part in ready.parts(count):
            weights = np.ones(part.stop - part.start)
            held, log[part], unsure = self.reverse.there_and_back(ready, codes[:, part], {}, weights)
            if unsure.any():
                return None
            for number, flow in flows.items():
                size = prod(flow.shape)
                for offset in ready.course.sums.get(number, ()):
                    flow += held.sums[offset : offset + size].double().reshape(flow.shape)
        for number, flow in flows.items():
            table = self.tables[number]
            if flow.dim() == 3:  # sums for matrices are derivatives
                flow *= table
            elif missing and number in self.reverse.by_node:
                flow[:-1] += table[:-1] * (flow[-1] / torch.where(table[-1] > 0, table[-1], 1.0))
        return log, {number: self._parameter(number, flow) for number, flow in flows.items()}

    def _parameter(self, number: int, table: torch.Tensor) -> torch.Tensor:
        """What lies in a table as its parameter has it."""
        return table[:-1].T if number in self.reverse.by_node else table.reshape(self.shapes[number])
