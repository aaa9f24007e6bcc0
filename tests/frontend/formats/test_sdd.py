"""Real SDDs: what is proved of them, and that they are the same functions when written as circuits."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import danaus as dn

NAMES = ["pypsdd/example.sdd", "pypsdd/ranking-3.sdd", "pypsdd/xor-32.sdd", "zoo/sdds/random.sdd", "pypsdd/false.sdd"]


@pytest.mark.parametrize("name", NAMES)
def test_properties(name: str, shared: Path) -> None:
    spec = dn.load(shared / "sdd" / name)
    assert all(note.severity == "note" for note in spec.diagnostics)  # a vtree that is found fits
    own = dn.check(spec.circuit, "decomposable", "deterministic")
    smoothed = dn.check(dn.smooth(spec.circuit), "smooth", "decomposable", "structured", "deterministic")
    assert {verdict.status for verdict in [*own.values(), *smoothed.values()]} == {"proved"}


@pytest.mark.parametrize("name", ["pypsdd/example.sdd", "pypsdd/xor-8.sdd", "pypsdd/ranking-3.sdd"])
def test_written_as_a_circuit_it_is_the_same_function(name: str, shared: Path, tmp_path: Path) -> None:
    circuit = dn.load(shared / "sdd" / name).circuit
    dn.save(circuit, tmp_path / "out.circuit")
    again = dn.load(tmp_path / "out.circuit").circuit
    rows = np.array(list(itertools.product((0, 1), repeat=len(circuit.variables))))
    assert [v.name for v in again.variables] == [v.name for v in circuit.variables]
    values = dn.evaluate(circuit, rows)
    assert np.array_equal(values, dn.evaluate(again, rows))
    assert values.sum() == dn.count(circuit)  # by enumeration
