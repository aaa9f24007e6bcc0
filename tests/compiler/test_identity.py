"""Identity testing: it accepts what is one polynomial, refutes what is not, and says how sure it is."""

from __future__ import annotations

import pytest

import danaus as dn
from danaus.compiler.identity import WANTED, equal_functions, verify_product
from danaus.compiler.operators import multiply
from danaus.compiler.properties import Proved, check, compatible
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Variable
from naive import value
from small_circuits import random_circuit


def good(circuit: Circuit) -> bool:
    return all(isinstance(result, Proved) for result in check(circuit, "smooth", "decomposable").values())


@pytest.mark.parametrize("seed", range(40))
def test_products_hold_and_others_do_not(seed: int) -> None:
    p, q = random_circuit(seed, signed=True), random_circuit(seed + 1)
    try:
        if not isinstance(compatible(p, q), Proved):
            return
        product = multiply(p, q)
    except DanausError:
        return
    found = verify_product(product, p, q)
    assert found.holds and found.error_probability < WANTED and found.degree > 0


def test_a_long_product_of_hmms() -> None:
    x = dn.Cat("x", 5, shape=300)
    p, q = dn.hmm(x, states=4), dn.hmm(x, states=3)
    product = multiply(p, q)
    found = verify_product(product, p, q)
    assert found.holds and found.degree == 600 and found.points > 1
    assert not verify_product(product, p, p).holds
    assert verify_product(multiply(product, p), product, p).holds
    assert verify_product(multiply(product, p), p, q, p).holds


@pytest.mark.parametrize("seed", range(30))
def test_equality_of_functions(seed: int) -> None:
    p, q = random_circuit(seed), random_circuit(seed + 1)
    if not good(p):
        with pytest.raises(Refused):
            equal_functions(p, p)
        return
    assert equal_functions(p, p).holds
    assert equal_functions(dn.add(p, p), dn.scale(p, 2)).holds
    if compatible(p, p).status == "proved":
        assert equal_functions(multiply(p, p), dn.power(p, 2)).holds
    try:
        found = equal_functions(p, q)
    except DanausError:
        return
    if not found.holds:
        assert found.assignment is not None
        at: dict[Variable, float] = found.assignment
        assert value(p, at) != value(q, at)


def test_equality_over_the_union_of_variables() -> None:
    spec = dn.parse(
        "var x : bool; var y : bool\n"
        "circuit p { return bernoulli(x, [0.5]) }\n"
        "circuit q { return bernoulli(x, [0.5]) * table(y, [[1, 1]]) }\n"
        "circuit r { return bernoulli(x, [0.5]) * table(y, [[1, 2]]) }\n"
    )
    p, q, r = (spec.circuits[name] for name in "pqr")
    assert equal_functions(p, q).holds
    found = equal_functions(p, r)
    assert not found.holds and found.assignment is not None
    assert found.assignment[q.variable("y")] == 1


def test_what_cannot_be_tested_says_so() -> None:
    y = dn.Real("y")
    p = dn.Circuit(dn.gaussian(y, [0.0], [1.0]))
    with pytest.raises(DanausError, match="finite domains"):
        equal_functions(p, p)
    assert verify_product(multiply(p, p), p, p).holds
