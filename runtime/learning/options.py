"""How to learn: the options of `fit`, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from ...ir.diagnostic import error
from .result import Method

METHODS: tuple[Method, ...] = ("em", "minibatch-em", "adam")


@dataclass(frozen=True, slots=True)
class Options:
    """`step` is Adam's rate, or how far a batch of EM goes (α, in (0, 1]), which falls to 0 over the epochs.

    `momentum` is how much of the mean of earlier batches' counts mini-batch EM keeps; `dtype` and `device` are the
    executable's.
    """

    method: Method = "em"
    epochs: int = 100
    batch: int = 256
    step: float | None = None
    momentum: float = 0.0
    tolerance: float = 1e-6
    patience: int = 5
    pseudocount: float = 0.0
    seed: int = 0
    dtype: str = "float64"
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raises: DanausError `wrong-value`, naming the option."""
        for name, least in (("epochs", 0), ("batch", 1), ("patience", 1), ("seed", 0)):
            given = getattr(self, name)
            if not isinstance(given, int) or isinstance(given, bool) or given < least:
                raise _wrong(name, given, f"it is a whole number, at least {least}")
        for name in ("momentum", "tolerance", "pseudocount", "step"):
            given = getattr(self, name)
            if name == "step" and given is None:
                continue
            if not isinstance(given, int | float) or isinstance(given, bool) or not isfinite(given):
                raise _wrong(name, given, "it is a number")
        if not 0 <= self.momentum < 1:
            raise _wrong("momentum", self.momentum, "it is at least 0, and below 1")
        if self.pseudocount < 0:
            raise _wrong("pseudocount", self.pseudocount, "it is at least 0")
        if self.step is not None and not (0 < self.step <= (1 if self.method == "minibatch-em" else float("inf"))):
            most = ", and at most 1" if self.method == "minibatch-em" else ""
            raise _wrong("step", self.step, f"it is above 0{most}")

    def path(self) -> dict[str, object]:
        """The options that the way of the parameters hangs on; the others only say where it ends."""
        ends = {"tolerance", "patience", *(() if self.method == "minibatch-em" else ("epochs",))}
        if self.device == "cpu":  # as it was before there were others
            ends.add("device")
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ends}


def _wrong(name: str, given: object, hint: str) -> Exception:
    return error("wrong-value", f"{name} is {given}", hint=hint)
