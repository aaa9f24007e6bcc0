"""Equality as a property: proved with its error probability, refuted at an assignment, or unknown with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import danaus as dn
from danaus.cli import danaus
from danaus.ir.parameter import Value
from naive import value
from small_circuits import random_circuit

TEXT = """
var x : bool
var y : cat(3)
var r : real
circuit p { return bernoulli(x, [0.3]) * table(y, [[1, 2, 3]]) }
circuit q { return sum(concat([x = 1], [x = 0]), [[0.3, 0.7]]) * table(y, [[1, 2, 3]]) }
circuit g { return gaussian(r, [0], [1]) * bernoulli(x, [0.5]) }
circuit h { return bernoulli(x, [0.5]) * gaussian(r, [0], [1]) }
circuit pq = multiply(p, q)
"""


def test_a_spec_asserts_equality() -> None:
    spec = dn.parse(
        TEXT + "assert equal(p, q)\nassert not equal(p, scale(q, 2))\nassert equal(p, scale(q, 2))\n"
        "assert equal(pq, power(q, 2))\nassert equal(g, h)\nassert equal(g, p)\n"
    )
    verdicts = dn.check(spec)
    assert [found.status for found in verdicts] == ["proved", "proved", "refuted", "proved", "proved", "refuted"]
    assert "error probability below" in verdicts[0].tested[0]
    assert "at x = 0, y = 0 the first is 0.7, the second 1.4" in verdicts[2].reasons[0].message


@pytest.mark.parametrize("seed", range(10))
def test_a_witness_is_a_difference(seed: int) -> None:
    p, q = random_circuit(seed, signed=True), random_circuit(seed)
    assert dn.equal(p, p).status == "proved"
    try:
        found = dn.equal(p, q)
    except dn.DanausError:
        return
    if found.status == "refuted":
        at = dict(found.witness.assignment)
        assert value(p, at) != value(q, at)


def test_values_of_parameters_count_and_not_their_names() -> None:
    spec = dn.parse("var r : real; param w[1] = [2]; circuit p { return gaussian(r, w, [1]) }")
    again = dn.parse("var r : real; param v[1] = [2]; circuit p { return gaussian(r, v, [1]) }")
    other = dn.parse("var r : real; param w[1] = [3]; circuit p { return gaussian(r, w, [1]) }")
    assert dn.equal(spec.circuit, again.circuit).status == "proved"
    found = dn.equal(spec.circuit, spec.circuit.over(spec.store.updated({spec.parameters["w"]: _three(other)})))
    assert found.status == "refuted"


def _three(spec: dn.Spec) -> Value:
    return spec.store[spec.parameters["w"]]


def test_what_is_not_decided_is_unknown() -> None:
    spec = dn.parse(
        "var r : real\n"
        "circuit p { return sum(gaussian(r, [0, 0], [1, 1]), [[0.5, 0.5]]) }\n"
        "circuit q { return gaussian(r, [0], [1]) }\n"
    )
    found = dn.equal(spec.circuits["p"], spec.circuits["q"])
    assert found.status == "unknown" and "finite domains" in found.reason


def test_check_reports_and_verifies(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.circuit"
    with open(path, "w", encoding="utf-8") as file:
        file.write(TEXT + "assert equal(p, q)\n")
    shown = CliRunner().invoke(danaus, ["check", "--no-cache", "--verify", path])
    assert shown.exit_code == 0 and "multiply(p, q): holds at 2 points, degree 4" in shown.output
    given = CliRunner().invoke(danaus, ["check", "--no-cache", "--verify", "--format", "json", path])
    (report,) = json.loads(given.output)
    assert report["asserts"][0]["tested"] and [found["status"] for found in report["verified"]] == ["proved"]
