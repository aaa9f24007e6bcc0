"""Divide: the quotient of two circuits, on the support of the second."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import Diagnostic, Refused
from ...ir.span import Note
from ..properties import Proved, compatible
from ..properties.result import explained
from .contained import escape
from .multiply import multiply
from .operands import needs, require_circuits
from .power import raised_root


def divide(p: Circuit, q: Circuit, *, limit: int | None = None) -> Circuit:
    """p/q where q is not 0, and 0 elsewhere: p times the reciprocal of q, at most |p| · |q| pairs of nodes.

    Needs compatible(p, q), q deterministic, and p zero wherever q is.

    >>> import danaus as dn
    >>> p = dn.parse("var x : cat(3); circuit p { return table(x, [[0, 1, 4]]) }").circuits["p"]
    >>> q = dn.parse("var x : cat(3); circuit q { return table(x, [[0, 3, 2]]) }").circuits["q"]
    >>> dn.evaluate(dn.divide(p, q), [[0], [1], [2]]).round(4).tolist()
    [0.0, 0.3333, 2.0]

    Raises: Refused with a witness, such as an assignment where p is not zero and q is; DanausError `two-domains`,
    `two-values`, `too-large`.
    """
    require_circuits("divide", p, q)
    result = compatible(p, q)
    if not isinstance(result, Proved):
        message = f'divide needs "{p.name}" and "{q.name}" to be compatible, which they are not'
        raise Refused(Diagnostic("not-compatible", message, notes=explained("compatible", result)))
    needs(q, "divide", "deterministic")
    found = escape(p, q)
    if found is not None:
        said = "is not" if found.certain else "is not known to be"
        message = f'divide needs the support of "{p.name}" to be within that of "{q.name}", which it {said}'
        first = f'"{p.name}" is {found.value:.6g}' if found.certain else f'"{p.name}" may be other than 0'
        where = f" at {found}" if found.assignment else ""
        notes = (Note(f'{first} and "{q.name}" is 0{where}'),)
        raise Refused(Diagnostic("not-contained", message, notes=notes))
    inverse = replace(q, root=raised_root(q, Fraction(-1)))
    return replace(multiply(p, inverse, limit=limit), origin=Origin("divide", (p, q)))
