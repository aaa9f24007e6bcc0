"""Laws of queries on random circuits: each answer is what enumeration gives."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from agreement import TOLERANCE, close, log_close, masses_of_ones
from danaus.ir import query as ask
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausWarning
from danaus.ir.domain import Count, Variable
from definitions import Definitions
from exact import ZERO, Assignment
from strategies import Ingredients, decomposable_circuits, rows

SIGNED, POSITIVE = Ingredients(), Ingredients(signed=False)
INFINITE = Ingredients(signed=False, infinite=True)


def known(circuit: Circuit, values: np.ndarray, observed: np.ndarray) -> list[Assignment]:
    """What each row observes."""
    columns = list(enumerate(circuit.variables))
    return [
        {variable: Fraction(row[i]) for i, variable in columns if mask[i]}
        for row, mask in zip(values, observed, strict=True)
    ]


def magnitude(found: Definitions, row: Assignment) -> Fraction:
    """What rounding in a sum over what a row leaves out is relative to."""
    return sum((found.oracle.magnitude(at) * weight for at, _, weight in found.completions(row)), ZERO)


@given(st.data(), decomposable_circuits(POSITIVE, free=True))
def test_log_likelihoods_are_sums_over_what_is_missing(data: Any, circuit: Circuit) -> None:
    values, observed = data.draw(rows(circuit))
    found = Definitions(circuit)
    logs = ask.log_likelihood(circuit, values, observed)
    for log, row in zip(logs, known(circuit, values, observed), strict=True):
        assert log_close(log, found.total(row))
    assert log_close(ask.partition(circuit), found.total({}))


@given(st.data(), decomposable_circuits(SIGNED, free=True))
def test_signed_values_are_sums_over_what_is_missing(data: Any, circuit: Circuit) -> None:
    values, observed = data.draw(rows(circuit))
    found = Definitions(circuit)
    logs, signs = ask.signed_log_value(circuit, values, observed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DanausWarning)  # of what is negative
        plain = ask.log_likelihood(circuit, values, observed)
    assert (np.isnan(plain) == (signs < 0)).all() and (plain[signs >= 0] == logs[signs >= 0]).all()
    for log, sign, row in zip(logs, signs, known(circuit, values, observed), strict=True):
        assert close(sign * np.exp(log), found.total(row), magnitude(found, row))


@given(st.data(), decomposable_circuits(SIGNED, free=True))
def test_conditionals_are_quotients_of_sums(data: Any, circuit: Circuit) -> None:
    values, observed = data.draw(rows(circuit))
    found = Definitions(circuit)
    given_ = known(circuit, values, observed)
    totals = [found.total(row) for row in given_]
    scales = [magnitude(found, row) for row in given_]
    # Where signs cancel, nothing is left of the digits, or zero of the sum; only exact zeros are zeros then.
    assume(all(not scale or abs(total) >= scale / 10**4 for total, scale in zip(totals, scales, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DanausWarning)  # of impossible evidence
        answers = ask.conditional(circuit, values, observed)
    assert set(answers) == {variable for i, variable in enumerate(circuit.variables) if not observed[:, i].all()}
    for variable, table in answers.items():
        for row, total, scale, shares in zip(given_, totals, scales, table, strict=True):
            for x, share in zip(domain(variable), shares, strict=True):
                if not total:
                    assert np.isnan(share)
                elif variable in row:
                    assert share == (x == row[variable])
                else:
                    assert close(share, found.total({**row, variable: x}) / total, 2 * scale / abs(total))


def domain(variable: Variable) -> list[Fraction]:
    """The values of a finite variable."""
    first = getattr(variable.domain, "lo", 0)
    return [Fraction(first + code) for code in range(variable.size or 0)]


@given(st.data(), decomposable_circuits(SIGNED, free=True))
def test_the_most_probable_completion_is_the_best_of_all(data: Any, circuit: Circuit) -> None:
    found = Definitions(circuit)
    assume(found.nonnegative)
    values, observed = data.draw(rows(circuit))
    answer = ask.most_probable(circuit, values, observed)
    assert answer.exact  # so few assignments are all tried
    for row, best, log in zip(known(circuit, values, observed), answer.values, answer.log_probability, strict=True):
        highest = max(value for _, value, _ in found.completions(row))
        if np.isnan(best).any():
            assert highest <= TOLERANCE * magnitude(found, row) and log == -np.inf
            continue
        at = {variable: Fraction(x) for variable, x in zip(circuit.variables, best, strict=True)}
        assert at.items() >= row.items()
        scale = found.oracle.magnitude(at)
        assert abs(found.oracle.value(at) - highest) <= TOLERANCE * (scale + highest)
        assert close(float(np.exp(log)), found.oracle.value(at), scale)


@given(decomposable_circuits(Ingredients(signed=False, booleans=True), free=True))
def test_hamming_is_the_mass_of_each_number_of_ones(circuit: Circuit) -> None:
    found = Definitions(circuit)
    wanted = masses_of_ones(circuit, {tuple(row.values()): value for row, value, _ in found.table})
    logs = ask.hamming(circuit)
    assert len(logs) == len(wanted) and all(log_close(log, mass) for log, mass in zip(logs, wanted, strict=True))


@given(st.data(), st.one_of(decomposable_circuits(POSITIVE, free=True), decomposable_circuits(INFINITE, most=2)))
def test_moments_are_sums_of_powers(data: Any, circuit: Circuit) -> None:
    found = Definitions(circuit)
    total = found.total({})
    assume(total > Fraction(1, 10**9) and circuit.variables)
    variable = data.draw(st.sampled_from(circuit.variables))
    order = data.draw(st.integers(0, 4))
    terms = [(Fraction(at[variable]) ** order * value * weight) for at, value, weight in found.table]
    scale = sum(map(abs, terms), ZERO) / total
    assert close(ask.moment(circuit, variable, order), sum(terms, ZERO) / total, 2 * scale)


@given(decomposable_circuits(INFINITE, most=2))
def test_conditionals_on_infinite_domains_have_the_moments_of_the_density(circuit: Circuit) -> None:
    found = Definitions(circuit)
    total = found.total({})
    assume(total > 0)
    (variable,) = [variable for variable in circuit.variables if variable.size is None]
    nothing = np.zeros((1, len(circuit.variables)))
    mixture = ask.conditional(circuit, nothing, nothing.astype(bool))[variable]
    moments = [
        sum((Fraction(at[variable]) ** k * value * weight for at, value, weight in found.table), ZERO) / total
        for k in range(3)
    ]
    assert close(mixture.mean[0], moments[1], abs(moments[1]) + 1)
    assert close(mixture.variance[0], moments[2] - moments[1] ** 2, moments[2] + 1)
    if isinstance(variable.domain, Count):
        below = sum((value for at, value, _ in found.table if at[variable] <= 2), ZERO) / total
        assert close(mixture.cdf(2.5)[0], below, Fraction(1))


@given(decomposable_circuits(INFINITE, most=2))
def test_what_is_said_to_be_the_most_probable_is_beaten_nowhere(circuit: Circuit) -> None:
    found = Definitions(circuit)
    nothing = np.zeros((1, len(circuit.variables)))
    answer = ask.most_probable(circuit, nothing, nothing.astype(bool))
    highest = max(value for _, value, _ in found.table)
    if np.isnan(answer.values).any():
        assert not highest
        return
    best = found.oracle.value({v: Fraction(x) for v, x in zip(circuit.variables, answer.values[0], strict=True)})
    assert log_close(answer.log_probability[0], best)
    assert not answer.exact or highest <= best * (1 + TOLERANCE)


@given(st.data(), decomposable_circuits(SIGNED, free=True))
def test_samples_have_the_probabilities_of_the_circuit(data: Any, circuit: Circuit) -> None:
    found = Definitions(circuit)
    total = found.total({})
    assume(found.nonnegative and total > magnitude(found, {}) / 10**4)
    seed, count = data.draw(st.integers(0, 2**64 - 1)), 400
    drawn = ask.sample(circuit, count, seed)
    counts: dict[tuple[float, ...], int] = {}
    for row in drawn.tolist():
        counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    for at, value, _ in found.table:
        expected = float(count * value / total)
        # Bernstein: off by more than this once in 10^12 draws.
        assert abs(counts.pop(tuple(map(float, at.values())), 0) - expected) <= 8 * np.sqrt(expected) + 20 * (value > 0)
    assert not counts
    assert (ask.sample(circuit, 3, seed, first_row=5) == drawn[5:8]).all()


@given(st.data(), decomposable_circuits(POSITIVE, free=True))
def test_samples_complete_what_is_observed(data: Any, circuit: Circuit) -> None:
    found = Definitions(circuit)
    values, observed = data.draw(rows(circuit))
    assume(all(found.total(row) > 0 for row in known(circuit, values, observed)))
    drawn = ask.sample_given(circuit, values, observed, seed=1)
    assert (drawn[observed] == values[observed]).all()
    logs = ask.log_likelihood(circuit, drawn)
    for row, log in zip(drawn, logs, strict=True):
        value = found.oracle.value({v: Fraction(x) for v, x in zip(circuit.variables, row, strict=True)})
        assert value > 0 and log_close(log, value)
