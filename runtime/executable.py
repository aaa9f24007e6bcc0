"""A compiled circuit as a `torch.nn.Module`: what `danaus.compile` gives.

What enters are rows, as numpy or torch arrays; what leaves are answers per row. Likelihoods and marginals run compiled;
where the fast numbers cannot vouch for a row, it is taken again by the evaluator in float64 logarithms, so an answer is
never wrong without a word. The other queries are the evaluator's.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..ir.circuit import Circuit
from ..ir.data import validate_array
from ..ir.expression import Floats, Parameter, Value
from ..ir.numbers import Numbers
from ..ir.query.conditional import conditional
from ..ir.query.likelihood import log_likelihood
from ..ir.query.maximum import MostProbable
from ..ir.query.sample import sample, sample_given
from ..ir.store import Store
from .bundle import not_compiled, save_bundle
from .compiled import (
    Bools,
    Codes,
    Columns,
    Compiled,
    Compiler,
    Engine,
    codes_of,
    density_logs,
    free_logs,
    with_first_values,
)


class Executable(torch.nn.Module):
    """A circuit whose likelihoods run compiled, for batches of any size and on as many threads as torch uses.

    Its parameters are the circuit's, in float64 and under their names (`.` written `/`); a change in place is seen by
    the next call, without compiling again. `recomputed` counts the rows that were taken again in float64 logarithms.
    """

    def __init__(self, circuit: Circuit, compiled: Compiled | None, compiler: Compiler) -> None:
        """`compiled` is None for a circuit that only the evaluator can answer."""
        super().__init__()
        self._compiler = compiler
        self._required: set[str] = set()
        self._circuit = circuit
        self._compiled = compiled
        self._lock = threading.Lock()
        self._names: dict[str, Parameter] = {}
        self._seen: tuple[int, ...] | None = None
        self._engine: Engine | None = None
        self._columns: Columns | None = None
        if compiled is not None and not compiled.densities and len(compiled.variables) == len(circuit.variables):
            self._columns = Columns.of(compiled)
        self.recomputed = 0
        for parameter in circuit.parameters:
            name = parameter.name.replace(".", "/")
            name = name if name not in self._names else f"{name}#{parameter.uid}"
            self._names[name] = parameter
            value = torch.from_numpy(circuit.store[parameter].floats.copy())
            self.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))
        self._refresh()

    @property
    def circuit(self) -> Circuit:
        """The circuit over the module's present parameters."""
        self._refresh()
        return self._circuit

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables, in the order of the columns."""
        return self._circuit.variables

    def _refresh(self) -> None:
        """Takes over what was changed in the parameters."""
        tensors = [tensor for tensor in self._parameters.values() if tensor is not None]
        seen = (*map(_VERSION, tensors), *map(_ADDRESS, tensors))
        with self._lock:
            if self._seen == seen:
                return
            if self._seen is not None:
                named = dict(self.named_parameters())
                store = self._circuit.store
                values = dict(store)
                for name, parameter in self._names.items():
                    values[parameter] = Value.of(named[name].detach().double().cpu().numpy())
                self._circuit = self._circuit.over(Store(values))
            engine: Engine | None = None
            if self._compiled is not None:
                with np.errstate(over="ignore"):
                    tables = self._compiled.tables(self._circuit.store)
                # numbers of both signs are the evaluator's, and sums of the largest numbers, which may be none
                if all(table.min(initial=0.0) >= 0 and np.isfinite(table).all() for table in tables):
                    engine = self._compiled.engine(self._circuit)
                    engine.refill(tables)
            self._engine, self._seen = engine, seen
            self._required.clear()

    def forward(self, x: Any) -> torch.Tensor:
        """The log-likelihood."""
        return self.log_likelihood(x)

    def log_likelihood(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log p(x), [batch] in float64; −inf is exact. Where `observed` is False, the variable is summed out.

        x is [batch, variables], a numpy or torch array.

        Raises: DanausError for NaN that is not masked, a wrong shape, a value outside its variable's domain, or, where
        something is summed out, a circuit that is not smooth and decomposable.
        """
        rows, known = as_array(x), None if observed is None else as_array(observed)
        codes = self._codes(rows, known)
        if codes is None:
            values, mask = validate_array(rows, self.variables, known)
            if not mask.all():
                self._require("marginal")
            return torch.from_numpy(self._log_likelihood(values, mask))
        if known is not None and not known.all():
            self._require("marginal")
        return torch.from_numpy(self._log_likelihood_of_codes(codes))

    def marginal(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log of the mass of what is observed, [batch]: as `log_likelihood`, but NaN without a mask is missing."""
        self._require("marginal")
        rows, known = as_array(x), None if observed is None else as_array(observed)
        if known is None and isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
            known = ~np.isnan(rows)
        codes = self._codes(rows, known)
        if codes is None:
            return torch.from_numpy(self._log_likelihood(*self._rows(x, observed)))
        return torch.from_numpy(self._log_likelihood_of_codes(codes))

    def partition(self) -> float:
        """The natural logarithm of the total mass."""
        self._require("partition")
        count = len(self.variables)
        return float(self._log_likelihood(np.zeros((1, count)), np.zeros((1, count), dtype=bool))[0])

    def conditional(self, x: Any, observed: Any = None) -> dict[str, Any]:
        """The distribution of each missing variable given the observed ones, by name, as `danaus.conditional`."""
        self._require("conditional")
        values, mask = self._rows(x, observed)
        return {variable.name: found for variable, found in conditional(self.circuit, values, mask).items()}

    def map(self, x: Any, observed: Any = None) -> MostProbable:
        """The most probable completion of each row, as `danaus.map`."""
        self._require("map")
        values, mask = self._rows(x, observed)
        return self._compiler.most_probable(self.circuit, values, mask)

    def sample(self, x: Any = 1, observed: Any = None, *, seed: int = 0) -> torch.Tensor:
        """Samples [batch, variables], as `danaus.sample`: so many, or the rest of each row given what is observed."""
        self._require("sample")
        if isinstance(x, int):
            return torch.from_numpy(sample(self.circuit, x, seed))
        values, mask = self._rows(x, observed)
        return torch.from_numpy(sample_given(self.circuit, values, mask, seed))

    def save(self, path: str | Path, targets: Sequence[str] = ("cpu",)) -> None:
        """Writes a bundle, to run without the compiler and the circuit: a folder, or a zip where `path` ends in .zip.

        It has the present parameters, and code for each target: `cpu`, this machine's processor, `cpu:x86-64-v3`,
        `cpu:x86-64-v4` or `cpu:aarch64`. `danaus.load_bundle` reads it. It is written whole or not at all.

        Raises: DanausError `not-in-bundle` where only the evaluator can answer, `unknown-target`, `unwritable-file`.
        """
        if self._compiled is None:
            raise not_compiled(self._circuit.name)
        save_bundle(self._compiled.bundle(self.circuit, targets), Path(path))

    def _require(self, kind: str) -> None:
        """Proves what a query needs, once for as long as the parameters stay."""
        circuit = self.circuit
        if kind not in self._required:
            self._compiler.require(kind, circuit)
            self._required.add(kind)

    def _rows(self, x: Any, observed: Any) -> tuple[Floats, Bools]:
        return validate_array(
            as_array(x), self.variables, None if observed is None else as_array(observed), missing="nan"
        )

    def _log_likelihood(self, values: Floats, observed: Bools) -> Floats:
        circuit, engine = self.circuit, self._engine
        endless = [i for i, each in enumerate(self.variables) if each in circuit.free and not each.size]
        if self._compiled is None or engine is None or not observed[:, endless].all():
            return log_likelihood(circuit, values, observed)
        columns = self._compiled.variables
        values, observed = with_first_values(columns, values, observed)
        numbers = Numbers(circuit.store)
        densities = {
            source: density_logs(block, columns.index(block.variable), values, observed, numbers)
            for source, block in enumerate(self._compiled.densities)
        }
        codes = codes_of(self._compiled.program.columns, columns, values, observed)
        answer = engine.run(codes, densities, torch.get_num_threads())
        free = [self.variables.index(variable) for variable in circuit.free]
        log = answer.log + free_logs(columns, free, observed)
        if answer.unsure.any():
            rows = np.flatnonzero(answer.unsure)
            self.recomputed += len(rows)
            own = slice(len(self.variables))
            log[rows] = log_likelihood(circuit, values[rows][:, own], observed[rows][:, own])
        return log

    def _codes(self, x: Any, observed: Any) -> Codes | None:
        """Rows as codes [batch, columns] where no value needs a second look; None where all must be looked at."""
        plain = self._columns is not None and not self._circuit.free and isinstance(x, np.ndarray)
        return self._columns.plain(x, observed) if plain and self._columns is not None else None

    def _log_likelihood_of_codes(self, codes: Codes) -> Floats:
        circuit, engine = self.circuit, self._engine
        assert self._columns is not None
        if engine is None:
            return log_likelihood(circuit, *self._columns.rows(codes))
        answer = engine.run(codes.T, {}, torch.get_num_threads())
        if answer.unsure.any():
            self.recomputed += int(answer.unsure.sum())
            answer.log[answer.unsure] = log_likelihood(circuit, *self._columns.rows(codes[answer.unsure]))
        return answer.log

    def extra_repr(self) -> str:
        return f"{self._circuit.name}: {len(self.variables)} variables, {self._circuit.nodes} nodes"


_VERSION, _ADDRESS = attrgetter("_version"), torch.Tensor.data_ptr


def as_array(x: Any) -> Any:
    """Rows as numpy sees them: a tensor without a copy where it is in memory of the processor."""
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
