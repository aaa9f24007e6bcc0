"""Keywords: sequences of symbols enter; the automaton of the words that contain any, or all, of them leaves."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ...ir.diagnostic import error
from .alphabet import Alphabet, AlphabetLike, alphabet
from .automaton import Automaton, minimal
from .limits import MAX_STATES, too_many

Keyword: TypeAlias = "str | Sequence[int | str]"
"""Symbols by number or name; a text is a symbol, where it is the name of one, and else symbols that are characters."""


def keywords(words: Sequence[Keyword], symbols: AlphabetLike, *, every: bool = True) -> Automaton:
    """The words that contain all of the given sequences as they stand, or, with `every=False`, at least one.

    >>> both = keywords(["ab", "ba"], "abc")
    >>> both.accepts([[0, 1, 0], [0, 1, 1]]).tolist(), both.count(3)
    ([True, False], 2)

    Raises: DanausError `unknown-symbol`, `wrong-arguments`, `too-large`.
    """
    letters = alphabet(symbols)
    if isinstance(words, str) or not words:
        raise error("wrong-arguments", "keywords takes a list of keywords", hint='write keywords(["cat", "dog"], …)')
    spelt = [_spelt(word, letters) for word in words]
    if not every:
        return _any(spelt, letters.size)
    found = _any(spelt[:1], letters.size)
    for word in spelt[1:]:
        found = found & _any([word], letters.size)
    return found


def _spelt(word: Keyword, letters: Alphabet) -> list[int]:
    if not word:
        raise error("wrong-arguments", "a keyword without symbols", hint="every word contains it; leave it out")
    if isinstance(word, str) and word in letters.places:
        return [letters.places[word]]
    codes: list[int] = []
    for item in word:
        if isinstance(item, str):
            codes.append(letters.symbol(item))
            continue
        code = int(item) - letters.first
        if not 0 <= code < letters.size:
            raise error("unknown-symbol", f"symbol {item} is out of range", hint=f"there are {letters.size} symbols")
        codes.append(code)
    return codes


def _any(words: list[list[int]], size: int) -> Automaton:
    """The automaton of Aho and Corasick: states are prefixes of keywords, and one more that accepts for good.

    Source: Aho and Corasick, "Efficient string matching: an aid to bibliographic search", CACM 18(6), 1975.
    """
    used = sorted({code for word in words for code in word})
    column = {code: place for place, code in enumerate(used)}
    other = len(used)  # the class of the symbols that no keyword has
    children: list[dict[int, int]] = [{}]
    ends = [False]
    for word in words:
        state = 0
        for code in word:
            if column[code] not in children[state]:
                children[state][column[code]] = len(children)
                children.append({})
                ends.append(False)
            state = children[state][column[code]]
        ends[state] = True
        if len(children) > MAX_STATES:
            raise too_many("the automaton of the keywords")
    done = len(children)
    moves = np.zeros((done + 1, other + 1), dtype=np.int64)
    moves[done] = done
    fail = [0] * done
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        moves[state] = moves[fail[state]] if state else 0  # as after the longest suffix that is a prefix too
        for label, child in children[state].items():
            fail[child] = int(moves[state, label])
            ends[child] = ends[child] or ends[fail[child]]
            moves[state, label] = child
            waiting.append(child)
    ending = np.array([*ends, True])
    moves[ending] = done
    moves = np.where(ending[moves], done, moves)
    labels = np.full(size, other, dtype=np.int64)
    labels[used] = np.arange(other)
    accepting = np.zeros(done + 1, dtype=np.bool_)
    accepting[done] = True
    return minimal(moves, labels, accepting, done if ends[0] else 0)
