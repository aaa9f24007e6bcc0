"""The kernel that fills all buffers of a Program of vectors; the way down is steps_descent.py.

A program takes a tile of the batch through all steps in one launch; or each step is a launch, its tiles of nodes spread
over programs, where the batch is too small to fill the device. Values are logarithms in float64, so that −inf is exact
and no scale is needed; a sum's terms are looked at twice, once for the largest.
"""

from __future__ import annotations

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
    # an index below 0 is none; a mask is of nodes, since the interpreter of 3.9 takes none from a scalar
    "own = tl.where(index >= 0, tl.load(indices + index + own, there & (index + 0 * own >= 0), 0), own)",
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
    return Kernel("fill_steps", text, arguments, shape.constants, shape.warps, registers=shape.registers)
