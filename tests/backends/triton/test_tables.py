"""The numbers of tables as kernels read them, beside their definition in numpy, float64 and plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.triton import policy
from danaus.backends.triton.plan import plan
from danaus.backends.triton.policy import PRECISIONS, Precision
from danaus.backends.triton.precision import padded
from danaus.backends.triton.tables import packed
from danaus.compiler.pipeline import program_of

PROGRAM = program_of(dn.hmm(dn.Cat("x", 5, shape=4), states=20, transition=dn.monarch(4, 5)))


def kept(x: np.ndarray, bits: int) -> np.ndarray:
    """Float32 with so many bits after the first, to nearest."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.round(mantissa * 2.0 ** (bits + 1)), exponent - bits - 1).astype(np.float32)


def parts(x: np.ndarray, precision: Precision) -> list[np.ndarray]:
    """What of a number is in memory, one after the other."""
    match precision:
        case "bf16":
            return [kept(x, 7)]
        case "bf16x3":
            return [kept(x, 7), kept(x - kept(x, 7), 7)]
        case "tf32":
            return [kept(x, 10)]
        case _:
            return [x]


def check(tables: list[np.ndarray], precision: Precision, powers: int) -> None:
    made = plan(PROGRAM, precision, 16)
    weights, others = (
        each.double().numpy() for each in packed(made, [torch.from_numpy(table) for table in tables], precision)
    )
    for laid in made.laid:
        table = tables[laid.table]
        if laid.matrix is None:
            with np.errstate(divide="ignore"):
                logs = np.log(table)
            found = others[laid.offset : laid.offset + table.size].reshape(table.shape)
            np.testing.assert_allclose(found, logs, rtol=3e-7, atol=1e-7)
            most = others[laid.offset + table.size :][: len(table)]
            np.testing.assert_array_equal(most, found.max(-1))
            continue
        scale, floor, largest = others[laid.scale : laid.scale + 3]
        power = round(scale / math.log(2))
        assert power == (0 if 2.0**-20 <= table.max() <= 2.0**20 else powers)
        rows, columns = padded(laid.matrix)
        vector = laid.matrix.rows <= policy.VECTOR
        entries = (table * 2.0**-power).astype(np.float32)
        want: Any = [entries if precision != "tf32" else kept(entries, 10)] if vector else parts(entries, precision)
        place, size = (others if vector else weights), len(table) * rows * columns
        for number, part in enumerate(want):
            own = place[laid.offset + number * size :][:size].reshape(len(table), rows, columns)
            np.testing.assert_array_equal(own[:, : part.shape[1], : part.shape[2]], part)
            assert own.sum() == pytest.approx(part.sum(dtype=np.float64), rel=1e-12)
        first = kept(entries, 7) if precision == "bf16" and not vector else want[0] if precision == "tf32" else entries
        assert largest == pytest.approx(first.sum(-1, dtype=np.float64).max(), rel=1e-6)
        lowest = -126 * math.log(2) - min(0.0, math.log(first[first > 0].min()))
        assert floor == pytest.approx(
            lowest + (16 * math.log(2) if precision.endswith("x3") and not vector else 0), rel=1e-6
        )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("power", [0, -70, 301])
def test_packed(precision: Precision, power: int) -> None:
    """Every precision, and numbers that are brought within reach by a power of two, with zeros among them."""
    random = np.random.default_rng(3)
    tables = [(random.random(shape) * 0.5 + 0.5) * 2.0**power for shape in PROGRAM.tables]
    for table in tables:
        table.reshape(-1)[::7] = 0.0
        table.reshape(-1)[1] = 0.999 * 2.0**power
    check(tables, precision, power)


def test_what_underflows_has_a_floor_that_nothing_passes() -> None:
    made = plan(PROGRAM, "ieee", 16)
    tables = [np.full(shape, 0.5) for shape in PROGRAM.tables]
    for table in tables:
        table.reshape(-1)[0] = 1e-200
    _, others = packed(made, [torch.from_numpy(table) for table in tables], "ieee")
    for laid in made.laid:
        if laid.matrix is not None:
            assert others[laid.scale + 1] == 1.0
