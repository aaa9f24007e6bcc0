"""Every example is run as a reader would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SPECS = sorted(EXAMPLES.glob("*.circuit"))

RUNS = [
    ("rain", "likelihood", "rain.csv"),
    ("rain", "missing", "rain_missing.csv"),
    ("rain", "lawn", "rain_missing.csv"),
    ("rain", "best", "rain_missing.csv"),
    ("rain", "days", None),
    ("rain", "mass", None),
    ("weather_hmm", "fortnights", None),
    ("heights", "height_mean", None),
    ("heights", "siblings_mean", None),
    ("exactly_one", "masses", None),
    ("survey", "likelihood", None),
    ("survey", "gaps", "survey.csv"),
    ("survey", "filled", "survey.csv"),
    ("image", "paint", None),
    ("virtual_evidence", "mass", None),
    ("hmm_product", "agreement", None),
]


def danaus(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "danaus", *arguments], capture_output=True, text=True, cwd=EXAMPLES)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_check(spec: Path) -> None:
    done = danaus("check", spec.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("spec, query, data", RUNS)
def test_run(spec: str, query: str, data: str | None) -> None:
    done = danaus("run", f"{spec}.circuit", query, *(("--data", data) if data else ()))
    if query == "likelihood" and data is None:
        assert done.returncode == 2
        assert "--data" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    if data is not None:
        assert len(rows) == len((EXAMPLES / data).read_text().splitlines())
    else:
        assert rows


def test_digits(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "digits.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of 397 test images right" in done.stdout
    assert "0 errors" in done.stdout


def test_steer() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "steer.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    sentences = done.stdout.splitlines()[1:]
    assert len(sentences) == 5 and all("cat" in each and "ball ." in each for each in sentences)


def test_determinantal() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "determinantal.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    first, minors, *given, masses = done.stdout.splitlines()
    assert first.endswith("proved") and "all 256 coefficients" in minors
    assert float(minors.split()[-1]) < 1e-8
    near, further, far = (float(line.split()[-1]) for line in given)
    assert near < further < far
    assert abs(sum(map(float, masses.split()[3:])) - 1) < 0.01
