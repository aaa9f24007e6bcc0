"""Engines for Programs on this machine's processor, and the text of their code.

An engine takes tables and answers batches of any size on several threads. It says in which rows its fast numbers cannot
vouch for the result; whoever asked takes those again in float64 logarithms.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.program.program import Program
from .builder import module
from .driver import driver
from .machine import Target, host
from .network import Numeric
from .plan import plan
from .scalar import ROWS, Scalar, text_of_network, tile
from .twofold import Twofold
from .vector import Vector
from .vectors import Vectors

Engine = Vector | Scalar | Twofold


def text_of(program: Program, size: int, numeric: Numeric = "linear", target: Target | None = None) -> str:
    """The code of a Program for numbers of so many bytes, as LLVM IR: of a network, with the narrowest tiles."""
    return texts_of(program, size, numeric, target or host())[0]


def texts_of(program: Program, size: int, numeric: Numeric, target: Target, signed: bool = False) -> list[str]:
    """All code that a Program may run: one module, or, for a network, one for each width of its tiles; over numbers of
    both signs, all that signed.py runs."""
    if signed and program.layouts:
        sizes = [size, 8] if (size, numeric) == (4, "linear") else [size]
        return [text for each in sizes for text in texts_of(program, each, numeric, target)]
    if signed:
        kinds = [replace(target.vectors(each), signed=of_signs) for each in (4, 8) for of_signs in (False, True)]
        return [module([driver(plan(program, vectors), vectors)], vectors) for vectors in kinds]
    vectors = target.vectors(size)
    if not program.layouts:
        return [module([driver(plan(program, vectors), vectors)], vectors)]
    if not program.network().sources:
        return _texts(program, vectors, numeric, False)
    engine = Twofold(program, target)
    parts = [engine.sure, engine.fast] if engine.fast.soft.peeled else [engine.sure]
    return [text for each in parts for text in _texts(program, each.vectors, each.numeric, True)]


def _texts(program: Program, vectors: Vectors, numeric: Numeric, soft: bool) -> list[str]:
    """The code of a network for each width of its tiles."""
    tiles = [tile(program.layouts[0], vectors, rows) for rows in (1, 2)]
    tiles += [(replace(vectors, row=row), False) for row in ROWS]
    return [text_of_network(wide, numeric, by_levels, soft) for wide, by_levels in tiles]
