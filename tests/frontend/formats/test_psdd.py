"""Real PSDDs: what is proved of them, the broken ones, and that they are the same when written as circuits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from formats_properties import unproved

NAMES = ["tiny/psdd14.psdd", "zoo/psdds/nltcs.clt.psdd", "zoo/psdds/nltcs.10split.psdd", "strudel/plants_200.psdd.gz"]
BROKEN = {"psdd16Independent": (28, 11), "psdd16Split3Complete": (44, 11), "psdd16Split3MD2": (29, 10)}


@pytest.mark.parametrize("name", NAMES)
def test_properties(name: str, shared: Path) -> None:
    assert unproved(shared / "psdd" / name) == {}


@pytest.mark.parametrize("name", list(BROKEN))
def test_nodes_that_are_not_there(name: str, shared: Path) -> None:
    with pytest.raises(dn.DanausError) as failure:
        dn.load(shared / "psdd" / "tiny" / f"{name}.psdd")
    (diagnostic,) = failure.value.diagnostics
    assert diagnostic.code == "wrong-node" and diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.column) == BROKEN[name]


@pytest.mark.parametrize("name", ["zoo/psdds/nltcs.10split.psdd", "strudel/plants_10.psdd.gz"])
def test_written_as_a_circuit_it_is_the_same_function(name: str, shared: Path, tmp_path: Path) -> None:
    circuit = dn.load(shared / "psdd" / name).circuit
    dn.save(circuit, tmp_path / "out.circuit")
    again = dn.load(tmp_path / "out.circuit").circuit
    rows = np.random.default_rng(0).integers(0, 2, (500, len(circuit.variables)))
    assert [v.name for v in again.variables] == [v.name for v in circuit.variables]
    assert set(again.parameters) and [p.name for p in again.parameters] == [p.name for p in circuit.parameters]
    assert np.allclose(dn.likelihood(circuit, rows), dn.likelihood(again, rows), rtol=1e-12, atol=0)
    assert dn.partition(again) == pytest.approx(0, abs=1e-9)  # the logarithm of the total
