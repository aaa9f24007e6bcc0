"""Which device runs kernels: a GPU that torch has, or, under TRITON_INTERPRET=1, this process, slowly, for tests."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from ...ir.diagnostic import error
from .policy import DEFAULT, RECORDED, Precision
from .targets import GPUS, MODEL, Gpu, kind_like


def device_of(name: str) -> torch.device:
    """The device of a name such as "cuda" or "cuda:1", with its number; the interpreter's is the CPU.

    Raises: DanausError `unknown-device`, `no-device`, `missing-package` without Triton.
    """
    found = named(name)
    try:
        import triton  # noqa: F401  (its absence is told here, before anything is made)
    except ImportError as failure:
        hint = 'pip install "danaus[triton]"'
        raise error("missing-package", f"{failure.name} is not installed", hint=hint) from failure
    if interpreted():
        return torch.device("cpu")
    return numbered(found, 'device="cpu" runs everywhere; `danaus compile --target cuda:sm_90` needs no GPU')


def numbered(device: torch.device, hint: str) -> torch.device:
    """A GPU with its number: "cuda" is the one that is current now, whichever is current when it is used.

    Raises: DanausError `no-device`.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        number = torch.cuda.current_device() if device.index is None else device.index
        if number < torch.cuda.device_count():
            return torch.device("cuda", number)
    raise error("no-device", f'torch finds no GPU for "{device}"', hint=hint)


def on(device: torch.device) -> AbstractContextManager[object]:
    """In it the device is the current one: Triton and the driver launch on that, wherever the tensors are."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def numbers_on(device: torch.device) -> int:
    """How many numbers of 4 bytes the buffers of a batch have at most: those of as many sizes as are recorded take a
    quarter of the memory, forward, and another one back."""
    if device.type != "cuda":
        return 1 << 31
    return int(torch.cuda.get_device_properties(device).total_memory) // (4 * 4 * RECORDED)


def target_of(device: torch.device) -> str:
    """The target that a device is of, as `--target` names it."""
    if device.type != "cuda":
        return device.type
    if torch.version.hip:
        return f"hip:{torch.cuda.get_device_properties(device).gcnArchName.partition(':')[0]}"
    return "cuda:sm_{}{}".format(*torch.cuda.get_device_capability(device))


def gpu_of(device: torch.device) -> Gpu:
    """The GPU that a device is, by whose rates kernels for it are chosen; of a kind that is no target, one like it with
    its own number of multiprocessors and bytes of cache. For the interpreter, a model."""
    if device.type != "cuda":
        return MODEL
    name = target_of(device)
    if name in GPUS:
        return GPUS[name]
    found = torch.cuda.get_device_properties(device)
    shared = getattr(found, "shared_memory_per_block_optin", 0) or found.shared_memory_per_block
    return kind_like(name, found.multi_processor_count, found.L2_cache_size, shared)


def named(name: str) -> torch.device:
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


def chosen(precision: Precision | None) -> Precision:
    """A precision, or the one that is right where none is named; the interpreter knows only float32."""
    return "ieee" if interpreted() else precision or DEFAULT


def interpreted() -> bool:
    """Whether Triton's interpreter runs kernels."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")
