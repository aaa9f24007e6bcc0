"""Log-likelihoods of rows: an engine's, and the evaluator's where the engine cannot vouch for a row.

What enters are rows that are checked, or codes of such; what leaves are logarithms, [batch]. An answer is never wrong
without a word: what float32 and float64 numbers cannot tell is taken again in float64 logarithms, and counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..ir.circuit import Circuit
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.parameter import Floats
from ..ir.query.likelihood import log_likelihood, logarithm, signed_log_value
from .columns import Bools, Codes, Columns, codes_of, free_logs, with_first_values
from .compiled import Compiled
from .densities import Densities
from .present import Present
from .signs import with_signs


class Likelihoods:
    """log p of rows over a circuit's present parameters; `compiled` is None where only the evaluator answers.

    `recomputed` counts the rows that were taken again. `free` are the columns of variables that no node mentions.
    """

    def __init__(self, circuit: Circuit, compiled: Compiled | None, present: Present) -> None:
        self._variables, self._name, self._compiled, self._present = (
            circuit.variables,
            circuit.name,
            compiled,
            present,
        )
        self.free = [i for i, each in enumerate(circuit.variables) if each in set(circuit.free)]
        self.recomputed = 0
        self._soft: Densities | None = None
        self.columns: Columns | None = None
        if compiled is not None and not compiled.densities and len(compiled.variables) == len(circuit.variables):
            self.columns = Columns.of(compiled.program.columns, compiled.variables)

    def log(self, values: Floats, observed: Bools) -> Floats:
        """log p of rows that are checked, [batch, variables] each."""
        engine, columns, compiled = self._present.engine(), self._variables, self._compiled
        endless = [i for i in self.free if not columns[i].size]
        if compiled is None or engine is None or not observed[:, endless].all():
            return log_likelihood(self._present.circuit(), values, observed)
        values, observed = with_first_values(compiled.variables, values, observed)
        densities = self.densities(compiled, values, observed)
        answer = engine.run(self._coded(compiled, values, observed), densities, torch.get_num_threads())
        log = answer.log + free_logs(columns, self.free, observed)
        if answer.unsure.any():
            rows = np.flatnonzero(answer.unsure)
            own = slice(len(columns))
            log[rows] = self._again(values[rows][:, own], observed[rows][:, own])
        return self._told(log)

    def signed(self, values: Floats, observed: Bools) -> tuple[torch.Tensor, torch.Tensor]:
        """log |p| and the sign of p of rows that are checked, [batch] each."""
        return with_signs(
            lambda: self.log(values, observed),
            lambda rows: signed_log_value(self._present.circuit(), values[rows], observed[rows]),
        )

    def log_of_codes(self, codes: Codes) -> Floats:
        """log p of rows as `codes` gives them."""
        engine = self._present.engine()
        assert self.columns is not None
        if engine is None:
            return log_likelihood(self._present.circuit(), *self.columns.rows(codes))
        answer = engine.run(codes.T, {}, torch.get_num_threads())
        if answer.unsure.any():
            answer.log[answer.unsure] = self._again(*self.columns.rows(codes[answer.unsure]))
        return self._told(answer.log)

    def codes(self, x: Any, observed: Any) -> Codes | None:
        """Rows as codes [batch, columns] where no value needs a second look; None where all must be looked at."""
        if self.columns is None or not isinstance(x, np.ndarray) or (observed is not None and self.free):
            return None
        if isinstance(x, np.ma.MaskedArray) or isinstance(observed, np.ma.MaskedArray):  # which are refused
            return None
        return self.columns.plain(x, observed)

    def coded(self, values: Floats, observed: Bools) -> Indices:
        """Rows that are checked as the codes of the Program's columns, [columns, batch]."""
        assert self._compiled is not None
        return self._coded(self._compiled, *with_first_values(self._compiled.variables, values, observed))

    def densities(self, compiled: Compiled, values: Floats, observed: Bools) -> dict[int, Floats]:
        """The logarithms of inputs on infinite domains, [nodes, batch], by source; with signs where they have some."""
        if not compiled.densities:
            return {}
        if self._soft is None:
            self._soft = Densities(compiled.densities, compiled.variables)
        return self._soft.logs(Numbers(self._present.circuit().store), values, observed)

    def _coded(self, compiled: Compiled, values: Floats, observed: Bools) -> Indices:
        if self.columns is not None:
            return self.columns.codes(values, observed)
        return codes_of(compiled.program.columns, compiled.variables, values, observed)

    def _again(self, values: Floats, observed: Bools) -> Floats:
        """log p by the evaluator; NaN where p is negative."""
        self.recomputed += len(values)
        logs, signs = signed_log_value(self._present.circuit(), values, observed)
        return np.where(signs < 0, np.nan, logs)

    def _told(self, log: Floats) -> Floats:
        """log p, with the evaluator's warning where it is NaN."""
        if self._present.signed:
            logarithm(log, np.where(np.isnan(log), -1.0, 1.0), f'the value of "{self._name}"')
        return log
