"""Kernels for the way down a network that chooses a member of each sum it meets: samples, and the most probable values.

Each node gathers whether it is reached: from products that are, and from sums that chose it. It holds the number by
which random choices there are counted, −1 where it is not reached; a node inside of a map has that of the node above.
Then the sums that are reached choose. At last leaves on missing columns give those their values.
"""

from __future__ import annotations

from .draws import KEYS, LEVEL, drawn, largest, words
from .kernel import Argument, Kernel
from .network import CONSTANTS, TILE, Numbers, Shape, by_tiles, by_turns, counts, indented, jitted, through
from .records import CHOICES


def reach_tile() -> list[str]:
    """Which nodes of a tile are reached, from those that read them."""
    return [
        "reached = tl.full([WIDTH, LANES], -1, tl.int32)",
        "for e in range(rounds):",
        "    reader = tl.load(members + start + e * WIDTH + n)",
        "    name = tl.load(names + start + e * WIDTH + n)",
        "    there = reader >= 0",
        "    above = tl.load(states[None, :] + reader[:, None] * LANES, there[:, None], -1)",
        "    heavy = (there & (name >= 0))[:, None]",
        "    picked = tl.load(choices[None, :] + reader[:, None] * LANES, heavy, -1)",
        "    taken = (picked == name[:, None]) | (name < 0)[:, None]",
        "    reached = tl.maximum(reached, tl.where(taken, above, -1))",
        "if alone:",
        "    reached = tl.broadcast_to(tl.max(reached, 0)[None, :], [WIDTH, LANES])",
        "reached = tl.where((node == root)[:, None], seed[None, :], reached)",
        "own = tl.load(ids + node, node >= 0, -1)[:, None]",
        "reached = tl.where((reached >= 0) & (own >= 0), own, reached)",
        "tl.store(states[None, :] + node[:, None] * LANES, reached, (node >= 0)[:, None])",
    ]


def _uniform(number: str) -> list[str]:
    rows = "tl.broadcast_to((row.to(tl.int64) + first_row)[None, :], [WIDTH, LANES])"
    return [*words(rows, "reached", f"tl.broadcast_to({number}, [WIDTH, LANES])"), *LEVEL]


def choose_tile(numbers: Numbers, sampled: bool, single: bool) -> list[str]:
    """The member that each reached sum of a tile chooses; with `single`, values are those of one row for all."""
    none = numbers.none
    at = "values + member[:, None]" if single else "place[None, :] + member[:, None] * LANES"
    term = [
        "member = tl.load(members + start + e * WIDTH + n)",
        "there = member >= 0",
        f"weight = tl.load(weights + tl.load(names + start + e * WIDTH + n), there, {none})[:, None]",
        f"value = tl.load({at}, there[:, None], {none})",
        f"term = value.to(tl.float64) {numbers.times} weight.to(tl.float64)",
        *(["term = tl.broadcast_to(term, [WIDTH, LANES])"] if single else []),
    ]
    shape, loop = "[WIDTH, LANES]", "for e in range(rounds):"
    lines = [
        "reached = tl.load(states[None, :] + node[:, None] * LANES, (node >= 0)[:, None], -1)",
        "if tl.max(tl.max(reached, 1), 0) >= 0:",
    ]
    if sampled:
        number = "tl.load(numbers + node, node >= 0, 0)[:, None]"
        choice = [*_uniform(number), *drawn(numbers.form, loop, term, shape)]
    else:
        choice = largest(loop, term, shape)
    store = "tl.store(choices[None, :] + node[:, None] * LANES, chosen, (node >= 0)[:, None])"
    return [*lines, *indented([*choice, store], 1)]


def value_tile(numbers: Numbers, sampled: bool) -> list[str]:
    """The values of missing columns from the leaves of a tile that are reached; its kind is their number of values."""
    none = numbers.none
    term = [
        f"entry = tl.load(leaves + begin + e, column >= 0, {none})[:, None].to(tl.float64)",
        "term = tl.broadcast_to(entry, [WIDTH, LANES])",
    ]
    shape, loop = "[WIDTH, LANES]", "for e in range(kind):"
    zero = "tl.zeros([WIDTH, LANES], tl.int32)"
    choice = [*_uniform(zero), *drawn(numbers.form, loop, term, shape)] if sampled else largest(loop, term, shape)
    lines = [
        *(line.replace("+ tile * 4", "+ tile * 4").replace("records", "leaf_records") for line in TILE[:2]),
        "node = tl.load(leaf_nodes + tile * WIDTH + n)",
        "column = tl.load(leaf_members + start + n)",
        "begin = tl.load(leaf_names + start + n)",
        "there = (column >= 0)[:, None] & live[None, :]",
        "reached = tl.load(states[None, :] + node[:, None] * LANES, there, -1)",
        "at = codes + column[:, None] * rows + row[None, :]",
        "asked = (reached >= 0) & (tl.load(at, there, -1) == kind)",
        "if tl.max(tl.max(asked.to(tl.int32), 1), 0) > 0:",
        *indented([*choice, "tl.store(at, chosen, asked)"], 1),
    ]
    return lines


LEAF = tuple(Argument(f"leaf_{name}", "*i32") for name in ("records", "nodes", "members", "names"))


def _arguments(numbers: Numbers) -> tuple[Argument, ...]:
    records = tuple(Argument(name, "*i32") for name in ("records", "nodes", "members", "names"))
    tables = tuple(Argument(name, numbers.pointer) for name in ("leaves", "weights"))
    others = tuple(Argument(name, "*i32") for name in ("codes", "ids", "numbers", "state", "choice"))
    values = (Argument("values", numbers.pointer), Argument("roots", numbers.pointer))
    return (*records, *LEAF, *tables, *others, *values, Argument("first_row", "i64", aligned=False))


def _tile(numbers: Numbers, sampled: bool, single: bool) -> list[str]:
    return [
        *TILE,
        f"if kind == {CHOICES}:",
        *indented(choose_tile(numbers, sampled, single), 1),
        "else:",
        *indented(reach_tile(), 1),
    ]


def _seed(numbers: Numbers, single: bool) -> str:
    at = "roots + row * 0" if single else "roots + row"
    return f"seed = tl.where(tl.load({at}, live, {numbers.none}) > {numbers.none}, 0, -1)"


STATES = [
    "states = state + {0}.to(tl.int64) * size * LANES + lane",
    "choices = choice + {0}.to(tl.int64) * size * LANES + lane",
]


def descend(numbers: Numbers, shape: Shape, sampled: bool, single: bool) -> Kernel:
    """The kernel that takes tiles of the batch from the root to the leaves, and writes codes that were missing."""
    arguments = (*_arguments(numbers), Argument("ranks", "*i32"), *counts(*KEYS, "rows", "size", "root", "levels"))
    arguments += counts("turns", "leaf_tiles")
    ranks = [
        "place = values + tl.cast(turn, tl.int64) * size * LANES + lane",
        _seed(numbers, single),
        *through("levels", "ranks", _tile(numbers, sampled, single)),
        "for tile in range(leaf_tiles):",
        *indented(value_tile(numbers, sampled), 1),
    ]
    body = by_turns([line.format("program") for line in STATES], ranks, [])
    doc = "From the root of a network of scalar nodes to its leaves, for one tile of the batch after the other."
    text = jitted("descend", arguments, CONSTANTS, doc, body)
    return Kernel("descend", text, arguments, shape.constants, shape.warps, registers=shape.registers)


def descend_level(numbers: Numbers, shape: Shape, sampled: bool, single: bool) -> Kernel:
    """The kernel that takes the tiles of one level, for every tile of the batch."""
    arguments = (*_arguments(numbers), *counts(*KEYS, "rows", "size", "root", "first_tile"))
    states = [line.format("turn") for line in STATES]
    body = by_tiles([*states, _seed(numbers, single), *_tile(numbers, sampled, single)])
    doc = "One level of the way from the root of a network of scalar nodes to its leaves."
    text = jitted("descend_level", arguments, CONSTANTS, doc, body)
    return Kernel("descend_level", text, arguments, shape.constants, shape.warps, registers=shape.registers)


def descend_leaves(numbers: Numbers, shape: Shape, sampled: bool) -> Kernel:
    """The kernel that writes codes that were missing, from the leaves that were reached."""
    arguments = (*_arguments(numbers), *counts(*KEYS, "rows", "size", "root", "first_tile"))
    states = [line.format("turn") for line in STATES]
    body = by_tiles([*states, *value_tile(numbers, sampled)])
    doc = "The values of missing columns from the leaves of a network that were reached."
    text = jitted("descend_leaves", arguments, CONSTANTS, doc, body)
    return Kernel("descend_leaves", text, arguments, shape.constants, shape.warps, registers=shape.registers)
