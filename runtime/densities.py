"""The logarithms of inputs on infinite domains at rows of data, those of one family and width together.

What enters are the inputs of a Program, then rows; what leaves are logarithms by source, [nodes, batch]. Hundreds of
small inputs are a few calls of numpy, over parameters that are laid out once for as long as they stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..ir.block import Input
from ..ir.density import log_values
from ..ir.domain import Variable
from ..ir.family import Gaussian, Poisson, is_signed
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.parameter import Floats
from ..ir.semirings import SIGNED_LOG
from ..ir.store import Store
from .columns import Bools

_AT_ONCE = 1 << 16
"""Numbers that are computed together: they stay in cache."""


@dataclass(frozen=True, slots=True)
class _Alike:
    """Sources of one family and width, whose integrals are 1: their columns, and parameters [sources · width]."""

    family: Gaussian | Poisson
    variable: Variable
    width: int
    sources: Indices
    columns: Indices
    parameters: list[Floats]

    def logs(self, x: Floats, known: Bools) -> Iterator[tuple[int, Floats]]:
        """By source, from all rows and what is known of them, [columns, batch]."""
        rows = x.shape[1]
        step = max(1, _AT_ONCE // (self.width * max(1, rows)))
        for start in range(0, len(self.sources), step):
            part = slice(start, start + step)
            own, columns = slice(start * self.width, (start + step) * self.width), self.columns[part]
            if len(columns) == 1:
                data, there = x[columns[0]], known[columns[0]]
            else:
                data, there = (np.repeat(each[columns], self.width, axis=0) for each in (x, known))
            found, _ = log_values(self.family, self.variable, [each[own] for each in self.parameters], data)
            if not there.all():
                found = np.where(there, found, 0.0)
            yield from zip(self.sources[part].tolist(), found.reshape(len(columns), self.width, rows), strict=True)


class Densities:
    """Inputs on infinite domains of a Program whose columns are the given variables."""

    def __init__(self, blocks: Sequence[Input], columns: Sequence[Variable]) -> None:
        self._blocks = blocks
        place = {variable: position for position, variable in enumerate(columns)}
        self._columns = [place[block.variable] for block in blocks]
        self._laid: tuple[Store, list[_Alike]] | None = None

    def logs(self, numbers: Numbers, values: Floats, observed: Bools) -> dict[int, Floats]:
        """The logarithms at rows [batch, columns], or of integrals where nothing is observed, by source.

        Raises: DanausError `diverges`.
        """
        found: dict[int, Floats] = {}
        if self._blocks:
            if self._laid is None or self._laid[0] is not numbers.store:
                self._laid = numbers.store, self._alike(numbers)
            x, known = np.ascontiguousarray(values.T), np.ascontiguousarray(observed.T)
            x = np.where(known, x, 0.0)
            for alike in self._laid[1]:
                found.update(alike.logs(x, known))
        for source, (block, column) in enumerate(zip(self._blocks, self._columns, strict=True)):
            if source not in found:
                found[source] = density_logs(block, column, values, observed, numbers)
        return found

    def _alike(self, numbers: Numbers) -> list[_Alike]:
        groups: dict[tuple[Gaussian | Poisson, int], list[int]] = {}
        for source, block in enumerate(self._blocks):
            if isinstance(block.family, Gaussian | Poisson):
                groups.setdefault((block.family, block.width), []).append(source)
        out: list[_Alike] = []
        for (family, width), sources in groups.items():
            rows = [
                [np.broadcast_to(each, width) for each in numbers.floats(self._blocks[source].parameters)]
                for source in sources
            ]
            joined = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
            columns = np.array([self._columns[source] for source in sources])
            variable = self._blocks[sources[0]].variable
            out.append(_Alike(family, variable, width, np.array(sources), columns, joined))
        return out


def density_logs(block: Input, column: int, values: Floats, observed: Bools, numbers: Numbers) -> Floats:
    """The logarithms of an input's functions on an infinite domain, or of their integrals, [nodes, batch]; with signs,
    [nodes, batch, 2], of a family that has them."""
    known = observed[:, column]
    out = np.empty((block.width, len(values), 2))
    if known.any():
        x = values[known, column]
        out[:, known] = numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)
    if not known.all():
        total = numbers.moments(block.family, block.variable, block.parameters, 0, SIGNED_LOG)
        out[:, ~known] = total[:, None]
    return out if is_signed(block.family) else out[..., 0]
