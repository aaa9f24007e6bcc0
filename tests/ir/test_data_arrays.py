"""Files of arrays: .npy, .npz and .parquet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from danaus.ir.data import Column, read_data, write_columns
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Cat, Real, Variable
from datafiles import AGE, DIGIT, MOOD, RAIN, WET, N, X, rows


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64, "U1", "S1"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_dtype(dtype: Any, order: Any) -> None:
    np.save("d.npy", np.asarray([[0, 1], [1, 1], [1, 0]]).astype(dtype, order=order))
    assert rows(read_data("d.npy", [RAIN, WET])) == [[0, 1], [1, 1], [1, 0]]


def test_npy_of_one_dimension_is_one_column() -> None:
    np.save("d.npy", np.array([0.0, np.nan, 1.0]))
    assert rows(read_data("d.npy", [RAIN])) == [[0], [None], [1]]
    with pytest.raises(DanausError, match=r"d\.npy has 1 column without names, for 3 declared variables"):
        read_data("d.npy", [RAIN, WET, X])


def test_npy_of_numbers_holds_codes_and_npy_of_text_holds_names() -> None:
    np.save("d.npy", np.array([[0, 2]]))
    assert rows(read_data("d.npy", [DIGIT, MOOD])) == [[0, 2]]
    np.save("d.npy", np.array([["1", "high"], ["?", "1"]]))
    assert rows(read_data("d.npy", [DIGIT, MOOD])) == [[0, 2], [None, 1]]


def test_npy_without_rows() -> None:
    np.save("d.npy", np.empty((0, 2)))
    assert read_data("d.npy", [RAIN, WET]).values.shape == (0, 2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 2)), "[wrong-shape]: d.npy has shape [2, 2, 2], not [rows, variables]"),
        (np.array(1.0), "[wrong-shape]: d.npy has shape [], not [rows, variables]"),
        (np.zeros((2, 3)), "[wrong-shape]: d.npy has 3 columns without names, for 2 declared variables"),
        (np.zeros((2, 2), complex), "[wrong-dtype]: d.npy: rain has dtype complex128"),
        (np.zeros((2, 2), "M8[D]"), "[wrong-dtype]: d.npy: rain has dtype datetime64[D]"),
        (np.zeros(2, [("rain", int)]), "[wrong-dtype]: d.npy has fields, dtype [('rain', '<i8')]"),
        (np.array([[0, 0], [1, 3]]), "[wrong-value]: d.npy, row 1 (from 0): wet = 3 is outside cat(3)"),
        (np.array([[0, 0.5]]), "[wrong-value]: d.npy, row 0 (from 0): wet = 0.5 is not a whole number"),
        (np.array([[0, -np.inf]]), "[wrong-value]: d.npy, row 0 (from 0): wet = -inf is not finite"),
        (np.array([["0", "x"]]), '[wrong-value]: d.npy, row 0 (from 0): wet = "x" is not a number'),
    ],
)
def test_npy_that_cannot_be_used(array: Any, message: str) -> None:
    np.save("d.npy", array)
    with pytest.raises(DanausError) as failure:
        read_data("d.npy", [RAIN, WET])
    assert str(failure.value).split("\n")[0] == f"error{message}"


def test_python_objects_are_never_unpickled() -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, ("sprung",))

    trap = np.array([Trap()], object)
    np.save("d.npy", trap, allow_pickle=True)
    np.savez("d.npz", rain=trap)
    Path("e.npy").write_bytes(b"\x80\x04K\x01.")
    for name in ("d.npy", "d.npz"):
        with pytest.raises(DanausError, match=f"{name} holds Python objects, not an array of numbers"):
            read_data(name, [RAIN])
    with pytest.raises(DanausError, match=r"e\.npy cannot be read"):
        read_data("e.npy", [RAIN])
    assert not Path("sprung").exists()


def test_npz_with_one_array() -> None:
    np.savez("d.npz", np.array([[0, 2], [1, 1]]))
    assert rows(read_data("d.npz", [RAIN, WET])) == [[0, 2], [1, 1]]


def test_npz_with_an_array_per_variable() -> None:
    np.savez("d.npz", wet=[2.0, np.nan], rain=[0, 1], mood=["high", "low"], other=np.zeros((3, 3, 3)))
    data = read_data("d.npz", [RAIN, WET, MOOD, X])
    assert rows(data) == [[0, 2, 2, None], [1, None, 0, None]]
    assert data.absent == (X,)


def test_npz_with_one_named_array() -> None:
    np.savez("d.npz", wet=np.array([2, 1]))
    assert rows(read_data("d.npz", [RAIN, WET])) == [[None, 2], [None, 1]]


def test_npz_with_an_array_of_variables() -> None:
    tokens = tuple(Variable(f"t[{i}]", Cat(9)) for i in range(3))
    np.savez("d.npz", t=np.array([[1, 2, 3], [4, 5, 6]]), rain=[0, 1])
    assert rows(read_data("d.npz", [RAIN, *tokens])) == [[0, 1, 2, 3], [1, 4, 5, 6]]
    np.savez("d.npz", t=np.array([[1, 2, 3], [4, 5, 6]]))
    assert rows(read_data("d.npz", [RAIN, *tokens])) == [[None, 1, 2, 3], [None, 4, 5, 6]]


def test_npz_that_cannot_be_used() -> None:
    def first(**arrays: Any) -> str:
        np.savez("d.npz", **arrays)
        with pytest.raises(DanausError) as failure:
            read_data("d.npz", [RAIN, WET])
        return str(failure.value).split("\n")[0]

    assert first(a=[1], b=[2]) == "error[unknown-name]: no column of d.npz has the name of a variable"
    assert first(rain=[1], wet=[2, 3]) == "error[wrong-shape]: d.npz: rain has 1 rows and wet has 2"
    assert first(rain=[[1, 2]], wet=[2]) == "error[wrong-shape]: d.npz: rain has shape [1, 2], not [rows]"
    assert first(rain=[2], wet=[2]) == "error[wrong-value]: d.npz, row 0 (from 0): rain = 2 is outside bool"


def table(**columns: Any) -> None:
    pq.write_table(pa.table(columns), "d.parquet")


def test_parquet() -> None:
    table(
        rain=pa.array([True, None, False]),
        wet=pa.array([2, None, 0], pa.int8()),
        mood=pa.array(["mid", None, "2"]),
        digit=pa.array(["1", "three", None]).dictionary_encode(),
        age=pa.array([18, 99, None], pa.int64()),
        n=pa.array([None, None, None]),
        x=pa.array([0.5, float("nan"), None], pa.float32()),
        when=pa.array([0, 1, 2], pa.timestamp("s")),
    )
    data = read_data("d.parquet", [X, RAIN, WET, MOOD, DIGIT, AGE, N])
    assert data.columns is not None
    assert set(data.columns) == {"rain", "wet", "mood", "digit", "age", "n", "x", "when"}
    assert rows(data) == [
        [0.5, 1, 2, 1, 0, 18, None],
        [None, None, None, None, 2, 99, None],
        [None, 0, 0, 2, None, None, None],
    ]


def test_parquet_with_names_that_look_like_paths() -> None:
    dotted, element = Variable("a.b", Real()), Variable("x[0]", Real())
    table(**{"a.b": [1.5], "x[0]": [2.5]})
    assert rows(read_data("d.parquet", [element, dotted])) == [[2.5, 1.5]]


def test_parquet_that_cannot_be_used() -> None:
    def first() -> str:
        with pytest.raises(DanausError) as failure:
            read_data("d.parquet", [RAIN, WET])
        return str(failure.value).split("\n")[0]

    table(rain=[0, 1], wet=[1, 4])
    assert first() == "error[wrong-value]: d.parquet, row 1 (from 0): wet = 4 is outside cat(3)"
    table(rain=["0", "x"])
    assert first() == 'error[wrong-value]: d.parquet, row 1 (from 0): rain = "x" is not a number'
    table(rain=[[0], [1]])
    assert first() == "error[wrong-dtype]: d.parquet: rain has type list<element: int64>"
    table(a=[0])
    assert first() == "error[unknown-name]: no column of d.parquet has the name of a variable"
    pq.write_table(pa.table([[0], [1]], names=["rain", "rain"]), "d.parquet")
    assert first() == 'error[duplicate-name]: d.parquet has two columns "rain"'


def test_parquet_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    table(rain=[0])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DanausError) as failure:
        read_data("d.parquet", [RAIN])
    assert str(failure.value) == (
        "error[unknown-format]: d.parquet needs pyarrow, which is not installed\n"
        "  hint: pip install danaus[parquet], or use .csv or .npz"
    )


@pytest.mark.parametrize("name", ["d.npy", "d.npz", "d.parquet", "d.npy.gz"])
def test_damaged_files_of_arrays(name: str) -> None:
    write_columns(name, [Column("rain", np.zeros(50)), Column("wet", np.arange(50) % 3)])
    whole = Path(name).read_bytes()
    random = np.random.default_rng(0)
    for turn in range(300):
        spoilt = bytearray(whole[: random.integers(len(whole))] if turn % 2 else whole)
        for place in random.integers(max(len(spoilt), 1), size=turn % 5):
            if spoilt:
                spoilt[place] = random.integers(256)
        Path(name).write_bytes(bytes(spoilt))
        try:
            assert read_data(name, [RAIN, WET]).values.shape[1] == 2
        except DanausError as failure:
            assert name in str(failure)
