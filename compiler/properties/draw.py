"""Assignments drawn at random, from a seed, where a circuit has something to say.

Values of finite domains are uniform; those of infinite ones come from the inputs on them, and from wider around those.
"""

from __future__ import annotations

import numpy as np

from ...ir.block import Input
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.domain import Count, FiniteDomain, Variable
from ...ir.family import Gaussian, GaussianDerivative, Indicator, Poisson
from ...ir.numbers import Numbers
from ...ir.parameter import Floats
from ...ir.products import singles_of

_SEED = 0
_WIDER = 3.0


def draw(circuit: Circuit, rows: int) -> Floats:
    """So many assignments, [rows, variables], the same each time, whatever the order of variables and inputs."""
    numbers = Numbers(circuit.store)
    inputs: dict[Variable, list[Input]] = {variable: [] for variable in circuit.variables}
    for block in circuit.blocks:
        if isinstance(block, Input) and block.variable in inputs:
            inputs[block.variable].append(block)
    columns = [_column(variable, blocks, numbers, rows) for variable, blocks in inputs.items()]
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))


def _column(variable: Variable, blocks: list[Input], numbers: Numbers, rows: int) -> Floats:
    generator = np.random.default_rng([_SEED, *variable.name.encode()])
    if isinstance(variable.domain, FiniteDomain):
        return generator.choice(domain_values(variable), size=rows)
    centres, spreads = [np.zeros(1)], [np.ones(1)]
    for family, parameters in (single for block in blocks for single in singles_of(block)):
        match family:
            case Gaussian() | GaussianDerivative():
                means, deviations = numbers.floats(parameters)
                centres.append(means)
                spreads.append(deviations)
            case Poisson():
                (rates,) = numbers.floats(parameters)
                centres.append(rates)
                spreads.append(np.sqrt(rates))
            case Indicator(value):
                centres.append(np.array([float(value)]))
                spreads.append(np.zeros(1))
            case _:
                pass
    found = np.unique(np.stack([np.concatenate(centres), np.concatenate(spreads)], axis=1), axis=0)
    chosen = found[generator.integers(len(found), size=rows)]
    width = np.where(generator.random(rows) < 0.5, 1.0, _WIDER)
    values = chosen[:, 0] + width * chosen[:, 1] * generator.standard_normal(rows)
    return np.maximum(np.round(values), 0.0) if isinstance(variable.domain, Count) else values
