"""Mutual information of variables whose marginals are deterministic, by enumeration, and what refuses it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import danaus as dn
import information_defined as define

TEXT = """
var a : bool
var b : cat(3)
var c : bool
var d : cat(3)
param w[1, 2] = [[0.6, 1.4]]
circuit rest0 {
  return sum(bernoulli(c, [0.2, 0.7]) * categorical(d, [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), [[0.5, 1]])
}
circuit rest1 {
  return sum(bernoulli(c, [0.4, 0.9]) * categorical(d, [[0.2, 0.2, 0.6], [0.3, 0.3, 0.4]]), [[2, 1]])
}
circuit p { return sum(concat([a = 0] * table(b, [[1, 0, 2]]) * rest0, [a = 1] * table(b, [[0, 3, 0]]) * rest1), w) }
query same = mutual_information(p, [a], [b])
query none = mutual_information(p, [], [a])
"""
SPEC = dn.parse(TEXT)
P = SPEC.circuits["p"]


def values() -> Any:
    rest0 = 0.5 * np.outer([0.8, 0.2], [0.5, 0.25, 0.25]) + np.outer([0.3, 0.7], [0.1, 0.1, 0.8])
    rest1 = 2 * np.outer([0.6, 0.4], [0.2, 0.2, 0.6]) + np.outer([0.1, 0.9], [0.3, 0.3, 0.4])
    return np.stack([0.6 * np.multiply.outer([1, 0, 2], rest0), 1.4 * np.multiply.outer([0, 3, 0], rest1)])


def test_sums_over_what_is_in_no_list_do_not_matter() -> None:
    table = values()
    assert dn.mutual_information(P, ["a"], ["b"]) == pytest.approx(
        define.mutual_information(table, [0], [1]), rel=1e-12
    )
    assert dn.mutual_information(P, ["b"], ["a"]) == pytest.approx(
        define.mutual_information(table, [0], [1]), rel=1e-12
    )
    assert dn.mutual_information(P, "a", []) == pytest.approx(0, abs=1e-12)


def test_a_spec_asks_for_it() -> None:
    wanted = define.mutual_information(values(), [0], [1])
    model = dn.compile(SPEC)
    assert model.run("same") == pytest.approx(wanted, rel=1e-12)
    assert model.run("none") == pytest.approx(0, abs=1e-12)


def test_one_to_one_variables_share_all_they_have() -> None:
    x, y, z = dn.Cat("x", 4), dn.Cat("y", 4), dn.Bool("z")
    both = dn.concat(
        *(dn.indicator(x, i) * dn.indicator(y, (i + 1) % 4) * dn.bernoulli(z, [0.1 * i]) for i in range(4))
    )
    p = dn.Circuit(dn.sum(both, [[0.1, 0.2, 0.3, 0.4]]), name="p")
    wanted = -math.fsum(w * math.log(w) for w in (0.1, 0.2, 0.3, 0.4))
    assert dn.mutual_information(p, [x], [y]) == pytest.approx(wanted, rel=1e-12)
    table = np.zeros((4, 4, 2))
    for i in range(4):
        table[i, (i + 1) % 4] = (i + 1) / 10 * np.array([1 - 0.1 * i, 0.1 * i])
    assert dn.mutual_information(p, [x, y], []) == pytest.approx(0, abs=1e-12)
    assert dn.entropy(p) == pytest.approx(define.entropy(table), rel=1e-12)


def test_a_marginal_that_does_not_decide_is_named() -> None:
    with pytest.raises(dn.DanausError) as refused:
        dn.mutual_information(P, ["c"], ["d"])
    said = str(refused.value)
    assert '"p over c, d" to be deterministic' in said and "c = " in said


def test_lists_are_disjoint_and_of_the_circuit() -> None:
    with pytest.raises(dn.DanausError, match='"a" stands in both lists'):
        dn.mutual_information(P, ["a", "b"], ["a"])
    with pytest.raises(dn.DanausError, match="unknown-variable"):
        dn.mutual_information(P, ["e"], ["a"])
