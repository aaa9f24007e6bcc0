"""What comes through the inputs of a Program of vectors in each row, on a GPU: their nodes' shares of the root.

What enters are codes of rows; what leaves are the flows of inputs, as derivatives have them on their way from a seed of
1 in each row, and the rows that float32 cannot vouch for. Nothing is summed over rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ...ir.linear import Indices
from ...ir.program.operation import Load
from ...ir.program.program import Program
from ...ir.program.shares import Share
from ...ir.program.tabled import Tabled
from ...runtime.walking import Shared
from . import policy
from .engine import Choose, Make, Placed
from .module import function
from .plan import drawn
from .policy import Precision
from .reverse import course
from .tables import is_held
from .targets import MODEL, Gpu
from .way_back import Way


@dataclass(slots=True, eq=False)
class Inputs:
    """The shares of a Program's inputs on finite domains, each of whose buffers is filled once."""

    program: Program
    device: torch.device
    precision: Precision
    make: Make = function
    gpu: Gpu = MODEL
    choose: Choose | None = None
    ways: dict[int, tuple[Tabled, Way]] = field(default_factory=dict[int, tuple[Tabled, Way]])

    def run(self, tabled: Tabled, codes: Indices) -> Shared | None:
        """The shares for codes [columns, batch]; None where the tables are not held in float32."""
        if not all(is_held(table) for table in tabled.tables):
            return None
        count = codes.shape[1]
        way = self._way(tabled, policy.batch_class(count, self.gpu))
        log, unsure = np.empty(count), np.zeros(count, dtype=bool)
        parts = [np.empty((each.width, count)) for each in way.course.looked]
        for part in way.parts(count):
            held = way.held(codes[:, part], {})
            held.forward()
            answer = way.placed.answer(held.values, held.flags, part.stop - part.start)
            seed = np.where(answer.unsure | np.isneginf(answer.log), 0.0, 1.0).astype(np.float32)
            held.seed[: len(seed)] = torch.from_numpy(seed).to(self.device)
            held.back()
            log[part] = answer.log
            unsure[part] = answer.unsure | (held.beyond[: len(seed)] != 0).cpu().numpy()
            for own, each in zip(parts, way.course.looked, strict=True):
                own[:, part] = held.flows[each.row : each.row + each.width, : len(seed)].cpu().numpy()
        steps = (Load(0, each.table, each.column) for each in way.course.looked)
        shares = [Share(step, step.column, own) for step, own in zip(steps, parts, strict=True)]
        return Shared(log, unsure, shares)

    def _way(self, tabled: Tabled, rows: int) -> Way:
        """The way for a class of batches, with the present tables."""
        of, way = self.ways.get(rows, (None, None))
        if way is None:
            choices = {} if self.choose is None else self.choose(self.program, self.precision, rows)
            made = drawn(self.program, self.precision, rows, True, choices, self.gpu)
            placed = Placed(made.plan, self.device, self.precision, self.make)
            placed.fill(_tensors(tabled))
            loads = (step.table for step in self.program.operations if isinstance(step, Load))
            way = Way(made, placed, course(made, self.precision, frozenset(loads), False))
        elif of is not tabled:
            way.placed.fill(_tensors(tabled))
        self.ways[rows] = tabled, way
        return way


def _tensors(tabled: Tabled) -> list[torch.Tensor]:
    return [torch.from_numpy(np.array(table)) for table in tabled.tables]
