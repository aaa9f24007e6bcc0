"""Machine code loaded and launched through the GPU's driver: neither Triton nor a compiler is needed.

What enters is a cubin or hsaco with what its launch must know; what leaves is a call. The drivers, libcuda and
libamdhip64, are spoken to through ctypes; structures and numbers are those of `cuda.h`.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...ir.diagnostic import DanausError, error
from .kernel import Argument, Scalar
from .targets import Backend, Gpu

_LIBRARIES: dict[Backend, tuple[str, ...]] = {
    "cuda": ("libcuda.so.1", "libcuda.so"),
    "hip": ("libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6"),
}
_COOPERATIVE = 2  # CU_LAUNCH_ATTRIBUTE_COOPERATIVE
_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_MULTIPROCESSORS, _MAJOR, _MINOR, _SHARED_AT_MOST = 16, 75, 76, 97  # CU_DEVICE_ATTRIBUTE_…
_HIP_MULTIPROCESSORS = 63  # hipDeviceAttributeMultiprocessorCount
_PLAIN_SHARED = 48 << 10
"""Bytes of shared memory that a CUDA kernel has without asking for them."""

_WIDTHS: dict[Scalar, Callable[[Any], Any]] = {"i32": c.c_int32, "i64": c.c_int64, "fp32": c.c_float}


class _Attribute(c.Structure):
    """CUlaunchAttribute."""

    _fields_ = (("id", c.c_uint), ("pad", c.c_char * 4), ("value", c.c_uint * 16))


class _Config(c.Structure):
    """CUlaunchConfig."""

    _fields_ = (
        ("grid", c.c_uint * 3),
        ("block", c.c_uint * 3),
        ("shared", c.c_uint),
        ("stream", c.c_void_p),
        ("attributes", c.POINTER(_Attribute)),
        ("count", c.c_uint),
    )


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver of one device; the device's primary context is current, as torch has it."""

    gpu: Gpu
    library: Any
    device: int

    def load(self, binary: bytes, form: Mapping[str, Any], arguments: Sequence[Argument]) -> Function:
        """The entry of a module.

        Raises: DanausError `no-room`, `wrong-device`, `driver-error`.
        """
        if form["global_scratch_size"] or form["profile_scratch_size"] or form["num_ctas"] != 1 or form["launch_pdl"]:
            raise error("damaged-bundle", f"{form['name']} asks for what no kernel here asks", hint="compile it again")
        cuda = self.gpu.backend == "cuda"
        if cuda and form["shared"] > (most := self._attribute(_SHARED_AT_MOST)):
            message = f"{form['name']} takes {form['shared']} bytes of shared memory, and the device has {most}"
            raise error("no-room", message, hint=f"compile it for the device, not {self.gpu.name}")
        module, function = c.c_void_p(), c.c_void_p()
        self.do("cuModuleLoadData" if cuda else "hipModuleLoadData", c.byref(module), c.c_char_p(binary))
        name = c.c_char_p(str(form["name"]).encode())
        self.do("cuModuleGetFunction" if cuda else "hipModuleGetFunction", c.byref(function), module, name)
        if cuda and form["shared"] > _PLAIN_SHARED:
            self.do("cuFuncSetAttribute", function, c.c_int(_SHARED), c.c_int(form["shared"]))
        return Function(self, function, tuple(arguments), dict(form))

    def resident(self, function: Function) -> int:
        """How many programs of a kernel are on the device at once: a grid with barriers is no larger."""
        cuda = self.gpu.backend == "cuda"
        found = c.c_int()
        threads, shared = c.c_int(function.threads), c.c_size_t(function.form["shared"])
        name = "OccupancyMaxActiveBlocksPerMultiprocessor"
        self.do(f"cu{name}" if cuda else f"hipModule{name}", c.byref(found), function.handle, threads, shared)
        return found.value * self._attribute(_MULTIPROCESSORS if cuda else _HIP_MULTIPROCESSORS)

    def _attribute(self, number: int) -> int:
        found = c.c_int()
        name = "cuDeviceGetAttribute" if self.gpu.backend == "cuda" else "hipDeviceGetAttribute"
        self.do(name, c.byref(found), c.c_int(number), c.c_int(self.device))
        return found.value

    def require_kind(self) -> None:
        """Refuses a device that does not run this GPU's code: that of sm_80 runs on 8.x, others on their own kind.

        Raises: DanausError `wrong-device`.
        """
        if self.gpu.backend != "cuda":
            return  # its driver refuses code of another kind when it is loaded
        found = (self._attribute(_MAJOR), self._attribute(_MINOR))
        wanted = divmod(int(self.gpu.architecture), 10)
        if found[0] != wanted[0] or found[1] < wanted[1] or (wanted[0] > 8 and found != wanted):
            message = f"the device is sm_{found[0]}{found[1]}, and the code is for {self.gpu.name}"
            raise error("wrong-device", message, hint=f"compile with --target cuda:sm_{found[0]}{found[1]}")

    def do(self, name: str, *arguments: Any) -> None:
        """Calls the driver.

        Raises: DanausError `driver-error` with the driver's name of what went wrong, `wrong-device`.
        """
        status = getattr(self.library, name)(*arguments)
        if not status:
            return
        if status == 209:  # …NO_BINARY_FOR_GPU, in both
            message = f"the device does not run code for {self.gpu.name}"
            raise error("wrong-device", message, hint="compile with --target of the device that it is to run on")
        raise error("driver-error", f"{name} fails with {self._named(status)}", hint="other work may hold the device")

    def _named(self, status: int) -> str:
        text = c.c_char_p()
        if (
            self.gpu.backend == "cuda"
            and not self.library.cuGetErrorName(c.c_int(status), c.byref(text))
            and text.value
        ):
            return text.value.decode()
        return f"the status {status}"


@dataclass(frozen=True, slots=True)
class Function:
    """An entry of a loaded module, and what its launches need."""

    driver: Driver
    handle: Any
    arguments: tuple[Argument, ...]
    form: Mapping[str, Any]

    @property
    def threads(self) -> int:
        return int(self.form["num_warps"] * self.form["warp_size"])

    def call(self, grid: tuple[int, ...], values: Sequence[int | float]) -> Call:
        """A launch over a grid of up to three sizes with values of the arguments, pointers as addresses.

        Raises: DanausError `no-room` where a grid with barriers is larger than what the device holds at once.
        """
        if len(values) != len(self.arguments):
            raise ValueError(f"{self.form['name']} takes {len(self.arguments)} arguments, not {len(values)}")
        for argument, value in zip(self.arguments, values, strict=True):
            if argument.aligned and not isinstance(value, float) and value % 16:
                raise ValueError(f"{argument.name} of {self.form['name']} is {value}, which 16 does not divide")
            if argument.type == "i32" and not -(1 << 31) <= value < 1 << 31:
                raise ValueError(f"{argument.name} of {self.form['name']} is {value}, which 32 bits do not hold")
        packed = [_packed(argument.type, value) for argument, value in zip(self.arguments, values, strict=True)]
        packed += [c.c_uint64(0), c.c_uint64(0)]  # scratch of the kernel and of a profiler: none, and always there
        parameters = (c.c_void_p * len(packed))(*(c.addressof(each) for each in packed))
        x, y, z = (*grid, 1, 1)[:3]
        if self.form["launch_cooperative_grid"] and x * y * z > (most := self.driver.resident(self)):
            message = f"{self.form['name']} runs {x * y * z} programs at once, and the device holds {most}"
            raise error("no-room", message, hint="a smaller batch takes fewer")
        return Call(self, (x, y, z), packed, parameters)


def _packed(kind: Scalar, value: int | float) -> Any:
    return c.c_uint64(int(value)) if kind.startswith("*") else _WIDTHS[kind](value)


@dataclass(frozen=True, slots=True)
class Call:
    """A launch with its values, which stay where the driver reads them; as often as one likes, on any stream."""

    function: Function
    grid: tuple[int, int, int]
    held: Sequence[Any]
    parameters: Any

    def __call__(self, stream: int = 0) -> None:
        form, driver = self.function.form, self.function.driver
        cooperative = bool(form["launch_cooperative_grid"])
        if driver.gpu.backend == "cuda":
            attributes = (_Attribute * 1)()
            if cooperative:
                attributes[0].id = _COOPERATIVE
                attributes[0].value[0] = 1
            block = (self.function.threads, 1, 1)
            config = _Config(self.grid, block, form["shared"], stream, attributes, int(cooperative))
            driver.do("cuLaunchKernelEx", c.byref(config), self.function.handle, self.parameters, c.c_void_p())
            return
        sizes = [c.c_uint(each) for each in (*self.grid, self.function.threads, 1, 1, form["shared"])]
        rest = (c.c_void_p(stream), self.parameters)
        if cooperative:
            driver.do("hipModuleLaunchCooperativeKernel", self.function.handle, *sizes, *rest)
        else:
            driver.do("hipModuleLaunchKernel", self.function.handle, *sizes, *rest, c.c_void_p())


def driver_of(gpu: Gpu, device: int = 0, library: Any = None) -> Driver:
    """The driver of a device, which runs the GPU's code; `library` in place of the system's.

    Raises: DanausError `no-driver`, `wrong-device`, `driver-error`.
    """
    driver = Driver(gpu, library if library is not None else _library(gpu.backend), device)
    if gpu.backend == "cuda":
        _begin(driver)
    else:
        driver.do("hipInit", c.c_uint(0))
        driver.do("hipSetDevice", c.c_int(device))
    driver.require_kind()
    return driver


def _begin(driver: Driver) -> None:
    """Makes the device's primary context current, which is the one that torch uses."""
    try:
        driver.do("cuInit", c.c_uint(0))
        handle, context = c.c_int(), c.c_void_p()
        driver.do("cuDeviceGet", c.byref(handle), c.c_int(driver.device))
        driver.do("cuDevicePrimaryCtxRetain", c.byref(context), handle)
        driver.do("cuCtxSetCurrent", context)
    except DanausError as failure:
        message = f"there is no device {driver.device} to run code for {driver.gpu.name}"
        said = failure.diagnostics[0].message
        raise error("no-device", f"{message}: {said}", hint="nvidia-smi lists the devices") from failure


def _library(backend: Backend) -> Any:
    for name in _LIBRARIES[backend]:
        with suppress(OSError):
            return c.CDLL(name)
    first = _LIBRARIES[backend][0]
    maker = "NVIDIA" if backend == "cuda" else "AMD"
    raise error(
        "no-driver", f"there is no {first} on this machine", hint=f"install {maker}'s driver, or run on the CPU"
    )
