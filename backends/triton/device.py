"""Which device runs kernels: a GPU that torch has, or, under TRITON_INTERPRET=1, this process, slowly, for tests."""

from __future__ import annotations

import os

import torch

from ...ir.diagnostic import error
from .policy import DEFAULT, Precision


def device_of(name: str) -> torch.device:
    """The device of a name such as "cuda" or "cuda:1"; the interpreter's is the CPU.

    Raises: DanausError `unknown-device`, `no-device`, `missing-package` without Triton.
    """
    found = gpu_of(name)
    try:
        import triton  # noqa: F401  (its absence is told here, before anything is made)
    except ImportError as failure:
        hint = 'pip install "danaus[triton]"'
        raise error("missing-package", f"{failure.name} is not installed", hint=hint) from failure
    if interpreted():
        return torch.device("cpu")
    return present(found, "; `danaus compile --target cuda:sm_90` needs no GPU")


def gpu_of(name: str) -> torch.device:
    """The GPU that a name is for, whether it is there or not.

    Raises: DanausError `unknown-device`.
    """
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    if found is None or found.type != "cuda":  # torch calls AMD's GPUs so, too
        hint = 'there are "cpu", and "cuda" or "cuda:1" for GPUs'
        raise error("unknown-device", f'there is no device "{name}"', hint=hint)
    return found


def present(device: torch.device, more: str = "") -> torch.device:
    """The same GPU, where torch finds it; `more` ends the hint.

    Raises: DanausError `no-device`.
    """
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        hint = f'device="cpu" runs everywhere{more}'
        raise error("no-device", f'torch finds no GPU for "{device}"', hint=hint)
    return device


def chosen(precision: Precision | None) -> Precision:
    """A precision, or the one that is right where none is named; the interpreter knows only float32."""
    return "ieee" if interpreted() else precision or DEFAULT


def interpreted() -> bool:
    """Whether Triton's interpreter runs kernels."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")
