"""Smooth, decomposable and structured: facts of circuits built by hand, and their definitions on random ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from danaus.compiler.properties import (
    DifferentScopes,
    OverlappingScopes,
    Proved,
    Refuted,
    SharedVariables,
    Unknown,
    Vtree,
    check,
    explained,
)
from danaus.ir.block import (
    Block,
    concat,
    constant_block,
    hadamard,
    indexed,
    input_block,
    ones_block,
    pairs,
    select,
    weighted,
)
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Variable
from danaus.ir.family import Bernoulli
from danaus.ir.linear import Dense, compose, sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from definitions import Definitions
from unsmooth_circuits import MORE, VARIABLES, unsmooth_circuit

STRUCTURAL = ("smooth", "decomposable", "structured")
x, y, z, w = (Variable(name, Bool()) for name in "xyzw")


def on(variable: Variable, *probabilities: float) -> Block:
    return input_block(Bernoulli(), variable, [constant(probabilities or (0.5,))])


def total(*blocks: Block, weights: object = None) -> Block:
    width = sum(block.width for block in blocks)
    return weighted(blocks, Dense(constant(np.ones((1, width)) if weights is None else weights)))


def status(root: Block, name: str, store: Store | None = None) -> str:
    return check(Circuit(root, store or Store()), name)[name].status


def statuses(root: Block) -> list[str]:
    return [result.status for result in check(Circuit(root, Store()), *STRUCTURAL).values()]


def test_a_sum_over_one_scope_is_smooth() -> None:
    assert status(total(on(x, 0.1, 0.2), on(x)), "smooth") == "proved"


def test_a_sum_over_two_scopes_is_not_and_the_witness_shows_both() -> None:
    root = total(on(x), hadamard([on(x), on(y)]))
    witness = check(Circuit(root, Store()), "smooth")["smooth"].witness
    assert isinstance(witness, DifferentScopes)
    assert witness.node.block is root and witness.node.scope == (x, y)
    assert {witness.first.scope, witness.second.scope} == {(x,), (x, y)}
    assert str(witness) == "two children of the sum have different scopes: only the second has {y}"


def test_a_weight_of_zero_is_no_edge_and_makes_scopes_smaller() -> None:
    inner = total(on(x), on(y), weights=[[1, 0]])
    assert status(total(inner, on(x)), "smooth") == "proved"
    assert status(total(inner, on(y)), "smooth") == "refuted"


def test_a_learnable_weight_counts_as_not_zero_whatever_its_value() -> None:
    zero = Parameter("w", (1, 2), "real")
    fixed = Parameter("v", (1, 2), "real", learnable=False)
    store = Store({zero: Value.of([[1.0, 0.0]]), fixed: Value.of([[1.0, 0.0]])})
    assert status(weighted([on(x), on(y)], Dense(zero)), "smooth", store) == "refuted"
    assert status(weighted([on(x), on(y)], Dense(fixed)), "smooth", store) == "proved"


def test_a_composed_map_is_judged_by_its_product() -> None:
    both = Dense(constant([[1, 1], [1, -1]]))
    only_first = compose([Dense(constant([[1, 1]])), both])
    assert status(weighted([on(x), on(y)], only_first), "smooth") == "proved"
    assert status(weighted([on(x), on(y)], compose([Dense(constant([[1, 2]])), both])), "smooth") == "refuted"


def test_nodes_that_do_not_reach_the_root_do_not_count() -> None:
    bad_sum = total(on(x), on(y))
    bad_product = hadamard([on(x), on(x)])
    assert statuses(total(on(x), bad_sum, bad_product, weights=[[1, 0, 0]])) == ["proved"] * 3
    assert statuses(total(concat([on(x), bad_sum]), weights=[[1, 1]])) == ["refuted", "proved", "refuted"]


def test_a_sum_of_nothing_and_an_empty_product_have_the_empty_scope() -> None:
    nothing = total(on(x), weights=[[0]])
    empty = indexed([on(x)], [0, 0], [])
    assert statuses(nothing) == ["proved"] * 3
    assert statuses(total(nothing, empty, ones_block(1))) == ["proved"] * 3
    assert status(total(nothing, on(x)), "smooth") == "refuted"
    assert status(hadamard([nothing, on(x), empty, on(y)]), "decomposable") == "proved"


def test_a_packed_sum_is_judged_node_by_node() -> None:
    both = concat([on(x, 0.1, 0.2), on(y, 0.3, 0.4)])
    apart = weighted([both], sparse([0, 0, 1, 1], [0, 1, 2, 3], constant([1, 1, 1, 1]), 2, 4))
    mixed = weighted([both], sparse([0, 0, 1, 1], [0, 1, 1, 2], constant([1, 1, 1, 1]), 2, 4))
    assert status(select(apart, [1]), "smooth") == "proved"
    assert status(select(mixed, [0]), "smooth") == "proved"
    result = check(Circuit(select(mixed, [1]), Store()), "smooth")["smooth"]
    assert isinstance(result.witness, DifferentScopes)
    assert result.witness.node.index == 1
    assert [result.witness.first.index, result.witness.second.index] == [1, 2]


@pytest.mark.parametrize("product", [hadamard, pairs])
def test_factors_must_have_disjoint_scopes(product: object) -> None:
    assert callable(product)
    assert status(product([on(x), on(y), on(z)]), "decomposable") == "proved"
    witness = check(Circuit(product([on(x), on(y), on(x, 0.3)]), Store()), "decomposable")["decomposable"].witness
    assert isinstance(witness, SharedVariables)
    assert witness.positions == (0, 2) and witness.shared == (x,)
    assert str(witness) == "factors 0 and 2 of the product share {x}"


def test_a_factor_that_stands_twice_counts_twice() -> None:
    assert status(indexed([on(x)], [0, 2], [0, 0]), "decomposable") == "refuted"
    assert status(hadamard([on(x), on(x)]), "decomposable") == "refuted"
    constant_one = constant_block(constant([[0.5]]))
    assert status(hadamard([constant_one, constant_one, on(x)]), "decomposable") == "proved"


def test_a_packed_product_names_the_node_and_its_factors() -> None:
    laid = concat([on(x, 0.1, 0.2), on(y, 0.3)])
    made = indexed([laid], [0, 2, 4], [0, 2, 1, 0])
    witness = check(Circuit(select(made, [1]), Store()), "decomposable")["decomposable"].witness
    assert isinstance(witness, SharedVariables)
    assert witness.node.index == 1 and witness.first.index == 1 and witness.second.index == 0
    assert status(select(made, [0]), "decomposable") == "proved"


def vtree(root: Block) -> str:
    result = check(Circuit(root, Store()), "structured")["structured"]
    assert isinstance(result, Proved) and result.vtree is not None
    return str(result.vtree)


def test_structured_finds_the_vtree_of_any_arity() -> None:
    assert vtree(on(x)) == "x"
    assert vtree(ones_block(1)) == "()"
    assert vtree(hadamard([on(z), on(x), on(y)])) == "(x y z)"
    inner = hadamard([on(w), on(y)])
    assert vtree(hadamard([inner, hadamard([on(z), on(x)])])) == "((x z) (y w))"
    assert vtree(total(hadamard([inner, on(z)]), hadamard([on(w), on(y), on(z)]))) == "((y w) z)"


def test_scopes_that_overlap_are_refuted_with_where_they_come_from() -> None:
    one = hadamard([hadamard([on(x), on(y)]), on(z)])
    other = hadamard([on(x), hadamard([on(y), on(z)])])
    assert status(total(one, one), "structured") == "proved"
    result = check(Circuit(total(one, other), Store()), *STRUCTURAL)
    assert result["smooth"].status == result["decomposable"].status == "proved"
    witness = result["structured"].witness
    assert isinstance(witness, OverlappingScopes)
    assert {factor.scope for factor in witness.factors} == {(x, y), (y, z)}
    assert {node.block for node in witness.nodes} == {one, other}
    assert "share {y}, but neither holds the other" in str(witness)


def test_what_is_not_smooth_is_not_structured() -> None:
    found = check(Circuit(total(on(x), on(y)), Store()), "structured")["structured"]
    assert isinstance(found.witness, DifferentScopes)


def test_equal_trees_are_equal_whatever_the_order_of_factors() -> None:
    one = hadamard([on(x), hadamard([on(y), on(z)])])
    other = hadamard([hadamard([on(z), on(y)]), on(x)])
    found = [check(Circuit(root, Store()), "structured")["structured"] for root in (one, other)]
    assert found[0] == found[1]
    assert found[0].vtree == Vtree((x, y, z, (1, 2), (0, 3)))
    assert found[0].vtree.variables == (x, y, z)


def test_a_chain_of_ten_thousand_variables() -> None:
    variables = [Variable(f"v{i}", Bool()) for i in range(10_000)]
    root = on(variables[-1])
    for variable in reversed(variables[:-1]):
        root = total(hadamard([on(variable), root]))
    circuit = Circuit(root, Store())
    found = check(circuit, *STRUCTURAL)
    assert all(isinstance(result, Proved) for result in found.values())
    tree = found["structured"].vtree
    assert tree.variables == tuple(variables)
    assert str(tree).startswith("(v0 (v1 (v2 ") and str(tree).endswith("(v9998 v9999" + ")" * 9_999)
    hash(tree)


def test_witnesses_are_json_with_places() -> None:
    bad = [
        (total(on(x), on(y)), "smooth"),
        (hadamard([on(x), on(x)]), "decomposable"),
        (total(hadamard([on(x), hadamard([on(y), on(z)])]), hadamard([hadamard([on(x), on(y)]), on(z)])), "structured"),
    ]
    for root, name in bad:
        result = check(Circuit(root, Store()), name)[name]
        assert isinstance(result, Refuted)
        written = json.loads(json.dumps(result.witness.to_json()))
        assert written["text"] == str(result.witness) == result.reason
        assert explained(name, result)[0].message == f"not {name}: {result.witness}"


def test_a_result_is_neither_true_nor_false() -> None:
    for result in (Proved(), Unknown("who knows")):
        with pytest.raises(TypeError, match="status"):
            bool(result)
    assert (Proved().reason, Proved().witness, Unknown("who knows", "nothing").reason) == ("", None, "who knows")


def test_check_answers_by_name() -> None:
    circuit = Circuit(on(x), Store())
    structural = ["smooth", "decomposable", "structured", "deterministic", "omni_compatible"]
    assert list(check(circuit)) == [*structural, "normalized", "nonnegative"]
    assert list(check(circuit, "structured", "smooth")) == ["structured", "smooth"]
    for name, code in (("compatible", "wrong-arguments"), ("smoth", "unknown-property")):
        with pytest.raises(DanausError) as caught:
            check(circuit, name)
        assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("decomposable", [True, False])
def test_properties_are_their_definitions_on_unsmooth_circuits(part: int, decomposable: bool) -> None:
    for seed in range(part * 15, part * 15 + 15):
        circuit = unsmooth_circuit(seed, decomposable, variables=(VARIABLES, MORE)[seed % 2])
        wanted = Definitions(circuit)
        for name, result in check(circuit, *STRUCTURAL).items():
            assert result.status == ("proved" if getattr(wanted, name) else "refuted"), (seed, name)
            if isinstance(result, Refuted):
                assert_true(result, wanted)


def assert_true(result: Refuted, wanted: Definitions) -> None:
    """Asserts that a witness shows what it says."""

    def scope(node: object) -> frozenset[Variable]:
        found = wanted.scope((node.block, node.index))
        assert found == frozenset(node.scope)
        assert (node.block, node.index) in wanted.nodes
        return found

    match result.witness:
        case DifferentScopes(node, first, second):
            below = wanted.below((node.block, node.index))
            assert scope(first) != scope(second)
            assert (first.block, first.index) in below and (second.block, second.index) in below
        case SharedVariables(node, first, second, positions, shared):
            below = wanted.below((node.block, node.index))
            assert scope(first) & scope(second) == frozenset(shared) != frozenset()
            assert [below[place] for place in positions] == [(n.block, n.index) for n in (first, second)]
        case OverlappingScopes(nodes, factors):
            one, other = map(scope, factors)
            assert one & other and one - other and other - one
            for node, factor in zip(nodes, factors, strict=True):
                assert (factor.block, factor.index) in wanted.below((node.block, node.index))
        case _:
            pytest.fail("no structural witness")
