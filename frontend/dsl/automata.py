"""Automata as they are called: alphabets from variables and arrays of them, places of mistakes, and `dfa`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from ...ir import circuit as ir
from ...ir.diagnostic import error, placed
from ...ir.span import caller
from .. import automata, templates
from ..automata import AlphabetLike, Automaton
from ..automata.keywords import Keyword
from .arguments import describe, integer
from .circuit import settled
from .variables import VariablesLike, all_variables


def automaton(table: ArrayLike, accepting: Sequence[int] | NDArray[Any], start: int = 0) -> Automaton:
    """The deterministic automaton of a table [states, symbols] of next states; `accepting` names states.

    A negative entry is a move to a dead state. Automata combine: `a & b`, `a | b`, `~a`, `a + b` (one after the other),
    `a.star()`; each is minimal, and two of one language are equal.

    >>> import danaus as dn
    >>> even = dn.automaton([[0, 1], [1, 0]], accepting=[0])
    >>> dn.count(dn.dfa(dn.Bool("x", shape=10), even))
    512

    Raises: DanausError `wrong-shape`, `wrong-index`, `too-large`.
    """
    with placed(caller()):
        return Automaton.of(table, accepting, integer(start, "the start"))


def regex(pattern: str, symbols: AlphabetLike) -> Automaton:
    r"""The automaton of a regular expression, which matches whole words; `symbols` is the alphabet.

    `ab` one after the other, `a|b` either, `(…)` a group, `a*`, `a+`, `a?`, `a{2}`, `a{2,}`, `a{2,5}`, `.` any symbol,
    `[abc]`, `[a-c]`, `[^a]` sets, `\*` the character itself, `<name>` or `<7>` a symbol by its name or value.

    >>> import danaus as dn
    >>> x = dn.Cat("x", 5, shape=4)
    >>> dn.regex("<0>+[<1><2>]*", x).accepts([[0, 0, 1, 2], [1, 0, 0, 0]]).tolist()
    [True, False]

    Raises: DanausError `syntax`, `unknown-symbol`, `wrong-range`, with the place in the pattern; `too-large`.
    """
    with placed(caller()):
        return automata.regex(pattern, symbols)


def keywords(words: Sequence[Keyword], symbols: AlphabetLike, every: bool = True) -> Automaton:
    """The automaton of the words that contain all of the given sequences of symbols; one of them, with `every=False`.

    >>> import danaus as dn
    >>> dn.keywords([[3, 1], [4]], 5).accepts([[0, 3, 1, 4], [3, 4, 1, 0]]).tolist()
    [True, False]

    Raises: DanausError `unknown-symbol`, `wrong-arguments`, `too-large`.
    """
    with placed(caller()):
        return automata.keywords(words, symbols, every=every)


def over_tokens(automaton: Automaton, vocabulary: Sequence[str | bytes], symbols: AlphabetLike) -> Automaton:
    """An automaton over characters (or bytes) as one over the tokens of a vocabulary that are made of them.

    >>> import danaus as dn
    >>> tokens = dn.over_tokens(dn.keywords(["cat"], "act"), ["c", "at", "cat", "a"], "act")
    >>> tokens.accepts([[0, 1], [3, 2], [0, 3]]).tolist()
    [True, True, False]

    Raises: DanausError `wrong-alphabet`, `wrong-arguments`, `too-large`.
    """
    with placed(caller()):
        return automata.over_tokens(automaton, vocabulary, symbols)


def dfa(variables: VariablesLike, automaton: Automaton | str, *, name: str = "circuit") -> ir.Circuit:
    """1 where an automaton accepts the sequence of the variables' values, else 0: a deterministic circuit.

    Its structure is that of `hmm` over the same variables, so `multiply(hmm, dfa)` is the HMM under the constraint. A
    text is a regular expression over the domain of the variables.

    >>> import danaus as dn
    >>> c = dn.dfa(dn.Cat("x", "a", "b", "c", shape=4), "a[bc]*a")
    >>> dn.count(c), dn.check(c, "deterministic")["deterministic"].status
    (4, 'proved')

    Raises: DanausError `wrong-domain`, `wrong-alphabet`, `too-large`, and those of `regex`.
    """
    span = caller()
    with placed(span):
        found = all_variables(variables)
        if isinstance(automaton, str):
            automaton = automata.regex(automaton, found)
        if not isinstance(automaton, Automaton):
            raise error("wrong-arguments", f"{describe(automaton)} is no automaton", hint="dn.regex, dn.keywords, …")
        return settled(templates.dfa(found, automaton, span=span), (), name, 0, span)
