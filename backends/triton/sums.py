"""Sums kept as numbers between two matrices, as between the factors of a map: no logarithm and no exponential.

Z[node, b] stands for Z · 2^t, with t a whole number for each tile of rows and row of data. What writes has taken out a
power of two near its largest value; what reads takes exponents out of the bits, so that the largest of what it
multiplies is between 1 and 2, exactly. In bf16 the error is the product's, whose factors are bf16 anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from . import policy
from .groups import Grouped
from .paths import following
from .policy import Precision
from .text import ZERO, At, Lines
from .value import Form, Read, Sums

LOG2 = 0.6931471805599453
LOG2E = 1.4426950408889634


def linked(found: Grouped, batch: int, precision: Precision) -> Mapping[int, Form]:
    """The forms of groups that write or read sums: of those that alone read what one other wrote, and nothing else."""
    forms: dict[int, Form] = {}
    for before, after in following(found).items():
        first = forms.get(before, found.groups[before].form)
        second = forms.get(after, found.groups[after].form)
        sums = _sums(first, batch, precision)
        if sums is not None and _takes(second):
            forms[before] = replace(first, writes=sums)
            forms[after] = replace(second, reads=sums)
    return forms


def _takes(form: Form) -> bool:
    return isinstance(form.value, Read) and form.matrix is not None and form.matrix.rows > policy.VECTOR


def _sums(form: Form, batch: int, precision: Precision) -> Sums | None:
    matrix = form.matrix
    if matrix is None or matrix.rows <= policy.VECTOR:
        return None
    if matrix.blocks == 1 and matrix.write[1] != 1:
        return None
    if matrix.blocks > 1 and matrix.write not in ((matrix.rows, 1), (1, matrix.blocks)):
        return None
    write = (matrix.rows, 1) if matrix.blocks == 1 else matrix.write
    tile = policy.dense_tiles(matrix.rows, matrix.columns, batch, precision).rows
    return Sums(matrix.blocks, matrix.rows, tile, write, precision == "bf16")


def pointer_lines(lines: Lines, sums: Sums, row: str) -> tuple[str, str]:
    """Lines for where numbers and powers of two lie, from the row of the buffer; their names."""
    row = lines.let("row", row)
    numbers = f"values + {row} * stride + b"
    if sums.half:
        numbers = f"values.to(tl.pointer_type(tl.bfloat16)) + 2 * {row} * stride + b"
    return lines.let("z", numbers), lines.let("t", f"values + ({row} + {sums.first}) * stride + b")


def source_lines(lines: Lines, sums: Sums, at: At, pointers: tuple[str, str]) -> tuple[str, str]:
    """Lines that load sums: their exponents, rounded down, −inf of a zero, and their bits; the names of both."""
    numbers, powers = pointers
    z = lines.let("v", at.loaded(f"{numbers}[None, :] + {at.nodes}[:, None] * stride", "0.0"))
    bits = lines.let("bits", f"{z}.to(tl.float32).to(tl.int32, bitcast=True) & 0x7FFFFFFF")
    t = lines.let("v", at.loaded(f"{powers}[None, :] + ({sums.scale(str(at.nodes))})[:, None] * stride", "0.0"))
    whole = f'tl.where({bits} >= 0x7F800000, float("inf"), (({bits} >> 23) - 127).to(tl.float32) + {t})'
    return lines.let("x", f"tl.where({bits} == 0, {ZERO}, {whole})"), bits


def factor_lines(lines: Lines, exponent: str, bits: str) -> None:
    """Lines for p, the sums divided by the power of two `shift`."""
    below = lines.let("below", f"tl.maximum({exponent} - shift[None, :], -127.0).to(tl.int32)")
    lines.add(
        f"p = tl.where({below} < -126, 0, ({bits} & 0x7FFFFF) | (({below} + 127) << 23)).to(tl.float32, bitcast=True)"
    )


def shift_of(form: Form, scale: str, base: float) -> str:
    """The logarithm of what the sums of a group are to be multiplied by, in float64, to a base whose own is given."""
    shift = "shift.to(tl.float64)"
    if form.reads is not None:
        return f"{shift}{f' * {LOG2!r}' if base == 1.0 else ''} + tl.load({scale}).to(tl.float64)" + (
            "" if base == 1.0 else f" * {LOG2E!r}"
        )
    return f"({shift} + tl.load({scale}).to(tl.float64)) * {LOG2E!r}"


def store_lines(lines: Lines, form: Form, sums: Sums, scale: str, row: str, node: str, tile: str, mask: str) -> None:
    """Lines that write `total` as sums to the buffer at a row: nodes, and the power of two of a tile."""
    numbers, powers = pointer_lines(lines, sums, row)
    total = "total.to(tl.bfloat16)" if sums.half else "total"
    lines.add(
        f"power = {shift_of(form, scale, LOG2)}",
        "whole = tl.floor(power)",
        "total = total * tl.exp2((power - whole).to(tl.float32))[None, :]",
        f"tl.store({numbers}[None, :] + ({node})[:, None] * stride, {total}{mask})",
        f"tl.store({powers} + ({tile}) * stride, whole.to(tl.float32))",
    )
