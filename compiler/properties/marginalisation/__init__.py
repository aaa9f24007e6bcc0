"""Which marginalisation programs are exact on a circuit, and on what that rests."""

from .programs import PROGRAMS, Program, marginalisation

__all__ = ["PROGRAMS", "Program", "marginalisation"]
