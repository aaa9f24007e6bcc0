"""A circuit in a few lines: its variables, its size, its parameters, and what it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from ..block import Block, Input, Product, Sum, children
from ..circuit import Circuit
from ..dependence import in_order
from ..family import name_of
from ..linear import Selection
from ..parameter import Constant, Parameter
from ..scopenames import variables_text
from .label import edges, form_name, label, map_kind


def summary(circuit: Circuit) -> str:
    """The summary, without a newline at its end.

    >>> from danaus.ir.block import input_block, weighted
    >>> from danaus.ir.domain import Bool, Variable
    >>> from danaus.ir.parameter import constant
    >>> from danaus.ir.family import Bernoulli
    >>> from danaus.ir.linear import Dense
    >>> from danaus.ir.store import Store
    >>> a = input_block(Bernoulli(), Variable("rain", Bool()), [constant([0.2, 0.9])])
    >>> print(summary(Circuit(weighted([a], Dense(constant([[0.3, 0.7]]))), Store(), "p")))
    p: 1 variable, 3 nodes in 2 blocks, 2 edges, depth 2
      variables   rain : bool
      parameters  none; 4 constant numbers
      inputs      bernoulli
      sums        dense
      widths      1 to 2
    """
    blocks = circuit.blocks
    total = sum(map(edges, blocks))
    sizes = [
        _count(len(circuit.variables), "variable"),
        f"{_count(circuit.nodes, 'node')} in {_count(len(blocks), 'block')}",
        _count(total, "edge"),
        f"depth {depth(circuit)}",
    ]
    widths = [block.width for block in blocks]
    rows = {
        "variables": "; ".join(variables_text(circuit.variables)),
        "free": ", ".join(variable.name for variable in circuit.free),
        "parameters": _parameters(circuit),
        "inputs": _counted(name_of(block.family) for block in blocks if isinstance(block, Input)),
        "products": _counted(form_name(block.form) for block in blocks if isinstance(block, Product)),
        "sums": _counted(_kind(block) for block in blocks if isinstance(block, Sum)),
        "widths": f"{min(widths)} to {max(widths)}" if min(widths) < max(widths) else f"{widths[0]}",
    }
    lines = [f"  {name:<10}  {text}" for name, text in rows.items() if text]
    return "\n".join([f"{circuit.name}: {', '.join(sizes)}", *lines])


def depth(circuit: Circuit) -> int:
    """The number of blocks on the longest way from the root to an input."""
    found: dict[Block, int] = {}
    for block in circuit.blocks:
        found[block] = 1 + max((found[child] for child in children(block)), default=0)
    return found[circuit.root]


def _kind(block: Sum) -> str:
    return label(block).kind if isinstance(block.map, Selection) else map_kind(block.map)


def _parameters(circuit: Circuit) -> str:
    learnable = [found for found in circuit.parameters if found.learnable]
    fixed = [found for found in circuit.parameters if not found.learnable]
    steps = in_order(circuit.expressions)
    constants = sum(found.value.floats.size for found in steps if isinstance(found, Constant))
    numbers = constants + sum(prod(found.shape) for found in fixed)
    text = f"{_numbers(learnable)} in {_count(len(learnable), 'param')}" if learnable else "none"
    return text + (f"; {_count(numbers, 'constant number')}" if numbers else "")


def _numbers(found: Iterable[Parameter]) -> str:
    return _count(sum(prod(parameter.shape) for parameter in found), "learnable number")


def _counted(names: Iterable[str]) -> str:
    """Names with how often they occur, the most frequent first."""
    found = Counter(names)
    ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {name}" if count > 1 else name for name, count in ordered)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
