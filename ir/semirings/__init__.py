"""The semirings that a circuit can be evaluated over: each is a value."""

from .discrete import BOOLEAN, COUNTING, EXACT, Boolean, Counting, Exact, LargeModular, Modular
from .floats import COMPLEX, DUAL, INTERVAL, LINEAR, Complex, Dual, Interval, Linear
from .logarithmic import LOG, MAX, SIGNED_LOG, Log, Max, SignedLog
from .polynomial import Polynomial
from .scaled import ScaledComplex
from .semiring import Array, Field, Semiring

__all__ = [
    "BOOLEAN",
    "COMPLEX",
    "COUNTING",
    "DUAL",
    "EXACT",
    "INTERVAL",
    "LINEAR",
    "LOG",
    "MAX",
    "SIGNED_LOG",
    "Array",
    "Boolean",
    "Complex",
    "Counting",
    "Dual",
    "Exact",
    "Field",
    "Interval",
    "LargeModular",
    "Linear",
    "Log",
    "Max",
    "Modular",
    "Polynomial",
    "ScaledComplex",
    "Semiring",
    "SignedLog",
]
