"""The GPUs that kernels are compiled for: their names, their limits, and what a roofline takes of them.

What enters is a name as `--target` takes it; what leaves says what a kernel may use at most, and how fast one device of
the kind is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...ir.diagnostic import error

Backend = Literal["cuda", "hip"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use at most: bytes of shared memory, columns of tensor memory, registers of a thread."""

    shared: int
    tensor: int
    registers: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What one device does in a second, as far as it can be reached: bytes, and operations by kind.

    `half` are operations on bfloat16 on the matrix units, `tf32` those on rounded float32, `single` those on float32
    without matrix units, `special` exponentials and logarithms; `units` are its multiprocessors, `stream` the bytes
    that one of them takes of the second-level cache, `cache` the bytes that this holds, `launch` the seconds between
    two kernels of a graph, `stage` those that one stage of a path takes in its program, however small.
    """

    device: str
    bytes: float
    half: float
    tf32: float
    single: float
    special: float
    units: int
    stream: float
    cache: float
    launch: float = 2e-6
    stage: float = 1e-6


@dataclass(frozen=True, slots=True)
class Gpu:
    """A kind of GPU: `backend` and `architecture` are Triton's, `warp` the threads of a warp."""

    name: str
    backend: Backend
    architecture: int | str
    warp: int
    limits: Limits
    rates: Rates

    @property
    def text(self) -> str:
        """What the readable machine code is called."""
        return "ptx" if self.backend == "cuda" else "amdgcn"

    @property
    def binary(self) -> str:
        """What the loadable machine code is called."""
        return "cubin" if self.backend == "cuda" else "hsaco"


# Rates of an H200: 4.3 TB/s of copies and 790 TFLOP/s of bf16 were measured, 0.9 and 0.8 of what its data sheet says
# (4.8 TB/s, 989 TFLOP/s). The other rates are the data sheets' (without sparsity) times the same shares: A100 SXM 80 GB
# 2.039 TB/s, 312, 156 and 19.5 TFLOP/s; H200 494.5 and 67; B200 8 TB/s, 2250, 1125 and 80; MI300X 5.3 TB/s, 1307.4,
# 653.7 and 163.4. Exponentials: 16 per clock and multiprocessor, at 1.41, 1.83, 1.85 and 2.1 GHz. Between nodes of a
# graph stand about 2 µs, a stage of a path takes about 1 µs (a product, a maximum, exponentials and barriers that wait
# for one another), and a multiprocessor takes 64 bytes of the second-level cache in a clock: estimates.
_READ, _MADE = 0.9, 0.8

A100 = Rates("A100", _READ * 2.039e12, _MADE * 312e12, _MADE * 156e12, _MADE * 19.5e12, 2.4e12, 108, 64 * 1.41e9, 40e6)
H200 = Rates("H200", 4.3e12, 790e12, _MADE * 494.5e12, _MADE * 67e12, 3.9e12, 132, 64 * 1.83e9, 50e6)
B200 = Rates("B200", _READ * 8e12, _MADE * 2250e12, _MADE * 1125e12, _MADE * 80e12, 4.4e12, 148, 64 * 1.85e9, 126e6)
MI300X = Rates(
    "MI300X", _READ * 5.3e12, _MADE * 1307.4e12, _MADE * 653.7e12, _MADE * 163.4e12, 10.2e12, 304, 64 * 2.1e9, 256e6
)

GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("cuda:sm_80", "cuda", 80, 32, Limits(163 << 10, 0, 255), A100),
        Gpu("cuda:sm_90", "cuda", 90, 32, Limits(227 << 10, 0, 255), H200),
        Gpu("cuda:sm_100", "cuda", 100, 32, Limits(227 << 10, 512, 255), B200),
        Gpu("hip:gfx942", "hip", "gfx942", 64, Limits(64 << 10, 0, 512), MI300X),
    )
}
"""GPUs by the name that `--target` takes. A thread of gfx942 has 256 registers and as many for the matrix units."""


def is_gpu(name: str) -> bool:
    """Whether the name of a target is a GPU's, known or not."""
    return name.partition(":")[0] in ("cuda", "hip")


def gpu_named(name: str) -> Gpu:
    """The GPU of a name.

    >>> gpu_named("cuda:sm_90").limits.shared
    232448

    Raises: DanausError `unknown-target`.
    """
    if name not in GPUS:
        raise error("unknown-target", f'there is no target "{name}"', hint=f"GPUs are {', '.join(GPUS)}")
    return GPUS[name]
