"""A Program of vectors over polynomials in t, with t for each boolean that is 1: the mass of each number of ones.

What enters is a Program whose buffers are filled once; what leaves are the logarithms of the root's coefficients. A
lane holds a coefficient, as in network_ones.py and for its reason. Sums and scales take each lane alone; products are
cut into pairs, which go term by term over the factor of lower degree. A buffer's room is used again after its last
reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...ir.parameter import Floats
from ...ir.program.descent import Sites
from ...ir.program.operation import AllPairs, Join, Load, Multiply, Repeat, Step, reads, renamed
from ...ir.program.program import Program
from . import sparse_policy
from .kernel import Argument, Kernel
from .network import CONSTANTS, Shape, counts, indented, jitted
from .scalar import Device
from .shapes import steps_about
from .steps import FIELDS, LOADS, MATRICES, TERMS, Steps, steps
from .steps_kernels import EACH, LOAD, MATRIX, NONE, STEP

PAIRS = 3
"""The kind of steps that multiply two polynomials; how many coefficients the first has stands last in the record."""

ALONE = FIELDS - 1

ROOM = 1 << 33
"""Bytes that coefficients may take: beyond, the CPU counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Ones:
    """Records of steps, and over how many tiles of nodes of a width each is spread."""

    steps: Steps
    tall: tuple[int, ...]
    blocks: tuple[int, ...]


def _paired(program: Program) -> tuple[list[Step], list[int]]:
    """The steps, with products of two factors at most, and the widths of their buffers."""
    out: list[Step] = []
    widths = list(program.buffers)
    for step in program.operations:
        assert not isinstance(step, Repeat)
        if not isinstance(step, (Multiply, AllPairs)) or len(step.factors) <= 2:
            out.append(step)
            continue
        left, *rest = step.factors
        for factor in rest[:-1]:
            both = widths[left] * widths[factor] if isinstance(step, AllPairs) else widths[step.out]
            widths.append(both)
            out.append(replace(step, out=len(widths) - 1, factors=(left, factor)))
            left = len(widths) - 1
        out.append(replace(step, factors=(left, rest[-1])))
    return out, widths


def _degrees(found: Sequence[Step], widths: Sequence[int], variables: int) -> list[int]:
    """A bound on the degree of each buffer, where the first columns are so many booleans."""
    out = [0] * len(widths)
    for step in found:
        match step:
            case Load(_, _, column):
                out[step.out] = int(column < variables)
            case Multiply(_, factors) | AllPairs(_, factors):
                out[step.out] = min(variables, sum(out[factor] for factor in factors))
            case _:
                out[step.out] = max((out[source] for source in reads(step)), default=0)
    return out


def _reused(found: Sequence[Step], widths: Sequence[int], root: int) -> tuple[list[Step], list[int], int]:
    """The same steps over buffers that are used again, with their widths and the root's; none writes what it reads."""
    last = {source: position for position, step in enumerate(found) for source in reads(step)}
    last[root] = len(found)
    free: dict[int, list[int]] = {}
    place: dict[int, int] = {}
    out: list[Step] = []
    sizes: list[int] = []
    for position, step in enumerate(found):
        width = widths[step.out]
        if free.get(width):
            place[step.out] = free[width].pop()
        else:
            place[step.out] = len(sizes)
            sizes.append(width)
        out.append(renamed(step, place))
        for source in dict.fromkeys((*reads(step), step.out)):
            if last.get(source, position) == position:
                free.setdefault(widths[source], []).append(place[source])
    return out, sizes, place[root]


def ones_of(program: Program, variables: int) -> Ones | None:
    """The records of a Program; None where its steps are no such, or coefficients take more than `ROOM`."""
    paired, widths = _paired(program)
    degrees = _degrees(paired, widths, variables)
    reused, sizes, root = _reused(paired, widths, program.root)
    if 8 * sum(sizes) * (variables + 1) > ROOM:
        return None
    nowhere = np.full(len(reused), -1, dtype=np.int64)
    shorter = replace(program, operations=tuple(reused), root=root, buffers=tuple(sizes))
    found = steps(shorter, Sites(nowhere, nowhere, nowhere[:0], nowhere[:0]))
    if found is None:
        return None
    records, terms = found.records.copy(), found.terms.copy()
    for record, step in zip(records, _by_record(paired), strict=True):
        if isinstance(step, (Multiply, AllPairs)) and len(step.factors) == 2:
            low, high = (degrees[factor] for factor in step.factors)
            record[0], record[ALONE] = PAIRS, 1 + min(low, high)
            if low > high:
                terms[record[5] : record[5] + 2] = terms[record[5] : record[5] + 2][::-1].copy()
    matrix = records[:, 0] == MATRICES
    tall, blocks = np.where(matrix, records[:, 7], records[:, 2]), np.where(matrix, records[:, 6], 1)
    return Ones(replace(found, records=records, terms=terms), tuple(tall.tolist()), tuple(blocks.tolist()))


def _by_record(found: Sequence[Step]) -> Iterator[Step]:
    """The step of each record: a join has one for each of its parts."""
    for step in found:
        for _ in step.parts if isinstance(step, Join) else (None,):
            yield step


def step_of_ones(shape: Shape) -> Kernel:
    """The kernel of one step, for every stretch of coefficients."""
    load = [
        *LOAD,
        f"zero = tl.load(tables + table + k, there, {NONE})[:, None]",
        f"one = tl.load(tables + table + nodes + k, there & (column + 0 * k < booleans), {NONE})[:, None]",
        f"value = tl.where(at == 0, zero, tl.where(at == 1, one, {NONE}))",
    ]
    single = [
        f"first_term = tl.load(records + step * {FIELDS} + 5)",
        f"many = tl.load(records + step * {FIELDS} + 6)",
        f"value = tl.broadcast_to(tl.where(at == 0, 0.0, {NONE}).to(tl.float64), [WIDTH, LANES])",
        "for term in range(first_term, first_term + many):",
        *indented(
            [
                *EACH,
                "if of_table == 0:",
                f"    value = tl.load(place[None, :] + (begin + own)[:, None].to(tl.int64) * degrees, inside, {NONE})",
            ],
            1,
        ),
        "for term in range(first_term, first_term + many):",
        *indented([*EACH, "if of_table:", f"    value += tl.load(tables + begin + own, there, {NONE})[:, None]"], 1),
    ]
    term = [
        f"left = tl.load(values + a * degrees + j, there, {NONE})[:, None]",
        f"right = tl.load(place[None, :] + b[:, None] * degrees - j, inside & (at >= j), {NONE})",
    ]
    pairs = [
        f"term = tl.load(records + step * {FIELDS} + 5)",
        f"alone = tl.load(records + step * {FIELDS} + {ALONE})",
        *EACH,
        "a = (begin + own).to(tl.int64)",
        "term += 1",
        *EACH,
        "b = (begin + own).to(tl.int64)",
        f"top = tl.full([WIDTH, LANES], {NONE}, tl.float64)",
        "for j in range(alone):",
        *indented([*term, "top = tl.maximum(top, left + right)"], 1),
        f"shift = tl.where(top == {NONE}, 0.0, top)",
        "total = tl.zeros([WIDTH, LANES], tl.float64)",
        "for j in range(alone):",
        *indented([*term, "total += tl.exp(left + right - shift)"], 1),
        "value = tl.log(total) + shift",
    ]
    below = [
        f"weight = tl.load(tables + matrix + r * columns + c, there, {NONE})[:, None]",
        "from_row = (source + i * read_block + c * read_node).to(tl.int64)",
        f"below = tl.load(place + from_row * degrees, lane < degrees, {NONE})[None, :]",
    ]
    matrices = [
        *MATRIX,
        "across = (tall + WIDTH - 1) // WIDTH",
        "i = tile // across",
        "r = (tile % across) * WIDTH + n",
        "there = r < tall",
        "matrix = table + i * apart",
        f"top = tl.full([WIDTH, LANES], {NONE}, tl.float64)",
        "for c in range(columns):",
        *indented([*below, "top = tl.maximum(top, weight + below)"], 1),
        f"shift = tl.where(top == {NONE}, 0.0, top)",
        "total = tl.zeros([WIDTH, LANES], tl.float64)",
        "for c in range(columns):",
        *indented([*below, "total += tl.exp(weight + below - shift)"], 1),
        "value = tl.log(total) + shift",
        "node = i * write_block + r * write_node",
    ]
    body = [
        "tile = tl.program_id(0)",
        "n = tl.arange(0, WIDTH)",
        "lane = tl.program_id(1) * LANES + tl.arange(0, LANES)",
        "place = values + lane",
        "at = lane[None, :]",
        *STEP,
        "k = tile * WIDTH + n",
        "there = k < nodes",
        "node = k",
        "inside = there[:, None] & (at < degrees)",
        f"value = tl.full([WIDTH, LANES], {NONE}, tl.float64)",
        f"if kind == {LOADS}:",
        *indented(load, 1),
        f"elif kind == {TERMS}:",
        *indented(single, 1),
        f"elif kind == {PAIRS}:",
        *indented(pairs, 1),
        "else:",
        *indented(matrices, 1),
        "target = place[None, :] + (out + node)[:, None].to(tl.int64) * degrees",
        "tl.store(target, value, there[:, None] & (at < degrees))",
    ]
    arguments = tuple(Argument(name, "*i32") for name in ("records", "terms", "indices"))
    arguments += (Argument("tables", "*fp64"), Argument("values", "*fp64"), *counts("degrees", "booleans", "step"))
    doc = "One step of a Program over polynomials, by coefficients."
    text = jitted("ones_step", arguments, CONSTANTS, doc, body)
    return Kernel("ones_step", text, arguments, shape.constants, shape.warps, registers=shape.registers)


def ones(found: Ones, tables: Any, variables: int, device: Device) -> Floats:
    """The logarithms of the root's coefficients of 1, t, t², …; tables are logarithms there, as records name them."""
    count = variables + 1
    shape = sparse_policy.shape(count, device.drain)
    own = found.steps
    chunks = -(-count // shape.lanes)
    values = device.empty(own.rows * count, 8)
    given = (*map(device.put, (own.records, own.terms, own.indices)), tables)

    def launch(shape: Shape) -> None:
        kernel = step_of_ones(shape)
        for step, (tall, blocks) in enumerate(zip(found.tall, found.blocks, strict=True)):
            tiles = blocks * -(-tall // shape.width)
            device.launch(kernel, (tiles, chunks), (*given, values, count, variables, step))

    launch(device.shaped(step_of_ones, shape, steps_about(own), launch))
    return np.asarray(values[own.root * count : own.root * count + count].cpu().numpy())
