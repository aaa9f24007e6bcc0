"""Marginals of Bayesian networks against pgmpy's variable elimination, on rows read and renormalised here.

    python -m venv there; there/bin/pip install torch pgmpy -e .
    there/bin/python tests/networks_pgmpy.py ../shared/data/bn/bif/*.bif.gz -o benchmarks/results/networks.md

Each network, from the smallest file to the largest, in a process of its own: single-variable marginals, prior and under
three samples of a tenth of the variables (all variables, or 20 of them where there are more than a hundred). Printed
are the largest absolute differences, and what pgmpy could not answer in time: a marginal has a tenth of its network's.
Fails where a difference exceeds 1e-9.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import danaus as dn

TOLERANCE = 1e-9
HEADING = "## Marginals against pgmpy"
EVIDENCE_SETS = 3
MANY, FEW = 100, 20
COLUMNS = (
    "file",
    "variables",
    "asked",
    "compared",
    "of them under evidence",
    "largest difference",
    "seconds",
    "stopped",
)

Question = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Table:
    """P(child | parents), parents first, the child's axis last."""

    parents: tuple[str, ...]
    rows: np.ndarray


def tables(path: Path) -> dict[str, Table]:
    """The tables of a BIF file as bnlearn writes it, each row divided by its sum."""
    with gzip.open(path, "rt") as file:
        text = file.read()
    states = {
        name: {state.strip(): place for place, state in enumerate(inside.split(","))}
        for name, inside in re.findall(r"variable\s+(\S+)\s*\{\s*type\s+discrete\s*\[\s*\d+\s*\]\s*\{([^}]*)\}", text)
    }
    found: dict[str, Table] = {}
    for head, body in re.findall(r"probability\s*\(([^)]*)\)\s*\{([^}]*)\}", text):
        child, _, given = (part.strip() for part in head.partition("|"))
        parents = tuple(name.strip() for name in given.split(",")) if given else ()
        rows = np.full([len(states[name]) for name in (*parents, child)], np.nan)
        for line in filter(None, (line.strip() for line in body.split(";"))):
            place: tuple[int, ...] = ()
            if parents:
                named, line = line.removeprefix("(").split(")", 1)
                place = tuple(
                    states[name][state.strip()] for name, state in zip(parents, named.split(","), strict=True)
                )
            rows[place] = [float(word) for word in line.removeprefix("table").split(",")]
        if not np.isfinite(rows).all():
            raise ValueError(f"a row of {child} is missing")
        found[child] = Table(parents, rows / rows.sum(axis=-1, keepdims=True))
    if found.keys() != states.keys():
        raise ValueError("a table is missing")
    return {name: found[name] for name in states}


def sampled(network: dict[str, Table], random: np.random.Generator) -> dict[str, int]:
    """One assignment from the network, parents before children."""
    values: dict[str, int] = {}
    while len(values) < len(network):
        for name, table in network.items():
            if name not in values and all(parent in values for parent in table.parents):
                row = table.rows[tuple(values[parent] for parent in table.parents)]
                values[name] = int(random.choice(len(row), p=row))
    return values


def eliminator(network: dict[str, Table]) -> Any:
    """pgmpy's, of the same tables; states are numbers. It is imported here, so that tests are collected without it."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork

    model = DiscreteBayesianNetwork()
    model.add_nodes_from(network)
    model.add_edges_from((parent, name) for name, table in network.items() for parent in table.parents)
    for name, table in network.items():
        *above, size = table.rows.shape
        model.add_cpds(TabularCPD(name, size, table.rows.reshape(-1, size).T, list(table.parents), above))
    return VariableElimination(model)


def compare(path: Path, seconds: int, memory: int, said: Connection) -> None:
    """Sends what is asked, then (under evidence, difference) for each answer, or why there is none."""
    resource.setrlimit(resource.RLIMIT_AS, (memory << 30, memory << 30))
    signal.signal(signal.SIGALRM, too_long)
    network = tables(path)
    random = np.random.default_rng(3)
    names = list(network)
    sets: list[dict[str, int]] = [{}]
    for _ in range(EVIDENCE_SETS):
        values = sampled(network, random)
        chosen = random.choice(len(names), max(1, len(names) // 10), replace=False)
        sets.append({names[place]: values[names[place]] for place in chosen})
    questions = list(asked(names, sets, random))
    said.send((len(names), len(questions)))
    try:
        circuit = dn.load(path).circuit
    except dn.DanausError as failure:
        said.send(failure.diagnostics[0].message)
        return
    places = {variable.name: place for place, variable in enumerate(circuit.variables)}
    x = np.full((len(sets), len(names)), np.nan)
    for row, evidence in enumerate(sets):
        for name, value in evidence.items():
            x[row, places[name]] = value
    ours = dn.conditional(circuit, x)
    del circuit
    theirs = eliminator(network)
    said.send(None)
    for row, name in questions:
        signal.alarm(max(1, seconds // 10))
        try:
            answer = theirs.query([name], sets[row], show_progress=False).values
        except (MemoryError, TimeoutError) as failure:
            said.send(type(failure).__name__)
            continue
        finally:
            signal.alarm(0)
        said.send((row > 0, float(np.abs(ours[name][row] - answer).max())))


def asked(names: list[str], sets: list[dict[str, int]], random: np.random.Generator) -> Iterator[Question]:
    """Which marginals, in random order, so that those a limit of time leaves out are of all kinds."""
    questions: list[Question] = []
    for row, evidence in enumerate(sets):
        free = [name for name in names if name not in evidence]
        some = free if len(names) <= MANY else [free[place] for place in random.choice(len(free), FEW, replace=False)]
        questions += [(row, name) for name in some]
    return (questions[place] for place in random.permutation(len(questions)))


def counted(failures: list[str]) -> str:
    """How many marginals pgmpy gave up, and why."""
    return ", ".join(f"{failures.count(why)} × {why}" for why in sorted(set(failures)))


def too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError


def watched(path: Path, seconds: int, memory: int) -> tuple[dict[str, object], bool]:
    """One network's line of the table, and whether all that was compared agrees."""
    hear, said = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=compare, args=(path, seconds, memory, said))
    started = time.monotonic()
    process.start()
    said.close()
    heard: list[object] = []
    # The limit is pgmpy's: it begins when Danaus has answered, which has a limit of its own kind, the memory.
    ends = started + 600
    stopped = f"after {seconds} s"
    while (left := ends - time.monotonic()) > 0:
        if not hear.poll(left):
            break
        try:
            heard.append(hear.recv())
        except EOFError:
            stopped = ""
            break
        if heard[-1] is None:
            ends = time.monotonic() + seconds
    process.kill()
    process.join()
    variables, questions = heard[0] if heard and isinstance(heard[0], tuple) else (0, 0)
    answers = [each for each in heard[1:] if isinstance(each, tuple)]
    failures = [each for each in heard if isinstance(each, str)]
    if failures:
        stopped = ", ".join(filter(None, [counted(failures), stopped])) if None in heard else failures[0]
    elif not stopped and len(answers) < questions:
        stopped = f"ended with {process.exitcode}"
    largest = max((difference for _, difference in answers), default=0.0)
    line = {
        "file": path.name.removesuffix(".gz"),
        "variables": variables,
        "asked": questions,
        "compared": len(answers),
        "of them under evidence": sum(under for under, _ in answers),
        "largest difference": f"{largest:.1e}" if answers else "",
        "seconds": f"{time.monotonic() - started:.0f}",
        "stopped": stopped,
    }
    # A NaN agrees with nothing.
    return line, all(difference <= TOLERANCE for _, difference in answers) and not stopped.startswith("ended")


def write(output: Path, line: str) -> None:
    """Puts a line into the table below the heading, in place of an older one of the same file."""
    before, _, after = (output.read_text() if output.exists() else "").partition(f"\n{HEADING}\n")
    lines = {each.split()[1]: each for each in after.splitlines() if ".bif |" in each} | {line.split()[1]: line}
    about = f"By `python tests/networks_pgmpy.py`, pgmpy {version('pgmpy')}, two cores shared with other work."
    head = ["", HEADING, "", about, "", "| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    output.write_text("\n".join([before.rstrip("\n"), *head, *(lines[name] for name in sorted(lines)), ""]))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("files", nargs="+", type=Path)
    options.add_argument("--seconds", type=int, default=300, help="for pgmpy, for each network")
    options.add_argument("--memory", type=int, default=12, help="GB, for each network")
    options.add_argument("-o", "--output", type=Path)
    given = options.parse_args()
    wrong = 0
    for path in sorted(given.files, key=lambda each: each.stat().st_size):
        line, agrees = watched(path, given.seconds, given.memory)
        wrong += not agrees
        text = "| " + " | ".join(str(line[column]) for column in COLUMNS) + " |"
        print(text, flush=True)
        if given.output:
            write(given.output, text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
