"""Hidden Markov models: an array of variables enters, a chain of blocks leaves, built from the last step backward."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.block import Block, hadamard, input_block, weighted
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.linear import Dense
from ...ir.span import Span
from ..families import default_family, fresh_input
from ..fresh import Declarations
from ..maps import DenseForm, MapForm, fresh_map
from .emission import maker, require_size, require_variables


def hmm(
    variables: Sequence[Variable],
    states: int,
    declarations: Declarations,
    stem: str,
    *,
    emission: str | None = None,
    transition: MapForm | None = None,
    span: Span | None = None,
) -> Block:
    """The hidden Markov model p(x) = Σ_z initial[z₁] e(x₁ | z₁) Π_t transition[z_{t−1}, z_t] e(x_t | z_t).

    Built backward: β_T = 1, β_t = transition · (e_{t+1} ⊙ β_{t+1}), root = initial · (e_1 ⊙ β_1), so three blocks per
    step. Transition and emission are shared over time. Fresh parameters, for K states: `stem.initial` [1, K];
    `stem.transition` [K, K], row i is P(next | i), one per part of a structured map (`#1`, …); `stem.emission`, one
    per part of the family. A chain of one variable has a transition all the same, which nothing uses.

    Raises: DanausError `wrong-domain` where the variables differ in domain or the family does not stand on it,
    `wrong-arguments`, `wrong-size`, `wrong-shape` where the map does not fit, `too-large`.
    """
    require_variables(variables, "hmm")
    require_size(states, "states")
    domain = variables[0].domain
    for variable in variables:
        if variable.domain != domain:
            raise error(
                "wrong-domain",
                f'"{variables[0].name}" is {domain}, but "{variable.name}" is {variable.domain}',
                hint="hmm shares one emission over time: its variables have one domain",
            )
    initial = Dense(declarations.fresh(f"{stem}.initial", (1, states), "simplex", span))
    step = fresh_map(transition or DenseForm(), states, states, maker(declarations, f"{stem}.transition", span))
    make = maker(declarations, f"{stem}.emission", span)
    last = fresh_input(emission or default_family(domain), variables[-1], states, make, span)
    below: Block = last
    for variable in reversed(variables[:-1]):
        beta = weighted([below], step, span)
        below = hadamard([input_block(last.family, variable, last.parameters, span), beta], span)
    return weighted([below], initial, span)
