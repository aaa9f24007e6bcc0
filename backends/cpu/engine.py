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


def texts_of(program: Program, size: int, numeric: Numeric, target: Target) -> list[str]:
    """All code that a Program may run: one module, or, for a network, one for each width of its tiles."""
    vectors = target.vectors(size)
    if not program.layouts:
        return [module([driver(plan(program, vectors), vectors)], vectors)]
    tiles = [tile(program.layouts[0], vectors, rows) for rows in (1, 2)]
    tiles += [(replace(vectors, row=row), False) for row in ROWS]
    soft = bool(program.network().sources)
    return [text_of_network(wide, numeric, by_levels, soft) for wide, by_levels in tiles]
