"""What is measured on a GPU runs from end to end: in small, through the interpreter, with no time that is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"

pytest.importorskip("sympy")
pytest.importorskip("triton")


def test_every_measurement_runs() -> None:
    """Every column that needs no peer has a number, and every part of the table is there."""
    run = [sys.executable, "gpu.py", "--dry"]
    given = os.environ | {"TRITON_INTERPRET": "1"}
    said = subprocess.run(run, cwd=BENCHMARKS, capture_output=True, text=True, check=False, env=given)
    assert said.returncode == 0, said.stderr
    rows = [line.strip("| ").split(" | ") for line in said.stdout.splitlines() if line.startswith("| ")]
    chains = [row for row in rows if row[0] in ("dense", "Monarch 2×3")]
    assert len(chains) == 2
    for row in chains:  # K, T, V, launches, then forward, back, its share of the limit, calls, and eager torch
        numbers = [*row[5:7], *row[8:13]]
        assert all(float(number) > 0 for number in numbers), row
    pictures = [row for row in rows if row[0] in ("HCLT", "PD") and row[1].isdigit()]
    assert len(pictures) == 2 and all(float(number) > 0 for row in pictures for number in row[3:5])
    sentences = [row for row in rows if len(row) == 6 and row[0].isdigit()]
    assert len(sentences) == 2 and all(float(number) > 0 for row in sentences for number in row[4:])


@pytest.mark.parametrize("kind", ["HCLT", "PD"])
def test_scaled_programs_are_those_of_the_circuits(kind: str) -> None:
    import danaus as dn
    from danaus.backends.triton.plan import plan
    from danaus.compiler.pipeline import program_of

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gpu_images

    side, states = 4, 5
    x = dn.Cat("x", 2, shape=side * side)
    if kind == "HCLT":
        circuit = dn.hclt(gpu_images.images(2000, side, 2), x, states=states)
    else:
        circuit = dn.poon_domingos(x, shape=[side, side], delta=1, states=states)
    wanted, program = program_of(circuit), gpu_images.image_program(kind, states, side, 2)
    assert (program.operations, program.tables, program.buffers) == (wanted.operations, wanted.tables, wanted.buffers)
    ours, theirs = plan(program, "bf16x3", 64), plan(wanted, "bf16x3", 64)
    assert [launch.kernel.digest for launch in ours.launches] == [launch.kernel.digest for launch in theirs.launches]
