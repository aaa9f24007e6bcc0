"""Every network of bnlearn and UAI 2014 that is here, compiled: sizes, times, answers, or the limit that stopped it.

    python benchmarks/networks.py -o benchmarks/results/networks.md

Each file is read in a process of its own, with limits of time and memory. What comes out is checked: a Bayesian network
sums to 1; log10 Z of a UAI instance is its `.PR` to the digits printed and `checked.tsv` to 1e-9, its marginals are
`.MAR` to 1e-6.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from danaus.frontend.formats.bayes import read_bif, read_uai
from danaus.frontend.formats.options import ForeignOptions
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.query import conditional
from danaus.ir.semirings import LOG

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
LARGEST_MARGINALS = 12_000_000
"""Nodes up to which the marginals are asked for: one walk up and one down keeps every node's value."""


def edges(circuit: Circuit) -> int:
    """The edges of all products and sums."""
    found = 0
    for block in circuit.blocks:
        form, linear = getattr(block, "form", None), getattr(block, "map", None)
        found += len(form.members) if hasattr(form, "members") else 0
        found += len(linear.rows) if hasattr(linear, "rows") else 0
    return found


def measure(path: Path, memory: int) -> dict[str, object]:
    """One file, read and checked."""
    evidence = path.with_name(path.name.removesuffix(".gz") + ".evid")
    start = time.perf_counter()
    options = ForeignOptions(evidence=evidence if evidence.exists() else None, memory=memory)
    try:
        spec = (read_bif if ".bif" in path.name else read_uai)(path, options, {})
    except DanausError as failure:
        (diagnostic,) = failure.diagnostics
        return {"stopped": diagnostic.message, "seconds": time.perf_counter() - start}
    circuit = spec.circuit
    took = time.perf_counter() - start
    start = time.perf_counter()
    total = float(evaluate(circuit, LOG, Evidence.nothing(circuit.variables))[0] / np.log(10))
    answer: dict[str, object] = {
        "variables": len(circuit.variables),
        "nodes": circuit.nodes,
        "edges": edges(circuit),
        "seconds": took,
        "evaluation": time.perf_counter() - start,
        "log10": total,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }
    if circuit.nodes <= LARGEST_MARGINALS and (published := _published(path)) is not None:
        answer["marginals"] = _difference(circuit, published)
    return answer


def _published(path: Path) -> list[str] | None:
    """The words of a `.MAR` file."""
    plain = path.with_name(path.name.removesuffix(".gz") + ".MAR")
    if plain.exists():
        return plain.read_text().split()[1:]
    packed = plain.with_name(plain.name + ".gz")
    return gzip.decompress(packed.read_bytes()).decode().split()[1:] if packed.exists() else None


def _difference(circuit: Circuit, words: list[str]) -> float:
    """The largest difference between a marginal and the published one."""
    shape = (1, len(circuit.variables))
    answers = conditional(circuit, np.zeros(shape), np.zeros(shape, dtype=bool))
    named = {variable.name: answers[variable][0] for variable in circuit.variables}
    place, worst = 1, 0.0
    for number in range(1, int(words[0]) + 1):
        size = int(words[place])
        given = np.array(words[place + 1 : place + 1 + size], dtype=float)
        place += 1 + size
        if f"x{number}" in named:
            worst = max(worst, float(np.abs(named[f"x{number}"] - given).max()))
    return worst


def row(path: Path, seconds: float, memory: int) -> dict[str, object]:
    """One file in a process of its own."""
    command = [sys.executable, __file__, "--one", str(path), "--memory", str(memory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"stopped": f"more than {seconds:g} s"}
    if done.returncode:
        return {"stopped": f"failed: {done.stderr.strip().splitlines()[-1]}"}
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def known() -> dict[str, tuple[str, str]]:
    """log10 Z of the instances: as published, and as checked."""
    with (SHARED / "uai2014" / "checked.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {each["instance"]: (each["published_log10Z"], each["our_VE_log10Z"]) for each in rows}


def judged(name: str, found: dict[str, object], answers: dict[str, tuple[str, str]]) -> str:
    """Whether the answers are the known ones."""
    total = float(str(found["log10"]))
    if name not in answers:
        return "sums to 1" if abs(total) < 1e-12 else f"WRONG: log10 sum {total:.3g}"
    published, checked = answers[name]
    digits = len(published.lstrip("-0.").replace(".", ""))
    said = ["PR" if abs(total - float(published)) <= 0.51 * 10.0 ** -len(published.partition(".")[2]) else "PR WRONG"]
    if digits and said == ["PR WRONG"] and f"{total:.{digits}g}" == f"{float(published):.{digits}g}":
        said = ["PR"]
    if checked != "None":
        said.append("checked" if abs(total - float(checked)) < 1e-9 else "checked WRONG")
    if "marginals" in found:
        worst = float(str(found["marginals"]))
        said.append(f"MAR {worst:.0e}" if worst < 1e-6 else f"MAR WRONG {worst:.1e}")
    return ", ".join(said)


def table(paths: list[Path], seconds: float, memory: int) -> list[str]:
    """The lines of a table."""
    lines = ["| file | variables | nodes | edges | read, s | partition, s | memory | log10 Z | agrees with |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    answers = known()
    for path in paths:
        name = path.name.removesuffix(".gz")
        found = row(path, seconds, memory)
        if "stopped" in found:
            took = f" ({float(str(found['seconds'])):.1f} s)" if "seconds" in found else ""
            lines.append(f"| {name} | | | | | | | | {found['stopped']}{took} |")
        else:
            lines.append(
                f"| {name} | {found['variables']} | {found['nodes']:,} | {found['edges']:,} | {found['seconds']:.1f} | "
                f"{found['evaluation']:.2f} | {found['megabytes']:,} MB | {found['log10']:.9g} | "
                f"{judged(name, found, answers)} |"
            )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Writes both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", type=Path)
    parser.add_argument("--memory", type=int, default=8 << 30)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.memory)))
        return
    text = ["# Networks, compiled\n", f"By `python benchmarks/networks.py`, {options.memory / 2**30:g} GB and ", "\n"]
    text[1] += f"{options.seconds:g} seconds for each file, two cores.\n\n## bnlearn\n"
    text += [line + "\n" for line in table(sorted(SHARED.glob("bn/bif/*.bif.gz")), options.seconds, options.memory)]
    text.append("\n## UAI 2014\n\n")
    text += [line + "\n" for line in table(sorted(SHARED.glob("uai2014/*.uai.gz")), options.seconds, options.memory)]
    if options.output:
        # What tests/networks_pgmpy.py has written below stays.
        found = options.output.read_text() if options.output.exists() else ""
        _, heading, rest = found.partition("\n## Marginals against pgmpy\n")
        options.output.write_text("".join([*text, heading, rest]))


if __name__ == "__main__":
    main()
