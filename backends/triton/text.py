"""Kernel text from its parts: lines, the places of operands, and values on tiles of nodes by rows of data.

All kernels take the same arguments: `values` [nodes, stride] are buffers of logarithms, a row of data in each column;
`tables` are logarithms and matrices of few rows, `weights` those of more; `codes` [columns, stride] say which value a
row has; `indices` are those of gathers; `places` holds a row per group; `flags` [stride] marks rows that float32 cannot
vouch for. `first` is where a launch's places begin. The batch is filled up to `stride`, a multiple of every batch tile,
so that no load of a row of data needs a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .kernel import Argument, Kernel, Scalar
from .policy import VECTOR, Precision
from .value import Constant, Form, Joined, Look, Paired, Picked, Read, Times, Value

ARGUMENTS = (
    Argument("values", "*fp32"),
    Argument("tables", "*fp32"),
    Argument("weights", "*fp32"),
    Argument("codes", "*i32"),
    Argument("indices", "*i32"),
    Argument("places", "*i64"),
    Argument("flags", "*i32"),
    Argument("first", "i32", aligned=False),
    Argument("stride", "i32"),
)

HEAD = """import triton
import triton.language as tl


@triton.jit
"""

ZERO = 'float("-inf")'

FAR = 2**31
"""Offsets beyond are of 64 bits: tables of 65536 nodes and 50257 values are larger."""


@dataclass(slots=True)
class Lines:
    """Text that grows, by lines at a depth of indentation; names are numbered as they come."""

    lines: list[str] = field(default_factory=list[str])
    depth: int = 1
    names: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def name(self, stem: str) -> str:
        """A name that is not in use."""
        count = self.names[stem] = self.names.get(stem, -1) + 1
        return f"{stem}_{count}"

    def let(self, stem: str, what: str) -> str:
        """A new name for an expression."""
        name = self.name(stem)
        self.add(f"{name} = {what}")
        return name


def pointer(precision: Precision) -> Scalar:
    """What weights in memory are."""
    return "*bf16" if precision.startswith("bf16") else "*fp32"


def arguments_of(precision: Precision) -> tuple[Argument, ...]:
    """The arguments of all kernels, with weights as a precision has them."""
    return tuple(replace(each, type=pointer(precision)) if each.name == "weights" else each for each in ARGUMENTS)


def kernel(name: str, lines: Lines, constants: dict[str, int], warps: int, stages: int, precision: Precision) -> Kernel:
    """A kernel of the lines of its body."""
    arguments = [argument.name for argument in ARGUMENTS]
    named = ", ".join([*arguments, *(f"{constant}: tl.constexpr" for constant in constants)])
    text = "\n".join([f"{HEAD}def {name}({named}):", *lines.lines, ""])
    return Kernel(name, text, arguments_of(precision), tuple(constants.items()), warps, stages)


def operands(lines: Lines, form: Form, place: str, first: int = 1) -> dict[int, str]:
    """Lines that find a group's operands from its row of places, from field `first` on; their names by slot."""
    places = {slot: f"tl.load({place} + {first + slot})" for slot in range(len(form.slots))}
    return named(lines, form, places)


def named(lines: Lines, form: Form, places: Mapping[int, str]) -> dict[int, str]:
    """Lines that find operands from their places, for some slots; their names.

    A buffer, a table, an index and weights are pointers, a column the codes of the tile's rows of data.
    """
    names: dict[int, str] = {}
    for slot, at in places.items():
        match form.slots[slot]:
            case "buffer":
                names[slot] = lines.let("x", f"values + {at} * stride + b")
            case "table" | "scale":
                names[slot] = lines.let("t", f"tables + {at}")
            case "weights":
                where = "tables" if form.matrix is not None and form.matrix.rows <= VECTOR else "weights"
                names[slot] = lines.let("w", f"{where} + tl.multiple_of({at}, 16)")
            case "index":
                names[slot] = lines.let("i", f"indices + {at}")
            case "column":
                names[slot] = lines.let("code", f"tl.load(codes + {at} * stride + b)")
    return names


@dataclass(frozen=True, slots=True)
class At:
    """Where a value is taken: a vector of nodes by name (None for the one node of a scalar), those that there are (None
    for all), and how many at most."""

    nodes: str | None
    mask: str | None

    def loaded(self, pointer: str, kind: str = ZERO) -> str:
        """A load from a pointer that has a column per node."""
        return f"tl.load({pointer})" if self.mask is None else f"tl.load({pointer}, {self.mask}[:, None], {kind})"


def value(lines: Lines, what: Value, at: At, names: dict[int, str], given: dict[int, str] | None = None) -> str:
    """Lines that compute a value on a tile [nodes, rows of data]; the name of it. Values are logarithms.

    `given` are names of tiles that stand in registers for what a slot would read. Depth is bounded by policy.LEAVES.
    """
    if what.width == 1:
        at = At(None, None)
    match what:
        case Read(slot, _) if given is not None and slot in given:
            return given[slot]
        case Read(slot, _):
            if at.nodes is None:
                return lines.let("v", f"tl.load({names[slot]})[None, :]")
            return lines.let("v", at.loaded(f"{names[slot]}[None, :] + {at.nodes}[:, None] * stride"))
        case Look(table, column, width, count):
            code = f"{names[column]}[None, :]" + (".to(tl.int64)" if width * count >= FAR else "")
            rows = f"{names[table]} + {code}" + (f" * {width}" if width > 1 else "")
            if at.nodes is None:
                return lines.let("v", f"tl.load({rows})")
            return lines.let("v", at.loaded(f"{rows} + {at.nodes}[:, None]"))
        case Constant(table, _):
            if at.nodes is None:
                return lines.let("v", f"tl.load({names[table]})")
            return lines.let("v", at.loaded(f"({names[table]} + {at.nodes})[:, None]"))
        case Times(factors, _):
            return lines.let("v", " + ".join([value(lines, factor, at, names, given) for factor in factors]))
        case Paired(factors, width):
            found: list[str] = []
            for factor in factors:
                width //= factor.width
                node = at.nodes
                if node is not None and factor.width > 1:
                    node = lines.let("n", f"{node} // {width} % {factor.width}")
                found.append(value(lines, factor, At(node, at.mask), names, given))
            return lines.let("v", " + ".join(found))
        case Joined(parts, _):
            return _joined(lines, parts, at, names, given)
        case Picked(index, source, _):
            if at.nodes is None:
                node = lines.let("n", f"tl.load({names[index]} + tl.arange(0, 1))")
            else:
                masked = "" if at.mask is None else f", {at.mask}, 0"
                node = lines.let("n", f"tl.load({names[index]} + {at.nodes}{masked})")
            return value(lines, source, At(node, at.mask), names, given)


def _joined(lines: Lines, parts: tuple[Value, ...], at: At, names: dict[int, str], given: dict[int, str] | None) -> str:
    """Parts end to end: each is loaded where it stands, and chosen there."""
    start, found = 0, ZERO
    for part in parts:
        node = lines.let("n", f"{at.nodes} - {start}")
        inside = f"({node} >= 0) & ({node} < {part.width})"
        inside = lines.let("ok", inside if at.mask is None else f"{at.mask} & {inside}")
        own = value(lines, part, At(node, inside), names, given)
        found = lines.let("v", f"tl.where({inside}[:, None], {own}, {found})")
        start += part.width
    return found
