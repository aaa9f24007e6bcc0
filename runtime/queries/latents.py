"""Latent states: their best joint value given a row (Viterbi), and the distribution of each.

What enters are rows; what leaves are states by number. In a circuit where each variable has one input of K nodes (an
HMM, a hidden Chow–Liu tree) the latent of a variable says which of its nodes stands in the row; in a mixture the one
latent says which component does. Variables that a row leaves out are summed out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...ir.diagnostic import error
from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.descent import descend
from ...ir.program.filled import Rows
from ...ir.program.operation import Contract, Density, Load, Network
from ...ir.program.program import Program
from ...ir.query.conditional import warn_of_impossible
from ...ir.query.maximum import MostProbable
from ..columns import free_logs
from ..walking import Path
from .best import largest
from .conditional import Device, posterior
from .questions import Bools, Questions


@dataclass(frozen=True, slots=True)
class States:
    """The latents of variables: each one's states are the nodes of its one input, from leaf `first` of a network."""

    count: int
    first: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Components:
    """The one latent of a mixture."""

    count: int


def latents(questions: Questions) -> States | Components:
    """What the latents of a circuit are.

    Raises: DanausError `no-latents`.
    """
    found = latents_of(questions.tabled.program, len(questions.variables))
    if found is None:
        raise error(
            "no-latents",
            f'"{questions.name}" has no latent states',
            hint="a circuit has them where each variable has one input of K nodes (hmm, hclt), or in a mixture",
        )
    return found


def latents_of(program: Program, variables: int) -> States | Components | None:
    """The latents of a Program whose buffers are filled once, if it has some; its first columns are the variables."""
    inputs: list[list[tuple[int, int]]] = [[] for _ in program.columns]
    for step in program.operations:
        match step:
            case Load() | Density():
                inputs[step.column].append((program.buffers[step.out], 0))
            case Network(layout=number):
                layout = program.layouts[number]
                for column in range(len(inputs)):
                    leaves = np.flatnonzero(layout.leaf_columns == column)
                    if len(leaves) and int(np.ptp(leaves)) == len(leaves) - 1:
                        inputs[column].append((len(leaves), int(leaves[0])))
            case _:
                pass
    own = inputs[:variables]
    if own and all(len(each) == 1 for each in own) and len({each[0][0] for each in own}) == 1:
        return States(own[0][0][0], tuple(each[0][1] for each in own))
    last = program.operations[-1]
    if isinstance(last, Contract) and last.blocks == last.rows == 1 and last.columns > 1:
        return Components(last.columns)
    return None


def decode(
    questions: Questions,
    values: Floats,
    observed: Bools,
    single: bool,
    device: Callable[[Indices], Path | None] | None = None,
) -> MostProbable:
    """The best joint value of the latents given each row, [batch, latents], with log p(states, row).

    `certain` where `single` says that every joint value is one path through the circuit; NaN where the row is
    impossible. A `device` gives largest paths of rows by their codes where it can.
    """
    kind = latents(questions)
    rows = questions.rows(values, observed)
    free = free_logs(questions.columns, questions.free, observed)
    logs = np.full(rows.count, -np.inf)
    if isinstance(kind, Components):
        shares, impossible = _components(questions, rows, kind.count)
        best = shares.argmax(axis=1)
        with np.errstate(divide="ignore"):
            logs = questions.log(rows) + np.log(np.where(impossible, 0.0, shares[np.arange(len(best)), best]))
        states = np.where(impossible, np.nan, best)[:, None].astype(np.float64)
        return MostProbable(states, logs + free, np.ones(rows.count, dtype=bool))
    path = None if device is None or any(kind.first) else device(rows.codes)
    if path is not None:
        nodes = path.nodes[: len(kind.first)].T
        states = np.where(np.isneginf(path.log)[:, None], np.nan, nodes)
        return MostProbable(states, path.log + free, np.isneginf(path.log) | single)
    states = np.full((rows.count, len(kind.first)), np.nan)
    for names, _, found in questions.filled(rows, "max"):
        there = np.flatnonzero(~np.isneginf(found.root))
        logs[names[there]] = found.root[there]
        for met in descend(found, there, questions.sites, largest):
            if met.column < len(kind.first):
                states[names[there[met.reached.rows]], met.column] = met.reached.nodes - kind.first[met.column]
    certain = np.isneginf(logs) | single
    return MostProbable(states, logs + free, certain)


def posterior_of_states(questions: Questions, values: Floats, observed: Bools, device: Device | None = None) -> Floats:
    """The distribution of each latent given each row, [batch, latents, states]; NaN, with one warning, where the row is
    impossible. A `device` gives shares of inputs where it can."""
    kind = latents(questions)
    rows = questions.rows(values, observed)
    if isinstance(kind, Components):
        shares, impossible = _components(questions, rows, kind.count)
        out = shares[:, None]
    else:
        found, impossible = posterior(questions, rows, range(len(kind.first)), kind.count, device)
        out = np.stack([found[position].T for position in range(len(kind.first))], axis=1)
    if impossible.any():
        warn_of_impossible(questions.name, impossible)
        out[impossible] = np.nan
    return out


def _components(questions: Questions, rows: Rows, count: int) -> tuple[Floats, Bools]:
    """Each component's share of each row, [batch, components], and the rows that are impossible."""
    last = questions.tabled.program.operations[-1]
    assert isinstance(last, Contract)
    out, impossible = np.zeros((rows.count, count)), np.zeros(rows.count, dtype=bool)
    for names, places, found in questions.filled(rows):
        terms = found.buffers[last.source].values[:, places].T
        weights = questions.tabled.numbers(last.table, found.log)[0, 0]
        if found.log:
            logs = terms + weights
            top = logs.max(axis=1, keepdims=True)
            masses = np.exp(logs - np.where(np.isneginf(top), 0.0, top))
        else:
            masses = terms * weights
        total = masses.sum(axis=1, keepdims=True)
        impossible[names] = total[:, 0] == 0
        out[names] = masses / np.where(total > 0, total, 1.0)
    return out, impossible
