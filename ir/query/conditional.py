"""The distribution of each missing variable given the observed ones, in one walk up and one down.

In a smooth, decomposable circuit p(x = v, rest) = Σ over the input nodes on x of derivative · f(v). What leaves is a
table of probabilities per row, or, on infinite domains, a mixture of the input nodes.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..block import Block, Input
from ..circuit import Circuit
from ..density import domain_values
from ..diagnostic import warn
from ..domain import FiniteDomain, Variable
from ..evaluate import Evidence, free_elements, rows_at_once, values_of
from ..family import Indicator
from ..numbers import Numbers
from ..parameter import Floats
from ..products import normalised
from ..semirings import Array, Log, SignedLog
from .derivative import backward
from .likelihood import Booleans, evidence_of, log_and_sign, logarithmic
from .mixture import Component, Mixture

Answer = Floats | Mixture


def conditional(
    circuit: Circuit, values: Floats, observed: Booleans, variables: Collection[Variable] | None = None
) -> dict[Variable, Answer]:
    """The distribution of each variable that some row leaves out, given what the row observes.

    On a finite domain [batch, n] probabilities in domain order (a one where the row observes the variable); on real
    and count a `Mixture`. Rows whose evidence is impossible are NaN, with one `DanausWarning`. The circuit is smooth
    and decomposable, which the caller has checked; it is normalised by its value, whatever the sign of that.
    `variables` are those asked for, if not all.

    >>> from danaus import parse
    >>> p = parse("var x : bool; circuit p { return table(x, [[1, 3]]) }").circuits["p"]
    >>> conditional(p, np.zeros((1, 1)), np.array([[False]]))[p.variables[0]].tolist()
    [[0.25, 0.75]]

    Raises: DanausError `diverges` where a missing variable has no finite integral.
    """
    evidence = evidence_of(circuit, values, observed)
    numbers = Numbers(circuit.store)
    semiring = logarithmic(circuit, numbers)
    asked = set(circuit.variables if variables is None else variables)
    gaps = np.asarray(~evidence.observed.all(axis=0))
    missing = [variable for variable, gap in zip(circuit.variables, gaps, strict=True) if gap and variable in asked]
    inputs = _inputs(circuit, missing)
    weights: dict[Variable, list[Floats]] = {variable: [] for variable in missing}
    impossible: list[Booleans] = []
    step = rows_at_once(circuit, keep=True)
    for start in range(0, max(evidence.rows, 1), step):
        part = evidence.part(slice(start, start + step))
        elements, value = _joint(circuit, semiring, part, numbers, inputs)
        impossible.append(log_and_sign(value, semiring)[1] == 0)
        for variable, joint in elements.items():
            weights[variable].append(_shares(joint, semiring, impossible[-1]))
    bad = np.concatenate(impossible)
    if bad.any():
        warn_of_impossible(circuit.name, bad)
    answers: dict[Variable, Answer] = {}
    for variable in missing:
        shares = np.concatenate(weights[variable], axis=1)
        column, known = evidence.column(variable)
        if isinstance(variable.domain, FiniteDomain):
            one = np.where(bad[:, None], np.nan, column[:, None] == domain_values(variable))
            answers[variable] = np.where(known[:, None], one, shares.T)
        else:
            components = tuple(part for block in inputs[variable] for part in _components(block, numbers))
            answers[variable] = Mixture(variable, components, shares, np.where(bad, np.nan, column), known)
    return answers


def _inputs(circuit: Circuit, variables: Collection[Variable]) -> dict[Variable, list[Input]]:
    """The input blocks on each variable."""
    found: dict[Variable, list[Input]] = {variable: [] for variable in variables}
    for block in circuit.blocks:
        if isinstance(block, Input) and block.variable in found:
            found[block.variable].append(block)
    return found


def _joint(
    circuit: Circuit,
    semiring: Log | SignedLog,
    evidence: Evidence,
    numbers: Numbers,
    inputs: dict[Variable, list[Input]],
) -> tuple[dict[Variable, Array], Array]:
    """For each variable of `inputs` p(x = v, rest), [n, batch], or on infinite domains what each of its input nodes
    adds to p(rest), [nodes, batch]; and the circuit's value, [batch]."""
    values = values_of(circuit, semiring, evidence, numbers)
    top = semiring.multiply(values[circuit.root][0], free_elements(circuit, semiring, evidence, numbers))
    shares: dict[Block, Array] = {}
    for block, adjoint in backward(circuit, semiring, evidence, numbers, values):
        if isinstance(block, Input) and block.variable in inputs:
            shares[block] = _share(block, adjoint, semiring, numbers)
    joint: dict[Variable, Array] = {}
    for variable, blocks in inputs.items():
        parts = [shares[block] for block in blocks]
        if not isinstance(variable.domain, FiniteDomain):
            joint[variable] = semiring.concatenate(parts)
        elif variable in circuit.free:
            joint[variable] = semiring.full((variable.domain.size, evidence.rows), one=True)
        else:
            joint[variable] = semiring.sum(np.stack(parts), 0)
    return joint, top


def _share(block: Input, adjoint: Array, semiring: Log | SignedLog, numbers: Numbers) -> Array:
    """What an input adds to p(x = v, rest), [n, batch]; on an infinite domain what its nodes add to p(rest)."""
    variable = block.variable
    if not isinstance(variable.domain, FiniteDomain):
        mass = numbers.moments(block.family, variable, block.parameters, 0, semiring.field)
        return semiring.multiply(np.expand_dims(semiring.from_field(mass), 1), adjoint)
    x = domain_values(variable)
    table = semiring.from_field(numbers.inputs(block.family, variable, block.parameters, x, semiring.field))
    return semiring.matmul(table.swapaxes(0, 1), adjoint)


def _shares(joint: Array, semiring: Log | SignedLog, impossible: Booleans) -> Floats:
    """Elements as shares of their sum, [nodes, batch] in float64; NaN where the evidence is impossible."""
    logs, signs = log_and_sign(joint, semiring)
    top = logs.max(axis=0)
    parts = signs * np.exp(logs - np.where(np.isneginf(top), 0.0, top))
    total = parts.sum(axis=0)
    bad = impossible | (total == 0)
    return np.where(bad, np.nan, parts / np.where(bad, 1.0, total))


def warn_of_impossible(name: str, impossible: Booleans) -> None:
    """Says how many rows of evidence are impossible, and which is the first."""
    warn(
        f'"{name}" is zero at the evidence of {int(impossible.sum())} of {len(impossible)} rows, first row '
        f"{int(np.flatnonzero(impossible)[0])} (from 0): nothing has a distribution given what is impossible, and NaN "
        "stands there"
    )


def _components(block: Input, numbers: Numbers) -> list[Component]:
    """An input's functions as distributions; where an indicator stands in a product, each of its nodes for itself."""
    family, parameters = normalised(block.family, numbers.floats(block.parameters))
    if isinstance(family, Indicator):
        return [Component(family, 1, ())] * block.width
    return [Component(family, block.width, tuple(parameters))]
