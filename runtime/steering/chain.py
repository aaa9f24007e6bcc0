"""Circuits read as chains: f_t = W (U φ(x_t) ⊙ R f_{t+1}), a step per variable, each map held as it is.

An HMM, an automaton, a product of inputs and products of these are chains; what is not is refused with the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir.block import Block, Hadamard, Input, Pairs, Product, Sum
from ...ir.circuit import Circuit
from ...ir.density import domain_values
from ...ir.diagnostic import DanausError, error
from ...ir.domain import FiniteDomain, Variable
from ...ir.family import InputProduct
from ...ir.linear import LinearMap, selection
from ...ir.numbers import Numbers
from ...ir.parameter import Floats
from ...ir.semirings import LINEAR

Maps = tuple[LinearMap, ...]
"""Maps one after the other, the last applied first; none is the identity."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One variable of a chain: its input, and the maps of the formula above. Without `rest` it is the last."""

    variable: Variable
    letters: Input | None  # None for a variable that the circuit does not have: the constant 1
    out: Maps  # W, [states, edges]
    reads: Maps  # U, [edges, inputs]
    rest: Maps | None  # R, [edges, states of the next step]


def chain_of(circuit: Circuit, order: Sequence[Variable] | None = None) -> list[Step]:
    """The steps of a circuit, in the order of its chain, or in a given order that has more variables.

    Raises: DanausError `not-a-chain`, `wrong-domain`.
    """
    steps: list[Step] = []
    place = {variable: i for i, variable in enumerate(order or circuit.variables)}
    block: Block | None = circuit.root
    while block is not None:
        out, below = _unwound(block)
        if isinstance(below, Input):
            steps.append(Step(below.variable, below, out, (), None))
            break
        if not isinstance(below, Product) or not isinstance(below.form, Hadamard | Pairs) or not below.children:
            raise _refused(circuit, below)
        singles: list[tuple[Input, Maps, Maps]] = []
        rest: Maps | None = None
        block = None
        spread = _spread(below)
        for child, index in zip(below.children, spread, strict=True):
            maps, leaf = _unwound(child)
            if isinstance(leaf, Input):
                singles.append((leaf, index, maps))
            elif block is None:
                rest, block = index, child
            else:
                raise _refused(circuit, below)
        if not singles:
            raise _refused(circuit, below)
        singles.sort(key=lambda single: place.get(single[0].variable, 0))
        above: Maps = out
        for i, (leaf, index, maps) in enumerate(singles):
            if i == len(singles) - 1 and i > 0 and block is None:
                # The last variable: its maps are those of a step, so that all steps of an HMM have one emission.
                steps[-1] = replace(steps[-1], rest=index)
                steps.append(Step(leaf.variable, leaf, maps, (), None))
            else:
                onwards = () if i < len(singles) - 1 else rest
                steps.append(Step(leaf.variable, leaf, above, (*index, *maps), onwards))
            above = ()
    return _ordered(circuit, steps, order)


def _unwound(block: Block) -> tuple[Maps, Block]:
    """The maps above a block, outermost first, and the block."""
    maps: list[LinearMap] = []
    while isinstance(block, Sum) and len(block.children) == 1:
        maps.append(block.map)
        block = block.children[0]
    return tuple(maps), block


def _spread(block: Product) -> list[Maps]:
    """For each child, which of its nodes stands in each node of the product; nothing where all do, in order."""
    widths = [child.width for child in block.children]
    if isinstance(block.form, Hadamard):
        return [() if width == block.width else (selection([0] * block.width, 1),) for width in widths]
    digits = np.unravel_index(np.arange(block.width), widths)
    return [
        () if width == block.width else (selection(digit, width),) for width, digit in zip(widths, digits, strict=True)
    ]


def _refused(circuit: Circuit, block: Block) -> DanausError:
    return error(
        "not-a-chain",
        f'"{circuit.name}" is no chain of its variables, one after the other',
        block.span or circuit.span,
        hint="steering takes an HMM, an automaton, a product of inputs, or products of these",
    )


def _ordered(circuit: Circuit, steps: list[Step], order: Sequence[Variable] | None) -> list[Step]:
    """The steps, with a step that passes on for each variable of the order that the circuit does not have."""
    for step in steps:
        if not isinstance(step.variable.domain, FiniteDomain):
            raise error(
                "wrong-domain", f'"{step.variable}" is {step.variable.domain}; tokens are of finitely many values'
            )
    if order is None:
        return steps
    waiting = list(reversed(steps))
    found: list[Step] = []
    for position, variable in enumerate(order):
        if waiting and waiting[-1].variable == variable:
            step = waiting.pop()
            last = step.rest is None
            found.append(Step(variable, step.letters, step.out, step.reads, () if last else step.rest))
        else:
            found.append(Step(variable, None, (), (), ()))
        if position == len(order) - 1:
            found[-1] = Step(variable, found[-1].letters, found[-1].out, found[-1].reads, None)
    if waiting:
        raise error(
            "not-compatible",
            f'"{circuit.name}" reads "{waiting[-1].variable}" out of the order of the model, or alone',
            circuit.span,
            hint="the constraint is over variables of the model, in its order",
        )
    return found


def table(step: Step, numbers: Numbers) -> Floats:
    """φ of a step, [inputs, values], in float64."""
    assert isinstance(step.variable.domain, FiniteDomain)
    if step.letters is None:
        return np.ones((1, step.variable.domain.size))
    letters = step.letters
    values = numbers.inputs(
        letters.family, letters.variable, letters.parameters, domain_values(letters.variable), LINEAR
    )
    return np.asarray(values, dtype=np.float64)


def letters_key(step: Step) -> object:
    """What tells the inputs of steps apart, where they stand on different variables."""
    if step.letters is None:
        return None
    family = step.letters.family
    return (family.widths if isinstance(family, InputProduct) else (), family, *map(id, step.letters.parameters))
