"""Chow–Liu trees: data enters, the blocks of the tree distribution that fits it best leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.block import Block, Input, hadamard, input_block, weighted
from ...ir.domain import Bool, Variable
from ...ir.family import Bernoulli, Categorical
from ...ir.linear import Dense
from ...ir.parameter import Floats, Value, constant
from ...ir.span import Span
from ..fresh import Declarations
from .codes import Booleans, finite_codes
from .emission import require_variables
from .information import conditional, marginal, mutual_information
from .tree import heaviest_tree


def chow_liu(
    values: Floats,
    observed: Booleans,
    variables: Sequence[Variable],
    declarations: Declarations,
    stem: str,
    smoothing: Value | None = None,
    *,
    span: Span | None = None,
) -> Block:
    """The tree distribution of greatest mutual information, with its parameters, from data over finite domains.

    P(a, b) = (count + α / (nₐ n_b)) / (N + α), α the smoothing, 1 by default; mutual information, marginals and
    conditionals all follow from it. A missing value leaves out the pairs it is in; the root's
    P(a) = (count + α / n) / (N + α) is from the rows that have it. The root is the tree's centre (of two, the variable
    that comes first); without missing values the distribution is the same for any root.

    `values` (raw, as data files hold them) and `observed` are [rows, variables]. For each variable there is a learnable
    `stem.VARIABLE` [n of the parent, n], row i is P(variable | parent = i); the root's is [1, n]. A node with children
    is a block of constant indicators, one per value, times what its children send, so the circuit is deterministic; a
    leaf is a categorical input.

    Raises: DanausError `wrong-domain`, `too-large`, `wrong-arguments` without variables.

    Source: Chow and Liu, "Approximating discrete probability distributions with dependence trees", IEEE Transactions
    on Information Theory 14(3), 1968.
    """
    require_variables(variables, "chow_liu")
    alpha = 1.0 if smoothing is None else float(smoothing.floats)
    data = finite_codes(values, observed, variables)
    tree = heaviest_tree(mutual_information(data, alpha))
    children: list[list[Block]] = [[] for _ in variables]
    for node in reversed(tree.order):
        variable, parent = variables[node], tree.parents[node]
        rows = marginal(data, node, alpha)[None] if parent < 0 else conditional(data, parent, node, alpha)
        weights = declarations.fresh(f"{stem}.{variable.name}", rows.shape, "simplex", span, Value.of(rows))
        if children[node]:
            own = hadamard([_indicators(variable, span), *reversed(children[node])], span)
            message: Block = weighted([own], Dense(weights), span)
        else:
            message = input_block(Categorical(), variable, [weights], span)
        if parent < 0:
            return message
        children[parent].append(message)
    raise AssertionError("a tree ends at its root")


def _indicators(variable: Variable, span: Span | None) -> Input:
    """One constant node per value: 1 there, 0 elsewhere."""
    size = variable.size or 0
    if isinstance(variable.domain, Bool):
        return input_block(Bernoulli(), variable, [constant(np.arange(size, dtype=np.float64))], span)
    return input_block(Categorical(), variable, [constant(np.eye(size))], span)
