"""`chow_liu` and `hclt`: against a search over all trees in plain Python, and the table of the real data sets."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from danaus.frontend import templates
from danaus.frontend.maps import MonarchForm
from danaus.frontend.templates import information
from danaus.frontend.templates.codes import bin_edges, binned_codes, finite_codes
from danaus.frontend.templates.information import mutual_information
from danaus.frontend.templates.tree import heaviest_tree
from danaus.ir.block import Sum
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.evaluate import Evidence, values_of
from danaus.ir.numbers import Numbers
from danaus.ir.parameter import Value
from danaus.ir.semirings import LINEAR
from templates_made import (
    array,
    assignments,
    made,
    probabilities,
    require_normalized,
    require_smooth_and_decomposable,
    shapes,
    values,
)

MIXED = [Variable("a", Bool()), Variable("b", Cat(3)), Variable("c", Int(-1, 1)), Variable("d", Bool())]
Table = dict[tuple[int, int], float]


def rows(seed: int, count: int = 60) -> np.ndarray:
    """Dependent columns for MIXED, as raw values."""
    random = np.random.default_rng(seed)
    a = random.integers(0, 2, count)
    b = (a + random.integers(0, 3, count) * random.integers(0, 2, count)) % 3
    c = np.where(random.random(count) < 0.6, b, random.integers(0, 3, count)) - 1
    d = np.where(random.random(count) < 0.8, c > 0, random.integers(0, 2, count))
    return np.stack([a, b, c, d], axis=1).astype(float)


def mask(seed: int, data: np.ndarray, missing: float) -> np.ndarray:
    return np.random.default_rng(seed + 1000).random(data.shape) >= missing


def chow_liu(
    data: np.ndarray, variables: Sequence[Variable], smoothing: float = 1, observed: np.ndarray | None = None
) -> Circuit:
    seen = np.ones(data.shape, dtype=bool) if observed is None else observed
    return made(templates.chow_liu, data, seen, variables, ..., smoothing=Value.of(smoothing))


def first(variable: Variable) -> int:
    return variable.domain.lo if isinstance(variable.domain, Int) else 0


def estimate(data: np.ndarray, seen: np.ndarray, i: int, j: int, alpha: float) -> Table:
    """P(a, b) = (count + α / (nₐ n_b)) / (N + α), by the language's formula."""
    x, y = MIXED[i], MIXED[j]
    pairs = Counter((int(row[i]), int(row[j])) for row, known in zip(data, seen, strict=True) if known[i] and known[j])
    size = x.size * y.size  # type: ignore[operator]
    total = sum(pairs.values())
    cells = itertools.product(*(range(first(v), first(v) + v.size) for v in (x, y)))  # type: ignore[operator]
    return {cell: (pairs[cell] + alpha / size) / (total + alpha) for cell in cells}


def marginal(table: Table, side: int) -> dict[int, float]:
    out: dict[int, float] = Counter()
    for cell, p in table.items():
        out[cell[side]] += p
    return dict(out)


def information_of(table: Table) -> float:
    left, right = marginal(table, 0), marginal(table, 1)
    return sum(p * math.log(p / (left[a] * right[b])) for (a, b), p in table.items() if p)


def all_trees(count: int) -> Iterator[list[tuple[int, int]]]:
    """Every tree on 0 … count − 1, by trying all sets of count − 1 edges."""
    for edges in itertools.combinations(itertools.combinations(range(count), 2), count - 1):
        group = list(range(count))
        for i, j in edges:
            group = [group[j] if g == group[i] else g for g in group]
        if len(set(group)) == 1:
            yield list(edges)


@pytest.mark.parametrize("smoothing", [0.01, 1, 7])
@pytest.mark.parametrize("seed", range(4))
def test_the_tree_is_the_best_of_all_and_its_joint_the_formulas(seed: int, smoothing: float) -> None:
    data = rows(seed)
    seen = np.ones(data.shape, dtype=bool)
    tables = {(i, j): estimate(data, seen, i, j, smoothing) for i, j in itertools.permutations(range(4), 2)}
    best = max(all_trees(4), key=lambda edges: sum(information_of(tables[edge]) for edge in edges))
    degrees = Counter(itertools.chain(*best))
    circuit = chow_liu(data, MIXED, smoothing)
    alone = [marginal(tables[i, (i + 1) % 4], 0) for i in range(4)]
    expected = [
        math.prod(tables[i, j][x[i], x[j]] for i, j in best)
        / math.prod(alone[i][x[i]] ** (degrees[i] - 1) for i in range(4))
        for x in assignments(circuit).astype(int)
    ]
    np.testing.assert_allclose(probabilities(circuit), expected, rtol=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("limits", [(1, 1), (6, 0), (6, 10**9), (1 << 10, 10**9)])
def test_mutual_information_is_the_formulas_however_pairs_are_counted(
    limits: tuple[int, int], missing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(information, "_TOGETHER", limits[0])
    monkeypatch.setattr(information, "_PRODUCT_PAYS", limits[1])
    monkeypatch.setattr(information, "_CHUNK", 64)
    data = rows(3)
    seen = mask(3, data, missing)
    found = mutual_information(finite_codes(data, seen, MIXED), 0.5)
    for i, j in itertools.permutations(range(4), 2):
        assert math.isclose(found[i, j], information_of(estimate(data, seen, i, j, 0.5)), abs_tol=2e-12)


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_with_missing_values_edges_are_from_the_pairs_and_the_root_from_its_own_rows(smoothing: float) -> None:
    data, variables = rows(1)[:, :2], MIXED[:2]
    seen = mask(1, data, 0.4)
    table = estimate(data, seen, 0, 1, smoothing)
    known = data[seen[:, 0], 0]
    root = [((known == a).sum() + smoothing / 2) / (len(known) + smoothing) for a in (0, 1)]
    circuit = chow_liu(data, variables, smoothing, seen)
    expected = [root[a] * table[a, b] / marginal(table, 0)[a] for a in (0, 1) for b in range(3)]
    np.testing.assert_allclose(probabilities(circuit), expected, rtol=1e-12)
    np.testing.assert_allclose(values(circuit)["a"], [root], rtol=1e-14)


def test_the_numbers_are_parameters_named_after_the_variables_root_at_the_centre() -> None:
    random = np.random.default_rng(0)
    chain = [random.integers(0, 2, 400)]
    for _ in range(4):
        chain.append(np.where(random.random(400) < 0.9, chain[-1], random.integers(0, 2, 400)))
    circuit = chow_liu(np.stack(chain, axis=1).astype(float), array(5, Bool()))
    assert shapes(circuit) == {f"x[{i}]": (1 if i == 2 else 2, 2) for i in range(5)}
    assert all(parameter.learnable and parameter.constraint == "simplex" for parameter in circuit.parameters)
    assert [parameter.name for parameter in circuit.parameters if parameter.shape == (1, 2)] == ["p.x[2]"]


def test_a_chow_liu_tree_is_smooth_decomposable_normalized_and_deterministic() -> None:
    circuit = chow_liu(rows(2), MIXED)
    require_smooth_and_decomposable(circuit)
    require_normalized(circuit)
    every = assignments(circuit)
    evidence = Evidence(circuit.variables, every, np.ones(every.shape, dtype=bool))
    elements = values_of(circuit, LINEAR, evidence, Numbers(circuit.store))
    for block in circuit.blocks:
        if isinstance(block, Sum):
            below = np.concatenate([elements[child] for child in block.children])
            assert ((below != 0).sum(axis=0) <= 1).all()


def test_without_smoothing_what_was_never_seen_is_uniform_given_what_was_never_seen() -> None:
    data = np.array([[0, 0], [0, 1], [0, 1], [1, 1]], dtype=float)
    circuit = chow_liu(data, [Variable("a", Cat(3)), Variable("b", Bool())], 0)
    np.testing.assert_allclose(values(circuit)["a"], [[0.75, 0.25, 0]])
    np.testing.assert_allclose(values(circuit)["b"], [[1 / 3, 2 / 3], [0, 1], [0.5, 0.5]])
    nothing = chow_liu(np.zeros((0, 2)), array(2, Bool()), 0)
    np.testing.assert_allclose(probabilities(nothing), 0.25)


def test_ties_go_to_the_first_variable() -> None:
    column = np.array([0, 1, 1, 0, 1], dtype=float)
    circuit = chow_liu(np.stack([column] * 4, axis=1), array(4, Bool()))
    assert shapes(circuit)["x[0]"] == (1, 2)
    assert heaviest_tree(np.ones((4, 4))).parents == (-1, 0, 0, 0)


def test_one_variable_is_a_tree() -> None:
    circuit = chow_liu(np.array([[0.0], [2.0], [2.0]]), [Variable("x", Cat(3))], 1)
    np.testing.assert_allclose(probabilities(circuit), [(1 + 1 / 3) / 4, (1 / 3) / 4, (2 + 1 / 3) / 4])


def test_the_centre_of_a_tree_is_the_middle_of_its_longest_path() -> None:
    weights = np.zeros((6, 6))
    for i, j in ((3, 0), (0, 5), (5, 1), (1, 4), (4, 2)):
        weights[i, j] = weights[j, i] = 1
    tree = heaviest_tree(weights)
    assert tree.order[0] == 1  # the path is 3 0 5 1 4 2: of its two centres, 5 and 1, the lower
    assert tree.parents == (5, -1, 4, 0, 1, 1)


def refusal(template: object, *arguments: object, **options: object) -> tuple[str, str]:
    assert callable(template)
    with pytest.raises(DanausError) as caught:
        made(template, *arguments, **options)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.message


def test_chow_liu_refuses_infinite_and_huge_domains() -> None:
    one, seen = np.zeros((1, 1)), np.ones((1, 1), dtype=bool)
    real = refusal(templates.chow_liu, one, seen, [Variable("h", Real())], ...)
    assert real == ("wrong-domain", '"h" is real; chow_liu needs finite domains')
    assert refusal(templates.chow_liu, one, seen, [Variable("h", Count())], ...)[0] == "wrong-domain"
    assert refusal(templates.chow_liu, one, seen, [Variable("h", Int(0, 10**9))], ...)[0] == "too-large"
    assert refusal(templates.chow_liu, np.zeros((1, 0)), seen[:, :0], [], ...)[0] == "wrong-arguments"
    many = np.zeros((1, 10_000))
    assert refusal(templates.chow_liu, many, many == 0, array(10_000, Bool()), ...)[0] == "too-large"


@pytest.mark.parametrize(
    ("known", "edges"),
    [
        ([], []),
        ([2.5, 2.5], []),
        ([3, 1, 1, 2], [1, 2]),
        (list(range(16)), [1, 3, 5, 7, 9, 11, 13]),
        ([0] * 90 + list(range(1, 11)), [0]),
        ([0] * 50 + [1] * 30 + list(range(2, 22)), [0, 1, 9]),
    ],
)
def test_bins_hold_the_same_count_each_or_a_value_each(known: list[float], edges: list[float]) -> None:
    assert bin_edges(np.array(known, dtype=float)).tolist() == edges


def hclt(data: np.ndarray, variables: Sequence[Variable], states: int, **options: object) -> Circuit:
    return made(templates.hclt, data, np.ones(data.shape, dtype=bool), variables, states, ..., **options)


def test_a_hidden_tree_is_the_sum_over_its_latents() -> None:
    random = np.random.default_rng(4)
    b = random.integers(0, 3, 300)
    a = np.where(random.random(300) < 0.9, b > 0, random.integers(0, 2, 300))
    c = np.where(random.random(300) < 0.9, b, random.integers(0, 3, 300)) - 1
    variables = MIXED[:3]  # the tree is a – b – c, rooted at b
    circuit = hclt(np.stack([a, b, c], axis=1).astype(float), variables, 2)
    found = values(circuit)
    assert shapes(circuit) == {
        "initial": (1, 2),
        "a.transition": (2, 2),
        "c.transition": (2, 2),
        "a.emission": (2,),
        "b.emission": (2, 3),
        "c.emission": (2, 3),
    }
    coin = np.stack([1 - found["a.emission"], found["a.emission"]], axis=1)
    joint = np.einsum(
        "r,rx,ry,xa,rb,yc->abc",
        found["initial"][0],
        found["a.transition"],
        found["c.transition"],
        coin,
        found["b.emission"],
        found["c.emission"],
    )
    np.testing.assert_allclose(probabilities(circuit), joint.ravel(), rtol=1e-12)
    require_smooth_and_decomposable(circuit)
    require_normalized(circuit)


def test_a_hidden_tree_takes_all_domains_and_structured_maps() -> None:
    random = np.random.default_rng(5)
    real = random.normal(size=500)
    count = np.where(real > 0, 20, 2) + random.integers(0, 2, 500)
    coin = (count > 10).astype(float)
    noise = random.normal(size=500)
    variables = [Variable("n", Real()), Variable("r", Real()), Variable("k", Count()), Variable("b", Bool())]
    data = np.stack([noise, real, count, coin], axis=1)
    codes = binned_codes(data, np.ones(data.shape, dtype=bool), variables)
    assert codes.sizes == (8, 8, 4, 2)
    assert 0 not in heaviest_tree(mutual_information(codes, 1)).parents  # what depends on nothing is a leaf
    circuit = hclt(data, variables, 4, form=MonarchForm((2, 2)))
    assert {name: shape for name, shape in shapes(circuit).items() if name.startswith("n.")} == {
        "n.transition": (2, 2, 2),
        "n.transition#1": (2, 2, 2),
        "n.emission": (4,),
        "n.emission#1": (4,),
    }
    require_smooth_and_decomposable(circuit)
    require_normalized(circuit)


def test_a_hidden_tree_of_one_variable_or_state() -> None:
    data = rows(0)
    require_normalized(hclt(data[:, :1], MIXED[:1], 3))
    independent = hclt(data, MIXED, 1)
    assert math.isclose(probabilities(independent).sum(), 1, rel_tol=1e-12)
    assert refusal(templates.hclt, data, data == data, MIXED, 0, ...)[0] == "wrong-size"
