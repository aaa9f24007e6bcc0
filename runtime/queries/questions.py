"""What all queries of a compiled circuit stand on: its Program over present parameters, and rows of data for it.

What enters are rows that are checked; what leaves are filled buffers, a stretch of the batch at a time so that memory
stays bounded, in scaled numbers where these vouch for a row and in logarithms where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...ir.block import Input
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable
from ...ir.linear import Indices
from ...ir.numbers import Numbers
from ...ir.parameter import Floats
from ...ir.products import mode
from ...ir.program.descent import Sites
from ...ir.program.filled import Filled, Numeric, Rows, filled
from ...ir.program.tabled import Tabled
from ...ir.semirings import SIGNED_LOG
from ..columns import codes_of, free_logs, with_first_values
from ..densities import density_logs

Bools = NDArray[np.bool_]

HELD = 1 << 28
"""Bytes that the kept buffers of a stretch of the batch may take."""


@dataclass(slots=True, eq=False)
class Questions:
    """A circuit's Program with tables none of which is negative.

    `variables` are the circuit's, `columns` the Program's, these first; `free` are positions of variables that it does
    not mention. `sites` and `nodes` are the circuit's: where it chooses, and how many nodes it has.
    """

    name: str
    variables: tuple[Variable, ...]
    columns: tuple[Variable, ...]
    free: tuple[int, ...]
    tabled: Tabled
    densities: tuple[Input, ...]
    numbers: Numbers
    sites: Sites
    nodes: int
    _largest: Tabled | None = field(default=None)

    @property
    def largest(self) -> Tabled:
        """The tables with missing inputs at their largest."""
        if self._largest is None:
            self._largest = self.tabled.with_largest()
        return self._largest

    def rows(
        self, values: Floats, observed: Bools, weights: Mapping[int, Floats] | None = None, peaks: bool = False
    ) -> Rows:
        """Rows of raw values [batch, variables] for the Program.

        `weights` are virtual evidence by position; with `peaks` missing inputs on infinite domains are at their
        largest, not integrated.

        Raises: DanausError `diverges`.
        """
        for position in self.free:
            variable = self.variables[position]
            if not peaks and not isinstance(variable.domain, FiniteDomain) and not observed[:, position].all():
                raise error("diverges", f'the sum over "{variable}" ({variable.domain}), which is free, is not finite')
        values, observed = with_first_values(self.columns, values, observed)
        logs: dict[int, Floats] = {}
        for source, block in enumerate(self.densities):
            column = self.columns.index(block.variable)
            known = observed[:, column]
            if peaks and not known.all():
                logs[source] = self._peaked(block, values[:, column], known)
            else:
                logs[source] = density_logs(block, column, values, observed, self.numbers)
        codes = codes_of(self.tabled.program.columns, self.columns, values, observed)
        return Rows(np.ascontiguousarray(codes), logs, dict(weights or {}))

    def _peaked(self, block: Input, x: Floats, known: Bools) -> Floats:
        """The logarithms of an input's functions, at their largest where x is missing, [nodes, batch]."""
        best = np.broadcast_to(mode(block.family, self.numbers.floats(block.parameters)), block.width)

        def logs(x: Floats) -> Floats:
            return self.numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)[..., 0]

        out = np.empty((block.width, len(x)))
        out[:, ~known] = np.diag(logs(best))[:, None]
        if known.any():
            out[:, known] = logs(x[known])
        return out

    def modes(self, block: Input) -> Floats:
        """The value at which each node of an input on an infinite domain is largest, [width]."""
        return np.broadcast_to(mode(block.family, self.numbers.floats(block.parameters)), block.width)

    def stretches(self, count: int, keep: bool) -> Iterator[slice]:
        """Stretches of so many rows that their buffers fit; one of none where there are none."""
        program = self.tabled.program
        held = 3 * sum(program.buffers) if keep else 4 * max(program.buffers)
        for layout in program.layouts:
            held += 3 * layout.nodes + 3 * layout.edges
        step = max(1, HELD // (8 * max(1, held)))
        for start in range(0, max(count, 1), step):
            yield slice(start, min(start + step, count))

    def filled(
        self, rows: Rows, numeric: Numeric = "scaled", tabled: Tabled | None = None, keep: bool = True
    ) -> Iterator[tuple[Indices, Indices, Filled]]:
        """Filled buffers with the rows that are in them, and at which of their columns: every row once."""
        over = tabled or self.tabled
        for stretch in self.stretches(rows.count, keep):
            part = rows.part(stretch)
            names = np.arange(stretch.start, stretch.start + part.count)
            found = filled(over, part, numeric, keep)
            unsure = found.unsure if numeric == "scaled" else np.zeros(part.count, dtype=bool)
            yield names[~unsure], np.flatnonzero(~unsure), found
            again = np.flatnonzero(unsure)
            if len(again):
                yield names[again], np.arange(len(again)), filled(over, part.part(again), "log", keep)

    def log(self, rows: Rows, tabled: Tabled | None = None) -> Floats:
        """The logarithm of the Program's value, [batch], in float64."""
        out = np.empty(rows.count)
        for names, places, found in self.filled(rows, "scaled", tabled, keep=False):
            out[names] = found.root[places]
        return out

    def log_likelihood(self, values: Floats, observed: Bools, weights: Mapping[int, Floats] | None = None) -> Floats:
        """The logarithm of the circuit's value, [batch]: in float64, whatever the engine's numbers."""
        log = self.log(self.rows(values, observed, weights))
        return log + free_logs(self.columns, self.free, observed)


Score = Callable[[Floats, Bools], Floats]


def names_of(variables: Sequence[Variable]) -> dict[str, int]:
    """The positions of variables by name."""
    return {variable.name: position for position, variable in enumerate(variables)}
