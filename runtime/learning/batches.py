"""EM over all rows, and over batches with a step held back by a divergence.

Mini-batch EM: θ′ maximises (α/|D|) · the surrogate of EM on a batch D − (1 − α) · KL(p_θ ‖ p_θ′) of the joint
distribution with latents ("Anemone", arXiv 2505.19982). Both are linear in expected sufficient statistics, so θ′ is the
M-step of (α/|D|) F(D) + (1 − α) F(θ), where F(θ) is what the circuit expects of a row of its own: for weights TD · θ,
for gaussians TD · (1, m, m² + s²), for poissons TD · (1, λ), TD being the mass that reaches a node. Pseudocounts are
part of the surrogate, and so weigh α too.
"""

from __future__ import annotations

import numpy as np

from ...ir.parameter import Floats
from ..columns import Bools
from ..executable import Executable
from .options import Options
from .stepping import Counted, steps_of

ALPHA = 0.4


class FullBatch:
    """EM on all rows."""

    def __init__(self, model: Executable, rows: tuple[Floats, Bools], options: Options) -> None:
        """Raises: DanausError `no-closed-form`."""
        self._model, self._rows, self._options = model, rows, options
        self._steps = steps_of(model)

    def epoch(self, number: int) -> None:
        """One step of EM."""
        counts = self._steps.expected(*self._rows)
        self._steps.take(counts, self._options.pseudocount)
        self._steps.settle()

    def state(self) -> dict[str, Floats]:
        """Nothing beside the parameters."""
        return {}

    def restore(self, state: dict[str, Floats]) -> None:
        """Nothing."""


class MiniBatch:
    """EM on batches; α falls to 0 over the epochs. With a momentum, F(D) / |D| is a mean over the batches so far.

    That mean forgets at the rate of the momentum, and is corrected for its beginning at 0, as Adam's moments are.
    """

    def __init__(self, model: Executable, rows: tuple[Floats, Bools], options: Options) -> None:
        """Raises: DanausError `no-closed-form`."""
        self._model, self._rows, self._options = model, rows, options
        self._steps = steps_of(model)
        self._mean: Counted | None = None
        self._restored: list[Floats] | None = None
        self._count = 0

    def epoch(self, number: int) -> None:
        """One pass over the rows, in an order of the seed and the epoch's number."""
        options = self._options
        values, observed = self._rows
        alpha = ALPHA if options.step is None else options.step
        order = np.random.default_rng([options.seed, number]).permutation(len(values))
        turns = -(-len(values) // options.batch)
        for turn in range(turns):
            own = order[turn * options.batch : (turn + 1) * options.batch]
            part = alpha * (1 - ((number - 1) * turns + turn) / (options.epochs * turns))
            found = self._averaged(self._steps.expected(values[own], observed[own], own), len(own))
            mixed = found.blended(self._steps.prior(), part, 1 - part)
            self._steps.take(mixed, part * options.pseudocount / len(values))
        self._steps.settle()

    def _averaged(self, found: Counted, rows: int) -> Counted:
        """The counts of a row, on average over this batch or over those so far."""
        fresh = found.blended(found, 1 / rows, 0.0)
        momentum = self._options.momentum
        if momentum == 0:
            return fresh
        self._count += 1
        weight = (1 - momentum) / (1 - momentum**self._count)
        if self._restored is not None:
            self._mean, self._restored = fresh.over(self._restored), None
        if self._mean is not None:
            fresh = fresh.blended(self._mean, weight, 1 - weight)
        self._mean = fresh
        return fresh

    def state(self) -> dict[str, Floats]:
        """The mean over the batches so far, and their number."""
        arrays = self._restored or ([] if self._mean is None else self._mean.arrays())
        means = {f"mean/{i}": array for i, array in enumerate(arrays)}
        return {"count": np.array([float(self._count)]), **means}

    def restore(self, state: dict[str, Floats]) -> None:
        """Takes up such a state."""
        self._count = int(state["count"][0])
        found = [state[f"mean/{i}"] for i in range(len(state) - 1)]
        self._mean, self._restored = None, found or None
