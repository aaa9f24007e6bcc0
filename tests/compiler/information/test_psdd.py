"""Entropies and divergences of learnt PSDDs that share a vtree, by enumeration and by samples."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.ir.circuit import Circuit


def learnt(shared: Path, name: str) -> Circuit:
    return dn.load(shared / "psdd" / "strudel" / f"{name}.psdd.gz").circuit.named(name)


def test_msnbc_is_what_all_assignments_and_what_samples_say(shared: Path) -> None:
    p, q = (learnt(shared, f"msnbc_{count}") for count in (200, 500))
    rows = (np.arange(1 << 17)[:, None] >> np.arange(17) & 1).astype(np.float64)
    one, other = (dn.compile(each, dtype="float64").log_likelihood(rows).numpy() for each in (p, q))
    shares = np.exp(one)
    assert np.isfinite(one).all() and np.isfinite(other).all()
    exact = dn.kl(p, q)
    assert exact == pytest.approx(math.fsum(shares * (one - other)), rel=1e-10)
    assert dn.entropy(p) == pytest.approx(-math.fsum(shares * one), rel=1e-12)
    assert dn.renyi(q, 0.5) == pytest.approx(2 * math.log(math.fsum(np.exp(0.5 * other))), rel=1e-12)
    rows = dn.sample(p, 1000, seed=3)
    drawn = dn.likelihood(p, rows) - dn.likelihood(q, rows)
    assert abs(exact - drawn.mean()) < 3 * drawn.std() / math.sqrt(len(rows))


def test_a_large_circuit_does_not_diverge_from_itself(shared: Path) -> None:
    p = learnt(shared, "plants_10")
    assert abs(dn.kl(p, p)) < 1e-12 and dn.entropy(p) > 1
