"""Steering: a chain (such as an HMM) and a constraint enter; distributions of the next token under it leave.

`chain.py` reads both circuits as chains, `maps.py` applies their maps with torch, `backward.py` prepares the messages,
`next_token.py` multiplies them into distributions, and `steering.py` is what a user holds.
"""

from .chain import chain_of
from .prefixes import Prefixes
from .steering import LanguageModel, Steering, make

__all__ = ["LanguageModel", "Prefixes", "Steering", "chain_of", "make"]
