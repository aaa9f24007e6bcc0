"""What is saved of a circuit: its Program, numbers, and code for targets by name; and that code as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..backends.triton.policy import precision_named
from ..backends.triton.targets import gpu_named, is_gpu
from ..frontend.spec import Query
from ..ir.circuit import Circuit
from ..ir.diagnostic import DanausError, error, warn
from ..ir.numbers import Numbers
from ..ir.parameter import Floats
from ..ir.query.exactness import one_path
from .folding import tables_of
from .lowering.feeding import fed_by
from .lowering.lower import Lowered, lower
from .lowering.tables import exactly
from .needs import require
from .programs.derived import OutOfRange
from .programs.repeat import repeat
from .programs.reuse import reuse
from .properties import check

if TYPE_CHECKING:
    from ..backends.triton.foretold import Foretold
    from ..backends.triton.policy import Precision
    from ..runtime.bundle import Bundle, Walks
from .able import Type, form_of, packages, runs_compiled
from .pipeline import optimised, passed, plainly_passed, program_of


def kernels_of(
    circuit: Circuit,
    dtype: Type = "float32",
    target: str = "cpu",
    queries: Sequence[str] = (),
    tune: bool = False,
    precision: str | None = None,
) -> str:
    """The LLVM IR of a circuit's likelihood for a target by name; of a network, for its narrowest tiles.

    For a GPU the Triton kernels that its likelihoods, and queries by kind, may launch.

    Raises: DanausError `missing-package`, `unknown-target`, `unsupported-cpu`, `not-in-bundle`, `not-on-device`,
    `unknown-query`.
    """
    if is_gpu(target):
        from ..backends.triton.stored import kernels_for
        from ..backends.triton.stored import text_of as text_of_kernels

        gpu = gpu_named(target)
        found, mode = _of_gpus(circuit, dtype, [target]), precision_named(precision)
        beyond = _beyond_kernels(found)
        return f"# {beyond}\n" if beyond else text_of_kernels(kernels_for(found, mode, gpu, queries, tune))
    with packages():
        from ..backends.cpu.engine import text_of
        from ..backends.cpu.machine import named
        from ..runtime.bundle import not_compiled
    if not runs_compiled(circuit):
        raise not_compiled(circuit.name)
    program = program_of(circuit)
    return text_of(program, *form_of(circuit, program, dtype), named(target))


def report_of(
    circuit: Circuit,
    dtype: Type,
    targets: Sequence[str],
    rows: int,
    queries: Sequence[str] = (),
    tune: bool = False,
    precision: str | None = None,
) -> str:
    """What a circuit's kernels take of GPUs by name, and the time that they take at least for a batch, as tables.

    Raises: DanausError `missing-package`, `unknown-target`, `not-in-bundle`, `not-on-device`, `unknown-query`, and as
    compiling them.
    """
    from ..backends.triton.report import report

    found, mode = _of_gpus(circuit, dtype, targets), precision_named(precision)
    beyond = _beyond_kernels(found)
    return f"{beyond}\n" if beyond else report(found, mode, targets, rows, queries, tune)


def foretold_of(circuit: Circuit, targets: Sequence[str], rows: int) -> tuple[Foretold, ...]:
    """The launches of a circuit's likelihoods for a batch on GPUs by name, and the time that they take at least.

    Raises: DanausError `missing-package`, `unknown-target`, `not-in-bundle`, `not-on-device`.
    """
    gpus = [gpu_named(target) for target in targets]
    with packages():
        from ..backends.triton.foretold import foretold
    bundle = _of_gpus(circuit, "float32", targets)
    return tuple(foretold(bundle, precision_named(None), rows, gpu) for gpu in gpus)


def _of_gpus(circuit: Circuit, dtype: Type, targets: Sequence[str]) -> Bundle:
    """The bundle of a circuit that kernels for GPUs are made from: without code.

    Raises: DanausError `unknown-type` where it is to be float64, `not-in-bundle`, `missing-package`.
    """
    found = bundle_of(circuit, dtype, ())
    _require_kernels(found, targets)
    return found


def _require_kernels(bundle: Bundle, targets: Sequence[str]) -> None:
    """Raises DanausError `unknown-type` where kernels of vectors are to be float64, `not-in-bundle` where scalar nodes
    are on infinite domains."""
    if bundle.program.layouts and bundle.program.network().sources:
        from ..runtime.bundle import not_compiled

        raise not_compiled(bundle.name)
    if bundle.dtype == "float64" and not bundle.program.layouts:
        message = f'the kernels of "{bundle.name}" for {targets[0]} compute in float32'
        raise error("unknown-type", message, hint="leave out --dtype, or its target")


def _beyond_kernels(bundle: Bundle) -> str:
    """Why a circuit's present numbers are answered beside the GPU, if they are: the kernels would never run."""
    from ..runtime.bundled import negative

    what = "numbers beyond float64" if bundle.exact else "negative numbers" if negative(bundle) else ""
    return f'"{bundle.name}" has {what}: no kernels, it is answered in float64 on the CPU' if what else ""


def bundle_of(
    circuit: Circuit,
    dtype: Type = "float32",
    targets: Sequence[str] = ("cpu",),
    queries: Sequence[str] = (),
    tune: bool = False,
    precision: str | None = None,
) -> Bundle:
    """What is saved of a circuit: its Program, the numbers of its present parameters, and code for targets by name.

    Kernels for GPUs answer likelihoods, and queries by kind: "flows", "sample", "map", "evidence", "hamming", "all".
    With `tune`, other tiles of these are tried; `precision` says how they multiply.

    Raises: DanausError `missing-package`, `unknown-target`, `unknown-precision`, `unsupported-cpu`, `not-in-bundle`,
    `not-on-device`, and as compiling kernels for GPUs.
    """
    mode = precision_named(precision)
    if isinstance(targets, str):
        raise error("wrong-arguments", f'"{targets}" where names of targets are expected', hint=f'["{targets}"]')
    with packages():
        from ..backends.cpu.load import codes_of, compiler
        from ..runtime.bundle import Bundle, not_compiled
    if not runs_compiled(circuit):
        raise not_compiled(circuit.name)
    lowered = lower(circuit)
    folded = optimised(lowered.program)
    program = folded.program
    size, form = form_of(circuit, program, dtype)
    numbers = Numbers(circuit.store)
    tables, exact = exactly(lowered.tables, circuit.store)
    walks = None if exact else _walks(circuit, lowered, tables)
    signed = any(bool((table < 0).any()) for table in tables)
    try:
        if exact:
            raise OutOfRange
        tables = tables_of(folded, tables, size)
    except OutOfRange:
        program = plainly_passed(lowered.program)
    fed = None if walks is None else fed_by(lowered.tables, circuit.parameters)
    bundle = Bundle(
        circuit.name,
        _answered(circuit, lowered, walks is not None, fed is not None),
        circuit.variables,
        lowered.variables,
        tuple(circuit.variables.index(variable) for variable in circuit.free),
        dtype,
        size,
        form,
        program,
        tuple(tables),
        exact,
        lowered.densities,
        tuple(tuple(numbers.floats(block.parameters)) for block in lowered.densities),
        compiler(),
        codes_of(program, size, form, [target for target in targets if not is_gpu(target)], signed),
        walks,
        fed=fed or (),
    )
    return _with_devices(bundle, targets, queries, tune, mode)


def term_of(circuit: Circuit) -> Bundle:
    """A circuit without variables as its Program and its numbers, for whoever runs it once: no code is made of it."""
    with packages():
        from ..backends.cpu.load import compiler
        from ..runtime.bundle import Bundle
    lowered = lower(circuit)
    program = passed(reuse, lowered.program)
    tables, exact = exactly(lowered.tables, circuit.store)
    kept = (circuit.name, (), (), lowered.variables, (), "float64", 8, "log", program, tuple(tables), exact)
    return Bundle(*kept, (), (), compiler(), ())


def _with_devices(
    bundle: Bundle, targets: Sequence[str], queries: Sequence[str], tune: bool, precision: Precision
) -> Bundle:
    """The same with kernels for those targets that are GPUs."""
    gpus = [target for target in targets if is_gpu(target)]
    if not gpus:
        return bundle
    _require_kernels(bundle, gpus)
    beyond = _beyond_kernels(bundle)
    if beyond:
        warn(beyond)
        return bundle
    from ..backends.triton.stored import devices_of

    return replace(bundle, devices=devices_of(bundle, precision, gpus, queries, tune))


def _answered(circuit: Circuit, lowered: Lowered, walks: bool, flows: bool) -> tuple[str, ...]:
    """The queries of a bundle: a likelihood always, what sums something out where it is proved to do so.

    Those that walk back from the root need numbers that are not negative and are within float64.
    """
    from ..runtime.queries.latents import latents_of

    found = ["likelihood"]
    if _is_met("marginal", circuit):
        found += ["marginal", "partition"]
        if walks:
            found += ["conditional", "moment"]
            found += [kind for kind in ("map", "sample", "hamming") if _is_met(kind, circuit)]
            if latents_of(lowered.program, len(circuit.variables)) is not None:
                found += ["decode", "posterior"]
    return (*found, "flows") if flows else tuple(found)


def _is_met(kind: str, circuit: Circuit) -> bool:
    """Whether what a query needs of a circuit is proved."""
    try:
        require(Query(kind, kind, (circuit,)))
    except DanausError:
        return False
    return True


def _walks(circuit: Circuit, lowered: Lowered, tables: Sequence[Floats]) -> Walks | None:
    """What walks back from a bundle's root take of the circuit; None where its numbers are not for them."""
    from ..runtime.bundle import Walks

    if any(bool((table < 0).any()) or not np.isfinite(table).all() for table in tables):
        return None
    program = passed(repeat, passed(reuse, lowered.program))
    deterministic = check(circuit, "deterministic")["deterministic"].status == "proved"
    single = one_path(circuit)[0].root is circuit.root
    return Walks(program, tuple(tables), lowered.sites, circuit.nodes, deterministic, single)
