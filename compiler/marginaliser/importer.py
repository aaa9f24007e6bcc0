"""A Python function that computes virtual-evidence marginals becomes the circuit of its multilinear polynomial.

    f ─ trace ─► tape ─ require_multilinear ─ generic point ─► series ─► circuit

Division goes by V. Strassen's "Vermeidung von Divisionen" (1973): around a point a where no divisor vanishes, the
polynomial F of degree n is the sum of the first n + 1 coefficients of F(a + t·(w − a)) as a power series in t, at
t = 1; series add, multiply and divide by products and sums, as divisors begin with numbers other than zero. That a
function with such marginals has such a circuit is the completeness of "The Limits of Tractable Marginalization"
(2506.12020). The point is the middle, a = ½, where it can be: with weights in [0, 1] what is expanded then is small,
and float64 keeps its digits. A function that does not divide is its circuit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from ...ir.block import Block, Input, constant_block, input_block, select, weighted
from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import Bool, Variable
from ...ir.family import Table
from ...ir.linear import sparse
from ...ir.parameter import constant
from ...ir.span import Span, caller
from ...ir.store import Store
from ..properties.marginalisation import taken_as_exact
from .fields import Vanishing, exactly
from .multilinear import require_multilinear
from .series import Builder, Series
from .trace import Step, Tape, trace

_POINTS = 16
_LARGEST = 1 << 28


def import_marginaliser(
    f: Callable[[Any], Any], n: int, *, variables: Iterable[Variable] | None = None, name: str = "circuit"
) -> Circuit:
    """The circuit of a function that computes virtual-evidence marginals of n booleans by + − × ÷.

    f is called once with an array [n, 2] of traced numbers: row i has the weights of x_i = 0 and of x_i = 1. It returns
    Σ over assignments of p(x) Π w[i, x_i], and does so with Python's numbers, fractions, numpy arrays and loops that
    do not look at the weights. The circuit has no division. It is exact under virtual evidence, though neither smooth
    nor decomposable as a rule, and so for totals, marginals and Hamming marginals. A product or quotient of the
    function takes (n + 1)(n + 2) / 2 products at most, or, for a new divisor, about four times as many; one of
    a function without divisions is one.

    The variables are x1 … xn, unless given.

    >>> import danaus as dn
    >>> p = dn.import_marginaliser(lambda w: (w[0, 0] * w[1, 0] - w[0, 1] ** 2 * w[1, 1] / w[0, 1]) / 2, 2)
    >>> dn.evaluate(p, [[0, 0], [1, 1], [0, 1]]).tolist()
    [0.5, -0.5, 0.0]

    Raises: DanausError `traced` for comparisons, floats and other functions of traced numbers, `not-a-number`,
    `zero-divisor`, `not-multilinear`, `untested`, `no-generic-point`, `too-large`, `wrong-arguments`.
    """
    span = caller()
    named = _variables(n, variables)
    tape, root = trace(f, len(named))
    entries = tape.below([root])
    if tape.value(root) == 0:
        return Circuit(constant_block(constant(np.zeros((1, 1))), span), Store(), name, named, None, span)
    tested = require_multilinear(tape, entries, named)
    point, first = _generic(tape, entries, len(named))
    made = Circuit(_Circuit(tape, entries, named, point, first, span).root(), Store(), name, (), None, span)
    taken_as_exact(
        made,
        "the function that it was imported from computes a polynomial of degree 1 in the weights of each variable, "
        f"by a test modulo a random prime of {tested.bits} bits, which errs with at most "
        f"{tested.error_probability:.1g}",
    )
    return made


def _variables(n: object, given: Iterable[Variable] | None) -> tuple[Variable, ...]:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise error("wrong-arguments", f"the number of variables is {n!r}", caller(), hint="it is 0, 1, 2, …")
    if given is None:
        return tuple(Variable(f"x{place}", Bool()) for place in range(1, int(n) + 1))
    found = tuple(given)
    for each in found:
        if not isinstance(each, Variable):
            raise error("wrong-arguments", f"{type(each).__name__} where a variable is expected", caller())
        if not isinstance(each.domain, Bool):
            raise error("wrong-domain", f'"{each}" is {each.domain}; weights are of bool variables', caller())
    if len(found) != n or len({each.name for each in found}) != n:
        raise error(
            "wrong-arguments", f"{len(found)} variables for {n} pairs of weights", caller(), hint="name each once"
        )
    return found


def _generic(tape: Tape, entries: list[int], count: int) -> tuple[list[Fraction], dict[int, Fraction]]:
    """A point where no divisor vanishes, and the divisors there.

    Raises: DanausError `no-generic-point`.
    """
    divisors = [tape.right[entry] for entry in entries if tape.kinds[entry] is Step.DIVIDE]
    below = tape.below(divisors)
    random = Random(0)
    point = [Fraction(1, 2)] * (2 * count)
    last: Vanishing | None = None
    for _ in range(_POINTS):
        try:
            values = exactly(tape, below, point)
            zero = next(
                (entry for entry in entries if tape.kinds[entry] is Step.DIVIDE and not values[tape.right[entry]]), None
            )
            if zero is not None:
                raise Vanishing(zero)
            return point, {divisor: values[divisor] for divisor in divisors}
        except Vanishing as failure:
            last = failure
        point = [Fraction(random.randrange(16, 49), 64) for _ in range(2 * count)]
    raise error(
        "no-generic-point",
        f"at {_POINTS} points that were tried, the function divides by zero",
        tape.spans.get(last.entry) if last else None,
    )


@dataclass(slots=True)
class _Circuit:
    """The tape over series: one for each entry, while something needs it."""

    tape: Tape
    entries: list[int]
    variables: tuple[Variable, ...]
    point: list[Fraction]
    first: dict[int, Fraction]
    span: Span

    def root(self) -> Block:
        """The polynomial.

        Raises: DanausError `too-large`.
        """
        tape, builder = self.tape, Builder(len(self.variables) if self.first else 0, self.span)
        left, right = tape.left, tape.right
        uses = dict.fromkeys(self.entries, 0)
        for entry in self.entries:
            if tape.kinds[entry] >= Step.ADD:
                uses[left[entry]] += 1
                uses[right[entry]] += 1
        found: dict[int, Series] = {}
        reciprocals: dict[int, Series] = {}
        inputs = [self._input(variable) for variable in self.variables]
        for entry in self.entries:
            a, b = left[entry], right[entry]
            match tape.kinds[entry]:
                case Step.WEIGHT:
                    found[entry] = self._weight(builder, inputs[a // 2], a)
                case Step.CONSTANT:
                    found[entry] = builder.number(tape.constants[a])
                case Step.ADD:
                    found[entry] = found[a].combined(found[b], Fraction(1))
                case Step.SUBTRACT:
                    found[entry] = found[a].combined(found[b], Fraction(-1))
                case Step.MULTIPLY:
                    found[entry] = builder.product(found[a], found[b])
                case Step.DIVIDE:
                    if b not in reciprocals:
                        reciprocals[b] = builder.reciprocal(found[b], self.first[b])
                    found[entry] = builder.product(found[a], reciprocals[b])
            if tape.kinds[entry] >= Step.ADD:
                for below in (a, b):
                    uses[below] -= 1
                    if not uses[below]:
                        del found[below]
            if builder.nodes > _LARGEST:
                raise error(
                    "too-large",
                    f"the circuit has more than {_LARGEST:,} nodes",
                    self.span,
                    hint="every product of the function takes about n² / 2",
                )
        return builder.total(found[self.entries[-1]])

    def _input(self, variable: Variable) -> Input:
        """Both indicators of a variable."""
        return input_block(Table(), variable, (constant(np.eye(2)),), self.span)

    def _weight(self, builder: Builder, input: Input, place: int) -> Series:
        """a + t·(w − a), for a weight w; of a tape without divisions w itself, which needs no series."""
        builder.nodes += 2
        if not self.first:
            return Series({select(input, [place % 2], self.span): Fraction(1)})
        a = self.point[place]
        linear = sparse([0, 1, 1], [2, 2, place % 2], constant([a, -a, Fraction(1)]), 2, 3)
        return Series({weighted([input, builder.one], linear, self.span): Fraction(1)})
