"""Eager torch: a hidden Markov model backward in time in float32 logarithms, with autograd.

A step of a dense chain is a maximum, exp, a matrix product, log, and the emissions; of a Monarch chain each factor is
that with a batched product, and a transpose. One maximum stands for a vector (dense) or for a block of one (Monarch).
Derivatives are of all weights: initial, transition and emission.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from serve import Served, serve


def dense(logs: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
    """log(transition · exp(logs)), of [batch, states]."""
    top = logs.amax(1, keepdim=True)
    return torch.mm((logs - top).exp(), transition.T).log() + top


def factor(logs: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """log(part · exp(logs)) by blocks, of [blocks, size, batch]."""
    top = logs.amax(1, keepdim=True)
    return torch.bmm(part, (logs - top).exp()).log() + top


def make(spec: dict[str, Any]) -> Served:
    """The weights are those of the folder."""
    torch.set_num_threads(spec["threads"])
    torch.set_flush_denormal(True)
    folder = Path(spec["folder"])
    arrays = np.load(folder / "weights.npz")
    weights = {name: torch.from_numpy(arrays[name]).float().requires_grad_() for name in arrays}
    x = torch.from_numpy(np.load(folder / "x.npy"))
    steps = x.shape[1]
    initial, emission, transition = weights["initial"], weights["emission"], weights["transition"]

    def over_dense() -> torch.Tensor:
        emitted = emission.log().T.contiguous()
        state = torch.nn.functional.embedding(x[:, steps - 1], emitted)
        for step in range(steps - 2, -1, -1):
            state = dense(state, transition) + torch.nn.functional.embedding(x[:, step], emitted)
        return dense(state, initial)[:, 0]

    def over_monarch() -> torch.Tensor:
        left, right = transition, weights["transition#1"]
        first, second = right.shape[0], left.shape[0]
        emitted = emission.log().T.contiguous()

        def emissions(step: int) -> torch.Tensor:
            found = torch.nn.functional.embedding(x[:, step], emitted)
            return found.T.reshape(first, second, -1)

        state = emissions(steps - 1)
        for step in range(steps - 2, -1, -1):
            inner = factor(state, right).transpose(0, 1)
            state = factor(inner.contiguous(), left).transpose(0, 1) + emissions(step)
        return dense(state.reshape(first * second, -1).T, initial)[:, 0]

    run = over_monarch if "transition#1" in weights else over_dense

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return run()

    def both() -> None:
        for each in weights.values():
            each.grad = None
        torch.autograd.backward(run().sum())

    return Served({"forward": forward, "both": both}, lambda: forward().tolist())


if __name__ == "__main__":
    serve(make)
