"""Maps, as functions of their names: `dn.monarch(8, 8)`, `dn.compose(dn.permute(index), dn.kron)`.

Sizes and indices enter; a map as it is written, before its sizes are known, leaves. Those without arguments stand for
themselves, called or not; `kron` with blocks is their product of all pairs instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, overload

from ...ir.block import pairs
from ...ir.diagnostic import error, nearest, placed
from ...ir.span import caller
from ..maps import (
    MAP_NAMES,
    BlockDiagonalForm,
    ComposeForm,
    DenseForm,
    DiagonalForm,
    KronForm,
    MapForm,
    MonarchForm,
    PermuteForm,
    SparseForm,
)
from .arguments import IndexLike, describe, indices, size
from .block import Block, BlockLike, as_block, made

MapLike: TypeAlias = "MapForm | Callable[..., object]"
"""A map, or the function of one that takes no arguments, such as `dn.kron`."""


def dense() -> DenseForm:
    """The map of all weights, [m, n]: what a sum has unless told otherwise.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9])
    >>> dn.sum(a, width=3, map=dn.dense).width
    3
    """
    return DenseForm()


def diagonal() -> DiagonalForm:
    """The map that weights each node by itself: [n] numbers, positive where they are made anew.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9])
    >>> dn.sum(a, dn.const("d", [2], value=[1, 3]), map=dn.diagonal).width
    2
    """
    return DiagonalForm()


def block_diagonal(blocks: int) -> BlockDiagonalForm:
    """The map of b matrices along the diagonal: [b, m/b, n/b].

    >>> import danaus as dn
    >>> a = dn.categorical(dn.Cat("x", 3), width=4)
    >>> dn.sum(a, width=6, map=dn.block_diagonal(2)).width
    6
    """
    with placed(caller()):
        return BlockDiagonalForm(size(blocks, "the number of blocks"))


def monarch(*sizes: int) -> MonarchForm:
    """The Monarch map of b₁·b₂·… nodes: block-diagonal matrices and stride permutations, part i [K/bᵢ, bᵢ, bᵢ].

    Source: Dao et al., "Monarch: expressive structured matrices for efficient and accurate training", ICML 2022.

    >>> import danaus as dn
    >>> a = dn.categorical(dn.Cat("x", 3), width=16)
    >>> dn.sum(a, width=16, map=dn.monarch(4, 4)).width
    16

    Raises: DanausError `wrong-arguments` for fewer than two sizes.
    """
    with placed(caller()):
        if len(sizes) < 2:
            raise error("wrong-arguments", f"monarch takes 2 or more sizes, not {len(sizes)}", hint="dn.monarch(8, 8)")
        return MonarchForm(tuple(size(item, "a size of monarch") for item in sizes))


@overload
def kron() -> KronForm: ...
@overload
def kron(first: BlockLike, /, *rest: BlockLike) -> Block: ...
def kron(*blocks: BlockLike) -> KronForm | Block:
    """All pairs of the nodes of blocks, (i, j) at i · width(b) + j; without blocks, the map of given matrices.

    >>> import danaus as dn
    >>> a, b = dn.bernoulli(dn.Bool("x"), [0.2, 0.9]), dn.bernoulli(dn.Bool("y"), [0.4, 0.6, 0.5])
    >>> dn.kron(a, b).width
    6
    >>> A, B = dn.param("A", [1, 2], "simplex"), dn.param("B", [2, 3], "simplex")
    >>> dn.sum(dn.kron(a, b), A, B, map=dn.kron).width
    2

    Raises: DanausError `not-a-block`, `too-large`.
    """
    if not blocks:
        return KronForm()
    span = caller()
    with placed(span):
        factors = [as_block(block) for block in blocks]
        return made(pairs([factor.built for factor in factors], span), *factors)


def sparse(rows: IndexLike, columns: IndexLike) -> SparseForm:
    """The map with one number per pair of an output, from `rows`, and an input, from `columns`; each pair once.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9])
    >>> dn.sum(a, dn.const("w", [3], value=[1, 2, 3]), map=dn.sparse([0, 1, 1], [0, 0, 1])).width
    2

    Raises: DanausError `not-an-index`, `not-an-integer`, `wrong-shape`.
    """
    with placed(caller()):
        return SparseForm(tuple(indices(rows).tolist()), tuple(indices(columns).tolist()))


def permute(index: IndexLike) -> PermuteForm:
    """The map whose output i is input `index[i]`; every input stands once.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9])
    >>> dn.sum(a, map=dn.permute([1, 0])).width
    2

    Raises: DanausError `not-an-index`, `not-an-integer`, `wrong-shape`.
    """
    with placed(caller()):
        return PermuteForm(tuple(indices(index).tolist()))


def compose(*maps: MapLike) -> ComposeForm:
    """The product of maps; the last is applied first.

    >>> import danaus as dn
    >>> a = dn.bernoulli(dn.Bool("x"), [0.2, 0.9])
    >>> dn.sum(a, width=3, map=dn.compose(dn.dense, dn.permute([1, 0]))).width
    3

    Raises: DanausError `unknown-map`, `wrong-arguments`.
    """
    with placed(caller()):
        if not maps:
            raise error("wrong-arguments", "compose takes 1 or more maps, not 0")
        return ComposeForm(tuple(map_form(item) for item in maps))


def map_form(given: object) -> MapForm:
    """The map that an argument is: one that was made, or the function of one that needs no arguments.

    Raises: DanausError `unknown-map`, `wrong-arguments`.
    """
    if isinstance(given, MapForm):
        return given
    if given is dense:
        return DenseForm()
    if given is diagonal:
        return DiagonalForm()
    if given is kron:
        return KronForm()
    for function in (block_diagonal, monarch, sparse, permute, compose):
        if given is function:
            raise error(
                "wrong-arguments", f"{function.__name__} needs its arguments", hint=f"write dn.{function.__name__}(…)"
            )
    if isinstance(given, str):
        hint = f"write dn.{given}" if given in MAP_NAMES else nearest(given, MAP_NAMES)
        raise error("unknown-map", f"{describe(given)} is not a map", hint=hint)
    raise error("unknown-map", f"{describe(given)} is not a map", hint=f"maps are dn.{', dn.'.join(MAP_NAMES)}")
