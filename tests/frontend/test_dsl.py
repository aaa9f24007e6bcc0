"""The functions of the DSL build the blocks that the language builds, and circuits hold what they reach."""

import gc
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

import danaus.frontend.dsl as dn
from danaus.frontend.dsl.block import BlockLike
from danaus.frontend.elaborate import elaborate
from danaus.frontend.elaborate.context import Index
from danaus.frontend.parse import parse
from danaus.frontend.spec import Spec
from danaus.frontend.syntax import ImportStatement
from danaus.ir.block import Indexed, Input, Product, Sum
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import Gatherer
from danaus.ir.domain import Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.expression import Expression
from danaus.ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
)
from danaus.ir.parameter import Constant, Parameter, Value
from danaus.ir.semirings import EXACT, LINEAR
from danaus.ir.span import Source
from danaus.ir.store import Store, initial_value

DECLARATIONS = """
var x : bool
var y : bool
var z[4] : cat(3)
var size : cat("small", "large")
var k : int(0, 5)
var n : count
var u : real
param A[3, 3] : simplex = [[0.5, 0.25, 0.25], [0, 1, 0], [0.125, 0.375, 0.5]]
param B[2, 2]
param D[3] : positive
param M[2]
param P[3]
param T[2, 3]
param L[2, 2, 2] : simplex
param R[2, 2, 2] : simplex
param W2[4, 1, 2]
const C[1, 4] = [[1, -1, 0.5, 0]]
const S[5] = [1, 2, 3, 4, 5]
index I[3] = [2, 0, 1]
index J[3, 2] = [[0, 3], [1, -1], [-1, -1]]
index N[5] = [0, 0, 1, 2, 1]
index O[5] = [0, 1, 1, 2, 0]
circuit e { return bernoulli(x, [0.5]) }
"""


class Names:
    """What the declarations declare, built in Python."""

    def __init__(self) -> None:
        self.x, self.y = dn.Bool("x"), dn.Bool("y")
        self.z = dn.Cat("z", 3, shape=4)
        self.size = dn.Cat("size", "small", "large")
        self.k, self.n, self.u = dn.Int("k", 0, 5), dn.Count("n"), dn.Real("u")
        self.A = dn.param("A", [3, 3], "simplex", [[0.5, 0.25, 0.25], [0, 1, 0], [0.125, 0.375, 0.5]])
        self.B = dn.param("B", [2, 2])
        self.D = dn.param("D", [3], "positive")
        self.M = dn.param("M", [2])
        self.P = dn.param("P", 3)
        self.T = dn.param("T", (2, 3))
        self.L = dn.param("L", [2, 2, 2], "simplex")
        self.R = dn.param("R", [2, 2, 2], "simplex")
        self.W2 = dn.param("W2", [4, 1, 2])
        self.C = dn.const("C", [1, 4], value=[[1, -1, 0.5, 0]])
        self.S = dn.const("S", [5], value=np.arange(1, 6))
        self.I = dn.index("I", [3], [2, 0, 1])
        self.J = dn.index("J", [3, 2], [[0, 3], [1, -1], [-1, -1]])
        self.N = dn.index("N", [5], [0, 0, 1, 2, 1])
        self.O = dn.index("O", [5], [0, 1, 1, 2, 0])
        self.e = dn.Circuit(dn.bernoulli(self.x, [0.5]), name="e")

    @property
    def a(self) -> dn.Block:
        """Three nodes on z[0]."""
        return dn.categorical(self.z[0], self.A)

    @property
    def b(self) -> dn.Block:
        """Two nodes on x."""
        return dn.bernoulli(self.x, [0.25, 0.75])

    @property
    def c(self) -> dn.Block:
        """Two nodes on y."""
        return dn.bernoulli(self.y, [0.5, 1])

    @property
    def w(self) -> dn.Block:
        """Four nodes on z[1]."""
        return dn.categorical(self.z[1], width=4)


ABC = """
  a = categorical(z[0], A)
  b = bernoulli(x, [0.25, 0.75])
  c = bernoulli(y, [0.5, 1])
  w = categorical(z[1], width=4)
"""

FORMS: Mapping[str, Callable[[Names], BlockLike]] = {
    "bernoulli(x, [0.5])": lambda v: dn.bernoulli(v.x, [0.5]),
    "bernoulli(x, P)[1]": lambda v: dn.bernoulli(v.x, v.P)[1],
    "bernoulli(x, width=1)": lambda v: dn.bernoulli(v.x, width=1),
    "categorical(z[3], [[0.5, 0.25, 0.25]])": lambda v: dn.categorical(v.z[3], [[0.5, 0.25, 0.25]]),
    "categorical(z[3], T)[0]": lambda v: dn.categorical(v.z[3], v.T)[0],
    "categorical(x, width=2)[0..1]": lambda v: dn.categorical(v.x, width=2)[0:1],
    "table(k, [[1, -2, 3, 0, 5, 6]])": lambda v: dn.table(v.k, np.array([[1, -2, 3, 0, 5, 6]])),
    "gaussian(u, [0], [1])": lambda v: dn.gaussian(v.u, [0], [1.0]),
    "gaussian(u, M, M)[0]": lambda v: dn.gaussian(v.u, v.M, v.M)[0],
    "gaussian(u, width=3)[2]": lambda v: dn.gaussian(v.u, width=3)[2],
    "poisson(n, [2.5])": lambda v: dn.poisson(v.n, [2.5]),
    "binomial(k, 5, [0.5])": lambda v: dn.binomial(v.k, 5, [0.5]),
    "binomial(k, [0.5])": lambda v: dn.binomial(v.k, [0.5]),
    "binomial(k, 5, P)[0]": lambda v: dn.binomial(v.k, 5, v.P)[0],
    "binomial(k, P)[0]": lambda v: dn.binomial(v.k, v.P)[0],
    "binomial(k, 5, width=1)": lambda v: dn.binomial(v.k, 5, width=1),
    "binomial(k, width=1)": lambda v: dn.binomial(v.k, width=1),
    "discretized_logistic(k, [2], [1])": lambda v: dn.discretized_logistic(v.k, [2], [1]),
    "[x = 1]": lambda v: dn.indicator(v.x, True),
    '[size = "large"]': lambda v: dn.indicator(v.size, "large"),
    "[k = 3]": lambda v: dn.indicator(v.k, np.int32(3)),
    "[n = 3]": lambda v: dn.indicator(v.n, 3.0),
    "b[0] * c[1]": lambda v: v.b[0] * v.c[1],
    "sum(b * c * a[0] * w[2], [[1, 2]])": lambda v: dn.sum(v.b * v.c * v.a[0] * v.w[2], [[1, 2]]),
    "(b * (c * a[1]))[1]": lambda v: (v.b * (v.c * v.a[1]))[1],
    "((b * c) * a[1])[1]": lambda v: (dn.product([v.b, v.c]) * v.a[1])[1],
    "((b * c)[0..2] * a[1])[1]": lambda v: ((v.b * v.c)[:] * v.a[1])[1],
    "b[0] * e": lambda v: v.b[0] * v.e,
    "e * b[0] * e": lambda v: v.e * v.b[0] * v.e,
    "e": lambda v: v.e,
    "kron(b, c)[3]": lambda v: dn.kron(v.b, v.c)[3],
    "kron(b, c, a)[5]": lambda v: dn.kron(v.b, v.c, v.a)[5],
    "product(concat(b, c), J)[0]": lambda v: dn.product(dn.concat(v.b, v.c), v.J)[0],
    "product(concat(b, c), [[0, 3], [1], []])[1]": lambda v: dn.product(dn.concat(v.b, v.c), [[0, 3], [1], []])[1],
    "product(b, [[1, 0], [1]])[0]": lambda v: dn.product(v.b, np.array([[1, 0], [1, -1]]))[0],
    "concat(a, b, e)[5]": lambda v: dn.concat(v.a, v.b, v.e)[5],
    "product(concat(), [[]])": lambda v: dn.product(dn.concat(), [[]]),
    "sum(concat(a, b, e), [[1, 2, 3, 4, 5, 6]])": lambda v: dn.sum(dn.concat(v.a, v.b, v.e), [[1, 2, 3, 4, 5, 6]]),
    "sum(concat(concat(a, b), e), width=1)": lambda v: dn.sum(dn.concat(dn.concat(v.a, v.b), v.e), width=1),
    "sum(concat(b, b) * w, width=1)": lambda v: dn.sum(dn.concat(v.b, v.b) * v.w, width=1),
    "gather(concat(a, b), [4])": lambda v: dn.gather(dn.concat(v.a, v.b), [4]),
    "gather(a, [1, 1, 0])[2]": lambda v: dn.gather(v.a, (1, 1, 0))[2],
    "gather(a, I)[0]": lambda v: dn.gather(v.a, v.I)[0],
    "(a[1..3])[0]": lambda v: v.a[1:][0],
    "sum(a, [[0.5, 0.25, 0.25]])": lambda v: dn.sum(v.a, [[0.5, 0.25, 0.25]]),
    "sum(a, A)[1]": lambda v: dn.sum(v.a, v.A)[1],
    "sum(a, A, width=3)[1]": lambda v: dn.sum(v.a, v.A, width=3)[1],
    "sum(w, C)": lambda v: dn.sum(v.w, v.C),
    "sum(a, width=1)": lambda v: dn.sum(v.a, width=1),
    "sum(sum(w, width=6, map=dense), width=1)": lambda v: dn.sum(dn.sum(v.w, width=6, map=dn.dense), width=1),
    "sum(a, D, map=diagonal)[0]": lambda v: dn.sum(v.a, v.D, map=dn.diagonal)[0],
    "sum(a, width=3, map=diagonal)[0]": lambda v: dn.sum(v.a, width=3, map=dn.diagonal())[0],
    "sum(w, width=6, map=block_diagonal(2))[0]": lambda v: dn.sum(v.w, width=6, map=dn.block_diagonal(2))[0],
    "sum(kron(w, b), W2, map=block_diagonal(4))[0]": lambda v: dn.sum(
        dn.kron(v.w, v.b), v.W2, map=dn.block_diagonal(4)
    )[0],
    "sum(w, width=4, map=monarch(2, 2))[0]": lambda v: dn.sum(v.w, width=4, map=dn.monarch(2, 2))[0],
    "sum(w, L, R, map=monarch(2, 2))[0]": lambda v: dn.sum(v.w, v.L, v.R, map=dn.monarch(2, 2))[0],
    "sum(kron(b, c), B, B, map=kron)[0]": lambda v: dn.sum(dn.kron(v.b, v.c), v.B, v.B, map=dn.kron)[0],
    "sum(kron(b, a), B, A, map=kron)[1]": lambda v: dn.sum(dn.kron(v.b, v.a), v.B, v.A, map=dn.kron())[1],
    "sum(a, S, map=sparse(N, O))[0]": lambda v: dn.sum(v.a, v.S, map=dn.sparse(v.N, v.O))[0],
    "sum(a, width=2, map=sparse([0, 1], [0, 2]))[0]": lambda v: dn.sum(
        v.a, width=2, map=dn.sparse([0, 1], np.array([0, 2]))
    )[0],
    "sum(a, map=permute([2, 0, 1]))[0]": lambda v: dn.sum(v.a, map=dn.permute([2, 0, 1]))[0],
    "sum(a, width=2, map=compose(dense, diagonal, permute(I)))[0]": lambda v: dn.sum(
        v.a, width=2, map=dn.compose(dn.dense, dn.diagonal(), dn.permute(v.I))
    )[0],
    "sum(kron(b, a), B, A, map=compose(kron, permute([5, 4, 3, 2, 1, 0])))[1]": lambda v: dn.sum(
        dn.kron(v.b, v.a), v.B, v.A, map=dn.compose(dn.kron, dn.permute(range(5, -1, -1)))
    )[1],
}


def no_imports(path: Path, statement: ImportStatement, known: Mapping[str, Variable]) -> NoReturn:
    raise AssertionError(path)


def spec(text: str) -> Spec:
    gatherer = Gatherer()
    return elaborate(parse(Source("text", text), gatherer), Path(), {}, gatherer, no_imports)


def shape_of(circuit: Circuit) -> list[object]:
    """All that makes a circuit, but names, spans and identities: one entry per block, children first."""
    places = {block: place for place, block in enumerate(circuit.blocks)}
    uses = {parameter: use for use, parameter in enumerate(circuit.parameters)}

    def numbers(expression: Expression) -> object:
        match expression:
            case Constant(value):
                return (value.shape, value.floats.tobytes())
            case Parameter():
                constraint = expression.constraint or "real"
                return (uses[expression], expression.shape, constraint, expression.learnable)
            case _:
                raise AssertionError(expression)

    def weights(linear: LinearMap) -> object:
        match linear:
            case Dense(entries) | Diagonal(entries) | BlockDiagonal(entries):
                return (type(linear), numbers(entries))
            case Selection(index, inputs):
                return (Selection, index.tobytes(), inputs)
            case Sparse(rows, columns, entries, outputs, inputs):
                return (Sparse, rows.tobytes(), columns.tobytes(), numbers(entries), outputs, inputs)
            case Kronecker(parts) | Compose(parts):
                return (type(linear), [weights(part) for part in parts])

    entries: list[object] = []
    for block in circuit.blocks:
        match block:
            case Input(family, variable, parameters, width):
                entries.append((family, variable, [numbers(part) for part in parameters], width))
            case Product(children, form, width):
                members = (form.offsets.tobytes(), form.members.tobytes()) if isinstance(form, Indexed) else form
                entries.append(([places[child] for child in children], members, width))
            case Sum(children, linear, width):
                entries.append(([places[child] for child in children], weights(linear), width))
    return entries


def total(circuit: Circuit) -> float:
    return float(evaluate(circuit, LINEAR, Evidence.nothing(circuit.variables))[0])


@pytest.mark.parametrize("text", FORMS)
def test_a_form_builds_what_its_text_builds(text: str) -> None:
    declared = spec(f"{DECLARATIONS}circuit p {{{ABC}  return {text}\n}}")
    expected = declared.circuits["p"]
    found = dn.Circuit(FORMS[text](Names()), name="p")

    assert shape_of(found) == shape_of(expected)
    assert [variable.name for variable in found.variables] == [variable.name for variable in expected.variables]
    for parameter, other in zip(found.parameters, expected.parameters, strict=True):
        if other.name in ("A", "B", "D", "M", "P", "T", "L", "R", "W2", "C", "S"):
            assert parameter.name == other.name
            assert found.store[parameter].same(expected.store[other])


def test_the_example_of_the_interface_page() -> None:
    rain, sprinkler, wet = dn.Bool("rain"), dn.Bool("sprinkler"), dn.Cat("wet", 3)
    r = dn.bernoulli(rain, [0.2, 0.9])
    s = dn.bernoulli(sprinkler, [0.4, 0.01])
    w = dn.categorical(wet, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
    p = dn.Circuit(dn.sum(r * s * w, [[0.3, 0.7]]), name="p")

    assert p.name == "p"
    assert [str(variable) for variable in p.variables] == ["rain", "sprinkler", "wet"]
    assert [str(variable.domain) for variable in p.variables] == ["bool", "bool", "cat(3)"]
    example = """
        var rain : bool; var sprinkler : bool; var wet : cat(3)
        circuit p {
          r = bernoulli(rain, [0.2, 0.9])
          s = bernoulli(sprinkler, [0.4, 0.01])
          w = categorical(wet, [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
          return sum(r * s * w, [[0.3, 0.7]])
        }"""
    assert shape_of(p) == shape_of(spec(example).circuit)
    assert total(p) == pytest.approx(1, abs=1e-15)


def test_a_circuit_is_called_circuit_and_its_variables_stand_in_order_of_creation() -> None:
    first, second = dn.Bool("first"), dn.Bool("second")
    p = dn.Circuit(dn.indicator(second, 1) * dn.indicator(first, 0))
    assert p.name == "circuit"
    assert p.variables == (first, second)


def test_every_block_remembers_its_line() -> None:
    a = dn.bernoulli(dn.Bool("line"), [0.125, 0.625])
    b = (
        a * a  # the second line of the expression
    )
    spans = [block.span for block in (a.built, b.built)]
    lines = [span.text.strip() for span in spans if span is not None]
    assert lines[0] == 'a = dn.bernoulli(dn.Bool("line"), [0.125, 0.625])'
    assert all(span is not None and span.file == __file__ for span in spans)


def test_an_array_is_indexed_sliced_and_iterated() -> None:
    x = dn.Cat("x", 27, shape=100)
    assert len(x) == 100 and x.name == "x"
    assert [x[0].name, x[99].name] == ["x[0]", "x[99]"]
    assert [variable.name for variable in x[97:]] == ["x[97]", "x[98]", "x[99]"]
    assert tuple(x) == x.elements and x[3] in x
    assert [variable.order for variable in x] == sorted(variable.order for variable in x)
    assert repr(x) == "the 100 variables x[0] … x[99]"


def test_domains_hold_what_they_are_given() -> None:
    assert str(dn.Cat("c", ["low", "mid"]).domain) == 'cat("low", "mid")'
    assert str(dn.Int("i", -2, 2).domain) == "int(-2, 2)"
    assert [str(v.domain) for v in (dn.Count("n"), dn.Real("u"), dn.Bool("b"))] == ["count", "real", "bool"]
    assert [len(v) for v in (dn.Count("n", shape=2), dn.Real("u", shape=3), dn.Int("i", 0, 1, shape=4))] == [2, 3, 4]


def test_a_product_of_a_left_chain_is_flat_and_made_once() -> None:
    a, b, c = (dn.bernoulli(dn.Bool(name), [0.25, 0.5]) for name in "abc")
    chain = a * b
    flat, nested = (chain * c).built, (dn.product([chain]) * c).built
    assert isinstance(flat, Product) and [child.width for child in flat.children] == [2, 2, 2]
    assert isinstance(nested, Product) and nested.children == (chain.built, c.built)
    assert (a * b).built is chain.built


def test_a_long_product_and_a_deep_one_cost_what_their_factors_cost() -> None:
    bits = [dn.bernoulli(variable, [0.5]) for variable in dn.Bool("x", shape=10_000)]
    wide = deep = bits[0]
    for bit in bits[1:]:
        wide, deep = wide * bit, bit * deep
    assert len(dn.Circuit(wide).blocks) == 10_001
    assert len(dn.Circuit(deep).blocks) == 19_999


def test_nodes_are_iterated() -> None:
    a = dn.bernoulli(dn.Bool("x"), [0.25, 0.5, 0.75])
    assert [node.built for node in a] == [a[0].built, a[1].built, a[2].built]
    assert [variable.name for variable in (a * a).scope] == ["x"]
    assert repr(a) == "<block of width 3>"


def test_numbers_are_what_they_are_in_python() -> None:
    x = dn.Bool("x")
    third = dn.Circuit(dn.bernoulli(x, [Fraction(1, 3)]))
    large = dn.Circuit(dn.table(x, [[2**60 + 1, 0.5]]))
    arrayed = dn.Circuit(dn.table(x, np.array([[2**60 + 1, 1]])))
    tenth = dn.Circuit(dn.sum(dn.indicator(x, 1), [[0.1]]))
    ones = Evidence((x,), np.ones((1, 1)), np.ones((1, 1), dtype=bool))
    zeros = Evidence((x,), np.zeros((1, 1)), np.ones((1, 1), dtype=bool))
    assert evaluate(third, EXACT, ones)[0] == Fraction(1, 3)
    assert evaluate(large, EXACT, zeros)[0] == 2**60 + 1
    assert evaluate(arrayed, EXACT, zeros)[0] == 2**60 + 1
    assert evaluate(tenth, EXACT, ones)[0] == Fraction(0.1)


def test_numbers_are_copied() -> None:
    rows = np.array([[0.25, 0.75]])
    a = dn.sum(dn.bernoulli(dn.Bool("x"), [0.5, 0.5]), rows)
    rows[:] = 7
    assert total(dn.Circuit(a)) == 1


def test_parameters_made_anew_are_named_after_the_circuit_and_their_forms() -> None:
    x, y = dn.Bool("x"), dn.Real("y")
    a = dn.sum(dn.bernoulli(x, width=4), width=2) * dn.gaussian(y, width=2)
    p = dn.Circuit(dn.sum(a, width=1), name="p")
    assert [parameter.name for parameter in p.parameters] == [
        "p.bernoulli",
        "p.sum",
        "p.gaussian",
        "p.gaussian#1",
        "p.sum#1",
    ]
    for parameter in p.parameters:
        assert p.store[parameter].same(initial_value(parameter, 0))
    assert total(p) == pytest.approx(1, abs=1e-12)


def test_names_do_not_depend_on_what_was_made_before() -> None:
    def build() -> Circuit:
        return dn.Circuit(dn.sum(dn.bernoulli(dn.Bool("x"), width=4), width=1), name="p", seed=3)

    first, second = build(), build()
    for one, other in zip(first.parameters, second.parameters, strict=True):
        assert one.name == other.name and one is not other
        assert first.store[one].same(second.store[other])


def test_a_seed_draws_other_values() -> None:
    x = dn.Bool("x")
    p, q = (dn.Circuit(dn.bernoulli(x, width=1), seed=seed) for seed in (0, 1))
    assert not p.store[p.parameters[0]].same(q.store[q.parameters[0]])


def test_a_declared_parameter_is_shared_and_keeps_its_first_value() -> None:
    x = dn.Bool("x", shape=2)
    A = dn.param("A", [3, 3], "simplex")
    h = dn.bernoulli(x[0], width=3)
    p = dn.Circuit(dn.sum(dn.sum(dn.sum(h, A), A), [[1, 0, 0]]), name="p")
    q = dn.Circuit(dn.sum(dn.sum(h, A), [[1, 0, 0]]) * dn.bernoulli(x[1], width=1), name="q", seed=5)
    assert p.parameters == (p.parameters[0], A)
    assert q.store[A] is p.store[A]
    assert [parameter.name for parameter in q.parameters] == ["p.bernoulli", "A", "q.bernoulli"]


def test_new_names_go_past_taken_ones() -> None:
    x = dn.Bool("x")
    A = dn.param("p.sum", [1, 2], "simplex")
    a = dn.sum(dn.sum(dn.bernoulli(x, [0.5, 0.25]), width=2), A)
    assert [parameter.name for parameter in dn.Circuit(a, name="p").parameters] == ["p.sum#1", "p.sum"]


def test_a_circuit_stands_for_its_root_with_its_values() -> None:
    x, y = dn.Bool("x"), dn.Bool("y")
    p = dn.Circuit(dn.sum(dn.bernoulli(x, width=2), width=1), name="p")
    trained = p.over(Store({parameter: initial_value(parameter, 9) for parameter in p.parameters}))
    q = dn.Circuit(dn.bernoulli(y, [0.25]) * trained, name="q")
    assert q.parameters == p.parameters
    assert all(q.store[parameter] is trained.store[parameter] for parameter in p.parameters)
    again = dn.Circuit(dn.bernoulli(y, [0.25]) * p, name="again")
    assert all(again.store[parameter] is p.store[parameter] for parameter in p.parameters)


def test_a_circuit_of_a_spec_brings_its_values_and_free_variables() -> None:
    declared = spec("var x : bool\nvar y : bool\nparam A[1, 2] : simplex = [[1/4, 3/4]]\n"
                    "circuit p { return sum(bernoulli(x, [0, 1]), A) }")  # fmt: skip
    p = Circuit(declared.circuit.root, declared.store, "p", (declared.variables[1],))
    q = dn.Circuit(dn.sum(dn.concat(p, p), [[1, 1]]), name="q")
    assert [variable.name for variable in q.variables] == ["x", "y"]
    assert q.store[declared.parameters["A"]].same(Value.of([[Fraction(1, 4), Fraction(3, 4)]]))
    assert total(q) == 4


def test_a_constraint_is_what_the_uses_ask_for() -> None:
    x = dn.Bool("x")
    P, W, V = dn.param("P", [2]), dn.param("W", [1, 2]), dn.const("V", [1, 2], value=[[0.5, 0.5]])
    dn.Circuit(dn.sum(dn.bernoulli(x, P), W))
    assert (P.constraint, W.constraint) == ("unit", "real")
    dn.Circuit(dn.sum(dn.categorical(x, V), [[1]]))
    assert V.constraint == "simplex"


def test_values_live_as_long_as_their_parameters() -> None:
    from danaus.frontend.dsl import parameters

    gc.collect()
    before = len(parameters._values)
    p = dn.Circuit(dn.bernoulli(dn.Bool("x"), width=1))
    assert len(parameters._values) == before + 1
    del p
    gc.collect()
    assert len(parameters._values) == before


def test_an_index_is_an_array_of_integers() -> None:
    index = dn.index("I", [2, 2], [[0, 1], [2, -1]])
    assert isinstance(index, Index) and index.values.dtype == np.int64
    assert dn.index("I", [1], [3]).values.tolist() == [3]


def test_a_chain_of_ten_thousand_steps_is_built_by_hand() -> None:
    x = dn.Cat("x", 27, shape=10_000)
    E, A = dn.param("E", [16, 27], "simplex"), dn.param("A", [16, 16], "simplex")
    state = dn.categorical(x[9_999], E)
    for variable in reversed(x.elements[:-1]):
        state = dn.categorical(variable, E) * dn.sum(state, A)
    p = dn.Circuit(dn.sum(state, width=1), name="p")
    assert len(p.blocks) == 29_999
