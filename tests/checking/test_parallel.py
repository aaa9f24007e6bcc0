"""Processes beside this one: a helper that dies is a diagnostic of its file, and one that cannot start does no harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from danaus.checking import parallel
from danaus.checking.report import Report
from danaus.checking.run import Choices, check
from danaus.checking.task import Done, Task

GOOD = "var x : bool\ncircuit p { return bernoulli(x, [0.5]) }\n"


@pytest.fixture(autouse=True)
def slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six specs, of which this process takes a while for each, so that helpers start."""
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        Path(f"{number}.circuit").write_text(GOOD)

    def do(task: Task) -> Done:
        time.sleep(0.2)
        return Done(Report(task.file, (), {}, ()).to_plain(), {})

    monkeypatch.setattr(parallel, "do", do)
    monkeypatch.setattr(parallel, "START", 0.01)
    monkeypatch.setattr(parallel, "_LOOK", 0.01)


def run() -> dict[str, list[str]]:
    reports = check((Path("."),), Choices(cached=False, jobs=2)).reports
    return {report.file: [found.text for found in report.findings] for report in reports}


def test_a_helper_that_dies_is_said_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_MAIN", "import sys; sys.stdin.readline(); sys.exit(3)")
    found = run()
    assert list(found) == [f"{number}.circuit" for number in range(6)]
    dead = [text for texts in found.values() for text in texts]
    assert dead and all("error[crashed]: the check of " in text and "with status 3" in text for text in dead)


def test_a_helper_that_does_not_start_leaves_its_work_to_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(parallel, "_start", start)
    assert run() == {f"{number}.circuit": [] for number in range(6)}


def test_a_mistake_of_danaus_in_another_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(parallel, "_ask", ask)
    with pytest.raises(RuntimeError, match="a mistake"):
        run()
