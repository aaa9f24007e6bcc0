"""Power: a circuit to a natural or a real power, and its reciprocal."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ...ir.block import Block, Input, Product, Sum, weighted
from ...ir.circuit import Circuit, Origin
from ...ir.diagnostic import Refused, error
from ...ir.expression import Expression
from ...ir.linear import LinearMap
from ...ir.parameter import as_fraction
from ..properties import Proved, check
from ..properties.result import refusal
from ..rewrite import formed
from .inputs import raised_input
from .multiply import multiply
from .operands import needs, require_circuits
from .single_paths import by_entry, to_power, with_single_paths


def power(p: Circuit, exponent: float | Fraction, *, limit: int | None = None) -> Circuit:
    """pᵃ where p is not 0, and 0 elsewhere.

    For a natural a ≥ 1, p times itself by squaring where p is structured: widths are raised to the a-th power, and
    `limit` bounds the pairs of nodes of each product. Otherwise by determinism: every weight and input to the power,
    of the same size. Any other a needs p smooth, decomposable, deterministic and nonnegative; the power 0 is the
    support. A float is the rational that it is.

    >>> import danaus as dn
    >>> p = dn.parse("var x : cat(3); circuit p { return table(x, [[0, 1, 4]]) }").circuits["p"]
    >>> dn.evaluate(dn.power(p, 0.5), [[0], [1], [2]]).tolist()
    [0.0, 1.0, 2.0]

    Raises: Refused with a witness; DanausError `too-large`, `wrong-number`.
    """
    require_circuits("power", p)
    try:
        exact = as_fraction(exponent)
        float(exact)
    except (TypeError, ValueError, OverflowError) as failure:
        raise error("wrong-number", f"power takes a finite number, not {exponent!r}") from failure
    origin = Origin("power", (p,), {"exponent": exact})
    if exact.denominator != 1 or exact < 1:
        needs(p, "power", "smooth", "decomposable", "deterministic", "nonnegative")
        return replace(p, root=raised_root(p, exact), origin=origin)
    if isinstance(structured := check(p, "structured")["structured"], Proved):
        return replace(_squared(p, int(exact), limit), origin=origin)
    if isinstance(deterministic := check(p, "deterministic")["deterministic"], Proved):
        return replace(p, root=raised_root(p, exact), origin=origin)
    results = {"structured": structured, "deterministic": deterministic}
    found = [refusal(p, "power", name, result) for name, result in results.items()]
    raise Refused(*(diagnostic for diagnostic in found if diagnostic is not None))


def reciprocal(p: Circuit) -> Circuit:
    """1/p where p is not 0, and 0 elsewhere: every weight and input inverted.

    Needs p smooth, decomposable and deterministic; of the same size.

    >>> import danaus as dn
    >>> p = dn.parse("var x : cat(3); circuit p { return table(x, [[0, 1, 4]]) }").circuits["p"]
    >>> dn.evaluate(dn.reciprocal(p), [[0], [1], [2]]).tolist()
    [0.0, 1.0, 0.25]

    Raises: Refused with a witness; DanausError `too-large`.
    """
    needs(p, "reciprocal", "smooth", "decomposable", "deterministic")
    return replace(p, root=raised_root(p, Fraction(-1)), origin=Origin("reciprocal", (p,)))


def _squared(p: Circuit, exponent: int, limit: int | None) -> Circuit:
    made, square, left = None, p, exponent
    while left:
        if left & 1:
            made = square if made is None else multiply(made, square, limit=limit)
        left >>= 1
        square = multiply(square, square, limit=limit) if left else square
    assert made is not None
    return made


def raised_root(p: Circuit, exponent: Fraction) -> Block:
    """The root of a deterministic circuit whose weights and inputs are raised to a power, where they are not 0.

    At most one term of each sum is not 0, so that the power of the sum is the sum of the terms' powers.
    """
    numbers: dict[int, tuple[Expression, Expression]] = {}

    def of(expression: Expression) -> Expression:
        found = numbers.get(id(expression))
        if found is None:
            found = numbers[id(expression)] = (expression, to_power(expression, exponent))
        return found[1]

    maps: dict[LinearMap, LinearMap] = {}
    made: dict[Block, Block] = {}
    for block in p.blocks:
        match block:
            case Input():
                made[block] = raised_input(block, exponent)
            case Product(children):
                made[block] = formed(block, [made[child] for child in children])
            case Sum(children, linear):
                if linear not in maps:
                    maps[linear] = by_entry(with_single_paths(linear, p.support), of)
                made[block] = weighted([made[child] for child in children], maps[linear], block.span)
    return made[p.root]
