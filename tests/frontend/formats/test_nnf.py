"""Sentences of c2d, dsharp and d4: what they say, how many models they have, and what is said of broken ones."""

from __future__ import annotations

import csv
import gzip
import itertools
from math import comb
from pathlib import Path

import numpy as np
import pytest

import danaus as dn

EITHER = "nnf 7 6 2\nL 1\nL 2\nL -1\nL -2\nA 2 0 3\nA 2 1 2\nO 1 2 4 5\n"


def written(folder: Path, text: str, name: str = "s.nnf") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def truth(path: Path, **options: int) -> list[tuple[int, ...]]:
    """The assignments on which the sentence is 1; elsewhere it is 0."""
    p = dn.load(path, **options).circuit
    rows = list(itertools.product((0, 1), repeat=len(p.variables)))
    values = dn.evaluate(p, np.array(rows).reshape(len(rows), len(p.variables)), semiring="exact")
    assert set(values) <= {0, 1}
    return [row for row, value in zip(rows, values, strict=True) if value]


def test_c2d(tmp_path: Path) -> None:
    path = written(tmp_path, EITHER)
    assert truth(path) == [(0, 1), (1, 0)]
    spec = dn.load(path)
    assert [v.name for v in spec.variables] == ["x1", "x2"]
    assert spec.circuit.name == "circuit" and not spec.parameters and not spec.diagnostics
    assert dn.check(spec.circuit, "deterministic")["deterministic"].status == "proved"


def test_d4_whose_edges_hold_literals(tmp_path: Path) -> None:
    path = written(tmp_path, "o 1 0\nt 2 0\na 3 0\n1 2 1 -2 0\n1 3 -1 0\n3 2 2 0\n3 2 0\n")
    assert truth(path) == [(0, 1), (1, 0)]
    assert dn.load(path).diagnostics[0].severity == "note"
    assert not dn.load(path, variables=2).diagnostics


def test_variables_that_are_not_mentioned_are_free(tmp_path: Path) -> None:
    assert len(truth(written(tmp_path, "nnf 1 0 3\nL 2\n"))) == 4
    p = dn.load(written(tmp_path, "o 1 0\nt 2 0\n1 2 2 0\n"), variables=70).circuit
    assert dn.count(p) == 2**69
    assert dn.count(dn.restrict(p, {"x2": 0})) == 0
    assert dn.count(dn.restrict(p, {"x1": 0, "x2": 1})) == 2**68


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("nnf 1 0 2\nA 0\n", 4),
        ("nnf 1 0 2\nO 0 0\n", 0),
        ("t 1 0\n", 1),
        ("f 1 0\n", 0),
        ("c a comment of c2d: 1 2 x\nnnf 3 2 1\nL 1\nL -1\nc another\nO 1 2 0 1\n", 2),
        ("nnf 3 2 1\r\nL 1\r\nL -1\r\nO 1 2 0 1\r\n\r\n", 2),
        ("nnf 2 1 1\nL 1\nA 1 0", 1),
    ],
)
def test_true_false_comments_and_ends_of_lines(tmp_path: Path, text: str, models: int) -> None:
    assert dn.count(dn.load(written(tmp_path, text)).circuit) == models


def test_it_unpacks(tmp_path: Path) -> None:
    (tmp_path / "s.nnf.gz").write_bytes(gzip.compress(EITHER.encode()))
    assert len(truth(tmp_path / "s.nnf.gz")) == 2


def test_a_child_that_stands_twice_counts_twice(tmp_path: Path) -> None:
    p = dn.load(written(tmp_path, "nnf 2 2 1\nL 1\nO 0 2 0 0\n")).circuit
    assert dn.evaluate(p, [1], semiring="exact") == 2
    assert dn.check(p, "deterministic")["deterministic"].status == "refuted"


MISTAKES = [
    ("", "wrong-format", 0, 0),
    ("cnf 1 2\n", "wrong-format", 1, 1),
    ("nnf 1 0\nL 1\n", "wrong-header", 1, 1),
    ("nnf 1 0 x\nL 1\n", "wrong-number", 1, 9),
    ("nnf 0 0 0\n", "wrong-format", 1, 1),
    ("nnf 1000000000000 0 0\nL 1\n", "wrong-count", 1, 1),
    ("nnf 3 0 2\nL 1\nL 2\n", "wrong-count", 1, 1),
    ("nnf 1 0 2\nL 3\n", "wrong-literal", 2, 3),
    ("nnf 1 0 2\nL 0\n", "wrong-literal", 2, 3),
    ("nnf 1 0 2\nL 99999999999999999999\n", "wrong-number", 2, 3),
    ("nnf 1 0 2\nX 1\n", "wrong-node", 2, 1),
    ("nnf 1 0 2\nLL 1\n", "wrong-node", 2, 1),
    ("nnf 1 0 2\nL\n", "wrong-node", 2, 1),
    ("nnf 1 0 2\nL 1 2\n", "wrong-node", 2, 1),
    ("nnf 2 1 2\nL 1\nA 2 0\n", "wrong-node", 3, 1),
    ("nnf 2 1 2\nL 1\nA -1\n", "wrong-node", 3, 1),
    ("nnf 2 1 2\nL 1\nA 1 1\n", "wrong-node", 3, 5),
    ("nnf 2 1 2\nL 1\nA 1 -1\n", "wrong-node", 3, 5),
    ("nnf 2 1 2\nL 1\nA 1 --1\n", "wrong-number", 3, 5),
    ("nnf 1 0 99999999999\nL 1\n", "too-large", 0, 0),
    ("o 1 0\n1 2 0\n", "wrong-node", 2, 3),
    ("o 1 0\no 1 0\n", "wrong-node", 2, 3),
    ("o 2 0\n", "wrong-node", 1, 3),
    ("o 1 0\nt 2 0\n1 2 1\n", "wrong-node", 3, 1),
    ("o 1 0\nt 2 0\n2 1 0\n", "wrong-node", 3, 1),
    ("o 1 0\no 2 0\n1 2 0\n2 1 0\n", "cycle", 1, 1),
    ("o 1 0\nt 2 0\n1 2 x 0\n", "wrong-number", 3, 5),
    ("o 1 0\nq 2 0\n", "wrong-node", 2, 1),
]


@pytest.mark.parametrize(("text", "code", "line", "column"), MISTAKES)
def test_a_broken_file_is_a_diagnostic_with_its_place(
    tmp_path: Path, text: str, code: str, line: int, column: int
) -> None:
    with pytest.raises(dn.DanausError) as failure:
        dn.load(written(tmp_path, text))
    (found,) = failure.value.diagnostics
    assert found.code == code
    in_file = found.span is not None and found.span.file.endswith(".nnf")
    assert ((found.span.line, found.span.column) if found.span and in_file else (0, 0)) == (line, column)


def test_what_a_caller_says_must_fit(tmp_path: Path) -> None:
    path = written(tmp_path, EITHER)
    for options in ({"variables": 1}, {"variables": 3}, {"vtree": "a.vtree"}, {"evidence": "a.evid"}):
        with pytest.raises(dn.DanausError, match="wrong-option"):
            dn.load(path, **options)


def test_an_import_gives_names_to_the_variables(tmp_path: Path) -> None:
    written(tmp_path, EITHER)
    text = """
        var a : bool
        var b[2] : cat(2)
        import "s.nnf" as s({})
        circuit p {{ return s * bernoulli(a, [0.25]) }}
    """
    for options, names in (("over=[b]", ["a", "b[0]", "b[1]"]), ("variables=2", ["a", "x1", "x2"])):
        written(tmp_path, text.format(options), "p.circuit")
        assert [v.name for v in dn.load(tmp_path / "p.circuit").circuits["p"].variables] == names
    written(tmp_path, text.format("over=[b]"), "p.circuit")
    p = dn.load(tmp_path / "p.circuit").circuits["p"]
    assert dn.evaluate(p, [1, 0, 1]) == 0.25
    for options, code in (
        ("over=[b[0]]", "wrong-arguments"),
        ("over=b", "wrong-arguments"),
        ("vtree=3", "wrong-arguments"),
        ("variable=2", "unknown-option"),
        ("variables=2, variables=2", "duplicate-name"),
    ):
        written(tmp_path, text.format(options), "p.circuit")
        with pytest.raises(dn.DanausError) as failure:
            dn.load(tmp_path / "p.circuit")
        assert failure.value.diagnostics[0].code == code


def test_variables_of_the_same_name_are_one(tmp_path: Path) -> None:
    written(tmp_path, EITHER)
    written(tmp_path, 'var x2 : bool\nimport "s.nnf" as s\ncircuit p = add(s, s)', "p.circuit")
    spec = dn.load(tmp_path / "p.circuit")
    assert [v.name for v in spec.variables] == ["x2", "x1"]
    written(tmp_path, 'var x2 : cat(3)\nimport "s.nnf" as s', "p.circuit")
    with pytest.raises(dn.DanausError, match="two-domains"):
        dn.load(tmp_path / "p.circuit")


def test_it_is_converted_and_read_again(tmp_path: Path) -> None:
    p = dn.load(written(tmp_path, EITHER)).circuit
    dn.save(p, tmp_path / "s.circuit")
    again = dn.load(tmp_path / "s.circuit").circuit
    rows = list(itertools.product((0, 1), repeat=2))
    assert dn.evaluate(again, rows).tolist() == dn.evaluate(p, rows).tolist()


def test_known_counts(shared: Path) -> None:
    """Every file of the data whose count is known, up to 218 digits; and that its determinism is proved."""
    seen = 0
    for row in csv.DictReader((shared / "nnf" / "counts.tsv").read_text().splitlines(), delimiter="\t"):
        path = shared / "nnf" / row["nnf"]
        if path.exists():
            p = dn.load(path, variables=int(row["vars"])).circuit
            assert dn.count(p) == int(row["model_count"]), row["nnf"]
            seen += 1
    assert seen > 20


def test_partial_counts_of_auto1(shared: Path) -> None:
    """The counts with one variable fixed to 1, for some of the variables, and those under two or more assumptions."""
    data = shared / "nnf" / "ddnnife" / "ddnnife" / "tests" / "data"
    smooth = dn.smooth(dn.load(data / "auto1_c2d.nnf.gz").circuit)
    for name, step in (("auto1_sb_fs.csv.gz", 400), ("auto1_sb_pc.csv.gz", 300)):
        with gzip.open(data / name, "rt") as file:
            rows = [line.strip().split(",") for line in file if line.strip()]
        assert len(rows) > 500
        for literals, number, *_ in rows[::step]:
            given = {f"x{abs(literal)}": int(literal > 0) for literal in map(int, literals.split())}
            assert dn.evaluate(dn.integrate(dn.restrict(smooth, given)), semiring="exact") == int(number), literals


def test_the_broken_file_of_the_data_is_a_diagnostic(shared: Path) -> None:
    with pytest.raises(dn.DanausError, match="wrong-format"):
        dn.load(shared / "nnf" / "ddnnife" / "example_input" / "berkeleydb_dsharp.nnf")


def test_exactly_k_of_n_as_a_ladder(tmp_path: Path) -> None:
    """A d-DNNF of binomial size: its models are counted by Pascal's triangle."""
    n, k = 40, 17
    lines = [f"L {s * v}" for v in range(1, n + 1) for s in (1, -1)]
    lines += ["A 0", "O 0 0"]
    true, false = 2 * n, 2 * n + 1
    above = [true if i == 0 else false for i in range(k + 1)]
    for v in reversed(range(n)):
        made = []
        for i in range(k + 1):
            lines.append(f"A 2 {2 * v} {above[i - 1] if i else false}")
            lines.append(f"A 2 {2 * v + 1} {above[i]}")
            lines.append(f"O {v + 1} 2 {len(lines) - 2} {len(lines) - 1}")
            made.append(len(lines) - 1)
        above = made
    lines.append(f"A 1 {above[k]}")
    path = written(tmp_path, "\n".join([f"nnf {len(lines)} 0 {n}", *lines]))
    assert dn.count(dn.load(path).circuit) == comb(n, k)
