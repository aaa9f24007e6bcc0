"""Where bundles may be written and read: nobody's files are lost, and nothing is waited for."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import danaus as dn
from danaus.runtime.package import Package, require_place

COIN = dn.parse("var x : bool; circuit p { return bernoulli(x, [0.25]) }").circuit


def refusal(act: Callable[[], object]) -> str:
    """`code: message` of what is refused."""
    with pytest.raises(dn.DanausError) as caught:
        act()
    (found,) = caught.value.diagnostics
    return f"{found.code}: {found.message}"


def contents(path: Path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_what_is_no_bundle_is_kept(tmp_path: Path) -> None:
    (tmp_path / "words.zip").write_text("a letter")
    with zipfile.ZipFile(tmp_path / "thesis.zip", "w") as archive:
        archive.writestr("thesis.tex", "years of work")
    with zipfile.ZipFile(tmp_path / "extension.zip", "w") as archive:
        archive.writestr("manifest.json", '{"manifest_version": 3}')
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension" / "manifest.json").write_text('{"manifest_version": 3, "files": {}}')
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "manifest.json").write_text("[1, 2]")
    (tmp_path / "folder.zip").mkdir()
    before = contents(tmp_path)
    model = dn.compile(COIN)
    for name in ("words.zip", "thesis.zip", "extension.zip", "extension", "list"):
        assert refusal(partial(model.save, tmp_path / name)).endswith(f"{name} is there, and no bundle")
    assert refusal(lambda: model.save(tmp_path / "folder.zip")).endswith("folder.zip is a folder")
    assert refusal(lambda: model.save(tmp_path / "no" / "p")).startswith("unwritable-file")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["p.danaus", "p.zip", "p.ZIP"])
def test_a_bundle_with_more_in_it_is_kept(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    model = dn.compile(COIN)
    model.save(place)
    model.save(place)  # one bundle in place of another
    assert place.is_file() == (name != "p.danaus")
    if place.is_dir():
        (place / "notes").mkdir()
        (place / "notes" / "mine.txt").write_text("mine")
    else:
        with zipfile.ZipFile(place, "a") as archive:
            archive.writestr("notes/mine.txt", "mine")
    before = contents(tmp_path)
    assert refusal(lambda: model.save(place)) == (
        f"unwritable-file: {place} holds more than a bundle, which would be lost: notes/mine.txt"
    )
    assert contents(tmp_path) == before


def test_empty_places_are_free(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.zip").touch()
    for name in ("empty", "empty.zip", "fresh", "fresh.zip"):
        dn.compile(COIN).save(tmp_path / name)
        assert dn.load_bundle(tmp_path / name).partition() == 0
    require_place(Path(os.devnull))


def test_the_place_is_looked_at_before_anything_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.zip").write_text("a letter")
    spec = dn.parse("var x : bool; circuit p { return bernoulli(x, [0.25]) }")
    one, all_of_it = dn.compile(COIN), dn.compile(spec)

    def never(*_: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("danaus.runtime.executable.Executable.bundle", never)
    for model in (one, all_of_it):
        assert refusal(partial(model.save, tmp_path / "words.zip")).startswith("unwritable-file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.zip")
    assert refusal(lambda: dn.load_bundle(tmp_path / "p.zip")).endswith("it is neither a file nor a folder")
    (tmp_path / "p").mkdir()
    os.mkfifo(tmp_path / "p" / "manifest.json")
    assert refusal(lambda: dn.load_bundle(tmp_path / "p")).startswith("unreadable-file")


def test_a_manifest_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danaus.runtime.package._LARGEST", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (2 << 20))
    assert (tmp_path / "bomb.zip").stat().st_size < 1 << 14
    assert "no bundle's has so many" in refusal(lambda: dn.load_bundle(tmp_path / "bomb.zip"))
    with Package(tmp_path / "bomb.zip") as package:
        assert len(package.read("manifest.json", 2 << 20)) == 2 << 20
