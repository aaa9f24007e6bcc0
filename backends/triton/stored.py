"""Kernels of a circuit for bundles: all that its queries may launch, compiled for GPUs by name.

What enters is a bundle without them; what leaves is code by target. A loader plans the Program again, which takes no
Triton, and finds the code of each kernel by its digest: code never meets places or tables of another version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple

from ...ir.program.program import Program
from ...ir.program.single import single
from ...ir.program.tabled import Tabled
from ...runtime.bundle import Bundle
from ...runtime.device_code import DeviceCode, DeviceKernel
from .ahead import Compiled, compiled_pairs, triton_version
from .answering import Answering, Walked, answering, of_network, of_vectors, walked
from .kernel import Kernel
from .network import Form, Numbers
from .plan import Plan, plan
from .policy import Precision, classes
from .targets import MODEL, Gpu, gpu_named
from .tiled import NONE, Choices
from .tune import tuned

UNTUNED: Mapping[int, Choices] = {}


def plans_of(
    program: Program, precision: Precision, tiles: Mapping[int, Choices] = UNTUNED, gpu: Gpu = MODEL
) -> tuple[Plan, ...]:
    """The plans of a Program for batches of every class on a GPU, with the `tiles` chosen for some.

    Raises: DanausError `not-on-device`.
    """
    return tuple(plan(program, precision, rows, tiles.get(rows, NONE), gpu) for rows in classes(gpu))


def kernels_of(plans: Sequence[Plan]) -> tuple[Kernel, ...]:
    """The kernels of plans, each once, in the order in which they are first launched."""
    return tuple({launch.kernel.digest: launch.kernel for each in plans for launch in each.launches}.values())


def kernels_by(
    bundle: Bundle,
    precision: Precision,
    gpu: Gpu,
    queries: Sequence[str] = (),
    tiles: Mapping[int, Choices] = UNTUNED,
) -> dict[Answering, tuple[Kernel, ...]]:
    """The kernels that a circuit's queries may launch on a GPU, by what they answer: likelihoods, and queries by kind.

    A network of scalar nodes has one for each width of its tiles, for all levels at once and for one level. A kernel
    that answers several things is in each.

    Raises: DanausError `not-on-device`, `unknown-query`.
    """
    wanted = answering(queries)
    drain, walks, program = gpu.backend == "hip", walked_of(bundle), bundle.program
    able = ("likelihood", *(() if walks is None else walks.able))
    found: dict[Answering, tuple[Kernel, ...]] = {}
    for what in wanted:
        if what not in able:
            continue
        if program.layouts:
            found[what] = of_network(walks or Walked(program, ()), what, numbers_of(bundle), drain)
        elif what == "likelihood":
            found[what] = kernels_of(plans_of(program, precision, tiles, gpu))
        elif walks is not None:
            found[what] = of_vectors(walks, what, precision, gpu)
    return found


def kernels_for(
    bundle: Bundle, precision: Precision, gpu: Gpu, queries: Sequence[str] = (), tune: bool = False
) -> tuple[Kernel, ...]:
    """The same, all of them, each once."""
    by = kernels_by(bundle, precision, gpu, queries, tiles_for(bundle.program, precision, gpu, tune))
    return tuple({kernel.digest: kernel for own in by.values() for kernel in own}.values())


def tabled_of(bundle: Bundle) -> Tabled | None:
    """The Program that walks and derivatives take, each of its buffers filled once, with its tables."""
    walks = bundle.walks
    return None if walks is None else Tabled(single(walks.program), walks.tables)


def walked_of(bundle: Bundle, tabled: Tabled | None = None) -> Walked | None:
    """What a device answers by walks and derivatives; None where the bundle has nothing for that."""
    tabled = tabled or tabled_of(bundle)
    if bundle.walks is None or tabled is None:
        return None
    return walked(tabled, bundle.walks.sites, bundle.fed, len(bundle.variables))


def numbers_of(bundle: Bundle) -> Numbers:
    """The numbers of a network's likelihoods."""
    form: Form = "log" if bundle.form == "log" else "linear"
    return Numbers(form, bundle.size)


def tiles_for(program: Program, precision: Precision, gpu: Gpu, tune: bool) -> Mapping[int, Choices]:
    """Tiles in place of the policy's for a GPU, by class of batches; without `tune`, and of a network, none.

    Raises: DanausError `missing-package`, `not-on-device`.
    """
    if not tune or program.layouts:
        return UNTUNED
    from .measured import tuner_for

    tuner = tuner_for(gpu, precision)
    return {rows: found for rows in classes(gpu) if (found := tuned(program, precision, rows, tuner))}


def devices_of(
    bundle: Bundle, precision: Precision, names: Sequence[str], queries: Sequence[str] = (), tune: bool = False
) -> tuple[DeviceCode, ...]:
    """The kernels of a circuit for GPUs by name: those of likelihoods, tuned if so, and of queries by kind.

    Raises: DanausError `unknown-target`, `not-on-device`, `unknown-query`, and as `compiled`.
    """
    gpus = [gpu_named(name) for name in dict.fromkeys(names)]
    program = bundle.program
    tiles = {gpu.name: tiles_for(program, precision, gpu, tune) for gpu in gpus}
    by = {gpu.name: kernels_by(bundle, precision, gpu, queries, tiles[gpu.name]) for gpu in gpus}
    kernels = {name: tuple({k.digest: k for each in own.values() for k in each}.values()) for name, own in by.items()}
    made = compiled_pairs([(kernel, gpu) for gpu in gpus for kernel in kernels[gpu.name]])
    plans = {gpu.name: () if program.layouts else plans_of(program, precision, tiles[gpu.name], gpu) for gpu in gpus}
    kind = f"float{8 * bundle.size}" if program.layouts else precision
    return tuple(
        DeviceCode(
            gpu.name,
            kind,
            triton_version(),
            {each.most: len(each.launches) for each in plans[gpu.name]},
            tuple(_stored(made[kernel.digest, gpu.name]) for kernel in kernels[gpu.name]),
            tuple(by[gpu.name]),
            {rows: {digest: astuple(each) for digest, each in own.items()} for rows, own in tiles[gpu.name].items()},
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
