"""Queries that are the compiled circuit's alone: latent states and flows, as functions of rows and as columns.

The evaluator has no states and no flows, so a circuit is compiled for them, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..ir.circuit import Circuit
from ..ir.data import Column
from ..ir.domain import Count, Variable
from ..ir.parameter import Floats
from ..ir.query.likelihood import Booleans
from ..ir.query.maximum import MostProbable
from .compile import compile

if TYPE_CHECKING:
    from ..runtime.executable import Executable


def decode(circuit: Circuit, values: Floats, observed: Booleans) -> MostProbable:
    """The best joint value of the latents given each row, [batch, latents].

    Raises: DanausError `no-latents`, `negative`, `missing-package`.
    """
    return _compiled(circuit).decode(values, observed)


def posterior(circuit: Circuit, values: Floats, observed: Booleans) -> Floats:
    """The distribution of each latent given each row, [batch, latents, states].

    Raises: DanausError as `decode`.
    """
    found: Floats = _compiled(circuit).posterior(values, observed).numpy()
    return found


def flows(circuit: Circuit, values: Floats, observed: Booleans) -> dict[str, Floats]:
    """Expected counts per parameter over all rows, by name, each in the parameter's shape.

    Raises: DanausError `not-differentiable`, `missing-package`.
    """
    found = _compiled(circuit).flows(values, observed)
    return {name.replace("/", "."): flow for name, flow in found.items()}


def _compiled(circuit: Circuit) -> Executable:
    return compile(circuit, "float64")


def decode_columns(variables: Sequence[Variable], best: MostProbable) -> list[Column]:
    """The best states as columns, with their probability and whether they are certainly the best."""
    names = latent_names(variables, best.values.shape[1])
    states = [Column(name, best.values[:, i], Count()) for i, name in enumerate(names)]
    return [*states, Column("log_probability", best.log_probability), Column("exact", best.certain)]


def posterior_columns(variables: Sequence[Variable], found: Floats) -> list[Column]:
    """The probability of each state of each latent as columns."""
    _, latents, states = found.shape
    names = latent_names(variables, latents)
    return [Column(f"{name}={k}", found[:, i, k]) for i, name in enumerate(names) for k in range(states)]


def flows_columns(found: dict[str, Floats]) -> list[Column]:
    """Flows as rows: a parameter, the place of an entry in it, its expected count."""
    places = [(name, ",".join(map(str, place))) for name, flow in found.items() for place in np.ndindex(flow.shape)]
    counts = [flow.ravel() for flow in found.values()]
    return [
        Column("parameter", np.array([name for name, _ in places], dtype=np.str_)),
        Column("entry", np.array([place for _, place in places], dtype=np.str_)),
        Column("flow", np.concatenate(counts) if counts else np.zeros(0)),
    ]


def latent_names(variables: Sequence[Variable], latents: int) -> list[str]:
    """The latents' names: those of their variables, or a mixture's component."""
    return [each.name for each in variables] if latents == len(variables) else ["component"]
