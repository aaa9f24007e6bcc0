"""A determinantal point process from Gaussian elimination: sets of points on a line that keep their distance.

Its marginals under virtual evidence are det(diag x̄ + L diag x), which `determinant` computes with divisions. The
circuit has none, and answers marginals, conditionals and the number of chosen points.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import danaus as dn

POINTS = 8


def kernel() -> Any:
    """Similarity of points 0 … 7: near ones rarely stand together."""
    place = np.arange(POINTS)
    return np.exp(-((place[:, None] - place) ** 2) / 4.0)


def determinant(w: Any) -> Any:
    """det(diag x̄ + L diag x) for weights [n, 2], by elimination without a search for pivots."""
    m = np.diag(w[:, 0]) + kernel() * w[:, 1]
    out = 1
    for k in range(len(m)):
        out = out * m[k, k]
        for i in range(k + 1, len(m)):
            m[i, k + 1 :] = m[i, k + 1 :] - m[i, k] / m[k, k] * m[k, k + 1 :]
    return out


def main() -> None:
    """Imports the process, compares it with minors of L, and asks it some questions."""
    p = dn.import_marginaliser(determinant, POINTS, name="repulsion")
    print(f"{p!r}; virtual evidence: {dn.marginalisation(p)['virtual'].status}")

    x = np.array(list(itertools.product([0, 1], repeat=POINTS)))
    chosen = [np.flatnonzero(row) for row in x]
    minors = [np.linalg.det(kernel()[np.ix_(s, s)]) for s in chosen]
    print(f"all {len(x)} coefficients are minors of L to {abs(dn.evaluate(p, x) - minors).max():.0e}")

    total = dn.partition(p)
    for other in (4, 5, 7):
        both, alone = np.zeros((1, POINTS), dtype=bool), np.zeros((1, POINTS), dtype=bool)
        alone[0, 3], both[0, [3, other]] = True, True
        ones = np.ones((1, POINTS))
        given = np.exp(dn.marginal(p, ones, both) - dn.marginal(p, ones, alone))[0]
        print(f"P(point {other} | point 3) = {given:.3f}")
    masses = np.exp(dn.hamming(p) - total)
    print("P(number of points):", " ".join(f"{mass:.3f}" for mass in masses))


if __name__ == "__main__":
    main()
