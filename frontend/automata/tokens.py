"""From characters to tokens: an automaton over characters becomes one over a vocabulary of strings of them.

A sequence of tokens is accepted where the text that they spell is, however it is cut into tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.diagnostic import error
from .alphabet import AlphabetLike, alphabet
from .automaton import Automaton, minimal
from .refine import classes


def over_tokens(automaton: Automaton, vocabulary: Sequence[str | bytes], symbols: AlphabetLike) -> Automaton:
    """The automaton whose symbols are the tokens of a vocabulary, each a text of the alphabet's characters, or bytes.

    A token with a character that the alphabet lacks is accepted nowhere; one without characters changes nothing.

    >>> from danaus.frontend.automata import regex
    >>> over_tokens(regex("ab*", "ab"), ["a", "ab", "bb"], "ab").accepts([[1, 2], [2, 1]]).tolist()
    [True, False]

    Raises: DanausError `wrong-alphabet`, `wrong-arguments`.
    """
    letters = alphabet(symbols)
    if letters.size != automaton.symbols:
        raise error("wrong-alphabet", f"the automaton has {automaton.symbols} symbols, the alphabet {letters.size}")
    if not vocabulary:
        raise error("wrong-arguments", "a vocabulary without tokens")
    if len(vocabulary) * automaton.states > 1 << 28:
        raise error("too-large", f"{automaton.states} states over {len(vocabulary)} tokens")
    dead = automaton.states
    unknown = automaton.moves.shape[1]
    spelt = [
        [
            int(automaton.labels[code]) if 0 <= (code := _code(part, letters.places)) < letters.size else unknown
            for part in token
        ]
        for token in vocabulary
    ]
    longest = max(map(len, spelt))
    codes = np.full((len(spelt), longest), unknown + 1, dtype=np.int64)  # past the end: no move
    for row, token in zip(codes, spelt, strict=True):
        row[: len(token)] = token
    states = np.arange(dead + 1)
    moves = np.concatenate([automaton.moves, np.full((1, unknown), dead)])
    moves = np.concatenate([moves, np.full((dead + 1, 1), dead), states[:, None]], axis=1)
    table = np.broadcast_to(states[:, None], (dead + 1, len(spelt)))
    for position in range(longest):
        table = moves[table, codes[:, position]]
    labels, columns = classes(table)
    return minimal(table[:, columns], labels, np.append(automaton.accepting, False), automaton.start)


def _code(part: str | int, places: dict[str, int]) -> int:
    return part if isinstance(part, int) else places.get(part, -1)
