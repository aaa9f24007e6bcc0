"""Matrix products on tiles in each precision, as lines of a kernel: weights on the left, values up to 1 on the right.

All accumulate in float32. `tf32` rounds both factors to nearest first: Triton hands the tensor core float32 bits, which
truncates them, and a log-likelihood over 256 steps then comes out 0.18 low. The weights are rounded with their tables.
`bf16x3` splits both into a bf16 and what that leaves, and drops the product of what is left.
"""

from __future__ import annotations

from .policy import Precision
from .text import Lines


def prepared(lines: Lines, precision: Precision, left: str) -> tuple[str, ...]:
    """Lines that bring a tile of weights to the numbers that are multiplied; their names."""
    match precision:
        case "bf16":
            return (lines.let("wh", f"{left}.to(tl.bfloat16)"),)
        case "bf16x3":
            high = lines.let("wh", f"{left}.to(tl.bfloat16)")
            return (high, lines.let("wl", f"({left} - {high}.to(tl.float32)).to(tl.bfloat16)"))
        case _:
            return (left,)


def product(lines: Lines, precision: Precision, out: str, left: tuple[str, ...], right: str, added: str | None) -> None:
    """Lines for out = left · right + added, where the weights are `prepared`."""
    third = "" if added is None else f", {added}"
    match precision:
        case "ieee" | "tf32x3":
            lines.add(f'{out} = tl.dot({left[0]}, {right}{third}, input_precision="{precision}")')
        case "tf32":
            lines.add(
                f"{right} = (({right}.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)",
                f'{out} = tl.dot({left[0]}, {right}{third}, input_precision="tf32")',
            )
        case "bf16":
            lines.add(f"{out} = tl.dot({left[0]}, {right}.to(tl.bfloat16){third})")
        case "bf16x3":
            high = lines.let("ph", f"{right}.to(tl.bfloat16)")
            low = lines.let("pl", f"({right} - {high}.to(tl.float32)).to(tl.bfloat16)")
            lines.add(
                f"{out} = tl.dot({left[1]}, {high}{third})",
                f"{out} = tl.dot({left[0]}, {low}, {out})",
                f"{out} = tl.dot({left[0]}, {high}, {out})",
            )
