"""Kernels of a Program for bundles: all that its plans launch, compiled for GPUs by name.

What enters is a Program; what leaves is code by target. A loader plans the Program again, which takes no Triton, and
finds the code of each kernel by its digest: code never meets places or tables of another version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ...ir.program.program import Program
from ...runtime.device_code import DeviceCode, DeviceKernel
from .ahead import Compiled, compiled, triton_version
from .kernel import Kernel
from .plan import Plan, plan
from .policy import CLASSES, Precision
from .targets import gpu_named


def plans_of(program: Program, precision: Precision) -> tuple[Plan, ...]:
    """The plans of a Program for batches of every class.

    Raises: DanausError `not-on-device`.
    """
    return tuple(plan(program, precision, rows) for rows in CLASSES)


def kernels_of(plans: Sequence[Plan]) -> tuple[Kernel, ...]:
    """The kernels of plans, each once, in the order in which they are first launched."""
    return tuple({launch.kernel.digest: launch.kernel for each in plans for launch in each.launches}.values())


def devices_of(program: Program, precision: Precision, names: Sequence[str]) -> tuple[DeviceCode, ...]:
    """The kernels of a Program for GPUs by name.

    Raises: DanausError `unknown-target`, `not-on-device`, and as `compiled`.
    """
    gpus = [gpu_named(name) for name in dict.fromkeys(names)]
    if not gpus:
        return ()
    plans = plans_of(program, precision)
    kernels = kernels_of(plans)
    made = compiled(kernels, gpus)
    launches = {each.most: len(each.launches) for each in plans}
    using = triton_version()
    return tuple(
        DeviceCode(
            gpu.name, precision, using, launches, tuple(_stored(made[kernel.digest, gpu.name]) for kernel in kernels)
        )
        for gpu in gpus
    )


def _stored(made: Compiled) -> DeviceKernel:
    kernel = made.kernel
    return DeviceKernel(
        kernel.name,
        kernel.digest,
        kernel.source,
        tuple((argument.name, argument.type, argument.aligned) for argument in kernel.arguments),
        kernel.constants,
        kernel.warps,
        kernel.stages,
        kernel.cooperative,
        made.text,
        made.binary,
        made.form,
        asdict(made.resources),
    )


def text_of(plans: Sequence[Plan]) -> str:
    """The text of all kernels, each after a line with its constants, warps and stages."""
    return "\n\n".join(f"# {about(kernel)}\n{kernel.source.rstrip()}" for kernel in kernels_of(plans)) + "\n"


def about(kernel: Kernel) -> str:
    """A kernel's name and what it is compiled with."""
    constants = ", ".join(f"{name}={value}" for name, value in kernel.constants)
    return f"{kernel.name}[{constants}], {kernel.warps} warps, {kernel.stages} stages"
