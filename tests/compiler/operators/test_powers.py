"""Powers and reciprocals of deterministic circuits: against enumeration, in fractions where they are rational."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from danaus.compiler.compile import compile as compile_circuit
from danaus.compiler.driver import parse
from danaus.compiler.operators import integrate, log, multiply, power, reciprocal, restrict
from danaus.compiler.operators.logarithm import Logarithms
from danaus.compiler.properties import check
from danaus.frontend.write import circuit_text
from danaus.ir.block import Block, concat, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Bool, Cat, Count, Real, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.expression import log as log_of
from danaus.ir.expression import raised
from danaus.ir.family import Gaussian, Indicator, InputProduct, Poisson, Table
from danaus.ir.linear import Compose, Dense, Selection, compose, monarch
from danaus.ir.numbers import Numbers
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.pullback import pullback
from danaus.ir.query import log_likelihood
from danaus.ir.semirings import BOOLEAN, EXACT, INTERVAL, LINEAR, SIGNED_LOG, Array, Modular, Semiring
from danaus.ir.store import Store
from deterministic_circuits import deciding_circuit, table, telling
from small_circuits import deterministic_circuit

CASES = [*telling(deciding_circuit, 12), *telling(deterministic_circuit, 12)]
NOTHING = np.zeros((1, 0))


def at(circuit: Circuit, rows: np.ndarray, semiring: Semiring = LINEAR) -> Array:
    observed = np.ones(rows.shape, dtype=bool)
    return evaluate(circuit, semiring, Evidence(circuit.variables, rows, observed))


def of(circuit: Circuit, rows: np.ndarray, whole: Circuit) -> np.ndarray:
    """The columns of a circuit's variables among those of another."""
    return rows[:, [whole.variables.index(variable) for variable in circuit.variables]]


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_integer_powers_are_exact(make, seed) -> None:
    p = make(seed)
    rows, values = table(p)
    for exponent, made in ((-1, reciprocal(p)), (-2, power(p, -2)), (0, power(p, 0)), (3, power(p, 3))):
        found = at(made, of(made, rows, p), EXACT)
        wanted = [value**exponent if value else Fraction(0) for value in values]
        assert [Fraction(each) for each in found] == wanted
        over = Modular(2147483629)
        residues = [each.numerator * pow(each.denominator, -1, over.prime) % over.prime for each in wanted]
        assert at(made, of(made, rows, p), over).tolist() == residues


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_real_powers_on_the_support_and_zero_elsewhere(make, seed) -> None:
    p = make(seed)
    rows, values = table(p)
    for exponent in (0.5, -1.25, Fraction(7, 3)):
        made = power(p, exponent)
        wanted = np.array([float(value) ** float(exponent) if value else 0.0 for value in values])
        columns = of(made, rows, p)
        assert np.allclose(at(made, columns), wanted, rtol=1e-12, atol=0)
        logs = at(made, columns, SIGNED_LOG)
        assert np.allclose(np.exp(logs[:, 0]) * logs[:, 1], wanted, rtol=1e-12, atol=0)
        assert at(made, columns, BOOLEAN).tolist() == [value != 0 for value in values]
        bounds = at(made, columns, INTERVAL)
        near = 1e-14 * np.abs(wanted)
        assert np.all(bounds[:, 0] <= wanted + near) and np.all(wanted - near <= bounds[:, 1])
        assert made.nodes <= 2 * p.nodes
        assert {r.status for r in check(made, "smooth", "decomposable", "deterministic").values()} == {"proved"}


def test_natural_powers_by_determinism_where_the_circuit_is_not_structured() -> None:
    spec = parse(
        "var x[3] : bool\n"
        "circuit p { a = [x[0] = 0] * (sum(concat([x[1] = 0] * table(x[2], [[1, 2]]), "
        "[x[1] = 1] * table(x[2], [[3, 4]])), [[2, 3]]))\n"
        " b = [x[1] = 1] * (sum(concat([x[0] = 1] * table(x[2], [[-5, 6]])), [[7]]))\n"
        " return sum(concat(a, b), [[1, -2]]) }\n"
        "circuit q = power(p, 3)"
    )
    p, q = spec.circuits["p"], spec.circuits["q"]
    assert check(p, "structured")["structured"].status == "refuted"
    rows, values = table(p)
    assert [Fraction(each) for each in at(q, rows, EXACT)] == [value**3 for value in values]
    assert any(value < 0 for value in values) and q.nodes == p.nodes


def test_composed_maps_whose_entries_are_sums_are_taken_whole() -> None:
    x = Variable("x", Cat(3))
    decided = concat([input_block(Indicator(code), x) for code in range(3)])
    first, second = Dense(constant([[1.0, 2.0]])), Dense(constant([[1.0, 2.0, 4.0], [3.0, 1.0, -2.0]]))
    p = Circuit(weighted([decided], compose([first, second])), Store())
    rows = np.arange(3.0)[:, None]
    assert at(p, rows).tolist() == [7.0, 4.0, 0.0]
    assert at(power(p, 0), rows).tolist() == [1.0, 1.0, 0.0]
    assert [Fraction(each) for each in at(reciprocal(p), rows, EXACT)] == [Fraction(1, 7), Fraction(1, 4), 0]


def test_what_cancels_in_a_composed_map_is_off_the_support_though_floats_do_not_cancel() -> None:
    x, tenth = Variable("x", Bool()), Fraction(1, 10)
    decided = concat([input_block(Indicator(code), x) for code in range(2)])
    first, second = Dense(constant([[tenth, 3 * tenth]])), Dense(constant([[3, 1], [-1, 1]]))
    p = Circuit(weighted([decided], compose([first, second])), Store())
    rows = np.array([[0.0], [1.0]])
    assert at(p, rows)[0] != 0.0  # which rounding has left
    assert np.allclose(at(reciprocal(p), rows), [0.0, 2.5], rtol=1e-15)


@pytest.mark.parametrize("exponent", [Fraction(k, 2) for k in (-4, -3, -2, -1, 0, 1, 2, 3, 4, 5)])
def test_powers_of_numbers_of_any_sign_in_all_fields(exponent: Fraction) -> None:
    numbers = [-3.0, -0.5, 0.0, 0.25, 2.0]
    odd = exponent.denominator == 1 and exponent.numerator % 2 == 1
    wanted = [(math.copysign(1, x) if odd else 1) * abs(x) ** float(exponent) if x else 0.0 for x in numbers]
    expression = raised(constant(numbers), exponent)
    own = Numbers(Store())
    assert np.allclose(own.of(expression, LINEAR), wanted, rtol=1e-15)
    logs = own.of(expression, SIGNED_LOG)
    assert np.allclose(logs[:, 1] * np.exp(logs[:, 0]), wanted, rtol=1e-15)
    bounds = own.of(expression, INTERVAL)
    assert np.all(bounds[:, 0] <= wanted) and np.all(wanted <= bounds[:, 1])
    if exponent.denominator == 1:
        assert own.of(expression, EXACT).tolist() == [Fraction(x) ** int(exponent) if x else 0 for x in numbers]
    across = np.array([[-1.0, 2.0], [0.0, 0.5]])
    if exponent > 0:
        low, high = INTERVAL.power(across, exponent).T
        assert np.all(low <= [-1.0 if odd else 0.0, 0.0]) and np.all(low > -1.01)
        assert np.all(high >= [2.0 ** float(exponent), 0.5 ** float(exponent)])
        assert odd or low[0] == 0.0 or low[0] > -1e-15
    else:
        with pytest.raises(DanausError, match="interval that holds zero"):
            INTERVAL.power(across, exponent)


def test_monarch_maps_stay_factored() -> None:
    x = Variable("x", Cat(4))
    decided = concat([input_block(Indicator(code), x) for code in range(4)])
    parts = [Parameter(f"w{i}", (2, 2, 2), "positive") for i in range(2)]
    values = {part: Value.of(np.arange(1.0, 9.0).reshape(2, 2, 2) + i) for i, part in enumerate(parts)}
    middle = weighted([decided], monarch(parts))
    p = Circuit(weighted([middle], Selection(np.array([2]), 4)), Store(values))
    made = power(p, Fraction(1, 2))
    rows = np.arange(4.0)[:, None]
    assert np.allclose(at(made, rows), np.sqrt(at(p, rows)), rtol=1e-14)
    assert any(isinstance(block.map, Compose) for block in made.blocks if hasattr(block, "map"))


def test_squares_of_signed_circuits_have_roots() -> None:
    spec = parse(
        "var x : cat(3)\ncircuit p { return sum(concat([x = 0], [x = 1]), [[-3, 2]]) }\n"
        "circuit square = multiply(p, p)\ncircuit root = power(square, 0.5)\ncircuit l = log(square)"
    )
    rows = np.arange(3.0)[:, None]
    assert np.allclose(at(spec.circuits["root"], rows), [3.0, 2.0, 0.0], rtol=1e-15)
    assert np.allclose(at(spec.circuits["l"], rows), [math.log(9), math.log(4), 0.0])


REAL = """
var x : bool
var u : real
var k : count
circuit p {
  a = [x = 0] * gaussian(u, [1.0], [0.5]) * poisson(k, [2.5])
  b = [x = 1] * gaussian(u, [-1.0], [2.0]) * [k = 3]
  return sum(concat(a, b), [[0.4, 0.6]])
}
"""


def test_inputs_on_real_and_count() -> None:
    p = parse(REAL).circuits["p"]
    random = np.random.default_rng(2)
    rows = np.stack([random.integers(0, 2, 60), random.normal(0, 3, 60), random.integers(2, 5, 60)], axis=1)
    logs = log_likelihood(p, rows)
    for exponent in (-1, -0.5, 0, 0.5, 2.5):
        made = power(p, exponent)
        wanted = np.where(np.isneginf(logs), 0.0, np.exp(exponent * np.where(np.isneginf(logs), 0.0, logs)))
        assert np.allclose(at(made, rows), wanted, rtol=1e-12, atol=0)
        bounds = at(made, rows, INTERVAL)
        near = 1e-12 * wanted
        assert np.all(bounds[:, 0] <= wanted + near) and np.all(wanted - near <= bounds[:, 1])
        twice = power(made, 2) if exponent != 0 else made
        assert np.allclose(at(twice, rows), wanted**2, rtol=1e-11, atol=0)
        again = log(made)
        finite = np.where(np.isneginf(logs), 0.0, logs)
        assert np.allclose(at(again, rows), exponent * finite, rtol=1e-11, atol=1e-13)


def test_products_of_inputs_of_several_functions() -> None:
    spec = parse(
        "var x : bool\nvar u : real\nvar k : count\n"
        "circuit p { return sum(concat([x = 0], [x = 1]) * gaussian(u, [0, 1], [1, 2]) * poisson(k, [2, 3]), "
        "[[3, 0.5]]) }\n"
        "circuit q { return sum(concat([x = 0], [x = 1]) * gaussian(u, [-1, 2], [0.5, 1]) * concat([k = 2], [k = 4]), "
        "[[2, 4]]) }\ncircuit pq = multiply(p, q)\ncircuit pp = multiply(p, p)"
    )
    random = np.random.default_rng(7)
    rows = np.stack([random.integers(0, 2, 50), random.normal(0, 2, 50), random.integers(1, 5, 50)], axis=1)
    for name in ("pq", "pp"):
        p = spec.circuits[name]
        logs = log_likelihood(p, rows)
        none = np.isneginf(logs)
        finite = np.where(none, 0.0, logs)
        for exponent in (0, -1, 0.5):
            assert np.allclose(at(power(p, exponent), rows), np.where(none, 0, np.exp(exponent * finite)), rtol=1e-11)
        assert np.allclose(at(log(p), rows), finite, rtol=1e-11)
        twice = Circuit(Logarithms(p, Fraction(1)).root(), p.store)
        assert np.allclose(at(twice, rows), np.where(none, 0, np.exp(finite)) * finite, rtol=1e-11)
    assert np.isneginf(log_likelihood(spec.circuits["pq"], rows)).any()


def quadrature(circuit: Circuit) -> float:
    grid = np.linspace(-60, 60, 240001)
    return float(np.trapezoid(at(circuit, grid[:, None]), grid))


@pytest.mark.parametrize("exponent", [0.25, 0.5, 1.5, 3])
def test_powers_of_gaussians_have_integrals(exponent: float) -> None:
    spec = parse("var u : real\ncircuit p { return gaussian(u, [1.5], [0.75]) }")
    made = power(spec.circuits["p"], exponent)
    for semiring in (LINEAR, SIGNED_LOG):
        found = at(integrate(made), NOTHING, semiring)[0]
        number = found if semiring is LINEAR else math.exp(found[0])
        assert number == pytest.approx(quadrature(made), rel=1e-10)


def test_quotients_of_gaussians_have_integrals_while_the_precision_is_positive() -> None:
    spec = parse(
        "var u : real\ncircuit p { return gaussian(u, [1.5], [0.75]) }\n"
        "circuit q { return gaussian(u, [-1], [1.25]) }\ncircuit r { return gaussian(u, [0.5], [3]) }"
    )
    p, q, r = (spec.circuits[name] for name in "pqr")
    quotient = multiply(p, reciprocal(q))
    half = multiply(p, power(reciprocal(q), 0.5))
    beside = multiply(multiply(quotient, reciprocal(r)), log(r))
    for circuit in (quotient, half, multiply(quotient, r), beside):
        assert float(at(integrate(circuit), NOTHING)[0]) == pytest.approx(quadrature(circuit), rel=1e-9)
    assert at(multiply(q, reciprocal(p)), np.array([[2.0]]))[0] == pytest.approx(
        at(q, np.array([[2.0]]))[0] / at(p, np.array([[2.0]]))[0], rel=1e-13
    )
    with pytest.raises(DanausError, match=r"diverges.*infinite for these deviations"):
        at(integrate(multiply(q, reciprocal(p))), NOTHING)
    with pytest.raises(DanausError, match=r'gaussian\^-1 on "u" \(real\) has no integral in closed form'):
        integrate(reciprocal(p))


def test_integrals_of_products_of_several_widths_are_pair_by_pair() -> None:
    u, k = Variable("u", Real()), Variable("k", Count())
    random = np.random.default_rng(5)

    def gaussians(width: int, least: float) -> tuple[Block, list[np.ndarray]]:
        given = [random.normal(size=width), random.uniform(least, least + 0.5, width)]
        return input_block(Gaussian(), u, [constant(part) for part in given]), given

    family = InputProduct((Gaussian(), inverse(Gaussian(), u), Gaussian()), (2, 3, 2))
    parts = [part for width, least in ((2, 0.3), (3, 2.0), (2, 0.5)) for part in gaussians(width, least)[1]]
    numbers = Numbers(Store())
    found = numbers.moments(family, u, tuple(constant(part) for part in parts), 2, LINEAR)
    grid = np.linspace(-30, 30, 60001)
    values = numbers.inputs(family, u, tuple(constant(part) for part in parts), grid, LINEAR)
    assert np.allclose(found, np.trapezoid(values * grid**2, grid, axis=1), rtol=1e-9)

    logs = InputProduct((Gaussian(), log(Circuit(gaussians(1, 1.0)[0], Store())).root.family), (2, 3))  # type: ignore
    parts = [part for width in (2, 3) for part in gaussians(width, 0.5)[1]]
    for order in (0, 1, 2):
        found = numbers.moments(logs, u, tuple(constant(part) for part in parts), order, LINEAR)
        values = numbers.inputs(logs, u, tuple(constant(part) for part in parts), grid, LINEAR)
        assert np.allclose(found, np.trapezoid(values * grid**order, grid, axis=1), rtol=1e-9)

    rates = [random.uniform(0.5, 4, width) for width in (2, 3, 2)]
    counts = InputProduct((Poisson(), inverse(Poisson(), k), Poisson()), (2, 3, 2))
    given = tuple(constant(part) for part in rates)
    for order in (0, 1, 2):
        sums = numbers.moments(counts, k, given, order, LINEAR)
        table_of = numbers.inputs(counts, k, given, np.arange(0.0, 160.0), LINEAR)
        assert np.allclose(sums, (table_of * np.arange(160.0) ** order).sum(axis=1), rtol=1e-10)


def inverse(family: Gaussian | Poisson, variable: Variable) -> object:
    """The family of the reciprocals of inputs."""
    count = 2 if isinstance(family, Gaussian) else 1
    p = Circuit(input_block(family, variable, [constant([1.0])] * count), Store())
    return reciprocal(p).root.family  # type: ignore[union-attr]


def test_what_has_no_closed_integral_says_so() -> None:
    p = parse(REAL).circuits["p"]
    with pytest.raises(DanausError, match=r'poisson\^1/2 on "k" \(count\) has no integral in closed form'):
        integrate(power(p, 0.5))
    at_three = restrict(power(p, 0.5), {"k": 3, "x": 0})
    assert float(at(integrate(at_three), NOTHING)[0]) == pytest.approx(quadrature(at_three), rel=1e-10)
    with pytest.raises(DanausError, match="irrational"):
        at(
            power(parse("var x : bool\ncircuit p { return table(x, [[4, 2]]) }").circuits["p"], 0.5),
            np.zeros((1, 1)),
            EXACT,
        )


def test_a_chain_of_three_thousand_layers() -> None:
    x = Variable("x", Bool())
    block: Block = input_block(Table(), x, [constant([[2.0, 3.0], [5.0, 1.0]])])
    for layer in range(3000):
        given = Selection(np.array([1, 0]), 2) if layer % 2 else Dense(constant([[0.5, 0.0], [0.0, 2.0]]))
        block = weighted([block], given)
    p = Circuit(weighted([block], Selection(np.array([0]), 2)), Store())
    rows, made = np.array([[0.0], [1.0]]), power(p, -0.5)
    assert np.allclose(at(made, rows, SIGNED_LOG)[:, 0], -0.5 * log_likelihood(p, rows), rtol=1e-12)


def test_shared_children_and_factors_of_width_one() -> None:
    x, y = Variable("x", Bool()), Variable("y", Bool())
    common = input_block(Table(), y, [constant([[2.0, 8.0]])])
    decided = hadamard([concat([input_block(Indicator(code), x) for code in range(2)]), common])
    p = Circuit(weighted([decided], Dense(constant([[1.0, 9.0]]))), Store())
    made = power(p, 0.5)
    rows, values = table(p)
    assert np.allclose(at(made, rows), np.sqrt(np.array(values, dtype=float)), rtol=1e-14)
    assert len(made.blocks) == len(p.blocks)


def test_derivatives_go_through_powers_and_logarithms() -> None:
    w = Parameter("w", (3,), "real")
    store = Store({w: Value.of([2.0, 0.5, 0.0])})
    x = Variable("x", Cat(3))
    root = weighted([hadamard([input_block(Table(), x, [constant([[1.0, 1.0, 1.0]])])])], Dense(constant([[1.0]])))
    assert root.width == 1
    for expression, slopes in (
        (raised(w, Fraction(-3, 2)), [-1.5 * 2**-2.5, -1.5 * 0.5**-2.5, 0.0]),
        (raised(w, 3), [12.0, 0.75, 0.0]),
        (log_of(w), [0.5, 2.0, 0.0]),
    ):
        found = pullback([(expression, np.ones(3))], Numbers(store))
        assert np.allclose(found[w], slopes, rtol=1e-14)


def test_refusals_and_numbers_that_are_none() -> None:
    spec = parse(
        "var x : bool\nvar y : bool\n"
        "circuit mixed { return sum(bernoulli(x, [0.2, 0.9]), [[0.5, 0.5]]) }\n"
        "circuit below { return table(x, [[1, -2]]) }"
    )
    mixed, below = spec.circuits["mixed"], spec.circuits["below"]
    for make in (
        lambda: power(mixed, 0.5),
        lambda: power(mixed, -1),
        lambda: power(mixed, 0),
        lambda: reciprocal(mixed),
    ):
        with pytest.raises(Refused) as caught:
            make()
        assert [each.code for each in caught.value.diagnostics] == ["not-deterministic"]
        assert "both non-zero at x = 0" in str(caught.value)
    with pytest.raises(Refused, match=r"power needs \"below\" to be nonnegative[\s\S]*x = 1 is -2\.0"):
        power(below, 0.5)
    assert at(reciprocal(below), np.array([[0.0], [1.0]])).tolist() == [1.0, -0.5]
    assert at(power(below, 3), np.array([[1.0]])).tolist() == [-8.0]
    for number in (math.nan, math.inf, "two", None):
        with pytest.raises(DanausError, match="power takes a finite number"):
            power(below, number)  # type: ignore[arg-type]


def test_they_are_written_as_the_call_and_compile() -> None:
    spec = parse(
        "var x : cat(3)\ncircuit p { return categorical(x, [[0.5, 0.25, 0.25]]) }\ncircuit h = power(p, 0.5)\n"
        "circuit r = reciprocal(p)\ncircuit l = log(r)"
    )
    rows = np.arange(3.0)[:, None]
    for name, call in (("h", 'power("h.p", 0.5)'), ("r", "[[2, 4, 4]]"), ("l", 'log("l.r")')):
        circuit = spec.circuits[name]
        text, _ = circuit_text({name: circuit})
        assert call in text
        assert np.array_equal(at(parse(text).circuits[name], rows), at(circuit, rows))
        compiled = compile_circuit(circuit, dtype="float64").log_likelihood(rows)
        assert np.allclose(np.asarray(compiled), log_likelihood(circuit, rows), rtol=1e-12)
