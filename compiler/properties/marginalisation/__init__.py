"""Which marginalisation programs are exact on a circuit, and on what that rests."""

from .programs import PROGRAMS, Program, exact, made_exact, marginalisation, taken_as_exact

__all__ = ["PROGRAMS", "Program", "exact", "made_exact", "marginalisation", "taken_as_exact"]
