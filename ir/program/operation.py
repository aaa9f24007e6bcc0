"""The operations of a Program, a closed union: each fills one buffer [nodes, batch] from others and from tables.

A buffer is a number; before planning each is filled once, afterwards buffers are reused. A table is a number too: its
entries are computed from the circuit's parameters, so that new values of parameters need no new Program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Load:
    """An input on a finite domain: out[k, b] = table[code of the column in row b, k]; the last row is for missing."""

    out: int
    table: int
    column: int


@dataclass(frozen=True, slots=True)
class Density:
    """`nodes` inputs on an infinite domain: the executable fills out with the family's values, row by row."""

    out: int
    source: int
    column: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Fill:
    """Numbers that stand for every row: out[k, b] = table[k]."""

    out: int
    table: int


@dataclass(frozen=True, slots=True)
class Multiply:
    """The elementwise product of buffers; one of a single node stands in every node."""

    out: int
    factors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AllPairs:
    """out[(i, j, …), b] = first[i, b] · second[j, b] · …, the first factor's index slowest."""

    out: int
    factors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Buffers laid end to end."""

    out: int
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gather:
    """out[k] = source[index[k]], with an index of the Program."""

    out: int
    source: int
    index: int


@dataclass(frozen=True, slots=True)
class Scale:
    """A diagonal map: out[k] = table[k] · source[k]."""

    out: int
    source: int
    table: int


@dataclass(frozen=True, slots=True)
class Strides:
    """Where node j of block i stands: at i · block + j · node."""

    block: int
    node: int


@dataclass(frozen=True, slots=True)
class Contract:
    """Matrices on blocks of nodes: out[i, r] = Σ_c table[i, r, c] · source[i, c], blocks laid out by strides.

    The table is [blocks, rows, columns], or [1, rows, columns] where all blocks share one matrix. A dense map is one
    block; permutations by strides on either side cost nothing.
    """

    out: int
    source: int
    table: int
    blocks: int
    rows: int
    columns: int
    read: Strides
    write: Strides


@dataclass(frozen=True, slots=True)
class Network:
    """A circuit of scalar nodes, laid out by the Program: its root is the one node of out.

    The table of leaves holds for each leaf its values in domain order, then their sum; the other table the weights.
    `sources` are buffers that densities fill: laid end to end, their nodes are the leaves on infinite domains.
    """

    out: int
    layout: int
    leaves: int
    weights: int
    sources: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """The body `count` times; in turn t, columns and tables of its operations are t steps further on."""

    count: int
    body: tuple[Step, ...]
    columns: tuple[int, ...]
    tables: tuple[int, ...]


Step = Load | Density | Fill | Multiply | AllPairs | Join | Gather | Scale | Contract | Network
Operation = Step | Repeat


def reads(step: Step) -> tuple[int, ...]:
    """The buffers that an operation reads, in order."""
    match step:
        case Load() | Density() | Fill():
            return ()
        case Network(sources=sources):
            return sources
        case Multiply() | AllPairs():
            return step.factors
        case Join():
            return step.parts
        case _:
            return (step.source,)


def renamed(step: Step, place: Mapping[int, int]) -> Step:
    """An operation over other buffers: those that `place` gives for its own."""
    out = place[step.out]
    match step:  # constructors: a long Program is renamed in half the time that `replace` takes
        case Load(_, table, column):
            return Load(out, table, column)
        case Multiply(_, sources):
            return Multiply(out, tuple([place[source] for source in sources]))
        case Contract(_, source, table, blocks, rows, columns, read, write):
            return Contract(out, place[source], table, blocks, rows, columns, read, write)
        case AllPairs(_, sources):
            return AllPairs(out, tuple([place[source] for source in sources]))
        case Join(_, sources):
            return Join(out, tuple([place[source] for source in sources]))
        case Gather(_, source, index):
            return Gather(out, place[source], index)
        case Scale(_, source, table):
            return Scale(out, place[source], table)
        case Density() | Fill():
            return replace(step, out=out)
        case Network(_, layout, leaves, weights, sources):
            return Network(out, layout, leaves, weights, tuple([place[source] for source in sources]))


def shifted(step: Step, column: int, table: int) -> Step:
    """An operation some columns and tables further on."""
    if not column and not table:
        return step
    match step:
        case Load():
            return replace(step, table=step.table + table, column=step.column + column)
        case Density():
            return replace(step, source=step.source + table, column=step.column + column)
        case Fill() | Scale() | Contract():
            return replace(step, table=step.table + table)
        case _:
            return step


def unrolled(operations: Iterable[Operation]) -> Iterator[Step]:
    """The operations with the turns of every loop spelt out."""
    for operation in operations:
        if isinstance(operation, Repeat):
            for turn in range(operation.count):
                for step, column, table in zip(operation.body, operation.columns, operation.tables, strict=True):
                    yield shifted(step, turn * column, turn * table)
        else:
            yield operation
