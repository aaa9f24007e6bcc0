"""Python functions that marginalise become circuits of their polynomials: coefficients, queries, mistakes.

The oracle is the definition of a determinantal process: the coefficient of a set is a principal minor of L, by Leibniz'
formula in fractions or by numpy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.properties.marginalisation.programs import _marginalisation
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.semirings import Modular
from marginalising import Sums

PRIME = 2147483629


def determinantal(kernel: Any) -> Callable[[Any], Any]:
    """det(diag x̄ + L diag x), by elimination."""

    def determinant(w: Any) -> Any:
        m = np.diag(w[:, 0]) + kernel * w[:, 1]
        out = 1
        for k in range(len(m)):
            out = out * m[k, k]
            for i in range(k + 1, len(m)):
                m[i, k + 1 :] = m[i, k + 1 :] - m[i, k] / m[k, k] * m[k, k + 1 :]
        return out

    return determinant


def kernel(n: int, seed: int = 0, band: int | None = None) -> Any:
    b = np.random.default_rng(seed).integers(-3, 4, size=(n, n)) / 4
    if band is not None:
        b[np.abs(np.subtract.outer(np.arange(n), np.arange(n))) > band] = 0
    return b @ b.T + np.eye(n) / 8


def leibniz(m: list[list[Fraction]]) -> Fraction:
    total = Fraction(0)
    for order in itertools.permutations(range(len(m))):
        swaps = sum(a > b for a, b in itertools.combinations(order, 2))
        total += (-1) ** swaps * math.prod((m[i][j] for i, j in enumerate(order)), start=Fraction(1))
    return total


def rows(n: int) -> Any:
    return np.array(list(itertools.product([0, 1], repeat=n)), dtype=float).reshape(-1, n)


def minors(matrix: Any) -> Any:
    chosen = [np.flatnonzero(row) for row in rows(len(matrix))]
    return np.array([np.linalg.det(matrix[np.ix_(s, s)]) if len(s) else 1.0 for s in chosen])


def modulo(matrix: Any, weights: Any) -> int:
    """The determinant modulo the prime, its numbers dyadic, by elimination with the next row that is not zero."""

    def residue(number: float) -> int:
        exact = Fraction(number)
        return exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME

    n, w = len(matrix), weights.tolist()
    m = [[(residue(matrix[i, j]) * w[j][1] + (w[i][0] if i == j else 0)) % PRIME for j in range(n)] for i in range(n)]
    out = 1
    for k in range(n):
        pivot = next(i for i in range(k, n) if m[i][k])
        if pivot != k:
            m[k], m[pivot], out = m[pivot], m[k], -out
        out = out * m[k][k] % PRIME
        for i in range(k + 1, n):
            factor = m[i][k] * pow(m[k][k], -1, PRIME) % PRIME
            m[i] = [(a - factor * b) % PRIME for a, b in zip(m[i], m[k], strict=True)]
    return out % PRIME


def at(circuit: Any, weights: Any) -> int:
    n = len(circuit.variables)
    given = {variable: weights[place] for place, variable in enumerate(circuit.variables)}
    nothing = np.zeros((1, n))
    return int(evaluate(circuit, Modular(PRIME), Evidence(circuit.variables, nothing, nothing > 0, given))[0])


def test_all_coefficients_are_minors_exactly() -> None:
    n = 5
    matrix = kernel(n)
    circuit = dn.import_marginaliser(determinantal(matrix), n)
    assert [variable.name for variable in circuit.variables] == ["x1", "x2", "x3", "x4", "x5"]
    found = dn.evaluate(circuit, rows(n), semiring="exact")
    exact = [[Fraction(number) for number in row] for row in matrix.tolist()]
    for row, value in zip(rows(n), found, strict=True):
        chosen = np.flatnonzero(row)
        assert value == leibniz([[exact[i][j] for j in chosen] for i in chosen])


@pytest.mark.parametrize("n", [5, 8])
def test_all_coefficients_are_minors_in_float64(n: int) -> None:
    matrix = kernel(n, seed=n)
    circuit = dn.import_marginaliser(determinantal(matrix), n)
    np.testing.assert_allclose(dn.evaluate(circuit, rows(n)), minors(matrix), rtol=0, atol=1e-8)
    weights = np.random.default_rng(1).integers(1, PRIME, size=(n, 2))
    assert at(circuit, weights) == modulo(matrix, weights)


def test_sixty_four_variables_by_identity_testing() -> None:
    """A chain of repulsions: the elimination looks at two neighbours."""
    n = 64
    matrix = kernel(n, band=0)
    matrix += np.diag(np.full(n - 1, 0.25), 1) + np.diag(np.full(n - 1, 0.125), -1)

    def determinant(w: Any) -> Any:
        pivot = out = w[0, 0] + matrix[0, 0] * w[0, 1]
        for k in range(1, n):
            above, below = matrix[k - 1, k] * w[k, 1], matrix[k, k - 1] * w[k - 1, 1]
            pivot = w[k, 0] + matrix[k, k] * w[k, 1] - above * below / pivot
            out = out * pivot
        return out

    circuit = dn.import_marginaliser(determinant, n)
    weights = np.random.default_rng(0).integers(1, PRIME, size=(n, 2))
    assert at(circuit, weights) == modulo(matrix, weights)  # of degree 64: by chance below 1e-7
    total = dn.evaluate(circuit, np.zeros(n), observed=np.zeros(n, dtype=bool))
    assert total == pytest.approx(np.linalg.det(np.eye(n) + matrix), rel=1e-9)


def test_every_query_that_feeding_forward_answers() -> None:
    n = 5
    matrix = kernel(n, seed=3)
    circuit = dn.import_marginaliser(determinantal(matrix), n, name="dpp")
    table, x = minors(matrix), rows(n)
    assert dn.partition(circuit) == pytest.approx(np.log(table.sum()))
    model = dn.compile(circuit, dtype="float64")
    masks, row = rows(n) > 0, np.tile([1.0, 0, 1, 1, 0], (2**n, 1))
    masses = [table[((x == row[0]) | ~mask).all(axis=1)].sum() for mask in masks]
    np.testing.assert_allclose(np.exp(dn.marginal(circuit, row, masks)), masses, rtol=1e-10)
    np.testing.assert_allclose(model.marginal(row, masks).exp().numpy(), masses, rtol=1e-10)
    posterior = dn.conditional(circuit, np.ones((1, n)), np.array([[True, False, True, False, False]]))
    given = (x[:, 0] == 1) & (x[:, 2] == 1)
    assert posterior["x4"][0, 1] == pytest.approx(table[given & (x[:, 3] == 1)].sum() / table[given].sum())
    assert dn.moment(circuit, "x2", 1) == pytest.approx((table * x[:, 1]).sum() / table.sum())
    ones = [table[x.sum(axis=1) == count].sum() for count in range(n + 1)]
    for method in ("polynomial", "roots"):
        np.testing.assert_allclose(np.exp(dn.hamming(circuit, method=method)), ones, rtol=1e-9)
    weighed = dn.evidence(circuit, {"x1": [0.5, 2.0], "x3": [3.0, 0.25]})
    factor = np.where(x[:, 0] == 1, 2.0, 0.5) * np.where(x[:, 2] == 1, 0.25, 3.0)
    assert dn.partition(weighed) == pytest.approx(np.log((table * factor).sum()))
    rest = dn.integrate(circuit, ["x1", "x4"])
    assert dn.evaluate(rest, [1, 0, 1]) == pytest.approx(table[(x[:, [1, 2, 4]] == [1, 0, 1]).all(axis=1)].sum())


def test_the_property_is_proved_of_the_circuit_itself_too() -> None:
    small = dn.import_marginaliser(determinantal(kernel(2)), 2)
    assert Sums(small).exact("virtual")
    circuit = dn.import_marginaliser(determinantal(kernel(7)), 7)
    assert "test modulo a random prime of" in dn.marginalisation(circuit)["virtual"].reason
    found = _marginalisation(circuit)  # without what the importer has proved
    assert found["virtual"].status == "proved" and "prime of" in found["virtual"].reason


def test_one_wrong_number_in_such_a_circuit_is_found() -> None:
    """The large primes tell: half of a weight of the first variable is missing."""
    circuit = dn.import_marginaliser(determinantal(kernel(7)), 7)
    less = dn.add(circuit, dn.scale(dn.restrict(circuit, {"x1": 0}), Fraction(1, 2)))
    assert _marginalisation(less)["virtual"].status != "proved"


@pytest.mark.parametrize("query", ["sample", "count", "map"])
def test_what_feeding_forward_does_not_answer_is_refused(query: str) -> None:
    circuit = dn.import_marginaliser(determinantal(kernel(3)), 3)
    with pytest.raises(dn.DanausError, match="decomposable") as refused:
        dn.map(circuit, np.zeros((1, 3))) if query == "map" else getattr(dn, query)(circuit)
    assert any("x1" in note.message for found in refused.value.diagnostics for note in found.notes)


def test_numbers_of_all_kinds_loops_and_arrays() -> None:
    def f(w: Any) -> Any:
        whole = sum(w[0])  # begins with the integer 0
        second = np.float64(0.25) * w[1, 0] + np.array([0.5, 2.0])[1] * w[1, 1] - np.int64(0)
        third = Fraction(1, 3) * w[2, 0] + (+w[2, 1]) * np.array(3)
        return -(whole**3) * second * third / whole**2 * -1 / 2

    circuit = dn.import_marginaliser(f, 3)
    for a, b, c in itertools.product([0, 1], repeat=3):
        wanted = [Fraction(1, 4), Fraction(2)][b] * [Fraction(1, 3), Fraction(3)][c] / 2
        assert dn.evaluate(circuit, [a, b, c], semiring="exact") == wanted


def test_no_variables_one_variable_and_the_zero_function() -> None:
    assert dn.evaluate(dn.import_marginaliser(lambda w: 3, 0), semiring="exact") == 3
    one = dn.import_marginaliser(lambda w: w[0, 0] * 2 + w[0, 1] / 4, 1)
    assert dn.evaluate(one, [[0], [1]]).tolist() == [2.0, 0.25]
    zero = dn.import_marginaliser(lambda w: w[0, 0] * 0, 2)
    assert dn.evaluate(zero, rows(2)).tolist() == [0.0] * 4 and len(zero.variables) == 2
    hidden = dn.import_marginaliser(lambda w: w[0, 0] * w[1, 0] - w[1, 0] * w[0, 0], 2)
    assert dn.evaluate(hidden, rows(2)).tolist() == [0.0] * 4 and len(hidden.variables) == 2


def test_a_function_without_divisions_is_its_circuit() -> None:
    """Elementary symmetric polynomials of sums: as many products as the function has."""
    n, wanted = 6, 3

    def exactly_three(w: Any) -> Any:
        reached = [1] + [0] * wanted
        for none, one in w:
            reached = [reached[0] * none] + [reached[k] * none + reached[k - 1] * one for k in range(1, wanted + 1)]
        return reached[wanted]

    circuit = dn.import_marginaliser(exactly_three, n)
    assert dn.evaluate(circuit, rows(n)).tolist() == (rows(n).sum(axis=1) == wanted).astype(float).tolist()
    assert circuit.nodes < 100
    found = dn.check(circuit, "smooth", "decomposable", "deterministic")
    assert {name: result.status for name, result in found.items()}["decomposable"] == "proved"
    assert np.exp(dn.hamming(circuit)).round(9).tolist() == [0, 0, 0, 20, 0, 0, 0]


def test_given_variables_keep_their_order() -> None:
    b, a = dn.Bool("b"), dn.Bool("a")
    circuit = dn.import_marginaliser(lambda w: w[0, 1] * w[1, 0], 2, variables=[a, b])
    assert [variable.name for variable in circuit.variables] == ["b", "a"]
    assert dn.evaluate(circuit, [[0, 1], [1, 0]]).tolist() == [1.0, 0.0]


def test_another_point_where_a_divisor_vanishes_in_the_middle() -> None:
    circuit = dn.import_marginaliser(lambda w: (w[0, 0] ** 2 - w[0, 1] ** 2) / (w[0, 0] - w[0, 1]), 1)
    assert dn.evaluate(circuit, [[0], [1]], semiring="exact").tolist() == [1, 1]


MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "comparison": (lambda w: w[0, 0] if w[0, 0] > w[0, 1] else w[0, 1], "traced"),
    "equality": (lambda w: 0 if w[0, 0] == 0 else 1, "traced"),
    "truth": (lambda w: w[0, 0] or w[0, 1], "traced"),
    "float": (lambda w: float(w[0, 0]), "traced"),
    "math": (lambda w: math.exp(w[0, 0]), "traced"),
    "numpy": (lambda w: np.exp(w[0, 0]), "traced"),
    "numpy-array": (lambda w: np.log(w).sum(), "traced"),
    "numpy-float": (lambda w: w.astype(float).sum(), "traced"),
    "linear-algebra": (lambda w: np.linalg.det(w[:, :1]), "traced"),
    "size": (lambda w: abs(w[0, 0]), "traced"),
    "power": (lambda w: w[0, 0] ** 0.5, "traced"),
    "text": (lambda w: w[0, 0] + "1", "traced"),
    "infinite": (lambda w: w[0, 0] * float("inf"), "wrong-number"),
    "nothing": (lambda w: None, "not-a-number"),
    "list": (lambda w: [w[0, 0]], "not-a-number"),
    "array": (lambda w: w[0], "not-a-number"),
    "square": (lambda w: w[0, 0] * w[0, 0], "not-multilinear"),
    "constant": (lambda w: 1, "not-multilinear"),
    "affine": (lambda w: w[0, 0] + 1, "not-multilinear"),
    "quotient": (lambda w: w[0, 0] ** 2 / w[0, 1], "not-multilinear"),
    "quotient-of-sums": (lambda w: w[0, 0] * w[0, 1] / (w[0, 0] + w[0, 1]), "not-multilinear"),
    "zero": (lambda w: w[0, 0] / 0, "zero-divisor"),
    "hidden-zero": (lambda w: w[0, 0] / ((w[0, 0] + 1) ** 2 - w[0, 0] ** 2 - 2 * w[0, 0] - 1), "zero-divisor"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told(name: str) -> None:
    f, code = MISTAKES[name]
    with pytest.raises(dn.DanausError) as refused:
        dn.import_marginaliser(f, 1)
    (found,) = refused.value.diagnostics
    assert found.code == code
    assert found.span is None or found.span.file == __file__
    assert found.span is not None or code == "not-multilinear"


def test_the_variable_that_is_not_linear_is_named() -> None:
    with pytest.raises(dn.DanausError, match=r'weights of "x2"$|weights of "x2"\n'):
        dn.import_marginaliser(lambda w: w[0, 0] * w[1, 0] ** 2 * w[2, 1], 3)


def test_a_degree_beyond_all_primes_is_not_tested() -> None:
    def f(w: Any) -> Any:
        big = w[0, 0]
        for _ in range(2200):
            big = big * big
        return big / big * w[0, 1]

    with pytest.raises(dn.DanausError) as refused:
        dn.import_marginaliser(f, 1)
    assert refused.value.diagnostics[0].code == "untested"


def test_wrong_arguments_and_numbers_of_another_call() -> None:
    kept: list[Any] = []
    dn.import_marginaliser(lambda w: kept.append(w[0, 0]) or w[0, 0], 1)
    with pytest.raises(dn.DanausError, match="another call"):
        dn.import_marginaliser(lambda w: w[0, 0] + kept[0], 1)
    for n, variables in ((-1, None), (1.5, None), (2, [dn.Bool("a")]), (2, [dn.Bool("a")] * 2), (1, [dn.Cat("c", 3)])):
        with pytest.raises(dn.DanausError):
            dn.import_marginaliser(lambda w: 1, n, variables=variables)  # type: ignore[arg-type]


def test_what_the_function_itself_raises_passes() -> None:
    def f(w: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        dn.import_marginaliser(f, 1)
