"""The shapes of vectors on a target: type, width, and what follows from them for tiles and register blocks."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

ROW = 128
"""Bytes of one node's row in a tile: 32 lanes of float32, 16 of float64."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of `width` numbers of `size` bytes, on a target with so many vector registers; a node's row in a tile
    has `row` bytes. `signed` where values may be negative: code then tracks the largest magnitude, and nothing else of
    a buffer's range (signed.py)."""

    size: int
    width: int
    registers: int
    row: int = ROW
    signed: bool = False

    @property
    def lanes(self) -> int:
        """Rows of data in a tile."""
        return self.row // self.size

    @property
    def columns(self) -> int:
        """Vectors in a row of a tile."""
        return self.lanes // self.width

    @property
    def bytes(self) -> int:
        return self.size * self.width

    @property
    def bits(self) -> int:
        return 8 * self.bytes

    @property
    def number(self) -> str:
        return "float" if self.size == 4 else "double"

    @property
    def integer(self) -> str:
        return "i32" if self.size == 4 else "i64"

    @property
    def floats(self) -> str:
        return f"<{self.width} x {self.number}>"

    @property
    def ints(self) -> str:
        return f"<{self.width} x {self.integer}>"

    @property
    def suffix(self) -> str:
        return f"v{self.width}f{8 * self.size}"

    @property
    def mantissa(self) -> int:
        return 23 if self.size == 4 else 52

    @property
    def bias(self) -> int:
        return 127 if self.size == 4 else 1023

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return float(2.0 ** (1 - self.bias))

    @property
    def epsilon(self) -> float:
        """Half a unit in the last place of 1."""
        return float(2.0 ** -(self.mantissa + 1))

    def align(self, kind: str) -> int:
        """The alignment of a type in the buffers."""
        if kind.startswith("<"):
            return self.bytes
        return {"float": 4, "double": 8, "i8": 1, "i32": 4, "i64": 8, "ptr": 8}[kind]

    def constant(self, value: float) -> str:
        if self.size == 4 and math.isfinite(value):
            value = struct.unpack("f", struct.pack("f", value))[0]
        spelt = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
        return f"<{', '.join([f'{self.number} {spelt}'] * self.width)}>"

    @property
    def intrinsics(self) -> dict[str, str]:
        """The intrinsics that may be called, by the beginning of their names."""
        floats, suffix, width = self.floats, self.suffix, self.width
        return {
            "fma": f"declare {floats} @llvm.fma.{suffix}({floats}, {floats}, {floats})",
            "fabs": f"declare {floats} @llvm.fabs.{suffix}({floats})",
            "masked.gather": f"declare {floats} @llvm.masked.gather.{suffix}.v{width}p0("
            f"<{width} x ptr>, <{width} x i1>, {floats})",
            "prefetch": "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
        }
