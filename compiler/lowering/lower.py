"""From a circuit to a Program: one operation per block, or more where its map is made of parts.

What enters is a circuit; what leaves is the Program, in which each buffer is filled once, and the sources of its tables
and densities. A circuit with products by index or sparse sums becomes one network of scalar nodes (network.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ...ir.block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from ...ir.circuit import Circuit
from ...ir.domain import FiniteDomain, Variable
from ...ir.expression import Expression, broadcast, reshape
from ...ir.linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    rotation,
    selection,
)
from ...ir.program.descent import Sites
from ...ir.program.operation import (
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
    Scale,
    Strides,
)
from ...ir.program.program import Program
from .network import is_scalar, layout_of
from .schedule import schedule
from .tables import Leaf, Table, Tables, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A Program with what stands behind its numbers: tables, inputs on infinite domains, and its columns of data.

    `variables` are the circuit's, in the order of the columns, then those that stand under zero weights alone: these
    are no columns of data, and have their first value in every row. `sites` say where the circuit chooses.
    """

    program: Program
    variables: tuple[Variable, ...]
    tables: tuple[Table, ...]
    densities: tuple[Input, ...]
    sites: Sites


def lower(circuit: Circuit) -> Lowered:
    """The Program that computes a circuit's value."""
    inputs = (block.variable for block in circuit.blocks if isinstance(block, Input))
    variables = tuple(dict.fromkeys([*circuit.variables, *inputs]))
    columns = {variable: position for position, variable in enumerate(variables)}
    sizes = tuple(_size(variable) for variable in variables)
    if any(is_scalar(block) for block in circuit.blocks):
        return _network(circuit, variables, columns, sizes)
    line = _Line(columns, _places(circuit))
    for block in schedule(circuit.root):
        line.block(block)
    root = line.buffer_of[circuit.root]
    program = Program(tuple(line.operations), root, tuple(line.sizes), line.tables.shapes, sizes, tuple(line.indices))
    none = np.empty(0, dtype=np.int64)
    sites = Sites(np.array(line.places, dtype=np.int64), np.array(line.numbers, dtype=np.int64), none, none)
    return Lowered(program, variables, tuple(line.tables.sources), tuple(line.densities), sites)


def _network(
    circuit: Circuit, variables: tuple[Variable, ...], columns: Mapping[Variable, int], sizes: tuple[int, ...]
) -> Lowered:
    """The Program of a circuit that is one network: its densities, then all scalar nodes."""
    laid = layout_of(circuit, columns)
    inputs = laid.densities
    count = len(inputs)
    operations = [Density(n, n, columns[block.variable], block.width) for n, block in enumerate(inputs)]
    tables = laid.leaves.shape, laid.weights.shape
    network = Network(count, 0, 0, 1, tuple(range(count)))
    widths = *(block.width for block in inputs), 1
    program = Program((*operations, network), count, widths, tables, sizes, (), (laid.layout,))
    place_of = _places(circuit)
    places = np.array([*(place_of[block] for block in inputs), -1], dtype=np.int64)
    sites = Sites(places, np.zeros(count + 1, dtype=np.int64), laid.places, laid.numbers)
    return Lowered(program, variables, (laid.leaves, laid.weights), inputs, sites)


def _places(circuit: Circuit) -> dict[Block, int]:
    """Where each block's nodes begin among the circuit's."""
    places = np.cumsum([0, *(block.width for block in circuit.blocks)]).tolist()
    return dict(zip(circuit.blocks, places, strict=False))


def _size(variable: Variable) -> int:
    return variable.domain.size if isinstance(variable.domain, FiniteDomain) else 0


@dataclass(slots=True)
class _Line:
    """The Program while it is made."""

    columns: Mapping[Variable, int]
    place_of: Mapping[Block, int]
    operations: list[Operation] = field(default_factory=list[Operation])
    sizes: list[int] = field(default_factory=list[int])
    buffer_of: dict[Block, int] = field(default_factory=dict[Block, int])
    tables: Tables = field(default_factory=Tables)
    indices: list[Indices] = field(default_factory=list[Indices])
    densities: list[Input] = field(default_factory=list[Input])
    places: list[int] = field(default_factory=list[int])
    numbers: list[int] = field(default_factory=list[int])

    def block(self, block: Block) -> None:
        """Appends the operations of a block whose children are there."""
        before = len(self.operations)
        self._operations(block)
        self._counted(0)
        if len(self.operations) > before:  # the last fills the block's own buffer
            self.places[-1] = self.place_of[block]

    def _counted(self, number: int) -> None:
        """Says of new operations which choice of their map they make, and that they are inside of it."""
        more = len(self.operations) - len(self.places)
        self.places += [-1] * more
        self.numbers += [number] * more

    def _operations(self, block: Block) -> None:
        match block:
            case Input():
                self.buffer_of[block] = self._input(block)
            case Product(children, Indexed(), width):
                self.buffer_of[block] = self._ones(width)
            case Product(children, Hadamard() | Pairs() as form, width):
                factors = tuple(self.buffer_of[child] for child in children)
                if len(factors) == 1:
                    self.buffer_of[block] = factors[0]
                    return
                out = self._buffer(width)
                self.operations.append(Multiply(out, factors) if isinstance(form, Hadamard) else AllPairs(out, factors))
                self.buffer_of[block] = out
            case Sum(children, linear, _):
                parts = tuple(self.buffer_of[child] for child in children)
                source = parts[0]
                if len(parts) > 1:
                    source = self._buffer(linear.inputs)
                    self.operations.append(Join(source, parts))
                self.buffer_of[block] = self._map(linear, source)

    def _buffer(self, nodes: int) -> int:
        self.sizes.append(nodes)
        return len(self.sizes) - 1

    def _input(self, block: Input) -> int:
        out = self._buffer(block.width)
        column = self.columns[block.variable]
        if isinstance(block.variable.domain, FiniteDomain):
            table = self.tables.of(Leaf(block.family, block.variable, block.parameters, block.width))
            self.operations.append(Load(out, table, column))
        else:
            self.densities.append(block)
            self.operations.append(Density(out, len(self.densities) - 1, column, block.width))
        return out

    def _ones(self, width: int) -> int:
        from ...ir.parameter import constant

        out = self._buffer(width)
        self.operations.append(Fill(out, self.tables.of(Weights(constant(np.ones(width)), (width,)))))
        return out

    def _map(self, linear: LinearMap, source: int) -> int:
        """The buffer that holds a map of a buffer."""
        parts = linear.maps[::-1] if isinstance(linear, Compose) else (linear,)
        position = 0
        self._counted(0)
        steps = [_leaves(part) for part in parts]
        while position < len(parts):
            part = parts[position]
            after = parts[position + 1] if position + 1 < len(parts) else None
            position += 1
            if isinstance(part, BlockDiagonal) and isinstance(after, Selection) and _turns(after, part):
                source = self._contract(source, part.weights, part.weights.shape, turned=True)
                self._counted(sum(steps[position:]))
                position += 1
            elif isinstance(part, Kronecker):
                source = self._kronecker(part.factors, source, sum(steps[position:]))
            else:
                source = self._part(part, source)
                self._counted(sum(steps[position:]))
        return source

    def _part(self, part: LinearMap, source: int) -> int:
        match part:
            case Dense(weights):
                return self._contract(source, weights, (1, *weights.shape))
            case BlockDiagonal(weights):
                return self._contract(source, weights, weights.shape)
            case Diagonal(weights):
                out = self._buffer(part.outputs)
                self.operations.append(Scale(out, source, self.tables.of(Weights(weights, weights.shape))))
                return out
            case Selection(index, _):
                if part.is_identity:
                    return source
                return self._gather(source, index)
            case _:
                raise AssertionError(f"{type(part).__name__} maps are networks")

    def _kronecker(self, factors: tuple[LinearMap, ...], source: int, after: int) -> int:
        """A₁ ⊗ … ⊗ A_M: each factor on the last digit of the index, which then becomes the first.

        `after` is the number of the first choice that it makes, that of the factor applied last.
        """
        numbers = [after + sum(map(_leaves, factors[:position])) for position in range(len(factors))]
        match factors:
            case [Dense(weights), Selection() as same] if same.is_identity:
                source = self._contract(source, weights, (1, *weights.shape), same.inputs, across=True)
                self._counted(numbers[0])
                return source
            case [Selection() as same, other] if same.is_identity:
                return self._on_digit(other, source, same.inputs, numbers[1])
            case _:
                pass
        size = prod(factor.inputs for factor in factors)
        for factor, number in zip(reversed(factors), reversed(numbers), strict=True):
            blocks = size // factor.inputs
            match factor:
                case Dense(weights):
                    source = self._contract(source, weights, (1, *weights.shape), blocks, turned=True)
                case Selection(index, inputs):
                    source = self._gather(source, (np.arange(blocks) * inputs + index[:, None]).ravel())
                case _:
                    source = self._on_digit(factor, source, blocks, number)
                    source = self._gather(source, rotation((blocks, factor.outputs)).index)
            self._counted(number)
            size = blocks * factor.outputs
        return source

    def _on_digit(self, factor: LinearMap, source: int, blocks: int, after: int) -> int:
        """A map on the last digit of the index, of which there are so many blocks."""
        match factor:
            case Dense(weights):
                source = self._contract(source, weights, (1, *weights.shape), blocks)
            case BlockDiagonal(weights):
                b, m, n = weights.shape
                spread = reshape(broadcast(weights, (blocks, b, m, n)), (blocks * b, m, n))
                source = self._contract(source, spread, spread.shape)
            case Diagonal(weights):
                spread = reshape(broadcast(weights, (blocks, factor.inputs)), (blocks * factor.inputs,))
                source = self._part(Diagonal(spread), source)
            case Selection(index, inputs):
                if not factor.is_identity:
                    source = self._gather(source, (np.arange(blocks)[:, None] * inputs + index).ravel())
            case Compose(maps):
                for position in reversed(range(len(maps))):
                    number = after + sum(map(_leaves, maps[:position]))
                    source = self._on_digit(maps[position], source, blocks, number)
            case Kronecker(parts):
                # Three factors at least, so that it is not this case again; the identities choose nothing.
                same = _identities(blocks)
                source = self._kronecker((*same, *parts), source, after - len(same))
            case _:
                raise AssertionError(f"{type(factor).__name__} maps are networks")
        self._counted(after)
        return source

    def _gather(self, source: int, index: Indices) -> int:
        self.indices.append(index)
        out = self._buffer(len(index))
        self.operations.append(Gather(out, source, len(self.indices) - 1))
        return out

    def _contract(
        self,
        source: int,
        weights: Expression,
        shape: tuple[int, ...],
        blocks: int | None = None,
        turned: bool = False,
        across: bool = False,
    ) -> int:
        """A matrix per block of the source; `turned` puts the index of the block last, `across` finds it there, too."""
        blocks = shape[0] if blocks is None else blocks
        rows, columns = shape[1], shape[2]
        out = self._buffer(blocks * rows)
        table = self.tables.of(Weights(weights, shape))
        read = Strides(1, blocks) if across else Strides(columns, 1)
        write = Strides(1, blocks) if turned or across else Strides(rows, 1)
        self.operations.append(Contract(out, source, table, blocks, rows, columns, read, write))
        return out


def _leaves(linear: LinearMap) -> int:
    """How many maps a map is made of: each of them chooses once for a node."""
    match linear:
        case Compose(parts) | Kronecker(parts):
            return sum(map(_leaves, parts))
        case _:
            return 1


def _identities(size: int) -> tuple[LinearMap, LinearMap]:
    """The identity as a Kronecker product of two."""
    return selection(np.arange(size), size), selection(np.arange(1), 1)


def _turns(selection: Selection, before: BlockDiagonal) -> bool:
    """Whether a selection makes the last digit of a block-diagonal map's output the first."""
    blocks, rows, _ = before.weights.shape
    return bool(np.array_equal(selection.index, rotation((blocks, rows)).index))
