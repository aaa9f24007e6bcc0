"""The kernel that goes down a Program of vectors from its root: a choice at each matrix, and at missing inputs.

What is reached of each buffer is held as the number by which random choices there are counted, −1 elsewhere. Of the
nodes that a matrix writes at most one is reached in a row; those of elementwise steps hand on to what they read.
"""

from __future__ import annotations

from .draws import KEYS, LEVEL, mass, scaled, words
from .kernel import Argument, Kernel
from .network import BARRIER, CONSTANTS, Shape, counts, indented, jitted
from .steps import LOADS, MATRICES
from .steps_kernels import BEFORE, COMMON, EACH, ELEMENTS, LOAD, MATRIX, NONE, STEP, TILES


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
        "    tl.debug_barrier()  # every thread has seen what is missing before one of them writes",
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
    return Kernel("descend_steps", text, arguments, shape.constants, shape.warps, registers=shape.registers)
