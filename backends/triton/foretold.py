"""What likelihoods of a circuit are predicted to take of a GPU for a batch: launches, and the least time of them all.

What enters is a bundle without code; what leaves is a prediction by the rates of the GPU, and no measurement. Nothing
is compiled, and Triton need not be installed.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.bundle import Bundle
from .plan import plan
from .policy import Precision
from .roofline import predicted
from .roofline_walks import of_likelihood
from .stored import numbers_of
from .targets import Gpu


@dataclass(frozen=True, slots=True)
class Foretold:
    """The launches of a batch on a device, with numbers of a kind, and the seconds that they take at least."""

    target: str
    device: str
    numbers: str
    launches: int
    seconds: float


def foretold(bundle: Bundle, precision: Precision, rows: int, gpu: Gpu) -> Foretold:
    """What is predicted of a bundle's likelihoods for so many rows.

    Raises: DanausError `not-on-device`.
    """
    device = gpu.rates.device
    if bundle.program.layouts:
        numbers = numbers_of(bundle)
        launches, seconds = of_likelihood(bundle.program.layouts[0], numbers, rows, gpu)
        return Foretold(gpu.name, device, f"float{8 * numbers.size}", launches, seconds)
    made = plan(bundle.program, precision, rows, gpu=gpu).launches
    return Foretold(gpu.name, device, precision, len(made), predicted(made, rows, gpu, precision))
