"""Files of other tools with known answers: exact counts of sentences and SDDs, test log-likelihoods of PSDDs.

    python tests/formats_known.py ../shared/data [--only sdd nnf assumptions psdd]

Prints every answer, found and known, and fails where one differs: counts at all, mean log-likelihoods by 1e-4.
The counts under assumptions are those of one large sentence, auto1: for each list of literals by an evaluation over the
integers, and for single literals also by one walk down for all of them.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from danaus.compiler.operators.smooth import smooth
from danaus.compiler.queries import model_count
from danaus.frontend.formats.options import ForeignOptions
from danaus.frontend.formats.read import read_foreign
from danaus.ir import query as ask
from danaus.ir.circuit import Circuit
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.numbers import Numbers
from danaus.ir.query.derivative import derivatives
from danaus.ir.semirings import COUNTING

TOLERANCE = 1e-4
# A batch of assumptions is counted at once.
BATCH = 250
PARTS = ("sdd", "nnf", "assumptions", "psdd")
AUTO1 = Path("nnf/ddnnife/ddnnife/tests/data")


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def counts(data: Path, form: str) -> list[dict[str, str]]:
    """The rows of `counts.tsv` of a format whose files are there."""
    return [row for row in table(data / form / "counts.tsv") if (data / form / row[form]).exists()]


def counted(data: Path, form: str, row: dict[str, str]) -> tuple[int, int]:
    """The number of variables and the count of a row's file."""
    if form == "sdd":
        options = ForeignOptions(vtree=data / form / row["vtree"])
    else:
        options = ForeignOptions(variables=int(row["vars"]))
    spec = read_foreign(data / form / row[form], options, {})
    return len(spec.variables), model_count(spec.circuit)


def likelihoods(data: Path) -> list[dict[str, str]]:
    """The rows of the table of PSDDs whose data set is there."""
    rows = table(data / "psdd" / "test_log_likelihoods.tsv")
    return [row for row in rows if (data / "debd" / f"{row['dataset']}.test.data.gz").exists()]


def mean_log_likelihood(data: Path, row: dict[str, str]) -> float:
    """The mean over the rows of the test set, in nats."""
    with gzip.open(data / "debd" / f"{row['dataset']}.test.data.gz", "rt") as file:
        rows, times = np.unique(np.loadtxt(file, delimiter=",", ndmin=2), axis=0, return_counts=True)
    circuit = read_foreign(data / "psdd" / row["file"], ForeignOptions(), {}).circuit
    return float(np.average(ask.log_likelihood(circuit, rows), weights=times))


def assumptions(data: Path) -> list[tuple[list[int], int]]:
    """Literals and the count under them: single ones, then lists of 2, 5, 10, 20 and 50."""
    found: list[tuple[list[int], int]] = []
    with gzip.open(data / AUTO1 / "auto1_sb_fs.csv.gz", "rt") as file:
        found += [([int(row[0])], int(row[1])) for row in csv.reader(file)]
    with gzip.open(data / AUTO1 / "auto1_sb_pc.csv.gz", "rt") as file:
        found += [([int(word) for word in row[0].split()], int(row[1])) for row in csv.reader(file)]
    return found


def auto1(data: Path) -> Circuit:
    return smooth(read_foreign(data / AUTO1 / "auto1_c2d.nnf.gz", ForeignOptions(), {}).circuit)


def counts_under(circuit: Circuit, wanted: list[list[int]]) -> Iterator[int]:
    """The count of a smooth circuit under each list of literals; a list with a literal and its negation has none."""
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        values = np.zeros((len(part), len(circuit.variables)))
        observed = np.zeros(values.shape, dtype=bool)
        places = {variable.name: place for place, variable in enumerate(circuit.variables)}
        for row, literals in enumerate(part):
            for literal in literals:
                place = places[f"x{abs(literal)}"]
                values[row, place], observed[row, place] = literal > 0, True
        found = evaluate(circuit, COUNTING, Evidence(circuit.variables, values, observed))
        for literals, number in zip(part, np.asarray(found, dtype=object).ravel(), strict=True):
            yield 0 if any(-literal in literals for literal in literals) else int(number)


def counts_of_literals(circuit: Circuit) -> dict[int, int]:
    """The count of a smooth circuit under each literal of a variable that it is not free of, in one walk down."""
    numbers = Numbers(circuit.store)
    found: dict[int, int] = {}
    for block, adjoint in derivatives(circuit, COUNTING, Evidence.nothing(circuit.variables)).items():
        values = numbers.inputs(block.family, block.variable, block.parameters, np.array([0.0, 1.0]), COUNTING.field)
        inputs = COUNTING.from_field(values)
        for sign, column in ((-1, inputs[:, 0]), (1, inputs[:, 1])):
            literal = sign * int(block.variable.name.removeprefix("x"))
            found[literal] = found.get(literal, 0) + int(np.sum(column * adjoint[:, 0]))
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path)
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts, not all")
    given = options.parse_args()
    wrong = 0
    for part in given.only:
        match part:
            case "assumptions":
                wrong += wrong_assumptions(given.data)
            case "psdd":
                wrong += wrong_likelihoods(given.data)
            case form:
                wrong += wrong_counts(given.data, form)
    return 1 if wrong else 0


def wrong_counts(data: Path, form: str) -> int:
    wrong = 0
    for row in counts(data, form):
        started = time.monotonic()
        right = counted(data, form, row) == (int(row["vars"]), int(row["model_count"]))
        wrong += not right
        print(f"{form}/{row[form]}: {'right' if right else 'WRONG'}, {time.monotonic() - started:.2f} s", flush=True)
    return wrong


def wrong_assumptions(data: Path) -> int:
    known, circuit = assumptions(data), auto1(data)
    started = time.monotonic()
    at_once = counts_of_literals(circuit)
    single = [(at_once[literals[0]], count) for literals, count in known if len(literals) == 1]
    missed = sum(found != count for found, count in single)
    print(
        f"auto1: {len(single)} single literals at once, {missed} WRONG, {time.monotonic() - started:.0f} s", flush=True
    )
    started = time.monotonic()
    found = list(counts_under(circuit, [literals for literals, _ in known]))
    under = sum(a != count for a, (_, count) in zip(found, known, strict=True))
    print(
        f"auto1: {len(known)} counts under assumptions, {under} WRONG, {time.monotonic() - started:.0f} s", flush=True
    )
    return missed + under


def wrong_likelihoods(data: Path) -> int:
    wrong = 0
    for row in likelihoods(data):
        started = time.monotonic()
        off = abs(mean_log_likelihood(data, row) - float(row["mean_test_ll_nats"]))
        wrong += off > TOLERANCE
        print(f"psdd/{row['file']}: off by {off:.1e}, {time.monotonic() - started:.2f} s", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
