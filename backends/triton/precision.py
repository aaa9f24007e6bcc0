"""Matrix products on tiles in each precision, as lines of a kernel: weights on the left, values up to 1 on the right.

All accumulate in float32. `tf32` rounds both factors to nearest first: Triton hands the tensor core float32 bits, which
truncates them, and a log-likelihood over 256 steps then comes out 0.18 low. The weights are rounded with their tables.
`bf16x3` splits both into a bf16 and what that leaves, and drops the product of what is left. Weights in memory are what
is multiplied: bf16 for `bf16`, both halves one after the other for `bf16x3`, float32 for the rest; those of matrices of
few rows, which are multiplied without tensor cores, are float32 among the tables.
"""

from __future__ import annotations

from . import policy
from .policy import Precision
from .text import Lines
from .value import Matrix

PADDED = 16
"""Rows and columns of a matrix are filled up with zeros to a multiple of this: 64 bytes, and a tensor core's least."""


def padded(matrix: Matrix) -> tuple[int, int]:
    """Rows and columns of a matrix as it lies in memory; those of few rows have no more."""
    rows = matrix.rows if matrix.rows <= policy.VECTOR else _up(matrix.rows)
    return rows, _up(matrix.columns)


def _up(number: int) -> int:
    return -(-number // PADDED) * PADDED


def held(matrix: Matrix) -> int:
    """How many numbers a matrix is in memory, each once."""
    rows, columns = padded(matrix)
    return (1 if matrix.shared else matrix.blocks) * rows * columns


def bytes_of(precision: Precision) -> int:
    """How many bytes a weight takes in memory."""
    return 2 if precision == "bf16" else 4


def loaded(lines: Lines, precision: Precision, matrix: Matrix, base: str, at: str, mask: str = "") -> tuple[str, ...]:
    """Lines that load a tile of the weights that begin at `base`, as they are multiplied; their names."""
    masked = f", {mask}, 0.0" if mask else ""
    if matrix.rows <= policy.VECTOR or not precision.startswith("bf16"):
        weight = lines.let("weight", f"tl.load({base} + {at}{masked})")
        return prepared(lines, precision, weight) if matrix.rows <= policy.VECTOR else (weight,)
    high = lines.let("wh", f"tl.load({base} + {at}{masked})")
    if precision == "bf16":
        return (high,)
    return (high, lines.let("wl", f"tl.load({base} + {held(matrix)} + {at}{masked})"))


def prepared(lines: Lines, precision: Precision, left: str) -> tuple[str, ...]:
    """Lines that bring a tile of float32 to the numbers that are multiplied; their names."""
    match precision:
        case "bf16":
            return (lines.let("wh", f"{left}.to(tl.bfloat16)"),)
        case "bf16x3":
            high = lines.let("wh", f"{left}.to(tl.bfloat16)")
            return (high, lines.let("wl", f"({left} - {high}.to(tl.float32)).to(tl.bfloat16)"))
        case _:
            return (left,)


def nearest(name: str) -> str:
    """A line that rounds a tile to the nearest tf32: tensor cores truncate. NaN stays what it is: a GPU's has all bits
    set, which would be rounded to −0, and a row of data without a number would seem to have one."""
    whole = f"(({name}.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)"
    return f"{name} = tl.where({name} == {name}, {whole}, {name})"


def rounded(lines: Lines, precision: Precision, left: str) -> tuple[str, ...]:
    """As `prepared`, for values on the left: weights are rounded in memory."""
    if precision == "tf32":
        lines.add(nearest(left))
    return prepared(lines, precision, left)


def product(lines: Lines, precision: Precision, out: str, left: tuple[str, ...], right: str, added: str | None) -> None:
    """Lines for out = left · right + added, where the weights are `prepared`."""
    third = "" if added is None else f", {added}"
    match precision:
        case "ieee" | "tf32x3":
            lines.add(f'{out} = tl.dot({left[0]}, {right}{third}, input_precision="{precision}")')
        case "tf32":
            lines.add(
                nearest(right),
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


def summed(lines: Lines, precision: Precision, total: str, left: tuple[str, ...], right: str) -> None:
    """Lines that add left · right to what stands in `total`, in a loop.

    NVIDIA's tensor cores cut off what float32 does not hold each time they add to a sum, so that a long sum comes out
    low: of 4096 columns by 1.5e-5, 4e-3 over 256 steps. Each part is summed alone, the small products first, and added
    with rounding to nearest; an addition alone would be made part of the product again.
    """
    if precision == "ieee":
        product(lines, precision, total, left, right, total)
        return
    part = lines.name("part")
    product(lines, precision, part, left, right, None)
    lines.add(f"{total} = tl.fma({part}, 1.0, {total})")
