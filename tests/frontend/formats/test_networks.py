"""Bayesian and Markov networks are the product of their tables: by enumeration, and by an eliminator of its own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from danaus.compiler.properties import check
from danaus.frontend.formats.bayes import read_bif, read_uai
from danaus.frontend.formats.bif import parse_bif
from danaus.frontend.formats.evid import parse_evidence
from danaus.frontend.formats.options import ForeignOptions
from danaus.frontend.formats.text import foreign_source
from danaus.frontend.formats.uai import parse_uai
from danaus.frontend.spec import Spec
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.query import conditional
from danaus.ir.semirings import LINEAR, LOG
from danaus.ir.span import Source
from network_definitions import Factor, marginal, points, values

SMALL = ["asia", "cancer", "earthquake", "survey"]
LARGER = ["alarm", "hepar2", "pathfinder", "andes"]

# Those of uai2014 that compile within a second or two; benchmarks/networks.py has them all.
INSTANCES = ["CSP_12", "Pedigree_13", "Promedus_24", "Promedus_26", "Promedus_30", "Promedus_32", "grid10x10.f10"]


def at(circuit: Circuit, rows: np.ndarray) -> np.ndarray:
    """The values of a circuit on complete rows."""
    return evaluate(circuit, LINEAR, Evidence(circuit.variables, rows, np.ones(rows.shape, dtype=bool)))


def total(circuit: Circuit) -> float:
    """log10 of the sum over all assignments."""
    return float(evaluate(circuit, LOG, Evidence.nothing(circuit.variables))[0] / np.log(10))


def uai(folder: Path, sizes: list[int], factors: list[Factor], kind: str = "MARKOV") -> Path:
    """A file of the network."""
    lines = [kind, str(len(sizes)), " ".join(map(str, sizes)), str(len(factors))]
    lines += [" ".join(map(str, (len(scope), *scope))) for scope, _ in factors]
    lines += [f"\n{table.size}\n" + " ".join(map(repr, table.ravel().tolist())) for _, table in factors]
    path = folder / "made.uai"
    path.write_text("\n".join(lines) + "\n")
    return path


def drawn(random: np.random.Generator) -> tuple[list[int], list[Factor]]:
    """A network whose tables have zeros and equal entries, and some variables no table at all."""
    sizes = [int(size) for size in random.integers(1, 4, size=random.integers(1, 8))]
    factors: list[Factor] = []
    for _ in range(random.integers(0, 9)):
        count = int(random.integers(0, min(len(sizes), 4) + 1))
        scope = tuple(int(i) for i in random.choice(len(sizes), size=count, replace=False))
        table = random.choice([0.0, 0.0, 1.0, 0.5, 2.5, 3.0], size=[sizes[i] for i in scope])
        factors.append((scope, np.asarray(table)))
    return sizes, factors


@pytest.mark.parametrize("seed", range(60))
def test_a_circuit_is_the_product_of_the_tables(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    sizes, factors = drawn(random)
    spec = read_uai(uai(tmp_path, sizes, factors), ForeignOptions(), {})
    assert [variable.name for variable in spec.circuit.variables] == [f"x{i + 1}" for i in range(len(sizes))]
    assert np.allclose(at(spec.circuit, points(sizes)), values(sizes, factors), rtol=1e-12, atol=0)
    fixed = {i: int(random.integers(size)) for i, size in enumerate(sizes) if random.random() < 0.3}
    evid = tmp_path / "made.evid"
    pairs = [str(len(fixed)), *(f"{variable} {value}" for variable, value in fixed.items())]
    evid.write_text(" ".join(["1", *pairs] if seed % 2 else pairs))
    part = read_uai(tmp_path / "made.uai", ForeignOptions(evidence=evid), {}).circuit
    rows = points(sizes)
    agree = np.all([rows[:, i] == value for i, value in fixed.items()] or [np.ones(len(rows), dtype=bool)], axis=0)
    left = [i for i in range(len(sizes)) if i not in fixed]
    assert [variable.name for variable in part.variables] == [f"x{i + 1}" for i in left]
    assert np.allclose(at(part, rows[agree][:, left]), values(sizes, factors)[agree], rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(20))
def test_the_structure_is_proved(seed: int, tmp_path: Path) -> None:
    sizes, factors = drawn(np.random.default_rng(1000 + seed))
    circuit = read_uai(uai(tmp_path, sizes, factors), ForeignOptions(), {}).circuit
    for name in ("smooth", "decomposable", "structured"):
        assert check(circuit, name)[name].status == "proved"


def network(shared: Path, name: str) -> Spec:
    return read_bif(shared / "bn" / "bif" / f"{name}.bif.gz", ForeignOptions(), {})


def tables(shared: Path, name: str) -> tuple[list[int], list[Factor]]:
    """The renormalised rows of a network."""
    made, _ = parse_bif(foreign_source(shared / "bn" / "bif" / f"{name}.bif.gz"))
    return list(made.sizes), [(factor.scope, factor.table) for factor in made.factors]


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_are_their_enumeration(name: str, shared: Path) -> None:
    sizes, factors = tables(shared, name)
    found = at(network(shared, name).circuit, points(sizes))
    assert np.allclose(found, values(sizes, factors), rtol=1e-13, atol=0)
    assert abs(found.sum() - 1) < 1e-12


@pytest.mark.parametrize("name", LARGER)
def test_marginals_agree_with_another_eliminator(name: str, shared: Path) -> None:
    sizes, factors = tables(shared, name)
    circuit = network(shared, name).circuit
    asked = np.random.default_rng(0).choice(len(sizes), size=6, replace=False)
    fixed = {int(asked[0]): 0}
    shape = (1, len(sizes))
    observed = np.zeros(shape, dtype=bool)
    observed[0, asked[0]] = True
    for known, mask in (({}, np.zeros(shape, dtype=bool)), (fixed, observed)):
        answers = conditional(circuit, np.zeros(shape), mask)
        for one in map(int, asked[1:]):
            wanted = marginal(sizes, factors, one, known)
            assert np.allclose(answers[circuit.variables[one]][0], wanted / wanted.sum(), rtol=1e-9, atol=1e-12)


def instance(shared: Path, name: str) -> Spec:
    folder = shared / "uai2014"
    return read_uai(folder / f"{name}.uai.gz", ForeignOptions(evidence=folder / f"{name}.uai.evid"), {})


@pytest.mark.parametrize("name", INSTANCES)
def test_partition_functions_are_the_published_ones(name: str, shared: Path) -> None:
    with (shared / "uai2014" / "checked.tsv").open() as file:
        known = {row["instance"]: row["our_VE_log10Z"] for row in csv.DictReader(file, delimiter="\t")}
    found = total(instance(shared, name).circuit)
    assert abs(found - float(known[f"{name}.uai"])) < 1e-9
    printed = (shared / "uai2014" / f"{name}.uai.PR").read_text().split()[-1]
    assert f"{found:.6g}" == printed


@pytest.mark.parametrize("name", ["CSP_12", "Pedigree_13", "Promedus_24", "Promedus_30"])
def test_marginals_are_the_published_ones(name: str, shared: Path) -> None:
    circuit = instance(shared, name).circuit
    words = (shared / "uai2014" / f"{name}.uai.MAR").read_text().split()[1:]
    shape = (1, len(circuit.variables))
    answers = conditional(circuit, np.zeros(shape), np.zeros(shape, dtype=bool))
    place = 1
    for number in range(int(words[0])):
        size = int(words[place])
        given = np.array(words[place + 1 : place + 1 + size], dtype=float)
        place += 1 + size
        variable = next((each for each in circuit.variables if each.name == f"x{number + 1}"), None)
        if variable is not None:
            assert np.abs(answers[variable][0] - given).max() < 1e-6


def test_names_and_states_stay(shared: Path) -> None:
    spec = network(shared, "survey")
    assert [str(variable.domain) for variable in spec.variables[:2]] == [
        'cat("young", "adult", "old")',
        'cat("M", "F")',
    ]
    assert next(iter(spec.parameters)) == "circuit.1"


def test_known_variables_are_the_same_and_over_renames(shared: Path, tmp_path: Path) -> None:
    path = uai(tmp_path, [2, 3], [((0, 1), np.arange(6.0).reshape(2, 3))])
    x1 = Variable("x1", Bool())
    assert read_uai(path, ForeignOptions(), {"x1": x1}).variables[0] is x1
    names = (Variable("a", Bool()), Variable("b", Cat(3)))
    assert read_uai(path, ForeignOptions(over=names), {}).circuit.variables == names
    with pytest.raises(DanausError, match="two-domains"):
        read_uai(path, ForeignOptions(), {"x2": Variable("x2", Bool())})
    with pytest.raises(DanausError, match="wrong-arguments"):
        read_uai(path, ForeignOptions(over=names[:1]), {})


def test_what_takes_too_much_memory_is_refused_with_its_size(tmp_path: Path) -> None:
    sizes = [2] * 144
    edges = [(12 * i + j, 12 * i + j + 1) for i in range(12) for j in range(11)]
    edges += [(12 * i + j, 12 * i + j + 12) for i in range(11) for j in range(12)]
    path = uai(tmp_path, sizes, [(edge, np.array([[1.0, 2], [3, 4]])) for edge in edges])
    with pytest.raises(
        DanausError, match=r'eliminating "x\d+" needs a table of 2\^\d+ entries(.|\n)*MB(.|\n)*--memory'
    ):
        read_uai(path, ForeignOptions(memory=1 << 24), {})
    zeros = uai(tmp_path, sizes, [(edge, np.array([[0.0, 2], [3, 4]])) for edge in edges])
    with pytest.raises(DanausError, match="entries that are not zero"):
        read_uai(zeros, ForeignOptions(memory=1 << 20), {})


def test_names_stand_in_evidence(shared: Path) -> None:
    made, _ = parse_bif(foreign_source(shared / "bn" / "bif" / "asia.bif.gz"))

    assert parse_evidence(Source("e", "2 xray yes 0 1"), made) == {6: 0, 0: 1}


def test_rows_are_renormalised_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "n.bif"
    path.write_text("variable a { type discrete [ 2 ] { t, f }; } probability ( a ) { table 0.3, 0.699999; }")
    spec = read_bif(path, ForeignOptions(), {})
    assert [(note.code, note.severity) for note in spec.diagnostics] == [("renormalised", "note")]
    assert abs(at(spec.circuit, points([2])).sum() - 1) < 1e-15


def test_bayesian_uai_rows_are_checked(tmp_path: Path) -> None:
    good = [((0,), np.array([0.5, 0.5])), ((0, 1), np.array([[0.1, 0.900001], [0.3, 0.7]]))]
    spec = read_uai(uai(tmp_path, [2, 2], good, "BAYES"), ForeignOptions(), {})
    assert abs(total(spec.circuit)) < 1e-15
    bad = [((0,), np.array([0.5, 0.4]))]
    with pytest.raises(DanausError, match=r"sums to 0\.9, not 1"):
        read_uai(uai(tmp_path, [2], bad, "BAYES"), ForeignOptions(), {})


def test_parsed_sizes(shared: Path) -> None:
    made = parse_uai(foreign_source(shared / "uai2014" / "CSP_12.uai.gz"))
    assert (len(made.names), len(made.factors)) == (67, 271)


def test_many_constants_do_not_underflow(tmp_path: Path) -> None:
    factors: list[Factor] = [((), np.array(1e-30)) for _ in range(40)]
    path = uai(tmp_path, [2], [*factors, ((0,), np.array([1.0, 3.0]))])
    assert total(read_uai(path, ForeignOptions(), {}).circuit) == pytest.approx(np.log10(4) - 1200, rel=1e-14)


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    path = uai(tmp_path, [2], [((0,), np.array([1e-200, 1.0])), ((0,), np.array([1e-200, 1.0]))])
    with pytest.raises(DanausError, match="number-range"):
        read_uai(path, ForeignOptions(), {})


def test_impossible_evidence_is_zero(tmp_path: Path) -> None:
    path = uai(tmp_path, [2, 2], [((0,), np.array([0.0, 1.0])), ((0, 1), np.ones((2, 2)))])
    (tmp_path / "e.evid").write_text("1 0 0\n")
    circuit = read_uai(path, ForeignOptions(evidence=tmp_path / "e.evid"), {}).circuit
    assert [variable.name for variable in circuit.variables] == ["x2"]
    assert total(circuit) == -np.inf
