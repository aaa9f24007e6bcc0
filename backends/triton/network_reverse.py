"""Kernels for the way back through a network: derivatives of nodes from the root down, and sums of them for tables.

In plain numbers a node has its derivative: of the logarithm of the root with respect to the node. In logarithms it has
its flow, that times the node's value, which nothing can make larger than the weight of its row. Each node gathers from
the nodes that read it, in the order of its edges, so that nothing is added by chance: the same numbers every time.
"""

from __future__ import annotations

from .kernel import Argument, Kernel
from .network import CONSTANTS, TILE, Numbers, Shape, by_tiles, by_turns, counts, data, forward_tile, indented, jitted
from .network import through as through_levels

TILES = ("records", "nodes", "members", "names")


def _renamed(lines: list[str], stem: str) -> list[str]:
    """A tile's lines over records of another name."""
    for name in TILES:
        lines = [line.replace(f"({name} + ", f"({stem}_{name} + ") for line in lines]
    return lines


def _records(stem: str) -> tuple[Argument, ...]:
    return tuple(Argument(f"{stem}_{name}", "*i32") for name in TILES)


def reverse_tile(numbers: Numbers) -> list[str]:
    """The derivatives or flows of a tile's nodes, from the nodes that read them."""
    read = [
        "reader = tl.load(members + start + e * WIDTH + n)",
        "name = tl.load(names + start + e * WIDTH + n)",
        "there = reader >= 0",
        "heavy = there & (name >= 0)",
        "down = tl.load(backs[None, :] + reader[:, None] * LANES, there[:, None], 0.0)",
        f"weight = tl.load(weights + name, heavy, {numbers.none})[:, None]",
    ]
    if numbers.form == "linear":
        factor = [
            "light = there & (name < 0)",
            "other = tl.load(place[None, :] - (name + 2)[:, None] * LANES, light[:, None], 0.0)",
            "share += down * tl.where(heavy[:, None], weight, other)",
        ]
    else:
        factor = [
            'above = tl.load(place[None, :] + reader[:, None] * LANES, heavy[:, None], float("-inf"))',
            'none = above == float("-inf")',
            "part = tl.exp(own + weight - tl.where(none, 0.0, above))",
            "share += tl.where(heavy[:, None], tl.where(none, 0.0, down * part), down)",
        ]
    own = [
        "mine = tl.where(alone > 0, tl.max(node, 0), node)",
        'own = tl.load(place[None, :] + mine[:, None] * LANES, (mine >= 0)[:, None], float("-inf"))',
    ]
    lines = [
        *TILE,
        *(own if numbers.form == "log" else []),
        f"share = tl.zeros([WIDTH, LANES], {numbers.type})",
        "for e in range(rounds):",
        *indented([*read, *factor], 1),
        "if alone:",
        "    share = tl.broadcast_to(tl.sum(share, 0)[None, :], [WIDTH, LANES])",
        "share = tl.where((node == root)[:, None], seed[None, :], share)",
        "tl.store(backs[None, :] + node[:, None] * LANES, share, (node >= 0)[:, None])",
    ]
    return _renamed(lines, "down")


def seed(numbers: Numbers) -> list[str]:
    """What the root has of each row: its weight over its value, or as a flow its weight; 0 where it is impossible."""
    lines = [
        "value = tl.load(place + root * LANES)",
        "given = tl.load(given_weights + row, live, 0.0)",
    ]
    if numbers.form == "linear":
        return [*lines, "seed = tl.where(live & (value > 0), given / tl.where(value > 0, value, 1.0), 0.0)"]
    return [*lines, 'seed = tl.where(live & (value > float("-inf")), given, 0.0)']


ADDED = ["before = tl.load({0}, {1}, 0.0)", "tl.store({0}, before + total.to(tl.float64), {1})"]


def _added(target: str, mask: str) -> list[str]:
    """Adds `total` to sums in float64, which only this program writes."""
    return [line.format(target, mask) for line in ADDED]


def weight_tile(numbers: Numbers) -> list[str]:
    """Adds to the sums of a tile of weights what their edges have."""
    term = [
        "reader = tl.load(members + start + e * WIDTH + n)",
        "member = tl.load(names + start + e * WIDTH + n)",
        "there = (reader >= 0)[:, None] & live[None, :]",
        "down = tl.load(backs[None, :] + reader[:, None] * LANES, there, 0.0)",
        f"below = tl.load(place[None, :] + member[:, None] * LANES, there, {numbers.none})",
    ]
    if numbers.form == "linear":
        term += ["share += tl.where(there, down * below, 0.0)"]
    else:
        term += [
            'above = tl.load(place[None, :] + reader[:, None] * LANES, there, float("-inf"))',
            'none = above == float("-inf")',
            "share += tl.where(none, 0.0, down * tl.exp(below + weight - tl.where(none, 0.0, above)))",
        ]
    lines = [
        *TILE,
        "mine = tl.where(alone > 0, tl.max(node, 0), node)",
        f"weight = tl.load(weights + mine + 1, mine >= 0, {numbers.none})[:, None]",
        f"share = tl.zeros([WIDTH, LANES], {numbers.type})",
        "for e in range(rounds):",
        *indented(term, 1),
        "total = tl.sum(share, 1)",
        "if alone:",
        "    total = tl.broadcast_to(tl.sum(total, 0), [WIDTH])",
        *_added("weight_sums + sums + node", "node >= 0"),
    ]
    return _renamed(lines, "weight")


def value_tile(numbers: Numbers) -> list[str]:
    """Adds to the sums of a tile of leaves, for each value, what the rows with its code have."""
    lines = [
        *TILE,
        "column = tl.load(members + start + n)",
        "first = tl.load(names + start + n)",
        "there = (column >= 0)[:, None] & live[None, :]",
        "code = tl.load(codes + column[:, None] * rows + row[None, :], there, -1)",
        "share = tl.load(backs[None, :] + node[:, None] * LANES, there, 0.0)",
        "for v in range(kind):",
        "    total = tl.sum(tl.where(code == v, share, 0.0), 1)",
        *indented(_added("leaf_sums + leaf + first + v", "column >= 0"), 1),
    ]
    return _renamed(lines, "leaf")


FINITE = [
    "share = tl.load(backs[None, :] + node[:, None] * LANES, (node >= 0)[:, None], 0.0)",
    "lost = tl.maximum(lost, tl.max((share - share != 0.0).to(tl.int32), 0))",
]
"""Rows whose derivatives are no numbers: what is infinite anywhere is so, or NaN, in the leaves below."""


def derive(numbers: Numbers, shape: Shape, weights: bool, leaves: bool) -> Kernel:
    """The kernel that takes tiles of the batch through all levels and back, and adds to sums for tables.

    Each program has sums of its own, in the order of its tiles; `bad` gets 1 for rows beyond all numbers.
    """
    arguments = (*data(numbers), Argument("ranks", "*i32"), *_records("down"), Argument("down_ranks", "*i32"))
    arguments += (*_records("leaf"), *_records("weight"), Argument("given_weights", numbers.pointer))
    arguments += (Argument("back", numbers.pointer), Argument("leaf_sums", "*fp64"), Argument("weight_sums", "*fp64"))
    arguments += (Argument("out", numbers.pointer), Argument("bad", "*i32"))
    arguments += counts("rows", "size", "root", "levels", "turns", "leaf_tiles", "leaf_count", "weight_tiles")
    arguments += counts("weight_count")
    before = [
        "backs = back + program.to(tl.int64) * size * LANES + lane",
        "leaf = program.to(tl.int64) * leaf_count",
        "sums = program.to(tl.int64) * weight_count",
    ]
    finite = [*_renamed(["node = tl.load(nodes + tile * WIDTH + n)"], "leaf"), *FINITE]
    ranks = [
        *through_levels("levels", "ranks", forward_tile(numbers)),
        *seed(numbers),
        "tl.store(out + row, value, live)",
        *through_levels("levels", "down_ranks", reverse_tile(numbers)),
        "lost = tl.zeros([LANES], tl.int32)",
        "for tile in range(leaf_tiles):",
        *indented(finite, 1),
        "tl.store(bad + row, lost, live)",
    ]
    after = ["for tile in range(leaf_tiles):", *indented(value_tile(numbers), 1)] if leaves else []
    after += ["for tile in range(weight_tiles):", *indented(weight_tile(numbers), 1)] if weights else []
    doc = "All levels of a network of scalar nodes, up and back, for one tile of the batch after the other."
    body = by_turns(before, ranks, after)
    text = jitted("derive", arguments, CONSTANTS, doc, body)
    return Kernel("derive", text, arguments, shape.constants, shape.warps, registers=shape.registers)


def reverse_level(numbers: Numbers, shape: Shape) -> Kernel:
    """The kernel that computes derivatives for the tiles of one level, for every tile of the batch."""
    arguments = (*_records("down"), Argument("weights", numbers.pointer), Argument("given_weights", numbers.pointer))
    arguments += (Argument("values", numbers.pointer), Argument("back", numbers.pointer))
    arguments += counts("rows", "size", "first_tile", "root")
    back = "backs = back + turn.to(tl.int64) * size * LANES + lane"
    body = by_tiles([back, *seed(numbers), *reverse_tile(numbers)])
    doc = "One level of the way back through a network of scalar nodes."
    text = jitted("back_level", arguments, CONSTANTS, doc, body)
    return Kernel("back_level", text, arguments, shape.constants, shape.warps, registers=shape.registers)


def sums(numbers: Numbers, shape: Shape, weights: bool) -> Kernel:
    """The kernel that adds up derivatives for the tables of weights or of leaves: a program for each of its tiles, over
    all tiles of the batch in order."""
    stem, total = ("weight", "weight_sums") if weights else ("leaf", "leaf_sums")
    arguments = (*_records(stem), Argument("weights", numbers.pointer), Argument("codes", "*i32"))
    arguments += (Argument("values", numbers.pointer), Argument("back", numbers.pointer), Argument(total, "*fp64"))
    arguments += counts("rows", "size", "turns")
    tile = (weight_tile if weights else value_tile)(numbers)
    body = [
        "tile = tl.program_id(0)",
        "n = tl.arange(0, WIDTH)",
        "lane = tl.arange(0, LANES)",
        "sums = 0" if weights else "leaf = 0",
        "for turn in range(turns):",
        "    place = values + tl.cast(turn, tl.int64) * size * LANES + lane",
        "    backs = back + tl.cast(turn, tl.int64) * size * LANES + lane",
        "    row = turn * LANES + lane",
        "    live = row < rows",
        *indented(tile, 1),
    ]
    doc = f"Sums of derivatives for the table of {'weights' if weights else 'leaves'}."
    text = jitted(f"{stem}_sums", arguments, CONSTANTS, doc, body)
    return Kernel(f"{stem}_sums", text, arguments, shape.constants, shape.warps, registers=shape.registers)
