"""Derivatives of log-likelihoods: by tables of the Program, then by parameters and by data.

What enters are rows that are checked and a weight for each; what leaves are derivatives of Σ weight · log p. The
reverse of the Program runs compiled; its interpreter takes the rows that the code cannot vouch for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ..ir.circuit import Circuit
from ..ir.diagnostic import DanausError, error
from ..ir.expression import Expression
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.parameter import Floats, Parameter
from ..ir.pullback import log_density_shares, log_density_slope, pullback
from ..ir.store import Store
from .backward import Flows, compiled_flows, flows
from .columns import Bools, with_first_values
from .compiled import Compiled
from .likelihoods import Likelihoods
from .present import Present


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Of Σ weight · log p: by parameter, under the module's names, and by data, [batch, variables]; log p, [batch]."""

    named: dict[str, Floats]
    data: Floats
    log: Floats


class Differentiation:
    """Derivatives over a circuit's present parameters, by name."""

    def __init__(
        self,
        circuit: Circuit,
        compiled: Compiled | None,
        present: Present,
        likelihoods: Likelihoods,
        names: Mapping[str, Parameter],
    ) -> None:
        self._name, self._compiled, self._present = circuit.name, compiled, present
        self._likelihoods, self._names = likelihoods, names

    def by_tables(self, values: Floats, observed: Bools, weights: Floats, whole: bool = True) -> Flows:
        """Derivatives by the Program's tables, and flows of densities.

        Derivatives of an input's table may come by node, [width, n]: then with those of the row of sums if `whole`.

        Raises: DanausError `not-differentiable`.
        """
        compiled = self._compiled
        if compiled is None:
            raise error("not-differentiable", f'"{self._name}" has densities of both signs among scalar nodes')
        codes = self._likelihoods.coded(values, observed)
        values, observed = with_first_values(compiled.variables, values, observed)
        densities = self._likelihoods.densities(compiled, values, observed)
        reverse = self._present.reverse()
        if reverse is None:
            return self._interpreted(compiled, codes, densities, weights)

        def interpreted(rows: Indices) -> Flows:
            inner = {source: logs[:, rows] for source, logs in densities.items()}
            return self._interpreted(compiled, codes[:, rows], inner, weights[rows])

        return compiled_flows(reverse, interpreted, codes, densities, weights, torch.get_num_threads(), whole)

    def by_parameters(self, values: Floats, observed: Bools, weights: Floats, data: bool = False) -> Derivatives:
        """Derivatives by parameters; by the data where asked for.

        Raises: DanausError `not-differentiable`.
        """
        found = self.by_tables(values, observed, weights)
        compiled, present = self._compiled, self._present
        assert compiled is not None
        shares = compiled.derivatives(lambda: present.circuit().store, found.tables)
        inner: list[tuple[Expression, Floats]] = []
        slopes = np.zeros(values.shape)
        numbers = Numbers(present.circuit().store if compiled.densities else Store())
        for source, block in enumerate(compiled.densities):
            column = compiled.variables.index(block.variable)
            if column >= values.shape[1]:
                continue
            known = observed[:, column]
            x, part = values[known, column], found.densities[source][:, known]
            own = log_density_shares(block.family, block.variable, block.parameters, x, part, numbers)
            inner += zip(block.parameters, own, strict=True)
            if data:
                slopes[known, column] += (part * log_density_slope(block.family, block.parameters, x, numbers)).sum(0)
        for parameter, share in pullback(inner, numbers).items():
            shares[parameter] = shares[parameter] + share if parameter in shares else share
        named = {
            name: shares[parameter] if parameter in shares else np.zeros(parameter.shape)
            for name, parameter in self._names.items()
        }
        return Derivatives(named, slopes, found.log)

    def _interpreted(
        self, compiled: Compiled, codes: Indices, densities: Mapping[int, Floats], weights: Floats
    ) -> Flows:
        """The same by the interpreter of the Program's reverse."""
        store = self._present.circuit().store
        with np.errstate(over="ignore"):
            tables = list(compiled.linear(store))
        if not all(np.isfinite(table).all() for table in tables):
            raise self._beyond()
        signed = compiled.signs or any(table.min(initial=0.0) < 0 for table in tables)
        found = flows(compiled.lowered, tables, codes, densities, weights, signed)
        # an entry that underflows may pass for 0, unless a row hangs on it alone
        if np.isneginf(found.log).any() and any(np.isnan(table).any() for table in compiled.tables(store)):
            raise self._beyond()
        return found

    def _beyond(self) -> DanausError:
        return error("not-differentiable", f'"{self._name}" has numbers beyond the range of float64')
