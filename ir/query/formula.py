"""Numbers composed of totals: a sum of logarithms of totals, and of quotients of them, each with a factor.

What enters are the totals as logarithms and signs, so that none is too large or too small; what leaves is one number.
Every query of information theory is such a formula of the totals of some circuits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..diagnostic import error

Term = TypeVar("Term")

_LARGEST = math.log(1.7976931348623157e308)


@dataclass(frozen=True, slots=True)
class LogOf(Generic[Term]):
    """factor · log of a total; 0 where the factor is 0, infinite where the total is 0."""

    factor: float
    of: Term


@dataclass(frozen=True, slots=True)
class Share(Generic[Term]):
    """factor · total / total; without the second, the total itself."""

    factor: float
    of: Term
    over: Term | None = None


@dataclass(frozen=True, slots=True)
class Formula(Generic[Term]):
    """A sum of such summands, over terms of any kind that have totals."""

    summands: tuple[LogOf[Term] | Share[Term], ...]

    def __add__(self, other: Formula[Term]) -> Formula[Term]:
        return Formula((*self.summands, *other.summands))

    def __sub__(self, other: Formula[Term]) -> Formula[Term]:
        return self + -1 * other

    def __rmul__(self, factor: float) -> Formula[Term]:
        return Formula(tuple(_times(factor, each) for each in self.summands))

    def __truediv__(self, divisor: float) -> Formula[Term]:
        return (1 / divisor) * self

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms that stand in it, each once."""
        return tuple(dict.fromkeys(term for each in self.summands for term in _terms(each)))


def _times(factor: float, summand: LogOf[Term] | Share[Term]) -> LogOf[Term] | Share[Term]:
    match summand:
        case LogOf(own, of):
            return LogOf(factor * own, of)
        case Share(own, of, over):
            return Share(factor * own, of, over)


def _terms(summand: LogOf[Term] | Share[Term]) -> Iterable[Term]:
    yield summand.of
    if isinstance(summand, Share) and summand.over is not None:
        yield summand.over


def value(formula: Formula[Term], totals: Mapping[Term, tuple[float, float]], what: str = "the answer") -> float:
    """The number that a formula is, from the logarithm and the sign of each term's total.

    Summands are added with one rounding (math.fsum). What is divided by is not zero, which the caller has checked.

    >>> log = Formula((LogOf(1.0, "z"),))
    >>> value(log - Formula((Share(1.0, "m", "z"),)), {"z": (0.0, 1.0), "m": (-1.0, -1.0)})
    0.36787944117144233

    Raises: DanausError `too-large` where the number is finite and beyond float64, `negative` of a
    logarithm.
    """
    parts: list[float] = []
    shares: list[tuple[float, float]] = []
    for each in formula.summands:
        log, sign = totals[each.of]
        match each:
            case LogOf(factor, _):
                if sign < 0:
                    raise error("negative", f"{what} takes the logarithm of a negative total")
                parts.append(factor * log if factor else 0.0)
            case Share(factor, _, over):
                below, direction = (0.0, 1.0) if over is None else totals[over]
                if sign and factor:
                    shares.append((log - below + math.log(abs(factor)), math.copysign(1.0, factor) * sign * direction))
    infinite = [part for part in parts if math.isinf(part)]
    if infinite:
        return math.fsum(infinite) if len(set(infinite)) == 1 else math.nan
    if max((log for log, _ in shares), default=0.0) < _LARGEST - 1:
        return math.fsum([*parts, *(sign * math.exp(log) for log, sign in shares)])
    scale = max(log for log, _ in shares)
    scaled = math.fsum(
        [*(part * math.exp(-scale) for part in parts), *(s * math.exp(log - scale) for log, s in shares)]
    )
    log = scale + math.log(abs(scaled)) if scaled else -math.inf
    if log > _LARGEST:
        sign_of = "-" if scaled < 0 else ""
        raise error("too-large", f"{what} is {sign_of}e^{log:.6g}, beyond the range of float64")
    return math.copysign(math.exp(log), scaled)


def numbered(formula: Formula[Term], terms: Sequence[Term]) -> Formula[int]:
    """The formula over the positions of its terms."""
    places = {term: position for position, term in enumerate(terms)}
    out: list[LogOf[int] | Share[int]] = []
    for each in formula.summands:
        match each:
            case LogOf(factor, of):
                out.append(LogOf(factor, places[of]))
            case Share(factor, of, over):
                out.append(Share(factor, places[of], None if over is None else places[over]))
    return Formula(tuple(out))
