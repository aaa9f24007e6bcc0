"""Programs mean what circuits mean, after lowering and after every pass: exactly, in fractions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.folding import tables_of
from danaus.compiler.lowering.lower import Lowered, lower
from danaus.compiler.lowering.tables import values
from danaus.compiler.programs.common import common
from danaus.compiler.programs.derived import OutOfRange, made
from danaus.compiler.programs.fold import Folded, fold
from danaus.compiler.programs.repeat import repeat
from danaus.compiler.programs.reuse import reuse
from danaus.compiler.programs.split import split
from danaus.ir.circuit import Circuit
from danaus.ir.domain import first_value
from danaus.ir.parameter import Value
from danaus.ir.program.execute import execute
from danaus.ir.program.operation import (
    AllPairs,
    Contract,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Repeat,
    Scale,
    Step,
    Strides,
    unrolled,
)
from danaus.ir.program.program import Program
from danaus.ir.program.verify import verify
from danaus.ir.program.widths import widths
from danaus.ir.semirings import EXACT
from small_circuits import evidence, random_circuit

PASSES: list[Callable[[Program], Program]] = [split, common, reuse, repeat]
AFTER: list[Callable[[Program], Program]] = [common, reuse, repeat]


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
        verify(stage)
        got = execute(stage, tables, codes(lowered, x, observed), EXACT)
        assert got.tolist() == want.tolist()
    folded = fold(found[2])
    own = made_tables(folded, tables)
    stage = folded.program
    for each in [None, *AFTER]:
        stage = each(stage) if each else stage
        verify(stage)
        assert execute(stage, own, codes(lowered, x, observed), EXACT).tolist() == want.tolist()
    found.append(stage)
    return found


def made_tables(folded: Folded, given: list[np.ndarray]) -> list[np.ndarray]:
    """The tables of a folded Program, in fractions."""
    whole = list(given)
    for derived in folded.recipe:
        whole.append(made(derived, [whole[number] for number in derived.operands], folded.indices))
        assert whole[-1].shape == derived.shape
    return [whole[number] for number in folded.wanted]


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
    assert len(chain[3].buffers) <= 3 < len(chain[0].buffers)
    tree = stages(lower(dn.quad_tree(dn.Cat("x", 2, shape=64), [8, 8], 2)).program)
    assert len(tree[3].buffers) <= 9


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


def summed_out(circuit: dn.Circuit, positions: list[int]) -> dn.Circuit:
    return dn.integrate(circuit, [circuit.variables[position] for position in positions])


@pytest.mark.parametrize("seed", range(40))
def test_random_circuits_with_variables_summed_out(seed: int) -> None:
    """What operators fix is folded: the circuit of the other variables means what the evaluator says."""
    circuit = random_circuit(seed, signed=False)
    free = {circuit.variables.index(variable) for variable in circuit.free}
    rest = [position for position in range(len(circuit.variables)) if position not in free]
    fixed = [position for position in rest if np.random.default_rng([seed, position]).random() < 0.6]
    try:
        circuit = summed_out(circuit, fixed)
    except dn.DanausError as refused:  # some of these circuits are not smooth or decomposable
        assert refused.diagnostics[0].code.startswith("not-")
        return
    assert_same(circuit, 4, seed)


def kinds(program: Program) -> list[type]:
    return [type(step) for step in unrolled(program.operations)]


def test_a_chain_of_which_half_is_summed_out_takes_half_the_maps() -> None:
    """Steps in a row that are summed out become one matrix, and the end of the chain a constant."""
    whole = dn.hmm(dn.Cat("x", 3, shape=9), states=3)
    found = assert_same(summed_out(whole, [0, 3, 4, 5, 7, 8]), 5, 1)
    assert kinds(found[0]).count(Contract) == 9 + 6  # an integral is a map of a 1
    assert kinds(found[-1]) == [Load, Contract, Load, Multiply, Contract, Load, Multiply, Contract]


def test_a_circuit_without_variables_is_one_number() -> None:
    whole = dn.quad_tree(dn.Cat("x", 3, shape=16), [4, 4], 2)
    found = assert_same(dn.integrate(whole), 2, 0)
    assert kinds(found[-1]) == [Fill]


def test_an_image_of_which_half_is_summed_out() -> None:
    """What is above pixels that are summed out alone is a constant; products with it are in the maps."""
    whole = dn.quad_tree(dn.Cat("x", 3, shape=16), [4, 4], 2)
    found = assert_same(summed_out(whole, list(range(8))), 5, 0)
    operations = list(unrolled(found[-1].operations))
    assert sum(isinstance(step, Load) for step in operations) == 8
    assert not any(isinstance(step, Fill | Scale) for step in operations)
    seen = [step for step in kinds(stages(lower(whole).program)[-1]) if step is Multiply]
    assert kinds(found[-1]).count(Multiply) < len(seen)


def test_loops_stay_where_every_second_step_is_summed_out() -> None:
    whole = dn.hmm(dn.Cat("x", 2, shape=101), states=3)
    found = assert_same(summed_out(whole, list(range(0, 100, 2))), 3, 2)
    assert len(found[-1].operations) <= 12
    assert kinds(found[-1]).count(Contract) < 60


def plain(operations: list[Step], buffers: list[int], tables: list[tuple[int, ...]], *indices: list[int]) -> Program:
    """A Program over one column of two values."""
    index = tuple(np.array(each) for each in indices)
    return Program(tuple(operations), len(buffers) - 1, tuple(buffers), tuple(tables), (2,), index)


def random_tables(program: Program) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [EXACT.lift(Value.of(random.integers(0, 5, shape) / 4)) for shape in program.tables]


def assert_folds_to(program: Program, want: list[type]) -> Program:
    """It means the same before and after, and has these operations."""
    verify(program)
    tables, rows = random_tables(program), np.array([[0, 1, 2]])
    after = fold(common(program))
    verify(after.program)
    before = execute(program, tables, rows, EXACT)
    assert execute(after.program, made_tables(after, tables), rows, EXACT).tolist() == before.tolist()
    assert kinds(after.program) == want
    return after.program


def dense(out: int, source: int, table: int, rows: int, columns: int) -> Contract:
    return Contract(out, source, table, 1, rows, columns, Strides(columns, 1), Strides(rows, 1))


def test_diagonals_go_into_matrices() -> None:
    """Before and after a matrix, and one after the other."""
    steps = [Load(0, 0, 0), Scale(1, 0, 1), Scale(2, 1, 2), dense(3, 2, 3, 2, 3), Scale(4, 3, 4), dense(5, 4, 5, 1, 2)]
    tables = [(3, 3), (3,), (3,), (1, 2, 3), (2,), (1, 1, 2)]
    assert_folds_to(plain(steps, [3, 3, 3, 2, 2, 1], tables), [Load, Contract])


def test_a_matrix_after_a_matrix_is_one_only_where_that_is_fewer() -> None:
    narrow = [Load(0, 0, 0), dense(1, 0, 1, 1, 6), dense(2, 1, 2, 6, 1), dense(3, 2, 3, 1, 6)]
    found = assert_folds_to(plain(narrow, [6, 1, 6, 1], [(3, 6), (1, 1, 6), (1, 6, 1), (1, 1, 6)]), [Load, Contract])
    assert found.tables[-1] == (1, 1, 6)
    wide = [Load(0, 0, 0), dense(1, 0, 1, 1, 6), dense(2, 1, 2, 6, 1), AllPairs(3, (2, 2)), dense(4, 3, 3, 1, 36)]
    tables = [(3, 6), (1, 1, 6), (1, 6, 1), (1, 1, 36)]
    assert_folds_to(plain(wide, [6, 1, 6, 36, 1], tables), [Load, Contract, Contract, AllPairs, Contract])


def test_monarch_factors_stay_apart() -> None:
    whole = dn.hmm(dn.Cat("x", 2, shape=3), states=9, transition=dn.monarch(3, 3))
    found = assert_same(summed_out(whole, [1]), 3, 0)
    assert all(
        step.rows <= 3 or step.columns <= 1 for step in unrolled(found[-1].operations) if isinstance(step, Contract)
    )


def test_gathers_and_joins_are_one() -> None:
    steps = [Load(0, 0, 0), Gather(1, 0, 0), Gather(2, 1, 1), Join(3, (2, 0)), Join(4, (3, 0)), dense(5, 4, 1, 1, 8)]
    program = plain(steps, [3, 3, 2, 5, 8, 1], [(3, 3), (1, 1, 8)], [2, 0, 1], [0, 2])
    found = assert_folds_to(program, [Load, Gather, Join, Contract])
    assert found.indices[-1].tolist() == [2, 1]


def test_a_gather_that_turns_blocks_is_in_the_strides() -> None:
    """out[i, j] = source[j, i]: two blocks of three read every second node."""
    turned = Contract(2, 1, 1, 2, 1, 3, Strides(3, 1), Strides(1, 1))
    steps = [Load(0, 0, 0), Gather(1, 0, 0), turned, dense(3, 2, 2, 1, 2)]
    program = plain(steps, [6, 6, 2, 1], [(3, 6), (2, 1, 3), (1, 1, 2)], [0, 2, 4, 1, 3, 5])
    found = assert_folds_to(program, [Load, Contract, Contract])
    assert found.operations[1] == replace(turned, source=0, read=Strides(1, 2))


def test_equal_operations_are_made_once() -> None:
    steps = [
        Load(0, 0, 0),
        Load(1, 0, 0),
        Multiply(2, (0, 1)),
        Multiply(3, (1, 0)),
        Join(4, (2, 3)),
        dense(5, 4, 1, 1, 4),
    ]
    program = plain(steps, [2, 2, 2, 2, 4, 1], [(3, 2), (1, 1, 4)])
    assert kinds(common(program)) == [Load, Multiply, Join, Contract]
    assert_folds_to(program, [Load, Multiply, Join, Contract])


def test_what_float64_does_not_hold_is_left_to_the_program_as_it_was() -> None:
    """A matrix whose numbers reach far is not made; a long constant keeps its power of two until it is read."""
    steps = [Load(0, 0, 0), Scale(1, 0, 1), dense(2, 1, 2, 1, 2)]
    folded = fold(plain(steps, [2, 2, 1], [(3, 2), (2,), (1, 1, 2)]))
    good = [np.ones((3, 2)), np.array([1e150, 1e150]), np.array([[[1e100, 1e100]]])]
    (_, found) = tables_of(folded, good, 4)
    np.testing.assert_allclose(found, [[[1e250, 1e250]]])
    for bad in ([1e-200, 1e200], [np.inf, 1.0], [-1.0, 1.0], [np.nan, 1.0], [1e-20, 1e20]):
        with pytest.raises(OutOfRange):
            tables_of(folded, [good[0], np.array(bad), good[2]], 4)
    with pytest.raises(OutOfRange):  # beyond float64 in the end
        tables_of(folded, [good[0], np.array([1e200, 1e200]), good[2] * 1e100], 4)
