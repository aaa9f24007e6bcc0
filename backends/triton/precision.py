"""Matrix products on tiles in each precision, as lines of a kernel: weights on the left, values up to 1 on the right.

All accumulate in float32. `tf32` rounds both factors to nearest first: Triton hands the tensor core float32 bits, which
truncates them, and a log-likelihood over 256 steps then comes out 0.18 low. The weights are rounded with their tables.
`bf16x3` splits both into a bf16 and what that leaves, and drops the product of what is left.
"""

from __future__ import annotations

from .policy import Precision
from .text import Lines


def product(lines: Lines, precision: Precision, out: str, left: str, right: str, added: str | None) -> None:
    """Lines for out = left · right + added."""
    third = "" if added is None else f", {added}"
    match precision:
        case "ieee" | "tf32x3":
            lines.add(f'{out} = tl.dot({left}, {right}{third}, input_precision="{precision}")')
        case "tf32":
            lines.add(
                f"{right} = (({right}.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)",
                f'{out} = tl.dot({left}, {right}{third}, input_precision="tf32")',
            )
        case "bf16":
            lines.add(f"{out} = tl.dot({left}.to(tl.bfloat16), {right}.to(tl.bfloat16){third})")
        case "bf16x3":
            high = lines.let("wh", f"{left}.to(tl.bfloat16)")
            low = lines.let("wl", f"({left} - {high}.to(tl.float32)).to(tl.bfloat16)")
            upper = lines.let("ph", f"{right}.to(tl.bfloat16)")
            lower = lines.let("pl", f"({right} - {upper}.to(tl.float32)).to(tl.bfloat16)")
            lines.add(
                f"{out} = tl.dot({low}, {upper}{third})",
                f"{out} = tl.dot({high}, {lower}, {out})",
                f"{out} = tl.dot({high}, {upper}, {out})",
            )
