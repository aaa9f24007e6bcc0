"""The back half of the line: from a circuit to an executable.

    Circuit ─ lower ─► Program ─ split, common, fold, reuse, repeat ─► Program ─ emit ─► engine ─► Executable, a module

Each arrow is one call below, in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..backends.triton.policy import DEFAULT
from ..backends.triton.targets import gpu_named, is_gpu
from ..frontend.spec import Query, Spec
from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.diagnostic import DanausError, error
from ..ir.domain import FiniteDomain
from ..ir.expression import Floats
from ..ir.family import is_signed
from ..ir.numbers import Numbers
from ..ir.program.program import Program
from ..ir.program.tabled import Tabled
from ..ir.program.verify import verify
from ..ir.query.exactness import one_path
from ..ir.span import caller
from ..ir.store import Store
from .composing import compositions, saved_by
from .folding import Folding, tables_of
from .information import KINDS
from .lowering.counting import Counts, Valued, counts
from .lowering.lower import Lowered, lower
from .lowering.tables import depending, depends, exactly, fed, feeds, held, parameter_derivatives, values
from .needs import require
from .programs.common import common
from .programs.derived import OutOfRange
from .programs.fold import Folded, fold
from .programs.ranges import bounds
from .programs.repeat import repeat
from .programs.reuse import reuse
from .programs.split import split
from .properties import check
from .queries import order_of

if TYPE_CHECKING:
    from ..backends.cpu.engine import Engine
    from ..backends.cpu.network import Numeric
    from ..backends.triton.network import Numbers as Kinds
    from ..backends.triton.policy import Precision
    from ..backends.triton.scalar import Device
    from ..ir.expression import Parameter
    from ..runtime.asked import Asked
    from ..runtime.bundle import Bundle, Several, Walks
    from ..runtime.collection import Collection
    from ..runtime.compiled import Links, Place, Reverse
    from ..runtime.device_code import DeviceCode
    from ..runtime.executable import Executable

Type = Literal["float32", "float64"]
Counted = tuple[Counts, Counts, list[Valued]]

VERIFIED = 1024
"""Up to so many operations a Program is verified after each pass; a longer one when its loops are found."""


def program_of(circuit: Circuit) -> Program:
    """The Program of a circuit after all passes, as it is compiled."""
    return _folded(lower(circuit).program).program


def _folded(program: Program) -> Folded:
    """A Program after all passes, with what its tables are made of."""
    folded = fold(_by(common, _by(split, program)))
    after = folded.program
    if len(after.operations) < VERIFIED:
        verify(after)
    if folded.recipe:
        after = _by(common, after)
    return replace(folded, program=_by(repeat, _by(reuse, after)))


def _passes(program: Program) -> Program:
    """A Program after the passes that leave its tables as they are."""
    return _by(repeat, _by(reuse, _by(common, _by(split, program))))


def _by(step: Callable[[Program], Program], program: Program) -> Program:
    """A Program after a pass."""
    after = step(program)
    if after is not program and (step is repeat or len(after.operations) < VERIFIED):
        verify(after)
    return after


def compile(
    circuit: Circuit, dtype: Type = "float32", device: str = "cpu", precision: Precision | None = None
) -> Executable:
    """A circuit compiled for this machine's processor, or for a GPU by its name.

    Raises: DanausError `missing-package` without torch and llvmlite or Triton, `unsupported-cpu`, `no-device`,
    `unknown-device`, `not-on-device`.
    """
    if device != "cpu":
        return _on_device(circuit, device, precision)
    with _packages():
        from ..backends.cpu.adjoint_scalar import AdjointScalar
        from ..backends.cpu.adjoint_vector import AdjointVector
        from ..backends.cpu.machine import compiled_meanwhile
        from ..backends.cpu.scalar import Scalar
        from ..backends.cpu.vector import Vector
        from ..runtime.compiled import Compiled
        from ..runtime.executable import Executable
    if not _runs_compiled(circuit):
        return Executable(circuit, None, _Compiler())
    lowered = lower(circuit)
    folded = _folded(lowered.program)
    program = folded.program
    size = 4 if dtype == "float32" else 8
    made: dict[tuple[int, Numeric], Engine] = {}
    feeding = feeds(lowered.tables)
    by_node = frozenset(i for i, number in enumerate(folded.wanted) if number in feeding.by_node)
    vector = None if program.layouts else Vector(program, size, make=compiled_meanwhile, by_node=by_node)

    @cache
    def plain() -> Engine:
        return Vector(_passes(lowered.program), size, by_node=feeding.by_node)

    folding = Folding(folded, vector, plain, size, feeding.by_node) if vector is not None else None

    def engine(circuit: Circuit) -> Engine | Folding:
        if folding is not None:
            return folding
        numbers = _numbers(circuit, size)
        if numbers not in made:
            made[numbers] = Scalar(program, *numbers)
        return made[numbers]

    def tables(store: Store) -> list[Floats]:
        return held(lowered.tables, store)

    def linear(store: Store) -> list[Floats]:
        return [np.asarray(table, dtype=np.float64) for table in values(lowered.tables, store)]

    @cache
    def reverse_of_vectors() -> Reverse:
        wanted = frozenset(number for number, table in enumerate(lowered.tables) if depends(table))
        return AdjointVector(split(lowered.program), size, wanted, feeding.by_node)

    @cache
    def reverse_of_scalars(size: int, numeric: Numeric) -> Reverse:
        leaves, weights = map(depending, lowered.tables)
        # differences of logarithms say how a sum is shared out: float32 has not the digits
        return AdjointScalar(lowered.program, 8 if numeric == "log" else size, numeric, (leaves, weights))

    def reverse(circuit: Circuit) -> Reverse:
        return reverse_of_scalars(*_numbers(circuit, size)) if program.layouts else reverse_of_vectors()

    def present(of: Callable[[Parameter], Floats], store: Callable[[], Store]) -> list[Floats]:
        return fed(lowered.tables, feeding, of, store)

    def exactly_held(store: Store, numbers: Sequence[int]) -> list[Floats]:
        return held([lowered.tables[number] for number in numbers], store)

    def bundle(circuit: Circuit, targets: Sequence[str]) -> Bundle:
        return bundle_of(circuit, dtype, targets)

    def of_parameters(store: Callable[[], Store], given: Sequence[Floats]) -> dict[Parameter, Floats]:
        return parameter_derivatives(lowered.tables, feeding, store, given)

    def counted(store: Store, given: Sequence[Floats], missing: bool) -> Counted:
        return counts(lowered.tables, store, given, missing)

    compiled = Compiled(
        engine,
        program,
        lowered.variables,
        lowered.densities,
        tables,
        None if vector is None else present,
        len(feeding.direct) + len(feeding.fixed) == len(lowered.tables),
        exactly_held,
        bundle,
        lowered.program,
        linear,
        reverse,
        of_parameters,
        counted,
        lowered.sites,
        _links,
    )
    executable = Executable(circuit, compiled, _Compiler())
    if vector is not None:
        vector.library.wait()
    return executable


def _on_device(circuit: Circuit, device: str, precision: Precision | None) -> Executable:
    """A circuit compiled for a GPU; its numbers are float32."""
    with _packages("triton"):
        from ..backends.triton.adjoint import FusedReverse
        from ..backends.triton.device import chosen, device_of
        from ..backends.triton.engine import Fused
        from ..backends.triton.scalar import Device
        from ..backends.triton.steps import steps
        from ..backends.triton.steps_walker import StepsWalker
        from ..runtime.compiled import Compiled
        from ..runtime.executable import Executable
    place = device_of(device)
    if not _runs_compiled(circuit):
        return Executable(circuit, None, _Compiler())
    lowered = lower(circuit)
    folded = _folded(lowered.program)
    if folded.program.layouts:
        return _network_on_device(circuit, lowered, folded.program, Device(place))
    feeding = feeds(lowered.tables)
    by_node = frozenset(i for i, number in enumerate(folded.wanted) if number in feeding.by_node)
    mode = chosen(precision)
    fast = Fused(folded.program, place, mode, by_node)

    @cache
    def plain() -> Fused:
        return Fused(_passes(lowered.program), place, mode, feeding.by_node)

    walkers: list[StepsWalker] = []
    records = cache(lambda: steps(lowered.program, lowered.sites))

    def walker(tabled: Tabled) -> StepsWalker | None:
        found = records()
        if found is None:
            return None
        if not walkers:
            walkers.append(StepsWalker(found, Device(place), tabled))
        return walkers[0].over(tabled)

    @cache
    def reverse() -> FusedReverse:
        wanted = frozenset(number for number, table in enumerate(lowered.tables) if depends(table))
        return FusedReverse(lowered.program, place, mode, wanted, feeding.by_node)

    folding = Folding(folded, fast, plain, 4, feeding.by_node)
    compiled = Compiled(
        lambda circuit: folding,
        folded.program,
        lowered.variables,
        lowered.densities,
        lambda store: held(lowered.tables, store),
        lambda of, store: fed(lowered.tables, feeding, of, store),
        len(feeding.direct) + len(feeding.fixed) == len(lowered.tables),
        lambda store, numbers: held([lowered.tables[number] for number in numbers], store),
        lambda circuit, targets: bundle_of(circuit, "float32", targets),
        lowered.program,
        lambda store: [np.asarray(table, dtype=np.float64) for table in values(lowered.tables, store)],
        lambda circuit: reverse(),
        lambda store, given: parameter_derivatives(lowered.tables, feeding, store, given),
        lambda store, given, missing: counts(lowered.tables, store, given, missing),
        lowered.sites,
        _links,
        walker,
    )
    return Executable(circuit, compiled, _Compiler())


def _links(places: Sequence[Place], size: int) -> Links:
    """Code of this machine's processor for numbers without constraints."""
    with _packages():
        from ..backends.cpu.links import Links
    return Links(places, size)


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
        lambda circuit: engine(*_numbers(circuit, 4)),
        program,
        lowered.variables,
        lowered.densities,
        lambda store: held(lowered.tables, store),
        None,
        False,
        lambda store, numbers: held([lowered.tables[number] for number in numbers], store),
        lambda circuit, targets: bundle_of(circuit, "float32", targets),
        lowered.program,
        lambda store: [np.asarray(table, dtype=np.float64) for table in values(lowered.tables, store)],
        lambda circuit: reverse(*_numbers(circuit, 4)),
        lambda store, given: parameter_derivatives(lowered.tables, feeds(lowered.tables), store, given),
        lambda store, given, missing: counts(lowered.tables, store, given, missing),
        lowered.sites,
        _links,
        walker,
    )
    return Executable(circuit, compiled, _Compiler())


def kernels_of(circuit: Circuit, dtype: Type = "float32", target: str = "cpu") -> str:
    """The LLVM IR of a circuit's likelihood for a target by name; of a network, for its narrowest tiles.

    For a GPU the Triton kernels that its batches may launch.

    Raises: DanausError `missing-package`, `unknown-target`, `unsupported-cpu`, `not-in-bundle`, `not-on-device`.
    """
    if is_gpu(target):
        from ..backends.triton.stored import kernels_for
        from ..backends.triton.stored import text_of as text_of_kernels

        gpu = gpu_named(target)
        program = _of_gpus(circuit, dtype, [target])
        return text_of_kernels(kernels_for(program, DEFAULT, _of_network(circuit, program, dtype), gpu))
    with _packages():
        from ..backends.cpu.engine import text_of
        from ..backends.cpu.machine import named
        from ..runtime.bundle import not_compiled
    if not _runs_compiled(circuit):
        raise not_compiled(circuit.name)
    program = program_of(circuit)
    return text_of(program, *_form(circuit, program, dtype), named(target))


def report_of(circuit: Circuit, dtype: Type, targets: Sequence[str], rows: int) -> str:
    """What a circuit's kernels take of GPUs by name, and the time that they take at least for a batch, as tables.

    Raises: DanausError `missing-package`, `unknown-target`, `not-in-bundle`, `not-on-device`, and as compiling them.
    """
    from ..backends.triton.report import report

    program = _of_gpus(circuit, dtype, targets)
    return report(program, DEFAULT, targets, rows, _of_network(circuit, program, dtype))


def _of_network(circuit: Circuit, program: Program, dtype: Type) -> Kinds:
    """The numbers of a network of scalar nodes on a GPU."""
    from ..backends.triton.network import Numbers as Kinds

    size, form = _form(circuit, program, dtype)
    return Kinds(form, size)


def _of_gpus(circuit: Circuit, dtype: Type, targets: Sequence[str]) -> Program:
    """The Program of a circuit that kernels for GPUs are made from.

    Raises: DanausError `unknown-type` where it is to be float64, `not-in-bundle`, `missing-package`.
    """
    with _packages():
        from ..runtime.bundle import not_compiled
    if not _runs_compiled(circuit):
        raise not_compiled(circuit.name)
    program = program_of(circuit)
    if dtype == "float64" and not program.layouts:
        message = f'the kernels of "{circuit.name}" for {targets[0]} compute in float32'
        raise error("unknown-type", message, hint="leave out --dtype, or its target")
    return program


def bundle_of(circuit: Circuit, dtype: Type = "float32", targets: Sequence[str] = ("cpu",)) -> Bundle:
    """What is saved of a circuit: its Program, the numbers of its present parameters, and code for targets by name.

    Raises: DanausError `missing-package`, `unknown-target`, `unsupported-cpu`, `not-in-bundle`, `not-on-device`, and as
    compiling kernels for GPUs.
    """
    with _packages():
        from ..backends.cpu.load import codes_of, compiler
        from ..runtime.bundle import Bundle, not_compiled
    if not _runs_compiled(circuit):
        raise not_compiled(circuit.name)
    lowered = lower(circuit)
    folded = _folded(lowered.program)
    program = folded.program
    size, form = _form(circuit, program, dtype)
    numbers = Numbers(circuit.store)
    tables, exact = exactly(lowered.tables, circuit.store)
    walks = None if exact else _walks(circuit, lowered, tables)
    try:
        if exact:
            raise OutOfRange
        tables = tables_of(folded, tables, size)
    except OutOfRange:
        program = _passes(lowered.program)
    return Bundle(
        circuit.name,
        _answered(circuit, lowered, walks is not None),
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
        codes_of(program, size, form, [target for target in targets if not is_gpu(target)]),
        walks,
        devices=_devices(circuit, dtype, program, targets),
    )


def term_of(circuit: Circuit) -> Bundle:
    """A circuit without variables as its Program and its numbers, for whoever runs it once: no code is made of it."""
    with _packages():
        from ..backends.cpu.load import compiler
        from ..runtime.bundle import Bundle
    lowered = lower(circuit)
    program = _by(reuse, lowered.program)
    tables, exact = exactly(lowered.tables, circuit.store)
    kept = (circuit.name, (), (), lowered.variables, (), "float64", 8, "log", program, tuple(tables), exact)
    return Bundle(*kept, (), (), compiler(), ())


def _devices(circuit: Circuit, dtype: Type, program: Program, targets: Sequence[str]) -> tuple[DeviceCode, ...]:
    """Kernels for those targets that are GPUs."""
    gpus = [target for target in targets if is_gpu(target)]
    if not gpus:
        return ()
    _of_gpus(circuit, dtype, gpus)
    from ..backends.triton.stored import devices_of

    return devices_of(program, DEFAULT, gpus, _of_network(circuit, program, dtype))


def _answered(circuit: Circuit, lowered: Lowered, walks: bool) -> tuple[str, ...]:
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
    return tuple(found)


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
    program = _by(repeat, _by(reuse, lowered.program))
    deterministic = check(circuit, "deterministic")["deterministic"].status == "proved"
    single = one_path(circuit)[0].root is circuit.root
    return Walks(program, tuple(tables), lowered.sites, circuit.nodes, deterministic, single)


@contextmanager
def _packages(extra: str = "cpu") -> Iterator[None]:
    """Names the package that is missing where imports fail, and the extra that brings it."""
    try:
        yield
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint=f'pip install "danaus[{extra}]"'
        ) from failure


def _form(circuit: Circuit, program: Program, dtype: Type) -> tuple[int, Numeric]:
    """Bytes of a number in the code, and what it stands for."""
    size = 4 if dtype == "float32" else 8
    return _numbers(circuit, size) if program.layouts else (size, "linear")


def compile_spec(
    spec: Spec, dtype: Type = "float32", device: str = "cpu", precision: Precision | None = None
) -> Collection:
    """All circuits of a spec compiled, with its queries by name."""
    circuits, asked = _asked(spec)
    executables = {name: compile(circuit, dtype, device, precision) for name, circuit in circuits.items()}
    from ..runtime.collection import Collection

    return Collection(executables, asked, compositions(spec, executables, term_of))


def bundle_of_spec(
    spec: Spec, only: str | None = None, dtype: Type = "float32", targets: Sequence[str] = ("cpu",)
) -> tuple[Bundle | Several, list[str]]:
    """What is saved of a spec, or of one of its circuits: a sentence is given for each part that is left out.

    Raises: DanausError `missing-package`, `unknown-target`, `unsupported-cpu`, `not-in-bundle`.
    """
    with _packages():
        from ..runtime.several import several_of
    circuits, asked = _asked(spec)
    if only is not None:
        bundle = bundle_of(circuits[only], dtype, targets)
        answered = {name: of for name, of in asked.items() if of.circuit == only and of.kind in bundle.queries}
        return replace(bundle, asked=_renamed(answered, bundle.name)), []
    kinds = {query.name: query.kind for query in spec.queries.values()}
    makers = {name: partial(bundle_of, circuit, dtype, targets) for name, circuit in circuits.items()}
    composed = saved_by(spec, term_of)
    several, left_out = several_of(makers, asked, composed, kinds, spec.name)
    if len(circuits) > 1 or several.composed:
        return several, left_out
    ((_, bundle),) = several.circuits.items()
    return replace(bundle, asked=_renamed(several.asked, bundle.name)), left_out


def _renamed(asked: Mapping[str, Asked], circuit: str) -> dict[str, Asked]:
    """Queries of one circuit, by the name that it calls itself."""
    return {name: replace(of, circuit=circuit) for name, of in asked.items()}


def _asked(spec: Spec) -> tuple[dict[str, Circuit], dict[str, Asked]]:
    """Circuits by name, and queries; a circuit that stands in a query alone, such as an operator's, has its name."""
    from ..runtime.asked import Asked

    circuits = dict(spec.circuits)
    names = {circuit: name for name, circuit in circuits.items()}
    asked: dict[str, Asked] = {}
    for query in spec.queries.values():
        if query.kind in KINDS:
            continue
        circuit = query.circuits[0]
        if circuit not in names:
            names[circuit] = query.name
            circuits[query.name] = circuit
        of = (query.variables[0][0].name, order_of(query)) if query.kind == "moment" else ("", 0)
        asked[query.name] = Asked(query.kind, names[circuit], *of)
    return circuits, asked


@dataclass(frozen=True, slots=True)
class _Compiler:
    """What an executable asks while it runs: proofs, and answers that rest on them."""

    def require(self, kind: str, circuit: Circuit) -> None:
        """Proves what a query needs of the circuit."""
        require(Query(kind, kind, (circuit,), span=caller()))

    def deterministic(self, circuit: Circuit) -> bool:
        """Whether the circuit is proved deterministic."""
        return check(circuit, "deterministic")["deterministic"].status == "proved"


def _runs_compiled(circuit: Circuit) -> bool:
    """Whether the engines hold all of it: signed inputs and scalar nodes on infinite domains are the evaluator's."""
    from .lowering.network import is_scalar

    inputs = [block for block in circuit.blocks if isinstance(block, Input)]
    infinite = any(not isinstance(block.variable.domain, FiniteDomain) for block in inputs)
    # The engines take the logarithms of densities, which have no signs.
    if any(is_signed(block.family) for block in inputs):
        return False
    return not (infinite and any(is_scalar(block) for block in circuit.blocks))


def _numbers(circuit: Circuit, size: int) -> tuple[int, Numeric]:
    """The cheapest numbers that hold a network: plain ones where its range shows so, else logarithms."""
    found = bounds(circuit)
    if size == 4 and found.within(np.float32):
        return 4, "linear"
    if found.within(np.float64):
        return 8, "linear"
    return size, "log"
