"""What the tests of the cpu backend hold compiled circuits to: the evaluator in float64, to a stated error."""

from __future__ import annotations

import warnings

import numpy as np

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.executable import Executable


def within(got: np.ndarray, want: np.ndarray, dtype: str, layers: int) -> None:
    """At most 5e-7 · (1 + √layers) · max(1, |ll|) off in float32, 1e-12 · max(1, |ll|) in float64; −inf exact."""
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    finite = np.isfinite(want)
    bound = (5e-7 * (1 + layers**0.5) if dtype == "float32" else 1e-12) * np.maximum(1, np.abs(want[finite]))
    wrong = np.abs(got[finite] - want[finite]) > bound
    assert not wrong.any(), (got[finite][wrong][:4], want[finite][wrong][:4])


def compare(circuit: Circuit, x: np.ndarray, observed: np.ndarray | None = None, dtype: str = "float32") -> Executable:
    """The compiled circuit, whose answers were as the evaluator's."""
    model = dn.compile(circuit, dtype=dtype)
    agrees(model, circuit, x, observed, dtype)
    return model


def agrees(
    model: Executable, circuit: Circuit, x: np.ndarray, observed: np.ndarray | None = None, dtype: str = "float32"
) -> None:
    """Whether a compiled circuit answers rows as the evaluator does for another, its numbers perhaps new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        got = model.log_likelihood(x, observed).numpy()
        want = dn.evaluate(circuit, x, observed=observed, semiring="log")
    within(got, want, dtype, len(circuit.blocks))
