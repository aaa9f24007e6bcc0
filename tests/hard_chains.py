"""Chains that are hard for fast numbers: models from soft to near-deterministic, as circuits and as plain arrays.

A chain of T steps over K states: x ← E[:, c_t] · (W x), from all ones, and 1/K of the sum at the end. The models are
those of the underflow prototypes: their names say how far, in nats, live states lie below the largest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import danaus as dn
from danaus.ir.circuit import Circuit


@dataclass(frozen=True)
class Chain:
    """W [K, K], E [K, V] and rows of categories [batch, T]."""

    weights: np.ndarray
    emission: np.ndarray
    rows: np.ndarray

    @property
    def circuit(self) -> Circuit:
        states, values = self.emission.shape
        steps = self.rows.shape[1]
        x = dn.Cat("x", values, shape=steps)
        transition = dn.const("W", [states, states], value=self.weights)
        emission = dn.const("E", [states, values], value=self.emission)
        block = dn.sum(dn.table(x[0], emission), transition)
        for t in range(1, steps):
            block = dn.sum(block * dn.table(x[t], emission), transition)
        return dn.Circuit(dn.sum(block, np.full((1, states), 1 / states)), name="chain")

    def log_likelihood(self) -> np.ndarray:
        """In float64, every term of every sum below its own maximum."""
        with np.errstate(divide="ignore"):
            weights, emission = np.log(self.weights), np.log(self.emission)
        state = np.zeros((len(self.rows), len(weights)))
        for t in range(self.rows.shape[1]):
            state = _sum(weights[None], (state + emission[:, self.rows[:, t]].T)[:, None, :])
        return _sum(np.zeros((1, 1)), state) - np.log(len(weights))


def _sum(weights: np.ndarray, state: np.ndarray) -> np.ndarray:
    terms = weights + state
    top = np.maximum(terms.max(-1, keepdims=True), -1e300)
    with np.errstate(divide="ignore"):
        total: np.ndarray = np.log(np.exp(terms - top).sum(-1)) + top[..., 0]
    return total


ORDINARY = ("soft", "dirichlet", "peaky", "sparse", "emission zeros", "anti-correlated 4")
"""None of whose rows needs to be computed again."""
HARD = ("near permutation 120", "near-deterministic 60", "dropped weights", "anti-correlated 40", "anti-correlated 100")
"""Which float32 loses: rows must be computed again."""
OTHERS = ("near permutation 20", "near permutation 60", "near-deterministic 20", "softmax(15 n)")
"""On which either is right."""


def chain(name: str, states: int = 16, steps: int = 64, batch: int = 32, seed: int = 0) -> Chain:
    """The chain of a name."""
    random = np.random.default_rng(seed)
    values = 8
    rows = random.integers(0, values, (batch, steps))
    eye = np.eye(states)

    def soft(shape: tuple[int, ...], heat: float) -> np.ndarray:
        found = np.exp(heat * random.standard_normal(shape))
        return found / found.sum(-1, keepdims=True)

    def near(nats: float) -> np.ndarray:
        found = eye[random.permutation(states)] + np.exp(-nats * random.random((states, states)))
        return found / found.sum(1, keepdims=True)

    def right(nats: float) -> np.ndarray:
        hit = np.arange(values) == random.integers(0, values, (states, 1))
        return np.where(hit, 1, np.exp(-nats * (0.5 + random.random((states, values)))))

    def identity(nats: float) -> np.ndarray:
        return eye + np.exp(-nats) * (1 - eye)

    def against(nats: float, back: float) -> np.ndarray:
        half = np.arange(states) < states // 2
        found = np.ones((states, values))
        found[:, 0], found[:, 1] = np.where(half, 1, np.exp(-nats)), np.where(half, np.exp(-back), 1)
        return found

    kind, _, number = name.rpartition(" ")
    match kind or name:
        case "dirichlet":
            return Chain(
                random.dirichlet(np.full(states, 0.1), states), random.dirichlet(np.ones(values), states), rows
            )
        case "near permutation":
            return Chain(near(float(number)), np.exp(-float(number) * random.random((states, values))), rows)
        case "near-deterministic":
            return Chain(near(float(number) + 20), right(float(number)), rows)
        case "anti-correlated":
            # each row sees category 0 for one to seven steps, then 1: states far below must come back
            steps = 17
            rows = (np.arange(steps) >= np.linspace(1, 7, batch).astype(int)[:, None]).astype(int)
            return Chain(identity(150), against(float(number), float(number)), rows)
    match name:
        case "soft":
            return Chain(soft((states, states), 0.5), soft((states, values), 0.5), rows)
        case "peaky":
            return Chain(soft((states, states), 5), soft((states, values), 3), rows)
        case "softmax(15 n)":
            return Chain(soft((states, states), 15), soft((states, values), 3), rows)
        case "sparse":
            found = random.random((states, states)) * (random.random((states, states)) < 0.3) + eye
            return Chain(found / found.sum(1, keepdims=True), soft((states, values), 0.5), rows)
        case "emission zeros":
            found = random.random((states, values)) * (random.random((states, values)) < 0.5)
            return Chain(soft((states, states), 0.5), found, rows)
        case "dropped weights":
            steps = 17
            rows = (np.arange(steps) >= np.linspace(1, 7, batch).astype(int)[:, None]).astype(int)
            return Chain(identity(110), against(np.inf, 39.0), rows)
    raise ValueError(name)
