"""Deterministic finite automata: tables, regular expressions and keywords enter; an immutable automaton leaves.

`automaton.py` holds the automaton and what combines it; `pairs`, `subset` and `refine` are the constructions on arrays
that it stands on. `frontend/templates/dfa.py` makes a circuit of one.
"""

from .alphabet import Alphabet, AlphabetLike, alphabet
from .automaton import Automaton
from .keywords import keywords
from .regex import regex
from .tokens import over_tokens

__all__ = ["Alphabet", "AlphabetLike", "Automaton", "alphabet", "keywords", "over_tokens", "regex"]
