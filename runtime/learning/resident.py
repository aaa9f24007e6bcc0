"""Steps of EM over tables that stay on a device: the module's parameters follow when they are asked for.

What enters are rows; what leaves are counts on the device, and at the end of an epoch the parameters. A batch with a
row that the device cannot vouch for is counted on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ..columns import Bools
from ..compiled import Staying
from ..engines import Resident
from ..executable import Executable
from ..present import Seen
from .em import Counts, Steps, require_possible


@dataclass(frozen=True, slots=True, eq=False)
class DeviceCounts:
    """Expected counts on a device by table, in the shape of its parameter; log p per row."""

    entries: Mapping[int, torch.Tensor]
    log: Floats

    def blended(self, other: DeviceCounts, mine: float, theirs: float) -> DeviceCounts:
        """Both, weighted."""
        found = {number: mine * own + theirs * other.entries[number] for number, own in self.entries.items()}
        return DeviceCounts(found, self.log)

    def arrays(self) -> list[Floats]:
        """All numbers but `log`, in order."""
        return [np.array(each.cpu().numpy()) for each in self.entries.values()]

    def over(self, arrays: list[Floats]) -> DeviceCounts:
        """Counts of the same circuit from such a list."""
        pairs = zip(self.entries.items(), arrays, strict=True)
        return DeviceCounts({number: torch.from_numpy(array).to(own) for (number, own), array in pairs}, self.log)


class ResidentSteps:
    """The E-step and the M-step on a device."""

    def __init__(self, model: Executable, host: Steps, staying: Staying) -> None:
        self._model, self._host = model, host
        self._tables = {name: staying.tables[each] for name, each in model.learnable().items()}
        self._resident: Resident = staying.make()
        self._seen: Seen | None = None
        self._moved = False

    def held(self) -> bool:
        """Whether the device holds the module's present parameters, which it takes where they were changed."""
        seen, compiled = self._model.present.look(), self._model.compiled
        if seen != self._seen:
            assert compiled is not None
            tables = self._model.present.tables(compiled)
            if tables is None or not self._resident.hold(tables):
                return False
            self._seen = seen
        return True

    def expected(self, values: Floats, observed: Bools, numbers: Indices | None = None) -> DeviceCounts:
        """Expected counts of rows; `numbers` are the rows' own, where they are not 0, 1, …

        Raises: DanausError `impossible-row`, naming the first row whose likelihood is zero.
        """
        found = self._resident.expected(self._model.coded(values, observed)) if self.held() else None
        if found is None:
            self.settle()
            return self._lifted(self._host.expected(values, observed, numbers))
        log, entries = found
        require_possible(log, numbers)
        return DeviceCounts(entries, log)

    def prior(self) -> DeviceCounts:
        """Expected counts of a row drawn from the circuit itself."""
        found = self._resident.prior() if self.held() else None
        if found is None:
            self.settle()
            return self._lifted(self._host.prior())
        return DeviceCounts(found[1], found[0])

    def take(self, counts: DeviceCounts, pseudocount: float = 0.0) -> None:
        """Moves the parameters, on the device, to what the counts make most likely."""
        self._resident.maximise(counts.entries, pseudocount)
        self._moved = True

    def settle(self) -> None:
        """Writes the parameters to the module."""
        if self._moved:
            numbers = self._resident.numbers()
            self._model.assign({name: torch.from_numpy(numbers[number]) for name, number in self._tables.items()})
            self._seen, self._moved = self._model.present.look(), False

    def _lifted(self, counts: Counts) -> DeviceCounts:
        by_name = {name: counts.entries[each] for name, each in self._model.learnable().items()}
        return DeviceCounts(self._resident.lifted({self._tables[name]: by_name[name] for name in by_name}), counts.log)
