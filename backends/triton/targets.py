"""The GPUs that kernels are compiled for: their names, their limits, and what a roofline takes of them.

What enters is a name as `--target` takes it; what leaves says what a kernel may use at most, and how fast one device of
the kind is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ...ir.diagnostic import error

Backend = Literal["cuda", "hip"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use at most: bytes of shared memory, columns of tensor memory, registers of a thread."""

    shared: int
    tensor: int
    registers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one device does in a second, as far as it can be reached: bytes, and operations by kind.

    `half` are operations on bfloat16 on the matrix units, `tf32` those on rounded float32, `single` those on float32
    without matrix units, `special` exponentials and logarithms; `units` are its multiprocessors, each with `first`
    bytes of first-level cache. `cache` are the bytes that stay out of memory. Its second-level caches are `dies` with
    `near` bytes each, of which a multiprocessor takes `stream` bytes; of what is beyond them, but in a cache behind, it
    takes `far`. `launch` are the seconds between two kernels of a graph, `stage` those that one stage of a path takes
    in its program, however small.
    """

    device: str
    bytes: float
    half: float
    tf32: float
    single: float
    special: float
    units: int
    first: int
    cache: float
    near: float
    dies: int
    stream: float
    far: float
    launch: float = 2e-6
    stage: float = 1e-6

    @property
    def second(self) -> float:
        """Bytes of all second-level caches."""
        return self.near * self.dies

    def taken(self, shared: float, own: float) -> float:
        """Bytes that a multiprocessor takes in a second of what is not in memory: `shared` are read on all of the
        device, so that each second-level cache has to hold them, and of what programs have for their `own` a part."""
        return self.stream if shared + own / self.dies <= self.near else self.far


@dataclass(frozen=True, slots=True)
class Gpu:
    """A kind of GPU: `backend` and `architecture` are Triton's, `warp` the threads of a warp.

    What is chosen by predicted time is chosen by the `rates` of the GPU that kernels are made for.
    """

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


# Of an H200 SXM (sm_90; an H100 has the same but 3.35 TB/s) 4.3 TB/s of copies and 790 TFLOP/s of bf16 were measured
# once: 0.9 and 0.8 of what its data sheet says, 4.8 TB/s and 989 TFLOP/s. All
# other rates are the data sheets' of the A100 SXM 80 GB, H200 SXM, B200 SXM and MI300X OAM, without sparsity, times the
# same shares: none of these was measured. Caches, multiprocessors and clocks are those of the vendors' white papers.
# Exponentials are 16 in a clock and multiprocessor on all four (four special-function units of 4 lanes on NVIDIA's, a
# quarter of 64 lanes on AMD's). A multiprocessor takes 64 bytes of the second-level cache in a clock.
#
# NVIDIA's have one second-level cache for the whole device and none behind it. Each of the MI300X's eight dies has one
# of 4 MiB, and all of them 256 MB behind (Infinity Cache), of 17.2 TB/s by its white paper.
#
# `launch` and `stage` are estimates and the same for all: about 2 µs between nodes of a graph, and about 1 µs for a
# product, a maximum, exponentials and barriers that wait for one another.
_READ, _MADE = 0.9, 0.8


def _special(units: int, clock: float) -> float:
    return 16 * units * clock


A100 = Rates(
    device="A100",
    bytes=_READ * 2.039e12,
    half=_MADE * 312e12,
    tf32=_MADE * 156e12,
    single=_MADE * 19.5e12,
    special=_special(108, 1.41e9),
    units=108,
    first=192 << 10,  # with shared memory
    cache=40e6,
    near=40e6,
    dies=1,
    stream=64 * 1.41e9,
    far=64 * 1.41e9,
)
H200 = Rates(
    device="H200",
    bytes=4.3e12,  # measured
    half=790e12,  # measured
    tf32=_MADE * 494.5e12,
    single=_MADE * 67e12,
    special=_special(132, 1.83e9),
    units=132,
    first=256 << 10,
    cache=50e6,
    near=50e6,
    dies=1,
    stream=64 * 1.83e9,
    far=64 * 1.83e9,
)
B200 = Rates(
    device="B200",
    bytes=_READ * 8e12,
    half=_MADE * 2250e12,
    tf32=_MADE * 1125e12,
    single=_MADE * 80e12,
    special=_special(148, 1.85e9),
    units=148,
    first=256 << 10,
    cache=126e6,
    near=126e6,
    dies=1,
    stream=64 * 1.85e9,
    far=64 * 1.85e9,
)
MI300X = Rates(
    device="MI300X",
    bytes=_READ * 5.3e12,
    half=_MADE * 1307.4e12,
    tf32=_MADE * 653.7e12,
    single=_MADE * 163.4e12,
    special=_special(304, 2.1e9),
    units=304,
    first=32 << 10,  # shared memory is apart
    cache=256e6,
    near=4 << 20,
    dies=8,
    stream=64 * 2.1e9,
    far=_READ * 17.2e12 / 304,
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

MODEL = GPUS["cuda:sm_90"]
"""The GPU that is meant where none is named, as in Triton's interpreter."""


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


def kind_like(name: str, units: int, cache: int, shared: int) -> Gpu:
    """A GPU that is no target, with so many multiprocessors, bytes of cache and of shared memory: of the targets the
    one of its maker whose architecture is the nearest below, with rates in proportion.

    >>> kind_like("cuda:sm_86", 84, 6 << 20, 99 << 10).rates.units
    84
    """
    backend, _, architecture = name.partition(":")
    number = int("".join(filter(str.isdigit, architecture)) or 0)
    alike = [gpu for gpu in GPUS.values() if gpu.backend == backend]
    below = [gpu for gpu in alike if backend == "cuda" and int(gpu.architecture) <= number]
    model = (below or alike[:1])[-1]  # they stand by architecture
    share, rates = units / model.rates.units, model.rates
    own = replace(
        rates,
        device=name,
        half=rates.half * share,
        tf32=rates.tf32 * share,
        single=rates.single * share,
        special=rates.special * share,
        units=units,
        cache=max(float(cache), 1.0),
        near=max(cache / rates.dies, 1.0),
    )
    kind = architecture if backend == "hip" else number
    return replace(model, name=name, architecture=kind, limits=replace(model.limits, shared=shared), rates=own)
