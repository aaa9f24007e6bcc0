"""What engines hold of a circuit, and in which numbers; the packages that they need; what they ask the compiler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..frontend.spec import Query
from ..ir.block import Input
from ..ir.circuit import Circuit
from ..ir.diagnostic import error
from ..ir.domain import FiniteDomain
from ..ir.family import is_signed
from ..ir.program.program import Program
from ..ir.span import caller
from .needs import require
from .programs.ranges import bounds
from .properties import check

if TYPE_CHECKING:
    from ..backends.cpu.network import Numeric
    from ..runtime.links import Links, Place


Type = Literal["float32", "float64"]


def has_signs(circuit: Circuit) -> bool:
    """Whether an input on an infinite domain may be negative."""
    inputs = [block for block in circuit.blocks if isinstance(block, Input)]
    return any(is_signed(block.family) and not isinstance(block.variable.domain, FiniteDomain) for block in inputs)


def runs_compiled(circuit: Circuit, signs: bool = False) -> bool:
    """Whether the engines hold all of it: not densities of both signs, unless engines take them, as they do with
    `signs`; nor any of those among scalar nodes."""
    from .lowering.network import is_scalar

    return not has_signs(circuit) or (signs and not any(is_scalar(block) for block in circuit.blocks))


def runs_on_device(circuit: Circuit) -> bool:
    """Whether engines on devices hold all of it: scalar nodes on infinite domains are not theirs either."""
    from .lowering.network import is_scalar

    inputs = [block for block in circuit.blocks if isinstance(block, Input)]
    infinite = any(not isinstance(block.variable.domain, FiniteDomain) for block in inputs)
    return runs_compiled(circuit) and not (infinite and any(is_scalar(block) for block in circuit.blocks))


def numeric_of(circuit: Circuit, size: int) -> tuple[int, Numeric]:
    """The cheapest numbers that hold a network: plain ones where its range shows so, else logarithms."""
    inputs = (block for block in circuit.blocks if isinstance(block, Input))
    if any(not isinstance(block.variable.domain, FiniteDomain) for block in inputs):
        return 8, "log"  # nothing bounds a density
    found = bounds(circuit)
    if size == 4 and found.within(np.float32):
        return 4, "linear"
    if found.within(np.float64):
        return 8, "linear"
    return size, "log"


def form_of(circuit: Circuit, program: Program, dtype: Type) -> tuple[int, Numeric]:
    """Bytes of a number in the code, and what it stands for."""
    size = 4 if dtype == "float32" else 8
    return numeric_of(circuit, size) if program.layouts else (size, "linear")


def links_of(places: Sequence[Place], size: int, held: int) -> Links:
    """Code of this machine's processor for numbers without constraints, and for those they stand for."""
    with packages():
        from ..backends.cpu.links import Links
    return Links(places, size, held)


@contextmanager
def packages(extra: str = "cpu") -> Iterator[None]:
    """Names the package that is missing where imports fail, and the extra that brings it."""
    try:
        yield
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint=f'pip install "danaus[{extra}]"'
        ) from failure


@dataclass(frozen=True, slots=True)
class Proofs:
    """What an executable asks while it runs: proofs, and answers that rest on them."""

    def require(self, kind: str, circuit: Circuit) -> None:
        """Proves what a query needs of the circuit."""
        require(Query(kind, kind, (circuit,), span=caller()))

    def deterministic(self, circuit: Circuit) -> bool:
        """Whether the circuit is proved deterministic."""
        return check(circuit, "deterministic")["deterministic"].status == "proved"
