"""Whether two circuits are the same: block by block, map by map, number by number, parameters and variables by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danaus.ir.block import Block, Hadamard, Indexed, Input, Product, Sum, children
from danaus.ir.circuit import Circuit
from danaus.ir.expression import Expression
from danaus.ir.family import Family, One, Table
from danaus.ir.linear import Compose, Kronecker, LinearMap, Selection, Sparse, expressions
from danaus.ir.parameter import Constant, Parameter


def assert_same(first: Circuit, second: Circuit, moved: Sequence[str] = ()) -> None:
    """Asserts that circuits are the same; a constant may have become a const that is not learnable."""
    assert first.name == second.name
    assert [(v.name, v.domain) for v in first.variables] == [(v.name, v.domain) for v in second.variables]
    assert [b.width for b in first.blocks] == [b.width for b in second.blocks]
    places = [{block: i for i, block in enumerate(circuit.blocks)} for circuit in (first, second)]
    for a, b in zip(first.blocks, second.blocks, strict=True):
        assert type(a) is type(b)
        assert [places[0][child] for child in children(a)] == [places[1][child] for child in children(b)]
        _assert_same_block(first, a, second, b)
    ours = [(p.name, p.shape, p.constraint, p.learnable) for p in first.parameters]
    theirs = [(p.name, p.shape, p.constraint, p.learnable) for p in second.parameters]
    assert ours == [item for item in theirs if item[0] not in moved]


def _assert_same_block(first: Circuit, a: Block, second: Circuit, b: Block) -> None:
    match a, b:
        case Input(), Input():
            assert a.variable == b.variable
            assert _family(a.family) == _family(b.family)
            for ours, theirs in zip(a.parameters, b.parameters, strict=False):
                _assert_same_numbers(first, ours, second, theirs)
        case Product(), Product():
            if not (isinstance(a.form, Hadamard) and len(a.children) < 2):
                assert type(a.form) is type(b.form)
            if isinstance(a.form, Indexed) and isinstance(b.form, Indexed):
                assert np.array_equal(a.form.offsets, b.form.offsets)
                assert np.array_equal(a.form.members, b.form.members)
        case Sum(), Sum():
            _assert_same_map(first, a.map, second, b.map)
        case _:
            raise AssertionError(f"{a} and {b}")


def _family(family: Family) -> Family:
    return Table() if isinstance(family, One) else family


def _assert_same_map(first: Circuit, a: LinearMap, second: Circuit, b: LinearMap) -> None:
    assert type(a) is type(b)
    assert (a.inputs, a.outputs) == (b.inputs, b.outputs)
    match a, b:
        case Selection(), Selection():
            assert np.array_equal(a.index, b.index)
        case Sparse(), Sparse():
            assert np.array_equal(a.rows, b.rows) and np.array_equal(a.columns, b.columns)
        case (Kronecker(ours), Kronecker(theirs)) | (Compose(ours), Compose(theirs)):
            for mine, yours in zip(ours, theirs, strict=True):
                _assert_same_map(first, mine, second, yours)
            return
    for x, y in zip(expressions(a), expressions(b), strict=True):
        _assert_same_numbers(first, x, second, y)


def _assert_same_numbers(first: Circuit, a: Expression, second: Circuit, b: Expression) -> None:
    if isinstance(a, Parameter):
        assert isinstance(b, Parameter)
        assert (a.name, a.learnable, a.constraint) == (b.name, b.learnable, b.constraint)
        assert first.store[a].same(second.store[b])
    else:
        assert isinstance(a, Constant)
        value = b.value if isinstance(b, Constant) else second.store[b] if isinstance(b, Parameter) else None
        assert value is not None and a.value.same(value)
        assert isinstance(b, Constant) or (isinstance(b, Parameter) and not b.learnable)
