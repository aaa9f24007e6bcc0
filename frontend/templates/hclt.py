"""Hidden Chow–Liu trees: data and a number of states enter, a tree of latent variables leaves."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.block import Block, hadamard, weighted
from ...ir.domain import Variable
from ...ir.linear import Dense
from ...ir.parameter import Floats, Value
from ...ir.span import Span
from ..fresh import Declarations
from ..maps import DenseForm, MapForm, fresh_map
from .codes import Booleans, binned_codes
from .emission import emission, maker, require_size, require_variables
from .information import mutual_information
from .tree import heaviest_tree


def hclt(
    values: Floats,
    observed: Booleans,
    variables: Sequence[Variable],
    states: int,
    declarations: Declarations,
    stem: str,
    *,
    form: MapForm | None = None,
    smoothing: Value | None = None,
    span: Span | None = None,
) -> Block:
    """A latent variable of K states for each node of the Chow–Liu tree of data, with its variable below it.

    p(x) = Σ_z P(z_root) Π P(z_v | z_parent) Π e_v(x_v | z_v). The tree is that of `chow_liu` with the same smoothing,
    rooted at its centre; count and real variables take part in it by bins (at most 8 distinct values are a bin each,
    more go into 8 quantile bins). The data give the tree only: parameters are fresh.

    They are `stem.initial` [1, K] at the root; for each other variable `stem.VARIABLE.transition` [K, K], row i is
    P(state | parent's state = i), one per part of a structured map (`#1`, …); and for each variable
    `stem.VARIABLE.emission`, one per part of its default family.

    Raises: DanausError `too-large`, `wrong-size`, `wrong-arguments`, `wrong-shape` where the map does not fit.

    Source: Liu and Van den Broeck, "Tractable regularization of probabilistic circuits", NeurIPS 2021.
    """
    require_variables(variables, "hclt")
    require_size(states, "states")
    alpha = 1.0 if smoothing is None else float(smoothing.floats)
    tree = heaviest_tree(mutual_information(binned_codes(values, observed, variables), alpha))
    initial = Dense(declarations.fresh(f"{stem}.initial", (1, states), "simplex", span))
    children: list[list[Block]] = [[] for _ in variables]
    for node in reversed(tree.order):
        variable, parent = variables[node], tree.parents[node]
        name = f"{stem}.{variable.name}"
        own: Block = emission(variable, states, declarations, f"{name}.emission", span)
        if children[node]:
            own = hadamard([own, *reversed(children[node])], span)
        if parent < 0:
            return weighted([own], initial, span)
        linear = fresh_map(form or DenseForm(), states, states, maker(declarations, f"{name}.transition", span))
        children[parent].append(weighted([own], linear, span))
    raise AssertionError("a tree ends at its root")
