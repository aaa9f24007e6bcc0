"""Hypothesis strategies: random circuits of all block kinds and maps, and rows of values for them.

`structured_circuits` are smooth and structured by construction, over a random vtree; `decomposable_circuits` smooth and
decomposable; `any_circuits` are whatever blocks can be put together. Numbers are small fractions, now and then floats,
so that nothing but the evaluator rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from danaus.frontend.write import circuit_text
from danaus.ir.block import (
    Block,
    Sum,
    concat,
    hadamard,
    indexed,
    input_block,
    pairs,
    select,
    weighted,
)
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from danaus.ir.expression import Expression
from danaus.ir.family import (
    Bernoulli,
    Binomial,
    Categorical,
    DiscretizedLogistic,
    Family,
    Gaussian,
    Indicator,
    One,
    Poisson,
    Table,
)
from danaus.ir.linear import BlockDiagonal, Dense, Diagonal, Kronecker, LinearMap, compose, monarch, selection, sparse
from danaus.ir.parameter import Parameter, Value, constant
from danaus.ir.store import Store
from definitions import Definitions
from exact import values

Kind = Literal["real", "unit", "simplex", "positive"]
Draw = Any  # what Hypothesis gives to a composite strategy

_FINITE: tuple[Domain, ...] = (Bool(), Cat(2), Cat(3), Cat(2, ("low", "high")), Int(-1, 1), Int(0, 2), Int(2, 3))
_MOST_ASSIGNMENTS = 24
_REALS = [Fraction(k, 8) for k in (0, 0, 1, 2, 3, 4, 8, 12, -1, -3, -8)]
_UNITS = [Fraction(k, 8) for k in (0, 1, 2, 4, 7, 8)] + [Fraction(9, 10), Fraction(1, 3)]
_POSITIVES = [Fraction(1, 2), Fraction(1), Fraction(5, 3), Fraction(3)]


def _as_text(circuit: Circuit, printer: Any, cycle: bool) -> None:
    """Hypothesis shows a circuit that fails as the text that makes it."""
    printer.text(circuit_text({circuit.name: circuit})[0])


Circuit._repr_pretty_ = _as_text


@dataclass(frozen=True)
class Ingredients:
    """What circuits are made of: numbers below zero or not, irrational families, an infinite domain, only booleans;
    whether one vtree runs through them, whether their sums are smooth, whether the language has a form for each map."""

    signed: bool = True
    irrational: bool = False
    infinite: bool = False
    booleans: bool = False
    structured: bool = False
    smooth: bool = True
    spelled: bool = False


@dataclass
class Maker:
    """Draws the parts of one circuit; parameters are used more than once where their shapes allow."""

    draw: Draw
    of: Ingredients
    values: dict[Parameter, Value] = field(default_factory=dict[Parameter, Value])
    pool: dict[tuple[tuple[int, ...], Kind], list[Expression]] = field(
        default_factory=dict[tuple[tuple[int, ...], Kind], list[Expression]]
    )

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases, false as Hypothesis shrinks."""
        return self.integer(0, 99) >= 100 - percent

    def numbers(self, shape: tuple[int, ...], kind: Kind = "real") -> Expression:
        """Numbers that keep a constraint, as a constant or a parameter, new or seen before."""
        known = self.pool.setdefault((shape, kind), [])
        if known and self.chance(30):
            return known[self.integer(0, len(known) - 1)]
        array = np.empty(shape, dtype=object)
        array[...] = np.array(self._entries(prod(shape), shape[-1], kind), dtype=object).reshape(shape)
        if kind == "real" and self.chance(10):
            array = array.astype(np.float64) / 7
        made: Expression = constant(array)
        how = self.integer(0, 2)
        if how:
            name = f"w{len(self.values)}"
            parameter = Parameter(name, shape, None if kind == "real" else kind, learnable=how == 2)
            self.values[parameter] = Value.of(array)
            made = parameter
        known.append(made)
        return made

    def _entries(self, count: int, row: int, kind: Kind) -> list[Fraction]:
        if kind == "simplex":
            out: list[Fraction] = []
            for _ in range(count // row):
                parts = self.draw(st.lists(st.sampled_from([0, 1, 2, 5]), min_size=row, max_size=row))
                out += [Fraction(part, sum(parts)) if any(parts) else Fraction(1, row) for part in parts]
            return out
        choices = {"real": _REALS, "unit": _UNITS, "positive": _POSITIVES}[kind]
        if not self.of.signed:
            choices = [number for number in choices if number >= 0]
        return list(self.draw(st.lists(st.sampled_from(choices), min_size=count, max_size=count)))

    def variables(self, most: int) -> list[Variable]:
        """One to `most` variables, the finite ones with few assignments together."""
        found: list[Variable] = []
        together = 1
        for number in range(self.integer(1, most)):
            choices = [d for d in _FINITE if together * len(values(d)) <= _MOST_ASSIGNMENTS]
            domain: Domain = Bool() if self.of.booleans or not choices else choices[self.integer(0, len(choices) - 1)]
            if self.of.infinite and number == 0:
                domain = (Real(), Count())[self.integer(0, 1)]
            made = Variable(f"x{number}", domain)
            together *= made.size or 1
            found.append(made)
        return found

    def input(self, variable: Variable, width: int) -> Block:
        """An input of any family on the variable; an indicator or the constant 1 has width 1."""
        domain = variable.domain
        made: list[tuple[Family, tuple[tuple[tuple[int, ...], Kind], ...]]] = []
        match domain:
            case Real():
                made = [(Gaussian(), (((), "real"), ((), "positive")))]
            case Count():
                made = [(Poisson(), (((), "positive"),)), (Indicator(self.integer(0, 4)), ())]
            case _:
                size = (variable.size or 0,)
                ends = values(domain)
                made = [
                    (Table(), ((size, "real"),)),
                    (Categorical(), ((size, "simplex"),)),
                    (Indicator(self.integer(ends[0], ends[-1])), ()),
                    (One(), ()),
                ]
        match domain:
            case Bool():
                made.append((Bernoulli(), (((), "unit"),)))
            case Int(0, hi):
                made.append((Binomial(hi), (((), "unit"),)))
            case _:
                pass
        if self.of.irrational and isinstance(domain, Cat | Int):
            made.append((DiscretizedLogistic(), (((), "real"), ((), "positive"))))
        family, parts = made[self.integer(0, len(made) - 1)]
        return input_block(family, variable, [self.numbers((width, *shape), kind) for shape, kind in parts])

    def map(self, outputs: int, inputs: int, depth: int = 2) -> LinearMap:
        """A map of any kind with so many outputs and inputs.

        What the language has no form for is a composed map with a selection that is no permutation, or with two
        Kronecker products, and a Kronecker product of other maps than matrices.
        """
        shared = [b for b in range(1, 5) if outputs % b == inputs % b == 0]
        kinds = ["dense", "dense", "selection", "sparse", "blocks"]
        kinds += ["diagonal"] * (outputs == inputs) + ["monarch"] * (outputs == inputs and inputs in (4, 6, 8))
        kinds += ["compose", "kron"] * (depth > 0)
        if self.of.spelled and depth < 2:
            kinds = [kind for kind in kinds if kind not in ("selection", "compose", "kron")]
        match kinds[self.integer(0, len(kinds) - 1)]:
            case "diagonal":
                return Diagonal(self.numbers((inputs,)))
            case "blocks":
                b = shared[self.integer(0, len(shared) - 1)]
                return BlockDiagonal(self.numbers((b, outputs // b, inputs // b)))
            case "selection":
                if outputs == inputs and self.chance(50):
                    return selection(self.draw(st.permutations(range(inputs))), inputs)
                return selection([self.integer(0, inputs - 1) for _ in range(outputs)], inputs)
            case "sparse":
                places = [(i, j) for i in range(outputs) for j in range(inputs)]
                kept = self.draw(st.lists(st.sampled_from(places), min_size=1, max_size=8, unique=True))
                if self.of.spelled and depth < 2 and all(i < outputs - 1 for i, _ in kept):
                    kept.append(places[-1])  # within a compose the last output is that of the largest row
                rows, columns = zip(*kept, strict=True)
                return sparse(rows, columns, self.numbers((len(kept),)), outputs, inputs)
            case "monarch":
                sizes = {4: (2, 2), 6: (2, 3), 8: (2, 2, 2)}[inputs]
                return monarch([self.numbers((inputs // size, size, size)) for size in sizes])
            case "compose":
                middle = self.integer(1, 4)
                turn = selection(self.draw(st.permutations(range(middle))), middle)
                turns = [turn] if self.chance(30) else []
                return compose([self.map(outputs, middle, depth - 1), *turns, self.map(middle, inputs, depth - 1)])
            case "kron":
                m = [k for k in range(1, outputs + 1) if outputs % k == 0][self.integer(0, 0 if outputs == 1 else 1)]
                n = [k for k in range(1, inputs + 1) if inputs % k == 0][self.integer(0, 0 if inputs == 1 else 1)]
                if self.of.spelled:
                    return Kronecker((Dense(self.numbers((m, n))), Dense(self.numbers((outputs // m, inputs // n)))))
                return Kronecker((self.map(m, n, depth - 1), self.map(outputs // m, inputs // n, depth - 1)))
            case _:
                return Dense(self.numbers((outputs, inputs)))

    def product(self, blocks: Sequence[Block]) -> Block:
        """A product with one factor of each block, in any form, now and then times a constant or a part of them."""
        widths = {block.width for block in blocks} - {1}
        forms = (
            ["indexed"] + ["pairs"] * (prod(block.width for block in blocks) <= 8) + ["hadamard"] * (len(widths) < 2)
        )
        match forms[self.integer(0, len(forms) - 1)]:
            case "hadamard":
                return hadamard(blocks)
            case "pairs":
                return pairs(blocks)
            case _:
                return self._ragged(blocks)

    def _ragged(self, blocks: Sequence[Block]) -> Block:
        number = weighted([indexed([], [0, 0], [])], Dense(self.numbers((1, 1))))
        starts = np.cumsum([0, *(block.width for block in blocks)]).tolist()
        rows: list[list[int]] = []
        for _ in range(self.integer(1, 4)):
            row = [start + self.integer(0, block.width - 1) for start, block in zip(starts, blocks, strict=False)]
            row += [starts[-1]] * (self.integer(0, 2) if self.chance(30) else 0)
            rows.append(list(self.draw(st.permutations(row))))
        bounds = np.cumsum([0, *(len(row) for row in rows)]).tolist()
        return indexed([*blocks, number], bounds, [place for row in rows for place in row])

    def circuit(self, root: Block, free: bool = False) -> Circuit:
        """A circuit of the drawn values; now and then with a variable that it does not mention."""
        extra = (Variable("free", Bool()),) if free and self.chance(15) else ()
        return Circuit(root, Store(self.values), "p", extra)


@dataclass
class Region:
    """A set of variables, and how it is parted; blocks over it that were made already may be used again."""

    variables: list[Variable]
    parts: list[Region] = field(default_factory=list["Region"])
    made: list[Block] = field(default_factory=list[Block])


def _region(maker: Maker, variables: list[Variable]) -> Region:
    if len(variables) == 1:
        return Region(variables)
    order = list(maker.draw(st.permutations(variables)))
    cuts = sorted({maker.integer(1, len(order) - 1), maker.integer(1, len(order) - 1)})
    parts = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return Region(variables, [_region(maker, part) for part in parts])


def _over(maker: Maker, region: Region, depth: int = 2) -> Block:
    """A block over all variables of a region: an input or a product of its parts, under sums or not."""
    if region.made and maker.chance(30):
        return region.made[maker.integer(0, len(region.made) - 1)]
    if not maker.of.structured:
        region = _region(maker, region.variables)
    if not region.parts:
        block = maker.input(region.variables[0], maker.integer(1, 3))
    elif len(region.parts) == 2 and maker.chance(15):
        block = _packed(maker, region)
    else:
        block = maker.product([_over(maker, part, depth) for part in region.parts])
    for _ in range(maker.integer(0, 1)):
        block = _summed(maker, [block], maker.integer(1, 4))
    if depth and maker.chance(25 if maker.of.smooth else 50):
        choices = [region] if maker.of.smooth else [region, *region.parts]
        other = choices[maker.integer(0, len(choices) - 1)]
        block = _summed(maker, [block, _over(maker, other, depth - 1)], maker.integer(1, 4))
    region.made.append(block)
    return block


def _summed(maker: Maker, blocks: Sequence[Block], width: int) -> Block:
    """A sum of blocks of one scope. A row of zeros would lose the scope: such a map gives way to a dense one."""
    total = sum(block.width for block in blocks)
    made = weighted(blocks, maker.map(width, total))
    assert isinstance(made, Sum)
    if all(Definitions(Circuit(select(made, [0]), Store(maker.values))).children(made)):
        return made
    return weighted(blocks, Dense(maker.numbers((width, total), "positive")))


def _packed(maker: Maker, region: Region) -> Block:
    """Products of nodes of one block whose nodes have different scopes."""
    laid = [_over(maker, part, 0) for part in region.parts]
    halves = [block if block.width == 2 else _summed(maker, [block], 2) for block in laid]
    both = concat(halves)
    if maker.chance(50):
        both = weighted([both], BlockDiagonal(maker.numbers((2, 2, 2), "positive")))
    rows = [[maker.integer(0, 1), maker.integer(2, 3)] for _ in range(maker.integer(1, 3))]
    return indexed([both], range(0, 2 * len(rows) + 1, 2), [place for row in rows for place in row])


@st.composite
def decomposable_circuits(draw: Draw, of: Ingredients = Ingredients(), most: int = 4, free: bool = False) -> Circuit:
    """Smooth and decomposable circuits; structured ones if the ingredients say so."""
    maker = Maker(draw, of)
    region = _region(maker, maker.variables(most))
    block = _over(maker, region)
    return maker.circuit(block if block.width == 1 else _summed(maker, [block], 1), free)


@st.composite
def any_circuits(draw: Draw, of: Ingredients = Ingredients(), most: int = 4) -> Circuit:
    """Circuits of any blocks: scopes overlap, sums are not smooth, rows of weights are zero."""
    maker = Maker(draw, of)
    blocks: list[Block] = []
    for variable in maker.variables(most):
        blocks += [maker.input(variable, maker.integer(1, 3)) for _ in range(maker.integer(1, 2))]
    for _ in range(maker.integer(1, 8)):
        chosen = [blocks[-1 - maker.integer(0, len(blocks) - 1)] for _ in range(maker.integer(1, 3))]
        match maker.integer(0, 3):
            case 0:
                made = maker.product(chosen)
            case 1:
                made = _loose(maker, chosen)
            case _:
                total = sum(block.width for block in chosen)
                made = weighted(chosen, maker.map(maker.integer(1, 4), total))
        if made.width <= 8:
            blocks.append(made)
    last = blocks[-3:]
    return maker.circuit(weighted(last, maker.map(1, sum(block.width for block in last))))


def _loose(maker: Maker, blocks: Sequence[Block]) -> Block:
    """Products of any nodes, of different numbers, some of none, some of one twice."""
    total = sum(block.width for block in blocks)
    rows = [[maker.integer(0, total - 1) for _ in range(maker.integer(0, 3))] for _ in range(maker.integer(1, 4))]
    bounds = np.cumsum([0, *(len(row) for row in rows)]).tolist()
    return indexed(blocks, bounds, [place for row in rows for place in row])


@st.composite
def rows(draw: Draw, circuit: Circuit, most: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Rows of values of a circuit's finite variables, and masks of what is observed: [batch, variables] each."""
    batch = draw(st.integers(1, most))
    columns = [draw(st.lists(value_of(v), min_size=batch, max_size=batch)) for v in circuit.variables]
    found = np.array(columns, dtype=np.float64).reshape(len(circuit.variables), batch).T
    size = batch * len(circuit.variables)
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return found, np.array(mask, dtype=bool).reshape(found.shape)


def value_of(variable: Variable) -> st.SearchStrategy[float]:
    """A value of a variable."""
    match variable.domain:
        case Real():
            return st.integers(-24, 24).map(lambda k: k / 8)
        case Count():
            return st.integers(0, 6).map(float)
        case domain:
            return st.sampled_from([float(value) for value in values(domain)])
