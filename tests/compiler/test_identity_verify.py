"""`--verify`: the law of every operator that a spec uses is run, and a broken one is an error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import danaus as dn
from danaus.cli import danaus
from danaus.compiler.identity import LAWS
from danaus.compiler.operators import OPERATORS
from danaus.compiler.operators.scale import times
from danaus.compiler.verification import verify

TEXT = """
var x : bool
var "y y" : cat(3)
var z : bool
var r : real

circuit p { return sum(table(x, [[1, 2], [3, 0.5]]) * table("y y", [[1, 0, 2], [1, 1, 1]]), [[0.25, 0.5]]) }
circuit d { return sum(concat([x = 0], [x = 1]) * table("y y", [[1, 2, 3], [4, 5, 6]]), [[0.5, 0.125]]) }
circuit g { return sum(gaussian(r, [0, 1], [1, 2]), [[0.5, 0.5]]) }
circuit c1 = add(p, d)
circuit c2 = condition(p, "y y" = 2)
circuit c3 = differentiate(g, r)
circuit c4 = divide(p, d)
circuit c5 = evidence(p, x = [1, 1/3])
circuit c6 = integrate(p, ["y y"])
circuit c7 = log(d)
circuit c8 = multiply(p, d)
circuit c9 = normalize(p)
circuit c10 = power(p, 2)
circuit c11 = power(d, 0.5)
circuit c12 = reciprocal(d)
circuit c13 = rename(p, x = z)
circuit c14 = restrict(p, x = 1)
circuit c15 = scale(p, -2)
circuit c16 = smooth(p)
assert near(integrate(normalize(c8)), 1, 1e-9)
"""


def test_every_operator_is_verified() -> None:
    found = verify(dn.parse(TEXT))
    assert {each.name.split("(")[0] for each in found} == set(OPERATORS) <= LAWS
    assert all(each.status == "proved" and each.diagnostic is None for each in found), [
        (each.name, each.said) for each in found if each.status != "proved"
    ]
    said = {each.name: each.said for each in found}
    assert "error below" in said['condition(p, "y y" = 2)'] and "degree" in said["normalize(p)"]
    assert said["log(d)"] == "holds at 6 assignments, in float64"
    assert "integrate(c9)" not in said and any(name.startswith("normalize(c8") for name in said)


@pytest.mark.parametrize("name", [f"c{number}" for number in range(1, 17)])
def test_a_broken_law_is_an_error(name: str) -> None:
    spec = dn.parse(TEXT)
    made = spec.circuits[name]
    wrong = replace(made, root=times(made.root, 3))
    tampered = replace(spec, circuits={**spec.circuits, name: wrong}, assertions=[])
    broken = [each for each in verify(tampered) if each.status != "proved"]
    assert [each.status for each in broken] == ["refuted"]
    (law,) = broken
    assert law.diagnostic is not None and law.diagnostic.code == "broken-law"
    assert made.origin is not None and law.name.startswith(made.origin.operator)


def test_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "a.circuit"
    path.write_text(TEXT, encoding="utf-8")
    shown = CliRunner().invoke(danaus, ["check", "--no-cache", "--verify", str(path)])
    assert shown.exit_code == 0 and "restrict(p, x = 1): holds at" in shown.output
    given = CliRunner().invoke(danaus, ["check", "--no-cache", "--verify", "--format", "json", str(path)])
    (report,) = json.loads(given.output)
    assert {found["status"] for found in report["verified"]} == {"proved"} and len(report["verified"]) >= 17


IRRATIONAL = """
var x : int(0, 2)
var y : bool
circuit p { return sum(discretized_logistic(x, [1, 0], [0.5, 1]) * bernoulli(y, [0.5, 0.25]), [[0.5, 0.5]]) }
circuit q { return sum(bernoulli(y, [0.25, 0.5]) * discretized_logistic(x, [0, 1], [1, 0.5]), [[0.5, 0.5]]) }
circuit r { return sum(bernoulli(y, [0.25, 0.5]) * discretized_logistic(x, [0, 1], [1, 0.25]), [[0.5, 0.5]]) }
circuit s = smooth(r)
"""


def test_irrational_constants_are_symbols() -> None:
    spec = dn.parse(IRRATIONAL)
    p, q, r = (spec.circuits[name] for name in "pqr")
    found = dn.equal(p, q)
    assert found.status == "proved" and "indicators" in found.reason
    assert dn.equal(p, r).status == "refuted"
    assert dn.equal(dn.integrate(p, ["y"]), dn.integrate(q, ["y"])).status == "proved"
    # The sum of a logistic's bins is 1, which symbols do not know.
    assert dn.equal(dn.integrate(p, ["x"]), dn.scale(dn.integrate(q, ["x"]), 1)).status == "proved"
    total = dn.integrate(p, ["x", "y"])
    one = dn.parse("var x : bool; circuit one { return table(x, [[0.5, 0.5]]) }").circuit
    assert dn.equal(total, dn.integrate(one)).status == "unknown"
    assert "symbol by symbol" in dn.equal(total, dn.integrate(one)).reason
