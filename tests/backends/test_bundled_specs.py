"""A compiled spec as a bundle: its circuits and queries by name answer as before, what it cannot hold is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import danaus as dn
from danaus.compiler.bundling import bundle_of
from danaus.runtime import bundle as bundles
from danaus.runtime.asked import Asked
from danaus.runtime.collection import Collection, Loaded
from danaus.runtime.executable import Executable

TEXT = """
    var x : bool
    var y : cat(3)
    circuit p {
      return sum(bernoulli(x, [0.2, 0.7]) * categorical(y, [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), [[0.5, 0.5]])
    }
    circuit P { return bernoulli(x, [0.25]) }
    query all = likelihood(p)
    query some = marginal(p)
    query rest = conditional(p)
    query best = map(p)
    query rows = sample(P)
    query ones = hamming(P)
    query mean = moment(p, y, 1)
    query given = partition(restrict(p, x = 1))
"""
X = np.array([[1, 2], [0, 1]])
GAPS = np.array([[1, np.nan], [np.nan, 0]])


def collection(text: str = TEXT) -> Any:
    return dn.compile(dn.parse(text), dtype="float64")


def loaded_from(path: Path) -> Loaded:
    found = dn.load_bundle(path)
    assert isinstance(found, Loaded)
    return found


def files(path: Path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


def change(path: Path, by: Callable[[Any], Any]) -> None:
    """Changes a manifest and signs it anew, as one who means it would."""
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    by(manifest)
    manifest["sha256"] = bundles.sha256_of(bundles.text_of(manifest))
    (path / "manifest.json").write_bytes(bundles.text_of(manifest))


@pytest.mark.parametrize("name", ["b.danaus", "b.zip"])
def test_queries_by_name(name: str, tmp_path: Path) -> None:
    model = collection()
    model.save(tmp_path / name)
    loaded = loaded_from(tmp_path / name)
    assert list(loaded.circuits) == list(model.circuits) == ["p", "P", "given"]
    assert loaded.queries == model.queries and list(loaded.queries) == list(model.queries)
    for query, rows in (("all", X), ("some", GAPS), ("p.posterior", GAPS), ("P.likelihood", [[0], [1]])):
        assert torch.equal(loaded.run(query, rows), model.run(query, rows))
    np.testing.assert_array_equal(loaded.run("rest", GAPS)["y"], model.run("rest", GAPS)["y"])
    np.testing.assert_array_equal(loaded.run("best", GAPS).values, model.run("best", GAPS).values)
    assert torch.equal(loaded.run("rows", 5, seed=2), model.run("rows", 5, seed=2))
    assert torch.equal(loaded.run("ones"), model.run("ones"))
    assert loaded.run("mean") == model.run("mean")
    np.testing.assert_allclose(loaded.run("given"), np.log(0.45))
    assert loaded["p"].origin == "bundle"
    for wrong, code in (("al", "unknown-query"), ("q.map", "unknown-query"), ("p.hamming", "not-in-bundle")):
        with pytest.raises(dn.DanausError, match=code):
            loaded.run(wrong, X)
    with pytest.raises(dn.DanausError, match="unknown-circuit"):
        loaded["q"]


def test_one_circuit_alone_is_by_name_too(tmp_path: Path) -> None:
    collection("var x : bool; circuit keys { return bernoulli(x, [0.25]) }").save(tmp_path / "b.zip")
    loaded = loaded_from(tmp_path / "b.zip")
    np.testing.assert_allclose(loaded.run("keys.likelihood", [[1]]), np.log([0.25]))


def test_the_files_of_a_bundle(tmp_path: Path) -> None:
    for name in ("a", "b"):
        collection().save(tmp_path / name, ["cpu:aarch64", "cpu:x86-64-v3"])
    found = files(tmp_path / "a")
    assert found == files(tmp_path / "b")
    folders = ("1", "given", "p")  # P is p where letters have one case
    assert set(found) == {
        "manifest.json",
        "parameters.safetensors",
        *(f"programs/{folder}/{name}.json" for folder in folders for name in ("likelihood", "walks")),
        *(f"kernels/cpu-{name}/{folder}/likelihood.o" for folder in folders for name in ("aarch64", "x86-64-v3")),
    }
    loaded_from(tmp_path / "a").save(tmp_path / "again")
    assert files(tmp_path / "again") == found


def test_parameters_of_several_circuits_are_there_once(tmp_path: Path) -> None:
    table = "param t[2, 4] = [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]"
    leaf = "sum(categorical(x, t) * bernoulli(y, [0.2, 0.9]), [[0.3, 0.7]])"
    text = f"var x : cat(4); var y : bool; {table}; circuit p {{ return {leaf} }}; circuit q {{ return {leaf} }}"
    model = collection(text)
    model.save(tmp_path / "two.danaus")
    model["p"].save(tmp_path / "one.danaus")
    two, one = (load_file(tmp_path / name / "parameters.safetensors") for name in ("two.danaus", "one.danaus"))
    assert sorted(two) == sorted({f"p/{name}" for name in one} & set(two))
    loaded = loaded_from(tmp_path / "two.danaus")
    assert torch.equal(loaded["q"].log_likelihood([[3, 1]]), model["q"].log_likelihood([[3, 1]]))


def test_changed_parameters_are_saved(tmp_path: Path) -> None:
    model = collection(
        """
        var x : bool
        param t[2] = [0.25, 0.25]
        circuit p { return sum(bernoulli(x, t), [[0.5, 0.5]]) }
        circuit q { return bernoulli(x, [0.5]) }
        """
    )
    for parameter in model["p"].parameters():
        parameter.fill_(0.75)
    model.save(tmp_path / "b.danaus")
    loaded = loaded_from(tmp_path / "b.danaus")
    np.testing.assert_allclose(loaded.run("p.likelihood", [[1]]).exp(), [0.75])
    np.testing.assert_allclose(loaded.run("q.likelihood", [[1]]).exp(), [0.5])


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    model = collection(TEXT + "query many = count(P)")
    with pytest.warns(dn.DanausWarning, match=r'the query "many" \(count\) is left out'):
        model.save(tmp_path / "b.danaus")
    loaded = loaded_from(tmp_path / "b.danaus")
    assert "many" not in loaded.queries and "all" in loaded.queries


def test_a_circuit_that_is_not_compiled(tmp_path: Path) -> None:
    one = dn.compile(dn.Circuit(dn.gaussian(dn.Real("r"), [0.0], [1.0])))
    mixed = Executable(one.circuit, None, one._compiler)
    asked = {"a": Asked("likelihood", "one"), "b": Asked("likelihood", "mixed")}
    with pytest.warns(dn.DanausWarning) as warned:
        Collection({"one": one, "mixed": mixed}, asked).save(tmp_path / "b.danaus")
    assert [str(each.message).split(" is")[0] for each in warned] == [
        'the circuit "mixed"',
        'the query "b" (likelihood)',
    ]
    loaded = loaded_from(tmp_path / "b.danaus")
    assert list(loaded.circuits) == ["one"] and list(loaded.queries) == ["a"]
    with pytest.raises(dn.DanausError, match=r'not-in-bundle.*"mixed"'):
        Collection({"mixed": mixed}, {}).save(tmp_path / "c.danaus")
    assert not (tmp_path / "c.danaus").exists()


def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.danaus"
    collection().save(path)
    original = files(path)
    for name, content in original.items():
        (path / name).write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        with pytest.raises(dn.DanausError, match="damaged-bundle"):
            dn.load_bundle(path)
        (path / name).write_bytes(content)
    for by in (
        lambda manifest: manifest.pop("asked"),
        lambda manifest: manifest["asked"][0].update(circuit="q"),
        lambda manifest: manifest["asked"][0].update(kind="count"),
        lambda manifest: manifest["asked"][0].pop("order"),
        lambda manifest: manifest["circuits"].append(manifest["circuits"][0]),
        lambda manifest: manifest.update(circuits=[]),
        lambda manifest: manifest["circuits"][0]["arrays"].popitem(),
        lambda manifest: manifest["circuits"][0].update(arrays={"table.0": "none"}),
        lambda manifest: manifest["circuits"][0].update(program=manifest["circuits"][1]["program"]),
    ):
        change(path, by)
        with pytest.raises(dn.DanausError, match="damaged-bundle"):
            dn.load_bundle(path)
        (path / "manifest.json").write_bytes(original["manifest.json"])
    change(path, lambda manifest: manifest.update(format=3))
    with pytest.raises(dn.DanausError, match="bundle-version"):
        dn.load_bundle(path)


def test_a_bundle_of_one_circuit_is_as_it_was(tmp_path: Path) -> None:
    """Format 1 has no word of queries by name where there are none, so that earlier versions read it."""
    bundle = bundle_of(dn.parse(TEXT).circuits["p"])
    bundles.save_bundle(bundle, tmp_path / "p.danaus")
    manifest = json.loads((tmp_path / "p.danaus" / "manifest.json").read_text())
    assert manifest["format"] == 1 and "asked" not in manifest and "circuits" not in manifest
