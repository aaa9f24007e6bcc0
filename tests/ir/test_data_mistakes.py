"""Files that cannot be used: every mistake is named with its place, its value, and what would be right."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from danaus.ir.data import Data, read_data
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Cat, Variable
from datafiles import AGE, DIGIT, MOOD, RAIN, WET, N, X, complaint, read, rows


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variable", "field", "message", "hint"),
    [
        (RAIN, "2", "rain = 2 is outside bool", "give 0 or 1"),
        (RAIN, "yes", 'rain = "yes" is not a number', "give 0 or 1, or ? where it is missing"),
        (RAIN, "0.5", "rain = 0.5 is not a whole number", "give 0 or 1"),
        (WET, "-1", "wet = -1 is outside cat(3)", "give 0 … 2"),
        (WET, "inf", "wet = inf is not finite", "give 0 … 2"),
        (WET, "1_0", 'wet = "1_0" is not a number', "give 0 … 2, or ? where it is missing"),
        (WET, "0x1", 'wet = "0x1" is not a number', "give 0 … 2, or ? where it is missing"),
        (WET, "١", 'wet = "١" is not a number', "give 0 … 2, or ? where it is missing"),
        (MOOD, "hihg", 'mood = "hihg" is not a value of cat("low", "mid", "high")', 'did you mean "high"?'),
        (MOOD, "zzz", 'mood = "zzz" is not a value of cat("low", "mid", "high")', 'give "low", "mid" or "high"'),
        (MOOD, "3", 'mood = 3 is outside cat("low", "mid", "high")', 'give "low", "mid" or "high"'),
        (DIGIT, "0", 'digit = "0" is not a value of cat("1", "2", "three")', 'give "1", "2" or "three"'),
        (DIGIT, "3", 'digit = "3" is not a value of cat("1", "2", "three")', 'give "1", "2" or "three"'),
        (AGE, "17", "age = 17 is outside int(18, 99)", "give 18 … 99"),
        (AGE, "1e300", "age = 1e300 is outside int(18, 99)", "give 18 … 99"),
        (N, "-3", "n = -3 is negative", "give 0, 1, 2, …"),
        (N, "0.5", "n = 0.5 is not a whole number", "give 0, 1, 2, …"),
        (N, "9007199254740993", "n = 9007199254740993 is too large to be exact",
         "whole numbers beyond 2^53 - 1 are not exact in float64"),
        (X, "inf", "x = inf is not finite", "give a finite number"),
        (X, "-Infinity", "x = -Infinity is not finite", "give a finite number"),
        (X, "1e999", "x = 1e999 is too large for float64", "give a finite number"),
        (N, "1e999", "n = 1e999 is too large to be exact", "whole numbers beyond 2^53 - 1 are not exact in float64"),
        (X, "1_000.0", 'x = "1_000.0" is not a number', "give a finite number, or ? where it is missing"),
        (X, "NA", 'x = "NA" is not a number', "give a finite number, or ? where it is missing"),
    ],
)  # fmt: skip
def test_wrong_values(variable: Variable, field: str, message: str, hint: str) -> None:
    assert complaint(f"a,{variable}\n0,{field}\n", variable) == (
        f"d.csv:2:3: error[wrong-value]: {message}\n    0,{field}\n      {'^' * len(field)}\n  hint: {hint}"
    )


def test_long_values_and_domains_are_cut() -> None:
    many = Variable("many", Cat(9, tuple("abcdefghi")))
    assert complaint(f"many,b\n{'z' * 50},1\n", many).split("\n")[0::3] == [
        f'd.csv:2:1: error[wrong-value]: many = "{"z" * 40}…" is not a value of the 9 names of its domain',
        '  hint: give one of "a", "b", "c", "d", "e", "f", …',
    ]


def test_the_caret_stands_under_the_field() -> None:
    assert complaint('note,rain,wet\n"a, ""b""", 1, 9 \n', RAIN, WET) == (
        "d.csv:2:16: error[wrong-value]: wet = 9 is outside cat(3)\n"
        '    "a, ""b""", 1, 9 \n'
        "                   ^\n"
        "  hint: give 0 … 2"
    )


def test_all_mistakes_are_gathered_in_the_order_of_the_text() -> None:
    with pytest.raises(DanausError) as failure:
        read("rain,wet\n2,3\n1\n0,1,2\n\n1,low\n", RAIN, WET)
    assert [(d.code, d.message, d.hint, str(d.span)) for d in failure.value.diagnostics] == [
        ("wrong-value", "rain = 2 is outside bool", "give 0 or 1", "d.csv:2:1"),
        ("wrong-value", "wet = 3 is outside cat(3)", "give 0 … 2", "d.csv:2:3"),
        ("ragged-row", "line 3 has 1 field, not 2", "a missing value is an empty field or ?", "d.csv:3"),
        ("ragged-row", "line 4 has 3 fields, not 2", "", "d.csv:4:5"),
        ("ragged-row", "line 5 is blank, not 2 fields", "a missing value is an empty field or ?", "d.csv:5"),
        ("wrong-value", 'wet = "low" is not a number', "give 0 … 2, or ? where it is missing", "d.csv:6:3"),
    ]


def test_at_most_twenty_mistakes_are_shown() -> None:
    with pytest.raises(DanausError) as failure:
        read("5\n" * 20, RAIN)
    assert len(failure.value.diagnostics) == 20
    assert not failure.value.diagnostics[-1].notes
    with pytest.raises(DanausError) as failure:
        read("5\n" * 100_000, RAIN)
    assert len(failure.value.diagnostics) == 20
    assert str(failure.value).endswith(
        "d.csv:20:1: error[wrong-value]: rain = 5 is outside bool\n    5\n    ^\n"
        "  note: there are more mistakes, which are not shown\n  hint: give 0 or 1"
    )


@pytest.mark.parametrize("text", ["", "\n", " \n\n", "\ufeff", "\r\n"])
def test_empty_files(text: str) -> None:
    assert complaint(text, RAIN) == (
        "error[empty-file]: d.csv is empty\n  hint: give a row of variable names, or rows of values"
    )


def test_a_wrong_number_of_columns() -> None:
    assert complaint("1,2,3\n", RAIN, WET) == (
        "d.csv:1: error[wrong-shape]: d.csv has 3 columns without names, for 2 declared variables\n    1,2,3\n"
        "  hint: give one column for each variable, or a header that names the columns"
    )
    assert "d.csv has 1 column without names, for 3 declared variables and 2 of the circuit\n" in complaint(
        "1\n", RAIN, WET, X, needed=(RAIN, WET)
    )


def test_a_name_twice_in_the_header() -> None:
    assert complaint("rain,id,rain\n1,2,3\n", RAIN) == (
        'd.csv:1:9: error[duplicate-name]: d.csv has two columns "rain"\n    rain,id,rain\n            ^^^^\n'
        "  hint: column 1 has this name too; column names are unique"
    )


def test_a_header_without_any_variable() -> None:
    assert complaint("rian,sprinkler\n1,2\n", RAIN, WET) == (
        "d.csv:1:1: error[unknown-name]: no column of d.csv has the name of a variable\n    rian,sprinkler\n    ^^^^\n"
        '  hint: did you mean "rain"?'
    )
    assert complaint("a,b\n1,2\n", RAIN, WET).endswith("hint: the variables are rain, wet")


def test_a_circuit_without_variables_takes_any_named_columns() -> None:
    assert read("a,b\n1,2\n", needed=()).values.shape == (1, 0)


def test_quotes_that_do_not_match() -> None:
    hint = 'a field that begins with " ends with the next ", and "" stands for one inside'
    assert complaint('rain,wet\n1,"2\n0,1\n', RAIN, WET) == (
        f'd.csv:2: error[wrong-row]: line 2 cannot be read: unexpected end of data\n    1,"2\n  hint: {hint}'
    )
    assert "line 3 cannot be read: ',' expected after '\"'" in complaint('rain,wet\n1,2\n"1"2,3\n0,1\n', RAIN, WET)
    assert complaint('"rain\n', RAIN).startswith("d.csv:1: error[wrong-row]: line 1 cannot be read")


def test_bytes_that_are_not_utf8() -> None:
    assert complaint("rain,wet\n1,é2\n".encode("latin-1"), RAIN, WET) == (
        "d.csv:2:3: error[unreadable-file]: byte 0xe9 of d.csv is not UTF-8\n    1,\ufffd2\n      ^\n"
        "  hint: save the file as UTF-8"
    )
    assert complaint("rain\n1\n".encode("utf-16"), RAIN).startswith("d.csv:1:1: error[unreadable-file]: byte 0xff")


def test_a_file_that_is_not_there() -> None:
    Path("train.csv").write_text("1\n")
    with pytest.raises(DanausError) as failure:
        read_data("trian.csv", [RAIN])
    assert str(failure.value) == (
        'error[unreadable-file]: there is no file trian.csv\n  hint: did you mean "train.csv"?'
    )
    with pytest.raises(DanausError, match=r"there is no file nowhere/d\.csv$"):
        read_data("nowhere/d.csv", [RAIN])


def test_a_folder_is_no_file() -> None:
    Path("d.csv").mkdir()
    with pytest.raises(DanausError, match=r"d\.csv cannot be read: Is a directory"):
        read_data("d.csv", [RAIN])


@pytest.mark.parametrize("name", ["d.json", "d", "d.gz", "d.csv.zip"])
def test_an_unknown_suffix(name: str) -> None:
    with pytest.raises(DanausError) as failure:
        read_data(name, [RAIN])
    assert str(failure.value) == (
        f"error[unknown-format]: {name} has no suffix of a data file\n"
        "  hint: the formats are .csv, .data, .txt, .npy, .npz, .parquet, each also with .gz"
    )


@pytest.mark.parametrize("name", ["d.data", "d.txt", "d.CSV", "d.csv.gz", "d.DATA.GZ"])
def test_all_suffixes_of_text(name: str) -> None:
    content = b"rain,wet\n1,2\n"
    Path(name).write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    assert rows(read_data(Path(name), [RAIN, WET])) == [[1, 2]]


PACKED = gzip.compress(b"1,0\n" * 100, mtime=0)  # the same in every process that collects these tests


@pytest.mark.parametrize("content", [PACKED[:-9], b"no gzip", PACKED[:12] + b"\xff\xff" + PACKED[14:]])
def test_a_gzip_file_that_is_damaged(content: bytes) -> None:
    Path("d.csv.gz").write_bytes(content)
    with pytest.raises(DanausError, match=r"error\[unreadable-file\]: d\.csv\.gz is not a whole gzip file: "):
        read_data("d.csv.gz", [RAIN, WET])


def test_complete_data_is_complete() -> None:
    read("1,2\n", RAIN, WET).require_complete()


def test_missing_values_point_to_marginal() -> None:
    def message(data: Data) -> str:
        with pytest.raises(DanausError) as failure:
            data.require_complete()
        return str(failure.value)

    hint = "  hint: likelihood needs every value; marginal sums out what is missing"
    assert message(read("rain,wet\n1,2\n,0\n1,?\n", RAIN, WET)) == (
        f"error[missing-value]: d.csv: line 3, rain is missing\n{hint}\n"
        f"error[missing-value]: d.csv: line 4, wet is missing\n{hint}"
    )
    assert message(read("rian,wet\n1,2\n", RAIN, WET)) == (
        'error[missing-value]: d.csv: no column rain\n  hint: did you mean "rian"?'
    )
    np.savez("d.npz", rian=[1], wet=[2])
    assert message(read_data("d.npz", [RAIN, WET])) == (
        'error[missing-value]: d.npz: no column rain\n  hint: did you mean "rian"?'
    )
    np.save("d.npy", np.array([[0, np.nan]]))
    assert message(read_data("d.npy", [RAIN, WET])) == (
        f"error[missing-value]: d.npy: row 0 (from 0), wet is missing\n{hint}"
    )
