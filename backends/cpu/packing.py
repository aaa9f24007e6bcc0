"""Code that brings parameters into the arena, and sums of derivatives back to parameters: one pass over memory each.

What enters are addresses of float64 numbers; what leaves is what arena.py writes for them, whose numpy is the
definition. Numbers out of the reach of this code (negative, not finite, or so small or large that scaling could round
them) set a flag, and arena.py takes their table. An input's table may be given by node, as its parameter has it:
[nodes, values]; the row of sums over values is taken here. Loops are plain, and LLVM's passes vectorise them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

from .builder import Function
from .maps import row_blocks
from .outer import padded_columns
from .plan import Kernel, padded
from .state import HEAD
from .vectors import ROW, Vectors

PACK_FIELDS = ("kernel", "source", "out", "other")
UNPACK_FIELDS = ("kernel", "sums", "out", "head")
_PACKED = "ptr %records, i64 %count, ptr %arena, ptr %flags"
_UNPACKED = "ptr %records, i64 %count, ptr %sums, ptr %arena, i64 %whole"

REACH = {4: (-100, 100, -120), 8: (-900, 900, -1000)}
"""Exponents of the least and the largest number of a table, and of the least after scaling."""


def pack_kernel(kind: str, shape: tuple[int, ...], by_node: bool) -> Kernel:
    """The kernel that packs a use of a table of this shape."""
    match kind:
        case "load" if by_node:
            return Kernel("nodes", (shape[0] - 1, shape[1]))
        case "load":
            return Kernel("rows", shape)
        case "fill":
            return Kernel("rows", (1, shape[0]))
        case "scale":
            return Kernel("matrix", (1, shape[0], 1))
        case "transposed":
            return Kernel("transposed", shape)
        case _:
            return Kernel("matrix", shape)


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


def pack(kernels: tuple[Kernel, ...], vectors: Vectors) -> Function:
    """The function `pack`: records [count, PACK_FIELDS], the arena, and for each record a flag [count] of bytes."""
    f = Function("pack", _PACKED, vectors)

    def one(kernel: Kernel, names: dict[str, str], i: str) -> None:
        source, out = f.op(f"inttoptr i64 {names['source']} to ptr"), f.at("%arena", names["out"])
        p = _Packer(f, vectors)
        match kernel.kind:
            case "rows":
                good = p.rows(source, out, *kernel.sizes)
            case "nodes":
                good = p.nodes(source, out, *kernel.sizes)
            case "matrix":
                good = p.matrix(source, out, *kernel.sizes)
            case _:
                good = p.transposed(source, out, f.at("%arena", names["other"]), *kernel.sizes)
        flag = f.op(f"select i1 {good}, i8 0, i8 1")
        f.store(flag, f.at("%flags", i), "i8")

    _dispatch(f, kernels, PACK_FIELDS, one)
    return f


def unpack(kernels: tuple[Kernel, ...], vectors: Vectors) -> Function:
    """The function `unpack`: adds the sums to float64 numbers, and leaves zeros in their place.

    Tables that were given by node come back so, with the derivatives of their sums over values where %whole is not 0.
    """
    f = Function("unpack", _UNPACKED, vectors)

    def one(kernel: Kernel, names: dict[str, str], _: str) -> None:
        out = f.op(f"inttoptr i64 {names['out']} to ptr")
        sums, head = f.at("%sums", names["sums"]), f.at("%arena", names["head"])
        u = _Unpacker(f, vectors)
        match kernel.kind:
            case "rows":
                u.rows(sums, head, out, *kernel.sizes)
            case "nodes":
                u.nodes(sums, head, out, *kernel.sizes)
            case _:
                u.matrix(sums, head, out, *kernel.sizes)

    _dispatch(f, kernels, UNPACK_FIELDS, one)
    return f


def _dispatch(
    f: Function,
    kernels: tuple[Kernel, ...],
    fields: tuple[str, ...],
    one: Callable[[Kernel, dict[str, str], str], None],
) -> None:
    def record(i: str) -> None:
        place = f.at("%records", i, 8 * len(fields))
        names = {name: f.load(f.at(place, None, offset=8 * n), "i64") for n, name in enumerate(fields)}
        labels, joined = [f.fresh("k") for _ in kernels], f.fresh("joined")
        cases = " ".join(f"i64 {n}, label %{label}" for n, label in enumerate(labels))
        f.do(f"switch i64 {names['kernel']}, label %{labels[0]} [ {cases} ]")
        for kernel, label in zip(kernels, labels, strict=True):
            f.label(label)
            one(kernel, names, i)
            f.do(f"br label %{joined}")
        f.label(joined)

    f.loop("%count", record)


@dataclass(slots=True)
class _Scalars:
    """Plain numbers of a function: float64 outside, the code's type in the arena."""

    f: Function
    v: Vectors
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        self.kind = self.v.number

    def narrow(self, x: str) -> str:
        return x if self.v.size == 8 else self.f.op(f"fptrunc double {x} to float")

    def wide(self, x: str) -> str:
        return x if self.v.size == 8 else self.f.op(f"fpext float {x} to double")

    def double(self, power: str) -> str:
        """2 to an integer power, as float64."""
        bits = self.f.op(f"shl i64 {self.f.op(f'add i64 {power}, 1023')}, 52")
        return self.f.op(f"bitcast i64 {bits} to double")

    def exponent(self, head: str, row: str | int = 0) -> str:
        """The exponent of a row that stands in a head, as i64."""
        found = self.f.load(self.f.at(head, row, HEAD * self.v.size), self.v.integer)
        return found if self.v.size == 8 else self.f.op(f"sext i32 {found} to i64")


class _Packer(_Scalars):
    def _good(self, x: str, good: str) -> str:
        f, (least, most, _) = self.f, REACH[self.v.size]
        low = f.op(f"fcmp oge double {x}, 0x{(1023 + least) << 52:016X}")
        high = f.op(f"fcmp ole double {x}, 0x{(1023 + most) << 52:016X}")
        none = f.op(f"fcmp oeq double {x}, 0.0")
        inside = f.op(f"or i1 {none}, {f.op(f'and i1 {low}, {high}')}")
        return f.op(f"and i1 {good}, {inside}")

    def rows(self, source: str, out: str, count: int, nodes: int) -> str:
        """Rows as they come."""
        f, v = self.f, self.v
        body = f.at(out, None, offset=padded(HEAD * count * v.size))

        def each(k: str, good: str) -> list[str]:
            x = f.load(f.at(source, k, 8), "double")
            f.store(self.narrow(x), f.at(body, k, v.size), self.kind)
            return [self._good(x, good)]

        good = f.loop(count * nodes, each, carried=[("i1", "true")])[0]
        return self._scaled(count, nodes, out, body, good)

    def nodes(self, source: str, out: str, values: int, nodes: int) -> str:
        """An input's table by node: transposed, with the sums over values as its last row."""
        f, v = self.f, self.v
        body = f.at(out, None, offset=padded(HEAD * (values + 1) * v.size))
        together = 8 if values % 8 == 0 else 1

        def stretch(r: str, good: str) -> list[str]:
            def node(k: str, good: str) -> list[str]:
                first = f.at(f.at(source, k, 8 * values), r, 8)
                place = f.at(f.at(body, r, nodes * v.size), k, v.size)
                for u in range(together):
                    x = f.load(f.at(first, None, offset=8 * u), "double")
                    f.store(self.narrow(x), f.at(place, None, offset=u * nodes * v.size), self.kind)
                    good = self._good(x, good)
                return [good]

            return f.loop(nodes, node, carried=[("i1", good)])

        good = f.loop(values, stretch, together, [("i1", "true")])[0]

        def total(k: str) -> None:
            first = f.at(source, k, 8 * values)

            def value(r: str, sum: str) -> list[str]:
                return [f.op(f"fadd reassoc double {sum}, {f.load(f.at(first, r, 8), 'double')}")]

            found = f.loop(values, value, carried=[("double", "0.0")])[0]
            f.store(self.narrow(found), f.at(f.at(body, None, offset=values * nodes * v.size), k, v.size), self.kind)

        f.loop(nodes, total)
        return self._scaled(values + 1, nodes, out, body, good)

    def _scaled(self, count: int, nodes: int, out: str, body: str, good: str) -> str:
        """Rows [count, nodes], each brought to a largest number in [1, 2), with its statistics before them."""
        f, v, kind = self.f, self.v, self.kind
        whole = v.integer
        infinite = "0x7FF0000000000000"

        def row(r: str, good: str) -> list[str]:
            first = f.at(body, r, nodes * v.size)

            def each(k: str, largest: str, least: str, nonzero: str) -> list[str]:
                x = f.load(f.at(first, k, v.size), kind)
                more = f.op(f"fcmp nnan nsz ogt {kind} {x}, {largest}")
                less = f.op(f"fcmp nnan nsz olt {kind} {x}, {least}")
                there = f.op(f"select i1 {f.op(f'fcmp ogt {kind} {x}, 0.0')}, {kind} {x}, {kind} {infinite}")
                lower = f.op(f"fcmp nnan nsz olt {kind} {there}, {nonzero}")
                return [
                    f.op(f"select nnan nsz i1 {more}, {kind} {x}, {kind} {largest}"),
                    f.op(f"select nnan nsz i1 {less}, {kind} {x}, {kind} {least}"),
                    f.op(f"select nnan nsz i1 {lower}, {kind} {there}, {kind} {nonzero}"),
                ]

            firsts = [(kind, "0.0"), (kind, infinite), (kind, infinite)]
            largest, least, nonzero = f.loop(nodes, each, carried=firsts)
            bits = f.op(f"lshr {whole} {f.op(f'bitcast {kind} {largest} to {whole}')}, {v.mantissa}")
            there = f.op(f"fcmp ogt {kind} {largest}, 0.0")
            power = f.op(f"select i1 {there}, {whole} {f.op(f'sub {whole} {bits}, {v.bias}')}, {whole} 0")
            raised = f.op(f"shl {whole} {f.op(f'sub {whole} {v.bias}, {power}')}, {v.mantissa}")
            scale = f.op(f"bitcast {whole} {raised} to {kind}")
            beside = f.at(out, r, HEAD * v.size)
            f.store(power, beside, whole)
            scaled = [f.op(f"fmul {kind} {value}, {scale}") for value in (largest, least, nonzero)]
            for position, value in enumerate([*scaled, "0.0"], 1):
                f.store(value, f.at(beside, None, offset=position * v.size), kind)

            def raise_each(k: str) -> None:
                place = f.at(first, k, v.size)
                f.store(f.op(f"fmul {kind} {f.load(place, kind)}, {scale}"), place, kind)

            f.loop(nodes, raise_each)
            return [f.op(f"and i1 {good}, {self._held(self.wide(scaled[2]))}")]

        return f.loop(count, row, carried=[("i1", good)])[0]

    def _held(self, least: str) -> str:
        return self.f.op(f"fcmp oge double {least}, 0x{(1023 + REACH[self.v.size][2]) << 52:016X}")

    def matrix(self, source: str, out: str, blocks: int, rows: int, columns: int) -> str:
        """Maps [blocks, rows, columns], scaled so that no row sums to more than 1, in the order of register blocks."""
        f, v = self.f, self.v
        infinite = "0x7FF0000000000000"

        def row(r: str, top: str, least: str, good: str) -> list[str]:
            first = f.at(source, r, 8 * columns)

            def each(c: str, sum: str, least: str, good: str) -> list[str]:
                x = f.load(f.at(first, c, 8), "double")
                there = f.op(f"select i1 {f.op(f'fcmp ogt double {x}, 0.0')}, double {x}, double {infinite}")
                lower = f.op(f"fcmp nnan nsz olt double {there}, {least}")
                return [
                    f.op(f"fadd reassoc double {sum}, {x}"),
                    f.op(f"select nnan nsz i1 {lower}, double {there}, double {least}"),
                    self._good(x, good),
                ]

            total, least, good = f.loop(columns, each, carried=[("double", "0.0"), ("double", least), ("i1", good)])
            more = f.op(f"fcmp ogt double {total}, {top}")
            return [f.op(f"select i1 {more}, double {total}, double {top}"), least, good]

        carried = [("double", "0.0"), ("double", infinite), ("i1", "true")]
        top, least, good = f.loop(blocks * rows, row, carried=carried)
        bits = f.op(f"lshr i64 {f.op(f'bitcast double {top} to i64')}, 52")
        there = f.op(f"fcmp ogt double {top}, 0.0")
        power = f.op(f"select i1 {there}, i64 {f.op(f'sub i64 {bits}, 1022')}, i64 0")
        scale = self.double(f.op(f"sub i64 0, {power}"))
        smallest = f.op(f"fmul double {least}, {scale}")
        whole = power if v.size == 8 else f.op(f"trunc i64 {power} to i32")
        f.store(whole, out, v.integer)
        f.store(self.narrow(smallest), f.at(out, 1, v.size), self.kind)
        self._laid(blocks, rows, columns, (rows * columns, columns, 1), source, f.at(out, None, offset=ROW), scale)
        return f.op(f"and i1 {good}, {self._held(smallest)}")

    def transposed(self, source: str, out: str, head: str, blocks: int, rows: int, columns: int) -> str:
        """The transposes of maps, scaled as the maps are, whose head stands there already."""
        f, v = self.f, self.v
        for position in range(2):
            f.store(f.load(f.at(head, position, v.size), self.kind), f.at(out, position, v.size), self.kind)
        scale = self.double(f.op(f"sub i64 0, {self.exponent(head)}"))
        self._laid(blocks, columns, rows, (rows * columns, 1, columns), source, f.at(out, None, offset=ROW), scale)
        return "true"

    def _laid(
        self, blocks: int, rows: int, columns: int, strides: tuple[int, int, int], source: str, body: str, scale: str
    ) -> None:
        """Entries (block, row, column), so many numbers apart in the source, in the order of register blocks."""
        f, v = self.f, self.v

        def block(i: str) -> None:
            first, target = f.at(source, i, 8 * strides[0]), f.at(body, i, rows * columns * v.size)
            offset = row = 0
            for size, count in row_blocks(rows, v):

                def rows_of(n: str, size: int = size, offset: int = offset, row: int = row) -> None:
                    start = f.at(first, n, 8 * size * strides[1], 8 * row * strides[1])
                    place = f.at(target, n, size * columns * v.size, offset)

                    def column(c: str) -> None:
                        x, y = f.at(start, c, 8 * strides[2]), f.at(place, c, size * v.size)
                        for r in range(size):
                            value = f.load(f.at(x, None, offset=8 * r * strides[1]), "double")
                            value = self.narrow(f.op(f"fmul double {value}, {scale}"))
                            f.store(value, f.at(y, None, offset=r * v.size), self.kind)

                    f.loop(columns, column)

                f.loop(count, rows_of)
                offset += count * size * columns * v.size
                row += count * size

        f.loop(blocks, block)


class _Unpacker(_Scalars):
    def _taken(self, place: str, scale: str) -> str:
        f = self.f
        x = self.wide(f.load(place, self.kind))
        f.store("0.0", place, self.kind)
        return f.op(f"fmul double {x}, {scale}")

    def _add(self, value: str, place: str) -> None:
        self.f.store(self.f.op(f"fadd double {self.f.load(place, 'double')}, {value}"), place, "double")

    def rows(self, sums: str, head: str, out: str, count: int, nodes: int) -> None:
        """Rows as they are."""
        f = self.f

        def row(r: str) -> None:
            scale = self.double(f.op(f"sub i64 0, {self.exponent(head, r)}"))
            first, target = f.at(sums, r, nodes * self.v.size), f.at(out, r, 8 * nodes)
            f.loop(nodes, lambda k: self._add(self._taken(f.at(first, k, self.v.size), scale), f.at(target, k, 8)))

        f.loop(count, row)

    def nodes(self, sums: str, head: str, out: str, values: int, nodes: int) -> None:
        """[values + 1, nodes] to [nodes, values]; the last row goes to all values, where it is wanted."""
        f, size = self.f, self.v.size
        wanted = f.op("uitofp i64 %whole to double")
        last = f.op(f"fmul double {self.double(f.op(f'sub i64 0, {self.exponent(head, values)}'))}, {wanted}")
        together = 8 if values % 8 == 0 else 1
        missing = f.at(sums, None, offset=values * nodes * size)

        def stretch(r: str) -> None:
            scales = [
                self.double(f.op(f"sub i64 0, {self.exponent(f.at(head, None, offset=u * HEAD * size), r)}"))
                for u in range(together)
            ]

            def node(k: str) -> None:
                more = f.op(f"fmul double {self.wide(f.load(f.at(missing, k, size), self.kind))}, {last}")
                first, target = f.at(f.at(sums, r, nodes * size), k, size), f.at(f.at(out, k, 8 * values), r, 8)
                for u, scale in enumerate(scales):
                    value = self._taken(f.at(first, None, offset=u * nodes * size), scale)
                    self._add(f.op(f"fadd double {value}, {more}"), f.at(target, None, offset=8 * u))

            f.loop(nodes, node)

        f.loop(values, stretch, together)
        f.loop(nodes, lambda k: f.store("0.0", f.at(missing, k, size), self.kind))

    def matrix(self, sums: str, head: str, out: str, rows: int, columns: int) -> None:
        """Rows that stand in whole vectors."""
        f, size = self.f, self.v.size
        scale = self.double(f.op(f"sub i64 0, {self.exponent(head)}"))
        wide = padded_columns(columns, self.v)

        def row(r: str) -> None:
            first, target = f.at(sums, r, wide * size), f.at(out, r, 8 * columns)
            f.loop(columns, lambda c: self._add(self._taken(f.at(first, c, size), scale), f.at(target, c, 8)))

        f.loop(rows, row)
