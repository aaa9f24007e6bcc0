"""The machine code of emitted kernels, for every target: instructions, limits, spills, launches. No GPU runs it.

A slice of benchmarks/gpu_ahead.py, which goes through all models and precisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import pytest

import danaus as dn
from danaus.backends.triton.ahead import Compiled, compiled_pairs
from danaus.backends.triton.expected import has_loop, kind_of
from danaus.backends.triton.launch import Launch
from danaus.backends.triton.plan import Plan, plan
from danaus.backends.triton.policy import Precision, batch_class
from danaus.backends.triton.targets import GPUS, MODEL, Gpu
from danaus.compiler.pipeline import program_of

pytest.importorskip("triton")

MODELS = {
    "chain of 64": "circuit p = hmm(x, states = 64)",
    "chain of 256": "circuit p = hmm(x, states = 256)",
    "chain of 512": "circuit p = hmm(x, states = 512)",
    "factors of 256": "circuit p = hmm(x, states = 256, transition = monarch(16, 16))",
    "three factors of 256": "circuit p = hmm(x, states = 256, transition = monarch(4, 8, 8))",
}
UNITS = {  # what multiplies, by the rows of the left operand
    "chain of 64": ("mma.sync", "wgmma", "tcgen05", "mfma"),
    "chain of 256": ("mma.sync", "wgmma", "tcgen05", "mfma"),
    "chain of 512": ("mma.sync", "wgmma", "tcgen05", "mfma"),
    "factors of 256": ("mma.sync", "mma.sync", "mma.sync", "mfma"),
    "three factors of 256": ("mma.sync", "mma.sync", "mma.sync", "mfma"),
}


PRECISIONS: dict[str, Precision] = {"chain of 256": "bf16"}  # on chip, where it fits; else bf16x3


def planned(text: str, steps: int, rows: int, precision: Precision = "bf16x3", gpu: Gpu = MODEL) -> Plan:
    program = program_of(dn.parse(f"var x[{steps}] : cat(3)\n{text}\n").circuits["p"])
    return plan(program, precision, batch_class(rows, gpu), gpu=gpu)


Made = dict[tuple[str, str], list[tuple[Launch, Compiled]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The kernels of the models for small batches, each once, by model and target, compiled at once."""
    launches = {
        (name, gpu.name): {
            each.kernel.digest: each for each in planned(text, 6, 16, PRECISIONS.get(name, "bf16x3"), gpu).launches
        }
        for name, text in MODELS.items()
        for gpu in GPUS.values()
    }
    pairs = [(launch.kernel, GPUS[gpu]) for (_, gpu), own in launches.items() for launch in own.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANAUS_CACHE", str(tmp_path_factory.mktemp("cache")))
        code = compiled_pairs(pairs)
    yield {key: [(launch, code[digest, key[1]]) for digest, launch in own.items()] for key, own in launches.items()}


@pytest.mark.parametrize("target", GPUS)
@pytest.mark.parametrize("name", MODELS)
def test_kernels_multiply_on_matrix_units(made: Made, name: str, target: str) -> None:
    found = 0
    for launch, code in made[name, target]:
        taken, gpu = code.resources, GPUS[target]
        assert taken.spilled == 0, (launch.kernel.name, taken)
        assert taken.shared <= gpu.limits.shared and taken.tensor <= gpu.limits.tensor
        assert taken.registers <= gpu.limits.registers and taken.threads == launch.kernel.warps * gpu.warp
        kind = kind_of(launch, gpu, PRECISIONS.get(name, "bf16x3"))
        assert set(taken.matrix) == ({kind} if kind else set())
        if kind is not None:
            found += 1
            assert kind == dict(zip(GPUS, UNITS[name], strict=True))[target]
            assert not has_loop(launch) or taken.looped[kind] > 0
    assert found


def test_products_stand_in_loops(made: Made) -> None:
    assert all(any(has_loop(launch) for launch, _ in own) for own in made.values())


@pytest.mark.parametrize(("states", "most"), [(20, 1), (64, 1), (128, 1), (256, 2)])
def test_long_chains_of_few_states_are_a_launch_or_two(states: int, most: int) -> None:
    for rows, gpu in product((1, 16, 1024, 65536), GPUS.values()):
        assert len(planned(f"circuit p = hmm(x, states = {states})", 256, rows, gpu=gpu).launches) <= most


@pytest.mark.parametrize(("precision", "rows"), [("bf16x3", 1), ("tf32", 1024), ("bf16x3", 65536), ("bf16", 65536)])
@pytest.mark.parametrize(
    "parts", ["8, 8", "16, 16", "8, 32", "4, 64", "128, 2", "16, 4", "2, 3", "12, 20", "4, 8, 8", "6, 6, 7"]
)
@pytest.mark.parametrize("steps", [2, 256])
def test_factors_of_few_states_stay_on_chip(parts: str, steps: int, rows: int, precision: Precision) -> None:
    """A map alone, and a chain of them, in one launch."""
    text = f"circuit p = hmm(x, states = {prod(map(int, parts.split(',')))}, transition = monarch({parts}))"
    program = program_of(dn.parse(f"var x[{steps}] : cat(3)\n{text}\n").circuits["p"])
    assert [launch.kernel.name for launch in plan(program, precision, batch_class(rows)).launches] == ["chain"]


@pytest.mark.parametrize("rows", [1, 1024, 65536])
@pytest.mark.parametrize("parts", ["16, 16", "32, 32", "64, 64"])
def test_a_monarch_layer_is_at_most_two_launches(rows: int, parts: str) -> None:
    first, second = map(int, parts.split(","))
    text = f"circuit p = hmm(x, states = {first * second}, transition = monarch({parts}))"
    counts = [len(planned(text, steps, rows).launches) for steps in (4, 8)]
    assert counts[1] - counts[0] <= 2 * 4  # four layers more


def test_kernels_of_a_long_chain_are_those_of_a_short_one(made: Made) -> None:
    """The text hangs on the number of turns alone: what is read of a short chain holds of a long one."""
    short, long = (planned(MODELS["chain of 64"], steps, 16).launches for steps in (6, 256))
    assert len(short) == len(long) == 1
    lines = [
        (a, b)
        for a, b in zip(short[0].kernel.source.split("\n"), long[0].kernel.source.split("\n"), strict=True)
        if a != b
    ]
    assert len(lines) == 1 and "tl.range(4, " in lines[0][0] and "tl.range(254, " in lines[0][1]
