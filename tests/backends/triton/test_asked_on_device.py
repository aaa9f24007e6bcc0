"""A device asked wrongly, and by names that are none, through Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

import danaus as dn
from danaus.backends.triton import device
from danaus.runtime.queries.on_device import ByDevice

pytest.importorskip("triton")

CHAIN = dn.hmm(dn.Cat("x", 3, shape=2), states=2)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(dn.DanausError) as caught:
        act()
    (found,) = caught.value.diagnostics
    assert found.hint
    return found.code


def test_seeds_are_those_of_the_processor() -> None:
    model = dn.compile(CHAIN, device="cuda")
    assert isinstance(model._answers(), ByDevice)
    for seed in (-1, 2**64, "a"):
        assert code_of(partial(model.sample, 2, seed=seed)) == "wrong-value"
        assert code_of(partial(model.sample, [[np.nan, 2]], seed=seed)) == "wrong-value"
    for seed in (0, 2**64 - 1, np.int64(7)):
        with np.errstate(divide="ignore"):
            drawn = model.sample(5, seed=seed)
        np.testing.assert_array_equal(drawn, dn.sample(CHAIN, 5, seed=int(seed)))


@pytest.mark.parametrize("name", ["gpu", "CUDA", "mps", "meta", "xpu", "cpu:0", "cuda:-1", "cuda:x", ""])
def test_devices_that_are_none(name: str) -> None:
    assert code_of(lambda: dn.compile(CHAIN, device=name)) == "unknown-device"


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: 2)
    assert device.numbered(device.named("cuda:1"), "").index == 1
    assert code_of(lambda: device.numbered(device.named("cuda:2"), "elsewhere")) == "no-device"
