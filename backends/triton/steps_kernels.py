"""Kernels that walk a Program of vectors: up, with the values of all buffers kept, and down, a choice at each matrix.

A program takes a tile of the batch through all steps in one launch; or each step is a launch, its tiles of nodes spread
over programs, where the batch is too small to fill the device. Values are logarithms in float64, so that −inf is exact
and no scale is needed; a sum's terms are looked at twice, once for the largest.
"""

from __future__ import annotations

from .draws import KEYS, LEVEL, mass, scaled, words
from .kernel import Argument, Kernel
from .network import BARRIER, CONSTANTS, Form, Shape, counts, indented, jitted
from .steps import FIELDS, LOADS, MATRICES, TERM

NONE = 'float("-inf")'


def _field(name: str, number: int) -> str:
    return f"{name} = tl.load(records + step * {FIELDS} + {number})"


STEP = [_field(name, number) for number, name in enumerate(("kind", "out", "nodes", "site", "choice"))]
LOAD = [_field(name, 5 + number) for number, name in enumerate(("table", "column", "count"))]
ELEMENTS = [_field(name, 5 + number) for number, name in enumerate(("first_term", "last_term"))]
MATRIX = [
    _field(name, 5 + number)
    for number, name in enumerate(
        (
            "table",
            "blocks",
            "tall",
            "columns",
            "read_block",
            "read_node",
            "write_block",
            "write_node",
            "source",
            "apart",
        )
    )
]
EACH = [
    f"of_table = tl.load(terms + term * {TERM})",
    f"begin = tl.load(terms + term * {TERM} + 1)",
    f"divisor = tl.load(terms + term * {TERM} + 2)",
    f"width = tl.load(terms + term * {TERM} + 3)",
    f"index = tl.load(terms + term * {TERM} + 4)",
    "own = (k // divisor) % width",
    "own = tl.where(index >= 0, tl.load(indices + index + own, there & (index >= 0), 0), own)",
]
TILES = "for tile in range(tl.program_id(1), {}, tl.num_programs(1)):"

BEFORE = [
    "turn = tl.program_id(0)",
    "n = tl.arange(0, WIDTH)",
    "lane = tl.arange(0, LANES)",
    "row = turn * LANES + lane",
    "live = row < rows",
]

COMMON = (
    Argument("records", "*i32"),
    Argument("terms", "*i32"),
    Argument("indices", "*i32"),
    Argument("tables", "*fp64"),
    Argument("codes", "*i32"),
)
EVIDENCE = (Argument("evidence", "*fp64"), Argument("spots", "*i32"))


def _loaded(weighted: bool, form: Form) -> list[str]:
    """The values of an input: for a column under weights the sum over its values, a code for each otherwise."""
    plain = [
        "code = tl.load(codes + column * rows + row, live, 0)",
        f"value = tl.load(tables + table + code[None, :] * nodes + k[:, None], there[:, None], {NONE})",
    ]
    if not weighted:
        return plain
    term = [
        f"entry = tl.load(tables + table + v * nodes + k, there, {NONE})[:, None]",
        f"given = tl.load(evidence + (spot + v) * rows + row, live, {NONE})[None, :]",
    ]
    top = [
        f"top = tl.full([WIDTH, LANES], {NONE}, tl.float64)",
        "for v in range(count):",
        *indented([*term, "top = tl.maximum(top, entry + given)"], 1),
    ]
    if form == "max":
        total = ["value = top"]
    else:
        total = [
            f"shift = tl.where(top == {NONE}, 0.0, top)",
            "total = tl.zeros([WIDTH, LANES], tl.float64)",
            "for v in range(count):",
            *indented([*term, "total += tl.exp(entry + given - shift)"], 1),
            "value = tl.log(total) + shift",
        ]
    return [
        "spot = tl.load(spots + column)",
        "value = tl.zeros([WIDTH, LANES], tl.float64)",
        "if spot < 0:",
        *indented(plain, 1),
        "else:",
        *indented([*top, *total], 1),
    ]


def fill(form: Form, shape: Shape, weighted: bool = False) -> Kernel:
    """The kernel that computes all buffers of steps first … last, in order; `max` takes the largest term of a sum."""
    store = "tl.store(place[None, :] + (out + {0})[:, None] * LANES, value, {1}[:, None])"
    term = [
        f"weight = tl.load(tables + matrix + r * columns + c, there, {NONE})[:, None]",
        "below = tl.load(place + (source + i * read_block + c * read_node) * LANES)[None, :]",
    ]
    summed = [
        f"top = tl.full([WIDTH, LANES], {NONE}, tl.float64)",
        "for c in range(columns):",
        *indented([*term, "top = tl.maximum(top, weight + below)"], 1),
    ]
    if form == "max":
        summed += ["value = top"]
    else:
        summed += [
            f"shift = tl.where(top == {NONE}, 0.0, top)",
            "total = tl.zeros([WIDTH, LANES], tl.float64)",
            "for c in range(columns):",
            *indented([*term, "total += tl.exp(weight + below - shift)"], 1),
            "value = tl.log(total) + shift",
        ]
    elements = [
        "value = tl.zeros([WIDTH, LANES], tl.float64)",
        "for term in range(first_term, first_term + last_term):",
        *indented(
            [
                *EACH,
                "if of_table:",
                "    value += tl.load(tables + begin + own, there, 0.0)[:, None]",
                "else:",
                "    value += tl.load(place[None, :] + (begin + own)[:, None] * LANES, there[:, None], 0.0)",
            ],
            1,
        ),
    ]
    nodes = ["k = tile * WIDTH + n", "there = k < nodes"]
    body = [
        *BEFORE,
        "place = values + turn.to(tl.int64) * size * LANES + lane",
        "for step in range(first_step, last_step):",
        *indented(
            [
                *STEP,
                f"if kind == {MATRICES}:",
                *indented(
                    [
                        *MATRIX,
                        "across = (tall + WIDTH - 1) // WIDTH",
                        TILES.format("blocks * across"),
                        "    i = tile // across",
                        "    r = (tile % across) * WIDTH + n",
                        "    there = r < tall",
                        "    matrix = table + i * apart",
                        *indented(summed, 1),
                        "    " + store.format("i * write_block + r * write_node", "there"),
                    ],
                    1,
                ),
                f"elif kind == {LOADS}:",
                *indented([*LOAD, TILES.format("(nodes + WIDTH - 1) // WIDTH")], 1),
                *indented([*nodes, *_loaded(weighted, form), store.format("k", "there")], 2),
                "else:",
                *indented([*ELEMENTS, TILES.format("(nodes + WIDTH - 1) // WIDTH")], 1),
                *indented([*nodes, *elements, store.format("k", "there")], 2),
                *BARRIER,
            ],
            1,
        ),
    ]
    arguments: tuple[Argument, ...] = (*COMMON, *(EVIDENCE if weighted else ()), Argument("values", "*fp64"))
    arguments += counts("rows", "size", "first_step", "last_step")
    text = jitted("fill_steps", arguments, CONSTANTS, "The values of all buffers of a Program, step by step.", body)
    return Kernel("fill_steps", text, arguments, shape.constants, shape.warps)


def _chosen(sampled: bool, length: str, term: list[str], number: str) -> list[str]:
    """Lines for `chosen` [LANES] among the terms of a loop in tiles of WIDTH, which give `term` for the numbers c."""
    loop = f"for start in range(0, {length}, WIDTH):"
    each = ["c = start + n", *term]
    if not sampled:
        return [
            f"top = tl.full([LANES], {NONE}, tl.float64)",
            "chosen = tl.zeros([LANES], tl.int32)",
            loop,
            *indented(
                [
                    *each,
                    "most = tl.max(term, 0)",
                    "where = tl.min(tl.where(term == most[None, :], c[:, None], 2147483647), 0)",
                    "chosen = tl.where(most > top, where, chosen)",
                    "top = tl.maximum(top, most)",
                ],
                1,
            ),
        ]
    integer = mass("log").replace("top", "top[None, :]")
    return [
        *words("(row.to(tl.int64) + first_row)", "state", f"(row * 0 + {number})"),
        *LEVEL,
        f"top = tl.full([LANES], {NONE}, tl.float64)",
        loop,
        *indented([*each, "top = tl.maximum(top, tl.max(term, 0))"], 1),
        *scaled("log"),
        "whole = tl.zeros([LANES], tl.int64)",
        loop,
        *indented([*each, f"whole += tl.sum({integer}, 0)"], 1),
        "mark = tl.umulhi(level, whole.to(tl.uint64)).to(tl.int64)",
        "running = tl.zeros([LANES], tl.int64)",
        "chosen = tl.zeros([LANES], tl.int32)",
        loop,
        *indented(
            [
                *each,
                f"some = {integer}",
                "sums = running[None, :] + tl.cumsum(some, 0)",
                f"chosen += tl.sum(((sums <= mark[None, :]) & (c < {length})[:, None]).to(tl.int32), 0)",
                "running += tl.sum(some, 0)",
            ],
            1,
        ),
    ]


FOUND = [
    "hit = tl.full([LANES], -1, tl.int32)",
    "state = tl.full([LANES], -1, tl.int32)",
    "for start in range(0, {0}, WIDTH):",
    "    r = start + n",
    "    found = tl.load(states[None, :] + (out + {1})[:, None] * LANES, (r < {0})[:, None], -1)",
    "    hit = tl.maximum(hit, tl.max(tl.where(found >= 0, r[:, None], -1), 0))",
    "    state = tl.maximum(state, tl.max(found, 0))",
]
"""Which node of a stretch is reached in each row, if one is, and the number of its choices."""


def descend(sampled: bool, single: bool, shape: Shape) -> Kernel:
    """The kernel that goes from the root through steps last … first, and writes codes that were missing.

    With `single`, values are those of one row for all.
    """
    at = "(values + {0})[:, None]" if single else "place[None, :] + ({0})[:, None] * LANES"
    node = "source + i * read_block + c * read_node"
    matrix_term = [
        "inside = (c < columns)[:, None] & (hit >= 0)[None, :]",
        f"weight = tl.load(tables + matrix + hit[None, :] * columns + c[:, None], inside, {NONE})",
        f"term = weight + tl.load({at.format(node)}, (c < columns)[:, None], {NONE})",
    ]
    value_term = [
        "inside = (c < count)[:, None] & asked[None, :]",
        f"term = tl.load(tables + table + c[:, None] * nodes + hit[None, :], inside, {NONE})",
    ]
    named = "state = tl.where((state >= 0) & (site >= 0), site + {0}, state)"
    matrices = [
        *MATRIX,
        TILES.format("blocks"),
        "    i = tile",
        "    matrix = table + i * apart",
        *indented([line.format("tall", "i * write_block + r * write_node") for line in FOUND], 1),
        "    if tl.max(hit, 0) >= 0:",
        *indented(
            [
                named.format("i * write_block + hit * write_node"),
                *_chosen(sampled, "columns", matrix_term, "choice"),
                "target = states + (source + i * read_block + chosen * read_node) * LANES",
                "tl.store(target, state, hit >= 0)",
            ],
            2,
        ),
    ]
    loads = [
        *LOAD,
        "if tl.program_id(1) == 0:",
        *indented([line.format("nodes", "r") for line in FOUND], 1),
        "    asked = (hit >= 0) & (tl.load(codes + column * rows + row, live, -1) == count)",
        "    if tl.max(asked.to(tl.int32), 0) > 0:",
        *indented(
            [
                named.format("hit"),
                *_chosen(sampled, "count", value_term, "0"),
                "tl.store(codes + column * rows + row, chosen, asked)",
            ],
            2,
        ),
    ]
    elements = [
        *ELEMENTS,
        TILES.format("(nodes + WIDTH - 1) // WIDTH"),
        "    k = tile * WIDTH + n",
        "    there = k < nodes",
        "    state = tl.load(states[None, :] + (out + k)[:, None] * LANES, there[:, None], -1)",
        "    named = tl.where(site >= 0, (site + k)[:, None], state)",
        "    for term in range(first_term, first_term + last_term):",
        *indented(
            [
                *EACH,
                "if of_table == 0:",
                "    tl.store(states[None, :] + (begin + own)[:, None] * LANES, named, there[:, None] & (state >= 0))",
            ],
            2,
        ),
    ]
    body = [
        *BEFORE,
        *([] if single else ["place = values + turn.to(tl.int64) * size * LANES + lane"]),
        "states = state_of + turn.to(tl.int64) * size * LANES + lane",
        "for back in range(first_step, last_step):",
        "    step = last_step - 1 - (back - first_step)",
        *indented(
            [
                *STEP,
                f"if kind == {MATRICES}:",
                *indented(matrices, 1),
                f"elif kind == {LOADS}:",
                *indented(loads, 1),
                "else:",
                *indented(elements, 1),
                *BARRIER,
            ],
            1,
        ),
    ]
    held = (Argument("values", "*fp64"), Argument("state_of", "*i32"), Argument("first_row", "i64", aligned=False))
    arguments = (*COMMON, *held, *counts(*KEYS, "rows", "size", "first_step", "last_step"))
    doc = "From the root of a Program to its inputs, a choice at each matrix."
    text = jitted("descend_steps", arguments, CONSTANTS, doc, body)
    return Kernel("descend_steps", text, arguments, shape.constants, shape.warps)
