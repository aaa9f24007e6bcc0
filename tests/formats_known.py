"""Files of other tools with known answers: exact counts of sentences and SDDs, test log-likelihoods of PSDDs.

    python tests/formats_known.py ../shared/data

Prints every answer, found and known, and fails where one differs: counts at all, mean log-likelihoods by 1e-4.
"""

from __future__ import annotations

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
from danaus.ir.semirings import EXACT

TOLERANCE = 1e-4
# A batch of assumptions is counted at once.
BATCH = 50
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
    """Literals and the count under them: single ones, then pairs."""
    found: list[tuple[list[int], int]] = []
    with gzip.open(data / AUTO1 / "auto1_sb_fs.csv.gz", "rt") as file:
        found += [([int(row[0])], int(row[1])) for row in csv.reader(file)]
    with gzip.open(data / AUTO1 / "auto1_sb_pc.csv.gz", "rt") as file:
        found += [([int(word) for word in row[0].split()], int(row[1])) for row in csv.reader(file)]
    return found


def auto1(data: Path) -> Circuit:
    return smooth(read_foreign(data / AUTO1 / "auto1_c2d.nnf.gz", ForeignOptions(), {}).circuit)


def counts_under(circuit: Circuit, wanted: list[list[int]]) -> Iterator[int]:
    """The count of a smooth circuit under each list of literals."""
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        values = np.zeros((len(part), len(circuit.variables)))
        observed = np.zeros(values.shape, dtype=bool)
        places = {variable.name: place for place, variable in enumerate(circuit.variables)}
        for row, literals in enumerate(part):
            for literal in literals:
                place = places[f"x{abs(literal)}"]
                values[row, place], observed[row, place] = literal > 0, True
        found = evaluate(circuit, EXACT, Evidence(circuit.variables, values, observed))
        yield from (int(number) for number in np.asarray(found, dtype=object).ravel())


def main() -> int:
    data = Path(sys.argv[1])
    wrong = 0
    for form in ("sdd", "nnf"):
        for row in counts(data, form):
            started = time.monotonic()
            right = counted(data, form, row) == (int(row["vars"]), int(row["model_count"]))
            wrong += not right
            print(
                f"{form}/{row[form]}: {'right' if right else 'WRONG'}, {time.monotonic() - started:.2f} s", flush=True
            )
    known = assumptions(data)
    started = time.monotonic()
    found = list(counts_under(auto1(data), [literals for literals, _ in known]))
    missed = sum(a != count for a, (_, count) in zip(found, known, strict=True))
    wrong += missed
    print(
        f"auto1: {len(known)} counts under assumptions, {missed} WRONG, {time.monotonic() - started:.0f} s", flush=True
    )
    for row in likelihoods(data):
        started = time.monotonic()
        off = abs(mean_log_likelihood(data, row) - float(row["mean_test_ll_nats"]))
        wrong += off > TOLERANCE
        print(f"psdd/{row['file']}: off by {off:.1e}, {time.monotonic() - started:.2f} s", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
