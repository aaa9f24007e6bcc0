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
from .answering import (
    UNTUNED,
    Answering,
    Walked,
    answering,
    of_network,
    of_vectors,
    shapings_of_network,
    shapings_of_vectors,
    walked,
)
from .kernel import Kernel
from .network import Form, Numbers
from .plan import Plan, plan
from .policy import Precision, classes
from .roofline_walks import of_network as time_of_network
from .roofline_walks import of_steps
from .shapes import Shaping, network_about, steps_about
from .sparse_policy import LANES
from .steps import steps
from .targets import MODEL, Gpu, gpu_named
from .tiled import NONE, Choices
from .tune import Walking, ahead_tuned, tuned, tuned_back, tuned_shapes


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
    walks, program = walked_of(bundle), bundle.program
    able = ("likelihood", *(() if walks is None else walks.able))
    found: dict[Answering, tuple[Kernel, ...]] = {}
    for what in wanted:
        if what not in able:
            continue
        if program.layouts:
            found[what] = of_network(walks or Walked(program, ()), what, numbers_of(bundle), gpu, tiles)
        elif what == "likelihood":
            found[what] = kernels_of(plans_of(program, precision, tiles, gpu))
        elif walks is not None:
            found[what] = of_vectors(walks, what, precision, gpu, tiles)
    return found


def kernels_for(
    bundle: Bundle, precision: Precision, gpu: Gpu, queries: Sequence[str] = (), tune: bool = False
) -> tuple[Kernel, ...]:
    """The same, all of them, each once."""
    by = kernels_by(bundle, precision, gpu, queries, tiles_for(bundle, precision, gpu, queries, tune))
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


def tiles_for(
    bundle: Bundle, precision: Precision, gpu: Gpu, queries: Sequence[str], tune: bool
) -> Mapping[int, Choices]:
    """Tiles in place of the policy's for a GPU, of what queries may launch: by the largest batch of a class, and of
    networks and walks by lanes; without `tune` none.

    Raises: DanausError `missing-package`, `not-on-device`, `unknown-query`.
    """
    if not tune:
        return UNTUNED
    from .measured import tuner_for

    program, walks, tuner = bundle.program, walked_of(bundle), tuner_for(gpu, precision)
    wanted = [what for what in answering(queries) if what == "likelihood" or (walks is not None and what in walks.able)]
    found: dict[int, Choices] = {}
    if not program.layouts:
        for rows in classes(gpu):
            own = tuned(program, precision, rows, tuner)
            if walks is not None and "flows" in wanted:
                own = tuned_back(walks.program, precision, rows, tuner, walks.wanted, known=own)
            found[rows] = own
    shapings = {each.make(each.shape).digest: each for what in wanted for each in _shapings(bundle, walks, what, gpu)}
    for lanes in sorted({each.shape.lanes for each in shapings.values()}):
        alike = [each for each in shapings.values() if each.shape.lanes == lanes]
        found[lanes] = tuned_shapes(alike, _walking(bundle, walks, lanes, gpu), precision, ahead_tuned(gpu, precision))
    return {rows: own for rows, own in found.items() if own}


def _shapings(bundle: Bundle, walks: Walked | None, what: Answering, gpu: Gpu) -> list[Shaping]:
    if bundle.program.layouts:
        return shapings_of_network(walks or Walked(bundle.program, ()), what, numbers_of(bundle), gpu)
    return [] if walks is None else shapings_of_vectors(walks, what, gpu)


def _walking(bundle: Bundle, walks: Walked | None, lanes: int, gpu: Gpu) -> Walking:
    """What kernels of a network, or of a walk over a Program of vectors, are predicted to take with tiles of so many
    lanes: for one tile of the batch, or of the widest for one on each multiprocessor."""
    rows = lanes if lanes < max(LANES) else lanes * gpu.rates.units
    if bundle.program.layouts:
        layout = bundle.program.layouts[0]
        ones = len(bundle.variables) + 1

        def of_layout(kernels: Sequence[Kernel]) -> Mapping[str, float]:
            return {digest: time for digest, (_, time) in time_of_network(layout, kernels, rows, ones, gpu).items()}

        return Walking(network_about(layout), lanes, of_layout)
    assert walks is not None and bundle.walks is not None
    found = steps(walks.program, bundle.walks.sites)
    assert found is not None
    made = found

    def of_program(kernels: Sequence[Kernel]) -> Mapping[str, float]:
        return {digest: time for digest, (_, time) in of_steps(made, kernels, rows, gpu).items()}

    return Walking(steps_about(made), lanes, of_program)


def devices_of(
    bundle: Bundle, precision: Precision, names: Sequence[str], queries: Sequence[str] = (), tune: bool = False
) -> tuple[DeviceCode, ...]:
    """The kernels of a circuit for GPUs by name: those of likelihoods, tuned if so, and of queries by kind.

    Raises: DanausError `unknown-target`, `not-on-device`, `unknown-query`, and as `compiled`.
    """
    gpus = [gpu_named(name) for name in dict.fromkeys(names)]
    program = bundle.program
    tiles = {gpu.name: tiles_for(bundle, precision, gpu, queries, tune) for gpu in gpus}
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
