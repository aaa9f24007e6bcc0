"""A compiled spec answers its queries by name, as the evaluator does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import danaus as dn

SPEC = dn.parse(
    """
    var x : bool
    var y : cat(3)
    circuit p {
      return sum(bernoulli(x, [0.2, 0.7]) * categorical(y, [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), [[0.5, 0.5]])
    }
    circuit q { return bernoulli(x, [0.25]) }
    query all = likelihood(p)
    query some = marginal(p)
    query rest = conditional(p)
    query best = map(p)
    query total = partition(p)
    query rows = sample(q)
    query ones = hamming(q)
    query mean = moment(p, y, 1)
    query many = count(q)
    """
)
P = SPEC.circuits["p"]
X = np.array([[1, 2], [0, 1]])
GAPS = np.array([[1, np.nan], [np.nan, 0]])


def test_queries_by_name() -> None:
    model = dn.compile(SPEC, dtype="float64")
    np.testing.assert_allclose(model.run("all", X), dn.likelihood(P, X))
    np.testing.assert_allclose(model.run("some", GAPS), dn.marginal(P, GAPS))
    np.testing.assert_allclose(model.run("rest", GAPS)["y"], dn.conditional(P, GAPS)["y"])
    np.testing.assert_allclose(model.run("best", GAPS).values, dn.map(P, GAPS).values)
    np.testing.assert_allclose(model.run("total"), 0, atol=1e-15)
    np.testing.assert_array_equal(model.run("rows", 5, seed=2), dn.sample(SPEC.circuits["q"], 5, seed=2))
    np.testing.assert_allclose(model.run("ones"), np.log([0.75, 0.25]))
    np.testing.assert_allclose(model.run("mean"), dn.moment(P, "y", 1))
    np.testing.assert_allclose(model.run("p.posterior", X).sum(2), 1)
    assert model.run("p.decode", X).values.shape == (2, 2)
    np.testing.assert_allclose(model.run("q.likelihood", [[1]]), np.log([0.25]))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("al", "unknown-query"),
        ("p.hamming", "wrong-domain"),
        ("p.moment", "unknown-query"),
        ("many", "not-yet"),
        ("", "unknown-query"),
    ],
)
def test_what_is_no_query(name: str, code: str) -> None:
    model = dn.compile(SPEC)
    with pytest.raises(dn.DanausError) as failure:
        model.run(name)
    assert failure.value.diagnostics[0].code == code


def test_what_is_no_circuit() -> None:
    loose: Any = dn
    for ask, code in (
        (lambda: dn.compile(SPEC)["r"], "unknown-circuit"),
        (lambda: dn.compile(P, device="gpu"), "unknown-device"),
        (lambda: dn.compile(P, dtype="float16"), "unknown-type"),
        (lambda: loose.compile(3), "wrong-arguments"),
    ):
        with pytest.raises(dn.DanausError) as failure:
            ask()
        assert failure.value.diagnostics[0].code == code
