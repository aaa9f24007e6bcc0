"""`fit`: loops of learning over data, with a history and a check on held-out rows.

What enters is an executable with rows; what leaves is the executable at its best parameters, with the likelihoods on
the way. Methods: EM on all rows, EM on batches with a step held back by a divergence, and Adam.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.expression import Floats, Parameter
from ...ir.query.likelihood import log_likelihood
from ...ir.store import Store
from ..compiled import Bools
from ..executable import Executable
from .em import Counts, expected, maximised, prior

Method = Literal["em", "minibatch-em", "adam"]

NORMALISED = 1e-6
"""How far from 0 the logarithm of the mass of a normalised circuit may be, from rounding."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean log-likelihoods per row after so many epochs; `valid` is None without held-out rows."""

    epoch: int
    train: float
    valid: float | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was learnt: the executable over the best parameters, and how it came there."""

    model: Executable
    history: tuple[Epoch, ...]

    @property
    def circuit(self) -> Circuit:
        """The circuit over the learnt parameters."""
        return self.model.circuit


@dataclass(frozen=True, slots=True)
class Options:
    """How to learn: `step` is Adam's rate, or how far a batch of EM goes (α, in (0, 1]); both fall to 0 in the end."""

    method: Method = "em"
    epochs: int = 100
    batch: int = 256
    step: float | None = None
    tolerance: float = 1e-6
    patience: int = 5
    pseudocount: float = 0.0
    seed: int = 0


Rows = tuple[Floats, Bools]


def train(model: Executable, rows: Rows, valid: Rows | None, options: Options) -> Fitted:
    """Learns until the mean log-likelihood gains less than the tolerance, held-out rows get worse, or epochs end.

    Raises: DanausError `nothing-to-learn`, `no-data`, `impossible-row`, `no-closed-form`, `not-normalised`.
    """
    if not any(parameter.learnable for parameter in model.circuit.parameters):
        raise error("nothing-to-learn", f'"{model.circuit.name}" has no learnable parameter')
    if not len(rows[0]):
        raise error("no-data", "there are no rows to learn from")
    if options.method != "adam" and abs(_mass(model)) > NORMALISED:
        raise error(
            "not-normalised",
            f'"{model.circuit.name}" has the mass {float(np.exp(_mass(model))):.6g}, not 1, so EM does not apply',
            hint='method="adam" learns it, divided by its mass',
        )
    match options.method:
        case "em":
            epoch = _em(model, rows, options)
        case "minibatch-em":
            epoch = _batches(model, rows, options)
        case "adam":
            epoch = _adam(model, rows, options)
    return _loop(model, rows, valid, options, epoch)


def _loop(model: Executable, rows: Rows, valid: Rows | None, options: Options, epoch: Callable[[int], None]) -> Fitted:
    history = [Epoch(0, _mean(model, rows), None if valid is None else _mean(model, valid))]
    best, store = _score(history[0]), model.circuit.store
    since = 0
    for number in range(1, options.epochs + 1):
        epoch(number)
        history.append(Epoch(number, _mean(model, rows), None if valid is None else _mean(model, valid)))
        if _score(history[-1]) > best:
            since = 0 if _score(history[-1]) > best + options.tolerance else since + 1
            best, store = _score(history[-1]), model.circuit.store
        else:
            since += 1
        if options.method == "em" and history[-1].train - history[-2].train < options.tolerance:
            break
        if since >= options.patience:
            break
    model.take(store)
    return Fitted(model, tuple(history))


def _score(epoch: Epoch) -> float:
    return epoch.train if epoch.valid is None else epoch.valid


def _mean(model: Executable, rows: Rows) -> float:
    mass = _mass(model)
    return float(model.log_rows(*rows).mean()) - (mass if abs(mass) > NORMALISED else 0.0)


def _mass(model: Executable) -> float:
    """The logarithm of the circuit's mass, in float64."""
    nothing = np.zeros((1, len(model.variables)))
    return float(log_likelihood(model.circuit, nothing, nothing.astype(bool))[0])


def _em(model: Executable, rows: Rows, options: Options) -> Callable[[int], None]:
    def epoch(_: int) -> None:
        model.take(maximised(model, expected(model, *rows), options.pseudocount))

    return epoch


def _batches(model: Executable, rows: Rows, options: Options) -> Callable[[int], None]:
    """θ' ∝ (α/|D|) F(D) + (1 − α) TD θ: full EM on a batch, held to the present joint distribution by its divergence.

    Source: "Anemone", arXiv 2505.19982. TD θ is what the circuit expects without data: the flows of one row that
    observes nothing.
    """
    alpha = 0.4 if options.step is None else options.step
    random = np.random.default_rng(options.seed)
    values, observed = rows
    count = -(-len(values) // options.batch)

    def epoch(number: int) -> None:
        order = random.permutation(len(values))
        for turn in range(count):
            own = order[turn * options.batch : (turn + 1) * options.batch]
            done = ((number - 1) * count + turn) / (options.epochs * count)
            part = alpha * (1 - done)
            model.take(_held_back(model, expected(model, values[own], observed[own]), len(own), part, options))

    return epoch


def _held_back(model: Executable, found: Counts, rows: int, alpha: float, options: Options) -> Store:
    if found.densities:
        raise error(
            "no-closed-form", "mini-batch EM has no step for inputs on infinite domains", hint='use "em" or "adam"'
        )
    return maximised(model, found.blended(prior(model), alpha / rows, 1 - alpha), options.pseudocount)


def _adam(model: Executable, rows: Rows, options: Options) -> Callable[[int], None]:
    """Adam on numbers without constraints: softmax of rows, sigmoid of probabilities, exp of what is positive."""
    rate = 0.05 if options.step is None else options.step
    parameters = {name: each for name, each in model.learnable().items()}
    free = {
        name: _unconstrained(parameter, model.circuit.store[parameter].floats).requires_grad_(True)
        for name, parameter in parameters.items()
    }
    optimiser = torch.optim.Adam(free.values(), lr=rate)
    random = np.random.default_rng(options.seed)
    values, observed = rows
    count = -(-len(values) // options.batch)
    nothing = np.zeros((1, values.shape[1]))
    normalised = abs(_mass(model)) < NORMALISED and all(each.constraint == "simplex" for each in parameters.values())

    def epoch(_: int) -> None:
        order = random.permutation(len(values))
        for turn in range(count):
            own = order[turn * options.batch : (turn + 1) * options.batch]
            found, log = model.gradients(values[own], observed[own])
            if (bad := np.flatnonzero(~np.isfinite(log))).size:
                raise error("impossible-row", f"row {int(own[bad[0]])} has likelihood zero under the circuit")
            if not normalised:
                mass = model.gradients(nothing, nothing.astype(bool))[0]
                found = {each: found[each] - len(own) * mass[each] for each in found}
            optimiser.zero_grad()
            constrained = {name: _constrained(parameters[name], free[name]) for name in free}
            slopes = [torch.from_numpy(-found[each] / len(own)) for each in constrained]
            torch.autograd.backward(list(constrained.values()), slopes)
            optimiser.step()
            with torch.no_grad():
                model.assign({name: _constrained(parameters[name], free[name]) for name in free})

    return epoch


def _unconstrained(parameter: Parameter, value: Floats) -> torch.Tensor:
    tensor = torch.from_numpy(value.copy())
    match parameter.constraint:
        case "simplex":
            return tensor.clamp_min(1e-12).log()
        case "unit":
            return tensor.clamp(1e-12, 1 - 1e-12).logit()
        case "positive":
            return tensor.log()
        case _:
            return tensor


def _constrained(parameter: Parameter, tensor: torch.Tensor) -> torch.Tensor:
    match parameter.constraint:
        case "simplex":
            return torch.softmax(tensor, -1)
        case "unit":
            return torch.sigmoid(tensor)
        case "positive":
            return torch.exp(tensor)
        case _:
            return tensor * 1.0
