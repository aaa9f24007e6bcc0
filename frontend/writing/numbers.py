"""Numbers as text that reads back as exactly the same numbers.

A number in a text is the rational that it spells, so a float is spelled as the rational that it is: every float64 is a
finite decimal. 0.5 is short; the float nearest to 1/10 takes 55 digits, of which the first seventeen say what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ...ir.diagnostic import error
from ...ir.parameter import Value

_MOST_BITS = 13_000  # of a numerator or denominator: the language takes 4000 digits in a number
_MOST_TOGETHER = 19_000  # of both: it takes 20,000 bits in a quotient
_MOST_DECIMALS = 1100  # the least float64 above zero has 1074
_LINE = 110


def is_writable(value: Value) -> bool:
    """Whether all numbers are short enough for a text."""
    if value.rationals is None:
        return True
    return all(_fits(number) for number in value.rationals.ravel().tolist())


def _fits(number: Fraction) -> bool:
    over, under = number.numerator.bit_length(), number.denominator.bit_length()
    return max(over, under) <= _MOST_BITS and over + under <= _MOST_TOGETHER


def number_text(number: Fraction) -> str:
    """A rational as a decimal where it is a finite one, else as a fraction.

    >>> number_text(Fraction(1, 10)), number_text(Fraction(-1, 3)), number_text(Fraction(3))
    ('0.1', '-1/3', '3')

    Raises: DanausError `too-large` for more digits than the language takes.
    """
    if not _fits(number):
        raise error(
            "too-large",
            f"a number of about {number.numerator.bit_length() * 3 // 10} digits cannot stand in a text",
            hint="round it, or choose another unit",
        )
    sign, numerator, denominator = "-" if number < 0 else "", abs(number.numerator), number.denominator
    decimals = _decimals(denominator)
    if decimals is None:
        return f"{sign}{numerator}/{denominator}"
    return sign + _placed(str(numerator * 10**decimals // denominator), decimals)


def _decimals(denominator: int) -> int | None:
    """How many decimals 1/denominator has; None where there is no end of them, or too many to write."""
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    decimals = max(twos, fives)
    return decimals if rest == 1 and decimals <= _MOST_DECIMALS else None


def _placed(digits: str, decimals: int) -> str:
    """Digits with a point before the last so many of them; with an exponent where zeros would stand in their place."""
    exponent = len(digits) - 1 - decimals
    short = digits.rstrip("0") or "0"
    if (exponent < -5 or (decimals == 0 and len(digits) - len(short) > 15)) and short != "0":
        return f"{short[0]}{'.' if short[1:] else ''}{short[1:]}e{exponent}"
    if not decimals:
        return digits
    padded = digits.rjust(decimals + 1, "0")
    return f"{padded[:-decimals]}.{padded[-decimals:]}"


def array_text(value: Value, indent: int) -> str:
    """An array as nested brackets, over several lines where it is long; they are indented by so many spaces."""
    texts = [number_text(number) for number in value.exact.ravel().tolist()]
    return nested(texts, value.shape, indent)


def nested(texts: Sequence[str], shape: Sequence[int], indent: int) -> str:
    """Items in row-major order as nested brackets."""
    if not shape:
        return texts[0]
    if len(shape) == 1:
        return listed(texts, indent)
    step = len(texts) // shape[0] if shape[0] else 0
    rows = [nested(texts[i * step : (i + 1) * step], shape[1:], indent + 2) for i in range(shape[0])]
    return bracketed(rows, indent)


def bracketed(rows: Sequence[str], indent: int) -> str:
    """Rows in brackets: on one line where they are short, else each on its own."""
    flat = f"[{', '.join(rows)}]"
    if len(flat) + indent <= _LINE and "\n" not in flat:
        return flat
    pad = " " * (indent + 2)
    return "[\n" + ",\n".join(pad + row for row in rows) + "\n" + " " * indent + "]"


def listed(texts: Sequence[str], indent: int) -> str:
    """A flat list in brackets, its lines filled."""
    flat = f"[{', '.join(texts)}]"
    if len(flat) + indent <= _LINE:
        return flat
    pad = " " * (indent + 2)
    lines: list[str] = []
    line = pad
    for text in texts:
        if len(line) > len(pad) and len(line) + len(text) + 2 > _LINE:
            lines.append(line.rstrip())
            line = pad
        line += f"{text}, "
    lines.append(line.rstrip().removesuffix(","))
    return "[\n" + "\n".join(lines) + "\n" + " " * indent + "]"
