"""A compiled circuit as a `torch.nn.Module`: what `danaus.compile` gives.

What enters are rows, as numpy or torch arrays; what leaves are answers per row. Likelihoods and marginals run compiled;
where the fast numbers cannot vouch for a row, it is taken again by the evaluator in float64 logarithms, so an answer is
never wrong without a word. The other queries are the evaluator's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..ir.circuit import Circuit
from ..ir.data import validate_array
from ..ir.diagnostic import error
from ..ir.domain import FiniteDomain, first_value
from ..ir.expression import Expression, Floats, Parameter, Value
from ..ir.numbers import Numbers
from ..ir.pullback import log_density_shares, log_density_slope, pullback
from ..ir.query.conditional import conditional
from ..ir.query.likelihood import log_likelihood, logarithmic
from ..ir.query.maximum import MostProbable, most_probable
from ..ir.query.sample import sample, sample_given
from ..ir.semirings import LOG, SIGNED_LOG
from ..ir.store import Store
from .backward import Flows, flows
from .compiled import Bools, Compiled, codes_of


class Executable(torch.nn.Module):
    """A circuit whose likelihoods run compiled, for batches of any size and on as many threads as torch uses.

    Its parameters are the circuit's, in float64 and under their names (`.` written `/`); a change in place is seen by
    the next call, without compiling again. `recomputed` counts the rows that were taken again in float64 logarithms.
    """

    def __init__(self, circuit: Circuit, compiled: Compiled | None) -> None:
        """`compiled` is None for a circuit that only the evaluator can answer."""
        super().__init__()
        self._circuit = circuit
        self._compiled = compiled
        self._lock = threading.Lock()
        self._names: dict[str, Parameter] = {}
        self._seen: tuple[tuple[int, int], ...] = ()
        self._signed = False
        self.recomputed = 0
        for parameter in circuit.parameters:
            name = parameter.name.replace(".", "/")
            name = name if name not in self._names else f"{name}#{parameter.uid}"
            self._names[name] = parameter
            value = torch.from_numpy(circuit.store[parameter].floats.copy())
            self.register_parameter(name, torch.nn.Parameter(value, requires_grad=parameter.learnable))
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
        seen = tuple((tensor._version, tensor.data_ptr()) for tensor in self.parameters())
        with self._lock:
            if self._seen == seen and self._seen:
                return
            if self._seen:
                tensors = dict(self.named_parameters())
                store = self._circuit.store
                values = {**{each: store[each] for each in store}}
                for name, parameter in self._names.items():
                    values[parameter] = Value.of(tensors[name].detach().double().cpu().numpy())
                self._circuit = self._circuit.over(Store(values))
            numbers = Numbers(self._circuit.store)
            self._signed = logarithmic(self._circuit, numbers) is not LOG
            if self._compiled is not None and not self._signed:
                self._compiled.engine.refill(self._compiled.tables(self._circuit.store))
            self._seen = seen or ((0, 0),)

    def forward(self, x: Any) -> torch.Tensor:
        """The log-likelihood."""
        return self.log_likelihood(x)

    def log_likelihood(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log p(x), [batch] in float64; −inf is exact. Where `observed` is False, the variable is summed out.

        x is [batch, variables], a numpy or torch array.

        Raises: DanausError for NaN that is not masked, a wrong shape, or a value outside its variable's domain.
        """
        values, mask = validate_array(_array(x), self.variables, None if observed is None else _array(observed))
        return self._differentiable(x, values, mask)

    def marginal(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log of the mass of what is observed, [batch]: as `log_likelihood`, but NaN without a mask is missing."""
        values, mask = self._rows(x, observed)
        return self._differentiable(x, values, mask)

    def flows(self, x: Any, observed: Any = None) -> dict[str, Floats]:
        """Expected counts per parameter, summed over the rows: parameter · ∂ Σ log p / ∂ parameter, by name.

        For an entry of weights or of a categorical input it is how often, in expectation, it is used. Impossible rows
        count nothing; NaN without a mask is missing.
        """
        values, mask = self._rows(x, observed)
        found, _, _ = self._derivatives(values, mask, np.ones(len(values)), False)
        store = self._circuit.store
        return {name: store[parameter].floats * found[name] for name, parameter in self._names.items()}

    def _differentiable(self, x: Any, values: Floats, observed: Bools) -> torch.Tensor:
        """log p; where autograd asks for derivatives, with those of parameters and of data on real variables."""
        tensors = [tensor for tensor in self.parameters() if tensor.requires_grad]
        data = x if isinstance(x, torch.Tensor) and x.requires_grad else None
        if not torch.is_grad_enabled() or (not tensors and data is None):
            return torch.from_numpy(self._log_likelihood(values, observed))
        apply: Any = LogLikelihood.apply
        found: torch.Tensor = apply(self, values, observed, data, *self.parameters())
        return found

    def flows_of_tables(self, values: Floats, observed: Bools, weights: Floats) -> Flows:
        """The reverse of the Program on rows, over the present parameters."""
        self._refresh()
        if self._compiled is None:
            raise error("not-differentiable", f'"{self._circuit.name}" has scalar nodes on infinite domains')
        values, observed = self._with_first_values(values, observed)
        densities = {source: self._density(source, values, observed) for source in range(len(self._compiled.densities))}
        tables = list(self._compiled.tables(self._circuit.store))
        codes = codes_of(self._compiled, values, observed)
        return flows(self._compiled.lowered, tables, codes, densities, weights, self._signed)

    @property
    def compiled(self) -> Compiled | None:
        """What the compiler has made; None where only the evaluator answers."""
        return self._compiled

    def learnable(self) -> dict[str, Parameter]:
        """The learnable parameters, by the names of the module's."""
        return {name: parameter for name, parameter in self._names.items() if parameter.learnable}

    def take(self, store: Store) -> None:
        """Takes the values of its parameters from a store."""
        self.assign({name: torch.from_numpy(store[each].floats.copy()) for name, each in self._names.items()})

    def assign(self, values: Mapping[str, torch.Tensor]) -> None:
        """Gives parameters other values, in place."""
        tensors = dict(self.named_parameters())
        with torch.no_grad():
            for name, value in values.items():
                tensors[name].copy_(value)
        self._refresh()

    def log_rows(self, values: Floats, observed: Bools) -> Floats:
        """log p of rows that are already checked."""
        return self._log_likelihood(values, observed)

    def gradients(self, values: Floats, observed: Bools) -> tuple[dict[str, Floats], Floats]:
        """The derivatives of Σ log p with respect to parameters by name, and log p per row."""
        found, _, log = self._derivatives(values, observed, np.ones(len(values)), False)
        return found, log

    def _derivatives(
        self, values: Floats, observed: Bools, weights: Floats, data: bool
    ) -> tuple[dict[str, Floats], Floats, Floats]:
        """Derivatives of Σ weight · log p, of parameters by name and of the data where asked; and log p."""
        found = self.flows_of_tables(values, observed, weights)
        assert self._compiled is not None
        store = self._circuit.store
        numbers = Numbers(store)
        shares = self._compiled.derivatives(store, found.tables)
        inner: list[tuple[Expression, Floats]] = []
        slopes = np.zeros(values.shape)
        for source, block in enumerate(self._compiled.densities):
            column = self._compiled.variables.index(block.variable)
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
        none = {name: np.zeros(parameter.shape) for name, parameter in self._names.items()}
        return {name: shares.get(parameter, none[name]) for name, parameter in self._names.items()}, slopes, found.log

    def partition(self) -> float:
        """The natural logarithm of the total mass."""
        count = len(self.variables)
        return float(self._log_likelihood(np.zeros((1, count)), np.zeros((1, count), dtype=bool))[0])

    def conditional(self, x: Any, observed: Any = None) -> dict[str, Any]:
        """The distribution of each missing variable given the observed ones, by name, as `danaus.conditional`."""
        values, mask = self._rows(x, observed)
        return {variable.name: found for variable, found in conditional(self.circuit, values, mask).items()}

    def map(self, x: Any, observed: Any = None) -> MostProbable:
        """The most probable completion of each row, as `danaus.map`."""
        values, mask = self._rows(x, observed)
        return most_probable(self.circuit, values, mask)

    def sample(self, x: Any = 1, observed: Any = None, *, seed: int = 0) -> torch.Tensor:
        """Samples [batch, variables], as `danaus.sample`: so many, or the rest of each row given what is observed."""
        if isinstance(x, int):
            return torch.from_numpy(sample(self.circuit, x, seed))
        values, mask = self._rows(x, observed)
        return torch.from_numpy(sample_given(self.circuit, values, mask, seed))

    def _rows(self, x: Any, observed: Any) -> tuple[Floats, Bools]:
        return validate_array(_array(x), self.variables, None if observed is None else _array(observed), missing="nan")

    def _log_likelihood(self, values: Floats, observed: Bools) -> Floats:
        circuit = self.circuit
        endless = [i for i, each in enumerate(self.variables) if each in circuit.free and not each.size]
        if self._compiled is None or self._signed or not observed[:, endless].all():
            return log_likelihood(circuit, values, observed)
        values, observed = self._with_first_values(values, observed)
        densities = {source: self._density(source, values, observed) for source in range(len(self._compiled.densities))}
        codes = codes_of(self._compiled, values, observed)
        answer = self._compiled.engine.run(codes, densities, torch.get_num_threads())
        log = answer.log + self._free(observed)
        if answer.unsure.any():
            rows = np.flatnonzero(answer.unsure)
            self.recomputed += len(rows)
            own = slice(len(self.variables))
            log[rows] = log_likelihood(circuit, values[rows][:, own], observed[rows][:, own])
        return log

    def _free(self, observed: Bools) -> Floats:
        """The logarithm of what free variables that are missing multiply a row by, [batch]: their numbers of values."""
        out = np.zeros(len(observed))
        for variable in self._circuit.free:
            if isinstance(variable.domain, FiniteDomain):
                known = observed[:, self.variables.index(variable)]
                out += np.where(known, 0.0, np.log(variable.domain.size))
        return out

    def _with_first_values(self, values: Floats, observed: Bools) -> tuple[Floats, Bools]:
        """Rows with the Program's further columns, of variables that stand under zero weights alone."""
        assert self._compiled is not None
        more = self._compiled.variables[values.shape[1] :]
        if not more:
            return values, observed
        firsts = np.array([float(first_value(variable.domain)) for variable in more])
        rows = np.broadcast_to(firsts, (len(values), len(more)))
        return np.hstack([values, rows]), np.hstack([observed, np.ones(rows.shape, dtype=bool)])

    def _density(self, source: int, values: Floats, observed: Bools) -> Floats:
        """The logarithms of an input's functions on an infinite domain, or of their integrals, [nodes, batch]."""
        assert self._compiled is not None
        block = self._compiled.densities[source]
        assert not isinstance(block.variable.domain, FiniteDomain)
        numbers = Numbers(self._circuit.store)
        column = self._compiled.variables.index(block.variable)
        known = observed[:, column]
        out = np.empty((block.width, len(values)))
        if known.any():
            x = values[known, column]
            out[:, known] = numbers.inputs(block.family, block.variable, block.parameters, x, SIGNED_LOG)[..., 0]
        if not known.all():
            total = numbers.moments(block.family, block.variable, block.parameters, 0, SIGNED_LOG)[..., 0]
            out[:, ~known] = total[:, None]
        return out

    def extra_repr(self) -> str:
        return f"{self._circuit.name}: {len(self.variables)} variables, {self._circuit.nodes} nodes"


class LogLikelihood(torch.autograd.Function):
    """log p under autograd: forward compiled, backward by the Program's reverse."""

    @staticmethod
    def forward(
        ctx: Any, model: Executable, values: Floats, observed: Bools, data: torch.Tensor | None, *parameters: Any
    ) -> torch.Tensor:
        """`data` is given where its derivative is wanted."""
        ctx.model, ctx.values, ctx.observed = model, values, observed
        ctx.versions = tuple(tensor._version for tensor in parameters)
        ctx.data = data
        return torch.from_numpy(model._log_likelihood(values, observed))

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[Any, ...]:
        """Derivatives of the data and of each parameter."""
        model: Executable = ctx.model
        tensors = dict(model.named_parameters())
        if tuple(tensor._version for tensor in tensors.values()) != ctx.versions:
            raise RuntimeError("a parameter was changed in place between log_likelihood and backward")
        weights = given[0].detach().double().cpu().numpy()
        found, slopes, _ = model._derivatives(ctx.values, ctx.observed, weights, ctx.data is not None)
        data = None if ctx.data is None else torch.from_numpy(slopes).to(ctx.data)
        shares = [
            torch.from_numpy(found[name]).to(tensor) if tensor.requires_grad else None
            for name, tensor in tensors.items()
        ]
        return (None, None, None, data, *shares)


def _array(x: Any) -> Any:
    """Rows as numpy sees them: a tensor without a copy where it is in memory of the processor."""
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
