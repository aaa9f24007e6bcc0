"""Marginal MAP against enumeration: the best values of some variables, the others summed out."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.properties import marginally_deterministic
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Variable
from decisions import decision_circuit
from exact import values
from oracle import Oracle
from small_circuits import random_circuit


def best_marginal(p: Circuit, chosen: list[Variable], known: dict[Variable, int]) -> Fraction:
    """The largest marginal of the chosen variables beside what is known, by enumeration."""
    oracle, masses = Oracle(p), dict[tuple[object, ...], Fraction]()
    for row in itertools.product(*(values(v.domain) for v in p.variables)):
        assignment = dict(zip(p.variables, row, strict=True))
        if all(assignment[v] == value for v, value in known.items()):
            key = tuple(assignment[v] for v in chosen)
            masses[key] = masses.get(key, Fraction(0)) + oracle.value(assignment)
    return max(masses.values())


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_it_is_the_largest_marginal(seed: int, deterministic: bool) -> None:
    p = dn.smooth(decision_circuit(seed, 1 + seed % 5) if deterministic else random_circuit(seed))
    if not all(v.size for v in p.variables) or np.prod([v.size for v in p.variables]) > 2000:
        pytest.skip("too large to enumerate")
    source = random.Random(seed)
    chosen = [v for v in p.variables if source.random() < 0.5]
    known = {v: source.choice([int(x) for x in values(v.domain)]) for v in p.variables if source.random() < 0.2}
    row = [float(known.get(v, np.nan)) for v in p.variables]
    found = dn.marginal_map(p, chosen, [row])
    best = best_marginal(p, chosen, known)
    exact = -np.inf if best == 0 else float(np.log(float(best)))
    if found.exact:
        assert found.log_probability[0] == pytest.approx(exact, rel=1e-12, abs=1e-12)
    assert found.log_probability[0] <= exact + 1e-12
    if marginally_deterministic(p, chosen).status == "proved":
        assert found.exact
    if best:
        completed = {v: int(x) for v, x in zip(p.variables, found.values[0], strict=True) if not np.isnan(x)}
        assert set(completed) == {*chosen, *known}
        assert float(best_marginal(p, [], completed)) == pytest.approx(float(np.exp(found.log_probability[0])))


def test_of_all_variables_it_is_the_map_and_of_none_the_marginal() -> None:
    p = decision_circuit(3, 4)
    nothing = [[np.nan] * 4]
    assert dn.marginal_map(p, p.variables, nothing).log_probability == dn.map(p, nothing).log_probability
    assert dn.marginal_map(p, [], nothing).log_probability == pytest.approx(dn.marginal(p, nothing))


def test_chains_of_many_rows_and_no_rows() -> None:
    p = dn.hmm(dn.Cat("x", 3, shape=6), states=2, seed=4)
    assert dn.marginal_map(p, p.variables[:2], np.zeros((0, 6))).values.shape == (0, 6)
    rows = np.full((50, 6), np.nan)
    rows[:, 4] = np.arange(50) % 3
    found = dn.marginal_map(p, ["x[0]", "x[1]"], rows)
    scores = [
        dn.marginal(p, np.hstack([np.full((50, 1), a), np.full((50, 1), b), rows[:, 2:]]))
        for a in range(3)
        for b in range(3)
    ]
    assert found.exact
    assert found.log_probability == pytest.approx(np.max(scores, axis=0))


def test_negative_numbers_are_refused() -> None:
    p = dn.parse("var x : bool; circuit p { return sum(bernoulli(x, [0.5, 0.6]), [[1, -0.5]]) }").circuit
    with pytest.raises(dn.DanausError, match="marginal_map"):
        dn.marginal_map(p, ["x"], [[np.nan]])
