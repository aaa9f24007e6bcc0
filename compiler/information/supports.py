"""Supports of deterministic circuits: as circuits, and whether one holds another, for current values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ...ir.circuit import Circuit
from ...ir.diagnostic import Diagnostic, Refused
from ...ir.span import Note
from ..operators.contained import Escape, escape
from ..operators.power import raised_root


def support(q: Circuit) -> Circuit:
    """1 where a deterministic circuit is not 0, and 0 elsewhere."""
    return replace(q, root=raised_root(q, Fraction(0)), origin=None)


def uncovered(p: Circuit, q: Circuit) -> Escape | None:
    """An assignment at which p is not 0 and q is, if there is one; p and q compatible, q deterministic.

    Raises: Refused where terms of p cancel, so that it is not known.
    """
    found = escape(p, q)
    if found is None or found.certain:
        return found
    message = f'whether "{q.name}" is positive wherever "{p.name}" is, is not known: terms of "{p.name}" cancel'
    raise Refused(Diagnostic("not-contained", message, notes=(Note(f'"{q.name}" is 0 at {found}'),)))
