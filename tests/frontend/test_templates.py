"""`hmm` and `mixture`: their values by sums over all paths, their parameters, what they refuse."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from danaus.frontend import templates
from danaus.frontend.fresh import Declarations
from danaus.frontend.maps import (
    BlockDiagonalForm,
    ComposeForm,
    DenseForm,
    DiagonalForm,
    KronForm,
    MapForm,
    MonarchForm,
    PermuteForm,
    SparseForm,
)
from danaus.ir.block import Block, input_block
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from danaus.ir.family import Bernoulli
from danaus.ir.parameter import Value, constant
from danaus.ir.query import log_likelihood
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


def hmm(variables: list[Variable], states: int, seed: int = 0, **options: object) -> Circuit:
    return made(templates.hmm, variables, states, ..., seed=seed, **options)


def by_paths(initial: np.ndarray, transition: np.ndarray, emission: np.ndarray) -> float:
    """Σ over all paths of states; emission[t, k] is e(x_t | k)."""
    steps, states = emission.shape
    total = 0.0
    for path in itertools.product(range(states), repeat=steps):
        term = initial[path[0]] * emission[0, path[0]]
        for t in range(1, steps):
            term *= transition[path[t - 1], path[t]] * emission[t, path[t]]
        total += term
    return total


def block_diagonal(blocks: np.ndarray) -> np.ndarray:
    count, m, n = blocks.shape
    out = np.zeros((count * m, count * n))
    for b in range(count):
        out[b * m : (b + 1) * m, b * n : (b + 1) * n] = blocks[b]
    return out


def monarch(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The language's formula for two parts: L[j, i, i′] · R[i′, j, j′]."""
    b1, b2 = left.shape[1], right.shape[1]
    out = np.zeros((b1 * b2, b1 * b2))
    for i, j, k, m in itertools.product(range(b1), range(b2), range(b1), range(b2)):
        out[i * b2 + j, k * b2 + m] = left[j, i, k] * right[k, j, m]
    return out


def written_out(form: MapForm | None, parts: list[np.ndarray], states: int) -> np.ndarray:
    match form:
        case None | DenseForm():
            return parts[0]
        case DiagonalForm():
            return np.diag(parts[0])
        case BlockDiagonalForm():
            return block_diagonal(parts[0])
        case MonarchForm():
            return monarch(*parts)
        case SparseForm(rows, columns):
            out = np.zeros((states, states))
            out[list(rows), list(columns)] = parts[0]
            return out
        case PermuteForm(index):
            return np.eye(states)[list(index)]
        case ComposeForm((one, other)):
            first = written_out(one, parts[:1], states)
            return first @ written_out(other, parts[1:], states)
        case _:
            raise AssertionError(form)


FORMS: list[MapForm | None] = [
    None,
    DenseForm(),
    DiagonalForm(),
    BlockDiagonalForm(2),
    MonarchForm((2, 2)),
    SparseForm((0, 1, 2, 3, 0), (1, 2, 3, 0, 0)),
    PermuteForm((2, 0, 3, 1)),
    ComposeForm((BlockDiagonalForm(2), DenseForm())),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_an_hmm_is_the_sum_over_its_paths(form: MapForm | None) -> None:
    circuit = hmm(array(3, Cat(3)), 4, transition=form)
    found = values(circuit)
    parts = [found[name] for name in sorted(found) if name.startswith("transition")]
    transition = written_out(form, parts, 4)
    expected = [
        by_paths(found["initial"][0], transition, found["emission"].T[row.astype(int)]) for row in assignments(circuit)
    ]
    np.testing.assert_allclose(probabilities(circuit), expected, rtol=1e-12)
    require_smooth_and_decomposable(circuit)


@pytest.mark.parametrize("states", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_an_hmm_of_any_size_is_normalized(length: int, states: int) -> None:
    circuit = hmm(array(length, Bool()), states)
    require_normalized(circuit)
    assert math.isclose(probabilities(circuit).sum(), 1, rel_tol=1e-12)


def gaussian(found: dict[str, np.ndarray], x: float) -> np.ndarray:
    m, s = found["emission"], found["emission#1"]
    return np.exp(-0.5 * ((x - m) / s) ** 2) / (s * np.sqrt(2 * np.pi))


def poisson(found: dict[str, np.ndarray], x: float) -> np.ndarray:
    rate = found["emission"]
    return rate**x * np.exp(-rate) / math.factorial(int(x))


def bernoulli(found: dict[str, np.ndarray], x: float) -> np.ndarray:
    return found["emission"] if x else 1 - found["emission"]


def binomial(found: dict[str, np.ndarray], x: float) -> np.ndarray:
    p = found["emission"]
    return math.comb(3, int(x)) * p**x * (1 - p) ** (3 - x)


def categorical_from_minus_one(found: dict[str, np.ndarray], x: float) -> np.ndarray:
    return found["emission"][:, int(x) + 1]


@pytest.mark.parametrize(
    ("domain", "family", "density", "row"),
    [
        (Real(), None, gaussian, [0.3, -1.2, 2.0]),
        (Count(), None, poisson, [0, 4, 1]),
        (Bool(), None, bernoulli, [0, 1, 1]),
        (Int(-1, 1), None, categorical_from_minus_one, [-1, 1, 0]),
        (Int(0, 3), "binomial", binomial, [3, 0, 1]),
    ],
)
def test_the_emission_follows_the_domain_or_its_name(
    domain: Domain, family: str | None, density: object, row: list[float]
) -> None:
    assert callable(density)
    circuit = hmm(array(3, domain), 3, seed=5, emission=family)
    found = values(circuit)
    emission = np.array([density(found, x) for x in row])
    expected = by_paths(found["initial"][0], found["transition"], emission)
    assert math.isclose(np.exp(log_likelihood(circuit, np.array([row]))[0]), expected, rel_tol=1e-12)


def test_the_parameters_of_an_hmm_have_the_languages_names() -> None:
    assert shapes(hmm(array(5, Cat(7)), 4)) == {"initial": (1, 4), "transition": (4, 4), "emission": (4, 7)}
    monarch_of_reals = shapes(hmm(array(5, Real()), 6, transition=MonarchForm((2, 3))))
    assert monarch_of_reals == {
        "initial": (1, 6),
        "transition": (3, 2, 2),
        "transition#1": (2, 3, 3),
        "emission": (6,),
        "emission#1": (6,),
    }
    assert shapes(hmm(array(1, Bool()), 2)) == {"initial": (1, 2), "transition": (2, 2), "emission": (2,)}


def test_transition_and_emission_are_shared_over_time() -> None:
    declarations = Declarations()
    templates.hmm(array(50, Bool()), 3, declarations, "p")
    assert list(declarations.parameters) == ["p.initial", "p.transition", "p.emission"]
    assert [parameter.constraint for parameter in declarations.parameters.values()] == ["simplex", "simplex", "unit"]


def test_an_hmm_of_length_10000_has_three_blocks_per_step_and_the_value_of_the_forward_algorithm() -> None:
    length = 10_000
    circuit = hmm(array(length, Bool()), 3)
    assert len(circuit.blocks) == 3 * length - 1
    found = values(circuit)
    row = np.random.default_rng(0).integers(0, 2, length)
    forward, expected = found["initial"][0], 0.0
    for t, x in enumerate(row):
        forward = (forward if t == 0 else forward @ found["transition"]) * bernoulli(found, x)
        expected += math.log(forward.sum())
        forward = forward / forward.sum()
    assert math.isclose(log_likelihood(circuit, row[None].astype(float))[0], expected, rel_tol=1e-12)


def test_permutations_of_a_long_structured_chain_are_held_once() -> None:
    circuit = hmm(array(300, Bool()), 64, transition=MonarchForm((8, 8)))
    assert len({id(part) for block in circuit.blocks for part in getattr(getattr(block, "map", None), "maps", ())}) == 3


def refusal(template: object, *arguments: object, **options: object) -> tuple[str, str]:
    assert callable(template)
    with pytest.raises(DanausError) as caught:
        made(template, *arguments, **options)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.message


def test_an_hmm_refuses_what_it_cannot_be() -> None:
    x, y = Variable("x", Bool()), Variable("y", Cat(3))
    assert refusal(templates.hmm, [x, y], 2, ...) == ("wrong-domain", '"x" is bool, but "y" is cat(3)')
    assert refusal(templates.hmm, [x, x], 2, ...) == ("duplicate-name", '"x" stands twice')
    assert refusal(templates.hmm, [], 2, ...) == ("wrong-arguments", "hmm needs at least one variable")
    assert refusal(templates.hmm, [x], 0, ...) == ("wrong-size", "states is 0")
    assert refusal(templates.hmm, [x], 2, ..., emission="gaussian")[0] == "wrong-domain"
    assert refusal(templates.hmm, [x], 2, ..., emission="gauss")[0] == "unknown-family"
    assert refusal(templates.hmm, [x], 6, ..., transition=MonarchForm((2, 2)))[0] == "wrong-shape"
    assert refusal(templates.hmm, [x], 4, ..., transition=KronForm())[0] == "wrong-arguments"
    assert refusal(templates.hmm, [x], 10**12, ...)[0] == "too-large"
    assert refusal(templates.hmm, [x], 10**6, ...)[0] == "too-large"


def coins(*ps: object) -> list[Block]:
    x = Variable("x", Bool())
    return [input_block(Bernoulli(), x, [constant([p])]) for p in ps]


def test_a_mixture_is_the_weighted_sum() -> None:
    circuit = made(templates.mixture, coins(Fraction(1, 2), Fraction(1, 4)), Value.of([0.25, 0.75]), ...)
    np.testing.assert_allclose(probabilities(circuit), [0.6875, 0.3125], rtol=1e-14)
    (weights,) = circuit.parameters
    assert (weights.name, weights.shape, weights.constraint, weights.learnable) == (
        "p.weights",
        (1, 2),
        "simplex",
        True,
    )


def test_weights_of_a_mixture_off_the_simplex_are_real_and_keep_their_fractions() -> None:
    circuit = made(templates.mixture, coins(0.5, 0.25), Value.of([Fraction(1, 3), Fraction(-2, 3)]), ...)
    (weights,) = circuit.parameters
    assert weights.constraint == "real"
    assert circuit.store[weights].exact.tolist() == [[Fraction(1, 3), Fraction(-2, 3)]]
    third = made(templates.mixture, coins(0.5, 0.25, 0.1), Value.of([Fraction(1, 3)] * 3), ...)
    assert third.parameters[0].constraint == "simplex"


def test_a_mixture_refuses_what_it_cannot_be() -> None:
    assert refusal(templates.mixture, [], Value.of([]), ...)[0] == "wrong-arguments"
    one = refusal(templates.mixture, coins(0.5), Value.of([0.5, 0.5]), ...)
    assert one == ("wrong-shape", "1 circuits, but weights of shape [2]")
    wide = input_block(Bernoulli(), Variable("x", Bool()), [constant([0.5, 0.5])])
    assert refusal(templates.mixture, [wide], Value.of([1.0]), ...)[0] == "wrong-width"


def test_variables_made_anew_under_old_names_keep_their_own_order() -> None:
    """Equal blocks are shared, but the order of a circuit's columns must not come from an older circuit."""

    def over(*names: str) -> Circuit:
        inputs = [input_block(Bernoulli(), Variable(name, Bool()), [constant([0.5])]) for name in names]
        return made(templates.mixture, inputs, Value.of([0.5, 0.5]), ...)

    older, newer = over("b", "a"), over("a", "b")
    assert [variable.name for variable in older.variables] == ["b", "a"]
    assert [variable.name for variable in newer.variables] == ["a", "b"]
