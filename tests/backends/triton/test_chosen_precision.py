"""How the kernels of a bundle multiply: as is asked, as the module does, or in three passes of bf16."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import danaus as dn
from danaus.backends.triton.policy import PRECISIONS
from danaus.compiler.bundling import bundle_of, kernels_of
from danaus.ir.circuit import Circuit

pytest.importorskip("triton")


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(dn.DanausError) as caught:
        act()
    (found,) = caught.value.diagnostics
    return found.code


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled is planned, and not compiled."""
    monkeypatch.setattr("danaus.backends.triton.stored.compiled_pairs", lambda pairs: {})
    monkeypatch.setattr("danaus.backends.triton.stored.kernels_by", lambda *_: {"likelihood": []})


@pytest.fixture(scope="module")
def chain() -> Circuit:
    return dn.hmm(dn.Cat("x", 3, shape=4), states=16)


def test_what_is_asked_is_what_is_kept(made: None, chain: Circuit) -> None:
    model = dn.compile(chain)
    assert [code.precision for code in model.bundle(["cuda:sm_90"]).devices] == ["bf16x3"]
    for precision in PRECISIONS:
        targets = ["cuda:sm_80", "cuda:sm_90"]
        assert [code.precision for code in model.bundle(targets, precision=precision).devices] == [precision] * 2
    assert code_of(lambda: model.bundle(["cuda:sm_90"], precision="fp8")) == "unknown-precision"
    assert code_of(lambda: model.bundle("cuda:sm_90")) == "wrong-arguments"


def test_what_was_compiled_for_a_device_is_kept_so(made: None, chain: Circuit) -> None:
    model = dn.compile(chain, device="cuda", precision="tf32")
    assert [code.precision for code in model.bundle(["cuda:sm_90"]).devices] == ["tf32"]
    assert [code.precision for code in model.bundle(["cuda:sm_90"], precision="ieee").devices] == ["ieee"]
    assert [code.precision for code in dn.compile(chain, device="cuda").bundle(["cuda:sm_90"]).devices] == ["bf16x3"]


def test_the_text_of_kernels_follows(chain: Circuit) -> None:
    texts = {precision: kernels_of(chain, target="cuda:sm_90", precision=precision) for precision in PRECISIONS}
    assert len(set(texts.values())) == len(PRECISIONS)
    assert kernels_of(chain, target="cuda:sm_90") == texts["bf16x3"]


def test_a_bundle_says_how_it_multiplies(chain: Circuit, tmp_path: Path) -> None:
    dn.compile(chain).save(tmp_path / "p.danaus", ["cuda:sm_90"], precision="ieee")
    manifest = json.loads((tmp_path / "p.danaus" / "manifest.json").read_text())
    assert [device["precision"] for device in manifest["devices"]] == ["ieee"]
    rows = np.zeros((2, 4))
    np.testing.assert_allclose(
        dn.load_bundle(tmp_path / "p.danaus").log_likelihood(rows), dn.likelihood(chain, rows), rtol=1e-5
    )
    assert code_of(lambda: bundle_of(chain, targets=["hip:gfx942"], precision="tf32x3")) == "unsupported-precision"
