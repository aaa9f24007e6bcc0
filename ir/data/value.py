"""What a text or a number means for a variable: a cell of a file enters, a float64 leaves.

Finite domains and counts keep their values as they are (of `cat`, the codes; of `int(lo, hi)`, the raw numbers). NaN
stands for a missing value, and infinity for a text that means nothing; `unusable` finds what is outside a domain, and
`explain` says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..diagnostic import nearest
from ..domain import Bool, Cat, Count, Domain, Int, Real, Variable, quote

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Beyond it float64 skips whole numbers.
_LARGEST_EXACT = 2**53 - 1
_LARGEST_FLOAT = float(np.finfo(np.float64).max)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_BLANK = frozenset({"", "?"})
_MISSING = re.compile(r"\??|[+-]?nan|null", re.IGNORECASE)
_MOST_NAMES = 6
_WIDEST = 40


def names_of(domain: Domain) -> tuple[str, ...]:
    """The names of a domain's values, empty where they have none."""
    return domain.names if isinstance(domain, Cat) else ()


@cache
def reader(domain: Domain) -> Callable[[str], float]:
    """What turns a field into a number of this domain: NaN where it is missing, infinity where it means nothing.

    Text is a name if it is one of the domain's; where one of them looks like a number, it is nothing but a name.
    """
    codes = {name: float(code) for code, name in enumerate(names_of(domain))}
    only_names = any(_NUMBER.fullmatch(name) for name in codes)

    def read(text: str) -> float:
        if text in codes:
            return codes[text]
        bare = text.strip()
        if bare in codes:
            return codes[bare]
        if _MISSING.fullmatch(bare):
            return np.nan
        return float(bare) if not only_names and _NUMBER.fullmatch(bare) else np.inf

    return read


def read_texts(texts: Sequence[str], domain: Domain, plain: bool) -> Floats:
    """A column of text as numbers: [rows]. `plain` says that no text has an underscore or a character beyond ASCII."""
    if isinstance(domain, Real) and plain:
        try:  # With that promise, float accepts the same texts as `reader`, and NaN and infinities besides.
            numbers = ("nan" if text in _BLANK else text for text in texts)
            return np.fromiter(map(float, numbers), np.float64, len(texts))
        except ValueError:
            pass
    read = reader(domain)
    if not isinstance(domain, Real):
        read = cache(read)
    return np.fromiter(map(read, texts), np.float64, len(texts))


def bounds(domain: Domain) -> tuple[float, float]:
    """The least and the greatest number that a value of the domain can be."""
    match domain:
        case Bool() | Cat():
            return 0.0, float(domain.size - 1)
        case Int(lo, hi):
            return float(max(lo, -_LARGEST_EXACT)), float(min(hi, _LARGEST_EXACT))
        case Count():
            return 0.0, float(_LARGEST_EXACT)
        case Real():
            return -_LARGEST_FLOAT, _LARGEST_FLOAT


def unusable(values: Floats, variables: Sequence[Variable]) -> Mask:
    """Where [rows, variables] numbers are outside their variable's domain; nowhere where they are NaN."""
    limits = np.array([bounds(variable.domain) for variable in variables], np.float64).reshape(-1, 2)
    whole = np.array([not isinstance(variable.domain, Real) for variable in variables], np.bool_)
    bad = (values < limits[:, 0]) | (values > limits[:, 1])
    if whole.any():
        bad |= whole & (np.floor(values) != values) & ~np.isnan(values)
    return bad


def is_value(text: str, domain: Domain) -> bool:
    """Whether a field is missing or holds a value of the domain."""
    number = np.array([[reader(domain)(text)]])
    return not unusable(number, [Variable("", domain)]).any()


def is_number(text: str) -> bool:
    """Whether a field is missing or looks like a number."""
    bare = text.strip()
    return any(kind.fullmatch(bare) for kind in (_MISSING, _NUMBER, _INFINITE))


def explain(variable: Variable, cell: str | float) -> tuple[str, str]:
    """Why a cell that `unusable` found is no value of the variable, and what would be: a message and a hint."""
    domain, names = variable.domain, names_of(variable.domain)
    if isinstance(cell, str):
        text = cell.strip()
        only_names = any(_NUMBER.fullmatch(name) for name in names)
        if only_names or not is_number(text):
            shown = f"{variable} = {quote(_cut(text))}"
            if not names:
                return f"{shown} is not a number", f"give {_values(domain)}, or ? where it is missing"
            return f"{shown} is not a value of {_title(domain)}", nearest(text, names) or f"give {_values(domain)}"
        number = float(text)
    else:
        number = float(cell)
        text = str(int(number)) if number.is_integer() else repr(number)
    shown = f"{variable} = {_cut(text)}"
    if _INFINITE.fullmatch(text):
        return f"{shown} is not finite", f"give {_values(domain)}"
    if isinstance(domain, Real):
        return f"{shown} is too large for float64", f"give {_values(domain)}"
    if number != np.floor(number):
        return f"{shown} is not a whole number", f"give {_values(domain)}"
    if isinstance(domain, Count) and number < 0:
        return f"{shown} is negative", f"give {_values(domain)}"
    if isinstance(domain, Count) or (isinstance(domain, Int) and domain.lo <= number <= domain.hi):
        return f"{shown} is too large to be exact", "whole numbers beyond 2^53 - 1 are not exact in float64"
    return f"{shown} is outside {_title(domain)}", f"give {_values(domain)}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _title(domain: Domain) -> str:
    names = names_of(domain)
    return f"the {len(names)} names of its domain" if len(names) > _MOST_NAMES else str(domain)


def _values(domain: Domain) -> str:
    """The values of a domain in words, as a hint gives them."""
    match domain:
        case Bool():
            return "0 or 1"
        case Cat(size, names) if names:
            shown = [quote(name) for name in names[:_MOST_NAMES]]
            if size > _MOST_NAMES:
                return f"one of {', '.join(shown)}, …"
            return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
        case Cat() | Int():
            low, high = (domain.lo, domain.hi) if isinstance(domain, Int) else (0, domain.n - 1)
            return f"{low} … {high}" if high - low > 1 else " or ".join(str(v) for v in range(low, high + 1))
        case Count():
            return "0, 1, 2, …"
        case Real():
            return "a finite number"
