"""The mass of each number of ones from values under virtual evidence alone: w = (1, t) at roots of unity, one batch.

Σ over k of cₖ tᵏ at t = r·ωʲ, for the n + 1 powers of a root of unity ω, has the coefficients cₖ rᵏ as its inverse
discrete Fourier transform. Those are right to rounding relative to the largest value on the circle, so that radii are
added, larger and smaller, as long as they tell coefficients that were too small before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..apply import apply
from ..block import Block, Form, Indexed, Input, Product, Sum
from ..circuit import Circuit
from ..density import domain_values
from ..evaluate import forward_by, multiply
from ..linear import expressions
from ..numbers import Numbers
from ..parameter import Floats
from ..semirings import COMPLEX, LINEAR, Array, ScaledComplex, Semiring

# A coefficient is told from zero where it is so large beside the values on the circle; it is good where so large.
_TOLD, _GOOD = 1e-13, 1e-4
_RADII = 24
_FACTOR = 4.0
_BUDGET = 1 << 24
_LARGEST = 1e140
_SCALED = ScaledComplex()
_LOG2 = np.log(2.0)


def ones_by_roots(circuit: Circuit) -> tuple[Floats, Floats]:
    """The logarithms and signs of the masses of 0, 1, … V ones, [V + 1] each.

    The variables are boolean, and the circuit is exact under virtual evidence, which the caller has checked. A mass
    that no radius tells from zero is zero.
    """
    count = len(circuit.variables) + 1
    numbers = Numbers(circuit.store)
    best = np.zeros(count)
    logs, signs = np.full(count, -np.inf), np.zeros(count)
    powers = np.arange(count)

    def at(exponent: int) -> None:
        radius = _FACTOR**exponent
        # The values at conjugate roots are conjugate: half of them suffice.
        half = np.arange(count // 2 + 1)
        values = values_at(circuit, radius * np.exp(-2j * np.pi * half / count), numbers)
        scale = values[:, 1].real.max()
        plain = values[:, 0] * np.exp2(np.maximum(values[:, 1].real - scale, -1070))
        largest = np.abs(plain).max()
        if not largest:
            return
        found = np.fft.irfft(plain, count)
        share = np.abs(found) / largest
        better = (share > best) & (share > _TOLD)
        best[better], signs[better] = share[better], np.sign(found[better])
        logs[better] = np.log(np.abs(found[better])) + (scale * _LOG2) - powers[better] * np.log(radius)

    at(0)
    peak = int(best.argmax())
    # A larger radius brings out the masses of more ones than the largest on the circle has.
    for direction, side in ((-1, slice(None, peak)), (1, slice(peak, None))):
        for step in range(1, _RADII):
            before = best.copy()
            if (before[side] >= _GOOD).all():
                break
            at(direction * step)
            if (best == before).all():
                break
    return logs, signs


def values_at(circuit: Circuit, points: NDArray[np.complex128], numbers: Numbers) -> Array:
    """The circuit with weight 1 on the value 0 and t on the value 1 of every variable, for each t: [points, 2].

    Computed as complex128 where nothing on the way comes near the ends of its range, else with powers of two beside.
    """
    weights = np.stack([np.ones_like(points), points])
    step = max(1, _BUDGET // max(1, circuit.nodes))
    parts: list[Array] = []
    for start in range(0, len(points), step):
        part = weights[:, start : start + step]
        try:
            parts.append(_SCALED.of(_values(circuit, COMPLEX, part, numbers)))
        except _OutOfRange:
            parts.append(_values(circuit, _SCALED, _SCALED.of(part), numbers))
    return np.concatenate(parts)


class _OutOfRange(Exception):
    """A number that complex128 may not hold."""


def _values(circuit: Circuit, over: Semiring, weights: Array, numbers: Numbers) -> Array:
    """Raises _OutOfRange, over plain numbers."""
    rows, plain = weights.shape[1], over is COMPLEX

    def element(block: Block, below: list[Array]) -> Array:
        match block:
            case Input(family, variable, parameters):
                table = over.from_field(
                    numbers.inputs(family, variable, parameters, domain_values(variable), over.field)
                )
                out = over.matmul(table, weights)
            case Product(_, form):
                if plain:
                    _require_range(below, _factors(form, len(below)))
                out = multiply(below, form, rows, over)
            case Sum(_, linear):
                if plain:
                    _require_range([numbers.of(expression, LINEAR) for expression in expressions(linear)], 1)
                out = apply(linear, over.concatenate(below), over, numbers)
        if plain:
            _require_range([out], 1)
        return out

    with np.errstate(over="ignore", invalid="ignore"):
        (out,) = (value[0] for block, value in forward_by(circuit, element) if block is circuit.root)
        for _ in circuit.free:
            out = over.multiply(out, over.add(weights[0], weights[1]))
    if plain:
        _require_range([out], 1)
    return np.asarray(out)


def _factors(form: Form, blocks: int) -> int:
    return int(np.diff(form.offsets).max(initial=1)) if isinstance(form, Indexed) else blocks


def _require_range(values: list[Array], factors: int) -> None:
    """Raises _OutOfRange where a product of so many of these, but for zeros, may be."""
    for each in values:
        sizes = np.abs(each)
        least = sizes.min(where=sizes > 0, initial=1.0)
        if not (sizes.max(initial=1.0) ** factors < _LARGEST and least**factors > 1 / _LARGEST):
            raise _OutOfRange
