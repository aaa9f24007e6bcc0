"""LLVM IR as text: a straight emitter of functions over vectors of one floating-point type.

Text is twenty times faster to make than a tree of objects that prints itself, and loops are emitted unrolled and
vectorised, so that LLVM's code generator is all that runs afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .vectors import Vectors

Loop = Callable[..., Sequence[str] | None]


@dataclass(slots=True)
class Function:
    """One function while it is emitted: `op` gives a fresh value, `do` gives none."""

    name: str
    arguments: str
    vectors: Vectors
    result: str = "void"
    lines: list[str] = field(default_factory=lambda: ["entry:"])
    block: str = "entry"
    count: int = 0
    one_column: bool = False

    @property
    def columns(self) -> int:
        """The vectors of a row of a tile that a kernel sees: all, or one, where its pointers step through them."""
        return 1 if self.one_column else self.vectors.columns

    def each_column(self, body: Callable[..., None], *pointers: tuple[str, int]) -> None:
        """Emits a kernel once for all vectors of a row; pointers come with how far apart theirs are, in bytes."""

        def column(c: str) -> None:
            body(*(self.at(pointer, c, step) for pointer, step in pointers))

        self.one_column = True
        self.loop(self.vectors.columns, column)
        self.one_column = False

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def op(self, text: str) -> str:
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append("  " + text)

    def label(self, name: str) -> None:
        self.lines.append(name + ":")
        self.block = name

    def loop(
        self, stop: str | int, body: Loop, step: int = 1, carried: Sequence[tuple[str, str]] = (), start: str | int = 0
    ) -> list[str]:
        """Emits `for i in range(start, stop, step)`; body(i, *values) gives the next of the carried (type, first)."""
        known = isinstance(stop, int) and isinstance(start, int)
        before, head, done = self.block, self.fresh("head"), self.fresh("done")
        if known:
            assert int(stop) > int(start)
            self.do(f"br label %{head}")
        else:
            self.do(f"br i1 {self.op(f'icmp slt i64 {start}, {stop}')}, label %{head}, label %{done}")
        self.label(head)
        place = len(self.lines)
        index = "%" + self.fresh("i")
        names = ["%" + self.fresh("c") for _ in carried]
        after = list(body(index, *names) or ())
        following = self.op(f"add nuw nsw i64 {index}, {step}")
        more = self.op(f"icmp slt i64 {following}, {stop}")
        last = self.block
        self.do(f"br i1 {more}, label %{head}, label %{done}, !llvm.loop !0")
        phis = [f"  {index} = phi i64 [ {start}, %{before} ], [ {following}, %{last} ]"]
        for name, (kind, first), value in zip(names, carried, after, strict=True):
            phis.append(f"  {name} = phi {kind} [ {first}, %{before} ], [ {value}, %{last} ]")
        self.lines[place:place] = phis
        self.label(done)
        if known:
            return after
        out: list[str] = []
        for (kind, first), value in zip(carried, after, strict=True):
            out.append(self.op(f"phi {kind} [ {first}, %{before} ], [ {value}, %{last} ]"))
        return out

    def at(self, base: str, index: str | int | None, scale: int = 1, offset: int = 0) -> str:
        """The address base + index · scale + offset, in bytes."""
        if isinstance(index, int):
            offset, index = offset + index * scale, None
        if index is not None:
            scaled = index if scale == 1 else self.op(f"mul nsw i64 {index}, {scale}")
            base = self.op(f"getelementptr inbounds i8, ptr {base}, i64 {scaled}")
        return self.op(f"getelementptr inbounds i8, ptr {base}, i64 {offset}") if offset else base

    def load(self, pointer: str, kind: str | None = None, align: int | None = None) -> str:
        """A vector of numbers, or a value of another type, from memory."""
        kind = kind or self.vectors.floats
        return self.op(f"load {kind}, ptr {pointer}, align {align or self.vectors.align(kind)}")

    def store(self, value: str, pointer: str, kind: str | None = None, align: int | None = None) -> None:
        kind = kind or self.vectors.floats
        self.do(f"store {kind} {value}, ptr {pointer}, align {align or self.vectors.align(kind)}")

    def word(self, pointer: str, kind: str = "i32") -> str:
        """An integer from memory, as i64."""
        value = self.load(pointer, kind)
        return value if kind == "i64" else self.op(f"sext {kind} {value} to i64")

    def splat(self, scalar: str) -> str:
        """A number in every lane."""
        v = self.vectors
        one = self.op(f"insertelement {v.floats} poison, {v.number} {scalar}, i64 0")
        return self.op(f"shufflevector {v.floats} {one}, {v.floats} poison, <{v.width} x i32> zeroinitializer")

    def number(self, value: float) -> str:
        """The constant vector of a number."""
        return self.vectors.constant(value)

    def add(self, a: str, b: str) -> str:
        return self.op(f"fadd {self.vectors.floats} {a}, {b}")

    def subtract(self, a: str, b: str) -> str:
        return self.op(f"fsub {self.vectors.floats} {a}, {b}")

    def multiply(self, a: str, b: str) -> str:
        return self.op(f"fmul {self.vectors.floats} {a}, {b}")

    def fma(self, a: str, b: str, c: str) -> str:
        v = self.vectors
        return self.op(f"call {v.floats} @llvm.fma.{v.suffix}({v.floats} {a}, {v.floats} {b}, {v.floats} {c})")

    def compare(self, how: str, a: str, b: str) -> str:
        return self.op(f"fcmp {how} {self.vectors.floats} {a}, {b}")

    def select(self, mask: str, a: str, b: str, kind: str | None = None) -> str:
        kind = kind or self.vectors.floats
        return self.op(f"select <{self.vectors.width} x i1> {mask}, {kind} {a}, {kind} {b}")

    def maximum(self, a: str, b: str) -> str:
        """The larger, of numbers that are not NaN: one instruction."""
        v = self.vectors
        greater = self.op(f"fcmp nnan nsz ogt {v.floats} {a}, {b}")
        return self.op(f"select nnan nsz <{v.width} x i1> {greater}, {v.floats} {a}, {v.floats} {b}")

    def minimum(self, a: str, b: str) -> str:
        """The smaller, of numbers that are not NaN: one instruction."""
        v = self.vectors
        less = self.op(f"fcmp nnan nsz olt {v.floats} {a}, {b}")
        return self.op(f"select nnan nsz <{v.width} x i1> {less}, {v.floats} {a}, {v.floats} {b}")

    def magnitude(self, value: str) -> str:
        """A number without its sign."""
        v = self.vectors
        return self.op(f"call {v.floats} @llvm.fabs.{v.suffix}({v.floats} {value})")

    def bits(self, value: str) -> str:
        """A vector of numbers as integers."""
        return self.op(f"bitcast {self.vectors.floats} {value} to {self.vectors.ints}")

    def from_bits(self, value: str) -> str:
        return self.op(f"bitcast {self.vectors.ints} {value} to {self.vectors.floats}")

    def integer(self, operation: str, a: str, b: str) -> str:
        return self.op(f"{operation} {self.vectors.ints} {a}, {b}")

    def whole(self, value: int) -> str:
        """The constant vector of an integer."""
        v = self.vectors
        return f"<{', '.join([f'{v.integer} {value}'] * v.width)}>"

    def gather(self, base: str, index: str) -> str:
        """The numbers of an array at a vector of indices."""
        v = self.vectors
        places = self.op(f"getelementptr {v.number}, ptr {base}, {v.ints} {index}")
        yes = f"<{', '.join(['i1 1'] * v.width)}>"
        return self.op(
            f"call {v.floats} @llvm.masked.gather.{v.suffix}.v{v.width}p0("
            f"<{v.width} x ptr> align {v.size} {places}, <{v.width} x i1> {yes}, {v.floats} poison)"
        )

    @property
    def text(self) -> str:
        ending = "  ret void" if self.result == "void" else "  unreachable"
        return "\n".join([f"define {self.result} @{self.name}({self.arguments}) #0 {{", *self.lines, ending, "}"])


def module(functions: Sequence[Function], vectors: Vectors) -> str:
    """The text of a module of functions, with the intrinsics that they call."""
    body = "\n\n".join(function.text for function in functions)
    declared = [text for name, text in vectors.intrinsics.items() if f"@llvm.{name}" in body]
    attributes = f'attributes #0 = {{ "prefer-vector-width"="{vectors.bits}" "frame-pointer"="none" nounwind }}'
    loops = '!0 = distinct !{!0, !1}\n!1 = !{!"llvm.loop.unroll.disable"}\n'
    return "\n".join([*declared, body, attributes, loops])
