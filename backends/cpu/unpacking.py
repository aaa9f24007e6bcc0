"""Code that brings sums of derivatives back to parameters: one pass over memory.

What enters are sums in the arena's order and scales; what leaves is in the shapes in which the tables came, in float64
or in the code's type. Loops are plain, and LLVM's passes vectorise them; an input's table is transposed in vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from .between import Scalars, cast, dispatch, transposed
from .builder import Function
from .outer import padded_columns
from .plan import Kernel
from .state import HEAD
from .vectors import Vectors

UNPACK_FIELDS = ("kernel", "sums", "out", "head")
_UNPACKED = "ptr %records, i64 %count, ptr %sums, ptr %arena, i64 %whole"


def unpack_kernel(kind: str, shape: tuple[int, ...], by_node: bool) -> Kernel:
    """The kernel that brings sums of derivatives of a table back."""
    match kind:
        case "load" if by_node:
            return Kernel("nodes", (shape[0] - 1, shape[1]))
        case "load":
            return Kernel("rows", shape)
        case "contract":
            return Kernel("matrix", (prod(shape[:-1]), shape[-1]))
        case _:
            return Kernel("rows", (1, shape[0]))


def unpack(kernels: tuple[Kernel, ...], vectors: Vectors, outer: int, fresh: bool) -> Function:
    """The function `unpack`: adds the sums to numbers of `outer` bytes, or writes them there where these are `fresh`,
    and leaves zeros in the place of the sums.

    Tables that were given by node come back so, with the derivatives of their sums over values where %whole is not 0.
    """
    f = Function("unpack", _UNPACKED, vectors)

    def one(kernel: Kernel, names: dict[str, str], _: str) -> None:
        out = f.op(f"inttoptr i64 {names['out']} to ptr")
        sums, head = f.at("%sums", names["sums"]), f.at("%arena", names["head"])
        u = _Unpacker(f, vectors, outer, fresh)
        match kernel.kind:
            case "rows":
                u.rows(sums, head, out, *kernel.sizes)
            case "nodes":
                u.nodes(sums, head, out, *kernel.sizes)
            case _:
                u.matrix(sums, head, out, *kernel.sizes)

    dispatch(f, kernels, UNPACK_FIELDS, one)
    return f


@dataclass(slots=True)
class _Unpacker(Scalars):
    fresh: bool = False

    def _scale(self, head: str, row: str | int = 0) -> str:
        """What a row's sums are multiplied by."""
        return self.power(self.f.op(f"sub i64 0, {self.exponent(head, row)}"))

    def _moved(self, sums: str, out: str, scale: str) -> None:
        """One sum, which is 0 afterwards."""
        f, kind = self.f, self.outside
        x = self.wide(f.load(sums, self.kind))
        f.store("0.0", sums, self.kind)
        self._put(f.op(f"fmul {kind} {x}, {scale}"), out)

    def _put(self, value: str, out: str, kind: str | None = None) -> None:
        """A number, or a vector of them, where it belongs."""
        f, kind = self.f, kind or self.outside
        if not self.fresh:
            value = f.op(f"fadd {kind} {f.load(out, kind, self.outer)}, {value}")
        f.store(value, out, kind, self.outer)

    def rows(self, sums: str, head: str, out: str, count: int, nodes: int) -> None:
        """Rows as they are."""
        f = self.f

        def row(r: str) -> None:
            scale = self._scale(head, r)
            first, target = f.at(sums, r, nodes * self.v.size), f.at(out, r, self.outer * nodes)
            f.loop(nodes, lambda k: self._moved(f.at(first, k, self.v.size), f.at(target, k, self.outer), scale))

        f.loop(count, row)

    def nodes(self, sums: str, head: str, out: str, values: int, nodes: int) -> None:
        """[values + 1, nodes] to [nodes, values]; the last row goes to all values, where it is wanted."""
        f, size = self.f, self.v.size
        missing = f.at(sums, None, offset=values * nodes * size)
        wanted = cast(f, f.op("uitofp i64 %whole to double"), 8, self.outer)
        last = f.op(f"fmul {self.outside} {self._scale(head, values)}, {wanted}")

        def more(k: str) -> str:
            """What the sum over all values gives each value of a node."""
            return f.op(f"fmul {self.outside} {self.wide(f.load(f.at(missing, k, size), self.kind))}, {last}")

        if values % self.v.width or nodes % self.v.width:
            self._one_by_one(sums, head, out, values, nodes, more)
        else:
            self._in_blocks(sums, head, out, values, nodes, more)
        f.loop(nodes, lambda k: f.store("0.0", f.at(missing, k, size), self.kind))

    def _one_by_one(self, sums: str, head: str, out: str, values: int, nodes: int, more: Callable[[str], str]) -> None:
        f, size, kind = self.f, self.v.size, self.outside

        def value(r: str) -> None:
            scale = self._scale(head, r)

            def node(k: str) -> None:
                place = f.at(f.at(sums, r, nodes * size), k, size)
                x = f.op(f"fmul {kind} {self.wide(f.load(place, self.kind))}, {scale}")
                f.store("0.0", place, self.kind)
                target = f.at(f.at(out, k, self.outer * values), r, self.outer)
                self._put(f.op(f"fadd {kind} {x}, {more(k)}"), target)

            f.loop(nodes, node)

        f.loop(values, value)

    def _in_blocks(self, sums: str, head: str, out: str, values: int, nodes: int, more: Callable[[str], str]) -> None:
        """In square blocks of vectors."""
        f, v, kind, lanes = self.f, self.v, self.outside, self.v.width
        wide = f"<{lanes} x {kind}>"

        def stretch(r: str) -> None:
            scale = "poison"
            for u in range(lanes):
                one = self._scale(f.at(head, u, HEAD * v.size), r)
                scale = f.op(f"insertelement {wide} {scale}, {kind} {one}, i64 {u}")

            def block(k: str) -> None:
                first, taken = f.at(f.at(sums, r, nodes * v.size), k, v.size), []
                for u in range(lanes):
                    place = f.at(first, u, nodes * v.size)
                    taken.append(f.load(place, align=v.size))
                    f.store("zeroinitializer", place, align=v.size)
                for n, row in enumerate(transposed(f, taken, v.number)):
                    node = f.op(f"add nuw nsw i64 {k}, {n}")
                    one = f.op(f"insertelement {wide} poison, {kind} {more(node)}, i64 0")
                    each = f.op(f"shufflevector {wide} {one}, {wide} poison, <{lanes} x i32> zeroinitializer")
                    value = f.op(f"fmul {wide} {self.wide(row, lanes)}, {scale}")
                    target = f.at(f.at(out, node, self.outer * values), r, self.outer)
                    self._put(f.op(f"fadd {wide} {value}, {each}"), target, wide)

            f.loop(nodes, block, lanes)

        f.loop(values, stretch, lanes)

    def matrix(self, sums: str, head: str, out: str, rows: int, columns: int) -> None:
        """Rows that stand in whole vectors."""
        f, size = self.f, self.v.size
        scale = self._scale(head)
        wide = padded_columns(columns, self.v)

        def row(r: str) -> None:
            first, target = f.at(sums, r, wide * size), f.at(out, r, self.outer * columns)
            f.loop(columns, lambda c: self._moved(f.at(first, c, size), f.at(target, c, self.outer), scale))

        f.loop(rows, row)
