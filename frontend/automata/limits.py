"""How large an automaton may grow; a construction that would pass it says so instead."""

from __future__ import annotations

from ...ir.diagnostic import DanausError, error

MAX_STATES = 1 << 16


def too_many(what: str) -> DanausError:
    """The error of a construction that has found more states than an automaton may have."""
    return error(
        "too-large",
        f"{what} has more than {MAX_STATES} states",
        hint="an automaton of all of several keywords has the product of their lengths; multiply circuits instead",
    )
