"""Kernels of networks of scalar nodes: all levels in one launch, or one launch for each level.

What enters are the records of a network; what leaves is text. A program takes a tile of the batch through the circuit.
The values of a tile lie one node after the other in a scratch of the program's own, which stays in the caches where the
live values of all programs fit there; a barrier of the program parts the levels. Where they do not fit, each level is a
launch over all tiles of nodes and of the batch. In logarithms −inf is exact: what is −inf has no share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .kernel import Argument, Kernel, Scalar

Form = Literal["linear", "log", "max"]
"""Numbers as they are, logarithms, or maxima of logarithms."""

NUMBER = {4: ("tl.float32", "*fp32"), 8: ("tl.float64", "*fp64")}


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of what kind values are, and of how many bytes."""

    form: Form
    size: int

    @property
    def type(self) -> str:
        return NUMBER[self.size][0]

    @property
    def pointer(self) -> Scalar:
        return "*fp32" if self.size == 4 else "*fp64"

    @property
    def none(self) -> str:
        """What has no share in a sum."""
        return "0.0" if self.form == "linear" else 'float("-inf")'

    @property
    def one(self) -> str:
        return "1.0" if self.form == "linear" else "0.0"

    @property
    def times(self) -> str:
        return "*" if self.form == "linear" else "+"


RECORDS = tuple(Argument(name, "*i32") for name in ("records", "nodes", "members", "names"))


def indented(lines: list[str], depth: int) -> list[str]:
    """Lines moved to the right by so many steps."""
    return [f"{'    ' * depth}{line}" if line else line for line in lines]


def jitted(name: str, arguments: tuple[Argument, ...], constants: tuple[str, ...], doc: str, body: list[str]) -> str:
    """The text of a kernel's module."""
    names = [argument.name for argument in arguments] + [f"{constant}: tl.constexpr" for constant in constants]
    head = ["import triton", "import triton.language as tl", "", "", "@triton.jit"]
    opened = [f"def {name}(", *(f"    {each}," for each in names), "):", f'    """{doc}"""']
    return "\n".join([*head, *opened, *indented(body, 1)]) + "\n"


TILE = [
    "kind = tl.load(records + tile * 4)",
    "start = tl.load(records + tile * 4 + 1)",
    "rounds = tl.load(records + tile * 4 + 2)",
    "alone = tl.load(records + tile * 4 + 3)",
    "node = tl.load(nodes + tile * WIDTH + n)",
]
"""A tile's record."""


def forward_tile(numbers: Numbers, weighted: bool = False) -> list[str]:
    """The values of a tile's nodes: leaves, products or sums."""
    store = "tl.store(place[None, :] + node[:, None] * LANES, value, (node >= 0)[:, None])"
    return [
        *TILE,
        f"value = tl.full([WIDTH, LANES], {numbers.one}, {numbers.type})",
        "if kind == 0:",
        *indented(_leaves(numbers, weighted), 1),
        "elif kind == 1:",
        "    for e in range(rounds):",
        "        member = tl.load(members + start + e * WIDTH + n)",
        "        there = (member >= 0)[:, None]",
        f"        value {numbers.times}= tl.load(place[None, :] + member[:, None] * LANES, there, {numbers.one})",
        "else:",
        *indented(sums(numbers), 1),
        store,
    ]


def _leaves(numbers: Numbers, weighted: bool) -> list[str]:
    """A leaf's value for the code of its column; where evidence is virtual, the sum of its values by their weights."""
    lines = [
        "column = tl.load(members + start + n)",
        "first = tl.load(names + start + n)",
        "there = (column >= 0)[:, None] & live[None, :]",
    ]
    if weighted:
        lines += [
            "spot = tl.load(spots + column, column >= 0, -1)",
            "count = tl.where(spot >= 0, tl.load(sizes + column, column >= 0, 0), 0)",
            "there = there & (spot < 0)[:, None]",
        ]
    lines += [
        "code = tl.load(codes + column[:, None] * rows + row[None, :], there, 0)",
        f"value = tl.load(leaves + first[:, None] + code, there, {numbers.none})",
    ]
    if not weighted:
        return lines
    term = [
        "each = (spot >= 0) & (v < count)",
        f"own = tl.load(leaves + first + v, each, {numbers.none})[:, None]",
        "given = tl.load(",
        f"    evidence + (spot + v)[:, None] * rows + row[None, :], each[:, None] & live[None, :], {numbers.none}",
        ")",
    ]
    loop = "for v in range(tl.max(count, 0)):"
    if numbers.form == "linear":
        return [*lines, loop, *indented([*term, "value += own * given"], 1)]
    top = [*lines, "top = value", loop, *indented([*term, "top = tl.maximum(top, own + given)"], 1)]
    if numbers.form == "max":
        return [*top, "value = top"]
    return [
        *top,
        'shift = tl.where(top == float("-inf"), 0.0, top)',
        "total = tl.exp(value - shift)",
        loop,
        *indented([*term, "total += tl.exp(own + given - shift)"], 1),
        "value = tl.where((spot >= 0)[:, None], tl.log(total) + shift, value)",
    ]


def sums(numbers: Numbers, stride: str = "LANES") -> list[str]:
    """Sums of members by their weights; of one node alone its edges lie across the lanes."""
    term = [
        "member = tl.load(members + start + e * WIDTH + n)",
        "there = member >= 0",
        f"weight = tl.load(weights + tl.load(names + start + e * WIDTH + n), there, {numbers.none})[:, None]",
        f"value = tl.load(place[None, :] + member[:, None] * {stride}, there[:, None], {numbers.none})",
        f"term = value {numbers.times} weight",
    ]
    if numbers.form == "linear":
        return [
            f"total = tl.zeros([WIDTH, LANES], {numbers.type})",
            "for e in range(rounds):",
            *indented([*term, "total += term"], 1),
            "if alone:",
            "    total = tl.broadcast_to(tl.sum(total, 0)[None, :], [WIDTH, LANES])",
            "value = total",
        ]
    top = [
        f"top = tl.full([WIDTH, LANES], {numbers.none}, {numbers.type})",
        "for e in range(rounds):",
        *indented([*term, "top = tl.maximum(top, term)"], 1),
        "if alone:",
        "    top = tl.broadcast_to(tl.max(top, 0)[None, :], [WIDTH, LANES])",
    ]
    if numbers.form == "max":
        return [*top, "value = top"]
    return [
        *top,
        'shift = tl.where(top == float("-inf"), 0.0, top)',
        f"total = tl.zeros([WIDTH, LANES], {numbers.type})",
        "for e in range(rounds):",
        *indented([*term, "total += tl.exp(term - shift)"], 1),
        "if alone:",
        "    total = tl.broadcast_to(tl.sum(total, 0)[None, :], [WIDTH, LANES])",
        "value = tl.log(total) + shift",
    ]


def data(numbers: Numbers, weighted: bool = False) -> tuple[Argument, ...]:
    """What a network reads: its tables, the weight 1 first among weights, codes [columns, rows]; where evidence is
    virtual, weights [values, rows], where those of each column begin (−1: it has none), and how many there are."""
    tables = (Argument("leaves", numbers.pointer), Argument("weights", numbers.pointer), Argument("codes", "*i32"))
    more = (Argument("evidence", numbers.pointer), Argument("spots", "*i32"), Argument("sizes", "*i32"))
    return (*RECORDS, *tables, *(more if weighted else ()), Argument("values", numbers.pointer))


def counts(*names: str) -> tuple[Argument, ...]:
    """Numbers of 32 bits that a kernel is given."""
    return tuple(Argument(name, "i32", aligned=False) for name in names)


BARRIER = [
    "if DRAIN:",
    "    tl.inline_asm_elementwise(",
    '        "s_waitcnt vmcnt(0)\\nv_mov_b32 $0, $1", "=v,v", [lane], tl.int32, is_pure=False, pack=1',
    "    )",
    "tl.debug_barrier()",
]
"""What a thread of the program has stored is there for all of them. On AMD's processors the barrier does not wait for
stores: each wave waits for its own first (`DRAIN`)."""


def by_turns(before: list[str], ranks: list[str], after: list[str]) -> list[str]:
    """A program's body: tiles of the batch in turn, each through all ranks of tiles; a barrier after each rank."""
    return [
        "program = tl.program_id(0)",
        "n = tl.arange(0, WIDTH)",
        "lane = tl.arange(0, LANES)",
        "place = values + program.to(tl.int64) * size * LANES + lane",
        *before,
        "for turn in range(program, turns, tl.num_programs(0)):",
        "    row = turn * LANES + lane",
        "    live = row < rows",
        *indented(ranks, 1),
        *indented(after, 1),
        *indented(BARRIER, 1),
    ]


def through(levels: str, bounds: str, tile: list[str]) -> list[str]:
    """All tiles, rank by rank."""
    return [
        f"for rank in range({levels}):",
        f"    for tile in range(tl.load({bounds} + rank), tl.load({bounds} + rank + 1)):",
        *indented(tile, 2),
        *indented(BARRIER, 1),
    ]


def by_tiles(tile: list[str]) -> list[str]:
    """The body of a program that takes one tile of a level, and one of the batch."""
    return [
        "tile = first_tile + tl.program_id(0)",
        "turn = tl.program_id(1)",
        "n = tl.arange(0, WIDTH)",
        "lane = tl.arange(0, LANES)",
        "place = values + turn.to(tl.int64) * size * LANES + lane",
        "row = turn * LANES + lane",
        "live = row < rows",
        *tile,
    ]


@dataclass(frozen=True, slots=True)
class Shape:
    """The tile of nodes and of the batch that a program takes at once, by how many warps; `drain` is for AMD."""

    width: int
    lanes: int
    warps: int = 4
    drain: bool = False

    @property
    def registers(self) -> int:
        """Registers that a thread may have: two programs share a multiprocessor's 65536."""
        return min(255, 1024 // self.warps)

    @property
    def constants(self) -> tuple[tuple[str, int | bool], ...]:
        return (("WIDTH", self.width), ("LANES", self.lanes), ("DRAIN", self.drain))


CONSTANTS = ("WIDTH", "LANES", "DRAIN")


def whole(numbers: Numbers, shape: Shape, weighted: bool = False) -> Kernel:
    """The kernel that takes tiles of the batch through all levels, and writes the root's values."""
    out = Argument("out", numbers.pointer)
    arguments = (*data(numbers, weighted), Argument("ranks", "*i32"), out)
    arguments += counts("rows", "size", "root", "levels", "turns")
    body = by_turns(
        [],
        through("levels", "ranks", forward_tile(numbers, weighted)),
        ["tl.store(out + row, tl.load(place + root * LANES), live)"],
    )
    doc = "All levels of a network of scalar nodes, for one tile of the batch after the other."
    return Kernel(
        "network",
        jitted("network", arguments, CONSTANTS, doc, body),
        arguments,
        shape.constants,
        shape.warps,
        registers=shape.registers,
    )


def level(numbers: Numbers, shape: Shape, weighted: bool = False) -> Kernel:
    """The kernel that computes the tiles of one level, for every tile of the batch."""
    arguments = (*data(numbers, weighted), *counts("rows", "size", "first_tile"))
    body = by_tiles(forward_tile(numbers, weighted))
    doc = "One level of a network of scalar nodes."
    return Kernel(
        "level",
        jitted("level", arguments, CONSTANTS, doc, body),
        arguments,
        shape.constants,
        shape.warps,
        registers=shape.registers,
    )
