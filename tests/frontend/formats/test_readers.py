"""Sentences, SDDs and PSDDs: what they mean, point by point, and where a bad file is said to be bad."""

from __future__ import annotations

import gzip
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from danaus.frontend.formats.options import ForeignOptions
from danaus.frontend.formats.read import read_foreign
from danaus.frontend.spec import Spec
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Int, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.semirings import LINEAR
from formats_fuzz import SAMPLES, campaign

C2D, D4, _ = (text.decode() for text in SAMPLES["nnf"])
SDD = SAMPLES["sdd"][0].decode()
PSDD = SAMPLES["psdd"][0].decode()
VTREE2 = "vtree 3\nL 0 1\nL 1 2\nI 2 0 1\n"


def read(folder: Path, name: str, text: str, options: ForeignOptions | None = None, **known: Variable) -> Spec:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return read_foreign(path, options or ForeignOptions(), known)


def values(spec: Spec, low: int = 0) -> dict[tuple[int, ...], float]:
    """The circuit at every assignment of its variables."""
    circuit = spec.circuit
    rows = np.array(list(product((0, 1), repeat=len(circuit.variables))), dtype=float)
    evidence = Evidence(circuit.variables, rows + low, np.ones(rows.shape, dtype=bool))
    found = np.asarray(evaluate(circuit, LINEAR, evidence), dtype=float).ravel()
    return {tuple(int(x) for x in row): float(value) for row, value in zip(rows, found, strict=True)}


def complaint(folder: Path, name: str, text: str, options: ForeignOptions | None = None) -> tuple[str, int, int]:
    with pytest.raises(DanausError) as failure:
        read(folder, name, text, options)
    (diagnostic,) = failure.value.diagnostics
    span = diagnostic.span
    return diagnostic.code, span.line if span else 0, span.column if span else 0


def test_sentence_of_c2d(tmp_path: Path) -> None:
    spec = read(tmp_path, "m.nnf", C2D)
    assert [str(variable) for variable in spec.variables] == ["x1", "x2", "x3"]
    assert values(spec) == {(a, b, c): float((a and not b) or (b and not a)) for a, b, c in product((0, 1), repeat=3)}
    assert not spec.parameters and not spec.diagnostics


def test_sentence_of_d4(tmp_path: Path) -> None:
    spec = read(tmp_path, "m.nnf.gz", D4, ForeignOptions(variables=4))
    for (a, b, c, _), value in values(spec).items():
        assert value == float(c and (a or b))  # node 5 stands on a false one
    assert len(spec.circuit.variables) == 4
    (note,) = read(tmp_path, "m.nnf", D4).diagnostics
    assert note.severity == "note" and "3, the largest that it mentions" in note.message


def test_sdd_with_the_vtree_beside_it(tmp_path: Path) -> None:
    (tmp_path / "m.vtree").write_text("vtree 5\nL 0 2\nL 2 1\nI 1 0 2\nL 4 3\nI 3 1 4\n")
    spec = read(tmp_path, "m.sdd", SDD)
    assert len(spec.variables) == 3 and not spec.diagnostics
    assert values(spec) == {(a, b, c): float((a and not b) == c) for a, b, c in product((0, 1), repeat=3)}


def test_psdd(tmp_path: Path) -> None:
    spec = read(tmp_path, "m.psdd", PSDD)
    p = float(np.exp(-1.6))
    expected = {(0, 0): 0.5 * (1 - p), (0, 1): 0.5 * p, (1, 0): 0.25, (1, 1): 0.25}
    found = values(spec)
    assert all(found[row] == pytest.approx(expected[row], rel=1e-8) for row in expected)
    assert {name: parameter.constraint for name, parameter in spec.parameters.items()} == {
        "circuit.1": "unit",
        "circuit.2": "positive",
    }
    assert all(parameter.learnable for parameter in spec.parameters.values())


def test_variables_of_the_importing_file(tmp_path: Path) -> None:
    x1 = Variable("x1", Bool())
    assert read(tmp_path, "m.psdd", PSDD, x1=x1).variables[0] is x1
    over = (Variable("a", Cat(2)), Variable("b", Int(3, 4)))
    spec = read(tmp_path, "m.psdd", PSDD, ForeignOptions(over=over))
    assert spec.circuit.variables == over
    values = np.array([[1.0, 4.0], [0.0, 3.0]])
    evidence = Evidence(over, values, np.ones((2, 2), dtype=bool))
    assert np.asarray(evaluate(spec.circuit, LINEAR, evidence)).ravel() == pytest.approx(
        [0.25, 0.5 * (1 - np.exp(-1.6))]
    )


def test_rows_that_are_nearly_normalised_are_renormalised_with_a_note(tmp_path: Path) -> None:
    text = "psdd 3\nL 0 0 1\nL 1 0 -1\nL 2 1 2\nD 3 2 2 0 2 -0.693147 1 2 -0.693147\n"
    spec = read(tmp_path, "m.psdd", text)
    assert [note.code for note in spec.diagnostics] == ["renormalised"]
    assert values(spec)[0, 1] == 0.5


def test_vtree_beside_that_does_not_fit_is_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "m.vtree").write_text("vtree 3\nL 0 2\nL 1 1\nI 2 0 1\n")
    spec = read(tmp_path, "m.psdd", PSDD)
    assert [(note.code, note.severity) for note in spec.diagnostics] == [("wrong-vtree", "warning")]
    assert complaint(tmp_path, "m.psdd", PSDD, ForeignOptions(vtree=tmp_path / "m.vtree")) == ("wrong-vtree", 2, 5)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("m.nnf", "", ("wrong-format", 0, 0)),
        ("m.nnf", "p cnf 1 1\n", ("wrong-format", 1, 1)),
        ("m.nnf", "nnf 1 0\nL 1\n", ("wrong-header", 1, 1)),
        ("m.nnf", "nnf 1 0 1\n\n  L  2\n", ("wrong-literal", 3, 6)),
        ("m.nnf", "nnf 1 0 1\nL 0\n", ("wrong-literal", 2, 3)),
        ("m.nnf", "nnf 2 1 1\nL 1\nA 1 1\n", ("wrong-node", 3, 5)),
        ("m.nnf", "nnf 2 1 1\nL 1\nA 2 0\n", ("wrong-node", 3, 1)),
        ("m.nnf", "nnf 9 1 1\nL 1\nA 1 0\n", ("wrong-count", 1, 1)),
        ("m.nnf", "nnf 1 0 1000000000000\nL 1\n", ("too-large", 0, 0)),
        ("m.nnf", "nnf 1 0 1\nL 1000000000000000000\n", ("wrong-number", 2, 3)),
        ("m.nnf", "o 1 0\no 2 0\n1 2 0\n2 1 0\n", ("cycle", 1, 1)),
        ("m.nnf", "o 1 0\n1 2 0\n", ("wrong-node", 2, 3)),
        ("m.sdd", "sdd 3\nL 0 0 1\n", ("wrong-count", 1, 1)),
        ("m.sdd", "sdd 2\nL 0 0 1\nD 1 2 1 0 7\n", ("wrong-node", 3, 11)),
        ("m.sdd", "sdd 2\nL 0 0 1\nD 1 2 2 0 0\n", ("wrong-node", 3, 7)),
        ("m.sdd", "sdd 2\nL 0 0 1\nL 0 0 1\n", ("wrong-node", 3, 3)),
        ("m.psdd", "psdd 1\nT 0 0 1 0.5\n", ("wrong-value", 2, 9)),
        ("m.psdd", "psdd 1\nT 0 0 1 nan\n", ("wrong-value", 2, 9)),
        ("m.psdd", "psdd 1\nT 0 0 1 x\n", ("wrong-number", 2, 9)),
        ("m.psdd", "psdd 2\nL 0 0 1\nL 1 1 2\nD 2 2 1 0 1 -0.5\n", ("wrong-value", 4, 1)),
        ("m.psdd", "psdd 2\nX 0 0 1\n", ("wrong-node", 2, 1)),
    ],
)
def test_bad_files(name: str, text: str, expected: tuple[str, int, int], tmp_path: Path) -> None:
    assert complaint(tmp_path, name, text) == expected


@pytest.mark.parametrize(
    ("vtree", "line"),
    [
        ("vtree 3\nL 0 1\nL 1 2\nI 2 0 3\n", 4),
        ("vtree 3\nL 0 1\nL 1 1\nI 2 0 1\n", 3),
        ("vtree 2\nL 0 1\nL 1 2\n", 2),
        ("vtree 3\nL 0 1\nL 1 2\nI 2 0 0\n", 4),
    ],
)
def test_bad_vtrees(vtree: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "m.vtree").write_text(vtree)
    assert complaint(tmp_path, "m.psdd", PSDD)[1] == line


@pytest.mark.parametrize(
    "options",
    [
        ForeignOptions(evidence=Path("e.evid")),
        ForeignOptions(variables=1),
        ForeignOptions(over=(Variable("a", Bool()),)),
        ForeignOptions(over=(Variable("a", Bool()), Variable("b", Cat(3)))),
        ForeignOptions(vtree=Path("absent.vtree")),
    ],
)
def test_options_that_do_not_fit(options: ForeignOptions, tmp_path: Path) -> None:
    complaint(tmp_path, "m.psdd", PSDD, options)


def test_sentences_have_no_vtree(tmp_path: Path) -> None:
    assert complaint(tmp_path, "m.nnf", C2D, ForeignOptions(vtree=Path("m.vtree")))[0] == "wrong-option"


def test_known_variable_of_another_domain(tmp_path: Path) -> None:
    with pytest.raises(DanausError, match="two-domains"):
        read(tmp_path, "m.nnf", C2D, x1=Variable("x1", Cat(3)))


@pytest.mark.parametrize("form", list(SAMPLES))
def test_changed_files_end_in_a_circuit_or_in_diagnostics(form: str, tmp_path: Path) -> None:
    good, failures = campaign(form, None, 400, 7, tmp_path)
    assert not failures and 0 < good < 400
