"""EM by enumeration: every way in which a circuit can produce a row, written out as a product of uses of parameters.

Nothing of the code under test is used but the circuit itself. A way is a weight and the entries that it uses, by
parameter and flat index, with what the input there has seen; its posterior is its share of the weights of all ways.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np

from danaus.ir.block import Hadamard, Indexed, Input, Pairs, Product
from danaus.ir.circuit import Circuit
from danaus.ir.expression import Broadcast, Reshape, Take
from danaus.ir.family import Bernoulli, Binomial, Categorical, Gaussian, Indicator, Poisson, Table
from danaus.ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, Selection, Sparse
from danaus.ir.parameter import Constant, Parameter

Use = tuple[object, int, object]  # a parameter, a flat index, and what it has seen
Way = tuple[float, tuple[Use, ...]]


def ways(circuit: Circuit, row: np.ndarray) -> list[Way]:
    """All ways of a row, of which NaN are left out."""
    place = {variable: row[i] for i, variable in enumerate(circuit.variables)}
    nodes: dict[object, list[list[Way]]] = {}

    def number(expression, index: tuple[int, ...]) -> tuple[float, object, int]:
        """The value of an entry, and the parameter and index that it copies."""
        flat = np.arange(math.prod(expression.shape)).reshape(expression.shape)[index]
        match expression:
            case Constant(value):
                return float(value.floats[index]), None, 0
            case Parameter():
                value = float(circuit.store[expression].floats[index])
                return value, expression if expression.learnable else None, int(flat)
            case Reshape(operand, _):
                return number(operand, tuple(map(int, np.unravel_index(flat, operand.shape))))
            case Take(operand, axis, names, _):
                return number(operand, (*index[:axis], names[index[axis]], *index[axis + 1 :]))
            case Broadcast(operand, _):
                own = index[len(index) - len(operand.shape) :]
                return number(operand, tuple(0 if n == 1 else i for i, n in zip(own, operand.shape, strict=True)))
        raise AssertionError(expression)

    def used(expression, index: tuple[int, ...], seen: object = None) -> Way:
        value, parameter, flat = number(expression, index)
        return value, ((parameter, flat, seen),) if parameter is not None else ()

    def leaf(block: Input, node: int) -> list[Way]:
        x = place.get(block.variable, np.nan)
        if np.isnan(x):
            return [(1.0, ())]
        values = [number(part, (node,)) for part in block.parameters if len(part.shape) == 1]
        precision = values[1][0] ** -2 if isinstance(block.family, Gaussian) else 1.0
        uses = tuple((parameter, flat, (precision, x)) for _, parameter, flat in values if parameter)
        match block.family:
            case Categorical() | Table():
                return [used(block.parameters[0], (node, int(x)))]
            case Bernoulli():
                p = values[0][0]
                return [(p if x == 1 else 1 - p, uses)]
            case Binomial(n):
                p = values[0][0]
                return [(math.comb(n, int(x)) * p**x * (1 - p) ** (n - x), uses)]
            case Poisson():
                rate = values[0][0]
                return [(rate**x * math.exp(-rate) / math.factorial(int(x)), uses)]
            case Gaussian():
                m, s = values[0][0], values[1][0]
                return [(math.exp(-(((x - m) / s) ** 2) / 2) / s / math.sqrt(2 * math.pi), uses)]
            case Indicator(value):
                return [(float(x == value), ())]
        raise AssertionError(block.family)

    def entries(linear) -> dict[tuple[int, int], list[Way]]:
        """The ways of each entry of a map that is not zero by its form."""
        out: dict[tuple[int, int], list[Way]] = defaultdict(list)
        match linear:
            case Dense(w):
                for i, j in itertools.product(*map(range, w.shape)):
                    out[i, j].append(used(w, (i, j)))
            case Diagonal(w):
                for i in range(w.shape[0]):
                    out[i, i].append(used(w, (i,)))
            case BlockDiagonal(w):
                for b, i, j in itertools.product(*map(range, w.shape)):
                    out[b * w.shape[1] + i, b * w.shape[2] + j].append(used(w, (b, i, j)))
            case Selection(index, _):
                for i, j in enumerate(index.tolist()):
                    out[i, j].append((1.0, ()))
            case Sparse(rows=rows, columns=columns, weights=w):
                for e, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
                    out[i, j].append(used(w, (e,)))
            case Kronecker(parts):
                found = {(0, 0): [(1.0, ())]}
                for part in parts:
                    own: dict[tuple[int, int], list[Way]] = defaultdict(list)
                    for ((i, j), a), ((k, m), b) in itertools.product(found.items(), entries(part).items()):
                        own[i * part.outputs + k, j * part.inputs + m] += both(a, b)
                    found = own
                return found
            case Compose(parts):
                found = entries(parts[0])
                for part in parts[1:]:
                    own = defaultdict(list)
                    for ((i, j), a), ((k, m), b) in itertools.product(found.items(), entries(part).items()):
                        if j == k:
                            own[i, m] += both(a, b)
                    found = own
                return found
        return out

    for block in circuit.blocks:
        if isinstance(block, Input):
            nodes[block] = [leaf(block, node) for node in range(block.width)]
            continue
        below = [nodes[child] for child in block.children]
        laid = [node for child in below for node in child]
        if isinstance(block, Product):
            match block.form:
                case Hadamard():
                    picked = [
                        [child[0] if len(child) == 1 else child[i] for child in below] for i in range(block.width)
                    ]
                case Pairs():
                    picked = [list(chosen) for chosen in itertools.product(*below)]
                case Indexed(offsets, members):
                    picked = [[laid[m] for m in members[a:b].tolist()] for a, b in itertools.pairwise(offsets.tolist())]
            nodes[block] = [product(chosen) for chosen in picked]
        else:
            out: list[list[Way]] = [[] for _ in range(block.width)]
            for (i, j), own in entries(block.map).items():
                out[i] += both(own, laid[j])
            nodes[block] = out
    return [way for way in nodes[circuit.root][0] if way[0] > 0]


def both(a: list[Way], b: list[Way]) -> list[Way]:
    return [(v * w, (*x, *y)) for (v, x), (w, y) in itertools.product(a, b) if v * w != 0]


def product(parts: list[list[Way]]) -> list[Way]:
    found: list[Way] = [(1.0, ())]
    for part in parts:
        found = both(found, part)
    return found


def used_by_rows(circuit: Circuit, rows: np.ndarray) -> tuple[dict[tuple[str, int], list[tuple[float, object]]], float]:
    """By parameter's name and index, how much each of its uses is worth, with what it has seen; and the mean log p."""
    uses: dict[tuple[str, int], list[tuple[float, object]]] = defaultdict(list)
    logs = []
    for row in rows:
        found = ways(circuit, row)
        total = math.fsum(weight for weight, _ in found)
        logs.append(math.log(total))
        for weight, own in found:
            for parameter, flat, seen in own:
                uses[parameter.name, flat].append((weight / total, seen))
    return uses, float(np.mean(logs))
