"""A circuit compiled for a GPU: fused kernels for a Program of vectors, others for a network of scalar nodes."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from ..ir.circuit import Circuit
from ..ir.program.operation import Load
from ..ir.program.program import Program
from ..ir.program.tabled import Tabled
from .folding import Folding
from .lowering.counting import counts
from .lowering.lower import Lowered, lower
from .lowering.tables import depending, depends, fed, feeds, held, parameter_derivatives, values

if TYPE_CHECKING:
    from ..backends.cpu.network import Numeric
    from ..backends.triton.policy import Precision
    from ..backends.triton.scalar import Device
    from ..runtime.executable import Executable
from .able import Proofs, links_of, numeric_of, packages, runs_on_device
from .bundling import bundle_of
from .pipeline import optimised, plainly_passed


def on_device(circuit: Circuit, device: str, precision: Precision | None, tune: bool = False) -> Executable:
    """A circuit compiled for a GPU; its numbers are float32. `tune` tries tiles around the policy's on the device."""
    with packages("triton"):
        from ..backends.triton.adjoint import FusedReverse
        from ..backends.triton.device import chosen, device_of, gpu_of
        from ..backends.triton.engine import Fused
        from ..backends.triton.inputs import Inputs
        from ..backends.triton.measured import shape_tuner, tuner_on
        from ..backends.triton.resident import Resident
        from ..backends.triton.scalar import Device
        from ..backends.triton.steps import steps
        from ..backends.triton.steps_walker import StepsWalker
        from ..backends.triton.tune import tuned, tuned_back
        from ..runtime.compiled import Compiled, Staying
        from ..runtime.executable import Executable
    place = device_of(device)
    runs = Device(place, gpu_of(place), tuner=shape_tuner(place) if tune else None)
    if not runs_on_device(circuit):
        return Executable(circuit, None, Proofs())
    lowered = lower(circuit)
    folded = optimised(lowered.program)
    if folded.program.layouts:
        return _network_on_device(circuit, lowered, folded.program, runs)
    feeding = feeds(lowered.tables)
    by_node = frozenset(i for i, number in enumerate(folded.wanted) if number in feeding.by_node)
    mode = chosen(precision)
    tuner = tuner_on(place, mode) if tune else None
    choose = partial(tuned, tuner=tuner) if tuner else None
    fast = Fused(folded.program, place, mode, by_node, choose=choose, gpu=runs.gpu)

    @cache
    def plain() -> Fused:
        return Fused(plainly_passed(lowered.program), place, mode, feeding.by_node, choose=choose, gpu=runs.gpu)

    walkers: list[StepsWalker] = []
    records = cache(lambda: steps(lowered.program, lowered.sites))

    def walker(tabled: Tabled) -> StepsWalker | None:
        found = records()
        if found is None:
            return None
        if not walkers:
            loads = frozenset(step.table for step in tabled.program.operations if isinstance(step, Load))
            each = partial(tuned_back, tuner=tuner, wanted=loads, summed=False) if tuner else None
            inputs = Inputs(tabled.program, place, mode, gpu=runs.gpu, choose=each)
            walkers.append(StepsWalker(found, runs, tabled, inputs))
        return walkers[0].over(tabled)

    @cache
    def reverse() -> FusedReverse:
        wanted = frozenset(number for number, table in enumerate(lowered.tables) if depends(table))
        each = partial(tuned_back, tuner=tuner, wanted=wanted) if tuner else None
        return FusedReverse(lowered.program, place, mode, wanted, feeding.by_node, gpu=runs.gpu, choose=each)

    straight = {parameter: number for number, parameter in feeding.direct.items()}
    shapes = {number: parameter.shape for number, parameter in feeding.direct.items() if parameter.learnable}
    alone = len(straight) == len(feeding.direct) and not lowered.densities
    learnt = [each for each in circuit.parameters if each.learnable]
    rows = all(each.constraint == "simplex" and each in straight for each in learnt)
    whole = len(feeding.direct) + len(feeding.fixed) == len(lowered.tables)

    def resident() -> Resident:
        wanted = frozenset(shapes)
        each = partial(tuned_back, tuner=tuner, wanted=wanted) if tuner else None
        own = FusedReverse(lowered.program, place, mode, wanted, feeding.by_node, gpu=runs.gpu, choose=each)
        return Resident(own, shapes)

    folding = Folding(folded, fast, plain, 4, feeding.by_node)
    compiled = Compiled(
        lambda circuit: folding,
        folded.program,
        lowered.variables,
        lowered.densities,
        lambda store: held(lowered.tables, store),
        lambda of, store: fed(lowered.tables, feeding, of, store),
        whole,
        lambda store, numbers: held([lowered.tables[number] for number in numbers], store),
        lambda circuit, targets, queries, mode: bundle_of(
            circuit, "float32", targets, queries, tune, mode or precision
        ),
        lowered.program,
        lambda store: [np.asarray(table, dtype=np.float64) for table in values(lowered.tables, store)],
        lambda circuit: reverse(),
        lambda store, given: parameter_derivatives(lowered.tables, feeding, store, given),
        lambda store, given, missing: counts(lowered.tables, store, given, missing),
        lowered.sites,
        links_of,
        staying=Staying(straight, resident) if whole and alone and rows else None,
        walker=walker,
    )
    return Executable(circuit, compiled, Proofs())


def _network_on_device(circuit: Circuit, lowered: Lowered, program: Program, device: Device) -> Executable:
    """A network of scalar nodes compiled for a GPU: in float32, or in float64 where its numbers ask for that."""
    from ..backends.triton.adjoint_scalar import AdjointScalar
    from ..backends.triton.scalar import Scalar
    from ..backends.triton.walker import NetworkWalker
    from ..runtime.compiled import Compiled
    from ..runtime.executable import Executable

    walkers: list[NetworkWalker] = []

    @cache
    def engine(size: int, numeric: Numeric) -> Scalar:
        return Scalar(program, size, numeric, device)

    @cache
    def reverse(size: int, numeric: Numeric) -> AdjointScalar:
        leaves, weights = map(depending, lowered.tables)
        return AdjointScalar(lowered.program, 8 if numeric == "log" else size, numeric, (leaves, weights), device)

    def walker(tabled: Tabled) -> NetworkWalker:
        if not walkers:
            walkers.append(NetworkWalker(lowered.sites, device, tabled))
        return walkers[0].over(tabled)

    compiled = Compiled(
        lambda circuit: engine(*numeric_of(circuit, 4)),
        program,
        lowered.variables,
        lowered.densities,
        lambda store: held(lowered.tables, store),
        None,
        False,
        lambda store, numbers: held([lowered.tables[number] for number in numbers], store),
        lambda circuit, targets, queries, mode: bundle_of(circuit, "float32", targets, queries, precision=mode),
        lowered.program,
        lambda store: [np.asarray(table, dtype=np.float64) for table in values(lowered.tables, store)],
        lambda circuit: reverse(*numeric_of(circuit, 4)),
        lambda store, given: parameter_derivatives(lowered.tables, feeds(lowered.tables), store, given),
        lambda store, given, missing: counts(lowered.tables, store, given, missing),
        lowered.sites,
        links_of,
        walker=walker,
    )
    return Executable(circuit, compiled, Proofs())
