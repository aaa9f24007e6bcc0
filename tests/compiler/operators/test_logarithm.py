"""Log: pointwise against enumeration, on all forms of circuits, on the support only; what it keeps and refuses."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from danaus.compiler.driver import load, parse
from danaus.compiler.operators import integrate, log, multiply, power, scale, smooth
from danaus.compiler.operators.logarithm import FLAT, Logarithms
from danaus.compiler.properties import check, compatible
from danaus.frontend.write import circuit_text
from danaus.ir.block import Block, concat, hadamard, indexed, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Bool, Cat, Int, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Binomial, Indicator, Table
from danaus.ir.linear import Dense, Kronecker, Selection, monarch, selection
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.query import log_likelihood, sample
from danaus.ir.semirings import BOOLEAN, EXACT, INTERVAL, LINEAR, SIGNED_LOG, Array, Semiring
from danaus.ir.store import Store
from deterministic_circuits import deciding_circuit, table, telling
from small_circuits import deterministic_circuit

CASES = [(deterministic_circuit, 0), *telling(deciding_circuit, 14, 100), *telling(deterministic_circuit, 8, 100)]


def at(circuit: Circuit, rows: np.ndarray, semiring: Semiring = LINEAR) -> Array:
    observed = np.ones(rows.shape, dtype=bool)
    return evaluate(circuit, semiring, Evidence(circuit.variables, rows, observed))


def of(circuit: Circuit, rows: np.ndarray, whole: Circuit) -> np.ndarray:
    """The columns of a circuit's variables among those of another."""
    return rows[:, [whole.variables.index(variable) for variable in circuit.variables]]


def logs_of(values: list[object]) -> np.ndarray:
    return np.array([math.log(float(value)) if value else 0.0 for value in values])  # type: ignore[arg-type]


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_it_is_the_logarithm_on_the_support_and_zero_elsewhere(make, seed) -> None:
    p = make(seed)
    rows, values = table(p)
    made = log(p)
    wanted = logs_of(values)
    found = at(made, of(made, rows, p))
    assert np.allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert not found[[value == 0 for value in values]].any()
    signed = at(made, of(made, rows, p), SIGNED_LOG)
    assert np.allclose(np.exp(signed[:, 0]) * signed[:, 1], wanted, rtol=1e-11, atol=1e-12)
    bounds = at(made, of(made, rows, p), INTERVAL)
    assert np.all(bounds[:, 0] <= wanted + 1e-13) and np.all(wanted - 1e-13 <= bounds[:, 1])
    assert [result.status for result in check(made, "smooth", "decomposable").values()] == ["proved", "proved"]


@pytest.mark.parametrize("seed", [seed for _, seed in telling(deciding_circuit, 8)])
def test_times_the_circuit_it_is_made_node_by_node_too(seed: int) -> None:
    p = deciding_circuit(seed)
    rows, values = table(p)
    made = Circuit(Logarithms(p, Fraction(1)).root(), p.store, "p log p", p.free)
    wanted = np.array([float(value) for value in values]) * logs_of(values)
    assert np.allclose(at(made, of(made, rows, p)), wanted, rtol=1e-12, atol=1e-12)


def test_weights_of_one_and_of_zero_and_rows_of_nothing() -> None:
    x, y = Variable("x", Cat(3)), Variable("y", Bool())
    decided = hadamard(
        [
            concat([input_block(Indicator(code), x) for code in range(3)]),
            input_block(Table(), y, [constant([[1.0, 2.0], [1.0, 1.0], [3.0, 0.0]])]),
        ]
    )
    sums = weighted([decided], Dense(constant([[1.0, 1.0, 0.0], [0.5, 1.0, 0.25], [0.0, 0.0, 0.0]])))
    for node in range(3):
        p = Circuit(weighted([sums], selection([node], 3)), Store())
        made = log(p)
        rows = np.array(list(itertools.product(range(3), range(2))), dtype=np.float64)
        values = at(p, of(p, rows, Circuit(decided_root(decided), Store())))
        wanted = np.log(np.where(values == 0, 1, values))
        assert np.allclose(at(made, rows[:, : len(made.variables)]), wanted, atol=1e-15)
        assert {result.status for result in check(made, "smooth", "decomposable").values()} == {"proved"}


def test_logarithms_of_weights_alone_keep_the_scopes_of_rows_of_ones() -> None:
    x = Variable("x", Cat(3))
    decided = concat([input_block(Indicator(code), x) for code in range(3)])
    sums = weighted([decided], Dense(constant([[1.0, 1.0, 0.0], [0.5, 0.0, 0.25]])))
    y = Variable("y", Bool())
    both = hadamard([sums, concat([input_block(Indicator(code), y) for code in range(2)])])
    p = Circuit(weighted([both], Dense(constant([[1.0, 1.0]]))), Store())
    made = log(p)
    assert {result.status for result in check(made, "smooth", "decomposable").values()} == {"proved"}
    rows, values = table(p)
    assert np.allclose(at(made, rows), logs_of(values), rtol=1e-15)


def decided_root(block: Block) -> Block:
    return weighted([block], Dense(constant([[1.0, 1.0, 1.0]])))


def test_learnable_numbers_may_be_zero_for_now_and_are_taken_as_they_are() -> None:
    x = Variable("x", Bool())
    weights = Parameter("w", (1, 2), "real")
    root = weighted([concat([input_block(Indicator(0), x), input_block(Indicator(1), x)])], Dense(weights))
    p = Circuit(root, Store({weights: Value.of([[0.0, 0.25]])}))
    made = log(p)
    rows = np.array([[0.0], [1.0]])
    assert at(made, rows).tolist() == [0.0, math.log(0.25)]
    later = made.over(Store({weights: Value.of([[3.0, 0.0]])}))
    assert at(later, rows).tolist() == [math.log(3.0), 0.0]


def test_monarch_maps_stay_factored() -> None:
    x, random = Variable("x", Cat(16)), np.random.default_rng(0)
    decided = concat([input_block(Indicator(code), x) for code in range(16)])
    parts = [Parameter(f"w{i}", (4, 4, 4), "positive") for i in range(2)]
    values = {part: Value.of(random.uniform(0.5, 2, (4, 4, 4))) for part in parts}
    root = weighted([weighted([decided], monarch(parts))], Dense(constant([[1.0, *[0.0] * 15]])))
    p = Circuit(root, Store(values))
    made = log(p)
    rows = np.arange(16.0)[:, None]
    assert np.allclose(at(made, rows), np.log(at(p, rows)), rtol=1e-12)
    assert max(part.size for part in [np.empty(e.shape) for e in made.expressions]) <= 4 * 4 * 8


def test_products_of_many_factors_and_of_shared_ones() -> None:
    count = FLAT * 2 + 3
    variables = [Variable(f"x{i}", Bool()) for i in range(count)]
    random = np.random.default_rng(1)
    tables = [input_block(Table(), variable, [constant(random.uniform(0.1, 2, (2, 2)))]) for variable in variables]
    every = random.integers(0, 2, (5, count)).astype(np.float64)
    ends = np.cumsum([0, count, count])
    for block in (
        hadamard(tables),
        pairs([*(weighted([each], selection([0], 2)) for each in tables[:40]), tables[40]]),
        indexed(tables, ends, [*range(0, 2 * count, 2), *range(1, 2 * count, 2)]),
    ):
        p = Circuit(weighted([block], Selection(np.array([1]), 2)), Store())
        made, rows = log(p), every[:, : len(p.variables)]
        assert np.allclose(at(made, rows), np.log(at(p, rows)), rtol=1e-12)
        assert made.nodes < 40 * count and {r.status for r in check(made, "smooth", "decomposable").values()} == {
            "proved"
        }


def test_scopes_of_few_factors_stay_so_that_what_was_compatible_is() -> None:
    spec = parse(
        "var x[4] : bool\n"
        "circuit p { return (bernoulli(x[0], [0.25]) * bernoulli(x[2], [0.5])) * "
        "(bernoulli(x[1], [0.75]) * bernoulli(x[3], [0.125])) }\n"
        "circuit q { return bernoulli(x[0], [0.5]) * bernoulli(x[1], [0.25]) * bernoulli(x[2], [0.125]) * "
        "bernoulli(x[3], [0.75]) }\n"
        "circuit l = log(q)\ncircuit cross = multiply(p, l)\ncircuit total = integrate(cross)"
    )
    p, q, made, total = (spec.circuits[name] for name in ("p", "q", "l", "total"))
    assert compatible(p, made).status == "proved"
    rows = np.array(list(itertools.product(range(2), repeat=4)), dtype=np.float64)
    wanted = float(at(p, rows) @ np.log(at(q, rows)))
    assert float(at(total, np.zeros((1, 0)))[0]) == pytest.approx(wanted, rel=1e-13)


def test_a_chain_of_three_thousand_layers() -> None:
    x = Variable("x", Bool())
    block: Block = input_block(Table(), x, [constant([[2.0, 3.0], [5.0, 1.0]])])
    swap = Selection(np.array([1, 0]), 2)
    twice = Kronecker((Dense(constant([[0.5]])), selection([0, 1], 2)))
    for layer in range(3000):
        block = weighted([block], swap if layer % 3 else twice)
    p = Circuit(weighted([block], selection([0], 2)), Store())
    made = log(p)
    shown = at(made, np.array([[0.0], [1.0]]), SIGNED_LOG)
    wanted = log_likelihood(p, np.array([[0.0], [1.0]]))
    assert np.allclose(shown[:, 1] * np.exp(shown[:, 0]), wanted, rtol=1e-12) and np.all(wanted < -600)
    assert np.allclose(at(made, np.array([[0.0], [1.0]])), wanted, rtol=1e-12)


def test_numbers_that_underflow_have_logarithms() -> None:
    n = Variable("n", Int(0, 2000))
    p = Circuit(input_block(Binomial(2000), n, [constant([0.01])]), Store())
    rows = np.array([[2000.0], [1999.0], [3.0]])
    assert at(p, rows)[0] == 0.0
    assert np.allclose(at(log(p), rows), log_likelihood(p, rows), rtol=1e-13)
    assert np.allclose(at(power(p, 0), rows), 1.0)
    assert np.allclose(at(power(p, 0.05), rows), np.exp(0.05 * log_likelihood(p, rows)), rtol=1e-11)


REAL = """
var x : bool
var u : real
var k : count
circuit p {
  a = [x = 0] * gaussian(u, [1.0], [0.5]) * poisson(k, [2.5])
  b = [x = 1] * gaussian(u, [-1.0], [2.0]) * [k = 3]
  return sum(concat(a, b), [[0.4, 0.6]])
}
circuit l = log(p)
"""


def test_inputs_on_real_and_count() -> None:
    spec = parse(REAL)
    p, made = spec.circuits["p"], spec.circuits["l"]
    random = np.random.default_rng(2)
    rows = np.stack([random.integers(0, 2, 60), random.normal(0, 6, 60), random.integers(2, 5, 60)], axis=1)
    logs = log_likelihood(p, rows)
    wanted = np.where(np.isneginf(logs), 0.0, logs)
    assert np.isneginf(logs).any() and np.allclose(at(made, rows), wanted, rtol=1e-12)
    assert np.array_equal(at(made, rows, BOOLEAN), wanted != 0)
    bounds = at(made, rows, INTERVAL)
    assert np.all(bounds[:, 0] <= wanted) and np.all(wanted <= bounds[:, 1])
    far = np.array([[0.0, 400.0, 2.0]])
    assert at(made, far)[0] == pytest.approx(log_likelihood(p, far)[0], rel=1e-13)


def test_the_entropy_of_gaussians_is_closed_and_of_poissons_refused() -> None:
    spec = parse(
        "var u : real\nvar v : real\n"
        "circuit p { return gaussian(u, [1], [0.5]) * gaussian(v, [-3], [4]) }\n"
        "circuit q { return gaussian(u, [0], [2]) * gaussian(v, [1], [1]) }\n"
        "circuit l = log(p)\ncircuit m = log(q)\n"
        "circuit own = multiply(p, l)\ncircuit cross = multiply(p, m)\ncircuit square = multiply(own, l)\n"
        "circuit h = integrate(own)\ncircuit c = integrate(cross)\ncircuit s = integrate(square)"
    )
    nothing = np.zeros((1, 0))

    def mean(m: float, s: float, n: float, t: float) -> float:
        return -0.5 * ((m - n) ** 2 + s * s) / t**2 - math.log(t) - 0.5 * math.log(2 * math.pi)

    own = [mean(m, s, m, s) for m, s in ((1, 0.5), (-3, 4))]
    cross = [mean(1, 0.5, 0, 2), mean(-3, 4, 1, 1)]
    for semiring in (LINEAR, SIGNED_LOG):
        found = [at(spec.circuits[name], nothing, semiring)[0] for name in "hcs"]
        numbers = [each if semiring is LINEAR else each[1] * math.exp(each[0]) for each in found]
        # log p is a constant minus half the sum of two squares of standard normals, whose variance is 1 in all.
        wanted = [sum(own), sum(cross), sum(own) ** 2 + 1]
        assert np.allclose(numbers, wanted, rtol=1e-12)
    with pytest.raises(DanausError, match=r'the product poisson × log poisson on "k" .* has no integral'):
        integrate(multiply(parse(REAL).circuits["p"], parse(REAL).circuits["l"]))


def test_refusals_say_what_shows_it() -> None:
    spec = parse(
        "var x : bool\nvar y : bool\n"
        "circuit mixed { return sum(bernoulli(x, [0.2, 0.9]), [[0.5, 0.5]]) }\n"
        "circuit below { return table(x, [[1, -2]]) }\n"
        "circuit rough { return sum(concat([x = 0], [x = 1] * [y = 0]), [[1, 1]]) }"
    )
    for name, code, shown in (
        ("mixed", "not-deterministic", "both non-zero at x = 0"),
        ("below", "not-nonnegative", "x = 1 is -2.0"),
        ("rough", "not-smooth", "different scopes"),
    ):
        with pytest.raises(Refused) as caught:
            log(spec.circuits[name])
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code == code and diagnostic.message.startswith("log needs")
        assert any(shown in note.message for note in diagnostic.notes)
    with pytest.raises(DanausError, match="a logarithm, which is no rational"):
        at(log(deciding_circuit(3)), table(deciding_circuit(3))[0], EXACT)


def test_a_logarithm_is_written_as_the_call_and_reads_back() -> None:
    spec = parse("var x : cat(3)\ncircuit p { return categorical(x, [[0.5, 0.25, 0.25]]) }\ncircuit l = log(p)")
    text, _ = circuit_text({"l": spec.circuits["l"]})
    assert 'log("l.p")' in text
    rows = np.arange(3.0)[:, None]
    assert np.array_equal(at(parse(text).circuits["l"], rows), at(spec.circuits["l"], rows))


def test_free_variables_stay_free() -> None:
    free, x = Variable("f", Cat(4)), Variable("x", Bool())
    p = Circuit(input_block(Table(), x, [constant([[2.0, 4.0]])]), Store(), "p", (free,))
    assert set(log(p).variables) == {free, x}
    total = evaluate(log(p), LINEAR, Evidence.nothing(log(p).variables))
    assert total[0] == pytest.approx(4 * math.log(8))


@pytest.mark.parametrize(
    "name", ["psdd/tiny/simple.psdd", "psdd/zoo/psdds/little_4var.psdd", "sdd/zoo/sdds/random.sdd"]
)
def test_circuits_of_other_tools(name: str, shared: Path) -> None:
    (p,) = load(shared / name).circuits.values()
    p = scale(smooth(p), Fraction(1, 3))
    made = log(p)
    random = np.random.default_rng(3)
    rows = random.integers(0, 2, (400, len(p.variables))).astype(np.float64)
    if "sdd/zoo/sdds" in name:
        rows = np.concatenate([rows, sample(p, 100, 1)])
    logs = log_likelihood(p, rows)
    wanted = np.where(np.isneginf(logs), 0.0, logs)
    assert np.isfinite(logs).any()
    assert np.allclose(at(made, of(made, rows, p)), wanted, rtol=1e-12, atol=1e-12)
    assert {r.status for r in check(made, "smooth", "decomposable").values()} == {"proved"}
