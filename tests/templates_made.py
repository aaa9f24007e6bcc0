"""Circuits of templates, and what a test asks of all of them: structure, total mass, values at all assignments."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from danaus.frontend.fresh import Declarations
from danaus.ir.block import Block, Product, Sum
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import Gatherer
from danaus.ir.domain import Domain, Int, Variable
from danaus.ir.query import log_likelihood, partition


def made(template: Callable[..., Block], *arguments: Any, seed: int = 0, **options: Any) -> Circuit:
    """The circuit "p" of a template; `Declarations` and the name go where `...` stands among the arguments."""
    declarations, gatherer = Declarations(), Gatherer()
    given = [declarations if argument is ... else argument for argument in arguments]
    root = template(*given, "p", **options)
    store = declarations.settle(gatherer, seed)
    gatherer.finish()
    return Circuit(root, store, "p")


def array(count: int, domain: Domain, name: str = "x") -> list[Variable]:
    return [Variable(f"{name}[{i}]", domain) for i in range(count)]


def values(circuit: Circuit) -> dict[str, np.ndarray]:
    """The numbers of all parameters by name, without the circuit's."""
    return {parameter.name.removeprefix("p."): circuit.store[parameter].floats for parameter in circuit.store}


def shapes(circuit: Circuit) -> dict[str, tuple[int, ...]]:
    return {name: found.shape for name, found in values(circuit).items()}


def assignments(circuit: Circuit) -> np.ndarray:
    """All assignments of finite variables as raw values, [count, variables]."""
    columns = []
    for variable in circuit.variables:
        assert variable.size is not None
        first = variable.domain.lo if isinstance(variable.domain, Int) else 0
        columns.append(range(first, first + variable.size))
    return np.array(list(itertools.product(*columns)), dtype=np.float64)


def probabilities(circuit: Circuit) -> np.ndarray:
    """The circuit at all assignments, by the evaluator."""
    return np.exp(log_likelihood(circuit, assignments(circuit)))


def require_smooth_and_decomposable(circuit: Circuit) -> None:
    """Every block has one scope; children of a sum share it, those of a product are disjoint."""
    scopes = circuit.scopes
    for block in circuit.blocks:
        assert len(scopes.rows(block)) == 1, block
        names = [set(scopes.node(child, 0)) for child in getattr(block, "children", ())]
        if isinstance(block, Sum):
            assert all(scope == names[0] for scope in names)
        if isinstance(block, Product):
            assert sum(map(len, names)) == len(set().union(*names))


def require_normalized(circuit: Circuit) -> None:
    assert abs(partition(circuit)) < 1e-12
