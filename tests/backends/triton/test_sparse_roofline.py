"""Predicted times of networks of scalar nodes: work counted by hand, and the choice between one launch and many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import danaus as dn
from danaus.backends.triton import report, sparse_policy
from danaus.backends.triton.ahead import Compiled
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.network import Numbers, Shape
from danaus.backends.triton.records import Tiles, upward, wired
from danaus.backends.triton.resources import Resources
from danaus.backends.triton.sparse_roofline import Level, apart, levels_of, quicker_together, together
from danaus.backends.triton.targets import GPUS, Gpu, gpu_named
from danaus.compiler.bundling import bundle_of
from danaus.compiler.pipeline import program_of

H200 = gpu_named("cuda:sm_90")
EITHER = "nnf 7 6 2\nL 1\nL -2\nA 2 0 1\nL -1\nL 2\nA 2 3 4\nO 1 2 2 5\n"


@pytest.fixture
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Tiles:
    file = tmp_path_factory.mktemp("nnf") / "either.nnf"
    file.write_text(EITHER)
    program = program_of(dn.load(file).circuit)
    return upward(wired(program.layouts[0]), 32)


@pytest.mark.parametrize(("form", "size"), [("linear", 4), ("log", 4), ("log", 8)])
def test_what_levels_load(tiles: Tiles, form: str, size: int) -> None:
    """Four leaves, two products of two, one sum of two: each in one tile of 32 lanes."""
    shape = Shape(32, 8)
    levels = levels_of(tiles, Numbers(form, size), shape)  # type: ignore[arg-type]
    assert [level.tiles for level in levels] == [1, 1, 1]
    edge = 4 + 4 + size * 8 + size  # member, name, values of 8 rows, weight
    rounds = [1, 2, 2]
    assert [level.bytes for level in levels] == [32 * (each * edge + 8 * size) for each in rounds]
    sums = (2 + 1) * 32 * 8 if form == "log" else 0
    assert [level.special for level in levels] == [0, 0, sums]


LEVELS = tuple(Level(tiles, 40_000 * tiles, 0) for tiles in (400, 300, 200, 100, 10, 1))


@pytest.mark.parametrize("target", GPUS)
def test_no_way_is_faster_than_its_stages_and_bytes(target: str) -> None:
    gpu, shape = GPUS[target], Shape(32, 32)
    rates = gpu.rates
    for rows, programs in product((1, 32, 1000, 100_000), (1, 4, 264)):
        turns = -(-rows // 32)
        loaded = turns * sum(level.bytes for level in LEVELS)
        one = together(LEVELS, rows, shape, programs, gpu)
        assert one >= -(-turns // programs) * 1011 * rates.stage
        assert one >= loaded / (min(programs, rates.units) * rates.stream)
        many = apart(LEVELS, 40_000, rows, 4, shape, gpu)
        assert many >= 6 * (rates.launch + rates.stage) and many >= loaded / (rates.units * rates.stream)


def test_values_beyond_the_cache_pass_memory() -> None:
    shape = Shape(32, 32)
    little = replace(H200, rates=replace(H200.rates, cache=0.0))
    rows = 1 << 15
    assert apart(LEVELS, 40_000, rows, 4, shape, little) > apart(LEVELS, 40_000, rows, 4, shape, H200)
    assert apart(LEVELS, 4, rows, 4, shape, H200) < apart(LEVELS, 40_000, rows, 4, shape, H200)


def test_narrow_levels_are_one_launch_and_wide_ones_many() -> None:
    assert quicker_together(1, 1, 50, 50 * 3 - 2, H200)  # 3 µs of tiles in a level, 3 of its launch and its tiles
    assert not quicker_together(1, 1, 50, 50 * 4, H200)
    assert quicker_together(1, 1, 2, 2 * 15, H200) and not quicker_together(1, 1, 2, 2 * 25, H200)  # not recorded
    assert quicker_together(132, 132, 50, 50 * 2, H200) and not quicker_together(1320, 132, 50, 50 * 2, H200)


def test_the_policy_asks_for_the_faster() -> None:
    rows, size = 32, 4
    for levels, tiles in ((50, 500), (50, 5000), (3, 4), (3, 400)):
        found = sparse_policy.programs(100, rows, size, levels, tiles, H200)
        assert (found > 0) == quicker_together(1, 1, levels, tiles, H200)
    assert sparse_policy.programs(1 << 24, rows, size, 50, 60, H200) == 0  # more than the cache holds


@pytest.mark.parametrize("text", ["network", "chain"])
def test_every_kernel_of_a_report_has_a_time(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that a query may launch; the resources are not asked for, so that nothing is compiled."""
    (tmp_path / "n.nnf").write_text(EITHER)
    chain = "var x[5] : cat(3)\ncircuit p = hmm(x, states = 4)"
    circuit = dn.load(tmp_path / "n.nnf").circuit if text == "network" else dn.parse(chain).circuit

    def compiled(kernels: Sequence[Kernel], gpus: Sequence[Gpu]) -> dict[tuple[str, str], Compiled]:
        taken = Resources(1, 0, 0, 0, 32)
        return {
            (kernel.digest, gpu.name): Compiled(kernel, gpu, "", b"", {}, taken) for kernel in kernels for gpu in gpus
        }

    monkeypatch.setattr(report, "compiled", compiled)
    said = report.report(bundle_of(circuit, targets=()), "bf16x3", ["cuda:sm_90"], 64, ["all"])
    rows = [line.split("  ") for line in said.splitlines() if "warps" in line]
    names = {row[1].split("[")[0] for row in rows}
    assert names >= (
        {"network", "back_level", "descend", "ones_level"} if text == "network" else {"chain", "fill_steps"}
    )
    for row in rows:
        amount, unit = row[-1].split()
        assert float(amount) >= 3.0 and unit == "µs"  # a launch, and a stage
