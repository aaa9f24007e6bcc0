"""Engines for circuits whose numbers have both signs, of the Program that is compiled, each made when first asked for.

What enters is a Program as it was lowered and as it was folded; what leaves are an engine for the present numbers of a
circuit, and code for derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from ..ir.circuit import Circuit
from ..ir.collecting import uncollected
from ..ir.program.program import Program
from .folding import SignedFolding
from .lowering.lower import Lowered
from .lowering.tables import depends
from .pipeline import plainly_passed
from .programs.fold import Folded
from .programs.ranges import bounds
from .programs.split import split

if TYPE_CHECKING:
    from ..backends.cpu.signed import Signed, Vectors
    from ..backends.cpu.vector import Vector
    from ..runtime.engines import Reverse

By = Callable[[int], "Vectors"]


@dataclass(frozen=True, slots=True)
class Signing:
    """`engine` gives None where plain numbers do not hold a network; `reverse` is None for networks."""

    engine: Callable[[Circuit], SignedFolding | Signed | None]
    reverse: Callable[[], Reverse] | None


def signing(lowered: Lowered, folded: Folded, size: int, vector: Vector | None) -> Signing:
    """For numbers of so many bytes to begin with; `vector` is the engine of a Program of vectors without signs."""
    return _of_network(folded.program, size) if vector is None else _of_vectors(lowered, folded, size, vector)


def _of_network(program: Program, size: int) -> Signing:
    from ..backends.cpu.signed import Scalars, Signed

    wide, narrow = cache(lambda: Scalars(program, 8)), cache(lambda: Scalars(program, 4))

    if program.network().sources:  # of densities: these numbers have no bound
        return Signing(lambda _: None, None)

    @cache
    def made(fits: bool) -> Signed:
        return Signed(size, narrow if fits else lambda: None, wide)

    def engine(circuit: Circuit) -> Signed | None:
        found = bounds(circuit)
        return made(found.within(np.float32)) if found.within(np.float64) else None

    return Signing(engine, None)


def _of_vectors(lowered: Lowered, folded: Folded, size: int, vector: Vector) -> Signing:
    from ..backends.cpu.adjoint_signed import AdjointSigned
    from ..backends.cpu.adjoint_vector import AdjointVector
    from ..backends.cpu.machine import compiled_meanwhile
    from ..backends.cpu.signed import Signed, Vectors, magnitudes
    from ..backends.cpu.vector import Vector

    @cache
    @uncollected()
    def fast(size: int) -> Vectors:
        own = vector if vector.size == size else Vector(folded.program, size, make=compiled_meanwhile)
        return Vectors(folded.program, size, own)

    @cache
    @uncollected()
    def plain(size: int) -> Vectors:
        program = plainly_passed(lowered.program)
        return Vectors(program, size, Vector(program, size, make=compiled_meanwhile))

    def over(by: By, size: int) -> Signed:
        return Signed(size, lambda: by(4), lambda: by(8))

    def forward(size: int) -> SignedFolding:
        return SignedFolding(
            folded,
            over(fast, size),
            lambda: over(plain, size),
            partial(magnitudes, lowered.program),
        )

    own = cache(lambda: forward(size))

    @cache
    @uncollected()
    def reverse() -> Reverse:
        wanted = frozenset(number for number, table in enumerate(lowered.tables) if depends(table))
        return AdjointSigned(forward(8), AdjointVector(split(lowered.program), 8, wanted, signed=True))

    return Signing(lambda circuit: own(), reverse)
