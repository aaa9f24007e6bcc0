"""What code between parameters and arenas shares: records of work, plain numbers of two types, transposed blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .builder import Function
from .plan import Kernel
from .state import HEAD
from .vectors import Vectors


def number(size: int) -> str:
    """The type of a floating-point number of so many bytes."""
    return "float" if size == 4 else "double"


def cast(f: Function, x: str, given: int, wanted: int, lanes: int = 1) -> str:
    """A number of so many bytes as one of others; or a vector of so many."""
    if given == wanted:
        return x
    before, after = (number(size) if lanes == 1 else f"<{lanes} x {number(size)}>" for size in (given, wanted))
    return f.op(f"{'fptrunc' if given > wanted else 'fpext'} {before} {x} to {after}")


def dispatch(
    f: Function,
    kernels: tuple[Kernel, ...],
    fields: tuple[str, ...],
    one: Callable[[Kernel, dict[str, str], str], None],
) -> None:
    """Emits the walk over records [%count, fields], the first field a kernel: one(kernel, fields by name, number)."""

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


def transposed(f: Function, rows: Sequence[str], kind: str) -> list[str]:
    """A square block: so many vectors of as many numbers, by way of ever larger blocks."""
    out, lanes, step = list(rows), len(rows), 1
    vector = f"<{lanes} x {kind}>"
    while step < lanes:
        for i in (i for i in range(lanes) if not i & step):
            a, b = out[i], out[i + step]
            for place, shift in ((i, 0), (i + step, step)):
                # of the pair's two rows: the numbers whose bit is not set from the first, moved by `shift`
                chosen = [p + shift if not p & step else lanes + p - step + shift for p in range(lanes)]
                mask = ", ".join(f"i32 {p}" for p in chosen)
                out[place] = f.op(f"shufflevector {vector} {a}, {vector} {b}, <{lanes} x i32> <{mask}>")
        step *= 2
    return out


@dataclass(slots=True)
class Scalars:
    """Plain numbers of a function: of `outer` bytes outside, the code's type in the arena."""

    f: Function
    v: Vectors
    outer: int = 8
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        self.kind = self.v.number

    @property
    def outside(self) -> str:
        """The type outside the arena."""
        return number(self.outer)

    def narrow(self, x: str, lanes: int = 1) -> str:
        """A number from outside, or a vector of them, in the code's type."""
        return cast(self.f, x, self.outer, self.v.size, lanes)

    def wide(self, x: str, lanes: int = 1) -> str:
        """A number of the code's type, or a vector of them, as it is outside."""
        return cast(self.f, x, self.v.size, self.outer, lanes)

    def power(self, exponent: str) -> str:
        """2 to an integer power, as a number outside."""
        bits = self.f.op(f"shl i64 {self.f.op(f'add i64 {exponent}, 1023')}, 52")
        return cast(self.f, self.f.op(f"bitcast i64 {bits} to double"), 8, self.outer)

    def exponent(self, head: str, row: str | int = 0) -> str:
        """The exponent of a row that stands in a head, as i64."""
        found = self.f.load(self.f.at(head, row, HEAD * self.v.size), self.v.integer)
        return found if self.v.size == 8 else self.f.op(f"sext i32 {found} to i64")
