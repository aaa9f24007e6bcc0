"""Values with signs: what a compiled circuit answers where a logarithm alone says NaN.

What enters is the way to log p of all rows, and the way to magnitudes and signs of some; what leaves are both of all.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from ..ir.diagnostic import DanausWarning
from ..ir.linear import Indices
from ..ir.parameter import Floats


def with_signs(
    log: Callable[[], Floats], signed: Callable[[Indices], tuple[Floats, Floats]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """log |p| and the sign of p, [batch] each: `log` gives log p, NaN where p < 0, `signed` both of such rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DanausWarning)  # it says that NaN is no answer, which it is not here
        logs = log()
    signs = np.where(np.isneginf(logs), 0.0, 1.0)
    rows = np.flatnonzero(np.isnan(logs))
    if len(rows):
        logs[rows], signs[rows] = signed(rows)
    return torch.from_numpy(logs), torch.from_numpy(signs)
