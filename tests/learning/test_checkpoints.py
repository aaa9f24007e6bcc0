"""Learning that stops and goes on: the same floats as without a stop; checkpoints of something else are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.learning import trainer


def mixture(width: int = 3, family: str = "all") -> Circuit:
    inputs = dn.bernoulli(dn.Bool("a"), dn.param("p", [width], "unit"))
    inputs = inputs * dn.categorical(dn.Cat("b", 3), dn.param("q", [width, 3], "simplex"))
    if family == "all":
        inputs = inputs * dn.gaussian(
            dn.Real("c"),
            dn.param("m", [width], value=np.arange(width)),
            dn.param("s", [width], "positive", np.ones(width)),
        )
        inputs = inputs * dn.discretized_logistic(
            dn.Int("d", 0, 5),
            dn.param("n", [width], value=1 + np.arange(width)),
            dn.param("t", [width], "positive", np.ones(width)),
        )
    return dn.Circuit(dn.sum(inputs, dn.param("w", [1, width], "simplex")), seed=1)


def rows(count: int = 90, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    kind = random.random(count) < 0.4
    found = np.stack(
        [kind, random.integers(0, 3, count) * kind, random.normal(3 * kind), random.integers(0, 3, count) + 3 * kind], 1
    ).astype(float)
    found[random.random(found.shape) < 0.1] = np.nan
    return found


METHODS = {
    "em": {"method": "em"},
    "minibatch-em": {"method": "minibatch-em", "batch": 32},
    "minibatch-em with momentum": {"method": "minibatch-em", "batch": 32, "momentum": 0.8},
    "adam": {"method": "adam", "batch": 32, "seed": 3},
}


class Stop:
    """Presses Ctrl-C after so many epochs."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def __call__(self, epoch: object) -> None:
        if epoch.epoch == self.epoch:  # type: ignore[attr-defined]
            raise KeyboardInterrupt


def same(a: dn.Circuit, b: dn.Circuit) -> bool:
    pairs = zip(a.parameters, b.parameters, strict=True)
    return all(np.array_equal(a.store[x].floats, b.store[y].floats) for x, y in pairs)


@pytest.mark.parametrize("name", METHODS)
def test_a_stop_changes_nothing(name: str, tmp_path: Path) -> None:
    options = {"epochs": 6, "tolerance": -1.0, "patience": 50, **METHODS[name]}
    path = tmp_path / "c.safetensors"
    whole = dn.fit(mixture(), rows(), rows(30, 1), **options)
    for stop in (0, 3):
        with pytest.raises(KeyboardInterrupt):
            dn.fit(mixture(), rows(), rows(30, 1), checkpoint=path, progress=Stop(stop), **options)
        resumed = dn.fit(mixture(), rows(), rows(30, 1), checkpoint=path, resume=True, **options)
        assert [(e.epoch, e.train, e.valid) for e in resumed.history] == [
            (e.epoch, e.train, e.valid) for e in whole.history
        ]
        assert same(resumed.circuit, whole.circuit)
        assert resumed.ended == whole.ended == "epochs"


def test_more_epochs_can_follow(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    whole = dn.fit(mixture(), rows(), epochs=6, tolerance=-1.0)
    dn.fit(mixture(), rows(), epochs=3, tolerance=-1.0, checkpoint=path)
    resumed = dn.fit(mixture(), rows(), epochs=6, tolerance=-1.0, checkpoint=path, resume=True)
    assert [epoch.train for epoch in resumed.history] == [epoch.train for epoch in whole.history]
    assert same(resumed.circuit, whole.circuit)
    again = dn.fit(mixture(), rows(), epochs=6, tolerance=-1.0, checkpoint=path, resume=True)
    assert again.history == resumed.history
    assert same(again.circuit, whole.circuit)


def test_the_best_parameters_survive(tmp_path: Path) -> None:
    """A rate far too large: the last parameters are worse than the best."""
    path = tmp_path / "c.safetensors"
    options = {"method": "adam", "batch": 30, "step": 2.0, "epochs": 8, "patience": 50}
    whole = dn.fit(mixture(), rows(), rows(30, 1), **options)
    with pytest.raises(KeyboardInterrupt):
        dn.fit(mixture(), rows(), rows(30, 1), checkpoint=path, progress=Stop(7), **options)
    resumed = dn.fit(mixture(), rows(), rows(30, 1), checkpoint=path, resume=True, **options)
    assert whole.best.epoch < 8
    assert resumed.best.valid == whole.best.valid
    assert same(resumed.circuit, whole.circuit)
    mean = float(resumed.model.marginal(rows(30, 1)).mean()) - resumed.mass
    assert mean == pytest.approx(whole.best.valid, abs=1e-12)


def test_only_whole_epochs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of an epoch leaves the one before, however rarely checkpoints are written."""
    path = tmp_path / "c.safetensors"
    monkeypatch.setattr(trainer, "EVERY", 1e9)
    options = {"method": "minibatch-em", "batch": 32, "epochs": 5, "patience": 50}
    whole = dn.fit(mixture(), rows(), **options)
    batches, real = 0, trainer.MiniBatch._averaged

    def broken(self: object, *given: object) -> object:
        nonlocal batches
        batches += 1
        if batches == 8:
            raise KeyboardInterrupt
        return real(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer.MiniBatch, "_averaged", broken)
    with pytest.raises(KeyboardInterrupt):
        dn.fit(mixture(), rows(), checkpoint=path, **options)
    resumed = dn.fit(mixture(), rows(), checkpoint=path, resume=True, **options)
    assert same(resumed.circuit, whole.circuit)


def test_without_a_checkpoint_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    dn.fit(mixture(), rows(), epochs=1, checkpoint=path, resume=True)
    assert path.exists()
    with pytest.raises(dn.DanausError, match="none is named"):
        dn.fit(mixture(), rows(), resume=True)


def test_what_is_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"

    def go_on(circuit: Circuit, train: np.ndarray, valid: np.ndarray | None = None, **options: object) -> None:
        dn.fit(circuit, train, valid, **{"epochs": 2, "checkpoint": path, "resume": True, **options})

    go_on(mixture(), rows())
    for circuit in (mixture(4), mixture(3, "discrete")):
        with pytest.raises(dn.DanausError, match="another circuit") as caught:
            go_on(circuit, rows()[:, : len(circuit.variables)])
        assert caught.value.diagnostics[0].code == "other-checkpoint"
    with pytest.raises(dn.DanausError, match="other rows"):
        go_on(mixture(), rows(91))
    with pytest.raises(dn.DanausError, match="other rows"):
        go_on(mixture(), rows(seed=5))
    with pytest.raises(dn.DanausError, match="other rows"):
        go_on(mixture(), rows(), rows(seed=5))
    with pytest.raises(dn.DanausError, match="has method em, not adam"):
        go_on(mixture(), rows(), method="adam")
    with pytest.raises(dn.DanausError, match=r"has pseudocount 0.0, not 0.5"):
        go_on(mixture(), rows(), pseudocount=0.5)
    go_on(mixture(), rows(), patience=9, tolerance=1e-3, epochs=3)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    dn.fit(mixture(), rows(), epochs=1, checkpoint=path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-9] ^= 1
    header = bytearray(whole)
    header[whole.index(b"danaus fit")] ^= 1
    for content in (b"", whole[:5], whole[:40], whole[:-1], bytes(flipped), b"\xff" * 100, bytes(header)):
        path.write_bytes(content)
        with pytest.raises(dn.DanausError) as caught:
            dn.fit(mixture(), rows(), epochs=1, checkpoint=path, resume=True)
        assert caught.value.diagnostics[0].code in ("damaged-checkpoint", "other-checkpoint")
    with pytest.raises(dn.DanausError, match="cannot be written"):
        dn.fit(mixture(), rows(), epochs=1, checkpoint=tmp_path / "nowhere" / "c.safetensors")


def test_parameters_are_no_checkpoint(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.ones(3)}, tmp_path / "c.safetensors")
    with pytest.raises(dn.DanausError, match="no checkpoint of `fit`"):
        dn.fit(mixture(), rows(), checkpoint=tmp_path / "c.safetensors", resume=True)


def test_a_checkpoint_takes_the_place_of_no_spec(tmp_path: Path) -> None:
    spec = tmp_path / "mixture.circuit"
    spec.write_text("var x : bool\n")
    for resume in (False, True):
        with pytest.raises(dn.DanausError, match=r"has not the suffix \.safetensors"):
            dn.fit(mixture(), rows(), epochs=1, checkpoint=spec, resume=resume)
    assert spec.read_text() == "var x : bool\n"
