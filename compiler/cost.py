"""What a Program costs, as formulas in the batch and the widths: floating-point operations, bytes, operations.

What enters is a Program; what leaves are sympy expressions per kind of operation and in all. `B` stands for the rows
of the batch; the Program's sizes have letters by their part in it: K, L, … numbers of nodes, V, W, … of values of a
column, T, S, … turns of a loop. A size that has no letter stands as a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import sympy

from ..ir.program.operation import (
    AllPairs,
    Contract,
    Density,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Network,
    Operation,
    Repeat,
    Scale,
    Step,
    reads,
)
from ..ir.program.program import LEAF, PRODUCT, Layout, Program

Formula = Any  # a sympy expression, which carries no type

BATCH: Formula = sympy.Symbol("B", positive=True, integer=True)
_ZERO: Formula = sympy.Integer(0)
_LETTERS = {"nodes": "KLMNPQ", "values": "VWXY", "turns": "TSRH"}
_CODE = 8  # bytes of a code of data


@dataclass(frozen=True, slots=True)
class Cost:
    """Formulas: `flops` are multiplications and additions of numbers, a sum of n terms n of each where it is weighted;
    `special` exponentials and logarithms of a product in logarithms; `bytes` what passes through memory where each
    operation reads its operands and tables and writes its result once; `operations` how many are run one after another.
    """

    flops: Formula = _ZERO
    special: Formula = _ZERO
    bytes: Formula = _ZERO
    operations: Formula = _ZERO

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.flops + other.flops,
            self.special + other.special,
            self.bytes + other.bytes,
            self.operations + other.operations,
        )

    def times(self, turns: Formula) -> Cost:
        """The cost of so many turns."""
        return Cost(self.flops * turns, self.special * turns, self.bytes * turns, self.operations * turns)

    def at(self, sizes: Mapping[Formula, int], rows: int) -> tuple[int, int, int, int]:
        """The four numbers for sizes and a batch."""
        values = {**sizes, BATCH: rows}
        flops, special, through, operations = (
            int(each.subs(values)) for each in (self.flops, self.special, self.bytes, self.operations)
        )
        return flops, special, through, operations


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of a Program by the kind of its operations, and what its letters stand for.

    `tables` are the bytes of all tables, each once: what memory passes at least, beside the codes of the data.
    """

    kinds: Mapping[str, Cost]
    sizes: Mapping[Formula, int]
    tables: Formula

    @property
    def total(self) -> Cost:
        return sum(self.kinds.values(), Cost())

    def at(self, rows: int) -> tuple[int, int, int, int]:
        """Operations, exponentials and logarithms, bytes, operations one after another, for a batch."""
        return self.total.at(self.sizes, rows)


def costs(program: Program, size: int = 4) -> Costs:
    """The costs of a Program whose numbers have `size` bytes."""
    counter = _Counter(program, size)
    kinds: dict[str, Cost] = {}
    for turns, step in _steps(program.operations):
        name = type(step).__name__.lower()
        kinds[name] = kinds.get(name, Cost()) + counter.cost(step).times(counter.letter("turns", turns))
    tables = sum((counter.tables.get(shape, sympy.Integer(prod(shape))) for shape in program.tables), sympy.Integer(0))
    return Costs(kinds, {letter: value for (_, value), letter in counter.letters.items()}, tables * size)


def _steps(operations: Sequence[Operation]) -> Iterator[tuple[int, Step]]:
    """Operations, those of loops once, with how often each is run."""
    for operation in operations:
        if isinstance(operation, Repeat):
            yield from ((operation.count, step) for step in operation.body)
        else:
            yield 1, operation


@dataclass(slots=True)
class _Counter:
    program: Program
    size: int
    letters: dict[tuple[str, int], Formula] = field(default_factory=dict[tuple[str, int], "Formula"])
    widths: dict[int, Formula] = field(default_factory=dict[int, "Formula"])
    tables: dict[tuple[int, ...], Formula] = field(default_factory=dict[tuple[int, ...], "Formula"])

    def letter(self, part: str, value: int) -> Formula:
        """The letter of a size, or its number where it is 1 or there are letters no more."""
        if value <= 1:
            return sympy.Integer(value)
        key = (part, value)
        if key not in self.letters:
            taken = sum(1 for each, _ in self.letters if each == part)
            if taken >= len(_LETTERS[part]):
                return sympy.Integer(value)
            self.letters[key] = sympy.Symbol(_LETTERS[part][taken], positive=True, integer=True)
        return self.letters[key]

    def table(self, number: int, entries: Formula) -> Formula:
        """The numbers of a table, and of all others of its shape."""
        return self.tables.setdefault(self.program.tables[number], entries)

    def cost(self, step: Step) -> Cost:
        """The cost of an operation."""
        sources = [self.widths[source] for source in reads(step)]
        out, flops, special, table, codes = self._counted(step, sources)
        self.widths[step.out] = out
        through = self.size * (BATCH * (sum(sources, sympy.Integer(0)) + out) + table) + _CODE * BATCH * codes
        return Cost(BATCH * flops, BATCH * special, through, sympy.Integer(1))

    def _counted(self, step: Step, sources: Sequence[Formula]) -> tuple[Formula, Formula, Formula, Formula, int]:
        """Nodes written; operations, exponentials and logarithms per row; numbers of tables; codes per row."""
        zero = _ZERO
        match step:
            case Load(_, table, _):
                rows, nodes = self.program.tables[table]
                width = self.letter("nodes", nodes)
                self.table(table, (self.letter("values", rows - 1) + 1) * width)
                return width, zero, zero, BATCH * width, 1  # a row of data reads one row of the table
            case Density(_, _, _, nodes):
                return self.letter("nodes", nodes), zero, zero, zero, 0
            case Fill(_, table):
                width = self.letter("nodes", self.program.tables[table][0])
                return width, zero, zero, self.table(table, width), 0
            case Multiply():
                widest, flops = sources[0], zero
                for source in sources[1:]:
                    widest = source if widest == 1 else widest
                    flops += widest
                return widest, flops, zero, zero, 0
            case AllPairs():
                width, flops = sources[0], zero
                for source in sources[1:]:
                    width *= source
                    flops += width
                return width, flops, zero, zero, 0
            case Join():
                return sum(sources, zero), zero, zero, zero, 0
            case Gather(_, _, index):
                return self.letter("nodes", len(self.program.indices[index])), zero, zero, zero, 0
            case Scale(_, _, table):
                return sources[0], sources[0], zero, self.table(table, sources[0]), 0
            case Contract(_, _, table, blocks, rows, columns):
                m, r, c = (self.letter("nodes", each) for each in (blocks, rows, columns))
                held = sympy.Integer(1) if self.program.tables[table][0] == 1 else m
                return m * r, 2 * m * r * c, m * c + m * r, self.table(table, held * r * c), 0
            case Network(_, layout, leaves, weights):
                flops, codes = _network(self.program.layouts[layout])
                held = prod(self.program.tables[leaves]) + prod(self.program.tables[weights])
                return sympy.Integer(1), sympy.Integer(flops), zero, sympy.Integer(held), codes


def _network(layout: Layout) -> tuple[int, int]:
    """Operations per row of a network, and its leaves: an operation per edge beyond a node's first, and per weight."""
    inner = layout.kinds >= PRODUCT
    edges = (layout.offsets[1:] - layout.offsets[:-1])[inner]
    flops = int((edges - 1).clip(0).sum() + (layout.weights >= 0).sum())
    return flops, int((layout.kinds == LEAF).sum())
