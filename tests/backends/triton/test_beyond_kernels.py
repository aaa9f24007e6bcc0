"""Circuits whose numbers no kernel takes: no machine code is made for them that would never run, and that is said."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.cli import main
from danaus.compiler.bundling import bundle_of, kernels_of, report_of

pytest.importorskip("triton")

SIGNED = """
var x : cat(3)
circuit p { return sum(categorical(x, [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]), [[1.5, -0.5]]) }
circuit s = multiply(p, p)
"""


def test_negative_numbers_have_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("danaus.backends.triton.stored.compiled_pairs", never)
    for circuit in dn.parse(SIGNED).circuits.values():
        said = f'"{circuit.name}" has negative numbers: no kernels, it is answered in float64 on the CPU'
        assert report_of(circuit, "float32", ["cuda:sm_90"], 64) == said + "\n"
        assert kernels_of(circuit, target="cuda:sm_90") == f"# {said}\n"
        with pytest.warns(dn.DanausWarning, match="no kernels"):
            bundle = bundle_of(circuit, targets=["cpu", "cuda:sm_90"])
        assert not bundle.devices and len(bundle.codes) == 1
        with pytest.warns(dn.DanausWarning):
            dn.compile(circuit).save(tmp_path / "p.danaus", ["cuda:sm_90"])
        model = dn.load_bundle(tmp_path / "p.danaus", device="cuda")
        values = [dn.evaluate(circuit, [x]) for x in range(3)]
        np.testing.assert_allclose(model.log_likelihood([[0], [1], [2]]), np.log(values), rtol=1e-12)


def test_numbers_beyond_float64_have_none() -> None:
    small = dn.parse("var x : bool; circuit p { return sum(table(x, [[0.5, 1]]), [[1e-320]]) }").circuit
    with pytest.warns(dn.DanausWarning, match="numbers beyond float64"):
        assert not bundle_of(small, targets=["cuda:sm_90"]).devices


def test_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.circuit").write_text(SIGNED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SystemExit) as left:
            main(["compile", "p.circuit", "--circuit", "p", "--target", "cuda:sm_90", "-o", "p.zip"])
    said = capsys.readouterr()
    assert not left.value.code and said.err.splitlines() == [
        'warning[not-in-bundle]: "p" has negative numbers: no kernels, it is answered in float64 on the CPU'
    ]
