"""From a bundle to an engine on a GPU: its machine code is loaded and launched, and nothing is compiled.

What enters is a bundle and a device; what leaves is what answers on it. Triton need not be installed. Where the bundle
has no code for the device, or none that this Danaus would launch, that is said: with Triton, `danaus.compile` makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...ir.diagnostic import DanausError, error
from ...runtime.bundle import Bundle
from ...runtime.device_code import DeviceCode, DeviceKernel
from .driver import Driver, Function, driver_of
from .engine import Fused
from .kernel import Kernel
from .network import Form
from .policy import PRECISIONS
from .scalar import Device, Scalar
from .targets import GPUS


@dataclass(frozen=True, slots=True)
class Entry:
    """A loaded kernel that is called as a jitted function is: `entry[grid](arguments in order, …)`.

    What goes by name are constants and options of the compiler, which the code has in it.
    """

    function: Function
    stream: Callable[[], int]

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*given: Any, **_: Any) -> None:
            values = [each.data_ptr() if isinstance(each, torch.Tensor) else each for each in given]
            self.function.call(grid, values)(self.stream())

        return launch


@dataclass(frozen=True, slots=True)
class Loaded(Device):
    """A device on which networks of scalar nodes run code that was compiled ahead of time."""

    make: Callable[[Kernel], Entry]

    def launch(self, kernel: Kernel, grid: tuple[int, ...], arguments: Sequence[Any]) -> None:
        """Runs a kernel over a grid of programs, with its arguments in order."""
        self.make(kernel)[grid](*arguments)


def engine_of(bundle: Bundle, device: str, driver: Driver | None = None) -> Fused | Scalar:
    """The engine of a bundle on a device of torch's, such as "cuda" or "cuda:1"; `driver` in place of the system's.

    Raises: DanausError `unknown-device`, `no-device`, `no-driver`, `not-in-bundle` without code for the device,
        `wrong-device`, `damaged-bundle`.
    """
    if not bundle.devices:
        targets = ", ".join(GPUS)
        hint = f"compile it with --target: there are {targets}"
        raise error("not-in-bundle", f'the bundle of "{bundle.name}" has no code for a GPU', hint=hint)
    place = torch.device("cpu") if driver is not None else _device(device)
    code, using = _chosen(bundle, place.index or 0, driver)
    held = {kernel.digest: kernel for kernel in code.kernels}
    loaded: dict[str, Entry] = {}

    def make(kernel: Kernel) -> Entry:
        if kernel.digest not in loaded:
            found = _found(held, kernel, code)
            loaded[kernel.digest] = Entry(using.load(found.binary, found.form, kernel.arguments), _stream(place))
        return loaded[kernel.digest]

    if bundle.program.layouts:
        form: Form = "log" if bundle.form == "log" else "linear"
        return Scalar(bundle.program, bundle.size, form, Loaded(place, make))
    precision = next((each for each in PRECISIONS if each == code.precision), None)
    if precision is None:
        raise error("damaged-bundle", f'there is no precision "{code.precision}"', hint="compile it again")
    return Fused(bundle.program, place, precision, make=make)


def _device(name: str) -> torch.device:
    try:
        found = torch.device(name)
    except RuntimeError:
        raise error("unknown-device", f'there is no device "{name}"', hint='such as "cpu" or "cuda"') from None
    if not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count():
        raise error("no-device", f'torch finds no GPU for "{name}"', hint='device="cpu" runs everywhere')
    return found


def _stream(place: torch.device) -> Callable[[], int]:
    """The stream that torch works on at present; the default one where there is no GPU."""
    if place.type != "cuda":
        return lambda: 0
    return lambda: int(torch.cuda.current_stream(place).cuda_stream)


def _chosen(bundle: Bundle, number: int, driver: Driver | None) -> tuple[DeviceCode, Driver]:
    """The code that the device runs, and its driver."""
    backend = "hip" if torch.version.hip else "cuda"
    refused: list[DanausError] = []
    for code in bundle.devices:
        gpu = GPUS.get(code.target)
        if gpu is None or (driver is None and gpu.backend != backend):
            continue
        if driver is not None:
            if driver.gpu == gpu:
                return code, driver
            continue
        try:
            return code, driver_of(gpu, number)
        except DanausError as failure:
            if failure.diagnostics[0].code != "wrong-device":
                raise
            refused.append(failure)
    if refused:
        raise DanausError(*(each for failure in refused for each in failure.diagnostics))
    targets = ", ".join(code.target for code in bundle.devices)
    message = f'the bundle of "{bundle.name}" has code for {targets}, not for this device'
    raise error("not-in-bundle", message, hint=f"compile it with --target: there are {', '.join(GPUS)}")


def _found(held: Mapping[str, DeviceKernel], kernel: Kernel, code: DeviceCode) -> DeviceKernel:
    """The code of a kernel that a plan launches."""
    if kernel.digest not in held:
        message = f"the bundle's kernels for {code.target} are of another version of Danaus"
        raise error("bundle-version", message, hint="compile it again with this version")
    return held[kernel.digest]
