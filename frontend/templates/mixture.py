"""Mixtures: the roots of circuits and their weights enter, one weighted sum leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import Block, weighted
from ...ir.diagnostic import error
from ...ir.linear import Dense
from ...ir.parameter import Constraint, Value
from ...ir.span import Span
from ...ir.store import violation
from ..fresh import Declarations


def mixture(
    roots: Sequence[Block], weights: Value, declarations: Declarations, stem: str, *, span: Span | None = None
) -> Block:
    """Σ wᵢ pᵢ over roots of width 1, with the learnable `stem.weights` [1, n], which begins as given.

    The parameter is on the simplex where the weights are (non-negative, their sum within 1e-9 of 1), otherwise real.

    Raises: DanausError `wrong-arguments` without circuits, `wrong-width`, `wrong-shape`.
    """
    if not roots:
        raise error("wrong-arguments", "a mixture of no circuits", hint="give at least one")
    if wide := [root.width for root in roots if root.width != 1]:
        raise error("wrong-width", f"a mixture of blocks of width {wide[0]}", hint="it takes circuits, of width 1")
    if weights.shape != (len(roots),):
        raise error("wrong-shape", f"{len(roots)} circuits, but weights of shape {list(weights.shape)}")
    row = Value(
        weights.floats.reshape(1, -1), None if weights.rationals is None else np.reshape(weights.rationals, (1, -1))
    )
    constraint: Constraint = "real" if violation(row, "simplex") else "simplex"
    return weighted(roots, Dense(declarations.fresh(f"{stem}.weights", row.shape, constraint, span, row)), span)
