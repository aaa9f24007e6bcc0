"""The printed form of a circuit: one line per block, children first, for people, diffs and goldens.

What enters is a circuit; what leaves is a text that says what the circuit is made of, without the values of parameters.
Blocks are %0, %1, …; expressions that are neither a parameter nor a constant are $0, $1, …; long arrays stand there as
their shape. The same circuit gives the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from .circuit import Circuit
from .dependence import in_order
from .domain import Variable, quote
from .expression import (
    Broadcast,
    Divide,
    Exp,
    Expression,
    InputTable,
    InputValue,
    Join,
    Log,
    Plus,
    Raised,
    Reshape,
    Share,
    Take,
    Times,
    Total,
)
from .family import Binomial, Family, Indicator, name_of
from .linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Indices,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    monarch_parts,
)
from .parameter import Constant, Parameter, Value
from .scopenames import ScopeNames, names_of, scope_text, variables_text

_MOST_NUMBERS = 16


def print_circuit(circuit: Circuit) -> str:
    """The printed form of a circuit.

    >>> from danaus.ir.block import input_block, weighted
    >>> from danaus.ir.domain import Bool
    >>> from danaus.ir.parameter import constant
    >>> from danaus.ir.family import Bernoulli
    >>> from danaus.ir.store import Store
    >>> a = input_block(Bernoulli(), Variable("rain", Bool()), [constant([0.2, 0.9])])
    >>> print(print_circuit(Circuit(weighted([a], Dense(constant([[0.3, 0.7]]))), Store(), "p")), end="")
    circuit p
      var rain : bool
      %0 = bernoulli(rain, [0.2, 0.9]) : 2 {rain}
      %1 = sum(%0, dense [[0.3, 0.7]]) : 1 {rain}
      return %1
    """
    return _Printer(circuit).text()


class _Printer:
    """The state of one print: the names of the blocks and of the derived expressions."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.blocks = {block: f"%{number}" for number, block in enumerate(circuit.blocks)}
        self.derived: dict[int, str] = {}
        self.steps = [step for step in in_order(circuit.expressions) if not isinstance(step, Parameter | Constant)]
        for number, step in enumerate(self.steps):
            self.derived[id(step)] = f"${number}"

    def text(self) -> str:
        circuit = self.circuit
        lines = [f"circuit {circuit.name}"]
        lines += [f"  var {text}" for text in variables_text(circuit.variables)]
        if circuit.free:
            lines.append(f"  free {names_of(circuit.free)}")
        lines += [f"  {_declared(parameter)}" for parameter in circuit.parameters]
        lines += [f"  {self.derived[id(step)]} = {self._step(step)}" for step in self.steps]
        names = ScopeNames(circuit.scopes.variables)
        for block, name in self.blocks.items():
            lines.append(f"  {name} = {self._block(block)} : {block.width} {{{scope_text(circuit, names, block)}}}")
        lines.append(f"  return {self.blocks[circuit.root]}")
        return "\n".join(lines) + "\n"

    def _block(self, block: Block) -> str:
        match block:
            case Input(family, variable, parameters):
                return self._input(family, variable, parameters)
            case Product(children, form):
                laid = ", ".join(self.blocks[child] for child in children)
                match form:
                    case Hadamard():
                        return f"hadamard({laid})"
                    case Pairs():
                        return f"kron({laid})"
                    case Indexed():
                        return f"product({', '.join([*([laid] if laid else []), _rows(form)])})"
            case Sum(children, linear):
                laid = ", ".join(self.blocks[child] for child in children)
                if isinstance(linear, Selection):
                    return f"concat({laid})" if linear.is_identity else f"select({laid}, {_index(linear.index)})"
                return f"sum({laid}, {self._map(linear)})"

    def _input(self, family: Family, variable: Variable, parameters: Sequence[Expression]) -> str:
        match family:
            case Indicator(value):
                return f"[{variable.name} = {value}]"
            case Binomial(n):
                given = [str(n), *map(self._numbers, parameters)]
            case _:
                given = [*map(self._numbers, parameters)]
        return f"{name_of(family)}({', '.join([variable.name, *given])})"

    def _map(self, linear: LinearMap) -> str:
        parts = monarch_parts(linear)
        if parts:
            sizes = ", ".join(str(part.shape[1]) for part in parts)
            return f"monarch({sizes}) {', '.join(map(self._numbers, parts))}"
        match linear:
            case Dense(weights):
                return f"dense {self._numbers(weights)}"
            case Diagonal(weights):
                return f"diagonal {self._numbers(weights)}"
            case BlockDiagonal(weights):
                return f"block_diagonal({linear.blocks}) {self._numbers(weights)}"
            case Selection(index, _):
                stride = linear.stride
                name = "permute" if linear.is_permutation else "select"
                return f"{name}({f'stride {stride}' if stride is not None else _index(index)})"
            case Sparse(rows, columns, weights):
                return f"sparse({_index(rows)}, {_index(columns)}) {self._numbers(weights)}"
            case Kronecker(factors):
                return f"kron({', '.join(map(self._map, factors))})"
            case Compose(maps):
                return f"compose({', '.join(map(self._map, maps))})"

    def _numbers(self, expression: Expression) -> str:
        match expression:
            case Parameter(name):
                return name
            case Constant(value):
                return value_text(value)
            case _:
                return self.derived[id(expression)]

    def _step(self, step: Expression) -> str:
        shape = _sizes(step.shape)
        match step:
            case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
                return f"{type(step).__name__.lower()}({self._numbers(left)}, {self._numbers(right)}) : {shape}"
            case Total(operand, axis, _):
                return f"total({self._numbers(operand)}, axis {axis}) : {shape}"
            case Take(operand, axis, index, _):
                chosen = _index(np.array(index, dtype=np.int64))
                return f"take({self._numbers(operand)}, axis {axis}, {chosen}) : {shape}"
            case Join(parts):
                return f"join({', '.join(map(self._numbers, parts))}) : {shape}"
            case Reshape(operand, _) | Broadcast(operand, _) | Exp(operand, _) | Log(operand, _):
                return f"{type(step).__name__.lower()}({self._numbers(operand)}) : {shape}"
            case Raised(operand, exponent, _):
                return f"power({self._numbers(operand)}, {exponent}) : {shape}"
            case InputTable(family, variable, parameters, _):
                return f"values({self._input(family, variable, parameters)}) : {shape}"
            case InputValue(family, variable, parameters, value, weights):
                at = f"{variable.name} = {value:g}" if value is not None else f"sum over {variable.name}"
                weighted = f", weights {self._numbers(weights)}" if weights is not None else ""
                return f"value({self._input(family, variable, parameters)}, {at}{weighted}) : {shape}"
            case Parameter() | Constant():
                return self._numbers(step)


def _declared(parameter: Parameter) -> str:
    keyword = "param" if parameter.learnable else "const"
    constraint = f" : {parameter.constraint}" if parameter.constraint else ""
    name = parameter.name if parameter.name.isidentifier() else quote(parameter.name)
    return f"{keyword} {name}{_sizes(parameter.shape) if parameter.shape else ''}{constraint}"


def _sizes(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def value_text(value: Value) -> str:
    """Numbers in brackets where they are few, else their shape."""
    if value.floats.size > _MOST_NUMBERS:
        return f"<{'×'.join(map(str, value.shape))} numbers>"
    exact = value.exact.ravel().tolist()
    texts: list[str] = []
    for number, rational in zip(value.floats.ravel().tolist(), exact, strict=True):
        texts.append(str(rational) if rational.denominator == 1 else f"{number!r}")
    return _nested(texts, value.shape)


def _nested(texts: Sequence[str], shape: Sequence[int]) -> str:
    for size in reversed(shape):
        texts = [f"[{', '.join(texts[i : i + size])}]" for i in range(0, len(texts), max(size, 1))]
    return texts[0] if texts else "[]"


def _index(index: Indices) -> str:
    if len(index) > 2 and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return f"{index[0]}..{index[-1] + 1}"
    if len(index) > _MOST_NUMBERS:
        return f"<{len(index)} indices>"
    return f"[{', '.join(map(str, index.tolist()))}]"


def _rows(form: Indexed) -> str:
    if max(len(form.members), len(form.offsets) - 1) > _MOST_NUMBERS:
        return f"<{len(form.offsets) - 1} rows of {len(form.members)} factors>"
    bounds = form.offsets.tolist()
    members = form.members.tolist()
    rows = (members[a:b] for a, b in pairwise(bounds))
    return f"[{', '.join(str(row) for row in rows)}]"
