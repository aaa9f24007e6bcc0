"""What a launch gives the driver against what the machine code takes: number, order and width of all parameters.

A parameter too many or too narrow moves all that follow, and no interpreter sees it.
"""

from __future__ import annotations

import ctypes as c
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

import danaus as dn
from danaus.backends.triton import network, network_descent, network_reverse, sparse_policy, steps_descent
from danaus.backends.triton.ahead import Compiled, compiled
from danaus.backends.triton.chain import ChainForm
from danaus.backends.triton.driver import Driver
from danaus.backends.triton.kernel import Kernel
from danaus.backends.triton.network import Numbers
from danaus.backends.triton.plan import drawn, plan
from danaus.backends.triton.reverse import course
from danaus.backends.triton.scratch import by_scratch
from danaus.backends.triton.targets import GPUS
from danaus.compiler.pipeline import program_of

pytest.importorskip("triton")

TARGETS = ("cuda:sm_90", "hip:gfx942")
WIDTHS = {".b64": 8, ".u64": 8, ".s64": 8, ".b32": 4, ".u32": 4, ".s32": 4, ".f32": 4}


def kernels() -> dict[str, Kernel]:
    """One of each list of arguments."""
    program = program_of(dn.hmm(dn.Cat("x", 3, shape=6), states=16))
    (launch,) = plan(program, "bf16x3", 16).launches
    made = drawn(program, "bf16x3", 16, True)
    back = course(made, "bf16x3", frozenset(range(len(program.tables)))).kernels
    double, shape = Numbers("linear", 8), sparse_policy.shape(1)
    assert isinstance(launch.form, ChainForm)
    return {
        "vectors": launch.kernel,
        "scratch": by_scratch(replace(launch.form, scratch=16), 16, "bf16x3"),
        "reverse": next(kernel for kernel in back if kernel.name == "tally"),
        "level": network.level(double, shape, True),
        "sums": network_reverse.sums(Numbers("linear", 4), shape, True),
        "leaves": network_descent.descend_leaves(double, shape, False),
        "steps": steps_descent.descend(False, True, sparse_policy.walk_shape(1, False)),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, list[Compiled]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANAUS_CACHE", str(tmp_path_factory.mktemp("cache")))
        code = compiled(list(kernels().values()), [GPUS[target] for target in TARGETS])
    yield {name: [code[kernel.digest, target] for target in TARGETS] for name, kernel in kernels().items()}


def taken(made: Compiled) -> list[tuple[int, bool]]:
    """Bytes of each parameter in order, and whether it is a pointer, as the code says itself."""
    if made.gpu.backend == "cuda":
        head = made.text.partition(".entry")[2].partition("{")[0]
        return [(WIDTHS[kind], ".ptr" in rest) for kind, rest in re.findall(r"\.param (\.\w+)(.*)_param_\d+", head)]
    listed = re.search(r"\.args:\n((?:      .*\n)+)", made.text)
    assert listed is not None
    parts = [part for part in listed[1].split("      - ")[1:] if "hidden_" not in part]  # those are the runtime's
    sizes = [int(re.search(r"\.size:\s+(\d+)", part)[1]) for part in parts]  # type: ignore[index]
    offsets = [int(re.search(r"\.offset:\s+(\d+)", part)[1]) for part in parts]  # type: ignore[index]
    assert offsets == sorted(offsets)
    return [(size, "global_buffer" in part) for size, part in zip(sizes, parts, strict=True)]


class Silent:
    """A driver that does what it is told and nothing else."""

    def __getattr__(self, name: str) -> Any:
        def function(*given: Any) -> int:
            if name.endswith("GetAttribute"):
                given[0]._obj.value = 1 << 20
            return 0

        return function


@pytest.mark.parametrize("name", kernels())
def test_a_launch_packs_what_the_code_takes(made: Mapping[str, list[Compiled]], name: str) -> None:
    for code in made[name]:
        arguments = code.kernel.arguments
        function = Driver(code.gpu, Silent(), 0).load(code.binary, code.form, arguments)
        call = function.call((1,), [16 * (number + 1) for number in range(len(arguments))])
        pointers = [argument.type.startswith("*") for argument in arguments]
        packed = [c.sizeof(each) for each in call.held]
        assert list(zip(packed, [*pointers, True, True], strict=True)) == taken(code)
        assert [each.value for each in call.held[:-2]] == [16 * (number + 1) for number in range(len(arguments))]
        assert len(call.parameters) == len(packed)


@pytest.mark.parametrize("name", kernels())
def test_a_launch_has_the_threads_that_the_code_wants(made: Mapping[str, list[Compiled]], name: str) -> None:
    code, amd = made[name]
    wanted = re.search(r"\.(?:req|max)ntid (\d+)", code.text)
    assert wanted is not None and int(wanted[1]) == code.resources.threads
    most = re.search(r"\.max_flat_workgroup_size:\s+(\d+)", amd.text)
    assert most is not None and int(most[1]) == amd.resources.threads and "wavefront_size: 64" in amd.text


def test_no_state_is_on_its_way_before_the_barrier(made: Mapping[str, list[Compiled]]) -> None:
    """A turn of a path by scratch reads what other threads wrote in the turn before: nothing of it is loaded ahead,
    and a barrier stands between each store and the next load."""
    text = made["scratch"][0].text
    assert "cp.async" not in text and "ld.global.nc" not in text
    stored = False
    for line in text.splitlines():
        if "bar.sync" in line:
            stored = False
        elif re.search(r"\bst\.global", line):
            stored = "@" not in line  # a flag is stored by a few
        elif re.search(r"\bld\.global", line):
            assert not stored, line
    assert text.count("bar.sync") > 0
