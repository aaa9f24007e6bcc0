"""Arrays that Python callers pass are checked, and errors stand at the caller's line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from danaus.ir.data import validate_array
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Variable
from datafiles import AGE, DIGIT, MOOD, RAIN, WET, N, X


def refused(x: Any, *variables: Variable, **options: Any) -> str:
    with pytest.raises(DanausError) as failure:
        validate_array(x, variables, **options)
    assert all(d.span is not None and d.span.file == __file__ for d in failure.value.diagnostics)
    return "\n".join(f"{d.code}: {d.message} ({d.hint})" for d in failure.value.diagnostics)


def test_one_row_or_a_batch() -> None:
    for x in (np.array([1, 2]), np.array([1.0, 2.0]), [1, 2], np.array([[1, 2]], np.uint8), np.array([["1", "2"]])):
        values, observed = validate_array(x, [RAIN, WET])
        assert values.tolist() == [[1, 2]]
        assert values.dtype == np.float64
        assert observed.tolist() == [[True, True]]
    assert validate_array(np.empty((0, 2)), [RAIN, WET])[0].shape == (0, 2)
    assert validate_array(np.empty((5, 0)), [])[0].shape == (5, 0)
    assert validate_array(np.empty(0), [])[0].shape == (1, 0)


def test_anything_that_is_an_array_will_do() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([[1, 2]], dtype)

    tensor: Any = Tensor()
    assert validate_array(tensor, [RAIN, WET])[0].tolist() == [[1, 2]]


def test_the_callers_array_is_left_alone() -> None:
    x = np.array([[np.nan, 2.0]])
    values, _ = validate_array(x, [AGE, WET], missing="nan")
    values[:] = 7
    assert np.isnan(x[0, 0]) and x[0, 1] == 2


def test_a_mask_says_what_is_observed_and_the_rest_is_not_looked_at() -> None:
    x = np.array([[99.0, 2.0, np.nan], [1.0, 1.0, np.inf]])
    mask = np.array([[False, True, False], [True, True, False]])
    values, observed = validate_array(x, [RAIN, WET, AGE], mask)
    assert values.tolist() == [[0, 2, 18], [1, 1, 18]]
    assert observed.tolist() == mask.tolist()
    values, observed = validate_array(x, [RAIN, WET, AGE], np.array([False, True, False]))
    assert observed.tolist() == [[False, True, False]] * 2


def test_nan_is_missing_only_where_it_is_asked_for() -> None:
    values, observed = validate_array([[np.nan, 1]], [RAIN, WET], missing="nan")
    assert observed.tolist() == [[False, True]]
    assert values.tolist() == [[0, 1]]
    hint = "marginal sums out what is missing; so does a mask, observed=…"
    assert refused([[0, 1], [np.nan, 1]], RAIN, WET) == f"missing-value: row 1 (from 0): rain is missing ({hint})"
    assert refused([np.nan, 1], RAIN, WET) == f"missing-value: rain is missing ({hint})"
    assert refused(np.array([["?", "1"]]), RAIN, WET) == f"missing-value: row 0 (from 0): rain is missing ({hint})"


def test_nan_where_the_mask_says_observed_is_refused() -> None:
    for missing in ("error", "nan"):
        assert refused([[np.nan, 1]], RAIN, WET, observed=np.array([[True, True]]), missing=missing) == (
            "missing-value: row 0 (from 0): rain is missing, and the mask says that it is observed (give False there)"
        )


def test_objects_may_be_names_numbers_or_none() -> None:
    x = np.array([["high", "1", 18, 0.5], [1, None, np.int8(20), "2"]], object)
    values, observed = validate_array(x, [MOOD, DIGIT, AGE, X], missing="nan")
    assert values.tolist() == [[2, 0, 18, 0.5], [1, 0, 20, 2]]
    assert observed.tolist() == [[True] * 4, [True, False, True, True]]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0, 1, 2]], "wrong-shape: x has shape [1, 3], not [2] or [batch, 2] (the columns are rain, wet)"),
        (3, "wrong-shape: x has shape [], not [2] or [batch, 2] (the columns are rain, wet)"),
        (np.zeros((1, 1, 2)), "wrong-shape: x has shape [1, 1, 2], not [2] or [batch, 2] (the columns are rain, wet)"),
        (np.zeros(2, complex), "wrong-dtype: x has dtype complex128 (give whole numbers or floats)"),
        (np.zeros(2, "M8[D]"), "wrong-dtype: x has dtype datetime64[D] (give whole numbers or floats)"),
        ([[0, 3]], "wrong-value: row 0 (from 0): wet = 3 is outside cat(3) (give 0 … 2)"),
        ([0, 3], "wrong-value: wet = 3 is outside cat(3) (give 0 … 2)"),
        ([[0, 1], [0.25, 1]], "wrong-value: row 1 (from 0): rain = 0.25 is not a whole number (give 0 or 1)"),
        (np.array([0, "a"]), 'wrong-value: wet = "a" is not a number (give 0 … 2, or ? where it is missing)'),
        (np.array([0, 10**400], object), f"wrong-value: wet = 1{'0' * 39}… is outside cat(3) (give 0 … 2)"),
        (np.array([0, 1j], object), 'wrong-value: wet = "1j" is not a number (give 0 … 2, or ? where it is missing)'),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_used(x: Any, message: str) -> None:
    assert refused(x, RAIN, WET) == message


def test_ragged_lists_are_refused() -> None:
    assert refused([[0, 1], [0]], RAIN, WET).startswith("wrong-dtype: x is no array: ")


def test_masked_arrays_are_refused() -> None:
    x = np.ma.masked_array([[0, 1]], [[True, False]])
    assert refused(x, RAIN, WET) == "wrong-dtype: x is a masked array (give its data, and observed=~mask)"


def test_masks_that_cannot_be_used() -> None:
    x = np.zeros((3, 2))
    hint = "True where a value is observed, False where it is missing"
    assert refused(x, RAIN, WET, observed=np.ones((3, 2))) == (
        f"wrong-dtype: observed has dtype float64, not bool ({hint})"
    )
    assert refused(x, RAIN, WET, observed=np.ones((2, 3), bool)) == (
        "wrong-shape: observed has shape [2, 3], not that of x, [3, 2] ()"
    )


def test_large_whole_numbers_are_exact_or_refused() -> None:
    assert validate_array(np.array([2**53 - 1]), [N])[0].tolist() == [[2.0**53 - 1]]
    assert "n = 9007199254740992 is too large to be exact" in refused(np.array([2**53 + 1]), N)


def test_mistakes_of_arrays_are_gathered_too() -> None:
    assert len(refused(np.full((50, 2), 9), RAIN, WET).split("\n")) == 20
