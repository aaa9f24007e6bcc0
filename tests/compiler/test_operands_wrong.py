"""What operators say of arguments of another type than they take: a diagnostic at the user's line, no traceback."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import danaus as dn

loose: Any = dn  # what a type checker would refuse

P = dn.parse("var x : bool; var y : bool; circuit p { return bernoulli(x, [0.3]) * bernoulli(y, [0.2]) }").circuit

WRONG: list[tuple[str, Callable[[], object]]] = [
    ("wrong-arguments", lambda: loose.smooth(None)),
    ("wrong-arguments", lambda: loose.add(P, 3)),
    ("wrong-arguments", lambda: loose.integrate(P, 3)),
    ("wrong-arguments", lambda: loose.integrate(P, [3])),
    ("wrong-arguments", lambda: loose.restrict(P, None)),
    ("wrong-value", lambda: loose.restrict(P, {"x": None})),
    ("wrong-arguments", lambda: loose.rename(P, ["x"])),
    ("wrong-arguments", lambda: loose.rename(P, {"x": 3})),
    ("wrong-number", lambda: loose.scale(P, None)),
    ("wrong-arguments", lambda: loose.scale(None, 2)),
    ("wrong-arguments", lambda: loose.evidence(P, [1, 2])),
    ("wrong-number", lambda: loose.evidence(P, {"x": None})),
    ("unknown-constraint", lambda: loose.param("W", [1], np.zeros(0))),
    ("unknown-family", lambda: loose.hmm(dn.Cat("z", 3, shape=3), states=2, emission=np.zeros(0))),
    ("too-large", lambda: loose.sample(P, 10**13)),
]


@pytest.mark.parametrize(("code", "call"), WRONG)
def test_a_wrong_argument_is_a_diagnostic(code: str, call: Callable[[], object]) -> None:
    with pytest.raises(dn.DanausError) as failure:
        call()
    assert failure.value.diagnostics[0].code == code


def test_one_variable_may_stand_alone() -> None:
    assert dn.integrate(P, "x").variables == dn.integrate(P, P.variables[0]).variables == P.variables[1:]


def test_a_warning_points_at_the_line_that_asked() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dn.conditional(dn.restrict(dn.scale(P, 1), {}), [[np.nan, 1]])
        impossible = dn.parse("var x : bool; var y : bool; circuit p { return [x = 1] * [y = 1] }").circuit
        dn.conditional(impossible, [[np.nan, 0]])
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("mean", [0.0, -1e160, 1e160])
def test_moments_that_overflow_are_infinite_and_odd_ones_of_a_centred_gaussian_are_nothing(mean: float) -> None:
    x = dn.Real("x")
    p = dn.Circuit(dn.gaussian(x, [mean], [1e160]))
    assert dn.moment(p, "x", 4) == np.inf
    assert dn.moment(p, "x", 3) == (np.copysign(np.inf, mean) if mean else 0.0)
    low, high = dn.evaluate(p, [mean], semiring="interval")
    assert low <= dn.evaluate(p, [mean]) <= high
