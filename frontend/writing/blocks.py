"""Bodies as text: one binding per block, children first, and the root in the return line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir.block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from ...ir.domain import Cat, FiniteDomain, Variable
from ...ir.family import GaussianDerivative, Indicator, InputProduct, One, name_of, parts
from ...ir.linear import Selection
from ...ir.parameter import constant
from . import maps
from .arrays import Arrays
from .fold import Folded
from .maps import MapWriter
from .names import block_names, quoted

_INDENT = 2


def obstacle(block: Block, folded: Folded) -> str:
    """Why a block has no form of its own in a text; empty where it has."""
    match block:
        case Input(family, variable, parameters):
            if isinstance(family, One) and not isinstance(variable.domain, FiniteDomain):
                return f'the constant 1 on "{variable.name}" ({variable.domain})'
            if isinstance(family, GaussianDerivative):
                return f'a derivative of an input on "{variable.name}"'
            if isinstance(family, InputProduct):
                return f'a product of inputs on "{variable.name}"'
            return next(filter(None, map(folded.obstacle, parameters)), "")
        case Sum(map=linear):
            return maps.obstacle(linear, folded)
        case Product():
            return ""


@dataclass(slots=True)
class BodyWriter:
    """Writes the body of one circuit.

    `references` are blocks that stand in the body as the names of other circuits; `spell` spells variables.
    """

    circuit: str
    arrays: Arrays
    folded: Folded
    references: Mapping[Block, str]
    spell: Callable[[Variable], str]
    lines: list[str] = field(default_factory=list[str])
    _names: dict[Block, str] = field(default_factory=dict[Block, str])
    _helpers: int = 0

    def body(self, blocks: tuple[Block, ...], root: Block, free: tuple[Variable, ...]) -> list[str]:
        """The lines of a body whose blocks stand children first; the root is multiplied by 1 on each free variable."""
        self._names = block_names(blocks, self.arrays.names) | dict(self.references)
        for block in blocks:
            if block is not root or free:
                self._bind(block)
        if free:
            ones = [
                self._helper(root, f"table({self.spell(variable)}, {self._ones(variable, self.circuit)})")
                for variable in free
            ]
            self.lines.append(f"return {' * '.join([self._names[root], *ones])}")
        else:
            self.lines.append(f"return {self._expression(root, 'return')}")
        return self.lines

    def _bind(self, block: Block) -> None:
        self.lines.append(f"{self._names[block]} = {self._expression(block, self._names[block])}")

    def _expression(self, block: Block, name: str) -> str:
        stem = f"{self.circuit}.{name}"
        match block:
            case Input():
                return self._input(block, stem)
            case Product():
                return self._product(block, stem)
            case Sum(children, linear):
                if isinstance(linear, Selection) and linear.is_identity and len(children) != 1:
                    return self._concat(block)
                writer = MapWriter(self.arrays, self.folded, stem, _INDENT, lambda text: self._helper(block, text))
                return writer.weighted(self._laid(block), linear)

    def _helper(self, block: Block, text: str) -> str:
        """A name for a step of a block that takes several."""
        self._helpers += 1
        taken = {*self._names.values(), *self.arrays.names.taken}
        name = f"{self._names[block]}_step{self._helpers}"
        while name in taken:
            name += "_"
        self.lines.append(f"{name} = {text}")
        return name

    def _input(self, block: Input, stem: str) -> str:
        variable = block.variable
        name = self.spell(variable)
        match block.family:
            case Indicator(value):
                named = isinstance(variable.domain, Cat) and variable.domain.names
                return f"[{name} = {quoted(named[value]) if named else value}]"
            case One():
                return f"table({name}, {self._ones(variable, stem)})"
            case family:
                wanted = parts(family, variable.domain)
                values = [
                    self.arrays.numbers(self.folded.leaf(given), stem, _INDENT, part.constraint)
                    for given, part in zip(block.parameters, wanted, strict=True)
                ]
                return f"{name_of(family)}({', '.join([name, *values])})"

    def _ones(self, variable: Variable, stem: str) -> str:
        assert isinstance(variable.domain, FiniteDomain)
        return self.arrays.numbers(constant(np.ones((1, variable.domain.size))), stem, _INDENT)

    def _product(self, block: Product, stem: str) -> str:
        match block.form:
            case Indexed(offsets, members):
                return f"product({self._laid(block)}, {self.arrays.rows(offsets, members, stem, _INDENT)})"
            case Hadamard() if len(block.children) > 1:
                return " * ".join(self._names[child] for child in block.children)
            case Hadamard() | Pairs():
                return f"kron({', '.join(self._names[child] for child in block.children)})"

    def _laid(self, block: Product | Sum) -> str:
        """The children end to end, as an operand."""
        return self._names[block.children[0]] if len(block.children) == 1 else self._concat(block)

    def _concat(self, block: Product | Sum) -> str:
        return f"concat({', '.join(self._names[child] for child in block.children)})"
