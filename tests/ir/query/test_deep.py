"""A chain of ten thousand blocks: queries agree with forward–backward and Viterbi, and do not recurse."""

from __future__ import annotations

import numpy as np
import pytest

from danaus.ir.block import Block, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Variable
from danaus.ir.family import Bernoulli
from danaus.ir.linear import Dense
from danaus.ir.parameter import Parameter, Value
from danaus.ir.query import conditional, hamming, log_likelihood, moment, most_probable, partition, sample, sample_given
from danaus.ir.store import Store

STEPS = 3400
INITIAL = np.array([0.6, 0.4])
TRANSITION = np.array([[0.9, 0.1], [0.2, 0.8]])
EMISSION = np.array([0.1, 0.7])


@pytest.fixture(scope="module")
def chain() -> Circuit:
    parameters = [
        Parameter("initial", (1, 2), "simplex"),
        Parameter("transition", (2, 2), "simplex"),
        Parameter("emission", (2,), "unit"),
    ]
    store = Store(dict(zip(parameters, map(Value.of, (INITIAL[None], TRANSITION, EMISSION)), strict=True)))
    variables = [Variable(f"t[{i}]", Bool()) for i in range(STEPS)]
    later: Block | None = None
    for step in reversed(range(STEPS)):
        emitted = input_block(Bernoulli(), variables[step], [parameters[2]])
        both = emitted if later is None else hadamard([emitted, later])
        later = weighted([both], Dense(parameters[1] if step else parameters[0]))
    assert later is not None
    circuit = Circuit(later, store)
    assert len(circuit.blocks) > 10_000
    return circuit


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.integers(0, 2, size=(2, STEPS)).astype(float), random.random((2, STEPS)) < 0.6


def emitted(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """P(value | state) per step, 1 where it is missing: [steps, states]."""
    chance = np.where(values[:, None] == 1, EMISSION, 1 - EMISSION)
    return np.where(observed[:, None], chance, 1.0)


def forward_backward(values: np.ndarray, observed: np.ndarray) -> tuple[float, np.ndarray]:
    """The log-likelihood, and the posterior of each state, [steps, states]."""
    chances = emitted(values, observed)
    forward, backward = np.zeros((STEPS, 2)), np.ones((STEPS, 2))
    log = 0.0
    state = INITIAL
    for t in range(STEPS):
        forward[t] = state * chances[t]
        log += np.log(forward[t].sum())
        forward[t] /= forward[t].sum()
        state = forward[t] @ TRANSITION
    for t in reversed(range(STEPS - 1)):
        backward[t] = TRANSITION @ (chances[t + 1] * backward[t + 1])
        backward[t] /= backward[t].sum()
    posterior = forward * backward
    return log, posterior / posterior.sum(axis=1, keepdims=True)


def test_likelihoods(chain: Circuit, rows: tuple[np.ndarray, np.ndarray]) -> None:
    values, observed = rows
    wanted = [forward_backward(v, o)[0] for v, o in zip(values, observed, strict=True)]
    assert log_likelihood(chain, values, observed) == pytest.approx(wanted, rel=1e-12)
    assert partition(chain) == pytest.approx(0.0, abs=1e-10)


def test_conditionals(chain: Circuit, rows: tuple[np.ndarray, np.ndarray]) -> None:
    values, observed = rows
    found = conditional(chain, values, observed)
    for row in range(len(values)):
        _, posterior = forward_backward(values[row], observed[row])
        for t in np.flatnonzero(~observed[row]):
            answer = found[chain.variables[t]]
            assert isinstance(answer, np.ndarray)
            assert answer[row, 1] == pytest.approx(posterior[t] @ EMISSION, rel=1e-11)


def test_most_probable(chain: Circuit, rows: tuple[np.ndarray, np.ndarray]) -> None:
    """The values emitted along the best path of states (Viterbi), where a missing value counts with its best chance."""
    values, observed = rows
    found = most_probable(chain, values, observed)
    for row in range(len(values)):
        best_chance = np.where(observed[row][:, None], 1.0, np.maximum(EMISSION, 1 - EMISSION))
        chances = emitted(values[row], observed[row]) * best_chance
        scores, back = np.log(INITIAL * chances[0]), np.zeros((STEPS, 2), dtype=int)
        for t in range(1, STEPS):
            paths = scores[:, None] + np.log(TRANSITION)
            back[t], scores = paths.argmax(axis=0), paths.max(axis=0) + np.log(chances[t])
        state, wanted = int(scores.argmax()), values[row].copy()
        for t in reversed(range(STEPS)):
            if not observed[row, t]:
                wanted[t] = float(EMISSION[state] > 0.5)
            state = back[t, state]
        assert np.array_equal(found.values[row], wanted)
    assert found.log_probability == pytest.approx(log_likelihood(chain, found.values), rel=1e-13)
    assert not found.exact


def test_samples(chain: Circuit, rows: tuple[np.ndarray, np.ndarray]) -> None:
    drawn = sample(chain, 4, 1)
    stationary = np.array([2 / 3, 1 / 3]) @ EMISSION
    assert drawn.mean() == pytest.approx(stationary, abs=0.03)
    values, observed = rows
    completed = sample_given(chain, values, observed, 1)
    assert np.array_equal(completed[observed], values[observed])


def test_moment(chain: Circuit) -> None:
    last = INITIAL @ np.linalg.matrix_power(TRANSITION, STEPS - 1) @ EMISSION
    assert moment(chain, chain.variables[-1], 1) == pytest.approx(last, rel=1e-9)


def test_hamming_of_a_long_chain(chain: Circuit) -> None:
    """The mean number of ones is the sum of the chances of each."""
    found = np.exp(hamming(chain))
    state, mean = INITIAL, 0.0
    for _ in range(STEPS):
        mean, state = mean + state @ EMISSION, state @ TRANSITION
    assert found.sum() == pytest.approx(1.0, abs=1e-9)
    assert found @ np.arange(STEPS + 1) == pytest.approx(mean, rel=1e-9)
