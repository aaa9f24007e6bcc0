"""Launches through a driver: what a library that only writes down is given, and what is said where there is none."""

from __future__ import annotations

import ctypes as c
import shutil
import subprocess
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from danaus.backends.triton import driver as drivers
from danaus.backends.triton.driver import Driver, driver_of
from danaus.backends.triton.kernel import Argument
from danaus.backends.triton.targets import gpu_named
from danaus.ir.diagnostic import DanausError

ARGUMENTS = (Argument("x", "*fp32"), Argument("n", "i32", False), Argument("s", "fp32", False), Argument("m", "i64"))
VALUES = (0x7F0000001000, -4, 1.5, 1 << 40)
FORM = {
    "name": "k",
    "shared": 90240,
    "num_warps": 8,
    "warp_size": 32,
    "num_ctas": 1,
    "launch_cooperative_grid": 0,
    "launch_pdl": 0,
    "global_scratch_size": 0,
    "profile_scratch_size": 0,
    "tmem_size": 0,
}


@dataclass
class Library:
    """A driver that runs nothing: of each call it keeps the name and the numbers that a C function would see."""

    major: int = 9
    minor: int = 0
    fails: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        def function(*given: Any) -> int:
            return self._do(name, given)

        return function

    def _do(self, name: str, given: tuple[Any, ...]) -> int:
        if name in self.fails:
            return self.fails[name]
        attributes = {16: 132, 63: 304, 75: self.major, 76: self.minor, 97: 232448}
        match name:
            case "cuDeviceGetAttribute" | "hipDeviceGetAttribute":
                given[0]._obj.value = attributes[given[1].value]
                return 0
            case "cuGetErrorName":
                given[1]._obj.value = b"CUDA_ERROR_ILLEGAL_ADDRESS" if given[0].value == 700 else None
                return 0
            case "cuModuleGetFunction" | "hipModuleGetFunction":
                given[0]._obj.value = 77
                self.calls.append((name, given[2].value))
            case "cuModuleLoadData" | "hipModuleLoadData":
                self.calls.append((name, given[1].value[:4]))
            case "cuOccupancyMaxActiveBlocksPerMultiprocessor" | "hipModuleOccupancyMaxActiveBlocksPerMultiprocessor":
                given[0]._obj.value = 2
                self.calls.append((name, *(each.value for each in given[1:])))
            case "cuLaunchKernelEx":
                config = given[0]._obj
                extra = [(config.attributes[i].id, config.attributes[i].value[0]) for i in range(config.count)]
                launch = (tuple(config.grid), tuple(config.block), config.shared, config.stream, extra)
                self.calls.append((name, *launch, given[1].value, values_at(given[2]), given[3].value))
            case "hipModuleLaunchKernel" | "hipModuleLaunchCooperativeKernel":
                sizes = tuple(each.value for each in given[1:8])
                rest = tuple(each.value for each in given[10:])
                self.calls.append((name, given[0].value, sizes, given[8].value, values_at(given[9]), rest))
            case _:
                self.calls.append((name, *(each.value for each in given if hasattr(each, "value"))))
        return 0


def values_at(parameters: Any) -> list[int | float]:
    """The values as the device reads them, in the kernel's own widths, then the two pointers to scratch."""
    kinds = (c.c_uint64, c.c_int32, c.c_float, c.c_int64, c.c_uint64, c.c_uint64)
    assert len(parameters) == len(kinds)
    return [kind.from_address(address).value for kind, address in zip(kinds, parameters, strict=True)]


def opened(library: Library, target: str = "cuda:sm_90") -> Driver:
    return driver_of(gpu_named(target), 0, library)


def code_of(failure: pytest.ExceptionInfo[DanausError]) -> tuple[str, str]:
    (found,) = failure.value.diagnostics
    assert found.hint
    return found.code, found.message


def test_a_launch_gives_the_driver_what_the_kernel_takes() -> None:
    library = Library()
    function = opened(library).load(b"\x7fELF and more", FORM, ARGUMENTS)
    assert library.calls[-3:] == [
        ("cuModuleLoadData", b"\x7fELF"),
        ("cuModuleGetFunction", b"k"),
        ("cuFuncSetAttribute", 77, 8, 90240),
    ]
    call = function.call((7, 3), VALUES)
    call(0x55)
    call(0x56)
    expected = ("cuLaunchKernelEx", (7, 3, 1), (256, 1, 1), 90240)
    rest = ([], 77, [*VALUES, 0, 0], None)
    assert library.calls[-2:] == [(*expected, 0x55, *rest), (*expected, 0x56, *rest)]


def test_little_shared_memory_is_not_asked_for() -> None:
    library = Library()
    opened(library).load(b"\x7fELF", FORM | {"shared": 48 << 10}, ARGUMENTS)
    assert not [call for call in library.calls if call[0] == "cuFuncSetAttribute"]


def test_the_device_becomes_current_as_torch_has_it() -> None:
    library = Library()
    opened(library)
    assert [call[0] for call in library.calls] == [
        "cuInit",
        "cuDeviceGet",
        "cuDevicePrimaryCtxRetain",
        "cuCtxSetCurrent",
    ]


def test_a_grid_with_barriers_is_launched_as_such_where_it_is_on_the_device_at_once() -> None:
    library = Library()
    function = opened(library).load(b"\x7fELF", FORM | {"launch_cooperative_grid": 1}, ARGUMENTS)
    function.call((264,), VALUES)()
    assert library.calls[-2] == ("cuOccupancyMaxActiveBlocksPerMultiprocessor", 77, 256, 90240)
    assert library.calls[-1][5] == [(2, 1)]
    with pytest.raises(DanausError) as failure:
        function.call((265,), VALUES)
    assert code_of(failure) == ("no-room", "k runs 265 programs at once, and the device holds 264")


def test_amd_takes_the_same_values() -> None:
    library = Library()
    form = FORM | {"warp_size": 64, "shared": 60000}
    opened(library, "hip:gfx942").load(b"\x7fELF", form, ARGUMENTS).call((5,), VALUES)(9)
    sizes = (5, 1, 1, 512, 1, 1, 60000)
    assert library.calls[-1] == ("hipModuleLaunchKernel", 77, sizes, 9, [*VALUES, 0, 0], (None,))
    assert not [call for call in library.calls if "Attribute" in call[0]]
    cooperative = form | {"launch_cooperative_grid": 1}
    function = opened(library, "hip:gfx942").load(b"\x7fELF", cooperative, ARGUMENTS)
    function.call((608,), VALUES)(9)
    sizes = (608, *sizes[1:])
    assert library.calls[-1] == ("hipModuleLaunchCooperativeKernel", 77, sizes, 9, [*VALUES, 0, 0], ())
    with pytest.raises(DanausError):
        function.call((609,), VALUES)


@pytest.mark.parametrize(
    ("target", "device", "runs"),
    [
        ("cuda:sm_80", (8, 0), True),
        ("cuda:sm_80", (8, 9), True),
        ("cuda:sm_80", (9, 0), False),
        ("cuda:sm_90", (9, 0), True),
        ("cuda:sm_90", (8, 9), False),
        ("cuda:sm_100", (10, 0), True),
        ("cuda:sm_100", (10, 3), False),
        ("cuda:sm_100", (12, 0), False),
    ],
)
def test_code_runs_on_its_kind_of_device(target: str, device: tuple[int, int], runs: bool) -> None:
    library = Library(*device)
    major, minor = device
    if runs:
        opened(library, target)
        return
    with pytest.raises(DanausError) as failure:
        opened(library, target)
    assert code_of(failure) == ("wrong-device", f"the device is sm_{major}{minor}, and the code is for {target}")


def test_what_the_driver_refuses_is_named() -> None:
    library = Library(fails={"cuLaunchKernelEx": 700})
    call = opened(library).load(b"\x7fELF", FORM, ARGUMENTS).call((1,), VALUES)
    with pytest.raises(DanausError) as failure:
        call()
    assert code_of(failure) == ("driver-error", "cuLaunchKernelEx fails with CUDA_ERROR_ILLEGAL_ADDRESS")
    with pytest.raises(DanausError) as failure:
        opened(Library(fails={"hipModuleLoadData": 209}), "hip:gfx942").load(b"\x7fELF", FORM, ARGUMENTS)
    assert code_of(failure)[0] == "wrong-device"
    with pytest.raises(DanausError) as failure:
        opened(Library(fails={"cuInit": 100}))
    assert code_of(failure)[0] == "no-device"


def test_what_no_launch_could_do_is_refused_before() -> None:
    driver = opened(Library())
    with pytest.raises(DanausError) as failure:
        driver.load(b"\x7fELF", FORM | {"shared": 232449}, ARGUMENTS)
    assert code_of(failure) == ("no-room", "k takes 232449 bytes of shared memory, and the device has 232448")
    for name in ("global_scratch_size", "profile_scratch_size", "launch_pdl"):
        with pytest.raises(DanausError) as failure:
            driver.load(b"\x7fELF", FORM | {name: 16}, ARGUMENTS)
        assert code_of(failure)[0] == "damaged-bundle"
    function = driver.load(b"\x7fELF", FORM, ARGUMENTS)
    for values in (VALUES[:-1], (8, *VALUES[1:]), (*VALUES[:-1], 24), (VALUES[0], 1 << 31, *VALUES[2:])):
        with pytest.raises(ValueError, match=r"takes 4 arguments|which 16 does not divide|32 bits do not hold"):
            function.call((1,), values)


def test_a_machine_without_a_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(drivers.c, "CDLL", absent)
    for target, name in (("cuda:sm_90", "libcuda.so.1"), ("hip:gfx942", "libamdhip64.so")):
        with pytest.raises(DanausError) as failure:
            driver_of(gpu_named(target))
        assert code_of(failure) == ("no-driver", f"there is no {name} on this machine")


HEADER = """#include "cuda.h"
#include <stddef.h>
#include <stdio.h>
int main(void) { printf("%zu %zu %zu %zu %zu %zu %zu %d %d %d %d %d %d %d",
  sizeof(CUlaunchConfig), offsetof(CUlaunchConfig, sharedMemBytes), offsetof(CUlaunchConfig, hStream),
  offsetof(CUlaunchConfig, attrs), offsetof(CUlaunchConfig, numAttrs), sizeof(CUlaunchAttribute),
  offsetof(CUlaunchAttribute, value), CU_LAUNCH_ATTRIBUTE_COOPERATIVE, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
  CUDA_ERROR_NO_BINARY_FOR_GPU); return 0; }
"""


def test_structures_and_numbers_are_those_of_the_header(tmp_path: Path) -> None:
    found = find_spec("triton")
    if found is None or found.origin is None or shutil.which("cc") is None:
        pytest.skip("it takes a C compiler and Triton, which brings cuda.h")
    (tmp_path / "layout.c").write_text(HEADER)
    include = Path(found.origin).parent / "backends" / "nvidia" / "include"
    subprocess.run(["cc", f"-I{include}", tmp_path / "layout.c", "-o", tmp_path / "layout"], check=True)
    said = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True).stdout
    config, attribute = drivers._Config, drivers._Attribute
    offsets = [getattr(config, name).offset for name in ("shared", "stream", "attributes", "count")]
    ours = [c.sizeof(config), *offsets, c.sizeof(attribute), attribute.value.offset, drivers._COOPERATIVE]
    ours += [drivers._SHARED, drivers._MULTIPROCESSORS, drivers._MAJOR, drivers._MINOR, drivers._SHARED_AT_MOST, 209]
    assert list(map(int, said.split())) == ours
