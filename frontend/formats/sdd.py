"""Sentential decision diagrams, `.sdd`, with the vtree that lies beside them or that the caller names.

The syntax is that of libsdd (A. Choi and A. Darwiche). A decision is a sum of the products of its primes and subs, and
stays as the file has it: true subs leave variables out, so that the sums are smooth only after `smooth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...ir.domain import Variable
from ..spec import Spec
from .decisions import read_decisions
from .lines import distinct, indicators, unsaid
from .options import ForeignOptions
from .pack import pack
from .single import boolean_variables, single, variable_count
from .tokens import Words
from .vtree import found_vtree


def read_sdd(path: Path, options: ForeignOptions, known: Mapping[str, Variable]) -> Spec:
    """The circuit of a file, over the variables x1 … xn of its vtree, with no numbers to learn.

    Raises: DanausError with the place of what the file or its vtree gets wrong.
    """
    nodes = read_decisions(Words.read(path), "sdd")
    vtree, notes = found_vtree(nodes, path, options.vtree)
    largest = int(np.abs(nodes.literals).max(initial=0))
    count = variable_count(None if vtree is None else vtree.variables, largest, options)
    variables = boolean_variables(count, options, known)
    is_literal = nodes.letters == ord("L")
    literals, which = distinct(nodes.literals[is_literal])
    inner = np.flatnonzero(~is_literal)
    number = np.empty(len(is_literal), dtype=np.int64)
    number[is_literal] = which
    number[inner] = len(literals) + np.arange(len(inner))
    sizes = np.bincount(nodes.owner, minlength=len(is_literal))[inner]
    elements = len(nodes.owner)
    own = np.concatenate([[0], np.cumsum(sizes)])
    offsets = np.concatenate([own, elements + 2 * np.arange(1, elements + 1)])
    below = number[nodes.below.ravel()]
    members = np.concatenate([len(literals) + len(inner) + np.arange(elements), below])
    # True is a product of nothing, false a sum of nothing.
    sums = np.concatenate([nodes.letters[inner] != ord("T"), np.zeros(elements, dtype=bool)])
    packed = pack(indicators(literals, variables), sums, offsets, members, None, int(number[-1]))
    notes += [] if vtree is not None else unsaid(path, largest, options)
    return single(path, variables, packed.root, packed.values, notes)
