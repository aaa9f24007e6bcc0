"""Kernels of a Program for bundles: all that its plans launch, compiled for GPUs by name.

What enters is a Program; what leaves is code by target. A loader plans the Program again, which takes no Triton, and
finds the code of each kernel by its digest: code never meets places or tables of another version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ...ir.program.program import Program
from ...runtime.device_code import DeviceCode, DeviceKernel
from . import sparse_policy
from .ahead import Compiled, compiled_pairs, triton_version
from .kernel import Kernel
from .network import Numbers, level, whole
from .plan import Plan, plan
from .policy import CLASSES, Precision
from .targets import Gpu, gpu_named

FLOATS = Numbers("linear", 4)

LANES = (1, 2, 4, 8, 16, 32)
"""Batches of each width that the tiles of networks have."""


def plans_of(program: Program, precision: Precision) -> tuple[Plan, ...]:
    """The plans of a Program for batches of every class.

    Raises: DanausError `not-on-device`.
    """
    return tuple(plan(program, precision, rows) for rows in CLASSES)


def kernels_of(plans: Sequence[Plan]) -> tuple[Kernel, ...]:
    """The kernels of plans, each once, in the order in which they are first launched."""
    return tuple({launch.kernel.digest: launch.kernel for each in plans for launch in each.launches}.values())


def kernels_for(program: Program, precision: Precision, numbers: Numbers, gpu: Gpu) -> tuple[Kernel, ...]:
    """All kernels that likelihoods of a Program may launch on a GPU: those of its plans, or of its network.

    A network of scalar nodes has one for each width of its tiles, for all levels at once and for one level; `numbers`
    are its.

    Raises: DanausError `not-on-device`.
    """
    if not program.layouts:
        return kernels_of(plans_of(program, precision))
    shapes = dict.fromkeys(sparse_policy.shape(rows, gpu.backend == "hip") for rows in LANES)
    return tuple(make(numbers, shape) for shape in shapes for make in (whole, level))


def devices_of(
    program: Program, precision: Precision, names: Sequence[str], numbers: Numbers = FLOATS
) -> tuple[DeviceCode, ...]:
    """The kernels of a Program for GPUs by name; `numbers` are those of a network of scalar nodes.

    Raises: DanausError `unknown-target`, `not-on-device`, and as `compiled`.
    """
    gpus = [gpu_named(name) for name in dict.fromkeys(names)]
    kernels = {gpu.name: kernels_for(program, precision, numbers, gpu) for gpu in gpus}
    made = compiled_pairs([(kernel, gpu) for gpu in gpus for kernel in kernels[gpu.name]])
    launches = {} if program.layouts else {each.most: len(each.launches) for each in plans_of(program, precision)}
    kind = f"float{8 * numbers.size}" if program.layouts else precision
    return tuple(
        DeviceCode(
            gpu.name,
            kind,
            triton_version(),
            launches,
            tuple(_stored(made[kernel.digest, gpu.name]) for kernel in kernels[gpu.name]),
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


def text_of(kernels: Sequence[Kernel]) -> str:
    """The text of kernels, each after a line with its constants, warps and stages."""
    return "\n\n".join(f"# {about(kernel)}\n{kernel.source.rstrip()}" for kernel in kernels) + "\n"


def about(kernel: Kernel) -> str:
    """A kernel's name and what it is compiled with."""
    constants = ", ".join(f"{name}={value}" for name, value in kernel.constants)
    return f"{kernel.name}[{constants}], {kernel.warps} warps, {kernel.stages} stages"
