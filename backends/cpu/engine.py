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
from .vector import Vector

Engine = Vector | Scalar


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
    tiles = [tile(program.layouts[0], vectors, rows) for rows in (1, 2)]
    tiles += [(replace(vectors, row=row), False) for row in ROWS]
    return [text_of_network(wide, numeric, by_levels) for wide, by_levels in tiles]
