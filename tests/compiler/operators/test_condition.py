"""Conditioning against fractions by enumeration; masses far below float64; what is refused."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.operators import condition, restrict
from danaus.compiler.properties import check
from danaus.frontend.write import circuit_text
from danaus.ir.block import Input
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.semirings import EXACT
from naive import domain, value
from small_circuits import random_circuit

Row = dict[Variable, float]


def good(p: Circuit) -> bool:
    return all(result.status == "proved" for result in check(p, "smooth", "decomposable").values())


def rows_over(variables: tuple[Variable, ...]) -> list[Row]:
    return [dict(zip(variables, at, strict=True)) for at in itertools.product(*map(domain, variables))]


def exactly(circuit: Circuit, rows: list[Row]) -> list[Fraction]:
    x = np.array([[row[v] for v in circuit.variables] for row in rows]).reshape(len(rows), len(circuit.variables))
    return list(evaluate(circuit, EXACT, Evidence(circuit.variables, x, np.ones(x.shape, dtype=bool))))


@pytest.mark.parametrize("seed", range(60))
def test_conditionals_are_those_of_enumeration(seed: int) -> None:
    p = random_circuit(seed, signed=seed % 2 == 1)
    if not good(p):
        return
    random = np.random.default_rng(seed)
    fixed = {v: float(random.choice(domain(v))) for v in p.variables if random.random() < 0.5}
    others = tuple(v for v in p.variables if v not in fixed)
    rows = rows_over(others)
    worth = [value(p, {**row, **fixed}) for row in rows]
    if sum(worth) == 0:
        with pytest.raises(DanausError) as caught:
            condition(p, fixed)
        assert caught.value.diagnostics[0].code == "no-mass"
        return
    found = condition(p, fixed)
    assert set(found.variables) <= set(others)
    assert exactly(found, rows) == [each / sum(worth) for each in worth]
    assert check(found, "normalized")["normalized"].status == "proved"
    floats = dn.evaluate(found, [[row[v] for v in found.variables] for row in rows]) if found.variables else None
    if floats is not None:
        assert np.allclose(floats, [float(each / sum(worth)) for each in worth], rtol=1e-9, atol=1e-12)


def test_what_is_fixed_is_folded() -> None:
    x = dn.Cat("x", 3, shape=40)
    p = dn.hmm(x, states=4)
    found = condition(p, {f"x[{i}]": i % 3 for i in range(20)})
    assert len(found.variables) == 20
    assert all(not isinstance(block, Input) or block.variable in found.variables for block in found.blocks)
    # Four blocks for each step that is left, and nothing of the first half.
    assert len(found.blocks) < 4 * 20 < len(restrict(p, {f"x[{i}]": i % 3 for i in range(20)}).blocks)
    everything = condition(p, {f"x[{i}]": 0 for i in range(40)})
    assert everything.variables == () and float(dn.evaluate(everything, [])) == 1.0


def test_masses_far_below_float64_count() -> None:
    x = dn.Cat("x", 60, shape=500)
    p = dn.hmm(x, states=3)
    data = np.random.default_rng(0).integers(60, size=500)
    fixed = {f"x[{i}]": int(data[i]) for i in range(499)}
    mass = float(dn.marginal(p, [*data[:499], np.nan]))
    assert mass < -1900
    found = condition(p, fixed)
    rows = np.arange(60)[:, None]
    whole = np.concatenate([np.tile(data[:499], (60, 1)), rows], axis=1)
    wanted = dn.evaluate(p, whole, semiring="log") - mass
    assert np.allclose(dn.evaluate(found, rows, semiring="log"), wanted, atol=1e-9)
    assert np.allclose(dn.evaluate(found, rows), np.exp(wanted), rtol=1e-9)
    assert abs(dn.partition(found)) < 1e-9
    middle = condition(p, {f"x[{i}]": int(data[i]) for i in range(0, 500, 2)})
    assert abs(dn.partition(middle)) < 1e-9


def test_signed_masses_beyond_float64() -> None:
    names = "\n".join(f"var x{i} : bool" for i in range(400))
    factors = " * ".join(f"table(x{i}, [[0.01, -0.02]])" for i in range(400))
    p = dn.parse(f"{names}\ncircuit p {{ return {factors} }}").circuit
    found = condition(p, {f"x{i}": 1 for i in range(398)})
    assert np.allclose(dn.evaluate(found, [[0, 1], [1, 1]], semiring="signed-log")[:, 1], [-1, 1])
    logs = dn.evaluate(found, [[0, 1], [1, 1]], semiring="signed-log")[:, 0]
    assert np.allclose(logs, np.log([2, 4]), atol=1e-9)
    with pytest.raises(DanausError) as caught:
        dn.evaluate(found, [[0, 1]])
    assert caught.value.diagnostics[0].code == "out-of-range"
    with pytest.warns(dn.DanausWarning):
        assert np.allclose(dn.compile(found).log_likelihood([[1, 1], [0, 1]]), [np.log(4), np.nan], equal_nan=True)


def test_reals_and_counts_take_densities() -> None:
    spec = dn.parse(
        "var y : real; var n : count; var z : bool\n"
        "circuit p { g = gaussian(y, [0, 1], [1, 2])\n"
        "return sum(g * poisson(n, [1, 5]) * bernoulli(z, [0.2, 0.7]), [[0.4, 0.6]]) }"
    )
    found = condition(spec.circuit, {"y": 60.5, "n": 3})
    logs = [
        math.log(w) - 0.5 * ((60.5 - m) / s) ** 2 - math.log(s) + 3 * math.log(r) - r
        for w, m, s, r in ((0.4, 0, 1, 1), (0.6, 1, 2, 5))
    ]
    shares = np.exp(np.array(logs) - np.logaddexp(*logs))
    assert np.isclose(dn.evaluate(found, [1]), shares @ [0.2, 0.7], rtol=1e-12)
    assert np.isclose(dn.partition(found), 0, atol=1e-12)


def test_other_parameters_give_the_other_conditional() -> None:
    x = dn.Cat("x", 3, shape=4)
    p = dn.hmm(x, states=2)
    found = condition(p, {"x[1]": 2})
    again = dn.hmm(x, states=2)
    values = {old: again.store[new] for old, new in zip(p.parameters, again.parameters, strict=True)}
    other = p.store.updated(values)
    assert np.allclose(
        dn.evaluate(found.over(other), [[0, 1, 2]]), dn.evaluate(condition(p.over(other), {"x[1]": 2}), [[0, 1, 2]])
    )
    assert abs(dn.partition(found.over(other))) < 1e-12


def test_free_variables_are_fixed_and_summed_out() -> None:
    p = next(random_circuit(seed) for seed in range(7, 700, 7) if good(random_circuit(seed)))
    fixed = {v: float(domain(v)[0]) for v in p.variables if v.name != "free"}
    if value(p, {**fixed, p.variable("free"): 0}):
        assert exactly(condition(p, fixed), [{p.variable("free"): 1.0}]) == [Fraction(1, 2)]


def test_it_is_written_and_read() -> None:
    text = (
        'var x : bool; var y : cat("low", "high"); var z : int(2, 4); param w[2, 2] : real = [[1, 2], [3, 0]]\n'
        "circuit p { return sum(bernoulli(x, [0.2, 0.5]) * table(y, w) * table(z, [[1, 2, 3], [0, 0, 1]]), [[1, 2]]) }"
    )
    spec = dn.parse(text + '\ncircuit c = condition(p, y = "low", z = 4)\nassert normalized(c)')
    assert dn.check(spec)[0].status == "proved"
    written = circuit_text(spec.circuits)[0]
    assert 'condition(p, y = "low", z = 4)' in written
    again = dn.parse(written).circuits["c"]
    rows = [[0], [1]]
    assert (
        dn.evaluate(again, rows, semiring="exact").tolist()
        == dn.evaluate(spec.circuits["c"], rows, semiring="exact").tolist()
    )


def test_it_compiles() -> None:
    x = dn.Cat("x", 3, shape=30)
    p = dn.hmm(x, states=4)
    found = condition(p, {f"x[{i}]": 1 for i in range(0, 30, 3)})
    data = np.random.default_rng(1).integers(3, size=(20, len(found.variables)))
    executable = dn.compile(found, dtype="float64")
    assert np.allclose(executable.log_likelihood(data), dn.likelihood(found, data), atol=1e-9)
    assert np.allclose(executable.partition(), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("body", "fixed", "code"),
    [
        ("return [x = 0] * bernoulli(y, [0.5])", {"x": 1}, "no-mass"),
        ("return table(x, [[1, -1]]) * table(y, [[1, -1]])", {"x": 1}, "no-mass"),
        ("return table(x, [[0.1, -0.3]]) * table(y, [[0.1, -0.1]])", {"x": 1}, "no-mass"),
        ("return [x = 0] * bernoulli(y, [0.5])", {"x": 2}, "wrong-value"),
        ("return [x = 0] * bernoulli(y, [0.5])", {"q": 2}, "unknown-variable"),
    ],
)
def test_refusals(body: str, fixed: dict[str, float], code: str) -> None:
    p = dn.parse(f"var x : bool; var y : bool; circuit p {{ {body} }}").circuit
    with pytest.raises(DanausError) as caught:
        condition(p, fixed)
    assert caught.value.diagnostics[0].code == code


def test_needs() -> None:
    text = "var x : bool; var y : bool; circuit p { return sum(concat([x = 0], [y = 0]), [[1, 1]]) }"
    with pytest.raises(Refused, match="smooth"):
        condition(dn.parse(text).circuit, {"x": 0})
    text = "var x : bool; circuit p { return [x = 0] }\ncircuit q = condition(p, x = 1)"
    with pytest.raises(DanausError) as caught:
        dn.parse(text)
    (found,) = caught.value.diagnostics
    assert found.code == "no-mass" and "x = 1" in found.message and found.span is not None and found.span.line == 2


def test_infinite_masses() -> None:
    text = "circuit p { return sum(concat([x = 0] * gaussian(y, [0], [1]), [x = 1]), [[1, 1]]) }"
    one = dn.smooth(dn.parse(f"var x : bool; var y : real\n{text}").circuit)
    with pytest.raises(DanausError, match="infinite"):
        condition(one, {"x": 1})
    assert np.isclose(dn.evaluate(condition(one, {"x": 0}), [0.0]), 1 / math.sqrt(2 * math.pi))
