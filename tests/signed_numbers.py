"""Circuits of both signs for tests, the bound on what their numbers may be off by, and how an engine has run them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import danaus as dn
from danaus.backends.cpu.signed import Signed
from danaus.ir.circuit import Circuit
from danaus.ir.parameter import Value
from danaus.ir.store import Store
from danaus.runtime.executable import Executable


def drawn(circuit: Circuit, seed: int, negative: float = 0.5) -> Circuit:
    """A circuit whose parameters are drawn anew, so many of them below zero."""
    rng = np.random.default_rng(seed)
    values = {
        parameter: Value.of(
            rng.uniform(0.2, 1.0, parameter.shape) * np.where(rng.random(parameter.shape) < negative, -1, 1)
        )
        for parameter in circuit.parameters
    }
    return circuit.over(Store({**dict(circuit.store), **values}))


def signed_engine(model: Executable) -> Signed:
    """The engine of both signs that a model runs."""
    engine: Any = model.present.engine()
    engine = getattr(engine, "now", engine)
    assert isinstance(engine, Signed)
    return engine


def magnitude_of(circuit: Circuit, x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """log of the circuit where no number of it is negative; its numbers are parameters and constants as they are."""
    plain = circuit.over(Store({name: Value.of(np.abs(value.floats)) for name, value in circuit.store.items()}))
    return np.asarray(dn.evaluate(plain, x, observed=observed, semiring="log"))


def quietly(ask: Any) -> Any:
    """An answer without the warning that it is negative."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        return ask()


def values_of(log: np.ndarray, sign: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Numbers divided by others, given by logarithms."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(log), 0.0, sign * np.exp(log - np.where(np.isneginf(beside), 0.0, beside)))


def assert_right(model: Executable, x: np.ndarray, observed: np.ndarray, dtype: str) -> None:
    """Beside the evaluator: off by at most so much of what the circuit is without signs; NaN and a warning as there."""
    circuit = model.circuit
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got = model.log_rows(x, observed)
    found = np.asarray(dn.evaluate(circuit, x, observed=observed, semiring="signed-log"))
    want, sign = found[..., 0], found[..., 1]
    above = magnitude_of(circuit, x, observed)
    layers = len(circuit.blocks)
    bound = (5e-7 * (1 + layers**0.5) if dtype == "float32" else 1e-12) * np.maximum(1, np.abs(above))
    negative = np.isnan(got)
    known = values_of(want, np.abs(sign), above)
    # what is negative has no logarithm: the others are as near as numbers of both signs can be
    off = np.abs(np.where(negative, 0.0, values_of(got, np.ones(len(got)), above) - known))
    assert (off <= bound).all(), (off / bound).max()
    sure = known > bound
    np.testing.assert_array_equal(negative[sure], sign[sure] < 0)
    np.testing.assert_array_equal(np.isneginf(got[sure]), False)
    np.testing.assert_array_equal(np.isneginf(got[np.isneginf(above)]), True)
    first = np.flatnonzero(negative)
    assert len(told) == bool(len(first)), told
    if len(first):
        more = f" and {len(first) - 1} more" if len(first) > 1 else ""
        assert f'the value of "{circuit.name}" is negative at row {first[0]}{more}: ' in str(told[0].message)


def rows_of(circuit: Circuit, count: int, seed: int, missing: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Random rows on domains that count from 0, and what is observed of them."""
    rng = np.random.default_rng(seed)
    sizes = np.array([variable.size or 1 for variable in circuit.variables], dtype=int)
    shape = (count, len(sizes))
    return rng.integers(0, sizes, shape).astype(float), rng.random(shape) >= missing


def assign(model: Executable, values: dict[str, Any]) -> None:
    """Other parameters, in place."""
    tensors = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(torch.as_tensor(np.asarray(value), dtype=torch.float64))
