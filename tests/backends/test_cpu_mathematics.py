"""exp and log of compiled code: their error in units of the last place, and what they make of special values."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from danaus.backends.cpu.arena import aligned
from danaus.backends.cpu.builder import Function, module
from danaus.backends.cpu.machine import Library, compiled, host
from danaus.backends.cpu.mathematics import exp, log

TYPES: dict[int, type[np.floating]] = {4: np.float32, 8: np.float64}
LIMIT = {4: 1.0, 8: 1.0}
FUNCTIONS = {"exp": exp, "log": log}


@cache
def _library(name: str, size: int) -> Library:
    f = Function("each", "ptr noalias %x, ptr noalias %y, i64 %count", host().vectors(size))

    def step(i: str) -> None:
        f.store(FUNCTIONS[name](f, f.load(f.at("%x", i, f.vectors.bytes))), f.at("%y", i, f.vectors.bytes))

    f.loop("%count", step)
    return compiled(module([f], f.vectors))


def _apply(name: str, x: np.ndarray) -> np.ndarray:
    import ctypes

    vectors = host().vectors(x.itemsize)
    library = _library(name, x.itemsize)
    count = -(-len(x) // vectors.width)
    source, target = (aligned(count * vectors.bytes).view(x.dtype) for _ in range(2))
    source[: len(x)] = x
    library.call("each", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
        source.ctypes.data, target.ctypes.data, count
    )
    return np.array(target[: len(x)])


def _ulp(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The distance in units of the last place of what is wanted, which has more digits."""
    kind = got.dtype.type
    limits = np.finfo(kind)
    with np.errstate(over="ignore", under="ignore"):
        exponent = np.frexp(np.abs(want).astype(np.longdouble))[1] - 1
    unit = np.ldexp(np.longdouble(1), np.maximum(exponent, limits.minexp) - limits.nmant)
    return np.asarray(np.abs(got.astype(np.longdouble) - want) / unit)


def _errors(name: str, x: np.ndarray) -> np.ndarray:
    function: Callable[[np.ndarray], np.ndarray] = {"exp": np.exp, "log": np.log}[name]
    got = _apply(name, x)
    want = function(x.astype(np.longdouble))
    with np.errstate(over="ignore"):
        finite = np.isfinite(want.astype(x.dtype))
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_array_equal(got[~finite], want[~finite].astype(x.dtype))
    return _ulp(got[finite], want[finite])


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 0.5, 2.0, 1e-30, -1e-30, 88.0, -87.0, -103.0, -104.0, 0.6931472]


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("name", ["exp", "log"])
def test_special_values(name: str, size: int) -> None:
    kind = TYPES[size]
    limits = np.finfo(kind)
    edges = [
        limits.tiny,
        limits.smallest_subnormal,
        limits.max,
        -limits.max,
        -limits.tiny,
        limits.eps,
        1 - limits.epsneg,
    ]
    near = [np.nextafter(kind(1), kind(side)) for side in (0, 2)]
    x = np.array([*SPECIAL, *edges, *near], dtype=kind)
    x = x[x >= 0] if name == "log" else x
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        assert _errors(name, x).max() <= LIMIT[size]
    assert np.isnan(_apply(name, np.array([np.nan, -np.nan], dtype=kind))).all()
    if name == "log":
        assert np.isnan(
            _apply(name, np.array([-1, -np.inf, -limits.tiny, -limits.smallest_subnormal], dtype=kind))
        ).all()
        assert np.isneginf(_apply(name, np.array([0.0, -0.0], dtype=kind))).all()


@pytest.mark.parametrize("name", ["exp", "log"])
def test_every_4096th_float32(name: str) -> None:
    x = np.arange(0, 2**32, 4096, dtype=np.uint32).view(np.float32)
    x = x[~np.isnan(x)]
    x = x[x >= 0] if name == "log" else x
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        assert _errors(name, x).max() <= LIMIT[4]


@pytest.mark.parametrize("name", ["exp", "log"])
def test_random_float64(name: str) -> None:
    random = np.random.default_rng(0)
    if name == "exp":
        x = np.concatenate([random.uniform(-750, 711, 200_000), random.normal(size=200_000)])
    else:
        bits = random.integers(0, 0x7FF0000000000000, 200_000)
        x = np.concatenate(
            [bits.view(np.float64), 1 + random.uniform(-0.5, 1, 200_000), 1 + random.normal(size=1000) * 1e-9]
        )
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        assert _errors(name, x).max() <= LIMIT[8]
