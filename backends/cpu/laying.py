"""Code that lays out matrices in the order in which register blocks read them (maps.py), times a number.

What enters are entries outside the arena, with strides; what leaves are for each block of rows its columns one after
another. Rows that lie beside one another outside are copied, others are turned in square blocks of vectors.
"""

from __future__ import annotations

from .between import Scalars, transposed
from .maps import row_blocks


class RegisterOrder(Scalars):
    """What lays out matrices."""

    def laid(
        self, blocks: int, rows: int, columns: int, strides: tuple[int, int, int], source: str, body: str, scale: str
    ) -> None:
        """Entries (block, row, column), so many numbers apart in the source, in the order of register blocks."""
        f, v = self.f, self.v

        def block(i: str) -> None:
            first, target = f.at(source, i, self.outer * strides[0]), f.at(body, i, rows * columns * v.size)
            offset = row = 0
            for size, count in row_blocks(rows, v):
                start = f.at(first, None, offset=self.outer * row * strides[1])
                place = f.at(target, None, offset=offset)
                if size == 1:
                    self._each(size, count, columns, strides, start, place, scale)
                elif strides[1] == 1:
                    self._side_by_side(size, count, columns, strides[2], start, place, scale)
                elif columns % v.width == 0 and size <= v.width:
                    self._turned(size, count, columns, strides[1], start, place, scale)
                else:
                    self._each(size, count, columns, strides, start, place, scale)
                offset += count * size * columns * v.size
                row += count * size

        f.loop(blocks, block)

    def _scaled_to(self, x: str, scale: str, lanes: int, place: str) -> None:
        """Writes a vector of numbers from outside, times a number."""
        f, wide = self.f, f"<{lanes} x {self.outside}>"
        value = self.narrow(f.op(f"fmul {wide} {x}, {self._splat(scale, lanes)}"), lanes)
        f.store(value, place, f"<{lanes} x {self.kind}>", self.v.size)

    def _splat(self, x: str, lanes: int) -> str:
        f, wide = self.f, f"<{lanes} x {self.outside}>"
        one = f.op(f"insertelement {wide} poison, {self.outside} {x}, i64 0")
        return f.op(f"shufflevector {wide} {one}, {wide} poison, <{lanes} x i32> zeroinitializer")

    def _side_by_side(
        self, size: int, count: int, columns: int, stride: int, source: str, body: str, scale: str
    ) -> None:
        """Rows that lie beside one another in the source: a column's after another's, as the source has them."""
        f, v = self.f, self.v

        def column(c: str) -> None:
            first, target = f.at(source, c, self.outer * stride), f.at(body, c, size * v.size)

            def rows_of(n: str) -> None:
                x = f.load(f.at(first, n, self.outer * size), f"<{size} x {self.outside}>", self.outer)
                self._scaled_to(x, scale, size, f.at(target, n, size * columns * v.size))

            f.loop(count, rows_of)

        f.loop(columns, column)

    def _turned(self, size: int, count: int, columns: int, stride: int, source: str, body: str, scale: str) -> None:
        """Rows whose columns lie beside one another, so many vectors at a time."""
        f, v, lanes = self.f, self.v, self.v.width
        wide = f"<{lanes} x {self.outside}>"
        some = ", ".join(f"i32 {r}" for r in range(size))
        factor = self._splat(scale, lanes)

        def rows_of(n: str) -> None:
            first, target = f.at(source, n, self.outer * size * stride), f.at(body, n, size * columns * v.size)

            def stretch(c: str) -> None:
                x, y, taken = f.at(first, c, self.outer), f.at(target, c, size * v.size), ["poison"] * lanes
                for r in range(size):
                    row = f.load(f.at(x, r, self.outer * stride), wide, self.outer)
                    taken[r] = self.narrow(f.op(f"fmul {wide} {row}, {factor}"), lanes)
                for u, column in enumerate(transposed(f, taken, v.number)):
                    part = f.op(f"shufflevector {v.floats} {column}, {v.floats} poison, <{size} x i32> <{some}>")
                    f.store(part, f.at(y, u, size * v.size), f"<{size} x {v.number}>", v.size)

            f.loop(columns, stretch, lanes)

        f.loop(count, rows_of)

    def _each(
        self, size: int, count: int, columns: int, strides: tuple[int, int, int], source: str, body: str, scale: str
    ) -> None:
        """Entries one by one."""
        f, v = self.f, self.v

        def rows_of(n: str) -> None:
            first, target = f.at(source, n, self.outer * size * strides[1]), f.at(body, n, size * columns * v.size)

            def column(c: str) -> None:
                x, y = f.at(first, c, self.outer * strides[2]), f.at(target, c, size * v.size)
                for r in range(size):
                    value = f.load(f.at(x, r, self.outer * strides[1]), self.outside)
                    value = self.narrow(f.op(f"fmul {self.outside} {value}, {scale}"))
                    f.store(value, f.at(y, r, v.size), self.kind)

            f.loop(columns, column)

        f.loop(count, rows_of)
