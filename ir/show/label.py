"""What a block is called in a picture, and what it is made of in a few words."""

from __future__ import annotations

from dataclasses import dataclass

from ..block import Block, Hadamard, Indexed, Input, Pairs, Product, Sum
from ..domain import Cat
from ..family import Indicator, name_of
from ..linear import (
    BlockDiagonal,
    Compose,
    Dense,
    Diagonal,
    Kronecker,
    LinearMap,
    Selection,
    Sparse,
    monarch_parts,
)


@dataclass(frozen=True, slots=True)
class Label:
    """A block's kind, what it is of, and its width."""

    kind: str
    detail: str
    width: int

    def __str__(self) -> str:
        words = [self.kind, *([self.detail] if self.detail else [])]
        return f"{' '.join(words)} : {self.width}"


def label(block: Block) -> Label:
    """The label of a block."""
    match block:
        case Input(Indicator(value), variable):
            names = variable.domain.names if isinstance(variable.domain, Cat) else ()
            return Label("indicator", f"{variable.name} = {names[value] if names else value}", block.width)
        case Input(family, variable):
            return Label(name_of(family).replace("_", " "), variable.name, block.width)
        case Product(_, form):
            return Label("product", form_name(form), block.width)
        case Sum(_, Selection() as chosen):
            return Label("concat" if chosen.is_identity else "select", "", block.width)
        case Sum(_, linear):
            return Label("sum", map_name(linear), block.width)


def form_name(form: Hadamard | Pairs | Indexed) -> str:
    """A product's form in a word or two."""
    match form:
        case Hadamard():
            return "elementwise"
        case Pairs():
            return "all pairs"
        case Indexed():
            return "by index"


def map_kind(linear: LinearMap) -> str:
    """A map's structure by name; a Monarch map with its sizes."""
    parts = monarch_parts(linear)
    if parts:
        return f"monarch({', '.join(str(part.shape[1]) for part in parts)})"
    match linear:
        case BlockDiagonal():
            return "block diagonal"
        case Selection():
            return "permute" if linear.is_permutation else "select"
        case Kronecker():
            return "kron"
        case Dense() | Diagonal() | Sparse() | Compose():
            return type(linear).__name__.lower()


def map_name(linear: LinearMap) -> str:
    """A map's structure in a few words, with its sizes."""
    kind = map_kind(linear)
    match linear:
        case Dense():
            return f"{kind} {linear.outputs} × {linear.inputs}"
        case BlockDiagonal():
            return f"{kind} of {linear.blocks}"
        case Sparse(rows):
            return f"{kind}, {len(rows)} of {linear.outputs} × {linear.inputs}"
        case Kronecker(members) | Compose(members) if not kind.startswith("monarch"):
            return f"{kind} of {len(members)}"
        case _:
            return kind


def entries(linear: LinearMap) -> int:
    """The number of entries that a map holds, part by part; of a Kronecker product, those of the whole."""
    match linear:
        case Dense(weights) | BlockDiagonal(weights):
            total = 1
            for size in weights.shape:
                total *= size
            return total
        case Diagonal() | Selection():
            return linear.outputs
        case Sparse(rows):
            return len(rows)
        case Kronecker(factors):
            total = 1
            for factor in factors:
                total *= entries(factor)
            return total
        case Compose(maps):
            return sum(map(entries, maps))


def edges(block: Block) -> int:
    """How many edges lead from a block's nodes to those of its children."""
    match block:
        case Input():
            return 0
        case Product(_, Indexed(_, members)):
            return len(members)
        case Product(children):
            return len(children) * block.width
        case Sum(_, linear):
            return entries(linear)
