"""Entropies and divergences of the PSDDs of 200 and 500 iterations, beside samples, and beside all 2¹⁷ rows of msnbc.

    python benchmarks/information.py [DATA SET …] [-o benchmarks/results/information.md]

A sampled divergence is the mean of log P(x) − log Q(x) over rows drawn from P, with its standard error.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import danaus as dn
from danaus.ir.circuit import Circuit

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "psdd" / "strudel"
SETS = ("msnbc", "kosarek", "tretail", "accidents", "pumsb_star", "bnetflix", "book", "tmovie", "c20ng")
DRAWN = 20_000
HEADER = """\
| data set | variables | nodes | H(P) | H(Q) | H(P, Q) | KL(P, Q) | sampled | KL(Q, P) | sampled | s |
|---|---|---|---|---|---|---|---|---|---|---|
"""

Floats = NDArray[np.float64]


def sampled(p: Circuit, q: Circuit) -> tuple[float, float]:
    """The mean of log P − log Q over rows drawn from P, and its standard error."""
    rows = dn.sample(p, DRAWN, seed=7)
    ratios = dn.likelihood(p, rows) - dn.likelihood(q, rows)
    return float(ratios.mean()), float(ratios.std() / math.sqrt(DRAWN))


def enumerated(p: Circuit, q: Circuit) -> tuple[float, float, float]:
    """H(P), H(P, Q) and KL(P, Q) from all assignments of boolean variables."""
    count = len(p.variables)
    rows = (np.arange(1 << count)[:, None] >> np.arange(count) & 1).astype(np.float64)
    one, other = dn.likelihood(p, rows), dn.likelihood(q, rows)
    shares = np.exp(one)
    on = shares > 0
    found = (-one, -other, one - other)
    return tuple(math.fsum(shares[on] * values[on]) for values in found)  # type: ignore[return-value]


def line(name: str) -> tuple[str, float]:
    """A row of the table, and how many standard errors the sampled divergences are from the exact ones, at most."""
    p, q = (dn.load(FOLDER / f"{name}_{count}.psdd.gz").circuit for count in (200, 500))
    started = time.perf_counter()
    entropies, cross, ways = (dn.entropy(p), dn.entropy(q)), dn.cross_entropy(p, q), (dn.kl(p, q), dn.kl(q, p))
    seconds = time.perf_counter() - started
    cells = [name, str(len(p.variables)), f"{p.nodes}, {q.nodes}", *(f"{each:.6f}" for each in (*entropies, cross))]
    furthest = 0.0
    for exact, (mean, spread) in zip(ways, (sampled(p, q), sampled(q, p)), strict=True):
        furthest = max(furthest, abs(exact - mean) / spread if spread else 0.0)
        cells += [f"{exact:.6f}", f"{mean:.4f} ± {spread:.4f}"]
    return f"| {' | '.join([*cells, f'{seconds:.0f}'])} |\n", furthest


def main() -> None:
    """Writes the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("sets", nargs="*", default=SETS)
    options.add_argument("-o", "--output", type=Path)
    given = options.parse_args()
    text = (
        "# Entropies and divergences of PSDDs\n\nMade by `benchmarks/information.py`: P of 200 iterations, Q of 500, "
    )
    text += f"in nats; {DRAWN:,} rows are drawn for each sampled divergence. Seconds are of the five exact numbers, on "
    text += "a machine busy with other work.\n\n"
    text += HEADER
    print(HEADER, end="", flush=True)
    furthest = 0.0
    for name in given.sets:
        row, off = line(name)
        furthest = max(furthest, off)
        print(row, end="", flush=True)
        text += row
    text += f"\nThe sampled divergences are within {furthest:.1f} standard errors of the exact ones.\n"
    if "msnbc" in given.sets:
        p, q = (dn.load(FOLDER / f"msnbc_{count}.psdd.gz").circuit for count in (200, 500))
        exact = (dn.entropy(p), dn.cross_entropy(p, q), dn.kl(p, q))
        worst = max(abs(a - b) for a, b in zip(exact, enumerated(p, q), strict=True))
        text += f"\nmsnbc, all 131,072 assignments: H(P), H(P, Q) and KL(P, Q) differ by at most {worst:.1e}.\n"
    print(text.rpartition("|\n")[2])
    if given.output is not None:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
