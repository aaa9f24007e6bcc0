"""CNF through PySDD: known counts exactly, weights by enumeration, and what ends in a diagnostic."""

from __future__ import annotations

import csv
import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from danaus.compiler.operators import OPERATORS
from danaus.compiler.properties import check
from danaus.frontend.formats.cnf import read_cnf
from danaus.frontend.formats.dimacs import parse_cnf
from danaus.frontend.formats.options import ForeignOptions
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.parameter import Value
from danaus.ir.semirings import EXACT, LINEAR
from danaus.ir.span import Source
from danaus.ir.store import Store

pytest.importorskip("pysdd")

# One takes seconds to compile, and is left out here.
SLOW = "dpmc/mcc/instances/mc2024_track4_039.cnf"


def counted(circuit: Circuit) -> int:
    """The exact sum over all assignments, with every weight 1."""
    ones = Store({each: Value.of(np.ones(each.shape)) for each in circuit.parameters})
    smooth = OPERATORS["smooth"](circuit.over(ones))
    number = evaluate(smooth, EXACT, Evidence.nothing(smooth.variables))[0]
    assert number == int(number)
    return int(number)


def test_known_counts_are_exact(shared: Path) -> None:
    with (shared / "cnf" / "cnf_counts_checked.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["cnf"] != SLOW]
    assert len(rows) == 42
    for row in rows:
        circuit = read_cnf(shared / "cnf" / row["cnf"], ForeignOptions(), {}).circuit
        assert len(circuit.variables) == int(row["vars"])
        assert counted(circuit) == int(row["model_count"]), row["cnf"]


def drawn(random: np.random.Generator) -> tuple[int, list[list[int]], dict[int, float]]:
    count = int(random.integers(1, 8))
    clauses = [
        [int(v) * int(random.choice([-1, 1])) for v in random.integers(1, count + 1, size=random.integers(1, 4))]
        for _ in range(random.integers(0, 8))
    ]
    weights = {
        sign * v: float(random.choice([0.0, 0.25, 1.0, 1.5, -0.5]))
        for v in range(1, count + 1)
        for sign in (1, -1)
        if random.random() < 0.7
    }
    return count, clauses, weights


def weighed(weights: dict[int, float], literal: int) -> Fraction:
    """The rule for a literal without a weight."""
    if literal in weights:
        return Fraction(weights[literal])
    return 1 - Fraction(weights[-literal]) if -literal in weights else Fraction(1)


@pytest.mark.parametrize("seed", range(25))
def test_weights_multiply_on_models(seed: int, tmp_path: Path) -> None:
    count, clauses, weights = drawn(np.random.default_rng(seed))
    lines = [f"p cnf {count} {len(clauses)}"]
    spelt = "c p weight {} {} 0" if seed % 2 else "w {} {}"
    cachet = not seed % 2 and any(weight == -1 for weight in weights.values())
    assert not cachet
    lines += [spelt.format(literal, weight) for literal, weight in weights.items()]
    lines += [" ".join(map(str, [*clause, 0])) for clause in clauses]
    path = tmp_path / "f.cnf"
    path.write_text("\n".join(lines))
    circuit = read_cnf(path, ForeignOptions(), {}).circuit
    assert [variable.name for variable in circuit.variables] == [f"x{i + 1}" for i in range(count)]
    rows = np.array(list(itertools.product((0.0, 1.0), repeat=count)))
    found = evaluate(circuit, LINEAR, Evidence(circuit.variables, rows, np.ones(rows.shape, dtype=bool)))
    total = Fraction(0)
    for row, value in zip(rows, found, strict=True):
        literals = {(i + 1) if x else -(i + 1) for i, x in enumerate(row)}
        holds = all(literals & set(clause) for clause in clauses)
        wanted = Fraction(int(holds))
        if weights and holds:
            for literal in literals:
                wanted *= weighed(weights, literal)
        assert value == float(wanted)
        total += wanted
    if weights:
        assert evaluate(circuit, EXACT, Evidence.nothing(circuit.variables))[0] == total
        assert check(circuit, "smooth")["smooth"].status == "proved"
    for name in ("decomposable",):
        assert check(circuit, name)[name].status == "proved"


def test_published_weighted_counts(shared: Path) -> None:
    for name, wanted in (("a", 1200), ("b", 2.88e6), ("c", 1.2e-3), ("d", -1.2e-3), ("f", -12), ("g", 2), ("h", 0.5)):
        path = shared / "cnf" / "ganak" / "tests" / "cnf-files" / f"{name}.cnf"
        circuit = read_cnf(path, ForeignOptions(), {}).circuit
        found = evaluate(circuit, LINEAR, Evidence.nothing(circuit.variables))[0]
        assert found == pytest.approx(wanted, rel=1e-12), name
    test = read_cnf(shared / "cnf" / "dpmc" / "mcc" / "instances" / "test.cnf", ForeignOptions(), {})
    assert evaluate(test.circuit, LINEAR, Evidence.nothing(test.circuit.variables))[0] == pytest.approx(1.64)
    assert [note.code for note in test.diagnostics] == ["projected"]


def test_a_vtree_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "f.cnf").write_text("p cnf 3 2\n1 2 0\n-2 3 0\n")
    (tmp_path / "v.vtree").write_text("vtree 5\nL 0 3\nL 1 1\nL 2 2\nI 3 1 2\nI 4 0 3\n")
    circuit = read_cnf(tmp_path / "f.cnf", ForeignOptions(vtree=tmp_path / "v.vtree"), {}).circuit
    assert counted(circuit) == 4
    (tmp_path / "w.vtree").write_text("vtree 1\nL 0 9\n")
    with pytest.raises(DanausError, match="wrong-vtree"):
        read_cnf(tmp_path / "f.cnf", ForeignOptions(vtree=tmp_path / "w.vtree"), {})


def test_hard_formulas_end_in_a_diagnostic(shared: Path) -> None:
    path = shared / "cnf" / "dpmc" / "mcc" / "instances" / "mc2024_track1_029.cnf"
    with pytest.raises(DanausError, match=r"78 clauses over 75 variables does not end within 1 seconds"):
        read_cnf(path, ForeignOptions(), {}, seconds=1)


def test_without_pysdd_a_diagnostic_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.cnf").write_text("p cnf 1 1\n1 0\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DanausError, match=r"missing-package(.|\n)*danaus\[cnf\]"):
        read_cnf(tmp_path / "f.cnf", ForeignOptions(), {})


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("1 2 0\n", 1, 1, "before the problem line"),
        ("p cnf 2 1\n1 x 0\n", 2, 3, '"x" is no literal'),
        ("p cnf 2 1\n1\n-3 0\n", 3, 1, "there is no variable 3"),
        ("p cnf 2\n", 1, 3, "the problem line is"),
        ("p wcnf 2 1 3\n", 1, 3, "the problem line is"),
        ("p cnf 2 1\np cnf 2 1\n", 2, 1, "second problem line"),
        ("c p weight 1 4i 0\np cnf 1 0\n", 1, 14, '"4i" is no real number'),
        ("p cnf 1 0\nc p weight 2 0.5 0\n", 2, 12, "there is no variable 2"),
        ("p cnf 1 0\nw 1 0.5\nw 1 0.6\n", 3, 3, "two weights"),
        ("p cnf 1 0\nw 1 1/0\n", 2, 5, "divided by zero"),
        ("c nothing\n", 1, 1, "no problem line"),
        ("p cnf 2 1\n1 2\n", 3, 1, "does not end with 0"),
    ],
)
def test_mistakes_have_their_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(DanausError) as failure:
        parse_cnf(Source("f.cnf", text))
    (found,) = failure.value.diagnostics
    assert found.span is not None
    assert (found.span.line, found.span.column) == (line, column)
    assert message in found.message


def test_what_dimacs_allows() -> None:
    cnf = parse_cnf(Source("f", "cOld comment\np cnf 3 3\n1 -2\n0 2 2\n3 0 -1 0\n%\n0\n"))
    assert cnf.clauses == ((1, -2), (2, 3), (-1,))
    assert (cnf.variables, cnf.weights, cnf.warnings) == (3, None, ())
    cachet = parse_cnf(Source("f", "p cnf 2 0\nw 1 0.25\nw 2 -1\n"))
    assert cachet.weights is not None
    assert cachet.weights.tolist() == [[0.75, 0.25], [1, 1]]


def test_weights_beyond_float64_are_refused() -> None:
    with pytest.raises(DanausError, match="larger than float64"):
        parse_cnf(Source("f", "p cnf 1 0\nc p weight 1 1e400 0\n"))
