"""Automata as circuits: a sequence of variables and an automaton enter, a chain with the vtree of an HMM leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import MAX_NUMBERS, Block, hadamard, input_block, select, weighted
from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import Expression
from ...ir.family import Table
from ...ir.linear import sparse
from ...ir.parameter import constant
from ...ir.span import Span
from ..automata import Automaton
from ..automata.refine import Booleans
from .emission import require_variables


def dfa(variables: Sequence[Variable], automaton: Automaton, *, span: Span | None = None) -> Block:
    """1 where the automaton accepts the sequence, else 0; deterministic, and compatible with an HMM over it.

    f_t(s) = Σ over s' of [x_t moves s to s'] · f_{t+1}(s'), f_{T+1}(s) = [s accepts], root = f_1(start): at each step a
    block with a node per state that can be reached there and from which a word can still be accepted.

    Raises: DanausError `wrong-domain`, `wrong-alphabet` where the domain has not as many values as there are symbols,
    `too-large`.
    """
    require_variables(variables, "dfa")
    domain = variables[0].domain
    for variable in variables:
        if variable.domain != domain or not isinstance(domain, FiniteDomain):
            raise error(
                "wrong-domain",
                f'"{variable.name}" is {variable.domain}, the first variable {domain}',
                hint="a sequence for an automaton has one domain of finitely many values",
            )
    assert isinstance(domain, FiniteDomain)
    if domain.size != automaton.symbols:
        raise error("wrong-alphabet", f"the automaton has {automaton.symbols} symbols, the domain {domain.size} values")
    moves = automaton.moves
    labels = moves.shape[1]
    if labels * automaton.symbols > MAX_NUMBERS:
        raise error("too-large", f"{labels} classes of {automaton.symbols} symbols", hint=f"at most {MAX_NUMBERS}")
    steps = len(variables)
    if steps * moves.size > MAX_NUMBERS:
        what = f"{steps} steps of {automaton.states} states with {labels} classes of symbols"
        raise error("too-large", what, hint=f"the moves of all steps are at most {MAX_NUMBERS}")
    live = _live(automaton, steps)
    if not live[0].any():
        zero = constant(np.zeros((1, domain.size)))
        return hadamard([input_block(Table(), variable, (zero,), span) for variable in variables], span)
    table = constant((automaton.labels == np.arange(labels)[:, None]).astype(np.float64))
    below: Block | None = None
    for step in range(steps - 1, -1, -1):
        letters = input_block(Table(), variables[step], (table,), span)
        states = np.flatnonzero(live[step])
        targets = np.flatnonzero(live[step + 1])
        place = np.full(automaton.states, -1, dtype=np.int64)
        place[targets] = np.arange(len(targets))
        into = place[moves[states]]  # [states, classes]: where each class leads, negative where to nothing
        state, label = np.nonzero(into >= 0)
        if below is None:
            below = weighted([letters], sparse(state, label, _ones(len(state)), len(states), labels), span)
            continue
        keys, edge = np.unique(state * len(targets) + into[state, label], return_inverse=True)
        reads = weighted([letters], sparse(edge, label, _ones(len(edge)), len(keys), labels), span)
        onwards = hadamard([reads, select(below, keys % len(targets), span)], span)
        ends = sparse(keys // len(targets), np.arange(len(keys)), _ones(len(keys)), len(states), len(keys))
        below = weighted([onwards], ends, span)
    assert below is not None
    return below


def _live(automaton: Automaton, steps: int) -> list[Booleans]:
    """For each number of symbols read, the states that it can lead to and from which the rest can be accepted."""
    reached = np.zeros(automaton.states, dtype=np.bool_)
    reached[automaton.start] = True
    forward = [reached]
    for _ in range(steps):
        reached = np.zeros(automaton.states, dtype=np.bool_)
        reached[automaton.moves[forward[-1]]] = True
        forward.append(reached)
    ending = automaton.accepting
    backward = [ending]
    for _ in range(steps):
        ending = np.asarray(ending[automaton.moves].any(axis=1))
        backward.append(ending)
    return [before & after for before, after in zip(forward, reversed(backward), strict=True)]


def _ones(count: int) -> Expression:
    return constant(np.ones(count))
