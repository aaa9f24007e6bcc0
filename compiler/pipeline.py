"""From a circuit to the Program that is compiled: lowering, then the passes, each verified.

What enters is a circuit, or a Program as it was lowered; what leaves is a Program, with what its tables are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.circuit import Circuit
from ..ir.program.program import Program
from ..ir.program.verify import verify
from .lowering.lower import lower
from .programs.common import common
from .programs.fold import Folded, fold
from .programs.repeat import repeat
from .programs.reuse import reuse
from .programs.split import split

if TYPE_CHECKING:
    pass


VERIFIED = 1024
"""Up to so many operations a Program is verified after each pass; a longer one when its loops are found."""


def program_of(circuit: Circuit) -> Program:
    """The Program of a circuit after all passes, as it is compiled."""
    return optimised(lower(circuit).program).program


def optimised(program: Program) -> Folded:
    """A Program after all passes, with what its tables are made of."""
    folded = fold(passed(common, passed(split, program)))
    after = folded.program
    if len(after.operations) < VERIFIED:
        verify(after)
    if folded.recipe:
        after = passed(common, after)
    return replace(folded, program=passed(repeat, passed(reuse, after)))


def plainly_passed(program: Program) -> Program:
    """A Program after the passes that leave its tables as they are."""
    return passed(repeat, passed(reuse, passed(common, passed(split, program))))


def passed(step: Callable[[Program], Program], program: Program) -> Program:
    """A Program after a pass."""
    after = step(program)
    if after is not program and (step is repeat or len(after.operations) < VERIFIED):
        verify(after)
    return after
