"""Queries of bundles are those of the module that was saved: conditional, MAP, samples, moments, ones, latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.bundled import Bundled
from danaus.runtime.executable import Executable
from small_circuits import evidence, random_circuit


def _both(circuit: Circuit, path: Path) -> tuple[Executable, Bundled]:
    model = dn.compile(circuit)
    model.save(path)
    return model, dn.load_bundle(path)


@pytest.mark.filterwarnings("ignore::danaus.DanausWarning")
@pytest.mark.parametrize("seed", range(25))
def test_random_circuits(seed: int, tmp_path: Path) -> None:
    circuit = dn.smooth(random_circuit(seed))
    model, loaded = _both(circuit, tmp_path / "p.zip")
    x, observed = evidence(circuit, 9, seed, 0.5)
    observed[np.isneginf(dn.marginal(circuit, x, observed))] = False
    for name, found in model.conditional(x, observed).items():
        np.testing.assert_allclose(loaded.conditional(x, observed)[name], found, rtol=1e-12)
    want, got = model.map(x, observed), loaded.map(x, observed)
    np.testing.assert_array_equal(got.values, want.values)
    np.testing.assert_array_equal(got.certain, want.certain)
    if np.isfinite(dn.partition(circuit)):
        assert torch.equal(loaded.sample(x, observed, seed=seed), model.sample(x, observed, seed=seed))
        assert torch.equal(loaded.sample(5, seed=seed), model.sample(5, seed=seed))


def test_chains_of_loops(tmp_path: Path) -> None:
    circuit = dn.hmm(dn.Bool("x", shape=60), states=4, transition=dn.monarch(2, 2))
    model, loaded = _both(circuit, tmp_path / "p.danaus")
    x, observed = evidence(circuit, 6, 1, 0.5)
    np.testing.assert_array_equal(loaded.map(x, observed).values, model.map(x, observed).values)
    assert torch.equal(loaded.sample(x, observed, seed=3), model.sample(x, observed, seed=3))
    np.testing.assert_array_equal(loaded.decode(x, observed).values, model.decode(x, observed).values)
    torch.testing.assert_close(loaded.posterior(x, observed), model.posterior(x, observed))
    torch.testing.assert_close(loaded.hamming(), model.hamming())
    assert loaded.moment("x[3]", 1) == pytest.approx(model.moment("x[3]", 1))
    weights = {"x[7]": np.array([0.5, 0.25])}
    got, want = (each.marginal(x, observed, evidence=weights) for each in (loaded, model))
    torch.testing.assert_close(got, want)
    with pytest.raises(dn.DanausError, match="there is no variable"):
        loaded.moment("y", 1)


@pytest.mark.parametrize("seed", range(3))
def test_negative_numbers_are_likelihoods_only(seed: int, tmp_path: Path) -> None:
    circuit = dn.smooth(random_circuit(seed, signed=True))
    _, loaded = _both(circuit, tmp_path / "p.zip")
    assert set(loaded.queries) <= {"likelihood", "marginal", "partition"}
    with pytest.raises(dn.DanausError, match="not-in-bundle"):
        loaded.conditional(evidence(circuit, 2, 0, 0.0)[0])
