"""What a query of information theory needs and a circuit lacks is refused, with what shows it."""

from __future__ import annotations

import pytest

import danaus as dn

SPEC = """
var x : bool
var y : bool
var z : real
circuit decided {
  return sum(concat([x = 0] * bernoulli(y, [0.3]), [x = 1] * bernoulli(y, [0.6])), [[0.4, 0.6]])
}
circuit mixed { return sum(bernoulli(x, [0.2, 0.7]) * bernoulli(y, [0.5, 0.1]), [[0.4, 0.6]]) }
circuit partly { return [x = 1] * bernoulli(y, [0.5]) }
circuit signed { return table(x, [[1, -1]]) * bernoulli(y, [0.5]) }
circuit unsmooth { return sum(concat([x = 0], [x = 1] * bernoulli(y, [0.5])), [[1, 1]]) }
circuit nothing { return table(x, [[0, 0]]) * bernoulli(y, [0.5]) }
circuit short { return bernoulli(x, [0.5]) }
circuit wide { return gaussian(z, [0], [1]) }
"""
CROSSED = """
var x : bool
var y : bool
var z : bool
circuit p { return [x = 1] * sum(bernoulli(y, [0.5]) * bernoulli(z, [0.1]), [[1]]) }
circuit q { return [z = 1] * sum(bernoulli(x, [0.5]) * bernoulli(y, [0.1]), [[1]]) }
circuit both {
  one = [x = 0] * sum([y = 0] * bernoulli(z, [0.1]), [[1]])
  other = [z = 1] * sum([x = 1] * [y = 1], [[1]])
  return sum(concat(one, other), [[1, 2]])
}
"""
TWO = ("cross_entropy", "kl", "itakura_saito", "cauchy_schwarz", "squared_loss", "expectation")


def refused(kind: str, *names: str, spec: str = SPEC, numbers: tuple[float, ...] = ()) -> str:
    circuits = dn.parse(spec).circuits
    with pytest.raises(dn.DanausError) as caught:
        getattr(dn, kind)(*(circuits[name] for name in names), *numbers)
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.span is not None and diagnostic.span.file.endswith("test_refused.py")
    return str(caught.value)


@pytest.mark.parametrize("kind", ["entropy", "renyi"])
def test_sums_that_do_not_decide_are_shown_with_an_assignment(kind: str) -> None:
    said = refused(kind, "mixed", numbers=(0.5,) if kind == "renyi" else ())
    assert "not-deterministic" in said and "x = 0, y = 0" in said


def test_which_circuit_must_decide() -> None:
    assert '"mixed" to be deterministic' in refused("cross_entropy", "decided", "mixed")
    assert '"mixed" to be deterministic' in refused("kl", "mixed", "decided")
    assert '"mixed" to be deterministic' in refused("itakura_saito", "mixed", "decided")
    assert '"mixed" to be deterministic' in refused("alpha_divergence", "decided", "mixed", numbers=(2,))
    assert '"mixed" to be deterministic' in refused("alpha_divergence", "mixed", "decided", numbers=(0.5,))


@pytest.mark.parametrize("kind", TWO)
def test_scopes_that_cross_are_shown(kind: str) -> None:
    said = refused(kind, "p", "q", spec=CROSSED)
    assert "not-compatible" in said and "{y, z}" in said and "{x, y}" in said


@pytest.mark.parametrize("kind", ["cauchy_schwarz", "squared_loss"])
def test_squares_need_structure(kind: str) -> None:
    said = refused(kind, "both", "both", spec=CROSSED)
    assert '"both" to be structured' in said and "{y, z}" in said


def test_natural_powers_need_structure_or_determinism() -> None:
    text = CROSSED.replace("[x = 0] * sum([y = 0]", "bernoulli(x, [0.5]) * sum(bernoulli(y, [0.5])")
    said = refused("renyi", "both", spec=text, numbers=(2,))
    assert "structured or deterministic" in said and "{y, z}" in said and "not deterministic" in said
    assert dn.renyi(dn.parse(CROSSED).circuits["both"], 2) > 0


@pytest.mark.parametrize("kind", ["entropy", "cross_entropy", "kl", "itakura_saito", "cauchy_schwarz"])
def test_negative_values_are_shown(kind: str) -> None:
    names = ["signed"] if kind == "entropy" else ["signed", "decided"]
    said = refused(kind, *names)
    assert "not-nonnegative" in said and "x = 1" in said


@pytest.mark.parametrize("kind", ["entropy", *TWO])
def test_scopes_that_differ_are_shown(kind: str) -> None:
    said = refused(kind, *["unsmooth", "unsmooth"][: 1 if kind == "entropy" else 2])
    assert "not-smooth" in said and said.count("not-smooth") == 1


@pytest.mark.parametrize("kind", ["entropy", "cross_entropy", "kl", "cauchy_schwarz", "expectation"])
def test_nothing_is_not_normalised(kind: str) -> None:
    said = refused(kind, *["nothing", "decided"][: 1 if kind == "entropy" else 2])
    assert "zero-mass" in said and '"nothing"' in said


def test_a_quotient_where_the_second_is_zero_is_refused_with_the_assignment() -> None:
    said = refused("itakura_saito", "decided", "partly")
    assert "not-contained" in said and '"decided" is 0.28 and "partly" is 0 at x = 0, y = 0' in said


@pytest.mark.parametrize("kind", TWO)
def test_two_circuits_have_the_same_variables(kind: str) -> None:
    said = refused(kind, "short", "decided")
    assert "other-variables" in said and '"y"' in said
    if kind == "expectation":
        circuits = dn.parse(SPEC).circuits
        assert dn.expectation(circuits["decided"], circuits["short"]) == pytest.approx(0.5)


def test_itakura_and_saito_sum_over_finite_domains() -> None:
    assert "wrong-domain" in refused("itakura_saito", "wide", "wide")


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf")])
def test_alphas_are_positive_numbers(alpha: float) -> None:
    assert "wrong-number" in refused("renyi", "decided", numbers=(alpha,))
    assert "wrong-number" in refused("alpha_divergence", "decided", "decided", numbers=(alpha,))


def test_what_is_no_circuit() -> None:
    with pytest.raises(dn.DanausError, match="wrong-arguments"):
        dn.entropy("p")  # type: ignore[arg-type]
