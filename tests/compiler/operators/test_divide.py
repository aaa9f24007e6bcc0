"""Divide: pointwise against enumeration in fractions; a support that is not contained is refused with an assignment."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from danaus.compiler.driver import parse
from danaus.compiler.operators import divide, multiply
from danaus.compiler.operators.contained import escape
from danaus.compiler.properties import check
from danaus.frontend.write import circuit_text
from danaus.ir.block import hadamard, input_block
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Refused
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Table
from danaus.ir.parameter import constant
from danaus.ir.query import log_likelihood
from danaus.ir.semirings import EXACT, LINEAR, Array, Semiring
from danaus.ir.store import Store
from deterministic_circuits import deciding_circuit, table, telling


def at(circuit: Circuit, rows: np.ndarray, semiring: Semiring = LINEAR) -> Array:
    observed = np.ones(rows.shape, dtype=bool)
    return evaluate(circuit, semiring, Evidence(circuit.variables, rows, observed))


def of(circuit: Circuit, rows: np.ndarray, whole: Circuit) -> np.ndarray:
    return rows[:, [whole.variables.index(variable) for variable in circuit.variables]]


def structured(count: int) -> list[int]:
    """Seeds of structured circuits."""
    found = (seed for _, seed in telling(deciding_circuit, 2 * count))
    return [seed for seed in found if check(deciding_circuit(seed), "structured")["structured"].status == "proved"][
        :count
    ]


@pytest.mark.parametrize("seed", structured(10))
def test_a_product_over_one_of_its_factors_is_the_other_on_its_support(seed: int) -> None:
    q = deciding_circuit(seed)
    rows, values = table(q)
    square = multiply(q, q)
    for p, exponent in ((q, 0), (square, 1)):
        made = divide(p, q)
        found = [Fraction(each) for each in at(made, of(made, rows, q), EXACT)]
        assert found == [value**exponent if value else Fraction(0) for value in values]


SPEC = """
var x : bool
var y : cat("low", "mid", "high")
circuit p { return sum(concat([x = 0] * table(y, [[1, 2, 0]]), [x = 0] * table(y, [[3, 0, 0]])), [[0.5, 0.25]]) }
circuit q { return sum(concat([x = 0] * table(y, [[4, 5, 6]]), [x = 1] * table(y, [[0, 0, 7]])), [[-1, 3]]) }
"""


def test_the_quotient_by_hand() -> None:
    spec = parse(SPEC + "circuit d = divide(p, q)")
    rows = np.array(list(itertools.product(range(2), range(3))), dtype=np.float64)
    found = [Fraction(each) for each in at(spec.circuits["d"], rows, EXACT)]
    assert found == [Fraction(5, 4) / -4, Fraction(1) / -5, 0, 0, 0, 0]
    text, _ = circuit_text({"d": spec.circuits["d"]})
    assert 'divide("d.p", "d.q")' in text
    assert [Fraction(each) for each in at(parse(text).circuits["d"], rows, EXACT)] == found


def test_a_support_that_is_not_contained_is_refused_with_the_assignment() -> None:
    spec = parse(SPEC + "circuit only { return sum(concat([x = 0] * table(y, [[1, 0, 1]])), [[2]]) }")
    p, only = spec.circuits["p"], spec.circuits["only"]
    with pytest.raises(Refused) as caught:
        divide(p, only)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "not-contained"
    assert diagnostic.message == 'divide needs the support of "p" to be within that of "only", which it is not'
    assert [note.message for note in diagnostic.notes] == ['"p" is 1 and "only" is 0 at x = 0, y = mid']
    with pytest.raises(DanausError, match='divide needs the support of "p"'):
        parse(SPEC + "circuit only { return [x = 1] }\ncircuit d = divide(p, only)")


@pytest.mark.parametrize("seed", structured(20))
def test_escapes_are_found_where_there_are_some(seed: int) -> None:
    """p has a table of zeros and ones on each variable of q."""
    q = deciding_circuit(seed)
    rows, values = table(q)
    random = np.random.default_rng(seed)
    tables = [
        input_block(Table(), variable, [constant(random.integers(0, 2, (1, variable.size)).astype(np.float64))])
        for variable in q.variables
    ]
    p = Circuit(hadamard(tables), Store(), "p", ())
    outside = [row.tolist() for row, one, other in zip(rows, table(p)[1], values, strict=True) if one and not other]
    found = escape(p, q)
    if found is None:
        assert not outside
    else:
        assert found.certain and [value for _, value in found.assignment] in outside


def test_terms_that_cancel_are_no_escape_that_is_certain() -> None:
    spec = parse(
        "var x : bool\n"
        "circuit p { return sum(concat(table(x, [[1, 1]]), table(x, [[1, 2]])), [[1, -1]]) }\n"
        "circuit q { return [x = 1] }"
    )
    found = escape(spec.circuits["p"], spec.circuits["q"])
    assert found is not None and not found.certain and str(found) == "x = 0"
    with pytest.raises(Refused, match="which it is not known to be"):
        divide(spec.circuits["p"], spec.circuits["q"])


def test_variables_on_infinite_domains_and_variables_of_one_circuit_only() -> None:
    spec = parse(
        'var x : bool\nvar y : cat("a", "b")\nvar k : count\nvar u : real\n'
        "circuit p { return sum(concat([x = 0] * gaussian(u, [1], [0.5]) * [k = 2], "
        "[x = 0] * gaussian(u, [2], [0.25]) * [k = 4]), [[0.25, 0.75]]) }\n"
        "circuit q { return [x = 0] * gaussian(u, [1], [1.5]) * poisson(k, [2]) * categorical(y, [[0.5, 0.5]]) }\n"
        "circuit d = divide(p, q)"
    )
    p, q, d = (spec.circuits[name] for name in "pqd")
    random = np.random.default_rng(0)
    columns = [random.integers(0, 2, 40), random.integers(0, 2, 40), random.integers(2, 5, 40), random.normal(1, 1, 40)]
    rows = np.stack(columns, axis=1)
    with np.errstate(invalid="ignore"):
        wanted = np.exp(log_likelihood(p, rows[:, [0, 2, 3]]) - log_likelihood(q, rows))
    assert np.allclose(at(d, rows), np.nan_to_num(wanted), rtol=1e-12)
    with pytest.raises(Refused, match=r'"q" is 0\.\d+ and "p" is 0 at x = 0, y = a, k = 0, u = 0\.5'):
        divide(q, p)


def test_other_refusals() -> None:
    spec = parse(
        "var x[4] : bool\n"
        "circuit p { return kron((bernoulli(x[0], [0.5]) * bernoulli(x[1], [0.5])), "
        "(bernoulli(x[2], [0.5]) * bernoulli(x[3], [0.5]))) }\n"
        "circuit q { return kron((bernoulli(x[0], [0.5]) * bernoulli(x[2], [0.5])), "
        "(bernoulli(x[1], [0.5]) * bernoulli(x[3], [0.5]))) }\n"
        "circuit m { return sum(bernoulli(x[0], [0.5, 0.25]), [[0.5, 0.5]]) }"
    )
    p, q, m = (spec.circuits[name] for name in "pqm")
    with pytest.raises(Refused, match='divide needs "p" and "q" to be compatible'):
        divide(p, q)
    with pytest.raises(Refused, match=r'divide needs "m" to be deterministic[\s\S]*both non-zero at x\[0\] = 0'):
        divide(p, m)
    with pytest.raises(DanausError, match="more than 2 pairs"):
        divide(p, p, limit=2)
    with pytest.raises(DanausError, match="divide takes a circuit"):
        divide(p, 2)  # type: ignore[arg-type]
