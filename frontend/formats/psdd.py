"""Probabilistic sentential decision diagrams, `.psdd`, with or without a vtree.

A decision is a weighted sum of the products of its primes and subs, a literal an indicator, a true node a Bernoulli:
the weights of each level are a parameter of positive numbers, the probabilities of each variable's true nodes one of
numbers between 0 and 1. The number of nodes in the header is not what writers of such files agree on: it is not read.
The syntax is that of D. Kisa, G. Van den Broeck, A. Choi and A. Darwiche, "Probabilistic Sentential Decision Diagrams",
KR 2014, as written by Y. Liang's LearnPSDD and by Juice.jl.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...ir.block import Block, Input, in_order, input_block
from ...ir.diagnostic import Diagnostic, error
from ...ir.domain import Bool, Variable
from ...ir.family import Bernoulli, Categorical
from ...ir.linear import Indices
from ...ir.parameter import Floats, Parameter, Value
from ...ir.store import LOADED_TOLERANCE, TEXT_TOLERANCE
from ..spec import Spec
from .decisions import Decisions, read_decisions
from .lines import distinct, indicators
from .options import ForeignOptions
from .pack import pack
from .single import CIRCUIT, boolean_variables, single, variable_count
from .tokens import Words
from .vtree import found_vtree

Values = dict[str, tuple[Parameter, Value]]


def read_psdd(path: Path, options: ForeignOptions, known: Mapping[str, Variable]) -> Spec:
    """The circuit of a file, over the variables x1 … xn, with its probabilities as learnable parameters.

    Raises: DanausError with the place of what the file or its vtree gets wrong.
    """
    nodes = read_decisions(Words.read(path), "psdd")
    vtree, notes = found_vtree(nodes, path, options.vtree)
    largest = int(np.abs(nodes.literals).max(initial=0))
    count = variable_count(None if vtree is None else vtree.variables, largest, options)
    variables = boolean_variables(count, options, known)
    is_literal, is_true = nodes.letters == ord("L"), nodes.letters == ord("T")
    literals, which = distinct(nodes.literals[is_literal])
    number = np.empty(len(is_literal), dtype=np.int64)
    number[is_literal] = which
    true = np.flatnonzero(is_true)
    true = true[np.argsort(nodes.literals[true], kind="stable")]
    leaves = len(literals) + len(true)
    number[true] = len(literals) + np.arange(len(true))
    inputs, given = _true_nodes(nodes.literals[true], np.minimum(np.exp(nodes.logs[true]), 1.0), variables)
    inner = np.flatnonzero(~is_literal & ~is_true)
    number[inner] = leaves + np.arange(len(inner))
    weights, loose = _weights(nodes, path)
    elements = len(nodes.owner)
    own = np.concatenate([[0], np.cumsum(np.bincount(nodes.owner, minlength=len(is_literal))[inner])])
    offsets = np.concatenate([own, elements + 2 * np.arange(1, elements + 1)])
    below = number[nodes.below.ravel()]
    members = np.concatenate([leaves + len(inner) + np.arange(elements), below])
    sums = np.concatenate([np.ones(len(inner), dtype=bool), np.zeros(elements, dtype=bool)])
    weights = np.concatenate([weights, np.ones(2 * elements)])
    blocks = [*indicators(literals, variables), *inputs]
    packed = pack(blocks, sums, offsets, members, weights, int(number[-1]), first=len(given) + 1)
    used = {id(part) for block in in_order(packed.root) if isinstance(block, Input) for part in block.parameters}
    kept = {name: pair for name, pair in given.items() if id(pair[0]) in used}
    return single(path, variables, packed.root, {**kept, **packed.values}, [*notes, *loose])


def _true_nodes(owners: Indices, probabilities: Floats, variables: Sequence[Variable]) -> tuple[list[Block], Values]:
    """An input block of the true nodes of each variable, in order, and its parameter."""
    blocks: list[Block] = []
    values: Values = {}
    found, starts = np.unique(owners, return_index=True)
    for number, rows in zip(found.tolist(), np.split(probabilities, starts)[1:], strict=True):
        variable = variables[number - 1]
        name = f"{CIRCUIT}.{len(values) + 1}"
        if isinstance(variable.domain, Bool):
            parameter = Parameter(name, rows.shape, "unit")
            blocks.append(input_block(Bernoulli(), variable, [parameter]))
        else:
            rows = np.stack([1 - rows, rows], axis=1)
            parameter = Parameter(name, rows.shape, "simplex")
            blocks.append(input_block(Categorical(), variable, [parameter]))
        values[name] = parameter, Value.of(rows)
    return blocks, values


def _weights(nodes: Decisions, path: Path) -> tuple[Floats, list[Diagnostic]]:
    """The weights of the elements: as the file has them, but where a decision's sum to 1 only within 1e-5.

    Raises: DanausError `wrong-value` where they do not sum to 1.
    """
    weights = np.exp(nodes.element_logs)
    totals = np.bincount(nodes.owner, weights, minlength=len(nodes.letters))
    off = np.where(nodes.letters == ord("D"), np.abs(totals - 1), 0.0)
    if (off > LOADED_TOLERANCE).any():
        node = int(np.flatnonzero(off > LOADED_TOLERANCE)[0])
        message = f"the probabilities of this decision sum to {totals[node]:.12g}, not 1"
        raise error("wrong-value", message, nodes.words.line_span(node + 1), hint="logarithms to base e are written")
    loose = off > TEXT_TOLERANCE
    if not loose.any():
        return weights, []
    weights /= np.where(loose, totals, 1.0)[nodes.owner]
    message = f"{int(loose.sum())} decisions of {path.name} were renormalised"
    return weights, [Diagnostic("renormalised", message, severity="note")]
