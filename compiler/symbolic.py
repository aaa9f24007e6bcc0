"""The sympy view of a small circuit: its network polynomial, or its value at an assignment, as an expression.

The network polynomial has an indicator symbol per variable and value, and the circuit's numbers as exact rationals
(Darwiche, "A differential approach to inference in Bayesian networks", JACM 2003).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..ir.density import domain_values, exact_values, hermite
from ..ir.diagnostic import error
from ..ir.domain import FiniteDomain, Variable
from ..ir.evaluate import Moment
from ..ir.family import DiscretizedLogistic, Family, Gaussian, GaussianDerivative, InputLog, InputPower, Poisson
from ..ir.parameter import Value
from ..ir.semirings import Array, Field


class Symbolic(Field):
    """Sympy expressions, in object arrays; sums and products are left as they come and expanded at the end."""

    name = "sympy"

    @property
    def exact_inputs(self) -> bool:
        return True

    def unit(self, one: bool) -> Array:
        return np.array(sympy.Integer(int(one)), dtype=object)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b, dtype=object)

    def multiply(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b, dtype=object)

    def divide(self, a: Array, b: Array) -> Array:
        if np.any(b == 0):
            raise error("zero-division", "a derived number divides by zero")
        return np.asarray(a / b, dtype=object)

    def exp(self, a: Array) -> Array:
        return np.asarray(np.frompyfunc(sympy.exp, 1, 1)(a), dtype=object)

    def log(self, a: Array) -> Array:
        return np.asarray(np.frompyfunc(lambda x: x if x == 0 else sympy.log(sympy.Abs(x)), 1, 1)(a), dtype=object)

    def power(self, a: Array, exponent: Fraction) -> Array:
        power, whole = sympy.Rational(exponent.numerator, exponent.denominator), exponent.denominator == 1

        def of(number: Any) -> Any:
            return number if number == 0 else (number if whole else sympy.Abs(number)) ** power

        return np.asarray(np.frompyfunc(of, 1, 1)(a), dtype=object)

    def lift(self, value: Value) -> Array:
        return _rationals(value.exact)

    def closed_form(self, family: Family, variable: Variable, parameters: list[Array], x: Array) -> Array:
        parts = [_rationals(part)[:, None] for part in parameters]
        points = _rationals(np.array([Fraction(float(v)) for v in x], dtype=object))
        match family:
            case Gaussian():
                m, s = parts
                return self.divide(self.exp(-(((points - m) / s) ** 2) / 2), s * sympy.sqrt(2 * sympy.pi))
            case GaussianDerivative(order):
                m, s = parts
                z = (points - m) / s
                slope = sum((int(c) * z**k for k, c in enumerate(hermite(order))), start=0 * z)
                density = self.closed_form(Gaussian(), variable, parameters, x)
                return np.asarray((-1) ** order * slope * density / s**order, dtype=object)
            case Poisson():
                (rate,) = parts
                return self.divide(rate**points * self.exp(-rate), np.frompyfunc(sympy.factorial, 1, 1)(points))
            case InputPower(base, exponent):
                return self.power(self.closed_form(base, variable, parameters, x), exponent)
            case InputLog(base):
                return self.log(self.closed_form(base, variable, parameters, x))
            case DiscretizedLogistic():
                return self._logistic_bins(variable, parts, points, x)
            case _:
                return _rationals(exact_values(family, variable, parameters, x))

    def _logistic_bins(self, variable: Variable, parts: list[Array], points: Array, x: Array) -> Array:
        m, s = parts
        half = sympy.Rational(1, 2)
        ends = domain_values(variable)
        upper = 1 / (1 + self.exp(-(points + half - m) / s))
        lower = 1 / (1 + self.exp(-(points - half - m) / s))
        upper = np.where(x == ends[-1], sympy.Integer(1), upper)
        return np.asarray(upper - np.where(x == ends[0], sympy.Integer(0), lower), dtype=object)


def _rationals(values: Any) -> Array:
    def exact(number: Any) -> Any:
        return sympy.Rational(number.numerator, number.denominator) if isinstance(number, Fraction) else number

    array = np.asarray(values, dtype=object)
    return np.asarray(np.frompyfunc(exact, 1, 1)(array), dtype=object).reshape(array.shape)


SYMBOLIC = Symbolic()


def indicators(variables: tuple[Variable, ...]) -> dict[Variable, Array | Moment]:
    """A symbol λ_x_v for each variable x of a finite domain and value v, as evidence weights [n].

    Raises: DanausError `infinite-domain`.
    """
    found: dict[Variable, Array | Moment] = {}
    for variable in variables:
        if not isinstance(variable.domain, FiniteDomain):
            raise error("infinite-domain", f'"{variable}" is {variable.domain}, which has no indicators')
        names = [f"λ_{variable.name}_{int(value)}" for value in domain_values(variable)]
        found[variable] = np.array([sympy.Symbol(name) for name in names], dtype=object)
    return found
