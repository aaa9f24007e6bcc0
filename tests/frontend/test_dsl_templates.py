"""The templates of the DSL give the circuits that the templates of the language give, with the same values."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import danaus.frontend.dsl as dn
from danaus.frontend.elaborate import elaborate
from danaus.frontend.parse import parse
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Gatherer
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.semirings import LINEAR
from danaus.ir.span import Source, Span

d: Any = dn  # calls that a type checker would refuse
ROWS = [[0, 0, 1, 2], [1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 1, 2], [1, 1, 0, 2]]


class Names:
    """The variables of the declarations below."""

    def __init__(self) -> None:
        self.x, self.g = dn.Bool("x", shape=16), dn.Cat("g", 3, shape=6)
        self.u, self.n, self.k = dn.Real("u", shape=4), dn.Count("n", shape=3), dn.Int("k", 0, 7, shape=3)


DECLARATIONS = "var x[16] : bool; var g[6] : cat(3); var u[4] : real; var n[3] : count; var k[3] : int(0, 7)\n"

TEMPLATES: Mapping[str, Callable[[Names], Circuit]] = {
    "hmm(g, states=4)": lambda v: dn.hmm(v.g, states=4, name="p"),
    "hmm(g, states=4, transition=monarch(2, 2))": lambda v: dn.hmm(v.g, 4, transition=dn.monarch(2, 2), name="p"),
    "hmm(u, states=2, emission=gaussian)": lambda v: dn.hmm(v.u, 2, "gaussian", name="p"),
    "hmm(k, states=2, emission=binomial)": lambda v: dn.hmm(v.k, 2, emission=dn.binomial, name="p"),
    "hmm(k, states=2, emission=discretized_logistic, transition=diagonal)": lambda v: dn.hmm(
        v.k, 2, emission="discretized_logistic", transition=dn.diagonal, name="p"
    ),
    "hmm(n[1..3], states=2)": lambda v: dn.hmm(v.n[1:3], 2, name="p"),
    "hmm([x[3], x[0], x[1]], states=2)": lambda v: dn.hmm([v.x[3], v.x[0:2]], 2, name="p"),
    "rat(x, depth=2, repetitions=3, states=2)": lambda v: dn.rat(v.x, depth=2, repetitions=3, states=2, name="p"),
    "poon_domingos(x, shape=[4, 4], delta=2, states=2)": lambda v: dn.poon_domingos(
        v.x, shape=[4, 4], delta=2, states=2, name="p"
    ),
    "quad_tree(x, shape=[4, 4], states=2)": lambda v: dn.quad_tree(v.x, shape=[4, 4], states=2, name="p"),
    "quad_graph(x, shape=[2, 8], states=2, layer=tucker)": lambda v: dn.quad_graph(
        v.x, shape=(2, 8), states=2, layer="tucker", name="p"
    ),
}


def from_text(text: str, folder: Path | None = None) -> Circuit:
    def no_imports(*given: object) -> Any:
        raise AssertionError(given)

    gatherer = Gatherer()
    spec = elaborate(parse(Source("text", text), gatherer), folder or Path(), {}, gatherer, no_imports)
    return spec.circuits["p"]


def same(found: Circuit, expected: Circuit) -> None:
    """Asserts that both have the same parameters with the same values, and the same value at a random point."""
    assert [str(variable) for variable in found.variables] == [str(variable) for variable in expected.variables]
    assert [block.width for block in found.blocks] == [block.width for block in expected.blocks]
    for parameter, other in zip(found.parameters, expected.parameters, strict=True):
        assert (parameter.name, parameter.constraint) == (other.name, other.constraint)
        assert found.store[parameter].same(expected.store[other])
    point = np.random.default_rng(0).integers(0, 2, (5, len(found.variables))).astype(np.float64)
    seen = np.ones(point.shape, dtype=bool)
    values, others = (evaluate(c, LINEAR, Evidence(c.variables, point, seen)) for c in (found, expected))
    assert np.array_equal(values, others) and np.all(values > 0)


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_gives_what_its_text_gives(text: str) -> None:
    same(TEMPLATES[text](Names()), from_text(f"{DECLARATIONS}circuit p = {text}"))


@pytest.mark.parametrize("kind", ["path", "text", "array", "lists"])
def test_a_template_of_data_takes_a_file_or_an_array(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["a,b,c,w", *(",".join(map(str, row)) for row in ROWS)]), "utf-8")
    a, b, c, w = dn.Bool("a"), dn.Bool("b"), dn.Bool("c"), dn.Cat("w", 3)
    data: Any = {"path": path, "text": str(path), "array": np.array(ROWS), "lists": ROWS}[kind]
    declared = "var a : bool; var b : bool; var c : bool; var w : cat(3)\n"

    tree = dn.chow_liu(data, [a, b, c, w], smoothing=0.5, name="p")
    same(tree, from_text(f'{declared}circuit p = chow_liu("rows.csv", smoothing=0.5)', tmp_path))
    hidden = dn.hclt(data, [a, b, c, w], states=4, map=dn.monarch(2, 2), name="p")
    same(hidden, from_text(f'{declared}circuit p = hclt("rows.csv", states=4, map=monarch(2, 2))', tmp_path))


def test_a_variable_without_a_column_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n0,1\n1,1\n", "utf-8")
    a, b, c = dn.Bool("a"), dn.Bool("b"), dn.Bool("c")
    assert dn.chow_liu(path, [a, c, b]).variables == (a, b)


def test_every_region_graph_has_both_layers() -> None:
    v = Names()
    made = [
        dn.rat(v.x, depth=1, repetitions=2, states=2, layer="tucker"),
        dn.poon_domingos(v.x, shape=[2, 8], delta=2, states=2, layer="tucker"),
    ]
    for circuit in made:
        assert float(evaluate(circuit, LINEAR, Evidence.nothing(circuit.variables))[0]) == pytest.approx(1, abs=1e-12)
        assert any(block.width == 4 for block in circuit.blocks)  # all pairs of 2 and 2 states


def test_a_missing_value_of_an_array_is_a_nan() -> None:
    x = dn.Bool("x", shape=2)
    whole = dn.chow_liu([[0, 0], [1, 1], [1, 1]], x, name="p")
    partly = dn.chow_liu(np.array([[0, 0], [1, 1], [1, 1], [np.nan, 1]]), x, name="p")
    assert [partly.store[p].shape for p in partly.parameters] == [whole.store[p].shape for p in whole.parameters]


def test_a_mixture_holds_the_values_of_its_circuits() -> None:
    x = dn.Bool("x", shape=2)
    p = dn.hmm(x, states=2, name="p")
    q = dn.Circuit(dn.bernoulli(x[0], [0.25]) * dn.bernoulli(x[1], width=1), name="q")
    m = dn.mixture([p, q], [0.25, 0.75], name="m")
    (weights,) = (parameter for parameter in m.parameters if parameter.name == "m.weights")
    assert m.store[weights].floats.tolist() == [[0.25, 0.75]]
    assert {*p.parameters, *q.parameters, weights} >= {*m.parameters}
    assert all(m.store[parameter] is p.store[parameter] for parameter in m.parameters if parameter in p.parameters)
    assert float(evaluate(m, LINEAR, Evidence.nothing(m.variables))[0]) == pytest.approx(1, abs=1e-12)


def test_a_template_stands_in_a_block_as_any_circuit_does() -> None:
    x, y = dn.Bool("x", shape=3), dn.Bool("y")
    h = dn.hmm(x, states=2, name="h")
    p = dn.Circuit(dn.bernoulli(y, [0.25]) * h, name="p")
    assert len(p.variables) == 4
    assert p.parameters == h.parameters and all(p.store[a] is h.store[a] for a in h.parameters)


def test_an_hmm_of_ten_thousand_steps_shares_its_parameters() -> None:
    h = dn.hmm(dn.Cat("x", 27, shape=10_000), states=64, transition=dn.monarch(8, 8), name="h")
    assert len(h.variables) == 10_000
    names = [parameter.name for parameter in h.parameters]
    assert names == ["h.emission", "h.transition", "h.transition#1", "h.initial"]


v = Names()
p1, p2 = dn.Circuit(dn.bernoulli(v.x[0], [0.5]), name="p1"), dn.hmm(v.x, states=2)

Mistake = tuple[Callable[[], object], str, str, str]
MISTAKES: list[Mistake] = [
    (lambda: dn.hmm(v.g, states=4, emission="categoricl"), "unknown-family", '"categoricl"', '"categorical"'),
    (lambda: dn.hmm(v.g, states=4, emission=dn.gather), "unknown-family", "the function gather is not a family", "be"),
    (lambda: dn.hmm(v.g, states=4, emission="gaussian"), "wrong-domain", "gaussian needs a variable of domain", ""),
    (lambda: dn.hmm(v.g, states=0), "wrong-size", "states is 0", "at least 1"),
    (lambda: dn.hmm(v.g, states=6, transition=dn.monarch(2, 2)), "wrong-shape", "monarch(2, 2) of 6 nodes", "product"),
    (lambda: d.hmm(v.g, states=4, transition="monarch"), "unknown-map", "the text 'monarch' is not a map", "write"),
    (lambda: d.hmm("g", states=4), "not-a-variable", "the text 'g' is no array or list of variables", ""),
    (lambda: dn.hmm([], states=4), "not-a-variable", "a list of no variables", ""),
    (lambda: dn.hmm([v.g[0], v.g], states=4), "duplicate-name", 'the variable "g[0]" stands twice', ""),
    (lambda: dn.hmm(v.g, states=4, name='"'), "wrong-name", "the name of the circuit is '\"'", ""),
    (lambda: dn.hmm(v.g, states=4, seed=-1), "wrong-value", "the seed -1 is out of range", ""),
    (lambda: d.rat(v.x, 1, 1, 2, seed="1"), "not-an-integer", "the seed is the text '1', not an integer", ""),
    (lambda: d.quad_tree(v.x, 4, 2), "wrong-arguments", "the shape is the number 4", "shape=[height, width]"),
    (lambda: d.quad_tree(v.x, [4, 4], 2, "tuker"), "wrong-arguments", "the text 'tuker' is no layer", '"tucker"'),
    (lambda: dn.chow_liu("none.csv", v.x), "unreadable-file", "none.csv", ""),
    (lambda: dn.chow_liu([[0, 1]], v.x), "wrong-shape", "data has shape [1, 2]", "columns"),
    (lambda: dn.chow_liu([[0, 2]], v.x[:2]), "wrong-value", "row 0 (from 0)", ""),
    (lambda: dn.chow_liu([[0, 1]], v.x[:2], smoothing=-1), "wrong-value", "smoothing is a number of at least 0", ""),
    (lambda: d.mixture(p1, [1]), "wrong-arguments", "mixture takes a list of circuits", "[p, q]"),
    (lambda: dn.mixture([p1, p1], [1]), "wrong-shape", "2 circuits, but weights of shape [1]", ""),
    (lambda: dn.mixture([dn.concat(p1, p1)], [1]), "wrong-width", "a mixture of blocks of width 2", ""),
    (lambda: dn.mixture([p2, dn.hmm(v.x, states=2)], [0.5, 0.5]), "duplicate-name", "circuit.emission", 'name="…"'),
]  # fmt: skip


@pytest.mark.parametrize(("run", "code", "message", "hint"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_a_mistake_is_named_on_its_line(run: Callable[[], object], code: str, message: str, hint: str) -> None:
    with pytest.raises(DanausError) as caught:
        run()
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert message in found.message
    assert hint in found.hint
    assert found.span == Span(__file__, run.__code__.co_firstlineno)
