"""From a bundle to an engine on a GPU: its machine code is loaded and launched, and nothing is compiled.

What enters is a bundle and a device; what leaves is what answers on it. Triton need not be installed. Where the bundle
has no code for the device, or none that this Danaus would launch, that is said: with Triton, `danaus.compile` makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ...ir.diagnostic import DanausError, error
from ...ir.program.tabled import Tabled
from ...runtime.bundle import Bundle
from ...runtime.device_code import DeviceCode, DeviceKernel
from ...runtime.queries.on_device import OnDevice
from .adjoint import FusedReverse
from .adjoint_scalar import AdjointScalar
from .device import named, numbered, on
from .driver import Driver, Function, driver_of
from .engine import Choose, Fused
from .inputs import Inputs
from .kernel import Kernel
from .policy import PRECISIONS, Precision, Tiles
from .scalar import Device, Scalar
from .steps import steps
from .steps_walker import StepsWalker
from .stored import numbers_of, tabled_of, walked_of
from .targets import GPUS
from .tiled import NONE, Choices
from .walker import NetworkWalker


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

    make: Callable[[Kernel], Entry] = field(kw_only=True)

    def launch(self, kernel: Kernel, grid: tuple[int, ...], arguments: Sequence[Any]) -> None:
        """Runs a kernel over a grid of programs, with its arguments in order."""
        with on(self.name):
            self.make(kernel)[grid](*arguments)


@dataclass(frozen=True, slots=True)
class Ready:
    """What answers a bundle's queries on a device: likelihoods, and what else it has code for."""

    engine: Fused | Scalar
    more: OnDevice | None


def engine_of(bundle: Bundle, device: str, driver: Driver | None = None) -> Fused | Scalar:
    """The engine of a bundle's likelihoods; otherwise as `ready_on`."""
    return ready_on(bundle, device, driver).engine


def ready_on(bundle: Bundle, device: str, driver: Driver | None = None) -> Ready:
    """A bundle on a device of torch's, such as "cuda" or "cuda:1"; `driver` in place of the system's.

    Raises: DanausError `unknown-device`, `no-device`, `no-driver`, `not-in-bundle` without code for the device,
        `wrong-device`, `damaged-bundle`.
    """
    if not bundle.devices:
        targets = ", ".join(GPUS)
        hint = f"compile it with --target: there are {targets}"
        raise error("not-in-bundle", f'the bundle of "{bundle.name}" has no code for a GPU', hint=hint)
    place = torch.device("cpu") if driver is not None else numbered(named(device), 'device="cpu" runs everywhere')
    with on(place):
        code, using = _chosen(bundle, place.index or 0, driver)
    held = {kernel.digest: kernel for kernel in code.kernels}
    loaded: dict[str, Entry] = {}

    def make(kernel: Kernel) -> Entry:
        if kernel.digest not in loaded:
            found = _found(held, kernel, code)
            with on(place):
                made = using.load(found.binary, found.form, kernel.arguments)
            loaded[kernel.digest] = Entry(made, _stream(place))
        return loaded[kernel.digest]

    gpu = GPUS[code.target]
    runs = Loaded(place, gpu, _choices(code), make=make)
    if bundle.program.layouts:
        numbers = numbers_of(bundle)
        return Ready(Scalar(bundle.program, numbers.size, numbers.form, runs), _more(bundle, code, runs, None))
    precision = next((each for each in PRECISIONS if each == code.precision), None)
    if precision is None:
        raise error("damaged-bundle", f'there is no precision "{code.precision}"', hint="compile it again")
    engine = Fused(bundle.program, place, precision, make=make, choose=_tiles(_choices(code)), gpu=gpu)
    return Ready(engine, _more(bundle, code, runs, precision))


def _more(bundle: Bundle, code: DeviceCode, device: Loaded, precision: Precision | None) -> OnDevice | None:
    """What the device answers beyond likelihoods; `precision` is that of a Program of vectors."""
    walks, tabled = bundle.walks, tabled_of(bundle)
    about = walked_of(bundle, tabled)
    if walks is None or tabled is None or about is None:
        return None
    sites, program = walks.sites, tabled.program

    def walker(own: Tabled) -> NetworkWalker | StepsWalker:
        if precision is None:
            return NetworkWalker(sites, device, own)
        found = steps(program, sites)
        assert found is not None
        inputs = (
            Inputs(program, device.name, precision, device.make, device.gpu, _tiles(device.tiles))
            if "flows" in code.answers
            else None
        )
        return StepsWalker(found, device, own, inputs, "map" in code.answers)

    def reverse(own: Tabled) -> FusedReverse | AdjointScalar | None:
        if precision is None:
            found: FusedReverse | AdjointScalar = _network_reverse(bundle, own, device)
        else:
            found = FusedReverse(
                program,
                device.name,
                precision,
                about.wanted,
                make=device.make,
                gpu=device.gpu,
                choose=_tiles(device.tiles),
            )
        return found if found.load(list(own.tables), lambda numbers: ()) else None

    return OnDevice(frozenset(about.able), frozenset(code.answers), walker, reverse)


def _network_reverse(bundle: Bundle, tabled: Tabled, device: Loaded) -> AdjointScalar:
    """The derivatives of a network, of those entries of its tables that are parameters."""
    wanted = [np.zeros(table.shape, dtype=bool) for table in tabled.tables]
    for each in bundle.fed:
        wanted[each.table].reshape(-1)[each.start : each.start + each.size] = True
    numbers = numbers_of(bundle)
    size = 8 if numbers.form == "log" else numbers.size
    return AdjointScalar(tabled.program, size, numbers.form, (wanted[0], wanted[1]), device)


def _choices(code: DeviceCode) -> Mapping[int, Choices]:
    """The tiles that the code was made with, where they are not the policy's."""
    return {rows: {digest: Tiles(*each) for digest, each in own.items()} for rows, own in code.tiles.items()}


def _tiles(found: Mapping[int, Choices]) -> Choose:
    return lambda program, precision, rows: found.get(rows, NONE)


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
