"""What spills is compiled again, on a device as ahead of time: by a fake of Triton's jitted functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from danaus.backends.triton import module
from danaus.backends.triton.kernel import Argument, Kernel
from danaus.backends.triton.module import Settled, function, options_of
from danaus.backends.triton.spills import least_spilled, others

pytest.importorskip("triton")

KERNEL = Kernel("k", "def k(x): pass\n", (Argument("x", "*fp32"),), (("SIZE", 4),), 4, 2)
Way = tuple[tuple[str, int], ...]


@dataclass
class Jitted:
    """What spills so much with options; refused where that is None."""

    spills: dict[Way, int | None]
    backend: str
    warmed: list[dict[str, Any]] = field(default_factory=list)
    launched: list[tuple[Any, ...]] = field(default_factory=list)

    def warmup(self, *given: Any, grid: tuple[int, ...], **options: Any) -> Any:
        from triton.runtime.errors import OutOfResources

        self.warmed.append(options)
        usual = {"num_warps": 4, "SIZE": 4, "num_stages": 2, "enable_fp_fusion": True}
        spilled = self.spills[tuple(item for item in options.items() if usual.get(item[0]) != item[1])]
        warp = 32 if self.backend == "cuda" else 64
        target = SimpleNamespace(backend=self.backend, warp_size=warp)

        class Made:
            metadata = SimpleNamespace(num_warps=options["num_warps"], target=target)
            n_spills: int | None = None  # as Triton has it before the code is loaded

            @property
            def run(self) -> object:
                if spilled is None:
                    raise OutOfResources(300_000, 200_000, "shared memory")
                self.n_spills = spilled
                return self

        return Made()

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *given, **options: self.launched.append((grid, given, options))


FOUND: list[tuple[str, dict[Way, int | None], Way]] = [
    ("cuda", {(): 0}, ()),
    ("cuda", {(): 8, (("maxnreg", 255),): 0}, (("maxnreg", 255),)),
    ("cuda", {(): 8, (("maxnreg", 255),): 8, (("num_warps", 8),): 8}, ()),
    ("cuda", {(): 8, (("maxnreg", 255),): None, (("num_warps", 8),): 0}, (("num_warps", 8),)),
    ("hip", {(): 8, (("num_warps", 8),): 4, (("num_warps", 2),): 0}, (("num_warps", 2),)),
    ("hip", {(): 8, (("num_warps", 8),): 0}, (("num_warps", 8),)),
    ("hip", {(): 8, (("num_warps", 8),): None, (("num_warps", 2),): 6}, (("num_warps", 2),)),
]


@pytest.mark.parametrize(("backend", "spills", "best"), FOUND)
def test_a_device_launches_what_spills_least(backend: str, spills: dict[Way, int | None], best: Way) -> None:
    jitted = Jitted(spills, backend)
    settled, x = Settled(KERNEL, jitted), torch.zeros(4)
    for grid in ((3,), (5,)):
        settled[grid](x, 7, **dict(KERNEL.constants), **options_of(KERNEL))
    wanted = {"SIZE": 4, "num_warps": 4, "num_stages": 2, "enable_fp_fusion": True} | dict(best)
    assert jitted.launched == [((3,), (x, 7), wanted), ((5,), (x, 7), wanted)]
    assert len(jitted.warmed) == len(spills)  # at the first launch alone, and no further than to what does not spill


def test_each_device_has_its_own() -> None:
    jitted = Jitted({(): 0}, "cuda")
    settled = Settled(KERNEL, jitted)
    for place in ("cpu", "meta", "cpu"):
        settled[(1,)](torch.zeros(4, device=place), **dict(KERNEL.constants), **options_of(KERNEL))
    assert len(jitted.warmed) == 2 and len(jitted.launched) == 3


def test_what_does_not_fit_at_all_is_told() -> None:
    from triton.runtime.errors import OutOfResources

    with pytest.raises(OutOfResources):
        Settled(KERNEL, Jitted({(): None}, "cuda"))[(1,)](torch.zeros(4), SIZE=4, **options_of(KERNEL))


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "interpreted", lambda: False)
    yield
    module._settled.clear()


def test_functions_of_a_device_are_settled_once(
    on_device: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANAUS_CACHE", str(tmp_path))
    first, second = function(KERNEL), function(KERNEL)
    assert isinstance(first, Settled) and first is second and callable(first.jitted)
    monkeypatch.setattr(module, "interpreted", lambda: True)
    assert not isinstance(function(KERNEL), Settled)


def test_nothing_is_made_where_nothing_spills() -> None:
    made: list[object] = []
    assert least_spilled(0, lambda found: found, others("hip", 64, 256), lambda more: made.append(more)) == (0, {})
    assert not made
    assert others("cuda", 32, 256) == [{"maxnreg": 255}, {"num_warps": 16}]
    assert others("cuda", 32, 512) == [{"maxnreg": 128}]
    assert others("hip", 64, 64) == [{"num_warps": 2}] and others("hip", 64, 1024) == [{"num_warps": 8}]


def test_triton_has_what_is_asked_of_it() -> None:
    """The names that a fake cannot vouch for, in the version that is installed."""
    import inspect

    from triton.compiler.compiler import CompiledKernel
    from triton.runtime.jit import JITFunction

    assert "grid" in inspect.signature(JITFunction.warmup).parameters
    assert isinstance(CompiledKernel.run, property)
    text = inspect.getsource(CompiledKernel)
    assert "self.n_spills" in text and "OutOfResources" in text and "GPUTarget(target['backend']" in text
