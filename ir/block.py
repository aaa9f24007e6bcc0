"""Blocks: vectors of `width` functions, of three kinds, a closed union. A circuit is a graph of them.

The functions here make blocks: they check shapes, raise a `DanausError` without a place (the frontends know it), and
share equal blocks of one source, so that a block is compared by identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from weakref import WeakValueDictionary

import numpy as np

from .diagnostic import error
from .domain import Variable
from .expression import Expression
from .family import Family, InputProduct, Part, name_of, parts, require_domain
from .linear import BlockDiagonal, Compose, Dense, Diagonal, Indices, Kronecker, LinearMap, Selection, Sparse, selection
from .parameter import Constant, Parameter, constant
from .span import Span

MAX_WIDTH = 1 << 24
MAX_NUMBERS = 1 << 27


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Input:
    """`width` functions of one family on one variable."""

    family: Family
    variable: Variable
    parameters: tuple[Expression, ...]
    width: int
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Hadamard:
    """Elementwise: node i is the product of the children's nodes i; a child of width 1 stands in every node."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs (Kronecker): node (i, j, …) is aᵢ · bⱼ · …, numbered with the first child's index slowest."""


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """Node i is the product of members[offsets[i] … offsets[i+1]] of the children laid end to end; of none it is 1."""

    offsets: Indices
    members: Indices


Form = Hadamard | Pairs | Indexed
HADAMARD, PAIRS = Hadamard(), Pairs()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Product:
    """Products of nodes of the children, in one of three forms."""

    children: tuple[Block, ...]
    form: Form
    width: int
    span: Span | None = None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sum:
    """A linear map of the children laid end to end."""

    children: tuple[Block, ...]
    map: LinearMap
    width: int
    span: Span | None = None


Block = Input | Product | Sum

_blocks: WeakValueDictionary[object, Block] = WeakValueDictionary()


def _shared(key: tuple[object, ...], block: Block) -> Block:
    """The block made first from equal parts in the same source."""
    source = None if block.span is None or isinstance(block.span.source, str) else id(block.span.source)
    return _blocks.setdefault((source, *key), block)


def _key(linear: LinearMap) -> tuple[object, ...]:
    match linear:
        case Dense(weights) | Diagonal(weights) | BlockDiagonal(weights):
            return (type(linear).__name__, _expression_key(weights))
        case Selection():
            return ("selection", id(linear))  # equal ones are one object
        case Sparse(rows, columns, weights, outputs, inputs):
            return ("sparse", rows.tobytes(), columns.tobytes(), _expression_key(weights), outputs, inputs)
        case Kronecker(members) | Compose(members):
            return (type(linear).__name__, *(_key(part) for part in members))


def _expression_key(expression: Expression) -> object:
    """Parameters and constants by identity (equal constants are one object), derived values by their parts."""
    return id(expression) if isinstance(expression, Parameter | Constant) else expression


def children(block: Block) -> tuple[Block, ...]:
    """The blocks that stand directly in this one."""
    return () if isinstance(block, Input) else block.children


def input_block(
    family: Family, variable: Variable, parameters: Sequence[Expression] = (), span: Span | None = None
) -> Input:
    """An input block; its width is the leading size of its parameters, or 1 where the family has none.

    Raises: DanausError `wrong-domain`, `wrong-value`, `wrong-shape`, `wrong-constraint`.
    """
    require_domain(family, variable)
    wanted = parts(family, variable.domain)
    if len(wanted) != len(parameters):
        names = ", ".join(part.name for part in wanted)
        raise error("wrong-arguments", f"{name_of(family)} takes {names or 'no parameters'}, not {len(parameters)}")
    width = 1 if not wanted else (parameters[0].shape or (0,))[0]
    for part, given in zip(wanted, parameters, strict=True):
        _require_shape(name_of(family), part, given, width)
        if isinstance(given, Parameter):
            given.require(part.constraint)
    _require_width(width)
    # Equal variables of different creation keep blocks of their own: the order of a circuit's columns hangs on it.
    key = ("input", family, variable, variable.order, *(_expression_key(given) for given in parameters))
    made = _shared(key, Input(family, variable, tuple(parameters), width, span))
    assert isinstance(made, Input)
    return made


def input_product(blocks: Sequence[Input], span: Span | None = None) -> Input:
    """The products of all pairs of functions of inputs on one variable, as one input; of one, itself.

    Raises: DanausError `too-large`.
    """
    if len(blocks) == 1:
        return blocks[0]
    factors: list[Family] = []
    widths: list[int] = []
    for block in blocks:
        match block.family:
            case InputProduct(below, sizes):
                factors += below
                widths += sizes
            case family:
                factors.append(family)
                widths.append(block.width)
    parameters = tuple(given for block in blocks for given in block.parameters)
    variable, family, width = blocks[0].variable, InputProduct(tuple(factors), tuple(widths)), prod(widths)
    _require_width(width)
    key = ("input", family, variable, variable.order, *(_expression_key(given) for given in parameters))
    made = _shared(key, Input(family, variable, parameters, width, span))
    assert isinstance(made, Input)
    return made


def _require_shape(family: str, part: Part, given: Expression, width: int) -> None:
    shape = (width, *part.shape)
    if given.shape != shape:
        wanted = ["K", *part.shape] if not given.shape or width == 0 else list(shape)
        raise error(
            "wrong-shape",
            f"the {part.name} of {family} have shape {_show(given.shape)}, not {_show(wanted)}",
            hint="one row per node" if part.shape else "one number per node",
        )


def _show(shape: Sequence[object]) -> str:
    return f"[{', '.join(str(size) for size in shape)}]"


def _require_width(width: int) -> None:
    if width < 1:
        raise error("wrong-width", f"a block of width {width}", hint="a block has at least one node")
    if width > MAX_WIDTH:
        raise error("too-large", f"a block of width {width}", hint=f"the widest block has {MAX_WIDTH} nodes")


def hadamard(blocks: Sequence[Block], span: Span | None = None) -> Block:
    """The elementwise product of blocks of equal width; a block of width 1 broadcasts.

    Raises: DanausError `wrong-width`.
    """
    widths = {block.width for block in blocks} - {1}
    if len(widths) > 1:
        raise error(
            "wrong-width",
            f"a product of blocks of widths {_and([block.width for block in blocks])}",
            hint="blocks multiply elementwise where their widths are equal or 1; `kron` makes all pairs",
        )
    width = widths.pop() if widths else 1
    return _shared(("hadamard", *map(id, blocks)), Product(tuple(blocks), HADAMARD, width, span))


def _and(widths: Sequence[int]) -> str:
    shown = [str(width) for width in widths[:6]] + (["…"] if len(widths) > 6 else [])
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def pairs(blocks: Sequence[Block], span: Span | None = None) -> Block:
    """The product of all pairs of nodes: the width is the product of the widths.

    Raises: DanausError `too-large`.
    """
    width = prod(block.width for block in blocks)
    _require_width(width)
    return _shared(("pairs", *map(id, blocks)), Product(tuple(blocks), PAIRS, width, span))


def indexed(
    blocks: Sequence[Block],
    offsets: Sequence[int] | Indices,
    members: Sequence[int] | Indices,
    span: Span | None = None,
) -> Block:
    """Products of named nodes of the blocks laid end to end.

    Raises: DanausError `wrong-index`.
    """
    bounds, names = np.array(offsets, dtype=np.int64), np.array(members, dtype=np.int64)
    total = sum(block.width for block in blocks)
    _require_width(len(bounds) - 1)
    if len(names) and (names.min() < 0 or names.max() >= total):
        bad = int(names[(names < 0) | (names >= total)][0])
        raise error("wrong-index", f"index {bad} is out of range", hint=f"the nodes go from 0 to {total - 1}")
    bounds.flags.writeable = names.flags.writeable = False
    key = ("indexed", bounds.tobytes(), names.tobytes(), *map(id, blocks))
    return _shared(key, Product(tuple(blocks), Indexed(bounds, names), len(bounds) - 1, span))


def weighted(blocks: Sequence[Block], linear: LinearMap, span: Span | None = None) -> Block:
    """A linear map of the blocks laid end to end.

    Raises: DanausError `wrong-shape` where its inputs are not as many as the nodes.
    """
    total = sum(block.width for block in blocks)
    if linear.inputs != total:
        raise error(
            "wrong-shape",
            f"the weights take {linear.inputs} nodes, but the block has {total}",
            hint="one row of weights per output node, one number per node of the block",
        )
    _require_width(linear.outputs)
    return _shared(("sum", _key(linear), *map(id, blocks)), Sum(tuple(blocks), linear, linear.outputs, span))


def select(block: Block, index: Sequence[int] | Indices, span: Span | None = None) -> Block:
    """The nodes of a block that an index names, in that order.

    Raises: DanausError `wrong-index`.
    """
    return weighted([block], selection(index, block.width), span)


def concat(blocks: Sequence[Block], span: Span | None = None) -> Block:
    """Blocks laid end to end, as one."""
    total = sum(block.width for block in blocks)
    _require_width(total)
    return weighted(blocks, selection(np.arange(total), total), span)


def constant_block(values: Expression, span: Span | None = None) -> Block:
    """A block without variables whose nodes are the numbers of an expression [width, 1]."""
    empty = indexed([], [0, 0], [], span)
    return weighted([empty], Dense(values), span)


def ones_block(width: int, span: Span | None = None) -> Block:
    """A block without variables whose nodes are 1."""
    return constant_block(constant(np.ones((width, 1))), span)


def in_order(root: Block) -> tuple[Block, ...]:
    """All blocks below a root, children first, each once; the order follows the children, without recursion."""
    ordered: list[Block] = []
    seen: set[int] = set()
    stack: list[tuple[Block, bool]] = [(root, False)]
    while stack:
        block, expanded = stack.pop()
        if expanded:
            ordered.append(block)
        elif id(block) not in seen:
            seen.add(id(block))
            if isinstance(block, Input):
                ordered.append(block)
            else:
                stack.append((block, True))
                stack.extend((child, False) for child in reversed(block.children) if id(child) not in seen)
    return tuple(ordered)
