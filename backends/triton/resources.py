"""What a compiled kernel takes of a GPU, read from its machine code; and whether it is within the GPU's limits.

What enters is the text (PTX or AMDGCN), what `cuobjdump` says of a cubin, and the sizes that Triton chose. Triton
checks none of the limits: a kernel with too much shared memory is refused by the driver at its first launch, and one
with too much tensor memory does nothing but trap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...ir.diagnostic import DanausError, error
from .targets import Gpu

MATRIX = {
    "mma.sync": re.compile(r"\bmma\.sync\.aligned\.\S+"),
    "wgmma": re.compile(r"\bwgmma\.mma_async\.\S+"),
    "tcgen05": re.compile(r"\btcgen05\.mma\.\S+"),
    "mfma": re.compile(r"\bv_mfma_\w+"),
}
"""Instructions of the matrix units by their kind, as they stand in the text."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a kernel takes of a GPU.

    `registers` are those of a thread, `spilled` bytes that a thread keeps in memory for want of registers, `shared`
    bytes of a program, `tensor` columns of tensor memory. `matrix` counts instructions of the matrix units in the text
    by kind, `looped` those of them that stand within a loop. `threads` are those of a program.
    """

    registers: int
    spilled: int
    shared: int
    tensor: int
    threads: int
    matrix: Mapping[str, int] = field(default_factory=dict[str, int])
    looped: Mapping[str, int] = field(default_factory=dict[str, int])


def instructions(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """Instructions of the matrix units by kind in PTX or AMDGCN: all, and those between a label and a jump back."""
    places: dict[str, int] = {}
    found: list[tuple[int, str]] = []
    loops: list[tuple[int, int]] = []
    for number, line in enumerate(text.splitlines()):
        code = re.split(r"//|;\s", line + " ")[0]
        if label := re.match(r"\s*(\$?[.\w$]+):(?!:|\S)", code):
            places[label[1]] = number
            continue
        found += [(number, kind) for kind, pattern in MATRIX.items() if pattern.search(code)]
        branch = re.search(r"\b(?:bra(?:\.uni)?|s_c?branch\w*)\s+(\$?[.\w$]+)", code)
        if branch and branch[1] in places:
            loops.append((places[branch[1]], number))
    inside = [kind for place, kind in found if any(first <= place <= last for first, last in loops)]
    return _counted(kind for _, kind in found), _counted(inside)


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kind in kinds:
        counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items()))


def of_cuda(text: str, usage: str, shared: int, tensor: int, threads: int) -> Resources:
    """The resources of a cubin: `usage` is what `cuobjdump -res-usage` says of it."""
    matrix, looped = instructions(text)
    return Resources(
        _number(r"REG:(\d+)", usage), _number(r"STACK:(\d+)", usage), shared, tensor, threads, matrix, looped
    )


def of_hip(text: str, shared: int, threads: int) -> Resources:
    """The resources of an hsaco, from the notes at the end of its AMDGCN."""
    matrix, looped = instructions(text)
    spilled = _number(r"\.private_segment_fixed_size:\s+(\d+)", text) + 4 * _number(
        r"\.vgpr_spill_count:\s+(\d+)", text
    )
    return Resources(_number(r"\.vgpr_count:\s+(\d+)", text), spilled, shared, 0, threads, matrix, looped)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return int(found[1])


def require_within(kernel: str, gpu: Gpu, taken: Resources) -> None:
    """Refuses a kernel that takes more than the GPU has.

    Raises: DanausError `kernel-too-large`, a diagnostic for each limit.
    """
    limits = gpu.limits
    threads = 1024
    asked = [
        ("bytes of shared memory", taken.shared, limits.shared),
        ("columns of tensor memory", taken.tensor, limits.tensor),
        ("registers in a thread", taken.registers, limits.registers),
        ("threads", taken.threads, threads),
    ]
    over = [
        error(
            "kernel-too-large",
            f"{kernel} takes {amount} {what}, and {gpu.name} has {limit}",
            hint="smaller tiles take less",
        ).diagnostics[0]
        for what, amount, limit in asked
        if amount > limit
    ]
    if over:
        raise DanausError(*over)
