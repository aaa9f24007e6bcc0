"""Answers are written so that they read back as they were."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danaus.ir.data import Column, read_data, write_columns
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Variable
from datafiles import AGE, DIGIT, MOOD, RAIN, WET, N, X


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(*columns: Column) -> str:
    stream = io.StringIO()
    write_columns(stream, columns)
    return stream.getvalue()


def test_csv_of_answers() -> None:
    assert written(
        Column("mood", np.array([2.0, 0.0, np.nan]), MOOD.domain),
        Column('a,"b"', np.array([1, 0, 1]), Bool(), np.array([True, False, True])),
        Column("log_probability", np.array([-0.1, -np.inf, np.nan])),
        Column("exact", np.array([True, False, True])),
        Column("single", np.array([0.1, 1e-10, 3], np.float32)),
    ) == ('mood,"a,""b""",log_probability,exact,single\nhigh,1,-0.1,true,0.1\nlow,,-inf,false,1e-10\n,1,nan,true,3.0\n')


def test_csv_without_rows_and_over_many_rows() -> None:
    assert written(Column("a", np.empty(0)), Column("b", np.empty(0))) == "a,b\n"
    assert written(Column("a", np.arange(40_000), Count())) == "a\n" + "".join(f"{i}\n" for i in range(40_000))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@settings(max_examples=100, deadline=None)
def test_floats_read_back_as_they_were(numbers: list[float]) -> None:
    assert [float(line) for line in written(Column("x", np.array(numbers))).split()[1:]] == numbers


NAMED = Variable("named", Cat(4, ("a,b", ' say "hi" ', "2", "é")))
EVERY = (RAIN, WET, MOOD, DIGIT, NAMED, AGE, N, X)


@pytest.mark.parametrize("form", ["csv", "data", "txt", "npy", "npz", "parquet"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_format_reads_back_what_was_written(form: str, packed: str) -> None:
    random = np.random.default_rng(1)
    values = np.stack(
        [random.integers(0, v.size or 1000, 200) + (18 if v is AGE else 0.0) for v in EVERY[:-1]]
        + [random.normal(size=200)],
        axis=1,
    )
    present = random.random(values.shape) < 0.8
    name = f"d.{form}{packed}"
    columns = [Column(v.name, values[:, i], v.domain, present[:, i]) for i, v in enumerate(EVERY)]
    write_columns(name, columns)
    data = read_data(name, EVERY)
    assert (data.observed == present).all()
    assert (data.values[present] == values[present]).all()
    first = Path(name).read_bytes()
    write_columns(Path(name), columns)
    assert Path(name).read_bytes() == first


def test_whole_columns_stay_whole_in_files_of_arrays() -> None:
    columns = [Column("n", np.array([1.0, 2.0]), Count()), Column("x", np.array([0.5, -np.inf]))]
    write_columns("d.npz", columns)
    assert np.load("d.npz")["n"].dtype == np.int64
    write_columns("d.parquet", columns)
    assert pq.read_schema("d.parquet").types == [pa.int64(), pa.float64()]
    assert pq.read_table("d.parquet")["x"].to_pylist() == [0.5, -np.inf]


def test_text_columns() -> None:
    column = Column("kind", np.array(["a", "b,c"], object))
    assert written(column) == 'kind\na\n"b,c"\n'
    write_columns("d.npz", [column])
    assert np.load("d.npz")["kind"].tolist() == ["a", "b,c"]
    write_columns("d.parquet", [column])
    assert pq.read_table("d.parquet")["kind"].to_pylist() == ["a", "b,c"]
    with pytest.raises(DanausError, match=r"d\.npy holds numbers, and kind is text"):
        write_columns("d.npy", [column])


def test_a_file_is_replaced_in_one_step_and_nothing_stays_beside_it() -> None:
    Path("real.csv").write_text("old")
    Path("link.csv").symlink_to("real.csv")
    write_columns("link.csv", [Column("a", np.array([1]))])
    assert Path("real.csv").read_text() == "a\n1\n"
    assert Path("link.csv").is_symlink()
    assert sorted(os.listdir()) == ["link.csv", "real.csv"]


def test_new_files_have_the_usual_permissions() -> None:
    Path("usual").touch()
    write_columns("d.csv", [Column("a", np.array([1]))])
    assert stat.S_IMODE(Path("d.csv").stat().st_mode) == stat.S_IMODE(Path("usual").stat().st_mode)


def test_what_is_no_plain_file_is_written_to_and_not_replaced() -> None:
    write_columns("/dev/null", [Column("a", np.array([1]))])
    assert not Path("/dev/null").is_file()


def test_files_that_cannot_be_written() -> None:
    def message(name: str) -> str:
        with pytest.raises(DanausError) as failure:
            write_columns(name, [Column("a", np.array([1]))])
        return str(failure.value).split("\n")[0]

    Path("folder.csv").mkdir()
    assert (
        message("nowhere/d.csv") == "error[unwritable-file]: nowhere/d.csv cannot be written: No such file or directory"
    )
    assert message("folder.csv") == "error[unwritable-file]: folder.csv cannot be written: Is a directory"
    assert message("d.xlsx") == "error[unknown-format]: d.xlsx has no suffix of a data file"
