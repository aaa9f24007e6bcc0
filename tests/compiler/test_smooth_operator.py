"""The operator smooth: the same function, smooth, along the vtree of the circuit where it has one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from danaus.compiler.operators import smooth
from danaus.compiler.properties import Proved, check
from danaus.ir.block import (
    Block,
    Input,
    concat,
    hadamard,
    indexed,
    input_block,
    ones_block,
    pairs,
    select,
    weighted,
)
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import Refused
from danaus.ir.domain import Bool, Cat, Count, Real, Variable
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.family import Bernoulli, Gaussian, One, Poisson, Table
from danaus.ir.linear import BlockDiagonal, Dense, LinearMap, Sparse, sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.semirings import LINEAR
from danaus.ir.store import Store
from definitions import Definitions
from unsmooth_circuits import MORE, VARIABLES, factor_scopes, is_laminar, unsmooth_circuit

a, b, c, d, e = (Variable(name, Bool()) for name in "abcde")


def on(variable: Variable, *probabilities: float) -> Block:
    return input_block(Bernoulli(), variable, [constant(probabilities or (0.5,))])


def total(*blocks: Block) -> Block:
    return weighted(blocks, Dense(constant(np.ones((1, sum(block.width for block in blocks))))))


def smoothed(root: Block) -> Circuit:
    made = smooth(Circuit(root, Store()))
    assert check(made, "smooth")["smooth"].status == "proved"
    return made


def vtree(circuit: Circuit) -> str:
    result = check(circuit, "structured")["structured"]
    assert isinstance(result, Proved)
    return str(result.vtree)


def test_what_is_smooth_stays_as_it_is() -> None:
    circuit = Circuit(total(hadamard([on(a), on(b)])), Store(), "p")
    made = smooth(circuit)
    assert made.root is circuit.root and made.name == "p"
    assert made.origin is not None and made.origin.operator == "smooth" and made.origin.circuits == (circuit,)


def test_missing_variables_are_multiplied_in_as_tables_of_ones() -> None:
    y = Variable("y", Cat(3))
    made = smoothed(total(on(a), hadamard([on(a), input_block(Table(), y, [constant([[1, 2, 3]])])])))
    added = hadamard([on(a), input_block(Table(), y, [constant(np.ones((1, 3)))])])
    assert isinstance(made.root.children[0], Block)
    assert made.root.children[0] is added


def test_on_real_and_count_it_is_the_constant_one() -> None:
    t, k = Variable("t", Real()), Variable("k", Count())
    bell = input_block(Gaussian(), t, [constant([0.0]), constant([1.0])])
    rare = input_block(Poisson(), k, [constant([3.0])])
    made = smoothed(total(on(a), hadamard([bell, rare, on(a)])))
    ones = {block.variable for block in made.blocks if isinstance(block, Input) and isinstance(block.family, One)}
    assert ones == {t, k}


def test_a_circuit_that_is_not_decomposable_is_refused_with_the_witness() -> None:
    with pytest.raises(Refused, match="factors 0 and 1") as caught:
        smooth(Circuit(total(hadamard([on(a), on(a)]), on(b)), Store()))
    assert caught.value.diagnostics[0].code == "not-decomposable"


def test_the_vtree_is_kept() -> None:
    left, right = hadamard([on(a), on(b)]), hadamard([on(c), on(d)])
    root = total(hadamard([left, right]), on(a), hadamard([left, on(d)]), ones_block(1))
    assert vtree(smoothed(root)) == "((a b) (c d))"


def test_products_whose_scopes_overlap_take_what_they_miss_as_further_factors() -> None:
    made = smoothed(total(hadamard([on(a), on(b)]), hadamard([on(b), on(c)])))
    assert vtree(made) == "((a b) c)"
    assert sorted(len(child.children) for child in made.root.children) == [2, 3]


def test_sums_whose_scopes_overlap_pass_it_on_to_their_children() -> None:
    inner = [total(hadamard([on(x), on(y)]), hadamard([on(x, 0.3), on(y, 0.1)])) for x, y in ((a, b), (b, c), (c, d))]
    made = smoothed(total(*inner))
    assert vtree(made) == "((a b) (c d))"


def test_a_circuit_of_no_vtree_is_made_smooth_all_the_same() -> None:
    one = hadamard([hadamard([on(a), on(b)]), on(c)])
    other = hadamard([on(a), hadamard([on(b), on(c)])])
    made = smoothed(total(one, other, on(d), on(e)))
    assert check(made, "decomposable", "structured")["decomposable"].status == "proved"
    assert check(made, "structured")["structured"].status == "refuted"


def test_each_missing_set_is_made_once() -> None:
    variables = [Variable(f"v{i}", Bool()) for i in range(12)]
    whole = hadamard([on(variable) for variable in variables])
    made = smoothed(total(whole, *(on(variables[0], 0.01 * i) for i in range(1, 9))))
    assert len(made.blocks) == 12 + 1 + 8 + 11 + 8 + 1
    made = smoothed(total(total(whole), *(hadamard([whole]) for _ in range(3))))
    assert len(made.blocks) < 20


def packed(linear: LinearMap, places: list[int], offsets: list[int]) -> Block:
    laid = concat([on(a, 0.1, 0.9), on(b, 0.2, 0.8), on(c, 0.3, 0.7)])
    return weighted([indexed([laid], offsets, places)], linear)


def test_a_packed_sum_reads_each_child_at_its_own_scope() -> None:
    rows, columns = [0, 0, 1, 1, 2], [0, 1, 0, 2, 0]
    linear = sparse(rows, columns, constant([1, 2, 3, 4, 5]), 3, 3)
    shared = packed(linear, [0, 0, 2, 0, 4], [0, 1, 3, 5])
    made = smoothed(total(hadamard([select(shared, [0]), on(c)]), hadamard([select(shared, [1]), on(b)])))
    widths = [block.map for block in made.blocks if hasattr(block, "map") and isinstance(block.map, Sparse)]
    assert [(linear.outputs, len(linear.rows)) for linear in widths] == [(3, 5)]
    assert check(made, "decomposable")["decomposable"].status == "proved"


def test_a_structured_map_over_several_scopes_is_applied_once_to_each() -> None:
    weights = Parameter("w", (2, 2, 2), "real")
    linear = BlockDiagonal(weights)
    shared = packed(linear, [0, 0, 2, 2, 2, 4], [0, 1, 3, 4, 6])
    circuit = Circuit(
        total(hadamard([select(shared, [0]), on(c)]), hadamard([select(shared, [3]), on(a)])),
        Store({weights: Value.of(np.arange(8.0).reshape(2, 2, 2))}),
    )
    made = smooth(circuit)
    assert check(made, "smooth")["smooth"].status == "proved"
    assert made.parameters == (weights,)
    assert made.store is circuit.store


def test_wide_blocks_of_one_scope_stay_wide() -> None:
    wide = on(a, *np.linspace(0, 1, 50))
    both = hadamard([wide, on(b, *np.linspace(0, 1, 50))])
    crossed = pairs([on(a, *np.linspace(0, 1, 10)), on(c, *np.linspace(0, 1, 5))])
    made = smoothed(total(wide, both, crossed))
    assert [child.width for child in made.root.children] == [50, 50, 50]
    assert made.nodes < 400


@pytest.mark.parametrize("part", range(10))
def test_random_circuits_become_smooth_and_keep_their_function_and_vtree(part: int) -> None:
    for seed in range(1000 + part * 15, 1000 + part * 15 + 15):
        circuit = unsmooth_circuit(seed, variables=(VARIABLES, MORE)[seed % 2])
        made = smooth(circuit)
        before, after = Definitions(circuit), Definitions(made)
        assert after.smooth and after.decomposable, seed
        assert made.variables == circuit.variables
        kept = factor_scopes(before)
        if is_laminar(kept):
            assert after.structured, seed
            assert is_laminar(kept | factor_scopes(after)), seed
        rows = np.array([[float(value) for value in row.values()] for row, _, _ in before.table])
        rows = rows.reshape(len(before.table), len(circuit.variables))
        found = evaluate(made, LINEAR, Evidence(made.variables, rows, np.ones(rows.shape, dtype=bool)))
        scale = [float(before.oracle.magnitude(row)) for row, _, _ in before.table]
        wanted = [float(value) for _, value, _ in before.table]
        assert np.all(np.abs(found - wanted) <= 1e-12 * np.array(scale)), seed
        if before.table:
            row, value, _ = before.table[seed % len(before.table)]
            assert after.oracle.value(row) == value


def test_a_chain_of_two_thousand_variables_grows_by_a_factor() -> None:
    variables = [Variable(f"v{i}", Bool()) for i in range(2_000)]
    root = on(variables[-1], 0.1, 0.9)
    for variable in reversed(variables[:-1]):
        step = on(variable, 0.3, 0.7)
        root = weighted([hadamard([step, root]), step], Dense(constant(np.full((2, 4), 0.25))))
    circuit = Circuit(select(root, [0]), Store())
    made = smooth(circuit)
    assert made.nodes < 4 * circuit.nodes
    assert all(isinstance(result, Proved) for result in check(made, "smooth", "decomposable", "structured").values())


def test_a_hundred_thousand_packed_nodes_of_many_scopes() -> None:
    variables, count = [Variable(f"v{i}", Bool()) for i in range(256)], 40
    generator = np.random.default_rng(0)
    current = concat([on(variable, *generator.random(count)) for variable in variables])
    for regions in (128, 64, 32, 16, 8, 4, 2, 1):
        node = np.arange(regions * count)
        region = node // count
        left = 2 * region * count + generator.integers(count, size=len(node))
        right = (2 * region + 1) * count + generator.integers(count, size=len(node))
        kept = np.stack([np.ones(len(node), dtype=bool), generator.random(len(node)) > 0.05], axis=1)
        offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        product = indexed([current], offsets, np.stack([left, right], axis=1)[kept])
        columns = region * count + (node + np.array([[0], [1], [7]])) % count
        weights = constant(generator.random(3 * len(node)))
        current = weighted([product], sparse(np.tile(node, 3), columns.ravel(), weights, len(node), len(node)))
    circuit = Circuit(total(current), Store())
    assert check(circuit, "smooth")["smooth"].status == "refuted"
    made = smooth(circuit)
    assert made.nodes < 4 * circuit.nodes and len(made.blocks) < len(circuit.blocks) + 3 * len(variables)
    assert all(isinstance(result, Proved) for result in check(made, "smooth", "decomposable", "structured").values())
    rows = generator.integers(2, size=(3, 256)).astype(float)
    evidence = Evidence(circuit.variables, rows, np.ones(rows.shape, dtype=bool))
    assert np.allclose(evaluate(made, LINEAR, evidence), evaluate(circuit, LINEAR, evidence), rtol=1e-12)


def test_exact_values_are_kept() -> None:
    third = input_block(Bernoulli(), a, [constant([Fraction(1, 3)])])
    made = smoothed(total(third, hadamard([third, on(b)])))
    found = Definitions(made)
    assert found.total({}) == Definitions(Circuit(third, Store())).total({}) * 3
