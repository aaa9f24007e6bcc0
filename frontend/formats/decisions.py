"""Decisions of primes and subs, as arrays: what `.sdd` and `.psdd` files share.

A line is a node: `L id vtree literal`; `D id vtree n` and n elements `prime sub`, each with a log-probability behind
it in a PSDD; `T id` and `F id` in an SDD, `T id vtree variable log-probability` in a PSDD. The last node is the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...ir.diagnostic import error
from ...ir.linear import Indices
from ...ir.parameter import Floats
from .lines import require_letters, require_literals
from .numbered import Numbered, header
from .tokens import Bytes, Words, stretches

Kind = Literal["sdd", "psdd"]
_LINES: dict[Kind, str] = {
    "sdd": "a node is `T id`, `F id`, `L id vtree literal` or `D id vtree n prime sub …`",
    "psdd": "a node is `L id vtree literal`, `T id vtree variable log` or `D id vtree n prime sub log …`",
}


# Logarithms of 1 may come out above 0 where they were summed in floating point.
_SLACK = 1e-5


@dataclass(frozen=True, slots=True)
class Decisions:
    """Nodes, in the order of their lines: `letters`; `literals` of L, and of T in a PSDD its variable (else 0).

    A node stands at a node of the vtree, by its number, or at none (−1). Element e belongs to node owner[e], is the
    product of its prime and sub, below[e], and starts at word places[e]. `logs` are the log-probabilities of T nodes,
    0 of others, and `element_logs` those of elements, none in an SDD.
    """

    words: Words
    letters: Bytes
    literals: Indices
    stands: Indices
    logs: Floats
    owner: Indices
    below: Indices
    places: Indices
    element_logs: Floats


def read_decisions(words: Words, kind: Kind) -> Decisions:
    """The nodes of a file.

    Raises: DanausError with the place of what the file gets wrong.
    """
    total = header(words, kind)
    firsts, counts, letters = words.lines[1:-1].astype(np.int64), words.counts[1:].astype(np.int64), words.letters[1:]
    hint = _LINES[kind]
    require_letters(words, np.arange(1, len(words.letters)), b"FTLD" if kind == "sdd" else b"TLD", hint)
    step = 2 if kind == "sdd" else 3
    decision, literal = letters == ord("D"), letters == ord("L")
    true = letters == ord("T") if kind == "psdd" else np.zeros(len(letters), dtype=bool)
    fixed = np.where(literal, 4, np.where(true, 5, 2))
    wrong = np.flatnonzero(np.where(decision, (counts < 4 + step) | ((counts - 4) % step != 0), counts != fixed))
    if len(wrong):
        raise error("wrong-node", "this line is no node", words.line_span(int(wrong[0]) + 1), hint=hint)
    if not len(firsts):
        raise error("wrong-format", f"{words.name} holds no nodes", words.line_span(0))
    if kind == "sdd" and total != len(firsts):  # those who write PSDDs count otherwise
        message = f"the header says {total} nodes, but there are {len(firsts)}"
        raise error("wrong-count", message, words.line_span(0), hint="the file may have been cut short")
    sizes = np.where(decision, (counts - 4) // step, 0)
    elements = stretches(np.zeros(len(sizes), dtype=np.int64), sizes)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    prime_places = firsts[owner] + 4 + step * elements
    true_places = firsts[true] + 4
    values, logs, element_logs = _numbers(words, firsts, true_places, prime_places + 2 if kind == "psdd" else None)
    said = np.flatnonzero(decision & (values[np.minimum(firsts + 3, len(values) - 1)] != sizes))
    if len(said):
        line = int(said[0])
        message = f"this node has {sizes[line]} elements, not the {words.word(int(firsts[line]) + 3)} that it says"
        raise error("wrong-node", message, words.span(int(firsts[line]) + 3), hint=hint)
    numbered = Numbered.of(words, firsts + 1, values[firsts + 1])
    child_places = (prime_places[:, None] + np.array([0, 1])).ravel()
    below = numbered.find(words, child_places, values[child_places], np.repeat(owner, 2)).reshape(-1, 2)
    mentioned = literal | true
    literals = np.zeros(len(firsts), dtype=np.int64)
    literals[mentioned] = values[firsts[mentioned] + 3]
    require_literals(words, firsts[mentioned] + 3, literals[mentioned], None)
    negative = np.flatnonzero(true & (literals < 0))
    if len(negative):
        place = int(firsts[negative[0]]) + 3
        raise error("wrong-literal", "T has a variable, not a literal", words.span(place), hint=hint)
    node_logs = np.zeros(len(firsts))
    node_logs[true] = logs
    stands = np.where(mentioned | decision, values[np.minimum(firsts + 2, len(values) - 1)], -1)
    return Decisions(words, letters, literals, stands, node_logs, owner, below, prime_places, element_logs)


def _numbers(
    words: Words, firsts: Indices, true_places: Indices, element_places: Indices | None
) -> tuple[Indices, Floats, Floats]:
    """The whole numbers by place, and the logarithms of T nodes and of elements."""
    numeric = np.ones(len(words.values), dtype=bool)
    numeric[firsts] = numeric[: words.lines[1]] = False
    none = np.zeros(0)
    if element_places is None:
        logs = element_logs = none
    else:
        numeric[true_places] = numeric[element_places] = False
        logs, element_logs = words.floats(true_places), words.floats(element_places)
        for places, found in ((true_places, logs), (element_places, element_logs)):
            over = np.flatnonzero(~(found <= _SLACK))
            if len(over):
                place = int(places[over[0]])
                message = f"{words.word(place)[:40]} is no logarithm of a probability"
                raise error("wrong-value", message, words.span(place), hint="it is 0 at most")
    words.integers(np.flatnonzero(numeric))  # which raises where one is none
    return words.values.astype(np.int64), logs, element_logs
