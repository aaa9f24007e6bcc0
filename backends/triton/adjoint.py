"""The engine of derivatives on a GPU: the groups of a Program forward, all of whose buffers stay, then in reverse.

Tables enter, then codes of rows and a weight for each; what leaves are log-likelihoods, derivatives of the weighted sum
of them with respect to tables, flows of densities, and the rows that float32 cannot vouch for, which count nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.program import Program
from . import policy
from .alone import Lock, alone, lock
from .engine import Bools, Choose, Codes, Exactly, Make, Placed, with_sums
from .module import function
from .plan import drawn
from .policy import Precision
from .reverse import course
from .tables import is_held
from .targets import MODEL, Gpu
from .way_back import Held, Way


@dataclass(frozen=True, slots=True)
class Derived:
    """log p per row, [batch]; rows that are not in the derivatives; derivatives by table; flows [nodes, batch]."""

    log: Floats
    unsure: Bools
    tables: list[Floats]
    densities: dict[int, Floats]


@dataclass(slots=True, eq=False)
class FusedReverse:
    """The reverse of a Program; `wanted` are the tables whose derivatives are asked for, `make` as `Fused` has it."""

    program: Program
    device: torch.device
    precision: Precision
    wanted: frozenset[int]
    by_node: frozenset[int] = frozenset()
    ready: dict[int, Way] = field(default_factory=dict[int, Way])
    tables: Sequence[torch.Tensor] = ()
    make: Make = function
    gpu: Gpu = MODEL
    choose: Choose | None = None
    lock: Lock = field(default_factory=lock, repr=False)

    @alone
    def load(self, tables: Sequence[Floats], exactly: Exactly) -> bool:
        """Takes tables as an engine does; False where they are not held, or where the derivative of a number that is
        exactly 0 is asked for: a node that is 0 has no flow, and may have a derivative."""
        with np.errstate(over="ignore"):
            found = [with_sums(table) if i in self.by_node else np.array(table) for i, table in enumerate(tables)]
        if not all(is_held(table) for table in found) or any(not found[i].all() for i in self.wanted):
            return False
        self.hold([torch.from_numpy(table) for table in found])
        return True

    def hold(self, tables: Sequence[torch.Tensor]) -> None:
        """Takes tables that are held, with rows of sums: float64, on the device or on the host."""
        self.tables = tables
        for ready in self.ready.values():
            ready.placed.fill(tables)

    @alone
    def run(
        self,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        threads: int = 1,
        whole: bool = True,
    ) -> Derived:
        """Derivatives of Σ weight · log p over codes [columns, batch]; by node those of tables that come so."""
        count = codes.shape[1]
        ready = self.way(count)
        log, unsure = np.empty(count), np.zeros(count, dtype=bool)
        tables = [np.zeros(table.shape) for table in self.tables]
        flows = {source: np.zeros(logs.shape) for source, logs in densities.items()}
        for part in ready.parts(count):
            given = {source: logs[:, part] for source, logs in densities.items()}
            log[part], unsure[part] = self._part(ready, codes[:, part], given, weights[part], tables, flows, part)
        for number in self.by_node:
            by_value = tables[number]
            tables[number] = by_value[:-1].T + (by_value[-1][:, None] if whole else 0.0)
        return Derived(log, unsure, tables, flows)

    def way(self, count: int) -> Way:
        """The way of so many rows."""
        rows = policy.batch_class(count, self.gpu)
        if rows not in self.ready:
            choices = {} if self.choose is None else self.choose(self.program, self.precision, rows)
            made = drawn(self.program, self.precision, rows, True, choices, self.gpu)
            placed = Placed(made.plan, self.device, self.precision, self.make)
            placed.fill(self.tables)
            self.ready[rows] = Way(made, placed, course(made, self.precision, self.wanted))
        return self.ready[rows]

    def _part(
        self,
        ready: Way,
        codes: Indices | Codes,
        densities: Mapping[int, Floats],
        weights: Floats,
        tables: list[Floats],
        flows_of: dict[int, Floats],
        part: slice,
    ) -> tuple[Floats, Bools]:
        """log p of some rows, and those that are unsure; what the others add goes into tables and flows."""
        made, count = ready.drawn.plan, codes.shape[1]
        held, log, unsure = self.there_and_back(ready, codes, densities, weights)
        sums = held.sums.double().cpu().numpy()
        for number, offsets in ready.course.sums.items():
            size = tables[number].size
            found = np.sum([sums[offset : offset + size] for offset in offsets], axis=0)
            given = found.reshape(tables[number].shape)
            tables[number] += given if len(given.shape) == 3 else given / self.tables[number].numpy()
        for source, buffer in ready.drawn.found.densities.items():
            row, nodes = ready.course.flow_of.get(buffer, -1), made.densities[source][1]
            if row >= 0:
                flows_of[source][:, part] = held.flows[row : row + nodes, :count].double().cpu().numpy()
        return log, unsure

    def there_and_back(
        self, ready: Way, codes: Indices | Codes, densities: Mapping[int, Floats], weights: Floats
    ) -> tuple[Held, Floats, Bools]:
        """What some rows leave in the buffers, sums for tables and flows; log p; and the rows that are in neither."""
        count, held = codes.shape[1], ready.held(codes, densities)
        held.forward()
        answer = ready.placed.answer(held.values, held.flags, count)
        log, unsure = answer.log, answer.unsure
        while True:
            seed = np.where(unsure | np.isneginf(log), 0.0, weights)
            held.seed[:count] = torch.from_numpy(seed.astype(np.float32)).to(self.device)
            held.back()
            gone = (held.beyond[:count] != 0).cpu().numpy() & (seed != 0)
            again = gone & ~unsure
            unsure |= gone
            if not again.any():
                return held, log, unsure
