"""`danaus bench`: what it times, and how it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import danaus as dn
from danaus.cli import main
from danaus.compiler.pipeline import program_of
from danaus.ir.program.work import operations_per_row

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def bench(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["bench", *map(str, arguments)])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return int(left.value.code or 0), said.out, said.err


def test_a_table_beside_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = bench(capsys, EXAMPLES / "rain.circuit", "--circuit", "p", "--data", EXAMPLES / "rain.csv")
    assert (status, err) == (0, "")
    first, made, _, head, *rows = out.splitlines()
    assert first.startswith("one thread of this machine: vector ")
    assert made.startswith("compiled: p ")
    assert head.split()[:4] == ["circuit", "query", "rows", "ms"]
    assert [row.split()[:2] for row in rows] == [["p", "likelihood"], ["p", "marginal"]]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (EXAMPLES / "weather_hmm.circuit", "--rows", 50, "--threads", 2, "--dtype", "float64")
    status, out, _ = bench(capsys, *arguments, "--format", "json")
    found = json.loads(out)
    assert status == 0
    assert set(found["limits"]) == {"vector", "matrix", "memory"}
    assert min(found["limits"].values()) > 1e8
    assert {timing["query"] for timing in found["timings"]} == {"likelihood", "marginal"}
    assert all(timing["rows"] == 50 and timing["seconds"] > 0 for timing in found["timings"])


def test_data_with_missing_values_has_no_likelihood(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--circuit", "p", "--data", EXAMPLES / "rain_missing.csv", "--rows", 40, "--format", "json")
    _, out, _ = bench(capsys, EXAMPLES / "rain.circuit", *arguments)
    assert [timing["query"] for timing in json.loads(out)["timings"]] == ["marginal"]


def test_circuits_on_real_numbers_and_with_signs(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("heights", "signed"):
        status, _, err = bench(capsys, EXAMPLES / f"{name}.circuit", "--rows", 10)
        assert (status, err) == (0, "")


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = bench(capsys, EXAMPLES / "rain.circuit", "--circuit", "q")
    assert status == 2
    assert "unknown-circuit" in err


def test_operations_per_row() -> None:
    circuit = dn.hmm(dn.Cat("x", 5, shape=7), states=9)
    steps = 6 * (2 * 9 * 9) + 6 * 9 + 2 * 9
    assert operations_per_row(program_of(circuit)) == steps
