"""The back half of the line: from a circuit to an executable.

    Circuit ─ lower ─► Program ─ split, reuse, repeat ─► Program ─ emit ─► engine ─► Executable (a torch module)

Each arrow is one call below, in that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.diagnostic import error
from ..ir.domain import FiniteDomain
from ..ir.program.program import Program
from ..ir.store import Store
from .lowering.counting import Counts, counts
from .lowering.lower import lower
from .lowering.tables import parameter_derivatives, values
from .programs.ranges import bounds
from .programs.repeat import repeat
from .programs.reuse import reuse
from .programs.split import split

if TYPE_CHECKING:
    from ..backends.cpu.engine import Engine
    from ..ir.expression import Floats, Parameter
    from ..runtime.executable import Executable

Type = Literal["float32", "float64"]
Both = tuple[Counts, Counts]


def program_of(circuit: Circuit) -> Program:
    """The Program of a circuit after all passes, as it is compiled."""
    return _passes(lower(circuit).program)


def _passes(program: Program) -> Program:
    return repeat(reuse(split(program)))


def compile(circuit: Circuit, dtype: Type = "float32") -> Executable:
    """A circuit compiled for this machine's processor.

    Raises: DanausError `missing-package` without torch and llvmlite, `unsupported-cpu`.
    """
    try:
        from ..backends.cpu.engine import Vector
        from ..runtime.compiled import Compiled
        from ..runtime.executable import Executable
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint='pip install "danaus[cpu]"'
        ) from failure
    if not _runs_compiled(circuit):
        return Executable(circuit, None)
    lowered = lower(circuit)
    program = _passes(lowered.program)
    size = 4 if dtype == "float32" else 8
    engine: Engine = _network(circuit, program, size) if program.layouts else Vector(program, size)

    def tables(store: Store) -> list[Floats]:
        return values(lowered.tables, store)

    def of_parameters(store: Store, given: Sequence[Floats]) -> dict[Parameter, Floats]:
        return parameter_derivatives(lowered.tables, store, given)

    def counted(store: Store, given: Sequence[Floats], missing: bool) -> Both:
        return counts(lowered.tables, store, given, missing)

    parts = (lowered.variables, lowered.densities, tables, lowered.program, of_parameters, counted)
    return Executable(circuit, Compiled(engine, program, *parts))


def _runs_compiled(circuit: Circuit) -> bool:
    """Whether the engines hold all of it: scalar nodes on infinite domains are the evaluator's."""
    from .lowering.network import is_scalar

    inputs = (block.variable for block in circuit.blocks if isinstance(block, Input))
    infinite = any(not isinstance(variable.domain, FiniteDomain) for variable in inputs)
    return not (infinite and any(is_scalar(block) for block in circuit.blocks))


def _network(circuit: Circuit, program: Program, size: int) -> Engine:
    """A network in the cheapest numbers that hold it: plain ones where its range shows so, else logarithms."""
    from ..backends.cpu.engine import Scalar

    found = bounds(circuit)
    if size == 4 and found.within(np.float32):
        return Scalar(program, 4, "linear")
    if found.within(np.float64):
        return Scalar(program, 8, "linear")
    return Scalar(program, size, "log")
