"""The pytest plugin: specs are tests when asked for, and it is as if it were not there when not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

HALF = "var x : bool\ncircuit p { return sum(bernoulli(x, [0.5]), [[0.5]]) }\nassert smooth(p)\nassert normalized(p)\n"


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    installed = any(found.name == "danaus" for found in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "danaus.checking.plugin"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, "-rA", *arguments]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=100)
    return done.returncode, done.stdout + done.stderr


def test_each_demand_is_a_test_with_its_witness(tmp_path: Path) -> None:
    (tmp_path / "a.circuit").write_text(HALF)
    (tmp_path / "b.circuit").write_text("var x : boole\n")
    status, out = run(tmp_path, "--danaus", "--danaus-require", "decomposable")
    assert status == 1
    for line in (
        "PASSED a.circuit::file",
        "PASSED a.circuit::assert smooth(p)",
        "PASSED a.circuit::p is decomposable",
        "FAILED a.circuit::assert normalized(p)",
        "FAILED b.circuit::file",
        "a.circuit:4:1: error[assertion-refuted]: the assertion does not hold",
        "note: not normalized: the total mass is 0.5",
        'b.circuit:1:9: error[unknown-domain]: there is no domain "boole"',
    ):
        assert line in out, out
    assert "2 failed, 3 passed" in out and "Traceback" not in out


def test_patterns_of_the_ini_file_ask_for_specs(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\ndanaus_specs = a.circuit\n")
    (tmp_path / "a.circuit").write_text(HALF)
    (tmp_path / "b.circuit").write_text("var\n")
    assert "1 failed, 2 passed" in run(tmp_path)[1]


def test_a_bad_requirement_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.circuit").write_text(HALF)
    status, out = run(tmp_path, "--danaus", "--danaus-require", "smoth")
    assert status == 2 and 'there is no property "smoth"' in out and "Traceback" not in out


def test_without_being_asked_it_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.circuit").write_text(HALF)
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_nothing():\n"
        "    assert {name for name in sys.modules if name.startswith('danaus.')} <= "
        "{'danaus.checking', 'danaus.checking.plugin'}\n    assert 'numpy' not in sys.modules\n"
    )
    status, out = run(tmp_path)
    assert status == 0 and "1 passed" in out, out


@pytest.mark.parametrize("name", ["action.yml", ".pre-commit-hooks.yaml"])
def test_the_hooks_call_the_command_with_options_that_it_has(name: str) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    text = (root / name).read_text()
    said = subprocess.run(
        [sys.executable, "-m", "danaus", "check", "--help"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    ).stdout
    assert "danaus check" in text
    for option in ("--cache-dir", "--require", "--baseline", "--format"):
        assert option not in text or option in said
