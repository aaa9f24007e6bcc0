"""Likelihoods, marginals and the partition function, as natural logarithms with exact −inf.

What enters are rows as `validate_array` and `read_data` give them: values of the circuit's variables, in order, and a
mask of what is observed. The circuit is evaluated over logarithms, with signs only where a number of it is negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..block import Input, Sum
from ..circuit import Circuit
from ..diagnostic import error, warn
from ..evaluate import Evidence, evaluate
from ..family import GaussianDerivative, Table
from ..linear import expressions
from ..numbers import Numbers
from ..parameter import Floats, Value
from ..products import singles_of
from ..semirings import LOG, SIGNED_LOG, Array, Log, SignedLog

Booleans = NDArray[np.bool_]


def log_likelihood(circuit: Circuit, values: Floats, observed: Booleans | None = None) -> Floats:
    """The natural logarithm of the circuit's value per row, [batch]; what a mask leaves out is summed out.

    −inf is exact. Where the value is negative, the answer is NaN, with a `DanausWarning`; `signed_log_value` gives it.
    `values` and `observed` are [batch, variables].

    >>> from danaus import parse
    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.25]) }").circuits["p"]
    >>> np.exp(log_likelihood(p, np.array([[0.0], [1.0], [1.0]]), np.array([[True], [True], [False]]))).tolist()
    [0.75, 0.25, 1.0]

    Raises: DanausError `diverges` where a variable that is summed out has no finite integral.
    """
    return logarithm(*signed_log_value(circuit, values, observed), f'the value of "{circuit.name}"')


def marginal(circuit: Circuit, values: Floats, observed: Booleans) -> Floats:
    """The logarithm of what the circuit sums to over what each row leaves out, [batch]: a likelihood under a mask."""
    return log_likelihood(circuit, values, observed)


def signed_log_value(circuit: Circuit, values: Floats, observed: Booleans | None = None) -> tuple[Floats, Floats]:
    """The logarithm of the magnitude of the circuit's value, and its sign (1, 0, −1), per row: [batch] each."""
    semiring = logarithmic(circuit, Numbers(circuit.store))
    return log_and_sign(evaluate(circuit, semiring, evidence_of(circuit, values, observed)), semiring)


def log_likelihood_under(circuit: Circuit, values: Floats, observed: Booleans, weights: Mapping[int, Floats]) -> Floats:
    """The same under virtual evidence: `weights` on the values of variables by position, [batch, n], nonnegative.

    A weighted variable counts as neither observed nor missing: each of its values counts with its weight.
    """
    out = np.empty(len(values))
    if not weights:
        return log_likelihood(circuit, values, observed)
    joined = np.concatenate(list(weights.values()), axis=1)
    _, places = np.unique(joined, axis=0, return_inverse=True)
    semiring = logarithmic(circuit, Numbers(circuit.store))
    for kind in np.unique(places):
        rows = np.flatnonzero(places.reshape(-1) == kind)
        own = {
            circuit.variables[position]: semiring.from_field(SIGNED_LOG.lift(Value.of(each[rows[0]])))
            for position, each in weights.items()
        }
        evidence = replace(evidence_of(circuit, values[rows], observed[rows]), weights=own)
        found = log_and_sign(evaluate(circuit, semiring, evidence), semiring)
        out[rows] = logarithm(*found, f'the value of "{circuit.name}"')
    return out


def partition(circuit: Circuit) -> float:
    """The logarithm of the circuit's sum or integral over all its variables; NaN, with a warning, where it is negative.

    Raises: DanausError `diverges`.
    """
    log, sign = signed_partition(circuit)
    return float(logarithm(np.array([log]), np.array([sign]), f'the total of "{circuit.name}"')[0])


def signed_partition(circuit: Circuit) -> tuple[float, float]:
    """The logarithm of the magnitude of the circuit's total, and its sign."""
    semiring = logarithmic(circuit, Numbers(circuit.store))
    logs, signs = log_and_sign(evaluate(circuit, semiring, Evidence.nothing(circuit.variables)), semiring)
    return float(logs[0]), float(signs[0])


def logarithmic(circuit: Circuit, numbers: Numbers) -> Log | SignedLog:
    """The semiring for the circuit's logarithms: with signs where a weight or an input may be negative."""
    for block in circuit.blocks:
        match block:
            case Input():
                singles = singles_of(block)
                if any(isinstance(family, GaussianDerivative) for family, _ in singles):
                    return SIGNED_LOG
                own = tuple(each for family, given in singles if isinstance(family, Table) for each in given)
            case Sum(_, linear):
                own = expressions(linear)
            case _:
                continue
        if any(np.any(numbers.of(expression, SIGNED_LOG)[..., 1] < 0) for expression in own):
            return SIGNED_LOG
    return LOG


def evidence_of(circuit: Circuit, values: Floats, observed: Booleans | None) -> Evidence:
    """Rows as evidence; without a mask all is observed.

    Raises: DanausError `wrong-shape` where the columns are not the circuit's variables.
    """
    mask = np.ones(np.shape(values), dtype=bool) if observed is None else np.asarray(observed, dtype=bool)
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(circuit.variables) or mask.shape != rows.shape:
        raise error(
            "wrong-shape",
            f"values have shape {list(rows.shape)} and their mask {list(mask.shape)}, "
            f"not [batch, {len(circuit.variables)}]",
        )
    return Evidence(circuit.variables, rows, mask)


def log_and_sign(elements: Array, semiring: Log | SignedLog) -> tuple[Floats, Floats]:
    """The logarithms and signs of elements of either semiring."""
    if isinstance(semiring, SignedLog):
        return elements[..., 0], elements[..., 1]
    return elements, np.where(np.isneginf(elements), 0.0, 1.0)


def logarithm(logs: Floats, signs: Floats, what: str, place: str = "row") -> Floats:
    """The logarithms; NaN where the sign is negative, with a warning that names what it is of, and the first place."""
    negative = np.flatnonzero(signs < 0)
    if len(negative):
        where = f" at {place} {negative[0]}" + (f" and {len(negative) - 1} more" if len(negative) > 1 else "")
        warn(f"{what} is negative{where}: it has no logarithm, and is NaN")
    return np.where(signs < 0, np.nan, logs)
