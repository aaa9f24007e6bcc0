"""The back half of the line: from a circuit to an executable.

    Circuit ─ lower ─► Program ─ split, reuse, repeat ─► Program ─ emit ─► engine ─► Executable (a torch module)

Each arrow is one call below, in that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..frontend.spec import Query
from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.diagnostic import error
from ..ir.domain import FiniteDomain
from ..ir.expression import Floats
from ..ir.program.program import Program
from ..ir.query import MostProbable
from ..ir.query.likelihood import Booleans
from ..ir.span import caller
from ..ir.store import Store
from .lowering.lower import lower
from .lowering.tables import values
from .needs import require
from .programs.ranges import bounds
from .programs.repeat import repeat
from .programs.reuse import reuse
from .programs.split import split
from .queries import most_probable

if TYPE_CHECKING:
    from ..backends.cpu.engine import Engine
    from ..backends.cpu.network import Numeric
    from ..runtime.executable import Executable

Type = Literal["float32", "float64"]


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
        from ..backends.cpu.engine import Scalar, Vector
        from ..runtime.compiled import Compiled
        from ..runtime.executable import Executable
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint='pip install "danaus[cpu]"'
        ) from failure
    if not _runs_compiled(circuit):
        return Executable(circuit, None, _Compiler())
    lowered = lower(circuit)
    program = _passes(lowered.program)
    size = 4 if dtype == "float32" else 8
    made: dict[tuple[int, Numeric], Engine] = {}
    vector = None if program.layouts else Vector(program, size)

    def engine(circuit: Circuit) -> Engine:
        if vector is not None:
            return vector
        numbers = _numbers(circuit, size)
        if numbers not in made:
            made[numbers] = Scalar(program, *numbers)
        return made[numbers]

    def tables(store: Store) -> list[Floats]:
        return values(lowered.tables, store)

    compiled = Compiled(engine, program, lowered.variables, lowered.densities, tables)
    return Executable(circuit, compiled, _Compiler())


@dataclass(frozen=True, slots=True)
class _Compiler:
    """What an executable asks while it runs: proofs, and answers that rest on them."""

    def require(self, kind: str, circuit: Circuit) -> None:
        """Proves what a query needs of the circuit."""
        require(Query(kind, kind, (circuit,), span=caller()))

    def most_probable(self, circuit: Circuit, values: Floats, observed: Booleans) -> MostProbable:
        """The most probable completion of each row, with proof where there is one."""
        return most_probable(circuit, values, observed)


def _runs_compiled(circuit: Circuit) -> bool:
    """Whether the engines hold all of it: scalar nodes on infinite domains are the evaluator's."""
    from .lowering.network import is_scalar

    inputs = (block.variable for block in circuit.blocks if isinstance(block, Input))
    infinite = any(not isinstance(variable.domain, FiniteDomain) for variable in inputs)
    return not (infinite and any(is_scalar(block) for block in circuit.blocks))


def _numbers(circuit: Circuit, size: int) -> tuple[int, Numeric]:
    """The cheapest numbers that hold a network: plain ones where its range shows so, else logarithms."""
    found = bounds(circuit)
    if size == 4 and found.within(np.float32):
        return 4, "linear"
    if found.within(np.float64):
        return 8, "linear"
    return size, "log"
