"""A GPU that is not there: tensors that say they are on it, and refuse to meet those of the host.

What a tensor on "cuda" does is done on the CPU. What torch would refuse on a GPU is refused: an operation on tensors of
both sides, numpy's view of one on the device, and a kernel that is given one of the host. Kernels run in Triton's
interpreter; graphs are replayed as `Recording` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from danaus.backends.triton import device, engine, graphs, network_queries, scalar, way_back
from danaus.backends.triton.targets import MODEL
from recorded_launches import Recording

GPU = torch.device("cuda", 0)
_BETWEEN = {"aten::copy_", "aten::_to_copy"}


class OnGpu(torch.Tensor):
    """A tensor that says it is on the GPU; `inner` has its numbers."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> OnGpu:
        made: OnGpu = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device="meta"
        )
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it says that it is: torch itself, which has no such device, takes it for one without numbers."""
        return GPU

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return _run(function, given, named or {})

    def data_ptr(self) -> int:
        return self.inner.data_ptr()


class _Watching(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return _run(function, given, named or {})


def _run(function: Any, given: Any, named: dict[str, Any]) -> Any:
    sides: list[torch.Tensor] = []

    def plain(each: Any) -> Any:
        if isinstance(each, torch.Tensor):
            sides.append(each)
        return each.inner if isinstance(each, OnGpu) else each

    own, others = tree_map(plain, given), tree_map(plain, named)
    name = function.name().split(".")[0]
    there = [each for each in sides if isinstance(each, OnGpu)]
    here = [each for each in sides if not isinstance(each, OnGpu) and each.dim()]
    asked = others.get("device")
    if there and here and name not in _BETWEEN:
        raise AssertionError(f"{name} on tensors of both sides: {[tuple(each.shape) for each in here]} of the host")
    if asked is not None:
        others["device"] = torch.device("cpu")
    found = function(*own, **others)
    if name == "aten::_to_copy" and asked is None:
        lifts = bool(there)
    elif asked is not None:
        lifts = torch.device(asked).type == "cuda"
    else:
        lifts = bool(there)
    if not lifts:
        return found
    if name.endswith("_") and isinstance(found, torch.Tensor) and isinstance(given[0], OnGpu):
        return given[0]
    return tree_map(lambda each: OnGpu(each) if isinstance(each, torch.Tensor) else each, found)


@contextmanager
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    """In it `device="cuda"` is such a GPU."""
    from triton.runtime.interpreter import InterpretedFunction

    run: Any = InterpretedFunction.run

    def launched(self: Any, *given: Any, **more: Any) -> Any:
        host = [each for each in given if isinstance(each, torch.Tensor) and not isinstance(each, OnGpu)]
        assert not host, f"{self} is given tensors of the host"
        with torch.utils._python_dispatch._disable_current_modes(), np.errstate(all="ignore"):
            return run(self, *(each.inner if isinstance(each, OnGpu) else each for each in given), **more)

    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(InterpretedFunction, "run", launched)
        patch.setattr(device, "device_of", lambda name: GPU)
        patch.setattr(device, "gpu_of", lambda device: MODEL)
        for module in (engine, graphs, way_back, scalar, network_queries):
            patch.setattr(module, "on", lambda device: nullcontext(), raising=False)
        recording = Recording(patch)
        with _Watching():
            yield recording
