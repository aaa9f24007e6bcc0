"""The distribution of each missing variable given the rest of its row: one walk up and one down for all of them.

What enters are rows; what leaves are probabilities per value, or on infinite domains mixtures of the input nodes. It is
`ir/query/conditional.py` over the Program: an input's nodes have shares of the row, and their values theirs of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ...ir.density import domain_values
from ...ir.domain import FiniteDomain, Variable
from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.filled import Rows, filled
from ...ir.program.operation import Density, Load, Network
from ...ir.program.shares import Share, shares
from ...ir.program.tabled import Tabled
from ...ir.query.conditional import Answer, warn_of_impossible
from ...ir.query.mixture import Component, Mixture
from ..walking import Shared
from .questions import HELD, Bools, Questions

Device = Callable[[Indices], Shared | None]
"""Shares of inputs by a device, for codes of rows."""

_WHOLE = 1e-9
_NEAR = 1e-2
"""How far from 1 the shares of a column may be together: float32 flows of a device are off by the same factor."""


def conditional(
    questions: Questions,
    values: Floats,
    observed: Bools,
    asked: Sequence[int] | None = None,
    device: Device | None = None,
) -> dict[Variable, Answer]:
    """The distribution of each variable that some row leaves out, or of those `asked`, by position.

    A `device` gives shares where it can, and rows for which they are certain.
    Rows whose evidence is impossible are NaN, with one `DanausWarning`.
    """
    missing = np.flatnonzero(~observed.all(axis=0)).tolist()
    missing = [position for position in missing if asked is None or position in asked]
    found, impossible = posterior(questions, questions.rows(values, observed), missing, device=device)
    if impossible.any():
        warn_of_impossible(questions.name, impossible)
    answers: dict[Variable, Answer] = {}
    for position in missing:
        variable = questions.variables[position]
        known, column = observed[:, position], values[:, position]
        weights = found[position]
        if isinstance(variable.domain, FiniteDomain):
            one = np.where(impossible[:, None], np.nan, column[:, None] == domain_values(variable))
            weights[:, impossible] = np.nan
            answers[variable] = np.where(known[:, None], one, weights.T)
        else:
            weights[:, impossible] = np.nan
            components = tuple(
                Component(block.family, block.width, tuple(questions.numbers.floats(block.parameters)))
                for block in questions.densities
                if block.variable == variable
            )
            answers[variable] = Mixture(variable, components, weights, np.where(impossible, np.nan, column), known)
    return answers


def posterior(
    questions: Questions, rows: Rows, positions: Sequence[int], nodes: int = 0, device: Device | None = None
) -> tuple[dict[int, Floats], Bools]:
    """For each column the shares of its values, or of its input nodes on an infinite domain, [n, batch]; and the rows
    that are impossible, whose shares mean nothing.

    Where there are so many `nodes` in the one input on each column, their shares, whatever the domain.
    """
    sizes = questions.tabled.program.columns
    out: dict[int, Floats] = {}
    for position in positions:
        parts = [block.width for block in questions.densities if block.variable == questions.columns[position]]
        free = position in questions.free
        count = nodes or sizes[position] or sum(parts)
        out[position] = np.full((count, rows.count), 1.0 / max(1, count) if free else 0.0)
    impossible = np.zeros(rows.count, dtype=bool)
    used = [position for position in positions if position not in questions.free]
    left = np.arange(rows.count)
    if device is not None and used:
        left = _by_device(questions, rows, used, out, impossible, nodes > 0, device)
    for part, places, found in questions.filled(rows.part(left)) if len(left) else ():
        names = left[part]
        impossible[names] = np.isneginf(found.root[places])
        if not used:
            continue
        whole = _write(questions, shares(found), found.rows, names, places, used, out, nodes > 0)
        lost = places[~whole & ~impossible[names]]
        if len(lost):
            again = filled(questions.tabled, found.rows.part(lost), "log")
            own, some = shares(again), names[~whole & ~impossible[names]]
            _write(questions, own, again.rows, some, np.arange(len(lost)), used, out, nodes > 0)
    return out, impossible


def _by_device(
    questions: Questions,
    rows: Rows,
    positions: Sequence[int],
    out: dict[int, Floats],
    impossible: Bools,
    nodes: bool,
    device: Device,
) -> Indices:
    """Writes what the device gives, a stretch of the batch at a time; the rows that are left."""
    program = questions.tabled.program
    inputs = sum(program.buffers[step.out] for step in program.operations if isinstance(step, Load))
    inputs += sum(len(layout.leaf_columns) for layout in program.layouts)
    step = max(32, 2 * HELD // (8 * max(1, inputs)))
    left = [np.zeros(0, dtype=np.int64)]
    for start in range(0, rows.count, step):
        names = np.arange(start, min(start + step, rows.count))
        given = device(np.ascontiguousarray(rows.codes[:, names]))
        if given is None:
            left.append(names)
            continue
        impossible[names] = np.isneginf(given.log)
        near = _write(questions, given.shares, rows, names, np.arange(len(names)), positions, out, nodes, _NEAR)
        left.append(names[given.unsure | (~near & ~impossible[names])])
    return np.concatenate(left)


def _write(
    questions: Questions,
    found: Iterable[Share],
    rows: Rows,
    names: Indices,
    places: Indices,
    positions: Sequence[int],
    out: dict[int, Floats],
    nodes: bool,
    within: float = _WHOLE,
) -> Bools:
    """Writes the shares of some rows, normalised; which rows had them whole, [rows]."""
    joint = {position: np.zeros((len(out[position]), len(places))) for position in positions}
    for position, first, values in _by_value(questions, found, set(positions), nodes):
        joint[position][first : first + len(values)] += values[:, places]
    whole = np.ones(len(places), dtype=bool)
    for position, mass in joint.items():
        total = mass.sum(axis=0)
        if position not in rows.weights:
            whole &= np.abs(total - 1.0) < within
        out[position][:, names] = mass / np.where(total > 0, total, 1.0)
    return whole


def _by_value(
    questions: Questions, found: Iterable[Share], wanted: set[int], nodes: bool
) -> Iterator[tuple[int, int, Floats]]:
    """For each input on a wanted column the shares of its values, [values, batch], or of its nodes, and where these
    begin among those of all inputs on that column."""
    tabled = questions.tabled
    for share in found:
        if share.column not in wanted:
            continue
        match share.step:
            case Density(source=source):
                before = questions.densities[:source]
                variable = questions.densities[source].variable
                yield share.column, sum(block.width for block in before if block.variable == variable), share.shares
            case Load() if nodes:
                yield share.column, 0, share.shares
            case Network() if nodes:
                assert share.leaves is not None
                yield share.column, 0, share.shares[np.argsort(share.leaves)]
            case Load(table=table):
                yield share.column, 0, _of_values(tabled.tables[table], share.shares)
            case Network(leaves=leaves):
                yield share.column, 0, _of_leaves(tabled, leaves, share)


def _of_values(table: Floats, nodes: Floats) -> Floats:
    """The shares of values [values, batch] from those of nodes whose values are the table's [values + 1, nodes]."""
    total = table[-1]
    each = np.divide(table[:-1], total, out=np.zeros_like(table[:-1]), where=total > 0)
    return np.asarray(each @ nodes)


def _of_leaves(tabled: Tabled, leaves: int, share: Share) -> Floats:
    """The same of a network's leaves on one column."""
    assert share.leaves is not None and tabled.ranked is not None
    layout = tabled.ranked.layout
    size = tabled.program.columns[share.column]
    places = layout.leaf_offsets[share.leaves][:, None] + np.arange(size + 1)
    return _of_values(tabled.tables[leaves][places].T, share.shares)
