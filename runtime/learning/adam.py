"""Adam on numbers without constraints: softmax of rows, sigmoid of probabilities, exp of what is positive."""

from __future__ import annotations

import numpy as np
import torch

from ...ir.parameter import Floats
from ..columns import Bools
from ..executable import Executable
from .em import require_possible
from .options import Options

RATE = 0.05


class Adam:
    """Epochs of Adam (Kingma and Ba, ICLR 2015) on batches; a circuit without mass 1 is divided by its mass."""

    def __init__(self, model: Executable, rows: tuple[Floats, Bools], options: Options, normalised: bool) -> None:
        """`normalised` says that the circuit's mass is 1 now."""
        self._rows, self._options = rows, options
        self._free = model.unconstrained(torch.float64)
        rate = RATE if options.step is None else options.step
        self._optimiser = torch.optim.Adam([self._free.numbers], lr=rate)
        simplex = all(each.constraint == "simplex" for each in model.learnable().values())
        self._normalised = normalised and simplex

    def epoch(self, number: int) -> None:
        """One pass over the rows, in an order of the seed and the epoch's number."""
        values, _ = self._rows
        order = np.random.default_rng([self._options.seed, number]).permutation(len(values))
        for start in range(0, len(values), self._options.batch):
            self._step(order[start : start + self._options.batch])
        _ = self._free.model  # its parameters are those of the last step

    def _step(self, own: np.ndarray) -> None:
        values, observed = self._rows
        found = self._free.derivatives(values[own], observed[own], np.full(len(own), -1 / len(own)))
        require_possible(found.log, own)
        slopes = self._free.pulled(found)
        if not self._normalised:
            nothing = np.zeros((1, values.shape[1]))
            mass = self._free.derivatives(nothing, nothing.astype(bool), np.ones(1))
            slopes += self._free.pulled(mass)
        self._free.numbers.grad = slopes.detach()
        self._optimiser.step()

    def state(self) -> dict[str, Floats]:
        """The numbers without constraints and Adam's moments."""
        out: dict[str, Floats] = {"free": self._free.numbers.detach().numpy().copy()}
        for key, value in self._optimiser.state[self._free.numbers].items():
            out[key] = np.array(value.numpy(), dtype=np.float64)
        return out

    def restore(self, state: dict[str, Floats]) -> None:
        """Takes up such a state, whose parameters the executable has already."""
        numbers = self._free.numbers
        with torch.no_grad():
            numbers.copy_(torch.from_numpy(state["free"]))
        if "step" in state:
            self._optimiser.state[numbers] = {
                "step": torch.tensor(state["step"].item()),
                "exp_avg": torch.from_numpy(state["exp_avg"].copy()),
                "exp_avg_sq": torch.from_numpy(state["exp_avg_sq"].copy()),
            }
        self._free.settle()
