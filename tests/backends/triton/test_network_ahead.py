"""Kernels of networks and of walks compiled for GPUs that are not here: nothing spills, barriers wait for stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from danaus.backends.triton import ahead, sparse_policy
from danaus.backends.triton import network as forward
from danaus.backends.triton.network_descent import descend
from danaus.backends.triton.network_reverse import derive
from danaus.backends.triton.steps_descent import descend as walk
from danaus.backends.triton.steps_ones import step_of_ones
from danaus.backends.triton.targets import gpu_named

pytest.importorskip("triton")

SINGLE, DOUBLE, LOG = forward.Numbers("linear", 4), forward.Numbers("linear", 8), forward.Numbers("log", 8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DANAUS_CACHE", str(tmp_path))
    yield


def test_nothing_spills() -> None:
    """What would spill on one GPU or another were ptxas not told how many registers there are, at tiles of the policy.

    A slice of all kernels that queries of networks and walks launch, which `answering.py` names.
    """
    kernels = [
        forward.whole(SINGLE, sparse_policy.shape(32)),
        derive(DOUBLE, sparse_policy.reverse_shape(8, "linear"), True, True),
        descend(DOUBLE, sparse_policy.walk_shape(1, True), True, False),
        walk(False, False, sparse_policy.walk_shape(8, False)),
    ]
    assert [kernel.registers for kernel in kernels] == [128, 128, 255, 255]
    kernels.append(step_of_ones(sparse_policy.shape(65)))
    for made in ahead.compiled(kernels, [gpu_named(f"cuda:sm_{number}") for number in (80, 90, 100)]).values():
        taken = made.resources
        assert taken.spilled == 0 < taken.registers <= made.kernel.registers, (made.kernel.name, made.gpu.name)


def test_a_barrier_waits_for_stores_on_amd() -> None:
    """Each wave waits for its own stores before the barrier between two levels, which Triton's own does not."""
    waiting, plain = (forward.whole(SINGLE, sparse_policy.shape(32, drain=drain)) for drain in (True, False))
    made = ahead.compiled([waiting, plain], [gpu_named("hip:gfx942")])
    lines = made[waiting.digest, "hip:gfx942"].text.splitlines()
    waits = [i for i, line in enumerate(lines) if "vmcnt(0)" in line and "ASMSTART" in lines[i - 1]]
    assert len(waits) == 2  # after a level, and after a tile of the batch
    assert all(any("s_barrier" in line for line in lines[i : i + 12]) for i in waits)
    assert "ASMSTART" not in made[plain.digest, "hip:gfx942"].text


def test_texts_are_the_same_every_time() -> None:
    """Equal kernels have equal texts, and so one digest."""
    for make in (
        lambda: forward.whole(LOG, sparse_policy.shape(8)),
        lambda: walk(True, True, sparse_policy.walk_shape(8, False)),
    ):
        assert make() == make() and make().digest == make().digest
