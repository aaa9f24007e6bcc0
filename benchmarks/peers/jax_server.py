"""jax: a dense hidden Markov model backward in time in float32 logarithms, as a compiled scan, and its gradient.

Derivatives are of all weights. Threads are those of PJRT_NPROC.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from serve import Served, serve


def logarithm(weights: dict[str, Any], codes: Any) -> Any:
    """log p of codes [steps, batch]."""
    emitted = jnp.log(weights["emission"]).T

    def times(logs: Any, matrix: Any) -> Any:
        top = logs.max(1, keepdims=True)
        return jnp.log(jnp.exp(logs - top) @ matrix.T) + top

    def step(state: Any, code: Any) -> tuple[Any, None]:
        return times(state, weights["transition"]) + emitted[code], None

    state, _ = jax.lax.scan(step, emitted[codes[-1]], codes[:-1], reverse=True)
    return times(state, weights["initial"])[:, 0]


def make(spec: dict[str, Any]) -> Served:
    """The weights are those of the folder."""
    folder = Path(spec["folder"])
    arrays = np.load(folder / "weights.npz")
    weights = {name: jnp.asarray(arrays[name], dtype=jnp.float32) for name in arrays}
    codes = jnp.asarray(np.load(folder / "x.npy").T.astype(np.int32))
    value = jax.jit(logarithm)
    slope = jax.jit(jax.value_and_grad(lambda given, seen: logarithm(given, seen).sum()))
    runs = {
        "forward": lambda: jax.block_until_ready(value(weights, codes)),
        "both": lambda: jax.block_until_ready(slope(weights, codes)),
    }
    return Served(runs, lambda: np.asarray(value(weights, codes)).tolist(), {"version": jax.__version__})


if __name__ == "__main__":
    serve(make)
