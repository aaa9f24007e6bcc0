"""Kernels as text: what the emitter writes, and the compiler ahead of time and the loaders read.

A kernel is a Triton module of one jitted function with everything that compiling it hangs on, so that its digest names
what comes out: equal Programs give equal texts, and equal texts are compiled once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

Scalar = Literal["*fp32", "*fp64", "*bf16", "*i64", "*i32", "*i16", "*u8", "i32", "i64", "fp32"]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument at run time: a pointer or a number; `aligned` where it is divisible by 16."""

    name: str
    type: Scalar
    aligned: bool = True


@dataclass(frozen=True, slots=True)
class Kernel:
    """One jitted function: the text of its module, its arguments in order, and the values of its constants.

    `constants` are the function's `tl.constexpr` arguments, which come after all others in its source. `cooperative`
    asks that all programs of a launch are on the device at once, for barriers over the grid. `registers` are those that
    a thread may have on NVIDIA's: where nothing is said (0) ptxas takes few, so that more programs are resident, and
    spills for that.
    """

    name: str
    source: str
    arguments: tuple[Argument, ...]
    constants: tuple[tuple[str, int | float | bool | str], ...] = ()
    warps: int = 4
    stages: int = 2
    cooperative: bool = False
    registers: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of all that compiling the kernel hangs on, apart from the target."""
        arguments = [[argument.name, argument.type, argument.aligned] for argument in self.arguments]
        rest = [self.name, arguments, self.constants, self.warps, self.stages, self.cooperative, self.registers]
        return hashlib.sha256(f"{json.dumps(rest)}\n{self.source}".encode()).hexdigest()
