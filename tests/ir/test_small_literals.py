"""Numbers of a text that float64 does not hold: they are not zero in logarithms, nor where supports are asked for."""

from __future__ import annotations

from fractions import Fraction
from math import log
from pathlib import Path

import numpy as np
import pytest

import danaus as dn


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("sum(table(x, [[0.5, 1]]), [[1e-400]])", [Fraction(1, 2 * 10**400), Fraction(1, 10**400)]),
        ("table(x, [[1e-400, 1]])", [Fraction(1, 10**400), Fraction(1)]),
        ("sum(table(x, [[0.5, 1]]), [[3e-320]])", [Fraction(3, 2 * 10**320), Fraction(3, 10**320)]),
    ],
)
def test_logarithms_and_fractions_agree(tmp_path: Path, body: str, values: list[Fraction]) -> None:
    path = tmp_path / "p.circuit"
    path.write_text(f"var x : cat(2)\ncircuit p {{ return {body} }}\n")
    circuit = dn.load(path).circuit
    assert [variable.name for variable in circuit.variables] == ["x"]
    x = np.array([[0], [1]])
    assert list(dn.evaluate(circuit, x, semiring="exact")) == values
    logs = [log(value.numerator) - log(value.denominator) for value in values]
    np.testing.assert_allclose(dn.evaluate(circuit, x, semiring="log"), logs, rtol=1e-14)
    np.testing.assert_allclose(dn.compile(circuit).log_likelihood(x), logs, rtol=1e-14)
    assert dn.evaluate(circuit, x, semiring="boolean").all()


def test_signs(tmp_path: Path) -> None:
    path = tmp_path / "p.circuit"
    path.write_text("var x : cat(2)\ncircuit p { return sum(table(x, [[0.5, 1]]), [[-1e-400]]) }\n")
    found = dn.evaluate(dn.load(path).circuit, np.array([[1]]), semiring="signed-log")
    np.testing.assert_allclose(np.asarray(found).ravel(), [-400 * log(10), -1.0], rtol=1e-14)
