"""Bundles: what is saved answers as the model that it was made from, and what was changed since is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.cpu import load as loading
from danaus.backends.cpu.machine import NAMED
from danaus.compiler.bundling import bundle_of
from danaus.ir.circuit import Circuit
from danaus.runtime import bundle as bundles
from hard_chains import HARD, chain
from small_circuits import evidence, random_circuit

ELF_MACHINES = {"cpu:x86-64-v3": 62, "cpu:x86-64-v4": 62, "cpu:aarch64": 183}


def hmm() -> Circuit:
    return dn.hmm(dn.Cat("x", 5, shape=7), states=9)


def rows_of(circuit: Circuit, rows: int, seed: int, missing: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows with values missing where the circuit may be asked to sum them out."""
    x, observed = evidence(circuit, rows, seed, missing)
    if any(result.status != "proved" for result in dn.check(circuit, "smooth", "decomposable").values()):
        observed[:] = True
    return x, observed


def files(path: Path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


@pytest.mark.parametrize("seed", range(12))
def test_a_bundle_answers_as_its_model(seed: int, tmp_path: Path) -> None:
    circuit = random_circuit(seed)
    x, observed = rows_of(circuit, 40, seed, 0.5)
    model = dn.compile(circuit, dtype="float64" if seed % 3 else "float32")
    path = tmp_path / ("p.zip" if seed % 2 else "p.danaus")
    model.save(path)
    loaded = dn.load_bundle(path)
    assert torch.equal(loaded.log_likelihood(x, observed), model.log_likelihood(x, observed))
    if not observed.all():
        assert loaded.partition() == model.partition()
    assert loaded.origin == "bundle"
    assert [(v.name, v.domain) for v in loaded.variables] == [(v.name, v.domain) for v in circuit.variables]
    with pytest.raises(dn.DanausError, match="wrong-shape"):
        loaded.log_likelihood(np.zeros((2, len(circuit.variables) + 1)))


@pytest.mark.parametrize("seed", range(10))
def test_circuits_of_both_signs(seed: int, tmp_path: Path) -> None:
    circuit = random_circuit(seed, signed=True)
    x, observed = rows_of(circuit, 20, seed, 0.5)
    dn.compile(circuit, dtype="float64").save(tmp_path / "p.danaus")
    loaded = dn.load_bundle(tmp_path / "p.danaus")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        got, want = loaded.log_likelihood(x, observed), dn.evaluate(circuit, x, observed=observed, semiring="log")
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", HARD)
def test_rows_that_fast_numbers_lose_are_computed_again(name: str, tmp_path: Path) -> None:
    hard = chain(name)
    dn.compile(hard.circuit).save(tmp_path / "p.danaus")
    loaded = dn.load_bundle(tmp_path / "p.danaus")
    got = loaded.log_likelihood(hard.rows).numpy()
    assert loaded.recomputed > 0
    np.testing.assert_allclose(got, hard.log_likelihood(), rtol=1e-5)


def test_numbers_beyond_float64_are_kept_as_logarithms(tmp_path: Path) -> None:
    x = dn.Int("x", 0, 2000)
    circuit = dn.Circuit(dn.sum(dn.binomial(x, 2000, [0.5]), [[1.0]]))
    bundle = bundle_of(circuit)
    assert bundle.exact
    bundles.save_bundle(bundle, tmp_path / "p.danaus")
    got = dn.load_bundle(tmp_path / "p.danaus").log_likelihood([[0]])
    assert float(got) == pytest.approx(2000 * np.log(0.5), rel=1e-12)


def test_infinite_domains(tmp_path: Path) -> None:
    x, n = dn.Real("x"), dn.Count("n")
    circuit = dn.Circuit(dn.sum(dn.gaussian(x, [0.0, 3.0], [1.0, 0.5]) * dn.poisson(n, [2.0, 7.0]), [[0.25, 0.75]]))
    rows = np.array([[0.5, 3], [np.nan, 4], [-60.0, np.nan], [np.nan, np.nan]])
    model = dn.compile(circuit, dtype="float64")
    model.save(tmp_path / "p.zip")
    assert torch.equal(dn.load_bundle(tmp_path / "p.zip").marginal(rows), model.marginal(rows))


def test_what_is_not_proved_is_not_answered(tmp_path: Path) -> None:
    x, y = dn.Bool("x"), dn.Bool("y")
    rough = dn.Circuit(dn.sum(dn.concat(dn.bernoulli(x, [0.5]), dn.bernoulli(y, [0.25])), [[0.5, 0.5]]))
    model = dn.compile(rough)
    model.save(tmp_path / "p.danaus")
    loaded = dn.load_bundle(tmp_path / "p.danaus")
    rows = np.array([[0, 1], [1, 1]])
    assert torch.equal(loaded.log_likelihood(rows), model.log_likelihood(rows))
    for ask in (loaded.partition, lambda: loaded.marginal(rows), lambda: loaded.log_likelihood(rows, rows == 0)):
        with pytest.raises(dn.DanausError, match="not-in-bundle"):
            ask()


def test_changed_parameters_are_saved(tmp_path: Path) -> None:
    model = dn.compile(hmm())
    for parameter in model.parameters():
        parameter.copy_(torch.full_like(parameter, 1 / parameter.shape[-1]))
    model.save(tmp_path / "p.danaus")
    x = np.zeros((3, 7))
    assert torch.equal(dn.load_bundle(tmp_path / "p.danaus").forward(x), model.forward(x))


def test_other_queries_say_that_they_are_not_there(tmp_path: Path) -> None:
    dn.compile(hmm()).save(tmp_path / "p.danaus")
    loaded = dn.load_bundle(tmp_path / "p.danaus")
    x = np.zeros((1, 7))
    for ask in (loaded.hamming, lambda: loaded.run(x)):
        with pytest.raises(dn.DanausError, match="not-in-bundle"):
            ask()
    with pytest.raises(dn.DanausError, match="not-in-bundle"):
        _ = loaded.circuit


def test_loading_takes_neither_compiler_nor_frontend(tmp_path: Path) -> None:
    dn.compile(hmm()).save(tmp_path / "p.zip")
    code = (
        "import sys, danaus.bundles, pathlib\n"
        f"danaus.bundles.load(pathlib.Path({str(tmp_path / 'p.zip')!r})).partition()\n"
        "print([name for name in sys.modules if name.startswith(('danaus.compiler', 'danaus.frontend', 'lark'))])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


def test_the_same_circuit_gives_the_same_bytes_and_no_path(tmp_path: Path) -> None:
    circuit = hmm()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        dn.compile(circuit).save(tmp_path / name / "p.danaus")
        dn.compile(circuit).save(tmp_path / name / "p.zip")
    one, two = files(tmp_path / "a"), files(tmp_path / "b")
    assert one == two
    assert {Path(name).parts[0] for name in one} == {"p.danaus", "p.zip"}
    for content in one.values():
        for place in (tmp_path, Path.home(), Path.cwd(), Path(sys.prefix)):
            assert len(str(place)) < 2 or str(place).encode() not in content


@pytest.mark.parametrize("place", ["manifest.json", "programs/likelihood.json", "parameters.safetensors", "kernels"])
def test_what_was_changed_is_refused(place: str, tmp_path: Path) -> None:
    path = tmp_path / "p.danaus"
    dn.compile(hmm()).save(path)
    chosen = next(path.rglob("*.o")) if place == "kernels" else path / place
    content = chosen.read_bytes()
    middle = len(content) // 2
    for wrong in (
        content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        content[:middle],
        b"",
        content + b"\n ",
    ):
        chosen.write_bytes(wrong)
        if place == "manifest.json" and wrong.startswith(content):
            continue  # space after the manifest says nothing
        with pytest.raises(dn.DanausError, match="damaged-bundle"):
            dn.load_bundle(path)
    chosen.unlink()
    with pytest.raises(dn.DanausError, match="no whole bundle"):
        dn.load_bundle(path)


@pytest.mark.parametrize("name", ["../p.o", "/etc/hostname", "a/../../p.o", "C:x", ""])
def test_files_outside_are_not_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.danaus"
    dn.compile(hmm()).save(path)
    _change(path, lambda manifest: manifest.update(program=name, files={name: {"bytes": 1, "sha256": ""}}))
    with pytest.raises(dn.DanausError, match="damaged-bundle"):
        dn.load_bundle(path)


def test_later_formats_and_nonsense_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.danaus"
    dn.compile(hmm()).save(path)
    original = (path / "manifest.json").read_bytes()
    for change in (
        lambda manifest: manifest.pop("variables"),
        lambda manifest: manifest.update(variables=[{"name": "x"}]),
        lambda manifest: manifest["numbers"].update(bytes=3),
        lambda manifest: manifest.update(free=[70]),
        lambda manifest: manifest.update(kernels=[1]),
        lambda manifest: manifest.update(densities=[{"family": "wishart"}]),
        lambda manifest: manifest["variables"].pop(),
    ):
        (path / "manifest.json").write_bytes(original)
        _change(path, change)
        with pytest.raises(dn.DanausError, match="damaged-bundle"):
            dn.load_bundle(path)
    (path / "manifest.json").write_bytes(original)
    _change(path, lambda manifest: manifest.update(format=99))
    with pytest.raises(dn.DanausError, match="bundle-version"):
        dn.load_bundle(path)
    for nothing in (tmp_path / "none", tmp_path / "none.zip"):
        with pytest.raises(dn.DanausError, match="there is no bundle"):
            dn.load_bundle(nothing)
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(dn.DanausError, match="is no bundle"):
        dn.load_bundle(tmp_path / "text.zip")


def _change(path: Path, change) -> None:
    """Changes a manifest and signs it anew, as one who means it would."""
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    change(manifest)
    manifest["sha256"] = bundles.sha256_of(bundles.text_of(manifest))
    (path / "manifest.json").write_bytes(bundles.text_of(manifest))


def test_code_for_other_processors_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = hmm()
    model = dn.compile(circuit)
    arm = loading.host().triple.startswith(("aarch64", "arm64"))
    other = "cpu:x86-64-v3" if arm else "cpu:aarch64"
    model.save(tmp_path / "p.danaus", [other])
    x, observed = rows_of(circuit, 50, 0, 0.3)
    loaded = dn.load_bundle(tmp_path / "p.danaus")
    assert torch.equal(loaded.log_likelihood(x, observed), model.log_likelihood(x, observed))
    assert loaded.origin == "recompiled"
    model.save(tmp_path / "own.danaus")
    real = loading._digest
    monkeypatch.setattr(loading, "_digest", lambda text: real(text + " of another version"))
    assert dn.load_bundle(tmp_path / "own.danaus").origin == "recompiled"


@pytest.mark.skipif(loading.host().triple.startswith(("aarch64", "arm64")), reason="needs an x86 processor")
def test_code_for_a_level_of_x86_runs(tmp_path: Path) -> None:
    circuit = random_circuit(1)
    model = dn.compile(circuit)
    model.save(tmp_path / "p.zip", ["cpu:aarch64", "cpu:x86-64-v3"])
    x, observed = rows_of(circuit, 50, 0, 0.3)
    loaded = dn.load_bundle(tmp_path / "p.zip")
    np.testing.assert_allclose(loaded.log_likelihood(x, observed), model.log_likelihood(x, observed), rtol=1e-5)
    assert loaded.origin == "bundle"


def test_features_that_this_processor_lacks(tmp_path: Path) -> None:
    path = tmp_path / "p.danaus"
    dn.compile(hmm()).save(path)

    def harder(manifest) -> None:
        manifest["kernels"][0]["features"] += ",+of-the-next-century"

    _change(path, harder)
    assert dn.load_bundle(path).origin == "recompiled"


def test_objects_for_every_target(tmp_path: Path) -> None:
    dn.compile(hmm()).save(tmp_path / "p.danaus", ELF_MACHINES)
    for name, machine in ELF_MACHINES.items():
        content = (tmp_path / "p.danaus" / "kernels" / name.replace(":", "-") / "likelihood.o").read_bytes()
        assert content[:4] == b"\x7fELF" and content[4] == 2
        assert int.from_bytes(content[18:20], "little") == machine
    assert {f"cpu:{name}" for name in NAMED} == set(ELF_MACHINES)
    with pytest.raises(dn.DanausError, match="unknown-target"):
        dn.compile(hmm()).save(tmp_path / "q.danaus", ["cpu:x86-64-v2"])
    assert not (tmp_path / "q.danaus").exists()


def test_a_bundle_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.danaus"
    model = dn.compile(hmm())
    model.save(path)
    before = files(path)
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.name == "manifest.json":
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(dn.DanausError, match="No space left"):
        dn.compile(dn.hmm(dn.Bool("x", shape=3), states=2)).save(path)
    monkeypatch.undo()
    assert files(path) == before
    assert [each.name for each in tmp_path.iterdir()] == ["p.danaus"]
    model.save(path)  # in place of the former
    assert files(path) == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("keep")
    with pytest.raises(dn.DanausError, match="no bundle"):
        model.save(tmp_path / "notes")
    assert (tmp_path / "notes" / "a.txt").read_text() == "keep"


def test_a_zip_made_by_others(tmp_path: Path) -> None:
    model = dn.compile(hmm())
    model.save(tmp_path / "p.danaus")
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files(tmp_path / "p.danaus").items():
            archive.writestr(name, content)
    x = np.zeros((2, 7))
    loaded = dn.load_bundle(tmp_path / "p.zip")
    assert torch.equal(loaded.log_likelihood(x), model.log_likelihood(x))
    loaded.save(tmp_path / "again.danaus")
    assert files(tmp_path / "again.danaus") == files(tmp_path / "p.danaus")
