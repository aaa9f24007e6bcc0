"""Inputs to a power, and their logarithms, as inputs: on finite domains tables of expressions, never of numbers.

Where f is 0, powers and logarithms are 0. The power 0 of an input is its support.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import numpy as np

from ...ir.block import Block, Input, input_block, input_product, select, weighted
from ...ir.domain import FiniteDomain
from ...ir.expression import Expression, divide, input_table, input_value, log, raised, reshape, times
from ...ir.family import (
    Categorical,
    Family,
    Gaussian,
    Indicator,
    InputLog,
    InputPower,
    InputProduct,
    One,
    Poisson,
    Table,
)
from ...ir.linear import Dense, Diagonal, Kronecker, selection
from ...ir.parameter import constant
from ...ir.semirings import BOOLEAN
from ...ir.support import Support
from .single_paths import to_power

ZERO = Fraction(0)


def raised_input(block: Input, exponent: Fraction) -> Block:
    """fᵃ of each function of an input."""
    if exponent == 1 or isinstance(block.family, Indicator | One):
        return block
    if isinstance(block.family, Gaussian) and exponent > 0:
        return _narrower(block, exponent)
    factors = factors_of(block)
    return grid([_raised(factor, exponent) for factor in factors], [factor.width for factor in factors])


def logged_input(block: Input, support: Support, exponent: Fraction = ZERO) -> Block | None:
    """fᵃ · log |f| of each function of an input; None where that is 0 everywhere.

    Of a product of inputs, Σ fᵢᵃ log fᵢ · Π fⱼᵃ.
    """
    factors = factors_of(block)
    widths = [factor.width for factor in factors]
    powers = [_raised(factor, exponent) for factor in factors]
    terms: list[Block] = []
    shares: list[Fraction] = []
    for place, factor in enumerate(factors):
        made = _logged(factor, support)
        if made is None:
            continue
        share, logs = made
        shares.append(share)
        terms.append(_beside(powers, widths, place, logs, exponent))
    if not terms:
        return None
    if shares == [Fraction(1)]:
        return terms[0]
    identity = selection(np.arange(block.width), block.width)
    return weighted(terms, Kronecker((Dense(constant([shares])), identity)), block.span)


def _beside(powers: list[Input], widths: list[int], place: int, logs: Input, exponent: Fraction) -> Block:
    """The grid of powers, with the logarithm of one factor in its place, or beside its power."""
    own = powers[place]
    if exponent == 0:
        return grid([*powers[:place], logs, *powers[place + 1 :]], widths)
    if isinstance(own.family, Table) and isinstance(logs.family, Table):
        both = input_block(Table(), own.variable, [times(own.parameters[0], logs.parameters[0])], own.span)
        assert isinstance(both, Input)
        return grid([*powers[:place], both, *powers[place + 1 :]], widths)
    # The two have an index each in a product of inputs, of which only equal ones are wanted.
    spread = grid([*powers[: place + 1], logs, *powers[place + 1 :]], [*widths[: place + 1], *widths[place:]])
    before, width, after = prod(widths[:place]), widths[place], prod(widths[place + 1 :])
    cube = np.arange(before * width * width * after).reshape(before, width, width, after)
    return select(spread, cube[:, np.arange(width), np.arange(width)].ravel(), own.span)


def factors_of(block: Input) -> list[Input]:
    """The inputs that a product of inputs is of; what is none is its own."""
    if not isinstance(block.family, InputProduct):
        return [block]
    out: list[Input] = []
    given = block.family.split(block.parameters)
    for family, parameters in given:
        out.append(input_block(family, block.variable, parameters, block.span))
    return out


def _narrower(block: Input, exponent: Fraction) -> Block:
    """N(x; m, s)ᵃ = c · N(x; m, s/√a), with c = N(m; m, s)ᵃ / N(m; m, s/√a): irrational, so an expression."""
    means, deviations = block.parameters
    narrow = times(deviations, raised(constant([exponent]), Fraction(-1, 2)))
    zeros = constant(np.zeros(block.width))
    heights = [
        input_value(Gaussian(), block.variable, (zeros, wide), block.width, 0.0) for wide in (deviations, narrow)
    ]
    share = divide(raised(heights[0], exponent), heights[1])
    made = input_block(Gaussian(), block.variable, [means, narrow], block.span)
    return weighted([made], Diagonal(reshape(share, (block.width,))), block.span)


def _raised(block: Input, exponent: Fraction) -> Input:
    """fᵃ of an input that is no product, as an input; its width may be 1 where all functions are alike."""
    if exponent == 1:
        return block
    if isinstance(block.family, Indicator | One):
        return block
    if isinstance(block.variable.domain, FiniteDomain):
        return input_block(Table(), block.variable, [to_power(table_of(block), exponent)], block.span)
    base: Family = block.family
    whole = exponent
    if isinstance(base, InputPower) and isinstance(base.base, Gaussian | Poisson):
        whole, base = exponent * base.exponent, base.base
    if whole == 0 and isinstance(base, Gaussian | Poisson):
        return input_block(One(), block.variable, (), block.span)
    family = base if whole == 1 else InputPower(base, whole)
    return input_block(family, block.variable, block.parameters, block.span)


def _logged(block: Input, support: Support) -> tuple[Fraction, Input] | None:
    """log |f| of an input that is no product, as a number times an input; None where it is 0 everywhere."""
    if isinstance(block.family, Indicator | One):
        return None
    if isinstance(block.variable.domain, FiniteDomain):
        logs = log(table_of(block))
        if not np.any(support.of(logs, BOOLEAN)):
            return None
        return Fraction(1), input_block(Table(), block.variable, [logs], block.span)
    match block.family:
        case InputPower(base, share):
            pass
        case base:
            share = Fraction(1)
    if share == 0:
        return None
    return share, input_block(InputLog(base), block.variable, block.parameters, block.span)


def table_of(block: Input) -> Expression:
    """The values of an input on a finite domain, [width, n], as an expression."""
    if isinstance(block.family, Categorical | Table):
        return block.parameters[0]
    assert isinstance(block.variable.domain, FiniteDomain)
    return input_table(block.family, block.variable, block.parameters, block.width)


def grid(factors: Sequence[Input], widths: Sequence[int]) -> Block:
    """The products of all pairs, as if each factor had its width; one of width 1 stands for all its functions."""
    ones = [isinstance(factor.family, One) for factor in factors]
    kept = [factor for factor, one in zip(factors, ones, strict=True) if not one] or [factors[0]]
    made = input_product(kept, factors[0].span)
    if made.width == prod(widths):
        return made
    strides: list[int] = []
    stride = made.width
    for factor, one in zip(factors, ones, strict=True):
        stride = stride if one else stride // factor.width
        strides.append(0 if one or factor.width == 1 else stride)
    index = np.zeros(tuple(widths), dtype=np.int64)
    for place, (width, step) in enumerate(zip(widths, strides, strict=True)):
        index += (np.arange(width) * step).reshape((1,) * place + (-1,) + (1,) * (len(widths) - place - 1))
    return select(made, index.ravel(), factors[0].span)
