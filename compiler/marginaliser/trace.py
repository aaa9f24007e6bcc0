"""What a Python function does with numbers that are not known yet: a tape of + − × ÷.

What enters are the function's own operations, on `Traced` numbers mixed with Python's and numpy's; what leaves is the
tape, on which every entry names earlier ones. What depends on a value that is not there yet, such as a comparison, a
float or an exponential, is the user's mistake and is told at its line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from math import isfinite
from typing import Any, NoReturn

import numpy as np

from ...ir.diagnostic import DanausError, error
from ...ir.span import Span, caller

_LONGEST = 1 << 24


class Step(IntEnum):
    """The kinds of entries: a weight, a constant, or an operation on two entries."""

    WEIGHT = 0
    CONSTANT = 1
    ADD = 2
    SUBTRACT = 3
    MULTIPLY = 4
    DIVIDE = 5


@dataclass(slots=True)
class Tape:
    """Entries by number: the kind, and the two entries that an operation takes; of a weight or constant, its place.

    The first entries are the weights, two of each variable. `spans` has the line of each division.
    """

    kinds: list[Step] = field(default_factory=list[Step])
    left: list[int] = field(default_factory=list[int])
    right: list[int] = field(default_factory=list[int])
    constants: list[Fraction] = field(default_factory=list[Fraction])
    spans: dict[int, Span] = field(default_factory=dict[int, Span])
    _known: dict[Fraction, int] = field(default_factory=dict[Fraction, int])

    def add(self, kind: Step, left: int, right: int = 0) -> int:
        """A further entry.

        Raises: DanausError `too-large`.
        """
        if len(self.kinds) >= _LONGEST:
            raise error("too-large", f"the function does more than {_LONGEST:,} operations", caller())
        self.kinds.append(kind)
        self.left.append(left)
        self.right.append(right)
        return len(self.kinds) - 1

    def constant(self, value: Fraction) -> int:
        """The entry of a number; equal ones are one."""
        found = self._known.get(value)
        if found is None:
            self.constants.append(value)
            found = self._known[value] = self.add(Step.CONSTANT, len(self.constants) - 1)
        return found

    def value(self, entry: int) -> Fraction | None:
        """The number that an entry is, if it is a constant."""
        return self.constants[self.left[entry]] if self.kinds[entry] is Step.CONSTANT else None

    def operation(self, kind: Step, left: int, right: int) -> int:
        """The entry of an operation, folded where a constant makes it none.

        Raises: DanausError `zero-divisor` where the divisor is the number 0.
        """
        a, b = self.value(left), self.value(right)
        match kind:
            case Step.ADD:
                if a is not None and b is not None:
                    return self.constant(a + b)
                if a == 0 or b == 0:
                    return right if a == 0 else left
            case Step.SUBTRACT:
                if a is not None and b is not None:
                    return self.constant(a - b)
                if b == 0:
                    return left
            case Step.MULTIPLY:
                if a is not None and b is not None:
                    return self.constant(a * b)
                if a == 0 or b == 0:
                    return self.constant(Fraction(0))
                if a == 1 or b == 1:
                    return right if a == 1 else left
            case Step.DIVIDE:
                if b == 0:
                    raise error("zero-divisor", "the function divides by 0", caller())
                if b is not None:
                    return self.operation(Step.MULTIPLY, left, self.constant(1 / b))
                if a == 0:
                    return left
                self.spans[len(self.kinds)] = caller()
            case _:
                raise AssertionError(f"{kind.name} is no operation")
        return self.add(kind, left, right)

    def below(self, entries: list[int]) -> list[int]:
        """These entries and all that they stand on, ascending."""
        live = bytearray(max(entries, default=-1) + 1)
        for entry in entries:
            live[entry] = 1
        for entry in range(len(live) - 1, -1, -1):
            if live[entry] and self.kinds[entry] >= Step.ADD:
                live[self.left[entry]] = live[self.right[entry]] = 1
        return [entry for entry, used in enumerate(live) if used]


class Traced:
    """A number that is not known yet: it can be added, subtracted, multiplied, divided, and raised to whole powers."""

    __slots__ = ("_entry", "_tape")

    def __init__(self, tape: Tape, entry: int) -> None:
        self._tape = tape
        self._entry = entry

    @property
    def entry(self) -> int:
        """Its place on the tape."""
        return self._entry

    def on(self, tape: Tape) -> bool:
        """Whether it was made by this trace."""
        return self._tape is tape

    def _operation(self, kind: Step, other: object, swapped: bool = False) -> Any:
        if isinstance(other, np.ndarray) and other.ndim:
            return NotImplemented  # numpy's own loop over the elements comes here again
        entry = entry_of(self._tape, other)
        if entry is None:
            return NotImplemented
        a, b = (entry, self._entry) if swapped else (self._entry, entry)
        return Traced(self._tape, self._tape.operation(kind, a, b))

    def __add__(self, other: object) -> Any:
        return self._operation(Step.ADD, other)

    def __radd__(self, other: object) -> Any:
        return self._operation(Step.ADD, other, swapped=True)

    def __sub__(self, other: object) -> Any:
        return self._operation(Step.SUBTRACT, other)

    def __rsub__(self, other: object) -> Any:
        return self._operation(Step.SUBTRACT, other, swapped=True)

    def __mul__(self, other: object) -> Any:
        return self._operation(Step.MULTIPLY, other)

    def __rmul__(self, other: object) -> Any:
        return self._operation(Step.MULTIPLY, other, swapped=True)

    def __truediv__(self, other: object) -> Any:
        return self._operation(Step.DIVIDE, other)

    def __rtruediv__(self, other: object) -> Any:
        return self._operation(Step.DIVIDE, other, swapped=True)

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Traced:
        return self

    def __pow__(self, exponent: object) -> Any:
        if isinstance(exponent, np.integer):
            exponent = int(exponent)
        if not isinstance(exponent, int):
            _refuse("raised to a power that is no whole number", "multiply and divide instead")
        out, square, left = Traced(self._tape, self._tape.constant(Fraction(1))), self, abs(exponent)
        while left:
            out = out * square if left % 2 else out
            left //= 2
            square = square * square if left else square
        return out if exponent >= 0 else 1 / out

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<traced number {self._entry}>"

    def _compared(self, *_: object) -> NoReturn:
        _refuse("compared", _BRANCH)

    def _branched(self) -> NoReturn:
        _refuse("used as a truth value", _BRANCH)

    def _number(self, *_: object) -> NoReturn:
        _refuse("made a float or another plain number", _PLAIN)

    def _rounded(self, *_: object) -> NoReturn:
        _refuse("rounded, or its size or remainder taken", _PLAIN)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compared
    __bool__ = _branched
    __float__ = __int__ = __complex__ = __index__ = _number
    __abs__ = __round__ = __floor__ = __ceil__ = __trunc__ = _rounded
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = __rpow__ = _rounded


_BRANCH = "only +, −, × and ÷ are traced, the same for all weights: leave out branches and the search for a pivot"
_PLAIN = "only +, −, × and ÷ are traced: keep numbers as they are, in lists or arrays of dtype object, without math"


def _refuse(what: str, hint: str) -> NoReturn:
    raise error("traced", f"a number that the function is traced with is {what}", caller(), hint=hint)


def entry_of(tape: Tape, given: object) -> int | None:
    """The entry of a number, traced or not; None for what is no number.

    Raises: DanausError `wrong-number` where it is not finite, `traced` where another trace made it.
    """
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    match given:
        case Traced():
            if not given.on(tape):
                _refuse("from another call of the function", "make every number anew from the weights that are given")
            return given.entry
        case Fraction():
            return tape.constant(given)
        case int() | np.integer() | np.bool_():
            return tape.constant(Fraction(int(given)))
        case float() | np.floating():
            if not isfinite(given):
                raise error("wrong-number", f"the function computes with {float(given)}", caller())
            return tape.constant(Fraction(float(given)))
        case _:
            return None


def trace(f: Any, n: int) -> tuple[Tape, int]:
    """The tape of a function of weights [n, 2], an array of traced numbers, and the entry that it returns.

    Raises: DanausError `traced` for what cannot be traced, `not-a-number` for what is returned; what the function
    itself raises passes.
    """
    tape = Tape()
    weights = np.empty((n, 2), dtype=object)
    for place in range(2 * n):
        weights[place // 2, place % 2] = Traced(tape, tape.add(Step.WEIGHT, place))
    try:
        given = f(weights)
    except TypeError as failure:
        found = failure.__cause__
        if isinstance(found, DanausError):  # numpy wraps what an element raises
            raise found from failure
        message = f"the function cannot be traced: {failure}"
        raise error("traced", message, caller(), hint=_PLAIN) from failure
    if isinstance(given, np.ndarray) and given.size == 1:
        given = given.reshape(-1)[0]
    entry = entry_of(tape, given)
    if entry is None:
        message = f"the function returns {type(given).__name__}, not a number"
        raise error("not-a-number", message, caller(), hint="return the marginal, one number")
    return tape, entry
