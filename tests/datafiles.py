"""What the tests of data files share: variables of every domain, and data as rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from danaus.ir.data import Data, read_data
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable

RAIN = Variable("rain", Bool())
WET = Variable("wet", Cat(3))
MOOD = Variable("mood", Cat(3, ("low", "mid", "high")))
DIGIT = Variable("digit", Cat(3, ("1", "2", "three")))
AGE = Variable("age", Int(18, 99))
N = Variable("n", Count())
X = Variable("x", Real())


def rows(data: Data) -> list[list[float | None]]:
    """The rows, with None where a value is missing."""
    return [
        [float(value) if there else None for value, there in zip(*pair, strict=True)]
        for pair in zip(data.values, data.observed, strict=True)
    ]


def read(text: str | bytes, *declared: Variable, needed: tuple[Variable, ...] | None = None) -> Data:
    """What `read_data` makes of a file `d.csv` with this text, in the current folder."""
    Path("d.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_data("d.csv", declared, needed)


def complaint(text: str | bytes, *declared: Variable, needed: tuple[Variable, ...] | None = None) -> str:
    """The error that it raises instead."""
    with pytest.raises(DanausError) as failure:
        read(text, *declared, needed=needed)
    return str(failure.value)
