"""The law of every operator: it holds of what the operator makes, and is broken by what is made wrongly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import danaus as dn
from danaus.compiler import operators
from danaus.compiler.identity import LAWS, WANTED, Checked, Identity, equal_functions, verify_law
from danaus.compiler.operators import OPERATORS
from danaus.compiler.rewrite import rewritten
from danaus.ir.block import Block, Sum, in_order, select, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Variable
from danaus.ir.expression import Expression, broadcast, times
from danaus.ir.linear import Dense, Diagonal, Sparse
from danaus.ir.parameter import Value, constant
from naive import domain
from small_circuits import random_circuit

Made = tuple[str, Callable[[], Circuit], list[Circuit], dict[str, Any]]


def made_of(p: Circuit, q: Circuit, seed: int) -> Iterator[Made]:
    """Each operator on a circuit, as far as it has what the operator needs."""
    random = np.random.default_rng(seed)
    some = [v for v in p.variables if random.random() < 0.5]
    fixed = {v: float(random.choice(domain(v))) for v in some}
    weights = {v: Value.of(random.integers(-3, 4, v.size or 0) / 2) for v in some}
    names = {v: Variable(f"new {v.name}", v.domain) for v in some}
    yield "add", lambda: operators.add(p, q), [p, q], {}
    yield "scale", lambda: operators.scale(p, Fraction(-2, 3)), [p], {"number": Fraction(-2, 3)}
    yield "rename", lambda: operators.rename(p, names), [p], {"names": names}
    yield "smooth", lambda: operators.smooth(p), [p], {}
    yield "integrate", lambda: operators.integrate(p, some), [p], {"variables": tuple(some)}
    yield "integrate", lambda: operators.integrate(p), [p], {}
    yield "restrict", lambda: operators.restrict(p, fixed), [p], {"values": fixed}
    yield "evidence", lambda: operators.evidence(p, weights), [p], {"weights": weights}
    yield "condition", lambda: operators.condition(p, fixed), [p], {"values": fixed}
    yield "normalize", lambda: operators.normalize(p), [p], {}
    yield "multiply", lambda: operators.multiply(p, q), [p, q], {}
    yield "power", lambda: operators.power(p, 3), [p], {"exponent": Fraction(3)}
    yield "monarch_layers", lambda: operators.monarch_layers(p), [p], {}
    yield "untie", lambda: operators.untie(p), [p], {}
    yield "initialise", lambda: operators.initialise(p, "exact"), [p], {}


def changed(circuit: Circuit) -> Iterator[Circuit]:
    """The circuit with one weight changed, or with the children of one sum the other way round."""

    def rebuilt(target: Block, by: Block) -> Circuit:
        return replace(circuit, root=rewritten(circuit.root, {target: by}))

    def off(weights: Expression) -> Expression:
        factor = np.ones(weights.shape)
        factor.reshape(-1)[-1] = 1.5
        return times(weights, broadcast(constant(factor), weights.shape))

    for block in in_order(circuit.root):
        if not isinstance(block, Sum) or not circuit.live[block].any():
            continue
        match block.map:
            case Dense(weights):
                yield rebuilt(block, weighted(block.children, Dense(off(weights)), block.span))
            case Diagonal(weights):
                yield rebuilt(block, weighted(block.children, Diagonal(off(weights)), block.span))
            case Sparse(weights=weights):
                yield rebuilt(block, weighted(block.children, replace(block.map, weights=off(weights)), block.span))
            case _:
                pass
        if block.width > 1:
            yield rebuilt(block, select(block, list(range(block.width))[::-1]))


# Seeds of smooth and decomposable circuits, most of them structured; those of the second row are taken signed.
POSITIVE = (18, 63)
SIGNED = (1, 149)


@pytest.mark.parametrize("seed", [*POSITIVE, *(-seed for seed in SIGNED)])
def test_laws_hold_and_are_broken(seed: int) -> None:
    p = random_circuit(abs(seed), signed=seed < 0)
    q = operators.scale(p, 3)
    tried = set()
    for operator, make, operands, arguments in made_of(p, q, abs(seed)):
        try:
            made = make()
        except DanausError:
            continue
        found = verify_law(made, operator, operands, arguments)
        assert found.holds, (operator, str(found))
        if isinstance(found, Identity):
            assert found.error_probability < WANTED
        if operator in ("untie", "initialise"):
            continue  # they round: what differs from them may be nearer to what they are of
        for wrong in itertools.islice(changed(made), 8):
            if not equal_functions(wrong, made).holds:
                tried.add(operator)
                assert not verify_law(wrong, operator, operands, arguments).holds, operator
                break
    assert len(tried) > 5


def test_every_operator_has_a_law() -> None:
    assert set(OPERATORS) <= LAWS


def reals() -> Circuit:
    return dn.parse(
        "var y : real; var z : real; var n : count; param w[1, 3] : real = [[0.5, -0.25, 2]]\n"
        "circuit p { g = gaussian(y, [0, 1, 2], [1, 2, 0.5]) * gaussian(z, [1, 0, 0.5], [1, 1, 2])\n"
        "return sum(g * poisson(n, [1, 2, 3]), w) }"
    ).circuit


def test_derivatives_have_the_law_of_dual_numbers() -> None:
    p = reals()
    y = p.variable("y")
    once, twice = dn.differentiate(p, y), dn.differentiate(dn.differentiate(p, y), y)
    product = dn.multiply(p, p)
    for made, of in ((once, p), (twice, once), (dn.differentiate(product, y), product)):
        assert verify_law(made, "differentiate", [of], {"variable": y}).holds
        assert not verify_law(of, "differentiate", [of], {"variable": y}).holds
        assert not verify_law(made, "differentiate", [of], {"variable": p.variable("z")}).holds
        for wrong in list(changed(made))[:3]:
            assert not verify_law(wrong, "differentiate", [of], {"variable": y}).holds


def test_infinite_domains_and_irrational_values() -> None:
    p = reals()
    y, z, n = p.variables
    fixed: dict[Variable, float] = {y: 0.25, n: 2.0}
    assert verify_law(dn.restrict(p, fixed), "restrict", [p], {"values": fixed}).holds
    assert not verify_law(dn.restrict(p, {y: 0.5, n: 2.0}), "restrict", [p], {"values": fixed}).holds
    found = dn.condition(p, fixed)
    assert verify_law(found, "condition", [p], {"values": fixed}).holds
    outcome = verify_law(dn.scale(found, 2), "condition", [p], {"values": fixed})
    assert not outcome.holds and "mass" in str(outcome)
    assert verify_law(dn.integrate(p, [z]), "integrate", [p], {"variables": (z,)}).holds
    positive = dn.parse(
        "var y : real; circuit p { return sum(gaussian(y, [0, 1], [1, 2]), [[0.5, 2]]) }\n"
        "circuit q { return sum(gaussian(y, [3, 1], [1, 0.5]), [[1, 1]]) }"
    )
    product = dn.multiply(positive.circuits["p"], positive.circuits["q"])
    whole = dn.normalize(product)
    law = verify_law(whole, "normalize", [product])
    assert law.holds and isinstance(law, Checked)
    assert not verify_law(dn.normalize(positive.circuits["p"]), "normalize", [positive.circuits["q"]]).holds


def test_products_of_hmms() -> None:
    x = dn.Cat("x", 3, shape=6)
    p, q = dn.hmm(x, states=2), dn.hmm(x, states=3)
    product = dn.multiply(p, q)
    for operator, made in (
        ("monarch_layers", dn.monarch_layers(product)),
        ("untie", dn.untie(product)),
        ("normalize", dn.normalize(product)),
        ("initialise", dn.initialise(product, "exact")),
    ):
        assert verify_law(made, operator, [product]).holds, operator
        assert not verify_law(made, operator, [dn.multiply(p, p)]).holds, operator
    assert not verify_law(product, "normalize", [product]).holds
    assert not verify_law(dn.normalize(product), "monarch_layers", [product]).holds


def test_pointwise_laws_see_signs_zeros_and_sizes() -> None:
    spec = dn.parse(
        "var x : cat(3)\n"
        "circuit p { return sum(concat([x = 0], [x = 2]), [[0.5, 4]]) }\n"
        "circuit q { return sum(concat([x = 0], [x = 1], [x = 2]), [[2, 3, 0.5]]) }\n"
        "circuit log_p { return table(x, [[-0.6931471805599453, 0, 1.3862943611198906]]) }\n"
        "circuit one_by_p { return table(x, [[2, 0, 0.25]]) }\n"
        "circuit by_q { return table(x, [[0.25, 0, 8]]) }\n"
        "circuit root { return table(x, [[0.7071067811865476, 0, 2]]) }"
    )
    p, q = spec.circuits["p"], spec.circuits["q"]
    right: dict[str, tuple[str, list[Circuit], dict[str, object]]] = {
        "log_p": ("log", [p], {}),
        "one_by_p": ("reciprocal", [p], {}),
        "by_q": ("divide", [p, q], {}),
        "root": ("power", [p], {"exponent": Fraction(1, 2)}),
    }
    for name, (operator, operands, arguments) in right.items():
        for other in right:
            found = verify_law(spec.circuits[other], operator, operands, arguments)
            assert found.holds == (name == other) and isinstance(found, Checked) and found.rows == 3
    assert "at x = 0" in str(verify_law(q, "log", [p]))


def test_inputs_that_are_swapped_are_seen() -> None:
    p = dn.parse("var a : bool; var b : bool; circuit p { return bernoulli(a, [0.2]) * bernoulli(b, [0.3]) }").circuit
    a, b = p.variables
    names = {a: b, b: a}
    found = dn.rename(p, names)
    assert verify_law(found, "rename", [p], {"names": names}).holds
    assert not verify_law(p, "rename", [p], {"names": names}).holds
