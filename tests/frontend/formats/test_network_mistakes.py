"""What a `.bif`, `.uai` or `.evid` file may get wrong, and where it is said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from danaus.frontend.formats.bayes import read_bif
from danaus.frontend.formats.bif import parse_bif
from danaus.frontend.formats.evid import parse_evidence
from danaus.frontend.formats.network import Network
from danaus.frontend.formats.options import ForeignOptions
from danaus.frontend.formats.uai import parse_uai
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat
from danaus.ir.span import Source

A = "variable a { type discrete [ 2 ] { t, f }; }\n"
B = "variable b { type discrete [ 2 ] { t, f }; }\nprobability ( a ) { table 0.5, 0.5; }\n"


def said(failure: DanausError) -> tuple[int, int, str, str]:
    (found,) = failure.diagnostics
    assert found.span is not None
    return found.span.line, found.span.column, found.code, found.message


@pytest.mark.parametrize(
    ("text", "line", "column", "code", "message"),
    [
        ("varable a { }", 1, 1, "syntax", "begins no statement"),
        (A, 1, 10, "missing-table", '"a" has no probability'),
        (A + A, 2, 10, "duplicate-name", "declared twice"),
        ("variable a { type discrete [ 3 ] { t, f }; }", 1, 30, "wrong-domain", "3 states are announced, 2 follow"),
        ("variable a { type discrete [ 2 ] { t, t }; }", 1, 39, "duplicate-name", "stands twice"),
        ("variable a { type continuous; }", 1, 19, "syntax", "`discrete` should"),
        ("variable a { }", 1, 14, "syntax", "has no type"),
        (A + "probability ( c ) { table 1, 0; }", 2, 15, "unknown-name", 'no variable "c"'),
        (A + "probability ( a ) { table 0.5, x; }", 2, 32, "syntax", '"x" is no number'),
        (A + "probability ( a ) { table 0.5, 0.4; }", 2, 27, "wrong-value", "sums to 0.9, not 1"),
        (A + "probability ( a ) { table -0.5, 1.5; }", 2, 27, "wrong-value", "no probability"),
        (A + "probability ( a ) { table 1.0; }", 2, 27, "wrong-shape", "1 numbers stand where 2"),
        (A + "probability ( a ) { table 0.5, 0.5;", 2, 36, "syntax", "the file ends"),
        (A + B + "probability ( b | a ) { (t) 1, 0; }", 4, 15, "missing-row", "no row (f)"),
        (A + B + "probability ( b | a ) { (x) 1, 0; }", 4, 26, "unknown-name", 'no state "x"'),
        (A + B + "probability ( b | a ) { (t) 1, 0; (t) 1, 0; }", 4, 37, "duplicate-entry", "stands twice"),
        (A + B + "probability ( b | a ) { (t) 0.1, 0.8; (f) 1, 0; }", 4, 29, "wrong-value", "sums to 0.9"),
        (A + "/* never closed", 1, 10, "missing-table", "no probability"),
    ],
)
def test_bif(text: str, line: int, column: int, code: str, message: str) -> None:
    with pytest.raises(DanausError) as failure:
        parse_bif(Source("n.bif", text))
    found = said(failure.value)
    assert found[:3] == (line, column, code)
    assert message in found[3]


def test_what_bif_allows() -> None:
    text = """// a comment
network "the rain" { property version 1 ; }
variable "a b" { property x; type discrete [ 2 ] { "1", <5 }; /* odd names */ }
variable c { type discrete[2]{t,f}; }
probability ( "a b" ) { table 0.25 0.75 ; }
probability ( c | "a b" ) { default 0.5, 0.5; (<5) 1.0, 0.0; }
"""
    network, notes = parse_bif(Source("n.bif", text))
    assert network.names == ("a b", "c")
    assert network.domains[0] == Cat(2, ("1", "<5"))
    assert network.factors[1].table.tolist() == [[0.5, 0.5], [1, 0]]
    assert notes == []


def test_a_table_with_parents_has_the_child_slowest() -> None:
    text = A + B + "probability ( b | a ) { table 0.1, 0.2, 0.9, 0.8; }"
    network, _ = parse_bif(Source("n.bif", text))
    assert network.factors[1].scope == (0, 1)
    assert np.allclose(network.factors[1].table, [[0.1, 0.9], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("GRAPH\n", 1, 1, "begins with MARKOV or BAYES"),
        ("MARKOV\nx\n", 2, 1, '"x" is no integer'),
        ("MARKOV 1\n0\n", 2, 1, "the number of values of a variable is 0"),
        ("MARKOV 1 2\n1\n1 1\n", 3, 3, "a variable of a scope is 1"),
        ("MARKOV 1 2\n1\n2 0 0\n", 3, 1, "the size of a scope is 2"),
        ("MARKOV 2 2 2\n1\n2 0 0\n", 3, 5, "stands twice in a scope"),
        ("MARKOV 1 2\n1\n1 0\n3\n1 2 3\n", 4, 1, "has 3 entries, but its scope has 2"),
        ("MARKOV 1 2\n1\n1 0\n2\n1 -2\n", 5, 3, "not a finite number"),
        ("MARKOV 1 2\n1\n1 0\n2\n1 x\n", 5, 3, '"x" is no number'),
        ("MARKOV 1 2\n1\n1 0\n2\n1\n", 5, 2, "the file ends"),
        ("MARKOV 1 2\n1\n1 0\n2\n1 2 3\n", 5, 5, "stands behind the last table"),
        ("BAYES 1 2\n1\n1 0\n2\n0.5 0.4\n", 5, 1, "sums to 0.9"),
    ],
)
def test_uai(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(DanausError) as failure:
        parse_uai(Source("n.uai", text))
    found = said(failure.value)
    assert found[:2] == (line, column)
    assert message in found[3]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("2 0 1", 1, "2 pairs take 4 words, but 2 follow"),
        ("1 9 0", 3, "there is no variable 9"),
        ("1 0 7", 5, 'has no value "7"'),
        ("2 0 1 0 0", 7, "two values"),
        ("3 1 0 1", 1, "holds 3 samples"),
        ("1 q 0", 3, 'no variable "q"'),
    ],
)
def test_evid(text: str, column: int, message: str) -> None:
    network = Network(("x1", "x2"), (Bool(), Cat(2, ("low", "high"))), ())
    with pytest.raises(DanausError) as failure:
        parse_evidence(Source("n.evid", text), network)
    found = said(failure.value)
    assert found[1] == column
    assert message in found[3]


def test_layouts_of_evidence() -> None:
    network = Network(("x1", "x2"), (Bool(), Cat(2, ("low", "high"))), ())
    for text, wanted in (
        ("", {}),
        ("0", {}),
        ("1 0", {}),
        ("1 1 0", {1: 0}),
        ("1 1 1 0", {1: 0}),
        ("1 x2 high", {1: 1}),
    ):
        assert parse_evidence(Source("n.evid", text), network) == wanted


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DanausError, match="unreadable-file"):
        read_bif(tmp_path / "none.bif", ForeignOptions(), {})
