"""Malformed specs and what is said of them, word for word; `--update-golden` writes what is said now."""

from __future__ import annotations

from pathlib import Path

import pytest

from danaus.compiler.driver import load
from danaus.ir.diagnostic import DanausError

MALFORMED = sorted((Path(__file__).parent / "golden" / "malformed").glob("*.circuit"))


def test_there_are_enough() -> None:
    assert len(MALFORMED) >= 60


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_malformed_spec(path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(DanausError) as caught:
        load(path.name)
    said = f"{caught.value}\n"
    expected = path.with_suffix(".txt")
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(said)
    assert said == expected.read_text()
