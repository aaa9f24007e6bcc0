"""Files of text: every form of header and value is read, and the two ways to read them agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danaus.ir.data import Data
from danaus.ir.data import text as text_module
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from datafiles import AGE, DIGIT, MOOD, RAIN, WET, N, X, complaint, read, rows


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_columns_without_names_are_the_declared_variables_in_order() -> None:
    data = read("0,2\n1,0\n", RAIN, WET)
    assert rows(data) == [[0, 2], [1, 0]]
    assert data.variables == (RAIN, WET)
    assert data.values.dtype == np.float64
    assert data.observed.dtype == np.bool_
    assert data.columns is None
    assert data.lines is not None
    assert data.lines.tolist() == [1, 2]


def test_columns_without_names_are_the_circuits_where_the_number_fits_only_those() -> None:
    assert rows(read("2,1\n", RAIN, X, WET, needed=(WET, RAIN))) == [[2, 1]]
    assert rows(read("1,0,2\n", RAIN, X, WET, needed=(WET, RAIN))) == [[2, 1]]


def test_where_the_number_fits_both_the_declared_order_holds() -> None:
    assert rows(read("0,2\n", RAIN, WET, needed=(WET, RAIN))) == [[2, 0]]


def test_a_header_names_the_columns_in_any_order_and_others_are_ignored() -> None:
    data = read('id,wet,comment,rain\na7,2,"so, so",1\na8,0,x,0\n', RAIN, WET)
    assert rows(data) == [[1, 2], [0, 0]]
    assert data.columns == ("id", "wet", "comment", "rain")
    assert data.absent == ()


def test_absent_columns_are_missing() -> None:
    data = read("wet\n2\n", RAIN, WET)
    assert rows(data) == [[None, 2]]
    assert data.absent == (RAIN,)


def test_only_what_is_needed_is_checked() -> None:
    assert rows(read("rain,wet\n7,2\n", RAIN, WET, needed=(WET,))) == [[2]]


def test_a_circuit_may_have_a_variable_that_is_not_declared() -> None:
    other = Variable("other", Bool())
    assert rows(read("other,rain\n1,0\n", RAIN, needed=(other,))) == [[1]]


def test_a_header_alone_gives_no_rows() -> None:
    for text in ("rain,wet\n", "rain,wet", "rain,wet\n\n"):
        data = read(text, RAIN, WET)
        assert data.values.shape == data.observed.shape == (0, 2)


def test_a_first_row_of_names_that_are_values_is_no_header() -> None:
    assert rows(read("low,1\nhigh,0\n", MOOD, RAIN)) == [[0, 1], [2, 0]]


def test_a_first_row_of_missing_values_is_no_header() -> None:
    assert rows(read("?,\n1,2\n", RAIN, WET)) == [[None, None], [1, 2]]


def test_names_that_look_like_numbers_make_a_header_where_they_are_no_values() -> None:
    numbered = tuple(Variable(str(i), Bool()) for i in (1, 2, 3))
    assert rows(read("1,2,3\n0,1,0\n", *numbered)) == [[0, 1, 0]]
    assert rows(read("1,0,1\n0,1,0\n", *numbered)) == [[1, 0, 1], [0, 1, 0]]


def test_a_wrong_number_in_the_first_row_is_no_header() -> None:
    assert complaint("7,1\n", WET, RAIN) == (
        "d.csv:1:1: error[wrong-value]: wet = 7 is outside cat(3)\n    7,1\n    ^\n  hint: give 0 … 2"
    )


def test_quoted_names_may_hold_commas_and_quotes() -> None:
    odd = Variable('a,"b"', Bool())
    assert rows(read('"a,""b""",rain\n1,0\n', odd, RAIN)) == [[1, 0]]


def test_byte_order_mark_and_other_line_ends_do_not_matter() -> None:
    for text in ("rain,wet\r\n1,2\r\n0,\r\n", "\ufeffrain,wet\n1,2\n0,", "rain,wet\r1,2\r0,\r"):
        assert rows(read(text, RAIN, WET)) == [[1, 2], [0, None]]


def test_spaces_around_fields_do_not_matter() -> None:
    assert rows(read('rain , mood\n 1 , "low"\n0,\t high \n', RAIN, MOOD)) == [[1, 0], [0, 2]]


def test_blank_lines_at_the_end_and_before_the_header_do_not_matter() -> None:
    assert rows(read("\n\nrain,wet\n1,2\n\n  \n", RAIN, WET)) == [[1, 2]]


def test_in_one_column_a_blank_line_is_a_missing_value() -> None:
    assert rows(read("rain\n1\n\n0\n", RAIN)) == [[1], [None], [0]]
    assert rows(read("\n1\n\n", RAIN)) == [[None], [1], [None]]


def test_a_quoted_field_may_hold_a_newline_and_lines_are_still_right() -> None:
    data = read('note,rain\n"two\nlines",1\nplain,0\n', RAIN)
    assert rows(data) == [[1], [0]]
    assert data.lines is not None
    assert data.lines.tolist() == [2, 4]
    assert complaint('note,rain\n"two\nlines",1\nplain,5\n', RAIN).startswith("d.csv:4:7: ")


@pytest.mark.parametrize("field", ["", "?", " ? ", "NaN", "nan", "-nan", "null", '""'])
@pytest.mark.parametrize("variable", [RAIN, WET, MOOD, DIGIT, AGE, N, X], ids=str)
def test_missing_values(field: str, variable: Variable) -> None:
    data = read(f"{variable},other\n{field},1\n", variable)
    assert rows(data) == [[None]]
    assert not unusable(data)


def unusable(data: Data) -> bool:
    """Whether what stands where a value is missing is outside the domain."""
    low = [v.domain.lo if isinstance(v.domain, Int) else 0 for v in data.variables]
    return bool((data.values[~data.observed] != np.broadcast_to(low, data.values.shape)[~data.observed]).any())


def test_a_name_that_is_a_missing_marker_is_a_name() -> None:
    answer = Variable("answer", Cat(2, ("?", "null")))
    assert rows(read("answer,b\n?,1\nnull,1\nNaN,1\n", answer)) == [[0], [1], [None]]


@pytest.mark.parametrize(
    ("variable", "field", "value"),
    [
        (RAIN, "1", 1),
        (RAIN, "1.0", 1),
        (RAIN, "+1", 1),
        (WET, "2e0", 2),
        (WET, "02", 2),
        (MOOD, "mid", 1),
        (MOOD, "1", 1),
        (DIGIT, "1", 0),
        (DIGIT, "2", 1),
        (DIGIT, "three", 2),
        (AGE, "18", 18),
        (N, "123456789012345678e-4", 12345678901234.5678),
        (X, "-1.5e-3", -0.0015),
        (X, ".5", 0.5),
        (X, "5.", 5),
        (X, "0.1", 0.1),
        (X, "1e-400", 0),
    ],
)
def test_values(variable: Variable, field: str, value: float) -> None:
    if variable is N:
        assert "n = 123456789012345678e-4 is not a whole number" in complaint(f"n,b\n{field},1\n", N)
    else:
        assert rows(read(f"{variable},b\n{field},1\n", variable)) == [[value]]


FIELDS = st.sampled_from(["", "?", "0", "1", "2", "9", "07", "12", "123456", "999999999999999", "1.5", "-1", "nan"])


@given(
    width=st.integers(1, 4),
    data=st.data(),
    piece=st.sampled_from([1, 7, 64, 1 << 18]),
    domain=st.sampled_from([Count(), Real(), Int(0, 200), Bool(), Cat(3, ("1", "2", "x"))]),
    end=st.sampled_from(["", "\n", "\n\n", "\r\n"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_fast_way_and_the_careful_way_agree(
    monkeypatch: pytest.MonkeyPatch, width: int, data: st.DataObject, piece: int, domain: Domain, end: str
) -> None:
    variables = [Variable(f"v{i}", domain) for i in range(width)]
    lines = data.draw(st.lists(st.lists(FIELDS, min_size=width, max_size=width), max_size=8))
    text = "\n".join([",".join(v.name for v in variables), *map(",".join, lines)]) + end

    def outcome() -> tuple[str, object]:
        try:
            found = read(text, *variables, needed=tuple(variables[::-1]))
        except DanausError as failure:
            return "error", str(failure)
        assert found.lines is not None
        return "rows", (rows(found), found.lines.tolist())

    with monkeypatch.context() as patch:
        patch.setattr(text_module, "_PIECE", piece)
        fast = outcome()
        patch.setattr(text_module, "whole_numbers", lambda *_: None)
        assert outcome() == fast


@given(st.lists(st.lists(st.text('01?,"\n .e-xé', max_size=6), min_size=1, max_size=3), max_size=5), st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_rows_or_diagnostics(lines: list[list[str]], headed: bool) -> None:
    text = "rain,wet\n" * headed + "\n".join(map(",".join, lines))
    try:
        data = read(text, RAIN, WET)
    except DanausError as failure:
        assert str(failure)
    else:
        assert data.values.shape[1] == 2
