"""The automaton: complete, deterministic, immutable; symbols that act alike are held as one class.

Every operation gives the minimal automaton of its language, with states numbered in breadth-first order, so that two
automata of one language are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...ir.diagnostic import error
from .limits import MAX_STATES, too_many
from .pairs import side_by_side
from .refine import Booleans, Indices, alike, classes, reachable
from .subset import determinised, scattered


@dataclass(frozen=True, slots=True, eq=False)
class Automaton:
    """A deterministic automaton over the symbols 0 … n-1: moves [states, classes] and the class of each symbol [n].

    >>> even = Automaton.of([[0, 1], [1, 0]], [0])  # an even number of ones
    >>> even.accepts([[1, 0, 1], [1, 0, 0]]).tolist()
    [True, False]
    >>> (even & ~even).count(5), (even | ~even).count(5)
    (0, 32)
    """

    moves: Indices
    labels: Indices
    accepting: Booleans
    start: int = 0

    @staticmethod
    def of(table: ArrayLike, accepting: Sequence[int] | NDArray[Any], start: int = 0) -> Automaton:
        """The automaton of a table [states, symbols] of next states; `accepting` names states, or has one truth each.

        A negative entry is a move to a dead state, from which nothing is accepted.

        Raises: DanausError `wrong-shape`, `wrong-index`, `too-large`.
        """
        rows = _integers(table, "the table")
        if rows.ndim != 2 or not rows.size:
            raise error("wrong-shape", f"the table has shape {list(rows.shape)}, not [states, symbols]")
        states, symbols = rows.shape
        if states > MAX_STATES:
            raise too_many("the table")
        if rows.max() >= states:
            raise error("wrong-index", f"state {rows.max()} is out of range", hint=f"states go from 0 to {states - 1}")
        if not 0 <= start < states:
            raise error("wrong-index", f"the start {start} is out of range", hint=f"states go from 0 to {states - 1}")
        accepts = np.zeros(states + 1, dtype=np.bool_)
        given = np.asarray(accepting)
        if given.dtype == np.bool_:
            if given.shape != (states,):
                raise error("wrong-shape", f"{states} states, but accepting has shape {list(given.shape)}")
            accepts[:-1] = given
        else:
            names = _integers(given, "the accepting states") if given.size else np.zeros(0, dtype=np.int64)
            if names.size and (names.min() < 0 or names.max() >= states):
                raise error("wrong-index", "an accepting state is out of range", hint=f"0 to {states - 1}")
            accepts[names.reshape(-1)] = True
        complete = np.concatenate([np.where(rows < 0, states, rows), np.full((1, symbols), states)])
        labels, first = classes(complete)
        return minimal(complete[:, first], labels, accepts, int(start))

    @property
    def symbols(self) -> int:
        """The number of symbols of the alphabet."""
        return len(self.labels)

    @property
    def states(self) -> int:
        """The number of states, of which one may be dead."""
        return len(self.moves)

    @property
    def table(self) -> Indices:
        """The next state for each state and symbol, [states, symbols]."""
        return self.moves[:, self.labels]

    def __eq__(self, other: object) -> bool:
        """Whether both accept the same words."""
        if not isinstance(other, Automaton):
            return NotImplemented
        return (
            self.symbols == other.symbols
            and self.moves.shape == other.moves.shape
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.moves, other.moves)
            and np.array_equal(self.accepting, other.accepting)
        )

    def __hash__(self) -> int:
        return hash((self.moves.tobytes(), self.labels.tobytes(), self.accepting.tobytes()))

    def run(self, words: ArrayLike, state: ArrayLike | None = None) -> Indices:
        """The state after each word: [batch, length] → [batch], or [length] → a number; from the start, or `state`.

        Raises: DanausError `wrong-shape`, `wrong-index`.
        """
        given = _integers(words, "the words") if np.size(words) else np.zeros(np.shape(words), dtype=np.int64)
        if given.ndim not in (1, 2):
            raise error("wrong-shape", f"the words have shape {list(given.shape)}, not [batch, length]")
        if given.size and (given.min() < 0 or given.max() >= self.symbols):
            raise error("wrong-index", "a symbol is out of range", hint=f"symbols go from 0 to {self.symbols - 1}")
        at = np.broadcast_to(np.asarray(self.start if state is None else state), given.shape[:-1])
        for position in range(given.shape[-1]):
            at = self.moves[at, self.labels[given[..., position]]]
        return np.asarray(at)

    def accepts(self, words: ArrayLike) -> Any:
        """Whether each word is accepted: [batch, length] → [batch], or [length] → one truth."""
        return self.accepting[self.run(words)]

    def count(self, length: int) -> int:
        """How many words of a length are accepted, an exact integer."""
        sizes = np.bincount(self.labels, minlength=self.moves.shape[1]).tolist()
        edges: dict[tuple[int, int], int] = {}
        for state, row in enumerate(self.moves.tolist()):
            for label, following in enumerate(row):
                edges[state, following] = edges.get((state, following), 0) + sizes[label]
        ways = [int(accepts) for accepts in self.accepting]
        for _ in range(length):
            earlier = [0] * self.states
            for (state, following), number in edges.items():
                earlier[state] += number * ways[following]
            ways = earlier
        return ways[self.start]

    def accepts_of_length(self, length: int) -> bool:
        """Whether it accepts any word of a length."""
        reached = np.zeros(self.states, dtype=np.bool_)
        reached[self.start] = True
        for _ in range(length):
            following = np.zeros(self.states, dtype=np.bool_)
            following[self.moves[reached]] = True
            reached = following
        return bool((reached & self.accepting).any())

    def __invert__(self) -> Automaton:
        """The words that it does not accept."""
        return Automaton(self.moves, self.labels, _frozen(~self.accepting), self.start)

    def __and__(self, other: Automaton) -> Automaton:
        """The words that both accept."""
        return self._joined(other, np.logical_and)

    def __or__(self, other: Automaton) -> Automaton:
        """The words that either accepts."""
        return self._joined(other, np.logical_or)

    def _joined(self, other: Automaton, rule: Callable[[Booleans, Booleans], Booleans]) -> Automaton:
        first, second, labels = self._common(other)
        pairs, moves = side_by_side(first, second, (self.start, other.start))
        accepting: Booleans = rule(self.accepting[pairs[:, 0]], other.accepting[pairs[:, 1]])
        return minimal(moves, labels, accepting, 0)

    def _common(self, other: Automaton) -> tuple[Indices, Indices, Indices]:
        """The moves of both over common classes of symbols, and the class of each symbol."""
        if self.symbols != other.symbols:
            raise error("wrong-alphabet", f"one automaton has {self.symbols} symbols, the other {other.symbols}")
        labels, first = classes(np.stack([self.labels, other.labels]))
        return self.moves[:, self.labels[first]], other.moves[:, other.labels[first]], labels

    def __add__(self, other: Automaton) -> Automaton:
        """The words that are a word of the first followed by a word of the second."""
        first, second, labels = self._common(other)
        left = len(first)
        moves = np.concatenate([first, left + second])
        ends = np.zeros(len(moves), dtype=np.bool_)
        ends[:left] = self.accepting
        joins = np.where((np.arange(len(moves)) < left)[:, None] & ends[moves], left + other.start, -1)
        start = np.zeros(len(moves), dtype=np.bool_)
        start[self.start] = True
        start[left + other.start] = self.accepting[self.start]
        subsets, table = determinised(scattered(moves, joins, len(moves)), start, moves.shape[1])
        accepting = np.asarray((subsets[:, left:] & other.accepting).any(axis=1))
        return minimal(table, labels, accepting, 0)

    def star(self) -> Automaton:
        """The words that are any number of words of it, one after the other; none is the empty word."""
        moves = np.concatenate([self.moves, self.moves[[self.start]]])  # a fresh start, which is never entered again
        joins = np.where(self.accepting[moves], self.start, -1)
        start = np.zeros(len(moves), dtype=np.bool_)
        start[-1] = True
        subsets, table = determinised(scattered(moves, joins, len(moves)), start, moves.shape[1])
        accepting: Booleans = (subsets[:, :-1] & self.accepting).any(axis=1) | subsets[:, -1]
        return minimal(table, self.labels, accepting, 0)

    def __repr__(self) -> str:
        return f"<automaton: {self.states} states, {self.symbols} symbols in {self.moves.shape[1]} classes>"


def minimal(moves: Indices, labels: Indices, accepting: Booleans, start: int) -> Automaton:
    """The minimal automaton of the same language, its states in breadth-first order and its classes distinct."""
    order = reachable(moves, start)
    place = np.zeros(len(moves), dtype=np.int64)
    place[order] = np.arange(len(order))
    moves, accepting = place[moves[order]], accepting[order]
    merged = alike(moves, accepting)
    _, first = np.unique(merged, return_index=True)
    order = np.sort(first)  # the first of each class, in breadth-first order
    place = np.empty(len(first), dtype=np.int64)
    place[merged[order]] = np.arange(len(order))
    moves, accepting = place[merged[moves[order]]], accepting[order]
    among, columns = classes(moves)
    labels, moves = among[labels], moves[:, columns]
    # Breadth-first order hangs on the order of classes, which is that of their first symbols.
    alphabet, first_symbol = classes(labels[None])
    moves = moves[:, labels[first_symbol]]
    order = reachable(moves, 0)
    place[order] = np.arange(len(order))
    return Automaton(_frozen(place[moves[order]]), _frozen(alphabet), _frozen(accepting[order]), 0)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _integers(given: ArrayLike, what: str) -> Indices:
    found = np.asarray(given)
    if found.dtype.kind not in "iu":
        raise error("wrong-dtype", f"{what} holds {found.dtype}, not whole numbers")
    integers: Indices = found.astype(np.int64)
    return integers
