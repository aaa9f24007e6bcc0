"""Adam on numbers without constraints: softmax of rows, sigmoid of probabilities, exp of what is positive."""

from __future__ import annotations

import numpy as np
import torch

from ...ir.expression import Floats, Parameter
from ..compiled import Bools
from ..executable import Executable
from .em import require_possible
from .options import Options

RATE = 0.05


class Adam:
    """Epochs of Adam (Kingma and Ba, ICLR 2015) on batches; a circuit without mass 1 is divided by its mass."""

    def __init__(self, model: Executable, rows: tuple[Floats, Bools], options: Options, normalised: bool) -> None:
        """`normalised` says that the circuit's mass is 1 now."""
        self._model, self._rows, self._options = model, rows, options
        self._parameters = model.learnable()
        store = model.circuit.store
        self._free = {
            name: _unconstrained(parameter, store[parameter].floats).requires_grad_(True)
            for name, parameter in self._parameters.items()
        }
        rate = RATE if options.step is None else options.step
        self._optimiser = torch.optim.Adam(self._free.values(), lr=rate)
        simplex = all(each.constraint == "simplex" for each in self._parameters.values())
        self._normalised = normalised and simplex

    def epoch(self, number: int) -> None:
        """One pass over the rows, in an order of the seed and the epoch's number."""
        values, _ = self._rows
        order = np.random.default_rng([self._options.seed, number]).permutation(len(values))
        for start in range(0, len(values), self._options.batch):
            self._step(order[start : start + self._options.batch])

    def _step(self, own: np.ndarray) -> None:
        values, observed = self._rows
        found, log = self._model.gradients(values[own], observed[own])
        require_possible(log, own)
        if not self._normalised:
            nothing = np.zeros((1, values.shape[1]))
            mass = self._model.gradients(nothing, nothing.astype(bool))[0]
            found = {each: found[each] - len(own) * mass[each] for each in found}
        self._optimiser.zero_grad()
        constrained = self._constrained()
        slopes = [torch.from_numpy(-found[each] / len(own)) for each in constrained]
        torch.autograd.backward(list(constrained.values()), slopes)
        self._optimiser.step()
        with torch.no_grad():
            self._model.assign(self._constrained())

    def _constrained(self) -> dict[str, torch.Tensor]:
        return {name: _constrained(self._parameters[name], free) for name, free in self._free.items()}

    def state(self) -> dict[str, Floats]:
        """The numbers without constraints and Adam's moments, by name."""
        out: dict[str, Floats] = {}
        for name, free in self._free.items():
            out[f"free/{name}"] = free.detach().numpy().copy()
            for key, value in self._optimiser.state[free].items():
                out[f"{key}/{name}"] = np.array(value.numpy(), dtype=np.float64)
        return out

    def restore(self, state: dict[str, Floats]) -> None:
        """Takes up such a state."""
        with torch.no_grad():
            for name, free in self._free.items():
                free.copy_(torch.from_numpy(state[f"free/{name}"]))
                if f"step/{name}" in state:
                    self._optimiser.state[free] = {
                        "step": torch.tensor(state[f"step/{name}"].item()),
                        "exp_avg": torch.from_numpy(state[f"exp_avg/{name}"].copy()),
                        "exp_avg_sq": torch.from_numpy(state[f"exp_avg_sq/{name}"].copy()),
                    }


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
