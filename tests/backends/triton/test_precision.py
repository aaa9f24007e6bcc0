"""The error of each precision, by its rounding done in numpy: Triton's interpreter multiplies in float32 throughout.

The emulation follows the kernels of chains: weights and values of at most 1 are rounded as the tensor cores take them,
products are added in float32, the state is kept as float32 logarithms below an offset in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import danaus as dn
from danaus.backends.triton.module import function
from danaus.backends.triton.plan import drawn, plan
from danaus.backends.triton.policy import ERROR, PRECISIONS, VECTOR, Precision
from danaus.backends.triton.precision import nearest
from danaus.backends.triton.reverse import course
from danaus.backends.triton.tables import packed, rounded
from danaus.backends.triton.text import Lines, kernel
from danaus.compiler.pipeline import program_of

pytest.importorskip("triton")

Numbers = NDArray[np.float32]


def bits(x: Numbers, kept: int) -> Numbers:
    """To nearest, ties away from zero as the kernels round for tf32; to even, as for bf16, is the same but for few."""
    drop = 23 - kept
    return ((x.view(np.int32) + (1 << (drop - 1))) & -(1 << drop)).view(np.float32)


def truncated(x: Numbers) -> Numbers:
    """What a tensor core makes of float32 that nobody rounds for it."""
    return (x.view(np.int32) & -(1 << 13)).view(np.float32)


def bf16(x: Numbers) -> Numbers:
    return bits(x, 7)


def tf32(x: Numbers) -> Numbers:
    return bits(x, 10)


def three(x: Numbers, y: Numbers, to: Callable[[Numbers], Numbers]) -> Numbers:
    """Three passes: the product of what both leave is dropped."""
    xh, yh = to(x), to(y)
    xl, yl = to(x - xh), to(y - yh)
    return (xl @ yh + xh @ yl) + xh @ yh


def product(w: Numbers, p: Numbers, precision: str) -> Numbers:
    match precision:
        case "ieee":
            return w @ p
        case "tf32":
            return rounded(torch.from_numpy(w), "tf32").numpy() @ tf32(p)
        case "truncated":
            return truncated(w) @ truncated(p)
        case "bf16":
            return bf16(w) @ bf16(p)
        case "bf16x3":
            return three(w, p, bf16)
        case _:
            return three(w, p, tf32)


def models() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
    """Transitions [state, state before], emissions [value, state] and rows of 256 steps: soft and peaky."""
    found = {}
    for name, sharp in (("soft", 1.0), ("peaky", 0.05)):
        random = np.random.default_rng(7)
        weights = random.dirichlet(np.full(48, sharp), 48).T
        emission = random.dirichlet(np.full(27, sharp), 48).T
        found[name] = weights, emission, random.integers(0, 27, (256, 8))
    return found


MODELS = models()


def exact(model: str) -> NDArray[np.float64]:
    weights, emission, codes = MODELS[model]
    state, log = np.full((48, 8), 1 / 48), np.zeros(8)
    for code in codes:
        state = (weights @ state) * emission[code].T
        log += np.log(state.sum(0))
        state /= state.sum(0)
    return log


def emulated(model: str, precision: str) -> NDArray[np.float64]:
    weights, emission, codes = MODELS[model]
    w = weights.astype(np.float32)
    with np.errstate(divide="ignore", under="ignore"):
        logs = np.log(emission).astype(np.float32)
        state, offset = np.full((48, 8), np.log(1 / 48), dtype=np.float32), np.zeros(8)
        for code in codes:
            top = state.max(0)
            offset += top
            state = np.log(product(w, np.exp(state - top), precision)) + logs[code].T
    return offset + np.log(np.exp(state.astype(np.float64)).sum(0))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_error_over_256_steps(precision: Precision, model: str) -> None:
    error = np.abs(emulated(model, precision) - exact(model)).max()
    assert error <= ERROR[precision]
    assert error > ERROR[precision] / 20  # a budget that says something


def factors(sharp: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Blocks of a map of 6 · 8 states: six of 8 by 8, then eight of 6 by 6."""
    random = np.random.default_rng(8)
    first, second = (random.dirichlet(np.full(size, sharp), (48 // size, size)) for size in (8, 6))
    return first.transpose(0, 2, 1), second.transpose(0, 2, 1)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_error_of_factors_over_256_steps(precision: Precision, model: str) -> None:
    """Between the factors stand sums, in bf16 for bf16, which a power of two brings near 1: within the same budget."""
    _, emission, codes = MODELS[model]
    first, second = factors(1.0 if model == "soft" else 0.05)
    whole, log = np.full((48, 8), 1 / 48), np.zeros(8)
    w, v = first.astype(np.float32), second.astype(np.float32)
    with np.errstate(divide="ignore", under="ignore"):
        logs = np.log(emission).astype(np.float32)
        state, offset = np.full((48, 8), np.log(1 / 48), dtype=np.float32), np.zeros(8)
        for code in codes:
            between = (first @ whole.reshape(6, 8, 8)).transpose(1, 0, 2)
            whole = (second @ between).transpose(1, 0, 2).reshape(48, 8) * emission[code].T
            log += np.log(whole.sum(0))
            whole /= whole.sum(0)
            top = state.max(0)
            sums = product(w, np.exp(state - top).reshape(6, 8, 8), precision)
            sums = np.ascontiguousarray(sums.transpose(1, 0, 2))
            sums = bf16(sums) if precision == "bf16" else sums
            power = np.frexp(sums.max((0, 1)))[1] - 1
            total = product(v, np.ldexp(sums, -power), precision)
            offset += top + power * np.log(2.0)
            state = np.log(total.transpose(1, 0, 2).reshape(48, 8)) + logs[code].T
    error = np.abs(offset + np.log(np.exp(state.astype(np.float64)).sum(0)) - log).max()
    assert ERROR[precision] / 30 < error <= ERROR[precision]


def test_what_the_rounding_before_tf32_is_for() -> None:
    """Truncated operands bias every step the same way."""
    error = emulated("soft", "truncated") - exact("soft")
    assert (error < -5 * ERROR["tf32"]).all()


def test_one_product() -> None:
    """Relative error of one product of 256 columns: 2⁻⁸ and 2⁻¹¹ for one rounding, three passes near float32."""
    random = np.random.default_rng(1)
    w, p = (random.random(shape).astype(np.float32) for shape in ((64, 256), (256, 16)))
    want = w.astype(np.float64) @ p.astype(np.float64)
    for precision, bound in (("ieee", 1e-6), ("tf32x3", 1e-6), ("bf16x3", 3e-5), ("tf32", 1e-3), ("bf16", 8e-3)):
        error = np.abs(product(w, p, precision) / want - 1).max()
        assert error <= bound


@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_of_small_numbers_above_the_floor(precision: Precision) -> None:
    """What a row of data may hold without a flag has as many digits as any other: also of numbers near the least."""
    program = program_of(dn.hmm(dn.Cat("x", 3, shape=4), states=8))
    found = plan(program, precision, 16)
    tables = [torch.full(shape, 2.0**-40, dtype=torch.float64) for shape in program.tables]
    others = packed(found, tables, precision)[1].numpy()
    places = [laid.scale for laid in found.laid if laid.matrix is not None and laid.matrix.rows > VECTOR]
    floor = max(float(others[place + 1]) for place in places)
    random = np.random.default_rng(3)
    p = np.exp(floor + random.random((1, 4096)) * 4).astype(np.float32) * np.float32(1 + 2**-20)
    w = np.full((1, 1), 2.0 ** (-40 - int(np.round(others[places[0]] / np.log(2)))), dtype=np.float32)
    error = np.abs(product(w, p, precision) / (w.astype(np.float64) * p) - 1).max()
    assert error <= {"ieee": 1e-6, "tf32x3": 1e-5, "bf16x3": 1e-4, "tf32": 1e-3, "bf16": 8e-3}[precision]


def test_no_number_is_rounded_to_one() -> None:
    """The NaN that a GPU makes has all bits set, unlike numpy's."""
    lines = Lines()
    lines.add("b = tl.arange(0, BATCH)", "x = tl.load(values + b)", nearest("x"), "tl.store(tables + b, x)")
    given = torch.full((16,), 1.0 + 2.0**-11)
    given.view(torch.int32)[:3] = torch.tensor([0x7FFFFFFF, 0x7FC00000, -1], dtype=torch.int32)
    given[3] = float("inf")
    out = torch.zeros(16)
    rest = (given, given, given, given, given, 0, 16)
    function(kernel("rounding", lines, {"BATCH": 16}, 4, 2, "tf32"))[(1,)](given, out, *rest, BATCH=16)
    assert out[:3].isnan().all() and out[3] == float("inf")
    np.testing.assert_array_equal(out[4:].numpy(), np.full(12, 1.0 + 2.0**-10, dtype=np.float32))


def cut(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive numbers as float32, rounded towards zero: how NVIDIA's tensor cores keep a sum."""
    near = x.astype(np.float32)
    return np.where(near > x, np.nextafter(near, np.float32(0)), near).astype(np.float64)


def test_long_sums_are_added_with_rounding_to_nearest() -> None:
    """In the tensor cores' own sums each 16 columns of each pass cost half a digit, always downwards: over 4096 columns
    1.5e-5 of a step's result. Sums of 32 columns, added outside of them, stay near float32."""
    random = np.random.default_rng(5)
    w, p = (random.random(shape).astype(np.float32) for shape in ((64, 4096), (4096, 4)))
    exact = w.astype(np.float64) @ p.astype(np.float64)
    halves = [(each, (x - each)) for x in (w, p) for each in (bf16(x),)]
    (wh, wl), (ph, pl) = ((high.astype(np.float64), bf16(low).astype(np.float64)) for high, low in halves)

    def added(total: NDArray[np.float64], start: int) -> NDArray[np.float64]:
        for left, right in ((wl, ph), (wh, pl), (wh, ph)):
            for k in range(start, start + 32, 16):
                total = total + left[:, k : k + 16] @ right[k : k + 16]
                total = np.sign(total) * cut(np.abs(total))
        return total

    whole, parts = np.zeros((64, 4)), np.zeros((64, 4), dtype=np.float32)
    for start in range(0, 4096, 32):
        whole = added(whole, start)
        parts = parts + added(np.zeros((64, 4)), start).astype(np.float32)
    assert (whole / exact - 1).mean() < -1e-5
    assert np.abs((parts / exact - 1).mean()) < 5e-7


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_loop_adds_to_a_sum_in_tensor_cores(precision: Precision) -> None:
    """But where all columns are one tile, and on chip in all turns of a chain."""
    program = program_of(dn.hmm(dn.Cat("x", 40, shape=4), states=300))
    made = drawn(program, precision, 16, True)
    kernels = {launch.kernel.digest: launch.kernel for launch in plan(program, precision, 16).launches}
    back = course(made, precision, frozenset(range(len(program.tables)))).kernels
    kernels |= {kernel.digest: kernel for kernel in back}
    assert {"pull", "outer", "tally"} < {kernel.name for kernel in kernels.values()}
    for kernel_of in kernels.values():
        looped = [line for line in kernel_of.source.splitlines() if "tl.dot(" in line and ", total" in line]
        assert bool(looped) == (precision == "ieee" and "tl.dot(" in kernel_of.source)
