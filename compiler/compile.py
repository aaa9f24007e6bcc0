"""The back half of the line: from a circuit to an executable.

    Circuit ─ lower ─► Program ─ split, common, fold, reuse, repeat ─► Program ─ emit ─► engine ─► Executable, a module

Each arrow is one call below, in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..ir.circuit import Circuit
from ..ir.collecting import uncollected
from ..ir.parameter import Floats
from ..ir.store import Store
from .folding import Folding
from .lowering.counting import Counts, Valued, counts
from .lowering.lower import lower
from .lowering.tables import depending, depends, fed, feeds, held, parameter_derivatives, values
from .programs.split import split
from .signing import signing

if TYPE_CHECKING:
    from ..backends.cpu.engine import Engine
    from ..backends.cpu.network import Numeric
    from ..backends.triton.policy import Precision
    from ..ir.parameter import Parameter
    from ..runtime.bundle import Bundle
    from ..runtime.engines import Reverse
    from ..runtime.executable import Executable
from .able import Proofs, Type, has_signs, links_of, numeric_of, packages, runs_compiled
from .bundling import bundle_of
from .on_device import on_device
from .pipeline import optimised, plainly_passed

Counted = tuple[Counts, Counts, list[Valued]]


@uncollected()
def compile(
    circuit: Circuit,
    dtype: Type = "float32",
    device: str = "cpu",
    precision: Precision | None = None,
    tune: bool = False,
) -> Executable:
    """A circuit compiled for this machine's processor, or for a GPU by its name.

    Raises: DanausError `missing-package` without torch and llvmlite or Triton, `unsupported-cpu`, `no-device`,
    `unknown-device`, `not-on-device`.
    """
    if device != "cpu":
        return on_device(circuit, device, precision, tune)
    with packages():
        from ..backends.cpu.adjoint_scalar import AdjointScalar
        from ..backends.cpu.adjoint_vector import AdjointVector
        from ..backends.cpu.machine import compiled_meanwhile
        from ..backends.cpu.scalar import Scalar
        from ..backends.cpu.twofold import AdjointTwofold, Twofold
        from ..backends.cpu.vector import Vector
        from ..runtime.compiled import Apart, Compiled
        from ..runtime.executable import Executable
    if not runs_compiled(circuit, signs=True):
        return Executable(circuit, None, Proofs())
    lowered = lower(circuit)
    folded = optimised(lowered.program)
    program = folded.program
    size = 4 if dtype == "float32" else 8
    made: dict[tuple[int, Numeric], Engine] = {}
    feeding = feeds(lowered.tables)
    by_node = frozenset(i for i, number in enumerate(folded.wanted) if number in feeding.by_node)
    vector = None if program.layouts else Vector(program, size, make=compiled_meanwhile, by_node=by_node)

    @cache
    def plain() -> Engine:
        return Vector(plainly_passed(lowered.program), size, by_node=feeding.by_node)

    folding = Folding(folded, vector, plain, size, feeding.by_node) if vector is not None else None
    of_densities = bool(program.layouts and program.network().sources)
    twofold = Twofold(program) if of_densities else None

    of_signs = signing(lowered, folded, size, vector)

    def engine(circuit: Circuit) -> Engine | Folding:
        if folding is not None:
            return folding
        if twofold is not None:
            return twofold
        numbers = numeric_of(circuit, size)
        if numbers not in made:
            made[numbers] = Scalar(program, *numbers)
        return made[numbers]

    def tables(store: Store) -> list[Floats]:
        return held(lowered.tables, store)

    def linear(store: Store) -> list[Floats]:
        return [np.asarray(table, dtype=np.float64) for table in values(lowered.tables, store)]

    @cache
    @uncollected()
    def reverse_of_vectors() -> AdjointVector:
        wanted = frozenset(number for number, table in enumerate(lowered.tables) if depends(table))
        return AdjointVector(split(lowered.program), size, wanted, feeding.by_node)

    @cache
    @uncollected()
    def reverse_of_scalars(size: int, numeric: Numeric) -> Reverse:
        leaves, weights = map(depending, lowered.tables)
        # differences of logarithms say how a sum is shared out: float32 has not the digits
        return AdjointScalar(lowered.program, 8 if numeric == "log" else size, numeric, (leaves, weights))

    @cache
    def reverse_of_densities() -> Reverse:
        leaves, weights = map(depending, lowered.tables)
        return AdjointTwofold(lowered.program, (leaves, weights))

    def reverse(circuit: Circuit) -> Reverse:
        if of_densities:
            return reverse_of_densities()
        return reverse_of_scalars(*numeric_of(circuit, size)) if program.layouts else reverse_of_vectors()

    def present(of: Callable[[Parameter], Floats], store: Callable[[], Store]) -> list[Floats]:
        return fed(lowered.tables, feeding, of, store)

    def exactly_held(store: Store, numbers: Sequence[int]) -> list[Floats]:
        return held([lowered.tables[number] for number in numbers], store)

    def bundle(circuit: Circuit, targets: Sequence[str], queries: Sequence[str], precision: str | None) -> Bundle:
        return bundle_of(circuit, dtype, targets, queries, precision=precision)

    def of_parameters(store: Callable[[], Store], given: Sequence[Floats]) -> dict[Parameter, Floats]:
        return parameter_derivatives(lowered.tables, feeding, store, given)

    def counted(store: Store, given: Sequence[Floats], missing: bool) -> Counted:
        return counts(lowered.tables, store, given, missing)

    whole = len(feeding.direct) + len(feeding.fixed) == len(lowered.tables)
    straight = {parameter: number for number, parameter in feeding.direct.items()}
    alone = vector is not None and whole and len(straight) == len(feeding.direct) and not lowered.densities
    apart = Apart(straight, size, lambda: reverse_of_vectors().apart()) if alone else None

    compiled = Compiled(
        engine,
        program,
        lowered.variables,
        lowered.densities,
        tables,
        None if vector is None else present,
        whole,
        exactly_held,
        bundle,
        lowered.program,
        linear,
        reverse,
        of_parameters,
        counted,
        lowered.sites,
        links_of,
        apart,
        signed=of_signs.engine,
        signs=has_signs(circuit),
        signed_reverse=of_signs.reverse,
    )
    executable = Executable(circuit, compiled, Proofs())
    if vector is not None:
        vector.library.wait()
    return executable
