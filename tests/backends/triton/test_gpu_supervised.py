"""A run of measurements outlives what hangs, crashes or fails in it, and takes only what a GPU holds at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

WORKER = """
import json, os, sys, time
given = json.loads(sys.stdin.readline())
for number, job in given["jobs"]:
    print(json.dumps({"job": number}), flush=True)
    if job["kind"] == "hangs":
        time.sleep(60)
    if job["kind"] == "crashes":
        os._exit(7)
    print(json.dumps({"job": number, "cells": {job["kind"]: {"value": 1.0, "words": ""}}}), flush=True)
"""
"""Does what jobs are called."""

pytest.importorskip("sympy")
pytest.importorskip("triton")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The modules of the benchmark, with a process that does what jobs are called."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu_supervised

    (tmp_path / "gpu_worker.py").write_text(WORKER)
    monkeypatch.setattr(gpu_supervised, "HERE", tmp_path)
    yield gpu_supervised
    for name in [name for name in sys.modules if name.startswith("gpu_")]:
        del sys.modules[name]


def _said(benchmark: Any, kinds: str, budget: float, limit: float = 60) -> list[tuple[str, float | None, str]]:
    from gpu_jobs import Job

    jobs = [Job("chains", number, kind, limit) for number, kind in enumerate(kinds.split())]
    found = benchmark.results(benchmark.Options("cpu", "ieee", 2, "", True), jobs, budget)
    return [(job.kind, cell.value, cell.words) for job, cells, _ in found for cell in cells.values()]


def test_what_crashes_or_hangs_is_a_word_and_the_rest_goes_on(benchmark: Any) -> None:
    found = _said(benchmark, "first crashes second hangs third", 60, 1.5)
    assert found == [
        ("first", 1.0, ""),
        ("crashes", None, "the process ended with 7"),
        ("second", 1.0, ""),
        ("hangs", None, "no answer within 2 s"),
        ("third", 1.0, ""),
    ]


def test_a_budget_that_is_spent_ends_the_run_and_says_what_is_left(benchmark: Any) -> None:
    found = _said(benchmark, "first hangs second", 2.0)
    assert found == [("first", 1.0, ""), ("hangs", None, "no time left"), ("second", None, "no time left")]


def test_peers_are_made_beside_ours(benchmark: Any) -> None:
    """In processes of their own, whose failures are theirs; each job is there once."""
    from gpu_jobs import Job

    kinds = ["first", "PyJuice", "hangs", "PyJuice", "forward"]
    jobs = [Job("chains", number, kind, 1.5) for number, kind in enumerate(kinds)]
    found = list(benchmark.results(benchmark.Options("cpu", "ieee", 2, "", True), jobs, 60, 2))
    assert sorted(job.case for job, _, _ in found) == [0, 1, 2, 3, 4]
    words = {job.case: cells[job.kind].words for job, cells, _ in found}
    assert words == {0: "", 1: "", 2: "no answer within 2 s", 3: "", 4: ""}


def test_processes_take_turns(benchmark: Any, tmp_path: Path) -> None:
    import fcntl

    import torch
    from gpu_meter import Meter

    turn = tmp_path / "turn"
    turn.touch()
    with turn.open() as other:
        with Meter(torch.device("cpu"), "ieee", turn=str(turn)).alone(), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_failures_of_any_kind_are_cells(benchmark: Any) -> None:
    import torch
    from gpu_meter import Cell, tried

    def fails(failure: Exception) -> Any:
        raise failure

    assert tried(lambda: fails(torch.OutOfMemoryError("no")), "a") == {"a": Cell(None, "memory")}
    assert tried(lambda: fails(MemoryError("9 GB")), "a") == {"a": Cell(None, "memory: 9 GB")}
    assert tried(lambda: fails(KeyError("x|y")), "a") == {"a": Cell(None, "KeyError: 'x/y'")}
    assert tried(lambda: 2.0, "a") == {"a": Cell(2.0)}
    with pytest.raises(RuntimeError):  # nothing runs any more: the next process goes on
        tried(lambda: fails(RuntimeError("CUDA error: an illegal memory access was encountered")), "a")


def test_rows_at_a_time_fit_and_take_not_too_long(benchmark: Any) -> None:
    import torch
    from gpu_meter import FULL, LONG, Meter

    meter = Meter(torch.device("cpu"), "bf16x3", 139 * 2.0**30)
    assert meter.at_once(512, 0, 0, 0) == 512
    assert meter.at_once(512, 0, FULL * 139 * 2.0**30 / 40, 0) == 32
    assert meter.at_once(512, 0, 0, LONG / 100) == 64
    assert meter.at_once(512, 0, 0, LONG) == 16
    with pytest.raises(MemoryError, match="160 GB for 16 rows"):
        meter.at_once(512, 0, 1e10, 0)


def test_what_does_not_fit_is_measured_in_halves(benchmark: Any) -> None:
    import torch
    from gpu_meter import fitting

    def run(part: int) -> int:
        if part > 64:
            raise torch.OutOfMemoryError
        return part

    assert fitting(512, run) == 64
    with pytest.raises(torch.OutOfMemoryError):
        fitting(512, lambda part: run(512))


def test_every_model_of_the_issue_is_measured(benchmark: Any) -> None:
    from gpu_jobs import cases_of, jobs_of

    cases = cases_of(512, "", False)
    jobs = jobs_of(cases)
    asked = {(job.table, job.case, job.kind) for job in jobs}
    assert len(asked) == len(jobs)
    for case, model in enumerate(cases.chains):
        assert {("chains", case, kind) for kind in ("forward", "both", "eager", "eager both", "PyJuice")} <= asked, (
            model
        )
    sizes = {(model.states, bool(model.parts), model.steps, model.values) for model in cases.chains}
    for steps in (32, 256):
        for states in (64, 512, 2048, 4096):
            assert {(states, False, steps, 27), (states, False, steps, 50257)} <= sizes
        for states in (4096, 16384, 65536, 524288):
            assert (states, True, steps, 27) in sizes
            assert states > 16384 or (states, True, steps, 50257) in sizes
    assert {("HCLT", 64), ("HCLT", 1024)} <= set(cases.pictures) and "PD" in dict(cases.pictures)
    first = next(job for job in jobs if job.table == "chains")
    assert jobs[0].table == "limits" and cases.chains[first.case].steps == 256 and first.kind == "forward"
