"""Circuits of both signs as native code, beside the evaluator and enumeration: the fast way, and what it is not for."""

from __future__ import annotations

import itertools
import threading
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.cpu.engine import text_of
from danaus.backends.cpu.signed import Signed
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.ir.query.likelihood import log_likelihood
from oracle import Oracle
from signed_forms import FORMS
from signed_numbers import assert_right, assign, drawn, quietly, rows_of, signed_engine
from small_circuits import evidence, random_circuit

TYPES = ("float32", "float64")
BATCHES = (0, 1, 3, 16, 17, 1000)


@pytest.mark.parametrize("seed", range(8))
def test_enumeration(seed: int) -> None:
    """Every assignment of small circuits, exactly."""
    circuit = random_circuit(seed, signed=True)
    oracle = Oracle(circuit)
    ranges = [range(getattr(v.domain, "lo", 0), getattr(v.domain, "lo", 0) + (v.size or 0)) for v in circuit.variables]
    rows = list(itertools.product(*ranges))
    exact = [oracle.value(dict(zip(circuit.variables, map(Fraction, row), strict=True))) for row in rows]
    sizes = [oracle.magnitude(dict(zip(circuit.variables, map(Fraction, row), strict=True))) for row in rows]
    x = np.array(rows, dtype=float).reshape(len(rows), len(circuit.variables))
    for dtype, bound in (("float32", 5e-7 * (1 + len(circuit.blocks) ** 0.5)), ("float64", 1e-12)):
        model = dn.compile(circuit, dtype=dtype)
        got = quietly(lambda model=model: model.log_rows(x, np.ones(x.shape, dtype=bool)))
        for log, value, size in zip(got, exact, sizes, strict=True):
            room = bound * float(size) * max(1.0, abs(np.log(float(size))) if size else 1.0)
            assert np.isnan(log) == (value < 0) or abs(value) <= room
            if not np.isnan(log):
                assert abs(np.exp(log) - float(value)) <= room
            if size == 0:
                assert log == -np.inf


@pytest.mark.parametrize("seed", range(8))
def test_random_circuits(seed: int) -> None:
    circuit = random_circuit(seed, signed=True)
    x, observed = evidence(circuit, 60, seed, 0.4)
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        got = quietly(lambda model=model: model.log_rows(x, observed))
        want = quietly(lambda: np.asarray(dn.evaluate(circuit, x, observed=observed, semiring="log")))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
        there = np.isfinite(want)
        np.testing.assert_allclose(got[there], want[there], rtol=0, atol=1e-5 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in FORMS), ("monarch chain", "float64"), ("square", "float64")]
)
def test_forms(name: str, dtype: Any) -> None:
    """All maps and products; half of all numbers negative, and few of them."""
    for negative in (0.5, 0.1):
        circuit = drawn(FORMS[name](), 1, negative)
        model = dn.compile(circuit, dtype=dtype)
        assert_right(model, *rows_of(circuit, 200, 2), dtype)
        signed_engine(model)
        assert model.recomputed == 0


@pytest.mark.parametrize("rows", BATCHES)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_batch_size(rows: int, dtype: Any) -> None:
    circuit = drawn(FORMS["dense chain"](), 3)
    assert_right(dn.compile(circuit, dtype=dtype), *rows_of(circuit, rows, rows), dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_long_chains_do_not_need_the_evaluator(dtype: Any) -> None:
    """Every row of a long chain of both signs has next to nothing of its magnitude left: both types agree on it."""
    circuit = drawn(dn.hmm(dn.Cat("x", 5, shape=300), states=8), 4)
    model = dn.compile(circuit, dtype=dtype)
    x, observed = rows_of(circuit, 30, 5, 0.1)
    got = quietly(lambda: model.log_rows(x, observed))
    want = quietly(lambda: log_likelihood(circuit, x, observed))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    there = np.isfinite(want)
    assert there.any() and np.isnan(want).any()
    np.testing.assert_allclose(got[there], want[there], rtol=1e-10)
    assert signed_engine(model).again == 30 and model.recomputed == 0


def test_most_rows_stay_in_float32() -> None:
    circuit = drawn(FORMS["cp tree"](), 6, 0.02)
    model = dn.compile(circuit)
    assert_right(model, *rows_of(circuit, 500, 7), "float32")
    assert signed_engine(model).again < 100 and model.recomputed == 0


@pytest.mark.parametrize("length", [1, 50])
def test_what_cancels_exactly_is_impossible(length: int) -> None:
    """p − p is −inf in every row, and what is nearly so is as the evaluator has it."""
    p = dn.hmm(dn.Cat("x", 3, shape=length), states=4)
    x, _ = rows_of(p, 40, 1, 0)
    for dtype in TYPES:
        nothing = dn.compile(dn.add(p, dn.scale(p, -1.0)), dtype=dtype)
        assert (nothing.log_likelihood(x).numpy() == -np.inf).all()
        assert nothing.recomputed == 40
        for weight in (-1 - 2.0**-40, -1 + 2.0**-40):
            little = dn.compile(dn.add(p, dn.scale(p, weight)), dtype=dtype)
            want = quietly(lambda little=little: log_likelihood(little.circuit, x))
            got = quietly(lambda little=little: little.log_likelihood(x).numpy())
            np.testing.assert_array_equal(np.isnan(got), weight < -1)
            np.testing.assert_allclose(got, want, rtol=1e-10)


@pytest.mark.parametrize("dtype", TYPES)
def test_constants_that_cancel_are_not_folded(dtype: Any) -> None:
    """What is computed once, in float64, for both types of numbers says nothing by their agreeing."""
    p = dn.hmm(dn.Cat("x", 3, shape=8), states=4)
    for weight in (-1.0, -1.0 + 2.0**-50):
        for gone in (["x[7]", "x[6]", "x[5]"], [f"x[{i}]" for i in range(8)]):
            circuit = dn.integrate(dn.add(p, dn.scale(p, weight)), gone)
            model = dn.compile(circuit, dtype=dtype)
            x, observed = rows_of(circuit, 5, 1, 0)
            got, want = model.log_rows(x, observed), log_likelihood(circuit, x, observed)
            np.testing.assert_allclose(got, want, rtol=1e-12)
            assert model.recomputed == 5
    # as many steps of both signs, of which nothing is left but their sizes: the types agree
    circuit = dn.integrate(drawn(dn.hmm(dn.Cat("x", 3, shape=120), states=4), 3), [f"x[{i}]" for i in range(100)])
    model = dn.compile(circuit, dtype=dtype)
    x, observed = rows_of(circuit, 20, 1, 0)
    got = quietly(lambda: model.log_rows(x, observed))
    want = quietly(lambda: log_likelihood(circuit, x, observed))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, rtol=1e-9)
    assert model.recomputed == 0


@pytest.mark.parametrize("dtype", TYPES)
def test_sums_over_values_that_are_rounding(dtype: Any) -> None:
    """Float32 and float64 agree on 0.1 + 0.2 − 0.3, which was rounded before; in vectors of nodes and in a network."""
    text = "var x : cat(3); var y : bool; param W[2] : real = [2, 1]; circuit p { return "
    inputs = "table(x, [[0.1, 0.2, -0.3]]) * table(y, [[1, 2]])"
    for body in (
        f"sum({inputs}, [[1]])",
        f"sum(concat({inputs}, [x = 0] * [y = 0]), W, width=1, map=sparse([0, 0], [0, 1]))",
    ):
        circuit = dn.parse(f"{text}{body} }}").circuit
        assert isinstance(circuit, Circuit)
        model = dn.compile(circuit, dtype=dtype)
        mask = np.array([False, True])
        x = np.array([[0, 1], [0, 1]])
        np.testing.assert_allclose(
            model.log_likelihood(x, observed=mask), dn.marginal(circuit, x, observed=mask), rtol=1e-12
        )
        assert model.recomputed == 2
        model.log_likelihood(np.array([[1, 0], [0, 1]]))
        assert model.recomputed == 2


def test_negative_totals_are_told_as_the_evaluator_tells_them() -> None:
    text = """
    var x : cat(3)
    var y : bool
    circuit p { return sum(table(x, [[0.5, -0.25, 0.125]]) * table(y, [[1, -2]]), [[1]]) }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    x = np.array([[0, 0], [1, 0], [2, 1], [1, 1]])
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        for mask in (None, np.array([True, False])):
            with pytest.warns(dn.DanausWarning) as mine:
                got = model.log_likelihood(x, observed=mask)
            with pytest.warns(dn.DanausWarning) as theirs:
                want = dn.likelihood(circuit, x) if mask is None else dn.marginal(circuit, x, observed=mask)
            assert [str(each.message) for each in mine] == [str(each.message) for each in theirs]
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)
        with pytest.warns(dn.DanausWarning, match="is negative"):
            assert np.isnan(model.partition())


def test_parameters_change_signs_in_place() -> None:
    """The code for plain numbers, that for both signs, and the former again."""
    circuit = dn.hmm(dn.Cat("x", 4, shape=12), states=5)
    x, observed = rows_of(circuit, 30, 3)
    for dtype in TYPES:
        model = dn.compile(circuit, dtype=dtype)
        before = model.log_rows(x, observed)
        kept = {name: value.detach().numpy().copy() for name, value in model.named_parameters()}
        assert not model.present.signed
        for turn in range(3):
            rng = np.random.default_rng(turn)
            assign(model, {name: value * rng.choice([-1, 1], value.shape) for name, value in kept.items()})
            assert_right(model, x, observed, dtype)
            signed_engine(model)
            assign(model, kept)
            np.testing.assert_array_equal(model.log_rows(x, observed), before)
            assert not model.present.signed


@pytest.mark.parametrize("dtype", TYPES)
def test_what_underflows_is_taken_again(dtype: Any) -> None:
    """Products of numbers so small that neither type holds them beside the others."""
    text = """
    var a : bool
    var b : bool
    var c : bool
    param E[2, 2] : real = [[1e-200, -1], [1, 1e-200]]
    circuit p { return sum(table(a, E) * table(b, E) * table(c, E), [[1, -0.5]]) }
    """
    circuit = dn.parse(text).circuit
    assert isinstance(circuit, Circuit)
    model = dn.compile(circuit, dtype=dtype)
    x = np.array(list(itertools.product([0, 1], repeat=3)))
    want = quietly(lambda: dn.likelihood(circuit, x))
    np.testing.assert_allclose(quietly(lambda: model.log_likelihood(x).numpy()), want, rtol=1e-6)
    lost = """
    var x[4] : bool
    circuit p {
      return sum(table(x[0], [[1e-107, 1], [1, 1]]) * table(x[1], [[1e-107, 1], [1, 1]]) *
                 table(x[2], [[1e-106, 1], [1, 1]]) * table(x[3], [[1, 1], [1e-100, 1]]), [[1, -0.5e-220]])
    }
    """
    other = dn.parse(lost).circuit
    assert isinstance(other, Circuit)
    model = dn.compile(other, dtype=dtype)
    # a third of its magnitude is left, but of the larger term few bits
    np.testing.assert_allclose(model.log_likelihood([[0, 0, 0, 0]]), dn.likelihood(other, [[0, 0, 0, 0]]), rtol=1e-12)
    assert model.recomputed == 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_the_answer(threads: int) -> None:
    circuit = drawn(FORMS["dense chain"](), 8)
    model = dn.compile(circuit)
    x, observed = rows_of(circuit, 500, 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = quietly(lambda: model.log_rows(x, observed))
        torch.set_num_threads(threads)
        np.testing.assert_array_equal(quietly(lambda: model.log_rows(x, observed)), alone)
    finally:
        torch.set_num_threads(before)


def test_many_callers_at_once() -> None:
    model = dn.compile(drawn(FORMS["cp tree"](), 9))
    x, observed = rows_of(model.circuit, 64, 1)
    want = quietly(lambda: model.log_rows(x, observed))
    found: list[np.ndarray] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        threads = [
            threading.Thread(target=lambda: found.extend(model.log_rows(x, observed) for _ in range(20)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 80
    for each in found:
        np.testing.assert_array_equal(each, want)


def test_code_of_numbers_without_signs_is_as_it_was() -> None:
    """Magnitudes are taken in the code for both signs alone, which is not made for other circuits."""
    circuit = FORMS["dense chain"]()
    assert "fabs" not in text_of(program_of(circuit), 4)
    model = dn.compile(circuit)
    engine: Any = model.present.engine()
    assert not isinstance(getattr(engine, "now", engine), Signed) and not model.present.signed
