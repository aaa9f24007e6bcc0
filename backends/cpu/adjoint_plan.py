"""From an adjoint to records: those of the forward pass as in plan.py, and one for each pull.

What enters is the adjoint of a Program; what leaves are records of 64-bit words, kernels, and the places of tables, of
transposed tables, and of the sums in which derivatives of tables are gathered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...ir.program.adjoint import Adjoint, Clear, Pull, Seed, values_of
from ...ir.program.operation import AllPairs, Contract, Density, Fill, Gather, Join, Load, Multiply, Scale, Step
from ...ir.program.program import Program
from .outer import padded_columns, panel_bytes
from .plan import Entry, Kernel, Planner, look_ahead, multiplied, padded, table_use
from .vectors import ROW, Vectors

FIELDS = ("kernel", "out", "first", "second", "data", "column", "third", "fourth", "gradient", "words")
RECORD = 8 * len(FIELDS)


Places = dict[tuple[str, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class AdjointPlan:
    """Records [moves, fields], kernels by number, entries of the arena and its bytes, words, and bytes of a tile.

    `gradients` are, by use and table, where its sums stand and the columns that a row of it takes there; `sums` is
    their bytes; `panel` is those of a panel and of a block of rows of a matrix.
    """

    records: NDArray[np.int64]
    kernels: tuple[Kernel, ...]
    entries: tuple[Entry, ...]
    arena: int
    words: NDArray[np.uint8]
    slots: int
    panel: int
    soft: int
    densities: tuple[int, ...]
    gradients: Places
    sums: int


def adjoint_plan(adjoint: Adjoint, wanted: frozenset[int], vectors: Vectors) -> AdjointPlan:
    """The records of an adjoint; derivatives of tables of maps are only summed where they are wanted."""
    program = adjoint.program
    forward = [move for move in adjoint.moves if not isinstance(move, Seed | Clear | Pull)]
    planner = Planner(replace(program, operations=tuple(forward), buffers=adjoint.buffers), vectors)
    arena = planner.lay(_tables(adjoint))
    gradients, sums = _gradients(adjoint, wanted, vectors)
    records: list[list[int]] = []
    position = 0
    while position < len(adjoint.moves):
        fused = _loaded_product(planner, adjoint, position)
        records.append(fused or _record(planner, adjoint, wanted, gradients, position))
        position += 2 if fused else 1
    look_ahead(records, tuple(planner.kernels), FIELDS)
    return AdjointPlan(
        np.array(records, dtype=np.int64).reshape(-1, len(FIELDS)),
        tuple(planner.kernels),
        tuple(Entry(kind, table, offset) for (kind, table), offset in planner.places.items()),
        arena,
        np.frombuffer(bytes(planner.words) or bytes(8), dtype=np.uint8),
        planner.slots[-1],
        padded(panel_bytes(vectors)) + ROW * _rows_apart(adjoint),
        planner.softness,
        tuple(planner.soft[source] for source in sorted(planner.soft)),
        gradients,
        sums,
    )


def _rows_apart(adjoint: Adjoint) -> int:
    """The most rows of a block of a matrix that are written apart from one another."""
    steps = (move.step for move in adjoint.moves if isinstance(move, Pull))
    return max((step.rows for step in steps if isinstance(step, Contract) and step.write.node != 1), default=0)


def _tables(adjoint: Adjoint) -> Iterator[tuple[str, int]]:
    for move in adjoint.moves:
        match move:
            case Pull(Contract(table=table)):
                yield ("transposed", table)
            case Pull() | Seed() | Clear():
                pass
            case _:
                place = table_use(move)
                if place is not None:
                    yield place


def _gradients(adjoint: Adjoint, wanted: frozenset[int], vectors: Vectors) -> tuple[Places, int]:
    """Where the sums of each table stand: every table that is loaded, and the maps that are wanted."""
    places: Places = {}
    offset = 0
    for move in adjoint.moves:
        if not isinstance(move, Pull):
            continue
        place = table_use(move.step)
        if place is None or place[0] == "density" or place in places:
            continue
        kind, table = place
        shape = adjoint.program.tables[table]
        if kind in ("contract", "scale") and table not in wanted:
            continue
        columns = padded_columns(shape[-1], vectors) if kind == "contract" else shape[-1]
        places[place] = offset, columns
        offset += padded(int(np.prod(shape[:-1])) * columns * vectors.size)
    return places, offset


def _record(planner: Planner, adjoint: Adjoint, wanted: frozenset[int], gradients: Places, position: int) -> list[int]:
    move, (nodes, below) = adjoint.moves[position], adjoint.widths[position]
    slots, program = planner.slots, adjoint.program
    match move:
        case Seed(root, out):
            return _fields(planner, Kernel("seed"), out=slots[out], first=slots[root])
        case Clear(out):
            return _fields(planner, Kernel("clear", (nodes,)), out=slots[out])
        case Pull(step, result, shares, adds):
            return _pull(planner, program, wanted, gradients, step, result, shares, adds, nodes, below)
        case _:
            return _of_forward(planner, planner.record(move, (nodes, below)))


def _loaded_product(planner: Planner, adjoint: Adjoint, position: int) -> list[int] | None:
    """A load and the product after it as one, where nothing else reads what is loaded."""
    moves, widths = adjoint.moves, adjoint.widths
    if position + 1 == len(moves):
        return None
    step, following = moves[position], moves[position + 1]
    if not isinstance(step, Load) or not isinstance(following, Multiply):
        return None
    other = multiplied(step, widths[position], (following, widths[position + 1]))
    if other is None:
        return None
    for move in moves[position + 2 :]:
        if step.out in values_of(move):
            return None
        if not isinstance(move, Pull) and move.out == step.out:
            break
    record = planner.times(planner.record(step, widths[position]), other)
    record[1] = planner.slots[following.out]
    return _of_forward(planner, record)


def _of_forward(planner: Planner, old: list[int]) -> list[int]:
    kernel = list(planner.kernels)[old[0]]
    return _fields(planner, kernel, out=old[1], first=old[2], second=old[3], data=old[4], column=old[5], words=old[8])


def _fields(planner: Planner, kernel: Kernel, **given: int) -> list[int]:
    number = planner.kernels.setdefault(kernel, len(planner.kernels))
    return [number, *(given.get(name, 0) for name in FIELDS[1:])]


def _pull(
    planner: Planner,
    program: Program,
    wanted: frozenset[int],
    gradients: Places,
    step: Step,
    result: int,
    shares: tuple[int, ...],
    adds: tuple[bool, ...],
    nodes: int,
    below: tuple[int, ...],
) -> list[int]:
    slots = planner.slots
    d = slots[result]
    flags = tuple(map(int, adds))
    match step:
        case Load(_, table, column):
            kernel = Kernel("pull load", (nodes,))
            lanes = planner.vectors.lanes * 4
            return _fields(planner, kernel, first=d, column=column * lanes, gradient=gradients["load", table][0])
        case Fill(_, table):
            return _fields(planner, Kernel("pull fill", (nodes,)), first=d, gradient=gradients["fill", table][0])
        case Density(_, source, _, _):
            return _fields(planner, Kernel("pull copy", (nodes,)), first=d, data=planner.soft[source])
        case Multiply(_, (a, b)) | AllPairs(_, (a, b)):
            kind = "pull multiply" if isinstance(step, Multiply) else "pull pairs"
            kernel = Kernel(kind, (*below, *flags))
            out, second = slots[shares[0]], slots[shares[1]]
            return _fields(planner, kernel, out=out, fourth=second, first=d, second=slots[a], third=slots[b])
        case Join(_, parts):
            triples = [
                value
                for part, size, share in zip(parts, below, shares, strict=True)
                for value in (slots[part], size, slots[share])
            ]
            words = planner.word(np.array([len(parts), *triples], dtype=np.int64))
            return _fields(planner, Kernel("pull join"), first=d, words=words)
        case Gather(_, _, index):
            words = planner.word(program.indices[index].astype(np.int32))
            return _fields(planner, Kernel("pull gather", (nodes,)), out=slots[shares[0]], first=d, words=words)
        case Scale(_, source, table):
            kernel = Kernel("pull scale", (nodes, *flags, int(table in wanted)))
            data, gradient = planner.places["scale", table], gradients.get(("scale", table), (0, 0))[0]
            return _fields(
                planner, kernel, out=slots[shares[0]], first=d, second=slots[source], data=data, gradient=gradient
            )
        case Contract(_, source, table, blocks, rows, columns, read, write):
            shared = int(program.tables[table][0] == 1)
            strides = (read.block, read.node, write.block, write.node)
            kernel = Kernel("pull contract", (blocks, rows, columns, *strides, shared, *flags, int(table in wanted)))
            data, gradient = planner.places["transposed", table], gradients.get(("contract", table), (0, 0))[0]
            return _fields(
                planner, kernel, out=slots[shares[0]], first=d, second=slots[source], data=data, gradient=gradient
            )
        case _:
            raise AssertionError(f"{step} was not split")
