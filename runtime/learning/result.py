"""What learning gives: the executable over the best parameters, and the way there, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Literal

from ...ir.circuit import Circuit
from ..executable import Executable

Method = Literal["em", "minibatch-em", "adam"]
Ended = Literal["epochs", "converged", "patience"]

SHOWN = 8
"""So many epochs of a history are shown at most."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean log-likelihoods per row, in nats, after so many epochs; `valid` is None without held-out rows.

    `seconds` is how long the epoch took, with its check on both; epoch 0 is before learning.
    """

    epoch: int
    train: float
    valid: float | None
    seconds: float

    @property
    def score(self) -> float:
        """What the best parameters are chosen by: that of held-out rows where there are some."""
        return self.train if self.valid is None else self.valid


@dataclass(frozen=True, slots=True, repr=False)
class Fitted:
    """What was learnt. `history` begins with epoch 0, before learning.

    `ended` says why it ended: "epochs" were used up, EM had "converged" to within the tolerance, or `patience` epochs
    had brought nothing better. Log-likelihoods in the history are less `mass`, the logarithm of the circuit's mass.
    """

    model: Executable
    history: tuple[Epoch, ...]
    method: Method
    ended: Ended
    mass: float = 0.0

    @property
    def circuit(self) -> Circuit:
        """The circuit over the learnt parameters."""
        return self.model.circuit

    @property
    def best(self) -> Epoch:
        """The epoch whose parameters were kept."""
        return best_of(self.history)

    def __repr__(self) -> str:
        last, best = self.history[-1], self.best
        seconds = sum(epoch.seconds for epoch in self.history)
        reason = {"epochs": "all used", "converged": "converged", "patience": "nothing better came"}[self.ended]
        head = f'<fitted "{self.circuit.name}" by {self.method}: {last.epoch} epochs, {reason}, {seconds:.3g} s'
        held = best.valid is not None
        lines = [f"{head}; the best is epoch {best.epoch}", f"  epoch       train{'       valid' if held else ''}"]
        step = -(-len(self.history) // SHOWN)
        shown = sorted({*range(0, len(self.history), step), len(self.history) - 1, self.history.index(best)})
        for epoch in (self.history[i] for i in shown):
            lines.append(f"  {epoch.epoch:5d} {epoch.train:11.6g}" + (f" {epoch.valid:11.6g}" if held else ""))
        return "\n".join(lines) + ">"


def best_of(history: tuple[Epoch, ...]) -> Epoch:
    """The first epoch of the best score."""
    best = history[0]
    for epoch in history[1:]:
        best = epoch if better(epoch.score, best.score) else best
    return best


def better(score: float, than: float) -> bool:
    """Whether a score is above another; any number is above NaN."""
    return score > than or (isnan(than) and not isnan(score))


def waited(history: tuple[Epoch, ...], tolerance: float) -> int:
    """How many epochs, the last ones, have brought no gain above the tolerance."""
    best, count = history[0].score, 0
    for epoch in history[1:]:
        count = 0 if better(epoch.score, best + tolerance) else count + 1
        best = epoch.score if better(epoch.score, best) else best
    return count
