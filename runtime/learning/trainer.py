"""`fit`: loops of learning over data, with a history, a check on held-out rows, and checkpoints.

What enters is an executable with rows; what leaves is the executable at its best parameters, with the likelihoods on
the way. The next epoch hangs on the checkpoint alone, so that learning that was interrupted goes on bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ...ir.diagnostic import error
from ...ir.parameter import Floats, Parameter, Value
from ...ir.query.likelihood import log_likelihood
from ..columns import Bools
from ..executable import Executable
from . import checkpoint
from .adam import Adam
from .batches import FullBatch, MiniBatch
from .digest import digest_of_circuit, digest_of_rows
from .options import Options
from .result import Ended, Epoch, Fitted, best_of, waited

NORMALISED = 1e-6
"""How far from 0 the logarithm of the mass of a normalised circuit may be, from rounding."""

EVERY = 5.0
"""A checkpoint is written no more often than this, in seconds, but at the end and when learning is interrupted."""

Rows = tuple[Floats, Bools]
Progress = Callable[[Epoch], None]


class Learner(Protocol):
    """A method: moves the parameters of its executable, and keeps what else it knows in arrays by name."""

    def epoch(self, number: int) -> None: ...

    def state(self) -> dict[str, Floats]: ...

    def restore(self, state: dict[str, Floats]) -> None: ...


def train(
    model: Executable,
    rows: Rows,
    valid: Rows | None,
    options: Options,
    path: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Learns until the mean log-likelihood gains less than the tolerance, held-out rows get worse, or epochs end.

    A checkpoint goes to `path`; with `resume` learning goes on from the one that is there. `progress` is told of each
    epoch. An interruption leaves the checkpoint of the last whole epoch, and goes on as KeyboardInterrupt.

    Raises: DanausError `nothing-to-learn`, `no-data`, `impossible-row`, `no-closed-form`, `not-normalised`, and what
    `checkpoint.read` and `checkpoint.write` raise.
    """
    if not any(parameter.learnable for parameter in model.circuit.parameters):
        raise error("nothing-to-learn", f'"{model.circuit.name}" has no learnable parameter')
    if not len(rows[0]):
        raise error("no-data", "there are no rows to learn from")
    if valid is not None and not len(valid[0]):
        raise error("no-data", "there are no held-out rows")
    mass = _mass(model)
    if options.method != "adam" and not abs(mass) <= NORMALISED:
        raise error(
            "not-normalised",
            f'"{model.circuit.name}" has the mass {float(np.exp(mass)):.6g}, not 1, so EM does not apply',
            hint='method="adam" learns it, divided by its mass',
        )
    run = _Run(model, rows, valid, options, path, progress, abs(mass) <= NORMALISED)
    if not (resume and run.resumed()):
        run.begin()
    return run.finished()


@dataclass(slots=True)
class _Keeper:
    """Writes checkpoints, not too often; `pending` is the last one where it is not written yet."""

    path: Path | None
    identity: checkpoint.Identity
    written: float = -np.inf
    pending: dict[str, Floats] | None = None

    def keep(self, arrays: dict[str, Floats]) -> None:
        self.pending = arrays
        if time.monotonic() - self.written >= EVERY:
            self.flush()

    def flush(self) -> None:
        if self.path is not None and self.pending is not None:
            checkpoint.write(self.path, self.identity, self.pending)
            self.pending, self.written = None, time.monotonic()


class _Run:
    """Learning under way: the executable, what has happened, and the best parameters so far."""

    def __init__(
        self,
        model: Executable,
        rows: Rows,
        valid: Rows | None,
        options: Options,
        path: Path | None,
        progress: Progress | None,
        normalised: bool,
    ) -> None:
        self._model, self._rows, self._valid, self._options = model, rows, valid, options
        self._progress = progress
        self._learner = _learner(model, rows, options, normalised)
        held = (None, None) if valid is None else valid
        identity = (
            checkpoint.Identity(digest_of_circuit(model.circuit), digest_of_rows(*rows, *held), options.path())
            if path is not None
            else checkpoint.Identity("", "", {})
        )
        self._keeper = _Keeper(path, identity)
        self._history: tuple[Epoch, ...] = ()
        self._best = model.circuit.store

    def begin(self) -> None:
        """Takes stock before learning."""
        start = time.perf_counter()
        self._record(0, start)

    def resumed(self) -> bool:
        """Takes up the checkpoint; False where there is none."""
        path = self._keeper.path
        if path is None or not path.exists():
            return False
        found = checkpoint.read(path, self._keeper.identity)
        names = self._named()
        store = self._model.circuit.store
        self._best = store.updated({each: Value.of(found[f"best/{name}"]) for name, each in names.items()})
        self._model.take(store.updated({each: Value.of(found[f"now/{name}"]) for name, each in names.items()}))
        self._learner.restore(_below(found, "state/"))
        self._history = tuple(
            Epoch(int(number), float(train), None if self._valid is None else float(valid), float(seconds))
            for number, train, valid, seconds in found["history"]
        )
        if self._progress is not None:
            self._progress(self._history[-1])
        return True

    def finished(self) -> Fitted:
        """Learns on to the end."""
        try:
            while (ended := self._ended()) is None:
                start = time.perf_counter()
                number = len(self._history)
                self._learner.epoch(number)
                self._record(number, start)
        finally:
            self._keeper.flush()
        self._model.take(self._best)
        mass = _mass(self._model)
        return Fitted(self._model, self._history, self._options.method, ended, mass if abs(mass) > NORMALISED else 0.0)

    def _record(self, number: int, start: float) -> None:
        mass = _mass(self._model)
        if self._options.method != "adam" and not abs(mass) <= NORMALISED:
            raise error(
                "not-normalised",
                f'the mass of "{self._model.circuit.name}" moves with its parameters, so EM does not apply',
                hint='method="adam" learns it, divided by its mass',
            )
        mass = mass if abs(mass) > NORMALISED else 0.0
        train = float(self._model.log_rows(*self._rows).mean()) - mass
        valid = None if self._valid is None else float(self._model.log_rows(*self._valid).mean()) - mass
        epoch = Epoch(number, train, valid, time.perf_counter() - start)
        history = (*self._history, epoch)
        best = self._model.circuit.store if best_of(history) is epoch else self._best
        self._history, self._best = history, best
        if self._keeper.path is not None:
            self._keeper.keep(self._arrays())
        if self._progress is not None:
            self._progress(epoch)

    def _ended(self) -> Ended | None:
        """Why learning is over; a function of the history, so that it is the same after an interruption."""
        history, options = self._history, self._options
        if options.method == "em" and len(history) > 1 and history[-1].train - history[-2].train < options.tolerance:
            return "converged"
        if waited(history, options.tolerance) >= options.patience:
            return "patience"
        return "epochs" if history[-1].epoch >= options.epochs else None

    def _arrays(self) -> dict[str, Floats]:
        """All that the next epoch hangs on."""
        store = self._model.circuit.store
        out: dict[str, Floats] = {}
        for name, parameter in self._named().items():
            out[f"now/{name}"] = store[parameter].floats
            out[f"best/{name}"] = self._best[parameter].floats
        for name, array in self._learner.state().items():
            out[f"state/{name}"] = array
        out["history"] = np.array(
            [
                [each.epoch, each.train, np.nan if each.valid is None else each.valid, each.seconds]
                for each in self._history
            ]
        )
        return out

    def _named(self) -> dict[str, Parameter]:
        return self._model.learnable()


def _learner(model: Executable, rows: Rows, options: Options, normalised: bool) -> Learner:
    match options.method:
        case "em":
            return FullBatch(model, rows, options)
        case "minibatch-em":
            return MiniBatch(model, rows, options)
        case "adam":
            return Adam(model, rows, options, normalised)


def _below(arrays: dict[str, Floats], prefix: str) -> dict[str, Floats]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _mass(model: Executable) -> float:
    """The logarithm of the circuit's mass, in float64."""
    nothing = np.zeros((1, len(model.variables)))
    return float(log_likelihood(model.circuit, nothing, nothing.astype(bool))[0])
