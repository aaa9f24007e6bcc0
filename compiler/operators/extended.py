"""Blocks built anew so that each sum reads its children at its own scope.

What enters is what smoothing must extend (demands.py) and the ones that it multiplies by (ones.py); what leaves is the
new root. Walked from the inputs up; whatever is not touched is kept as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ...ir.block import (
    MAX_NUMBERS,
    Block,
    Hadamard,
    Input,
    Pairs as AllPairs,
    Product,
    Sum,
    hadamard,
    indexed,
    pairs,
    weighted,
)
from ...ir.diagnostic import error
from ...ir.expression import take
from ...ir.linear import Indices, Kronecker, LinearMap, Selection, Sparse, compose, selection, sparse
from ..properties.factors import factors, starts_of
from ..rewrite import with_children
from .demands import Demand, Pairs, demands, entries_of, reads
from .ones import Ones
from .scopeids import ScopeIds


@dataclass(frozen=True, slots=True)
class Version:
    """A block's nodes at larger scopes: pair k of `keys` (node · scopes + scope) is node places[k] of the blocks laid
    end to end. `whole` where the one block holds every node, in order, at one scope."""

    blocks: list[Block]
    keys: Indices
    places: Indices
    whole: bool = False
