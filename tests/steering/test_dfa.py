"""Automata as circuits: deterministic, 0 or 1 on every sequence, and compatible with an HMM over it."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import danaus as dn

WORDS = np.array(list(itertools.product(range(3), repeat=5)))


def random_automaton(rng: np.random.Generator) -> dn.Automaton:
    states = int(rng.integers(1, 6))
    return dn.automaton(rng.integers(-1, states, (states, 3)), rng.random(states) < 0.5, int(rng.integers(states)))


@pytest.mark.parametrize("seed", range(12))
def test_a_circuit_is_one_where_its_automaton_accepts(seed: int) -> None:
    x = dn.Cat("x", 3, shape=5)
    automaton = random_automaton(np.random.default_rng(seed))
    circuit = dn.dfa(x, automaton)
    accepts = automaton.accepts(WORDS)
    assert (dn.evaluate(circuit, WORDS) == accepts).all()
    checked = dn.check(circuit, "smooth", "decomposable", "structured", "deterministic")
    assert {result.status for result in checked.values()} == {"proved"}
    assert dn.count(circuit) == automaton.count(5) == accepts.sum()
    h = dn.hmm(x, 3, seed=seed)
    assert dn.compatible(h, circuit).status == "proved"
    product = dn.multiply(h, circuit)
    np.testing.assert_allclose(dn.evaluate(product, WORDS), dn.evaluate(h, WORDS) * accepts, rtol=1e-12)


def test_states_that_lead_nowhere_are_left_out() -> None:
    x = dn.Cat("x", 3, shape=6)
    assert max(block.width for block in dn.dfa(x, "<0>{6}").blocks) == 2  # one state a step; two classes of symbols
    nothing = dn.dfa(x, "<0>{7}")
    assert dn.count(nothing) == 0 and len(nothing.variables) == 6
    assert dn.count(dn.dfa(x, ".*")) == 3**6
    assert dn.count(dn.dfa(dn.Bool("b"), "<1>")) == 1


def test_a_circuit_of_an_automaton_is_saved_and_loaded(tmp_path: Path) -> None:
    x = dn.Int("x", 2, 4, shape=4)
    circuit = dn.dfa(x, "<2>.*<3-4>", name="c")
    dn.save(circuit, tmp_path / "c.circuit")
    assert dn.count(dn.load(tmp_path / "c.circuit").circuit) == dn.count(circuit) == 18
    assert dn.evaluate(circuit, [[2, 4, 2, 3], [2, 2, 2, 2]]).tolist() == [1, 0]


def test_long_sequences_count_exactly() -> None:
    circuit = dn.dfa(dn.Cat("x", 5, shape=200), "(<0>|<1><2>)*")
    fibonacci = [1, 1]
    for _ in range(199):
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    assert dn.count(circuit) == fibonacci[200]


@pytest.mark.parametrize(
    ("variables", "automaton", "code"),
    [
        (lambda: dn.Real("u", shape=2), "a", "wrong-alphabet"),
        (lambda: dn.Cat("x", 3, shape=2), dn.regex("<0>", 2), "wrong-alphabet"),
        (lambda: dn.Cat("x", 3, shape=2), 7, "wrong-arguments"),
        (lambda: [dn.Cat("x", 3), dn.Cat("y", 2)], dn.regex("<0>", 3), "wrong-domain"),
        (lambda: dn.Cat("x", 3, shape=2), "<9>", "unknown-symbol"),
    ],
)
def test_what_does_not_fit_is_refused(variables, automaton, code) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(dn.DanausError) as caught:
        dn.dfa(variables(), automaton)
    assert caught.value.diagnostics[0].code == code
