"""Compatible and omni-compatible: facts of circuits built by hand, and their definitions on random ones."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from danaus.compiler.driver import parse
from danaus.compiler.judge import judge
from danaus.compiler.properties import (
    CrossingScopes,
    DifferentScopes,
    Proved,
    Refuted,
    Result,
    WideFactor,
    check,
    compatible,
    omni_compatible,
)
from danaus.ir.block import Block, hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Variable
from danaus.ir.family import Bernoulli, Categorical
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.store import Store
from definitions import Definitions, Scope
from unsmooth_circuits import unsmooth_circuit

VARIABLES = [Variable(f"v{i}", Bool()) for i in range(8)]
x, y, z, w = (Variable(name, Bool()) for name in "xyzw")


def on(variable: Variable) -> Block:
    return input_block(Bernoulli(), variable, [constant([0.25])])


def total(*blocks: Block) -> Circuit:
    width = sum(block.width for block in blocks)
    return Circuit(weighted(blocks, Dense(constant(np.ones((1, width))))), Store())


def circuit(*products: Block) -> Circuit:
    return total(*products)


LEFT = circuit(hadamard([hadamard([on(x), on(y)]), on(z)]))
RIGHT = circuit(hadamard([on(x), hadamard([on(y), on(z)])]))
FLAT = circuit(hadamard([on(x), on(y), on(z)]))
BOTH = circuit(hadamard([hadamard([on(x), on(y)]), on(z)]), hadamard([on(x), hadamard([on(y), on(z)])]))


def test_a_structured_circuit_is_compatible_with_itself_and_no_other_is() -> None:
    for each in (LEFT, RIGHT, FLAT):
        assert compatible(each, each).status == check(each, "structured")["structured"].status == "proved"
    assert compatible(BOTH, BOTH).status == check(BOTH, "structured")["structured"].status == "refuted"


def test_a_factorised_circuit_is_compatible_with_any_tree_and_with_what_has_none() -> None:
    for each in (LEFT, RIGHT, BOTH):
        assert compatible(each, FLAT).status == compatible(FLAT, each).status == "proved"
    assert omni_compatible(FLAT).status == "proved"


def test_the_witness_is_a_factor_of_each() -> None:
    found = compatible(LEFT, RIGHT)
    assert isinstance(found.witness, CrossingScopes)
    assert [factor.scope for factor in found.witness.factors] == [(x, y), (y, z)]
    assert found.witness.shared == (x, y, z)
    assert "share {y}, but neither holds the other" in str(found.witness)
    assert json.loads(json.dumps(found.witness.to_json()))["scopes"] == [["x", "y"], ["y", "z"]]


def test_only_shared_variables_count() -> None:
    one = circuit(hadamard([hadamard([on(x), on(y)]), on(z)]))
    other = circuit(hadamard([hadamard([on(y), on(w)]), on(z)]))
    assert compatible(one, other).status == "proved"
    far = circuit(hadamard([hadamard([on(y), on(w)]), hadamard([on(x), on(z)])]))
    witness = compatible(one, far).witness
    assert isinstance(witness, CrossingScopes)
    assert compatible(circuit(on(w)), one).status == "proved"


def test_the_matching_has_the_smallest_scope_that_holds_each() -> None:
    result = compatible(LEFT, FLAT)
    assert isinstance(result, Proved) and result.matching is not None
    assert dict(result.matching.pairs()) == {
        (x,): (x,),
        (y,): (y,),
        (z,): (z,),
        (x, y): (x, y, z),
        (x, y, z): (x, y, z),
    }
    assert str(result.matching).splitlines()[-2:] == ["{x, y} in {x, y, z}", "{x, y, z} in {x, y, z}"]


def test_what_is_not_smooth_is_not_compatible() -> None:
    bad = total(on(x), on(y))
    assert isinstance(compatible(bad, FLAT).witness, DifferentScopes)
    assert isinstance(compatible(FLAT, bad).witness, DifferentScopes)


def test_variables_of_one_name_must_be_one() -> None:
    other = circuit(input_block(Categorical(), Variable("x", Cat(3)), [constant([[0.5, 0.25, 0.25]])]))
    with pytest.raises(DanausError, match="two-domains"):
        compatible(LEFT, other)


def test_omni_compatible_names_a_wide_factor() -> None:
    witness = omni_compatible(LEFT).witness
    assert isinstance(witness, WideFactor)
    assert witness.factor.scope == (x, y) and witness.position == 0
    assert json.loads(json.dumps(witness.to_json()))["position"] == 0
    assert check(LEFT, "omni_compatible")["omni_compatible"].status == "refuted"


def test_a_spec_asserts_it() -> None:
    spec = parse(
        """
        var x : bool
        var y : bool
        circuit p { return bernoulli(x, [0.5]) * bernoulli(y, [0.5]) }
        assert compatible(p, p) and omni_compatible(p)
        assert not deterministic(p)
        """,
        "<text>",
    )
    assert [verdict.status for verdict in judge(spec)] == ["proved", "refuted"]
    for text in ("compatible(p)", "compatible(p, p, p)", "deterministic(p, p)"):
        with pytest.raises(DanausError):
            parse(f"var x : bool; circuit p {{ return [x = 1] }}\nassert {text}", "<text>")


def tree(generator: random.Random, variables: list[Variable]) -> Block:
    """A product over all of the variables, parted at random."""
    if len(variables) == 1:
        return on(variables[0])
    order = generator.sample(variables, len(variables))
    cuts = sorted(generator.sample(range(1, len(order)), generator.randint(1, min(3, len(order) - 1))))
    parts = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return hadamard([tree(generator, part) for part in parts])


def mixed(seed: int) -> Circuit:
    """A sum of one to three such products over some variables."""
    generator = random.Random(seed)
    variables = generator.sample(VARIABLES, generator.randint(1, len(VARIABLES)))
    return total(*(tree(generator, variables) for _ in range(generator.choice([1, 1, 1, 2, 3]))))


def scopes(found: Definitions) -> set[Scope]:
    return found.factor_scopes | {found.scope((found.circuit.root, 0))}


@pytest.mark.parametrize("part", range(4))
def test_compatible_is_its_definition(part: int) -> None:
    for seed in range(part * 100, part * 100 + 100):
        pair = (mixed(2 * seed), mixed(2 * seed + 1))
        if seed % 5 == 0:
            pair = (unsmooth_circuit(seed), unsmooth_circuit(seed + 1))
        assert_defined(compatible(*pair), *pair)
        assert compatible(pair[1], pair[0]).status == compatible(*pair).status


def assert_defined(result: Result, first: Circuit, second: Circuit) -> None:
    """Asserts that a result is what the definition says, with a matching, or a witness that shows it."""
    one, other = Definitions(first), Definitions(second)
    shared = one.scope((first.root, 0)) & other.scope((second.root, 0))
    sides = [{scope & shared for scope in scopes(found)} for found in (one, other)]
    nested = all(not a & b or a <= b or b <= a for a in sides[0] for b in sides[1])
    good = all(found.smooth and found.decomposable for found in (one, other))
    assert result.status == ("proved" if good and nested else "refuted")
    if isinstance(result, Proved):
        assert result.matching is not None
        pairs = {frozenset(scope): holder for scope, holder in result.matching.pairs()}
        assert set(pairs) == sides[0] - {frozenset()}
        for scope, holder in pairs.items():
            holding = [len(each) for each in sides[1] if scope <= each]
            assert (holder is None) == (not holding)
            assert holder is None or (scope <= set(holder) in sides[1] and len(holder) == min(holding))
    elif isinstance(result, Refuted) and isinstance(result.witness, CrossingScopes):
        for found, node, factor in zip((one, other), result.witness.nodes, result.witness.factors, strict=True):
            assert (factor.block, factor.index) in found.below((node.block, node.index))
        a, b = (set(factor.scope) & shared for factor in result.witness.factors)
        assert a & b and a - b and b - a


def test_thousands_of_scopes() -> None:
    variables = [Variable(f"u{i}", Bool()) for i in range(2000)]

    def chain(order: list[Variable]) -> Circuit:
        root = on(order[0])
        for variable in order[1:]:
            root = hadamard([root, on(variable)])
        return total(root)

    assert compatible(chain(variables), chain(variables)).status == "proved"
    swapped = [variables[1], variables[2], variables[0], *variables[3:]]
    assert compatible(chain(variables), chain(swapped)).status == "refuted"
