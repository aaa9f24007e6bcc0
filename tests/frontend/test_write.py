"""What is written reads back: the same blocks, maps, numbers, names; what has no form, by its operators."""

from __future__ import annotations

import gc
import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from danaus.compiler.driver import load, parse
from danaus.compiler.operators import add, evidence, integrate, rename, restrict, scale, smooth
from danaus.frontend.write import circuit_text, spec_text, write_circuit, write_spec
from danaus.frontend.writing.numbers import number_text
from danaus.ir.block import Block, concat, constant_block, hadamard, indexed, input_block, pairs, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Bernoulli, Categorical, Gaussian, Indicator, One, Table
from danaus.ir.linear import Compose, Dense, Diagonal, Kronecker, LinearMap, compose, selection, sparse
from danaus.ir.parameter import Constraint, Parameter, Value, constant
from danaus.ir.semirings import EXACT, SIGNED_LOG, Semiring
from danaus.ir.store import Store
from same import assert_same
from small_circuits import random_circuit


def values(circuit: Circuit, semiring: Semiring = EXACT, rows: int = 64) -> list[object]:
    """The circuit at its first assignments."""
    domains = [variable.domain for variable in circuit.variables]
    starts = [domain.lo if isinstance(domain, Int) else 0 for domain in domains]
    ranges = [range(start, start + (v.size or 3)) for start, v in zip(starts, circuit.variables, strict=True)]
    assignments = list(itertools.islice(itertools.product(*ranges), rows))
    x = np.array(assignments, dtype=float).reshape(len(assignments), len(domains))
    found = evaluate(circuit, semiring, Evidence(circuit.variables, x, np.ones(x.shape, dtype=bool)))
    return list(found.tolist())


def read_back(circuit: Circuit, folder: Path) -> Circuit:
    """The circuit, written and read."""
    write_circuit(circuit, folder / "c.circuit")
    return load(folder / "c.circuit").circuit


def tensors(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(str(path), framework="numpy") as file:
        return {name: file.get_tensor(name).shape for name in file.keys()}  # noqa: SIM118 — not a mapping


def circuit(root: Block, *parameters: tuple[Parameter, object], name: str = "p") -> Circuit:
    return Circuit(root, Store({parameter: Value.of(value) for parameter, value in parameters}), name)


def bernoulli(name: str, *probabilities: object) -> Block:
    return input_block(Bernoulli(), Variable(name, Bool()), [constant(Value.of([*map(Fraction, probabilities)]))])  # type: ignore[arg-type]


RAIN = """\
var rain : bool
var sprinkler : bool
var wet : cat("dry", "damp", "soaked")

param W[1, 2] : simplex = [[0.3, 0.7]]

circuit p {
  r = bernoulli(rain, [0.2, 0.9])
  s = bernoulli(sprinkler, [0.4, 0.01])
  w = categorical(wet, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
  b3 = r * s * w
  return sum(b3, W)
}

assert smooth(p) and not (normalized(p) or decomposable(p))
assert near(integrate(p), 1, 1e-12)

query likelihood = likelihood(p)
query second = moment(p, rain, 2)
query "given wet" = marginal(restrict(p, wet = "soaked"))
"""


def test_a_text_of_this_form_is_written_as_it_is() -> None:
    assert spec_text(parse(RAIN)) == (RAIN, {})


EVERYTHING = """
var b : bool
var c : cat(3)
var l : cat("low", "mid", "high")
var i : int(-1, 1)
var n : int(0, 4)
var k : count
var r : real
param A[4, 4] = [[1, 2, 3, 4], [1/3, 0, -1, 0.1], [0, 0, 1, 0], [2, 2, 2, 2]]
param B[2, 2, 2] = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
param D[4] = [1, -2, 3, 0.5]
const E[2, 2] = [[1, 2], [3, 4]]
param F[2, 3] = [[1, 0, 2], [0.25, 1, 1]]
const S[3] = [1, 2, 1/7]
param M[2] = [0, 1.5]
const P[2, 3] : simplex = [[0.2, 0.3, 0.5], [1/3, 1/3, 1/3]]
index I[2, 2] = [[0, 3], [1, -1]]
circuit p {
  f1 = bernoulli(b, [0.25, 1/3])
  f2 = categorical(c, P)
  f3 = table(l, [[1, -1, 1e30], [0, 0, 2e-9]])
  f4 = gaussian(r, M, [1, 0.1])
  f5 = poisson(k, [0.5, 3])
  f6 = binomial(n, [0.25, 1])
  f7 = discretized_logistic(i, [0, 1], [1, 2])
  f8 = [l = "mid"]
  f9 = [k = 4]
  f10 = [i = -1]
  m1 = f1 * f2 * f8
  m2 = m1 * (f4 * f5) * f9
  m3 = kron(f6, f7)
  m4 = product(concat(m2, m3), [[0, 3], [], [1, 4, 5], [2]])
  m5 = product(m4, I)
  c1 = concat(m4, m4)
  c2 = c1[3]
  c3 = c1[2..6]
  c4 = gather(c1, [7, 0, 0, 3])
  s1 = sum(c3, A)
  s2 = sum(s1, B, map=block_diagonal(2))
  s3 = sum(s2, D, map=diagonal)
  s4 = sum(s3, B, B, map=monarch(2, 2))
  s5 = sum(s4, E, E, map=kron)
  s6 = sum(s5, S, width=5, map=sparse([0, 2, 0], [3, 1, 0]))
  s7 = sum(s6[0..4], map=permute([3, 1, 0, 2]))
  s8 = sum(concat(s7, c2), [[1, 2, 3, 4, 5], [1/3, 0, 0, 0, -0.1], [0, 0, 0, 0, 1]])
  s9 = sum(s8, F, E, map=compose(dense, permute([2, 0, 1]))) * f10
  s10 = sum(c4, D, E, E, B, map=compose(diagonal, permute([1, 0, 3, 2]), kron, block_diagonal(2)))
  t = kron(f3)
  return sum(concat(m5, s9, s10, t, product(concat(), [[]])), [[1, 1, 1, 1, 2, 3, 4, 5, 1, 1, 9]])
}
"""


def test_every_block_form_and_every_map_reads_back(tmp_path: Path) -> None:
    text = EVERYTHING.replace("sum(s8, F, E, map=compose(dense, permute([2, 0, 1])))", "sum(s8, F)")
    first = parse(text).circuit
    second = read_back(first, tmp_path)
    assert_same(first, second)
    assert values(first, SIGNED_LOG) == values(second, SIGNED_LOG)
    written = (tmp_path / "c.circuit").read_text()
    for name in ("f1", "m2", "m4", "c3", "s1", "s6", "s10", "t"):  # blocks keep the names that they were bound to
        assert f"  {name} = " in written
    assert circuit_text({"p": second})[0] == written
    assert not (tmp_path / "c.safetensors").exists()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("start", range(0, 60, 10))
def test_random_circuits_compute_the_same_exactly(start: int, signed: bool, tmp_path: Path) -> None:
    for seed in range(start, start + 10):
        first = random_circuit(seed, signed=signed)
        second = read_back(first, tmp_path)
        assert values(first) == values(second)
        written = (tmp_path / "c.circuit").read_text()
        if not first.free and "_step" not in written:  # steps stand for maps that no text says in one call
            assert_same(first, second, moved=[name for name in (p.name for p in second.parameters) if "." in name])
        assert values(read_back(second, tmp_path)) == values(first)


# Names


def test_names_that_are_no_identifiers_are_quoted(tmp_path: Path) -> None:
    names = ["X-1", "param", "x[3]", "ä b", "x[0]", "x", "y[0]", "y[1]", "z[1]", "z[2]"]
    inputs = [bernoulli(name, "0.5") for name in names]
    weights = Parameter("index", (1, 1), "real")
    first = circuit(weighted([hadamard(inputs)], Dense(weights)), (weights, [[2]]), name="circuit")
    second = read_back(first, tmp_path)
    assert_same(first, second)
    assert [variable.name for variable in second.variables] == names
    text = (tmp_path / "c.circuit").read_text()
    assert 'var "x[3]" : bool\nvar "ä b" : bool\nvar "x[0]" : bool\nvar x : bool\nvar y[2] : bool\nvar "z[1]"' in text
    assert 'circuit "circuit" {' in text and 'param "index"[1, 1] : real = [[2]]' in text


def test_an_array_gives_way_to_a_name_that_is_taken(tmp_path: Path) -> None:
    inputs = [bernoulli(f"p[{i}]", "0.5") for i in range(2)]
    second = read_back(circuit(hadamard(inputs), name="p"), tmp_path)
    assert [variable.name for variable in second.variables] == ["p[0]", "p[1]"]
    assert 'var "p[0]" : bool' in (tmp_path / "c.circuit").read_text()


def test_two_parameters_of_one_name_stay_two(tmp_path: Path) -> None:
    one, other = (Parameter("W", (1, 1), "real") for _ in range(2))
    x = bernoulli("x", "0.25")
    root = weighted([weighted([x], Dense(one)), weighted([x], Dense(other))], Dense(constant([[1, 1]])))
    second = read_back(circuit(root, (one, [[2]]), (other, [[3]])), tmp_path)
    assert [parameter.name for parameter in second.parameters] == ["W", "W#1"]
    assert values(second) == [Fraction(15, 4), Fraction(5, 4)]


def test_blocks_are_called_like_nothing_else(tmp_path: Path) -> None:
    first = circuit(hadamard([bernoulli("b0", "0.5"), bernoulli("b1", "0.5")]), name="b2")
    assert_same(first, read_back(first, tmp_path))


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\rb", "\ud800"])
def test_a_name_that_no_quotes_hold_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DanausError) as caught:
        write_circuit(circuit(bernoulli(name, "0.5")), tmp_path / "c.circuit")
    assert caught.value.diagnostics[0].code == "unwritable-name"
    assert not list(tmp_path.iterdir())


def test_a_circuit_called_like_its_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DanausError) as caught:
        write_circuit(circuit(bernoulli("x", "0.5"), name="x"), tmp_path / "c.circuit")
    assert caught.value.diagnostics[0].code == "duplicate-name"


# Numbers


@given(st.one_of(st.fractions(), st.floats(allow_nan=False, allow_infinity=False).map(Fraction)))
def test_a_number_reads_back_as_the_rational_that_it_is(number: Fraction) -> None:
    text = f"var x : bool; circuit p {{ return table(x, [[{number_text(number)}, 1]]) }}"
    assert values(parse(text).circuit) == [number, 1]


def test_a_float_is_not_the_decimal_that_it_prints_as(tmp_path: Path) -> None:
    parameter = Parameter("W", (1, 2), "real")
    root = weighted([bernoulli("x", "0.5", "0.25")], Dense(parameter))
    exact = circuit(root, (parameter, [[Fraction(1, 10), Fraction(1, 3)]]))
    trained = circuit(root, (parameter, [[0.1, 1 / 3]]))
    assert "= [[0.1, 1/3]]" in circuit_text({"p": exact})[0]
    assert "    0.1000000000000000055511151231257827021181583404541015625,\n" in circuit_text({"p": trained})[0]
    for first in (exact, trained):
        assert_same(first, read_back(first, tmp_path))


def table(width: int, entry: object) -> Circuit:
    numbers = Value.of(np.full((width, 1), entry, dtype=object))
    block = input_block(Table(), Variable("x", Cat(1)), [constant(numbers)])
    return circuit(weighted([block], Dense(constant(np.ones((1, width))))))


def test_arrays_of_more_than_64_numbers_are_moved(tmp_path: Path) -> None:
    first = table(64, 0.5)
    assert_same(first, read_back(first, tmp_path))
    assert not (tmp_path / "c.safetensors").exists()
    first = table(65, 0.5)
    assert_same(first, read_back(first, tmp_path), moved=["p.b0", "p.return"])
    assert tensors(tmp_path / "c.safetensors") == {"p.b0": (65, 1), "p.return": (1, 65)}
    assert 'load "c.safetensors"' in (tmp_path / "c.circuit").read_text()


def test_arrays_that_float64_does_not_hold_stay(tmp_path: Path) -> None:
    first = table(65, Fraction(1, 10))
    assert_same(first, read_back(first, tmp_path), moved=["p.return"])
    assert tensors(tmp_path / "c.safetensors") == {"p.return": (1, 65)}


@pytest.mark.parametrize("learnable", [True, False])
def test_parameters_move_under_their_names(learnable: bool, tmp_path: Path) -> None:
    made: list[tuple[Constraint | None, np.ndarray]] = [
        ("unit", np.linspace(0, 1, 65)),
        ("simplex", np.full((1, 65), 1 / 65)),
        (None, np.linspace(-1, 1, 65)[None]),
    ]
    unit, simplex, free = (
        Parameter(f"w.{i}#1", value.shape, constraint, learnable) for i, (constraint, value) in enumerate(made)
    )
    block = input_block(Bernoulli(), Variable("x", Bool()), [unit])
    tops = [weighted([block], Dense(weights)) for weights in (simplex, free)]
    first = circuit(
        weighted(tops, Dense(constant([[1, 2]]))),
        *zip((unit, simplex, free), (value for _, value in made), strict=True),
    )
    assert_same(first, read_back(first, tmp_path))
    assert set(tensors(tmp_path / "c.safetensors")) == {"w.0#1", "w.1#1", "w.2#1"}


def test_long_indices_move(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    order = random.permutation(100)
    nodes = concat([bernoulli(f"x{i}", f"1/{i + 2}") for i in range(5)])
    gathered = weighted([nodes], selection(random.integers(0, 5, 100), 5))
    spread = weighted([gathered], sparse(order, np.arange(100), constant(np.arange(100.0)), 100, 100))
    turned = weighted([spread], compose([Diagonal(constant(np.arange(100.0))), selection(order, 100)]))
    sizes = random.integers(0, 4, 70)
    product = indexed([turned], np.cumsum([0, *sizes]), random.integers(0, 100, sizes.sum()))
    first = circuit(weighted([product], Dense(constant([[1] * 70]))))
    second = read_back(first, tmp_path)
    assert values(first) == values(second)
    moved = tensors(tmp_path / "c.safetensors")
    assert_same(first, second, moved=list(moved))
    # Equal ones are one: the gather, the order twice, 0 … 99 as an index, and as numbers twice.
    assert sorted(moved.values()) == [(1, 70), (70, 3), (100,), (100,), (100,), (100,)]


def test_rows_of_very_different_lengths_are_not_padded(tmp_path: Path) -> None:
    rows = [[0] * 3000, *[[0]] * 3000]
    text = f"var x : bool; circuit p {{ a = product([x = 1], {rows}); return a[0] }}"
    first = parse(text).circuit
    assert_same(first, read_back(first, tmp_path))
    assert not (tmp_path / "c.safetensors").exists()


def test_a_constant_of_two_uses_keeps_to_both(tmp_path: Path) -> None:
    numbers = constant(np.full(65, 0.5))
    chance = input_block(Bernoulli(), Variable("x", Bool()), [numbers])
    spread = input_block(Gaussian(), Variable("y", Real()), [numbers, numbers])
    first = circuit(weighted([hadamard([chance, spread])], Dense(constant([[0.5] * 65]))))
    second = read_back(first, tmp_path)
    assert values(first, SIGNED_LOG) == values(second, SIGNED_LOG)


def test_trained_rows_are_saved_renormalised(tmp_path: Path) -> None:
    rows = np.full((1, 100), 1 / 100) * (1 + 1e-7)
    weights = Parameter("W", (1, 100), "simplex")
    root = weighted([input_block(Bernoulli(), Variable("x", Bool()), [constant(np.full(100, 0.5))])], Dense(weights))
    write_circuit(circuit(root, (weights, rows)), tmp_path / "c.circuit")
    spec = load(tmp_path / "c.circuit")
    assert not spec.diagnostics
    assert spec.store[spec.parameters["W"]].floats.sum() == pytest.approx(1, abs=1e-15)


def test_a_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(DanausError) as caught:
        circuit_text({"p": table(1, Fraction(1, 3**9000))})
    assert caught.value.diagnostics[0].code == "no-text-form"


# Maps that no text says in one call


def steps(linear: LinearMap, tmp_path: Path) -> tuple[Circuit, Circuit]:
    chances = [Fraction(1, i + 2) for i in range(linear.inputs)]
    inner = input_block(Bernoulli(), Variable("x", Bool()), [constant(Value.of(chances))])
    top = constant([[i + 1 for i in range(linear.outputs)]])
    first = circuit(weighted([weighted([inner], linear)], Dense(top)))
    return first, read_back(first, tmp_path)


_rng = np.random.default_rng(1)


def _dense(m: int, n: int) -> Dense:
    return Dense(constant(_rng.integers(-4, 5, (m, n)) / 4))


HARD = {
    "two krons": compose([Kronecker((_dense(2, 2), _dense(2, 2))), Kronecker((_dense(2, 3), _dense(2, 1)))]),
    "a gather": compose([_dense(2, 3), selection([0, 0, 2], 3)]),
    "a gather last": compose([selection([1, 1], 2), _dense(2, 3)]),
    "empty last rows": compose([_dense(2, 5), sparse([0, 1], [1, 0], constant([2.0, 3.0]), 5, 2)]),
    "no entries": sparse([], [], constant(np.zeros(0)), 3, 2),
    "structured factors": Kronecker((Diagonal(constant([1.0, 2.0])), selection([1, 0, 0], 2), _dense(2, 3))),
    "an identity factor": Kronecker((selection([0, 1, 2], 3), _dense(1, 2))),
    "identities": Kronecker((selection([0, 1], 2), selection([0, 1], 2))),
    "nested": Kronecker((Kronecker((_dense(2, 2), _dense(1, 2))), Compose((_dense(2, 2), selection([1, 0], 2))))),
}


@pytest.mark.parametrize("name", HARD)
def test_a_map_is_written_in_steps(name: str, tmp_path: Path) -> None:
    first, second = steps(HARD[name], tmp_path)
    assert values(first) == values(second)


def test_products_of_one_factor_and_of_none(tmp_path: Path) -> None:
    single = [hadamard([bernoulli("x", "0.25")]), pairs([bernoulli("y", "0.5")])]
    root = hadamard([*single, constant_block(constant([[3]]))])
    assert values(read_back(circuit(root), tmp_path)) == values(circuit(root))


def test_the_constant_1_on_a_finite_domain_is_a_table(tmp_path: Path) -> None:
    first = circuit(hadamard([input_block(One(), Variable("x", Cat(3))), bernoulli("y", "0.5")]))
    second = read_back(first, tmp_path)
    assert_same(first, second)
    assert "table(x, [[1, 1, 1]])" in (tmp_path / "c.circuit").read_text()


def test_free_variables_are_kept_as_factors_of_1(tmp_path: Path) -> None:
    first = Circuit(bernoulli("x", "0.25"), Store(), "p", (Variable("y", Bool()), Variable("z", Cat(3))))
    second = read_back(first, tmp_path)
    assert [variable.name for variable in second.variables] == ["x", "y", "z"]
    assert values(first) == values(second)
    with pytest.raises(DanausError) as caught:
        circuit_text({"p": Circuit(bernoulli("x", "0.25"), Store(), "p", (Variable("y", Count()),))})
    assert caught.value.diagnostics[0].code == "no-text-form"


# Several circuits


def test_circuits_share_parameters_and_name_each_other(tmp_path: Path) -> None:
    spec = parse("""
        var x : bool
        var y : bool
        param A[2] = [0.25, 0.5]
        circuit p { return sum(bernoulli(x, A), [[1, 2]]) }
        circuit q { return sum(bernoulli(y, A), width=1) * p }
        circuit r = q
    """)
    write_spec(spec, tmp_path / "c.circuit")
    text = (tmp_path / "c.circuit").read_text()
    assert "return b1 * p" in text and "circuit r = q" in text
    again = load(tmp_path / "c.circuit")
    for name, first in spec.circuits.items():
        assert_same(first, again.circuits[name])
    assert len(again.parameters) == 2
    assert again.circuits["r"].root is again.circuits["q"].root
    alone = read_back(spec.circuits["q"], tmp_path)
    assert_same(spec.circuits["q"], alone)


def test_circuits_in_any_order(tmp_path: Path) -> None:
    spec = parse("var x : bool; circuit p { return [x = 1] }; circuit q { return sum(p, [[2]]) }")
    write_spec({"q": spec.circuits["q"], "p": spec.circuits["p"]}, tmp_path / "c.circuit")
    again = load(tmp_path / "c.circuit")
    assert list(again.circuits) == ["p", "q"]
    assert values(again.circuits["q"]) == [0, 2]


def test_two_states_of_training_are_refused() -> None:
    weights = Parameter("W", (1, 1), "real")
    root = weighted([bernoulli("x", "0.5")], Dense(weights))
    with pytest.raises(DanausError) as caught:
        circuit_text({"p": circuit(root, (weights, [[1]])), "q": circuit(root, (weights, [[2]]))})
    assert caught.value.diagnostics[0].code == "two-values"


# What only operators make

MODEL = """
var x : bool
var y : cat("low", "mid", "high")
var h : real
var w : bool
param W[1, 2] : simplex = [[1/3, 2/3]]
circuit p {
  a = bernoulli(x, width=2); b = categorical(y, width=2); c = gaussian(h, width=2)
  return sum(a * b * c, W)
}
circuit half {
  g = gaussian(h, [0], [1]); f = bernoulli(x, [0.5])
  return sum(concat(g, f), [[1, 1]])
}
circuit restricted = restrict(p, x = 1, h = 0.1, y = "mid")
circuit integrated = integrate(p, [x, h])
circuit everything = integrate(p)
circuit weighed = evidence(p, y = [0.1, 1/3, 2])
circuit renamed = rename(weighed, x = w)
circuit added = add(restrict(p, x = 0), p)
circuit scaled = scale(restricted, 1/7)
circuit smoothed = smooth(half)
circuit body { d = bernoulli(w, [0.5]); return sum(concat(d * restricted, d), [[1, 2]]) }
circuit of_body = integrate(body)
circuit mixed = mixture([restricted, of_body], [0.5, 0.5])
circuit twice { return sum(concat(smoothed, mixed), [[1, 3]]) }
"""


@pytest.mark.parametrize("name", parse(MODEL).circuits)
def test_a_circuit_that_an_operator_made_is_alone_in_its_file(name: str, tmp_path: Path) -> None:
    first = parse(MODEL).circuits[name]
    second = read_back(first, tmp_path)
    assert second.name == name
    assert list(load(tmp_path / "c.circuit").circuits) == [name]
    assert first.variables == second.variables
    assert values(first, SIGNED_LOG) == values(second, SIGNED_LOG)
    assert values(read_back(second, tmp_path), SIGNED_LOG) == values(first, SIGNED_LOG)


def test_a_spec_names_the_circuits_that_it_holds() -> None:
    spec = parse(MODEL)
    text, _ = spec_text(spec)
    for line in (
        'circuit restricted = restrict(p, x = 1, h = 0.1, y = "mid")',
        "circuit integrated = integrate(p, [x, h])",
        "circuit weighed = evidence(p, y = [0.1, 1/3, 2])",
        "circuit renamed = rename(weighed, x = w)",
        "circuit smoothed = smooth(half)",
    ):
        assert f"\n{line}\n" in text
    again = parse(text)
    assert list(again.circuits) == list(spec.circuits)
    assert spec_text(again)[0] == text


def test_what_is_derived_from_constants_alone_is_written_as_numbers() -> None:
    p = parse("var x : bool; var y : bool; circuit p { return bernoulli(x, [0.1]) * bernoulli(y, [0.5]) }").circuit
    text, _ = circuit_text({"q": restrict(p, {"x": 1})})
    assert "restrict" not in text and "sum(b0, [[0.1]])" in text


def test_what_an_operator_made_follows_training(tmp_path: Path) -> None:
    weights = Parameter("W", (2,), "unit")
    block = input_block(Bernoulli(), Variable("x", Bool()), [weights])
    p = circuit(weighted([block], Dense(constant([[1, 2]]))), (weights, [0.25, 0.5]))
    trained = restrict(p, {"x": 1}).over(p.store.updated({weights: Value.of([0.5, 0.75])}))
    assert values(read_back(trained, tmp_path)) == [2]


def test_a_long_chain_of_operators(tmp_path: Path) -> None:
    x, y = Variable("x", Bool()), Variable("y", Bool())
    weights = Parameter("W", (1,), "unit")
    p = circuit(
        hadamard([input_block(Bernoulli(), x, [weights]), bernoulli("z", "0.5")]),
        (weights, [0.25]),
    )
    q = restrict(p, {"z": 1})
    for i in range(60):
        q = rename(q, {x: y} if i % 2 == 0 else {y: x})
        q = add(q, q) if i % 10 == 0 else q
    second = read_back(q, tmp_path)
    assert values(q) == values(second)


def test_operators_in_python(tmp_path: Path) -> None:
    p = parse(MODEL).circuits["p"]
    for made in (
        scale(evidence(p, {"y": [1, 2, 3]}), 0.1),
        integrate(smooth(add(p, restrict(p, {"y": "low"}))), ["x"]),
        rename(restrict(p, {"h": 1e-300}), {"x": "new"}),
    ):
        second = read_back(made, tmp_path)
        assert values(made, SIGNED_LOG) == values(second, SIGNED_LOG)
        assert [variable.name for variable in made.variables] == [variable.name for variable in second.variables]


def test_what_has_neither_a_form_nor_an_operator_is_refused(tmp_path: Path) -> None:
    one = input_block(One(), Variable("h", Real()))
    with pytest.raises(DanausError) as caught:
        write_circuit(circuit(hadamard([one, bernoulli("x", "0.5")])), tmp_path / "c.circuit")
    (found,) = caught.value.diagnostics
    assert found.code == "no-text-form" and 'the constant 1 on "h" (real)' in found.message
    p = parse(MODEL).circuits["restricted"]
    with pytest.raises(DanausError) as caught:
        circuit_text({"q": Circuit(p.root, p.store, "q")})
    assert "derived from learnable parameters" in caught.value.diagnostics[0].message


# Files


def test_nothing_is_written_where_something_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DanausError) as caught:
        write_circuit(table(65, 0.5), tmp_path / "missing" / "c.circuit")
    assert caught.value.diagnostics[0].code == "unwritable-file"
    assert not list(tmp_path.iterdir())


def test_a_file_may_have_points_in_its_name(tmp_path: Path) -> None:
    write_circuit(table(65, 0.5), tmp_path / "model.v1.circuit")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.v1.circuit", "model.v1.safetensors"]
    assert load(tmp_path / "model.v1.circuit").circuit.nodes == 66


def test_ten_thousand_blocks_deep(tmp_path: Path) -> None:
    first = parse("var x[5000] : bool; circuit h = hmm(x, states=2)").circuit
    second = read_back(first, tmp_path)
    assert len(first.blocks) == len(second.blocks)
    known = Evidence.nothing(first.variables)
    assert np.array_equal(evaluate(first, SIGNED_LOG, known), evaluate(second, SIGNED_LOG, known))
    del first, second
    gc.collect()


def test_an_indicator_of_a_named_value_names_it() -> None:
    p = circuit(input_block(Indicator(1), Variable("y", Cat(2, ("no", "yes, sir")))))
    assert '[y = "yes, sir"]' in circuit_text({"p": p})[0]


def test_rows_of_categorical_inputs_stay_on_the_simplex(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(40), size=2)
    first = circuit(weighted([input_block(Categorical(), Variable("x", Cat(40)), [constant(rows)])], _dense(1, 2)))
    assert_same(first, read_back(first, tmp_path), moved=["p.b0"])
