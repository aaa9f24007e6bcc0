"""The benchmark's Programs without numbers are the compiler's, and its predictions are marked as such."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from danaus.backends.triton.plan import plan
from danaus.compiler.pipeline import program_of

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

pytest.importorskip("sympy")


@pytest.mark.parametrize("parts", [(), (4, 4), (2, 8)])
def test_models_without_numbers_are_planned_as_the_compiled_are(parts: tuple[int, ...]) -> None:
    from danaus.compiler.cost import costs

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gpu_models

    model = gpu_models.Model(16, 5, 3, parts)
    made, compiled = gpu_models.program_of(model), program_of(gpu_models.circuit_of(model))
    ours, theirs = plan(made, "bf16x3", 64), plan(compiled, "bf16x3", 64)
    assert [launch.kernel.digest for launch in ours.launches] == [launch.kernel.digest for launch in theirs.launches]
    assert costs(made).at(64)[0] == costs(compiled).at(64)[0]
    assert model.numbers + model.states == sum(map(_size, made.tables))


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for each in shape:
        total *= each
    return total


def test_predictions_say_that_they_are_none_of_a_device() -> None:
    run = [sys.executable, "gpu.py", "--only", "dense 64 T=32 V=27", "--batch", "64"]
    said = subprocess.run(run, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("# PREDICTED, not measured") and "| dense | 64 | 32 | 27 |" in said.stdout
    assert "no GPU on this machine: nothing was measured" in said.stderr or "TB/s" in said.stdout
