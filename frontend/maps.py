"""Linear maps as they are written, before their sizes are known, and how they become maps of the IR.

`sum(a, width=K, map=MAP)` makes fresh parameters for a map; `sum(a, NAME, …, map=MAP)` fills it with given ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from ..ir.diagnostic import error
from ..ir.expression import Expression
from ..ir.linear import (
    BlockDiagonal,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    compose,
    monarch,
    selection,
    sparse,
)
from ..ir.parameter import Constraint, Shape


@dataclass(frozen=True, slots=True)
class DenseForm:
    """`dense`."""


@dataclass(frozen=True, slots=True)
class DiagonalForm:
    """`diagonal`."""


@dataclass(frozen=True, slots=True)
class BlockDiagonalForm:
    """`block_diagonal(b)`."""

    blocks: int


@dataclass(frozen=True, slots=True)
class MonarchForm:
    """`monarch(b1, b2, …)`."""

    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KronForm:
    """`kron`."""


@dataclass(frozen=True, slots=True)
class SparseForm:
    """`sparse(rows, columns)`."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PermuteForm:
    """`permute(index)`."""

    index: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ComposeForm:
    """`compose(map, map, …)`: the last is applied first."""

    parts: tuple[MapForm, ...]


MapForm = DenseForm | DiagonalForm | BlockDiagonalForm | MonarchForm | KronForm | SparseForm | PermuteForm | ComposeForm

Make = Callable[[Shape, Constraint], Expression]

MAP_NAMES = ("dense", "diagonal", "block_diagonal", "monarch", "kron", "sparse", "permute", "compose")


def fresh_map(form: MapForm, inputs: int, outputs: int, make: Make) -> LinearMap:
    """A map of a form with fresh parameters, from `make(shape, constraint)`, part by part as written.

    Raises: DanausError `wrong-shape` where the sizes do not fit the form.
    """
    match form:
        case DenseForm():
            return Dense(make((outputs, inputs), "simplex"))
        case DiagonalForm():
            _require_square("diagonal", inputs, outputs)
            return Diagonal(make((outputs,), "positive"))
        case BlockDiagonalForm(blocks):
            if blocks < 1 or inputs % blocks or outputs % blocks:
                raise error(
                    "wrong-shape",
                    f"block_diagonal({blocks}) of {inputs} inputs and {outputs} outputs",
                    hint="the number of blocks divides both",
                )
            return BlockDiagonal(make((blocks, outputs // blocks, inputs // blocks), "simplex"))
        case MonarchForm(sizes):
            _require_square("monarch", inputs, outputs)
            _require_monarch(sizes, inputs)
            return monarch([make((inputs // size, size, size), "simplex") for size in sizes])
        case KronForm():
            raise error(
                "wrong-arguments", "kron has no fresh parameters", hint="name its matrices: sum(a, A, B, map=kron)"
            )
        case SparseForm(rows, columns):
            return sparse(rows, columns, make((len(rows),), "positive"), outputs, inputs)
        case PermuteForm(index):
            _require_square("permute", inputs, outputs)
            return _permutation(index, inputs)
        case ComposeForm(parts):
            return compose([fresh_map(part, inputs, inputs if i else outputs, make) for i, part in enumerate(parts)])


def _require_square(name: str, inputs: int, outputs: int) -> None:
    if inputs != outputs:
        raise error("wrong-shape", f"{name} has as many outputs as inputs, not {outputs} of {inputs}")


def _require_monarch(sizes: Sequence[int], inputs: int) -> None:
    if len(sizes) < 2 or min(sizes) < 1 or prod(sizes) != inputs:
        raise error(
            "wrong-shape",
            f"monarch({', '.join(map(str, sizes))}) of {inputs} nodes",
            hint="give two or more sizes whose product is the width",
        )


def _permutation(index: Sequence[int], inputs: int) -> LinearMap:
    chosen = selection(index, inputs)
    if not chosen.is_permutation:
        raise error(
            "wrong-index",
            f"permute needs each of the indices 0 … {inputs - 1} once",
            hint="`gather` picks nodes in any number",
        )
    return chosen


def given_map(form: MapForm, given: Sequence[Expression], inputs: int, outputs: int | None = None) -> LinearMap:
    """A map of a form, its parts from given expressions in the order of the text.

    `kron` takes those that the other parts leave over. `inputs` is the number of nodes of the block, `outputs` the
    width where one is asked for.

    Raises: DanausError `wrong-arguments` or `wrong-shape`.
    """
    leaves = list(_leaves(form))
    krons = sum(isinstance(leaf, KronForm) for leaf in leaves)
    if krons > 1:
        raise error("wrong-arguments", "kron stands twice in one map", hint="use it once in a compose")
    needed = sum(_parts(leaf) for leaf in leaves if not isinstance(leaf, KronForm))
    spare = len(given) - needed
    if spare < krons or (spare and not krons):
        raise error(
            "wrong-arguments", f"the map takes {needed + krons}{' or more' if krons else ''} arrays, not {len(given)}"
        )
    queue = list(given)
    taken: list[list[Expression]] = []
    for leaf in leaves:
        count = spare if isinstance(leaf, KronForm) else _parts(leaf)
        taken.append(queue[:count])
        queue = queue[count:]
    maps: list[LinearMap] = []
    size = inputs
    for position in reversed(range(len(leaves))):
        wanted = outputs if position == 0 else None
        maps.append(_filled(leaves[position], taken[position], size, wanted))
        size = maps[-1].outputs
    made = compose(maps[::-1])
    if outputs is not None and made.outputs != outputs:
        raise error("wrong-shape", f"the map has {made.outputs} outputs, but width={outputs}")
    return made


def parameterless(form: MapForm) -> bool:
    """Whether a form has no numbers at all, as `permute` has none."""
    return all(isinstance(leaf, PermuteForm) for leaf in _leaves(form))


def _leaves(form: MapForm) -> list[MapForm]:
    flat: list[MapForm] = []
    stack = [form]
    while stack:
        current = stack.pop()
        if isinstance(current, ComposeForm):
            stack.extend(reversed(current.parts))
        else:
            flat.append(current)
    return flat


def _parts(form: MapForm) -> int:
    match form:
        case MonarchForm(sizes):
            return len(sizes)
        case PermuteForm():
            return 0
        case _:
            return 1


def _filled(form: MapForm, given: Sequence[Expression], inputs: int, outputs: int | None) -> LinearMap:
    match form:
        case DenseForm():
            return Dense(_of_rank(given[0], 2, "dense", "[m, n]"))
        case DiagonalForm():
            return Diagonal(_of_rank(given[0], 1, "diagonal", "[n]"))
        case BlockDiagonalForm(blocks):
            weights = _of_rank(given[0], 3, f"block_diagonal({blocks})", "[b, m/b, n/b]")
            if weights.shape[0] != blocks:
                raise error("wrong-shape", f"block_diagonal({blocks}) with an array of shape {list(weights.shape)}")
            return BlockDiagonal(weights)
        case MonarchForm(sizes):
            width = prod(sizes)
            _require_monarch(sizes, width)
            for position, (part, size) in enumerate(zip(given, sizes, strict=True), start=1):
                wanted = (width // size, size, size)
                if part.shape != wanted:
                    raise error(
                        "wrong-shape",
                        f"part {position} of monarch({', '.join(map(str, sizes))}) has shape {list(part.shape)}, "
                        f"not {list(wanted)}",
                    )
            return monarch(given)
        case KronForm():
            return Kronecker(tuple(Dense(_of_rank(matrix, 2, "kron", "[m, n]")) for matrix in given))
        case SparseForm(rows, columns):
            width = max(rows, default=-1) + 1 if outputs is None else outputs
            return sparse(rows, columns, _of_rank(given[0], 1, "sparse", "[pairs]"), width, inputs)
        case PermuteForm(index):
            return _permutation(index, inputs)
        case ComposeForm(parts):
            return compose([_filled(part, given, inputs, outputs) for part in parts])


def _of_rank(given: Expression, rank: int, name: str, shape: str) -> Expression:
    if len(given.shape) != rank:
        raise error("wrong-shape", f"{name} takes an array of shape {shape}, not {list(given.shape)}")
    return given
