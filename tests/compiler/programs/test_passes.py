"""Programs mean what circuits mean, after lowering and after every pass: exactly, in fractions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.lowering.lower import Lowered, lower
from danaus.compiler.lowering.tables import values
from danaus.compiler.programs.repeat import repeat
from danaus.compiler.programs.reuse import reuse
from danaus.compiler.programs.split import split
from danaus.ir.circuit import Circuit
from danaus.ir.domain import first_value
from danaus.ir.program.execute import execute
from danaus.ir.program.operation import Multiply, Repeat, unrolled
from danaus.ir.program.program import Program
from danaus.ir.program.widths import widths
from danaus.ir.semirings import EXACT
from small_circuits import evidence, random_circuit

PASSES: list[Callable[[Program], Program]] = [split, reuse, repeat]


def codes(lowered: Lowered, x: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Codes [columns, batch], by hand: the value's place in its domain, or the number of values where it is missing."""
    out = np.zeros((len(lowered.variables), len(x)), dtype=np.int64)
    for column, variable in enumerate(lowered.variables):
        for row in range(len(x)):
            if column < x.shape[1]:
                seen = observed[row, column]
                out[column, row] = x[row, column] - first_value(variable.domain) if seen else variable.size
    return out


def stages(program: Program) -> list[Program]:
    """The Program as it is lowered, and after each pass."""
    found = [program]
    for each in PASSES:
        found.append(each(found[-1]))
    return found


def assert_same(circuit: Circuit, rows: int, seed: int) -> list[Program]:
    """Every stage gives the circuit's value in fractions; free variables aside."""
    x, observed = evidence(circuit, rows, seed)
    for variable in circuit.free:
        observed[:, circuit.variables.index(variable)] = True
    want = dn.evaluate(circuit, x, observed=observed, semiring="exact")
    lowered = lower(circuit)
    tables = values(lowered.tables, circuit.store, EXACT)
    found = stages(lowered.program)
    for stage in found:
        got = execute(stage, tables, codes(lowered, x, observed), EXACT)
        assert got.tolist() == want.tolist()
    return found


@pytest.mark.parametrize("seed", range(120))
def test_random_circuits(seed: int) -> None:
    assert_same(random_circuit(seed, signed=seed % 3 == 0), 5, seed)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2, 2, 2)])
def test_kronecker_and_monarch_maps(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    x = dn.Cat("x", 3, shape=2)
    random = np.random.default_rng(0)
    table = random.integers(1, 5, (size, 3)) / 16

    numbers = itertools.count()

    def matrix(*sizes: int) -> object:
        return dn.const(f"M{next(numbers)}", sizes, value=random.integers(0, 4, sizes) / 8)

    first, second = (dn.table(each, table) for each in x)
    square = [matrix(n, n) for n in shape]
    parts = [matrix(size // n, n, n) for n in shape]
    for mixed in (
        dn.sum(first, *square, map=dn.kron),
        dn.sum(first, *parts, width=size, map=dn.monarch(*shape)),
    ):
        circuit = dn.Circuit(dn.sum(mixed * second, [[0.25] * size]))
        assert_same(circuit, 6, 1)


def test_buffers_follow_what_lives() -> None:
    """A chain needs three buffers whatever its length; a balanced tree one more than its depth."""
    chain = stages(lower(dn.hmm(dn.Cat("x", 2, shape=50), states=3)).program)
    assert len(chain[2].buffers) <= 3 < len(chain[0].buffers)
    tree = stages(lower(dn.quad_tree(dn.Cat("x", 2, shape=64), [8, 8], 2)).program)
    assert len(tree[2].buffers) <= 9


@pytest.mark.parametrize("length", [10, 11, 100, 1001])
def test_loops_are_found(length: int) -> None:
    program = stages(lower(dn.hmm(dn.Cat("x", 2, shape=length), states=3)).program)[-1]
    loops = [step for step in program.operations if isinstance(step, Repeat)]
    assert len(loops) == 1
    assert loops[0].count * len(loops[0].body) > 3 * (length - 5)
    assert len(program.operations) <= 16
    assert len(list(unrolled(program.operations))) == len(stages(lower_chain(length))[0].operations)


def lower_chain(length: int) -> Program:
    """The Program of a chain before any pass; none of its products has more than two factors."""
    return lower(dn.hmm(dn.Cat("x", 2, shape=length), states=3)).program


def test_untied_steps_loop_too() -> None:
    """Steps with matrices of their own repeat with a step from table to table."""
    x = dn.Cat("x", 2, shape=12)
    random = np.random.default_rng(3)

    def emission(t: int) -> object:
        return dn.table(x[t], random.integers(1, 9, (3, 2)) / 16)

    block = emission(11)
    for t in reversed(range(11)):
        block = emission(t) * dn.sum(block, random.integers(1, 9, (3, 3)) / 16)
    found = assert_same(dn.Circuit(dn.sum(block, [[0.5, 0.25, 0.25]])), 4, 2)
    assert any(isinstance(step, Repeat) for step in found[-1].operations)


def test_products_have_two_factors() -> None:
    x = dn.Bool("x", shape=9)
    circuit = dn.Circuit(dn.product([dn.bernoulli(each, [0.25]) for each in x]))
    found = assert_same(circuit, 6, 0)
    for stage in found[1:]:
        assert all(len(step.factors) == 2 for step in unrolled(stage.operations) if isinstance(step, Multiply))
    assert all(out >= 1 for out, _ in widths(found[-1]))
