"""Derivatives against closed forms and finite differences, of all block forms; what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.operators import differentiate, multiply
from danaus.compiler.properties import check
from danaus.frontend.write import circuit_text
from danaus.ir.block import Block, Input, concat, hadamard, indexed, input_block, pairs, select, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.domain import Bool, Real, Variable
from danaus.ir.family import Gaussian, One, Table
from danaus.ir.linear import BlockDiagonal, Dense, Kronecker, compose, selection, sparse
from danaus.ir.parameter import constant
from danaus.ir.store import Store

x, y, z = Variable("x", Real()), Variable("y", Real()), Variable("z", Bool())


def normal(t: float, m: float, s: float) -> float:
    return math.exp(-(((t - m) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))


def gaussians(variable: Variable, seed: int, width: int) -> Block:
    random = np.random.default_rng(seed)
    m, s = random.integers(-8, 9, width) / 8, random.integers(4, 13, width) / 8
    return input_block(Gaussian(), variable, [constant(m), constant(s)])


def tables(seed: int, width: int) -> Block:
    return input_block(Table(), z, [constant(np.random.default_rng(seed).integers(-8, 9, (width, 2)) / 8)])


def matrix(seed: int, *shape: int) -> Dense:
    return Dense(constant(np.random.default_rng(seed).integers(-8, 9, shape) / 8))


def circuit(root: Block) -> Circuit:
    return Circuit(root if root.width == 1 else weighted([root], matrix(99, 1, root.width)), Store({}), "p")


def forms() -> dict[str, Circuit]:
    """Products and sums of each form; in the last ones the nodes of one block differ in scope."""
    a, b, c = gaussians(x, 1, 3), gaussians(y, 2, 3), tables(3, 3)
    mixed = concat([select(a, [0, 1]), select(b, [0]), select(c, [2])])
    other = concat([select(b, [1]), select(c, [0]), select(a, [2]), select(a, [0])])
    block = BlockDiagonal(constant(np.arange(1, 13).reshape(3, 2, 2) / 8))
    monarch = compose([selection([3, 1, 0, 2, 4, 5], 6), block])
    factors = Kronecker((matrix(4, 2, 3), matrix(5, 1, 3)))
    four = weighted([indexed([], [0, 0], [])], Dense(constant([[4.0]])))
    ones = input_block(One(), x)
    rows, columns = [0, 0, 1], [0, 2, 1]
    return {
        "hadamard": circuit(hadamard([a, b, c])),
        "broadcast": circuit(hadamard([a, select(b, [1]), c])),
        "pairs": circuit(pairs([b, a, c])),
        "kronecker": circuit(weighted([pairs([a, b])], factors)),
        "blocks": circuit(weighted([concat([hadamard([a, c]), hadamard([gaussians(x, 6, 3), c])])], monarch)),
        "sparse": circuit(
            weighted([hadamard([a, b])], sparse(rows, columns, constant(np.array([0.5, -1.0, 2.0])), 2, 3))
        ),
        "indexed": circuit(indexed([a, b, c, four], [0, 2, 5, 7], [0, 3, 4, 9, 1, 8, 2])),
        "constant one": circuit(concat([hadamard([a, b]), hadamard([ones, b])])),
        "mixed scopes": circuit(hadamard([mixed, other])),
        "mixed pairs": circuit(pairs([concat([select(a, [0]), select(c, [0])]), b])),
        "mixed by index": circuit(indexed([mixed, other, four], [0, 2, 2, 4, 6], [0, 4, 2, 6, 3, 8])),
        "unsmooth": circuit(concat([a, c, hadamard([a, b])])),
        "product of inputs": multiply(circuit(hadamard([a, b])), circuit(hadamard([gaussians(x, 7, 3), b]))),
    }


def at(p: Circuit, values: dict[Variable, float]) -> float:
    return float(dn.evaluate(p, [values[v] for v in p.variables]))


@pytest.mark.parametrize("name", forms())
def test_derivatives_are_the_limits_of_differences(name: str) -> None:
    p = forms()[name]
    if check(p, "decomposable")["decomposable"].status != "proved":
        pytest.fail(f"{name} is meant to be decomposable")
    first = differentiate(p, "x")
    second = differentiate(first, "x")
    mixed = differentiate(first, "y") if y in first.variables else None
    h = 1e-4
    for point in ({x: 0.3, y: -0.7, z: 1.0}, {x: -1.1, y: 0.4, z: 0.0}):
        above, below = ({**point, x: point[x] + step} for step in (h, -h))
        assert math.isclose(at(first, point), (at(p, above) - at(p, below)) / (2 * h), rel_tol=1e-5, abs_tol=1e-7)
        assert math.isclose(
            at(second, point), (at(first, above) - at(first, below)) / (2 * h), rel_tol=1e-5, abs_tol=1e-7
        )
        if mixed is not None:
            above, below = ({**point, y: point[y] + step} for step in (h, -h))
            wanted = (at(first, above) - at(first, below)) / (2 * h)
            assert math.isclose(at(mixed, point), wanted, rel_tol=1e-5, abs_tol=1e-7)
        low, high = dn.evaluate(second, [point[v] for v in second.variables], semiring="interval")
        assert low <= at(second, point) <= high and high - low < 1e-9
    if check(p, "smooth")["smooth"].status == "proved":
        assert all(result.status == "proved" for result in check(first, "smooth", "decomposable").values())


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7])
def test_higher_derivatives_of_a_gaussian(order: int) -> None:
    m, s = 0.5, 1.5
    p = Circuit(input_block(Gaussian(), y, [constant([m]), constant([s])]), Store({}), "p")
    for _ in range(order):
        p = differentiate(p, y)
    # d/dt (q(t) e) = (q′ − (t − m)/s² q) e, for polynomials q in t.
    q = np.polynomial.Polynomial([1.0])
    for _ in range(order):
        q = q.deriv() - q * np.polynomial.Polynomial([-m, 1.0]) / s**2
    for t in (-3.0, 0.5, 2.25, 30.0):
        assert math.isclose(dn.evaluate(p, [t]), q(t) * normal(t, m, s), rel_tol=1e-9, abs_tol=1e-15)
    far = dn.evaluate(p, [80.0], semiring="signed-log")
    logarithm = math.log(abs(q(80.0))) - ((80 - m) / s) ** 2 / 2 - math.log(s * math.sqrt(2 * math.pi))
    assert math.isclose(far[0], logarithm, rel_tol=1e-9) and far[1] == np.sign(q(80.0))


def test_integrals_and_moments_by_parts() -> None:
    p = dn.parse("var y : real; circuit p { return sum(gaussian(y, [1, 3], [2, 0.5]), [[0.25, 0.75]]) }").circuit
    slope = differentiate(p, "y")
    assert float(dn.evaluate(dn.integrate(slope), [])) == 0.0
    t = np.linspace(-30, 30, 200001)
    for order in (1, 2, 3):
        values = dn.evaluate(dn.add(p, slope), t[:, None]) * t**order
        assert math.isclose(dn.moment(dn.add(p, slope), "y", order), np.trapezoid(values, t), rel_tol=1e-6)
    with pytest.raises(DanausError) as caught:
        dn.integrate(multiply(slope, slope))
    assert caught.value.diagnostics[0].code == "no-closed-integral"
    assert "gaussian′ × gaussian′" in caught.value.diagnostics[0].message


def test_the_size_is_linear_and_other_inputs_stay() -> None:
    names = "\n".join(f"var y{i} : real" for i in range(60))
    steps = "".join(f"h = sum(h * gaussian(y{i}, width=4), width=4)\n" for i in range(1, 60))
    p = dn.parse(f"{names}\ncircuit p {{ h = gaussian(y0, width=4)\n{steps}return sum(h, width=1) }}").circuit
    slope = differentiate(p, "y30")
    # The path from y30 to the root, twice, and what it multiplies.
    assert len(slope.blocks) <= len(p.blocks) + 4
    mine = {block for block in slope.blocks if isinstance(block, Input) and block.variable.name != "y30"}
    assert mine <= set(p.blocks) and slope.variables == p.variables and slope.parameters


def test_what_does_not_depend_on_it_is_zero() -> None:
    free = Circuit(tables(1, 1), Store({}), "p", (x,))
    assert at(differentiate(free, "x"), {x: 1.0, z: 1.0}) == 0.0
    constant_one = circuit(hadamard([input_block(One(), x), tables(1, 1)]))
    assert float(dn.evaluate(differentiate(constant_one, "x"), [])) == 0.0


def test_it_is_written_read_and_compiled() -> None:
    text = (
        "var y : real; var z : bool\n"
        "circuit p { return sum(gaussian(y, [0, 3], [1, 2]) * bernoulli(z, [0.2, 0.7]), [[0.5, 0.5]]) }\n"
        "circuit d = differentiate(differentiate(p, y), y)\nquery likelihood = likelihood(d)"
    )
    spec = dn.parse(text)
    d = spec.circuits["d"]
    written = circuit_text(spec.circuits)[0]
    assert "differentiate(" in written
    rows = [[0.2, 1], [2.0, 0]]
    assert np.allclose(dn.evaluate(dn.parse(written).circuits["d"], rows), dn.evaluate(d, rows), rtol=1e-12)
    with pytest.warns(dn.DanausWarning, match="negative"):
        compiled = dn.compile(d).log_likelihood(rows)
    assert np.allclose(compiled, dn.evaluate(d, rows, semiring="log"), equal_nan=True)
    product = dn.parse("var x : bool; circuit p { return table(x, [[2, -3]]) }").circuit
    assert np.allclose(dn.likelihood(multiply(product, product), [[1]]), np.log(9))
    assert check(d, "nonnegative")["nonnegative"].status == "refuted"
    printed = str(dn.evaluate(d, [[0.5, 1]], semiring="sympy")[0].evalf(20))
    assert math.isclose(float(printed), dn.evaluate(d, [0.5, 1]), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("text", "name", "code"),
    [
        ("var y : bool; circuit p { return bernoulli(y, [0.5]) }", "y", "wrong-domain"),
        ("var y : count; circuit p { return poisson(y, [0.5]) }", "y", "wrong-domain"),
        ("var y : real; circuit p { return gaussian(y, [0], [1]) }", "x", "unknown-variable"),
        ("var y : real; circuit p { g = gaussian(y, [0], [1])\nreturn g * g }", "y", "not-decomposable"),
    ],
)
def test_refusals(text: str, name: str, code: str) -> None:
    with pytest.raises(DanausError) as caught:
        differentiate(dn.parse(text).circuit, name)
    assert caught.value.diagnostics[0].code == code
    assert isinstance(caught.value, Refused) == (code == "not-decomposable")


def test_a_conditional_of_derivatives_says_that_there_is_none() -> None:
    p = dn.parse("var y : real; circuit p { return sum(gaussian(y, [1, 3], [2, 0.5]), [[0.25, 0.75]]) }").circuit
    both = dn.add(p, differentiate(p, "y"))
    with pytest.raises(DanausError) as caught:
        print(dn.conditional(both, [[np.nan]])["y"].variance)
    assert caught.value.diagnostics[0].code == "no-distribution"
