"""Compiled derivatives of networks of scalar nodes, against the reverse in float64 logarithms and differences."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

import danaus as dn
from danaus.backends.cpu.adjoint_scalar import AdjointScalar
from danaus.compiler.compile import Type
from danaus.ir.circuit import Circuit
from danaus.runtime.executable import Executable
from small_circuits import evidence, random_circuit

ERROR: dict[Type, float] = {"float32": 2e-5, "float64": 1e-11}
"""Relative to the largest derivative of a parameter."""


def _interpreted(model: Executable) -> None:
    assert model.compiled is not None
    model._compiled, model._reversed = replace(model.compiled, reverse=lambda _: None), None


def _taken(model: Executable) -> bool:
    """Whether compiled code for a network takes the derivatives."""
    assert model.compiled is not None
    return isinstance(model._reverse(model.compiled), AdjointScalar)


def _compare(circuit: Circuit, dtype: Type, rows: int = 40, seed: int = 0, error: float = 1.0) -> bool:
    """Both ways, over the same rows and weights of both signs; whether compiled code took the first."""
    model = dn.compile(circuit, dtype=dtype)
    x, observed = evidence(circuit, rows, seed, 0.3)
    weights = np.linspace(-1.0, 2.0, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        named, _, log = model._derivatives(x, observed, weights, False)
        compiled = _taken(model)
        _interpreted(model)
        exact, _, want = model._derivatives(x, observed, weights, False)
    np.testing.assert_allclose(log, want, rtol=ERROR[dtype] * error, atol=ERROR[dtype] * error)
    for name, derivative in exact.items():
        size = np.abs(derivative).max(initial=0.0)
        np.testing.assert_allclose(named[name], derivative, rtol=0, atol=ERROR[dtype] * error * size, err_msg=name)
    return compiled


def test_random_circuits() -> None:
    """Zeros among weights and tables, shared nodes, every map."""
    compiled = sum(_compare(random_circuit(seed), dtype, seed=seed) for seed in range(24) for dtype in ERROR)
    assert compiled >= 16
