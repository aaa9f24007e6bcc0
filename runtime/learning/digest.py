"""Digests of circuits and rows, so that a checkpoint continues the learning that it is of, and no other.

Two circuits that are built alike, from one text or by one program, have one digest, whatever their learnable parameters
are worth.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from ...ir.block import Indexed, Input, Product, Sum
from ...ir.circuit import Circuit
from ...ir.dependence import in_order, operands
from ...ir.expression import Expression, InputTable, InputValue, Raised, Take, Total
from ...ir.linear import Compose, Kronecker, LinearMap, Selection, Sparse, expressions
from ...ir.parameter import Constant, Parameter, Value


class _Digest:
    """Feeds what it is told to a hash, each piece with its length."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, *pieces: object) -> None:
        for piece in pieces:
            if isinstance(piece, np.ndarray):
                self.add(piece.dtype.str, piece.shape)
                content = np.ascontiguousarray(piece).tobytes()
            else:
                content = str(piece).encode("utf-8", "surrogatepass")
            self._hash.update(len(content).to_bytes(8, "little") + content)

    def value(self, value: Value) -> None:
        self.add(value.floats, "" if value.rationals is None else value.rationals.tolist())

    def hexadecimal(self) -> str:
        return self._hash.hexdigest()


def digest_of_rows(*arrays: np.ndarray | None) -> str:
    """The digest of arrays, in order; None where one is not there."""
    digest = _Digest()
    digest.add(*arrays)
    return digest.hexadecimal()


def digest_of_circuit(circuit: Circuit) -> str:
    """The digest of a circuit but for the values of its learnable parameters."""
    digest = _Digest()
    digest.add(*((variable.name, variable.domain) for variable in circuit.variables))
    digest.add(*(variable.name for variable in circuit.free))
    ordered = in_order(circuit.expressions)
    numbers = {id(expression): number for number, expression in enumerate(ordered)}
    for expression in ordered:
        _add_expression(digest, circuit, expression, numbers)
    blocks = {id(block): number for number, block in enumerate(circuit.blocks)}
    for block in circuit.blocks:
        match block:
            case Input(family, variable, parameters, width):
                digest.add("input", family, variable.name, variable.domain, width)
                digest.add(*(numbers[id(parameter)] for parameter in parameters))
            case Product(children, form, width):
                digest.add("product", type(form).__name__, width, [blocks[id(child)] for child in children])
                if isinstance(form, Indexed):
                    digest.add(form.offsets, form.members)
            case Sum(children, linear, width):
                digest.add("sum", width, [blocks[id(child)] for child in children])
                _add_map(digest, linear, numbers)
    return digest.hexadecimal()


def _add_expression(digest: _Digest, circuit: Circuit, expression: Expression, numbers: dict[int, int]) -> None:
    digest.add(type(expression).__name__, expression.shape, [numbers[id(each)] for each in operands(expression)])
    match expression:
        case Parameter(name, _, constraint, learnable):
            digest.add(name, constraint, learnable)
            if not learnable:
                digest.value(circuit.store[expression])
        case Constant(value):
            digest.value(value)
        case Take(_, axis, index):
            digest.add(axis, index)
        case Total(_, axis):
            digest.add(axis)
        case Raised(_, exponent):
            digest.add(str(exponent))
        case InputTable(family, variable):
            digest.add(family, variable.name, variable.domain)
        case InputValue(family, variable, _, value, weights):
            digest.add(family, variable.name, variable.domain, value, weights is None)
        case _:
            pass


def _add_map(digest: _Digest, linear: LinearMap, numbers: dict[int, int]) -> None:
    digest.add(type(linear).__name__)
    match linear:
        case Selection(index, inputs):
            digest.add(index, inputs)
        case Sparse(rows, columns, _, outputs, inputs):
            digest.add(rows, columns, outputs, inputs)
        case Kronecker(parts) | Compose(parts):
            digest.add(len(parts))
            for part in parts:
                _add_map(digest, part, numbers)
            return
        case _:
            pass
    digest.add(*(numbers[id(expression)] for expression in expressions(linear)))
