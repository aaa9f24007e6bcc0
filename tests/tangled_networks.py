"""Networks of scalar nodes for the tests of kernels, and what they compute, by the plain executor."""

from __future__ import annotations

import numpy as np

from danaus.compiler.lowering.lower import lower
from danaus.compiler.lowering.tables import held
from danaus.ir.block import Block, indexed, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Cat, Variable
from danaus.ir.family import Table
from danaus.ir.linear import sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.program.execute import execute
from danaus.ir.program.program import Program
from danaus.ir.semirings import LOG
from danaus.ir.store import Store

Tables = list[np.ndarray]


def tangled(seed: int, zeros: bool = True, layers: int = 2, width: int = 4, most: int = 6) -> Circuit:
    """Layers of products and weighted sums of any nodes below, some named twice or not at all; not decomposable."""
    random = np.random.default_rng(seed)
    x = [Variable(f"x{i}", Cat(int(random.integers(2, 6)))) for i in range(3)]
    values: dict[Parameter, Value] = {}

    def numbers(shape: tuple[int, ...]) -> Parameter:
        parameter = Parameter(f"w{len(values)}", shape, None, True)
        entries = random.uniform(0.3, 1.2, shape)
        values[parameter] = Value.of(np.where(random.random(shape) < (0.15 if zeros else 0.0), 0.0, entries))
        return parameter

    def layer(below: list[Block]) -> Block:
        total = sum(block.width for block in below)
        if random.random() < 0.5:
            bounds = np.concatenate([[0], np.cumsum(random.integers(0, most, width))])
            return indexed(below, bounds, random.integers(0, total, bounds[-1]))
        pairs = np.flatnonzero(random.random(width * total) < min(1.0, 3 / total))
        expression = numbers((len(pairs),)) if random.random() < 0.7 else constant(np.ones(len(pairs)))
        return weighted(below, sparse(pairs // total, pairs % total, expression, width, total))

    blocks: list[Block] = [input_block(Table(), each, (numbers((2, each.domain.size)),)) for each in x]  # type: ignore[union-attr]
    for _ in range(layers):
        blocks = [*blocks[-4:], layer(blocks)]
    total = sum(block.width for block in blocks)
    root = weighted(blocks, sparse([0] * total, range(total), numbers((total,)), 1, total))
    return Circuit(root, Store(values), "n")


def lowered(circuit: Circuit) -> tuple[Program, Tables]:
    """A circuit's Program, one network, with its tables."""
    found = lower(circuit)
    assert found.program.layouts
    return found.program, held(found.tables, circuit.store)


def coded(program: Program, rows: int, seed: int = 0) -> np.ndarray:
    """Codes of rows, some missing, [columns, rows]."""
    sizes = np.array(program.columns)[:, None]
    return np.random.default_rng(seed).integers(0, sizes + 1, (len(sizes), rows))


def executed(program: Program, tables: Tables, codes: np.ndarray) -> np.ndarray:
    """The logarithm of the root, [rows], node by node in float64."""
    with np.errstate(divide="ignore"):
        return np.asarray(execute(program, [np.log(table) for table in tables], codes, LOG)).reshape(-1)
