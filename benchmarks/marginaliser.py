"""Determinantal processes of n variables from Gaussian elimination: sizes, times, and whether the circuit is right.

    python benchmarks/marginaliser.py [N …] [--modulo]

For each n: nodes and blocks of the circuit, seconds to import it, the relative error of its total in float64 beside
numpy's determinant of I + L, and the largest resident memory so far. With `--modulo` the circuit is also evaluated at a
random point modulo 2³¹ − 1, and compared with elimination there: by chance they agree below once in 10⁷. For n = 64
that takes minutes.
"""

from __future__ import annotations

import argparse
import resource
import time
from fractions import Fraction
from typing import Any

import numpy as np

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.semirings import Modular

PRIME = (1 << 31) - 1


def eliminated(m: Any) -> Any:
    """The determinant of a matrix, by elimination without a search for pivots; the matrix is used up."""
    out = 1
    for k in range(len(m)):
        out = out * m[k, k]
        for i in range(k + 1, len(m)):
            m[i, k + 1 :] = m[i, k + 1 :] - m[i, k] / m[k, k] * m[k, k + 1 :]
    return out


class Residue:
    """A number modulo the prime."""

    def __init__(self, value: int) -> None:
        self.value = value % PRIME

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # numpy goes over the elements
        return Residue(self.value * (other.value if isinstance(other, Residue) else other))

    __rmul__ = __mul__

    def __add__(self, other: Residue) -> Residue:
        return Residue(self.value + other.value)

    def __sub__(self, other: Residue) -> Residue:
        return Residue(self.value - other.value)

    def __truediv__(self, other: Residue) -> Residue:
        return Residue(self.value * pow(other.value, -1, PRIME))


def same_modulo(circuit: Circuit, kernel: Any) -> bool:
    """Whether circuit and determinant are one number at a random point."""
    n = len(kernel)
    weights = np.random.default_rng(0).integers(1, PRIME, size=(n, 2))
    own = {variable: weights[place] for place, variable in enumerate(circuit.variables)}
    nothing = Evidence.nothing(circuit.variables)
    evidence = Evidence(circuit.variables, nothing.values, nothing.observed, own)
    found = int(evaluate(circuit, Modular(PRIME), evidence)[0])
    m = np.empty((n, n), dtype=object)
    for i, j in np.ndindex(n, n):
        exact = Fraction(kernel[i, j])
        number = exact.numerator * pow(exact.denominator, -1, PRIME) * int(weights[j, 1])
        m[i, j] = Residue(number + (int(weights[i, 0]) if i == j else 0))
    return bool(found == eliminated(m).value)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", nargs="*", type=int, default=[5, 8, 12, 24])
    parser.add_argument("--modulo", action="store_true")
    given = parser.parse_args()
    print("| n | nodes | blocks | import, s | error of the total | MB | modulo a prime |")
    print("|---:|---:|---:|---:|---:|---:|---|")
    for n in given.sizes:
        b = np.random.default_rng(0).integers(-4, 5, size=(n, n)) / 8
        kernel = b @ b.T / 16
        start = time.perf_counter()
        circuit = dn.import_marginaliser(lambda w, L=kernel: eliminated(np.diag(w[:, 0]) + L * w[:, 1]), n)
        taken = time.perf_counter() - start
        total = dn.evaluate(circuit, np.zeros(n), observed=np.zeros(n, dtype=bool))
        error = abs(total / np.linalg.det(np.eye(n) + kernel) - 1)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        modulo = ("the same" if same_modulo(circuit, kernel) else "**differs**") if given.modulo else ""
        cells = (n, f"{circuit.nodes:,}", f"{len(circuit.blocks):,}", f"{taken:.2f}", f"{error:.0e}", memory, modulo)
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
