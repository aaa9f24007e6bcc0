"""Code that brings parameters into the arena: one pass over memory.

What enters are addresses of numbers, in float64 or in the code's type; what leaves is what arena.py writes for them,
whose numpy is the definition. Numbers out of the reach of this code (negative, not finite, or so small or large that
scaling could round them) set a flag, and arena.py takes their table. An input's table may be given by node, as its
parameter has it: [nodes, values]; the row of sums over values is taken here. Loops are plain, and LLVM's passes
vectorise them; an input's table is transposed in vectors.
"""

from __future__ import annotations

from .between import cast, dispatch, transposed
from .builder import Function
from .laying import RegisterOrder
from .plan import Kernel, padded
from .state import HEAD
from .vectors import ROW, Vectors

PACK_FIELDS = ("kernel", "source", "out", "other")
_PACKED = "ptr %records, i64 %count, ptr %arena, ptr %flags"

REACH = {4: (-100, 100, -120), 8: (-900, 900, -1000)}
"""Exponents of the least and the largest number of a table, and of the least after scaling."""

OUT_OF_REACH, ZERO = 1, 2
"""Flags of a record: its numbers are arena.py's; some of them are exactly 0."""


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


def pack(kernels: tuple[Kernel, ...], vectors: Vectors, outer: int) -> Function:
    """The function `pack`: records [count, PACK_FIELDS], the arena, and for each record a byte of flags [count].

    Sources have numbers of `outer` bytes.
    """
    f = Function("pack", _PACKED, vectors)

    def one(kernel: Kernel, names: dict[str, str], i: str) -> None:
        source, out = f.op(f"inttoptr i64 {names['source']} to ptr"), f.at("%arena", names["out"])
        p = _Packer(f, vectors, outer)
        match kernel.kind:
            case "rows":
                good, zero = p.rows(source, out, *kernel.sizes)
            case "nodes":
                good, zero = p.nodes(source, out, *kernel.sizes)
            case "matrix":
                good, zero = p.matrix(source, out, *kernel.sizes)
            case _:
                good, zero = p.transposed(source, out, f.at("%arena", names["other"]), *kernel.sizes)
        bad = f.op(f"select i1 {good}, i8 0, i8 {OUT_OF_REACH}")
        none = f.op(f"select i1 {zero}, i8 {ZERO}, i8 0")
        f.store(f.op(f"or i8 {bad}, {none}"), f.at("%flags", i), "i8")

    dispatch(f, kernels, PACK_FIELDS, one)
    return f


_INFINITE = "0x7FF0000000000000"


def _power(exponent: int) -> str:
    return f"0x{(1023 + exponent) << 52:016X}"


class _Packer(RegisterOrder):
    def _first(self) -> list[tuple[str, str]]:
        """A sum, the least number, and the least that is not 0, of none."""
        return [(self.outside, "0.0"), (self.outside, _INFINITE), (self.outside, _INFINITE)]

    def _seen(self, x: str, sum: str, low: str, nonzero: str) -> list[str]:
        """The same with one number more; NaN is in the sum alone."""
        f, kind = self.f, self.outside
        known = f.op(f"select i1 {f.op(f'fcmp ord {kind} {x}, {x}')}, {kind} {x}, {kind} 0.0")
        there = f.op(f"select i1 {f.op(f'fcmp ogt {kind} {x}, 0.0')}, {kind} {x}, {kind} {_INFINITE}")
        less, lower = (f.op(f"fcmp nnan nsz olt {kind} {a}, {b}") for a, b in ((known, low), (there, nonzero)))
        return [
            f.op(f"fadd reassoc {kind} {sum}, {x}"),
            f.op(f"select nnan nsz i1 {less}, {kind} {known}, {kind} {low}"),
            f.op(f"select nnan nsz i1 {lower}, {kind} {there}, {kind} {nonzero}"),
        ]

    def _verdict(self, sum: str, low: str, nonzero: str) -> tuple[str, str]:
        """Whether numbers with this sum and these least ones are in reach, and whether one is 0."""
        f, kind, (least, most, _) = self.f, self.outside, REACH[self.v.size]
        small = f.op(f"fcmp ole {kind} {sum}, {_power(most)}")
        positive = f.op(f"fcmp oge {kind} {low}, 0.0")
        large = f.op(f"fcmp oge {kind} {nonzero}, {_power(least)}")
        good = f.op(f"and i1 {f.op(f'and i1 {small}, {positive}')}, {large}")
        return good, f.op(f"fcmp oeq {kind} {low}, 0.0")

    def rows(self, source: str, out: str, count: int, nodes: int) -> tuple[str, str]:
        """Rows as they come."""
        f, v = self.f, self.v
        body = f.at(out, None, offset=padded(HEAD * count * v.size))

        def each(k: str, *seen: str) -> list[str]:
            x = f.load(f.at(source, k, self.outer), self.outside)
            f.store(self.narrow(x), f.at(body, k, v.size), self.kind)
            return self._seen(x, *seen)

        good, zero = self._verdict(*f.loop(count * nodes, each, carried=self._first()))
        return self._scaled(count, nodes, out, body, good), zero

    def nodes(self, source: str, out: str, values: int, nodes: int) -> tuple[str, str]:
        """An input's table by node: transposed, with the sums over values as its last row."""
        f, v = self.f, self.v
        body = f.at(out, None, offset=padded(HEAD * (values + 1) * v.size))
        if values % v.width or nodes % v.width:
            good, zero = self._one_by_one(source, body, values, nodes)
            scaled = self._scaled(values, nodes, out, body, good)
        else:
            scaled, zero = self._in_blocks(source, out, body, values, nodes)
        last = f.at(body, None, offset=values * nodes * v.size)

        def total(k: str, good: str) -> list[str]:
            first = f.at(source, k, self.outer * values)

            def value(r: str, sum: str) -> list[str]:
                x = cast(f, f.load(f.at(first, r, self.outer), self.outside), self.outer, 8)
                return [f.op(f"fadd reassoc double {sum}, {x}")]

            found = f.loop(values, value, carried=[("double", "0.0")])[0]
            f.store(cast(f, found, 8, v.size), f.at(last, k, v.size), self.kind)
            return [f.op(f"and i1 {good}, {f.op(f'fcmp ord double {found}, 0.0')}")]

        good = f.loop(nodes, total, carried=[("i1", scaled)])[0]
        return self._scaled(1, nodes, f.at(out, None, offset=values * HEAD * v.size), last, good), zero

    def _one_by_one(self, source: str, body: str, values: int, nodes: int) -> tuple[str, str]:
        """Rows of values from an input's table by node, not scaled."""
        f, v = self.f, self.v

        def node(k: str, *seen: str) -> list[str]:
            def value(r: str, *seen: str) -> list[str]:
                x = f.load(f.at(f.at(source, k, self.outer * values), r, self.outer), self.outside)
                f.store(self.narrow(x), f.at(f.at(body, r, nodes * v.size), k, v.size), self.kind)
                return self._seen(x, *seen)

            return f.loop(values, value, carried=list(zip([kind for kind, _ in self._first()], seen, strict=True)))

        return self._verdict(*f.loop(nodes, node, carried=self._first()))

    def _in_blocks(self, source: str, out: str, body: str, values: int, nodes: int) -> tuple[str, str]:
        """Scaled rows of values from an input's table by node, in square blocks of vectors."""
        f, v, lanes, kind = self.f, self.v, self.v.width, self.outside
        wide, whole = f"<{lanes} x {kind}>", v.ints
        least, most, scaled_least = REACH[v.size]

        def constant(spelt: str) -> str:
            return f"<{', '.join([f'{kind} {spelt}'] * lanes)}>"

        def place(k: str | int, r: str) -> str:
            return f.at(f.at(source, k, self.outer * values), r, self.outer)

        def every(mask: str) -> str:
            return f.op(f"icmp eq i{lanes} {f.op(f'bitcast <{lanes} x i1> {mask} to i{lanes}')}, -1")

        def chosen(how: str, a: str, b: str) -> str:
            mask = f.op(f"fcmp {how} {wide} {a}, {b}")
            return f.op(f"select <{lanes} x i1> {mask}, {wide} {a}, {wide} {b}")

        def stretch(r: str, good: str, positive: str) -> list[str]:
            def node(k: str, top: str, low: str, nonzero: str) -> list[str]:
                x = f.load(place(k, r), wide, self.outer)
                mask = f.op(f"fcmp ogt {wide} {x}, zeroinitializer")
                there = f.op(f"select <{lanes} x i1> {mask}, {wide} {x}, {wide} {constant(_INFINITE)}")
                return [chosen("ogt", x, top), chosen("olt", x, low), chosen("olt", there, nonzero)]

            firsts = [(wide, "zeroinitializer"), (wide, constant(_INFINITE)), (wide, constant(_INFINITE))]
            seen = f.loop(nodes, node, carried=firsts)
            small = f.op(f"fcmp ole {wide} {seen[0]}, {constant(_power(most))}")
            negative = f.op(f"fcmp oge {wide} {seen[1]}, zeroinitializer")
            large = f.op(f"fcmp oge {wide} {seen[2]}, {constant(_power(least))}")
            none = f.op(f"fcmp ogt {wide} {seen[1]}, zeroinitializer")
            top, low, nonzero = (self.narrow(each, lanes) for each in seen)
            raised = f.integer("lshr", f.bits(top), f.whole(v.mantissa))
            there = f.compare("ogt", top, "zeroinitializer")
            power = f.select(there, f.integer("sub", raised, f.whole(v.bias)), "zeroinitializer", whole)
            scale = f.from_bits(f.integer("shl", f.integer("sub", f.whole(v.bias), power), f.whole(v.mantissa)))
            statistics = [f.from_bits(power), *(f.multiply(each, scale) for each in (top, low, nonzero))]
            held = f.compare("oge", statistics[3], f.number(2.0**scaled_least))
            self._headed(f.at(out, r, HEAD * v.size), statistics)

            def block(k: str) -> None:
                first = place(k, r)
                taken = [
                    f.multiply(self.narrow(f.load(f.at(first, n, self.outer * values), wide, self.outer), lanes), scale)
                    for n in range(lanes)
                ]
                target = f.at(f.at(body, r, nodes * v.size), k, v.size)
                for u, row in enumerate(transposed(f, taken, v.number)):
                    f.store(row, f.at(target, u, nodes * v.size), align=v.size)

            f.loop(nodes, block, lanes)
            for mask in (small, negative, large, held):
                good = f.op(f"and i1 {good}, {every(mask)}")
            return [good, f.op(f"and i1 {positive}, {every(none)}")]

        good, positive = f.loop(values, stretch, lanes, [("i1", "true"), ("i1", "true")])
        return good, f.op(f"xor i1 {positive}, true")

    def _headed(self, place: str, statistics: list[str]) -> None:
        """Writes statistics of as many rows as a vector has lanes to their heads, with zeros after them."""
        f, v = self.f, self.v
        for start in range(0, HEAD, v.width):
            own = statistics[start : start + v.width]
            own += ["zeroinitializer"] * (v.width - len(own))
            for u, row in enumerate(transposed(f, own, v.number)):
                there = f.at(place, u, HEAD * v.size, start * v.size)
                if v.width <= HEAD:
                    f.store(row, there, align=v.size)
                    continue
                some = f"<{HEAD} x {v.number}>"
                mask = ", ".join(f"i32 {p}" for p in range(HEAD))
                part = f.op(f"shufflevector {v.floats} {row}, {v.floats} poison, <{HEAD} x i32> <{mask}>")
                f.store(part, there, some, v.size)

    def _scaled(self, count: int, nodes: int, out: str, body: str, good: str) -> str:
        """Rows [count, nodes], each brought to a largest number in [1, 2), with its statistics before them."""
        f, v, kind = self.f, self.v, self.kind
        whole = v.integer

        def row(r: str, good: str) -> list[str]:
            first = f.at(body, r, nodes * v.size)

            def each(k: str, largest: str, least: str, nonzero: str) -> list[str]:
                x = f.load(f.at(first, k, v.size), kind)
                more = f.op(f"fcmp nnan nsz ogt {kind} {x}, {largest}")
                less = f.op(f"fcmp nnan nsz olt {kind} {x}, {least}")
                there = f.op(f"select i1 {f.op(f'fcmp ogt {kind} {x}, 0.0')}, {kind} {x}, {kind} {_INFINITE}")
                lower = f.op(f"fcmp nnan nsz olt {kind} {there}, {nonzero}")
                return [
                    f.op(f"select nnan nsz i1 {more}, {kind} {x}, {kind} {largest}"),
                    f.op(f"select nnan nsz i1 {less}, {kind} {x}, {kind} {least}"),
                    f.op(f"select nnan nsz i1 {lower}, {kind} {there}, {kind} {nonzero}"),
                ]

            firsts = [(kind, "0.0"), (kind, _INFINITE), (kind, _INFINITE)]
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
            # where it is not good already, these may be no numbers at all
            return [f.op(f"select i1 {good}, i1 {self._held(scaled[2])}, i1 false")]

        return f.loop(count, row, carried=[("i1", good)])[0]

    def _held(self, least: str) -> str:
        kind, spelt = (self.kind, _power(REACH[self.v.size][2]))
        return self.f.op(f"fcmp oge {kind} {least}, {spelt}")

    def matrix(self, source: str, out: str, blocks: int, rows: int, columns: int) -> tuple[str, str]:
        """Maps [blocks, rows, columns], scaled so that no row sums to more than 1, in the order of register blocks."""
        f, v, kind = self.f, self.v, self.outside

        def row(r: str, known: str, top: str, *least: str) -> list[str]:
            first = f.at(source, r, self.outer * columns)

            def each(c: str, *seen: str) -> list[str]:
                return self._seen(f.load(f.at(first, c, self.outer), kind), *seen)

            sum, *other = self._first()
            carried = [sum, *((kind, value) for (kind, _), value in zip(other, least, strict=True))]
            total, low, nonzero = f.loop(columns, each, carried=carried)
            known = f.op(f"and i1 {known}, {f.op(f'fcmp ord {kind} {total}, 0.0')}")
            more = f.op(f"fcmp ogt {kind} {total}, {top}")
            return [known, f.op(f"select i1 {more}, {kind} {total}, {kind} {top}"), low, nonzero]

        known, top, low, nonzero = f.loop(blocks * rows, row, carried=[("i1", "true"), *self._first()])
        good, zero = self._verdict(top, low, nonzero)
        exact = cast(f, top, self.outer, 8)
        bits = f.op(f"lshr i64 {f.op(f'bitcast double {exact} to i64')}, 52")
        there = f.op(f"fcmp ogt double {exact}, 0.0")
        power = f.op(f"select i1 {there}, i64 {f.op(f'sub i64 {bits}, 1022')}, i64 0")
        scale = self.power(f.op(f"sub i64 0, {power}"))
        smallest = f.op(f"fmul {kind} {nonzero}, {scale}")
        whole = power if v.size == 8 else f.op(f"trunc i64 {power} to i32")
        f.store(whole, out, v.integer)
        f.store(self.narrow(smallest), f.at(out, 1, v.size), self.kind)
        self.laid(blocks, rows, columns, (rows * columns, columns, 1), source, f.at(out, None, offset=ROW), scale)
        good = f.op(f"and i1 {good}, {known}")
        return f.op(f"and i1 {good}, {self._held(self.narrow(smallest))}"), zero

    def transposed(self, source: str, out: str, head: str, blocks: int, rows: int, columns: int) -> tuple[str, str]:
        """The transposes of maps, scaled as the maps are, whose head stands there already."""
        f, v = self.f, self.v
        for position in range(2):
            f.store(f.load(f.at(head, position, v.size), self.kind), f.at(out, position, v.size), self.kind)
        scale = self.power(f.op(f"sub i64 0, {self.exponent(head)}"))
        self.laid(blocks, columns, rows, (rows * columns, 1, columns), source, f.at(out, None, offset=ROW), scale)
        return "true", "false"
