"""Weights in bf16, as one number or as two, and sums in bf16, in kernels as they are: only their products, of bf16 and
exact in float32, are taken there, since Triton's interpreter multiplies bf16 wrongly. It also cuts values down to bf16
where a GPU rounds them, which adds up: 2⁻⁸ for each product."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import blocks, policy
from danaus.backends.triton.engine import Fused
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.module import function
from danaus.backends.triton.plan import plan
from danaus.backends.triton.policy import Precision
from danaus.backends.triton.precision import padded
from danaus.backends.triton.tables import packed
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.runtime.columns import codes_of

DOT = re.compile(r"tl\.dot\((\w+), (\w+(?:\.to\(tl\.bfloat16\))?)")


def imitated(kernel: Kernel) -> Any:
    source, count = DOT.subn(r"tl.dot(\1.to(tl.float32), (\2).to(tl.float32)", kernel.source)
    assert count == kernel.source.count("tl.dot(")
    return function(replace(kernel, source=source))


def answers(circuit: Circuit, x: np.ndarray, precision: Precision) -> np.ndarray:
    """Likelihoods by an engine of that precision."""
    model = dn.compile(circuit, device="cuda")
    model.log_likelihood(x[:0])
    compiled = model.compiled
    assert compiled is not None
    codes = codes_of(compiled.program.columns, compiled.variables, x, np.ones(x.shape, dtype=bool))
    engine = Fused(compiled.program, torch.device("cpu"), precision, make=imitated)
    assert engine.load(list(compiled.linear(circuit.store)), lambda numbers: [])
    found = engine.run(codes, {})
    assert not found.unsure.any()
    return found.log


MODELS = {
    "chain": (dn.hmm(dn.Cat("x", 5, shape=6), states=40), ["chain"]),
    "factors on chip": (dn.hmm(dn.Cat("x", 5, shape=6), states=15, transition=dn.monarch(3, 5)), ["chain"]),
    "factors on their own": (dn.hmm(dn.Cat("x", 5, shape=6), states=32, transition=dn.monarch(16, 2)), ["chain"]),
    "factors in launches": (dn.hmm(dn.Cat("x", 5, shape=3), states=35, transition=dn.monarch(5, 7)), ["dense"]),
}


@pytest.mark.parametrize(("precision", "least", "most"), [("bf16", 1e-4, 8e-2), ("bf16x3", 0.0, 3e-4)])
@pytest.mark.parametrize("name", MODELS)
def test_answers(name: str, precision: Precision, least: float, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, kernels = MODELS[name]
    if name == "factors on their own":
        monkeypatch.setattr(blocks, "WIDE", 16)
    if kernels == ["dense"]:
        monkeypatch.setattr(policy, "resident", lambda precision: 0)
        monkeypatch.setattr(policy, "by_scratch", lambda turn, most, gpu: False)
    found = plan(program_of(circuit), precision, 5).launches
    assert list(dict.fromkeys(launch.kernel.name for launch in found)) == kernels
    assert {argument.type for argument in found[0].kernel.arguments if argument.name == "weights"} == {"*bf16"}
    steps = len(circuit.variables)
    x = np.random.default_rng(4).integers(0, 5, (5, steps))
    error = np.abs(answers(circuit, x, precision) - dn.evaluate(circuit, x, semiring="log")).max()
    assert least < error < most


def test_wide_weights_are_multiplied_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two by two parts, the last of them filled up; the same as in one."""
    circuit = dn.hmm(dn.Cat("x", 5, shape=4), states=27)
    x = np.random.default_rng(4).integers(0, 5, (5, 4))
    monkeypatch.setattr(blocks, "PART", 16)
    monkeypatch.setattr("danaus.backends.triton.chain.PART", 16)
    assert "tl.split(" in plan(program_of(circuit), "bf16", 5).launches[0].kernel.source
    error = np.abs(answers(circuit, x, "bf16") - dn.evaluate(circuit, x, semiring="log")).max()
    assert 1e-4 < error < 8e-2


@pytest.mark.parametrize("precision", ["bf16", "bf16x3"])
def test_weights_in_memory(precision: Precision) -> None:
    """One bf16 for each number, or two whose sum is within 2⁻¹⁶ of it; of few rows float32 among the tables."""
    circuit = dn.hmm(dn.Cat("x", 3, shape=4), states=20)
    program = program_of(circuit)
    made = plan(program, precision, 16)
    tables = [np.random.default_rng(i).random(shape) + 1e-3 for i, shape in enumerate(program.tables)]
    weights, logs = packed(made, [torch.from_numpy(table) for table in tables], precision)
    assert weights.dtype == torch.bfloat16 and len(weights) == made.weights
    others = logs.numpy()
    matrices = [laid for laid in made.laid if laid.matrix is not None]
    assert sorted(laid.matrix.rows <= policy.VECTOR for laid in matrices if laid.matrix) == [False, True]
    for laid in matrices:
        assert laid.matrix is not None
        rows, columns = padded(laid.matrix)
        size, wanted = rows * columns, tables[laid.table][0]
        if laid.matrix.rows <= policy.VECTOR:
            got, bound = others[laid.offset : laid.offset + size], 2.0**-24
        else:
            parts = weights[laid.offset : laid.offset + (1 if precision == "bf16" else 2) * size].double()
            got = parts.reshape(-1, size).sum(0).numpy()
            bound = 2.0**-8 if precision == "bf16" else 2.0**-16
        found = got.reshape(rows, columns)
        np.testing.assert_allclose(found[: wanted.shape[0], : wanted.shape[1]], wanted, rtol=bound)
        assert not found[wanted.shape[0] :].any() and not found[:, wanted.shape[1] :].any()
