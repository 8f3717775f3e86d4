"""Every row of a table is kept with its exact values, or refused with its line, or a comment."""

import csv
import io
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.formats.refusals import Reason, Refusals
from pipelines.formats.table import NULL_WORDS, Layout, parse_block
from pipelines.formats.text import LineBlock

COMMAS = Layout(names=("x", "y", "line"), delimiter=",")
BLANKS = Layout(names=("x", "y", "line"), delimiter=None)


def parse(text, layout=COMMAS, first=1, unfinished=False, numbers=("x", "y"), texts=("line",)):
    refusals = Refusals()
    data = text if isinstance(text, bytes) else text.encode()
    rows = parse_block(LineBlock(data, first, unfinished), layout, numbers, texts, refusals)
    return rows, refusals


def words(rows, name="line"):
    column = rows.texts[name]
    return [column.values[code] for code in column.codes]


def test_plain_rows_become_columns_with_their_line_numbers():
    rows, refusals = parse("1,2,a\n\n# comment\n-3.5e2, .5 ,b\r\n", first=41)
    assert rows.numbers["x"].tolist() == [1.0, -350.0]
    assert rows.numbers["y"].tolist() == [2.0, 0.5]
    assert words(rows) == ["a", "b"]
    assert rows.line_numbers.tolist() == [41, 44]
    assert (rows.skipped, refusals.total) == (2, 0)


@pytest.mark.parametrize("null", [w for w in NULL_WORDS if w] + ["NaN", "N/A", "nAn", "NULL"])
def test_a_null_word_becomes_nan_and_its_row_stays(null):
    rows, refusals = parse(f"1,{null},a\n2,5,b\n")
    np.testing.assert_array_equal(rows.numbers["y"], [np.nan, 5.0])
    assert refusals.total == 0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1,2", Reason.FIELDS),
        ("1,2,a,b", Reason.FIELDS),
        ("1,text,a", Reason.NOT_A_NUMBER),
        ("1,TRUE,a", Reason.NOT_A_NUMBER),
        ("1,1_0,a", Reason.NOT_A_NUMBER),
        ("1,0x10,a", Reason.NOT_A_NUMBER),
        ("1,\u0661,a", Reason.NOT_A_NUMBER),
        ("1,2 3,a", Reason.NOT_A_NUMBER),
        ("1,inf,a", Reason.NOT_FINITE),
        ("1,-Infinity,a", Reason.NOT_FINITE),
        ("1,1e400,a", Reason.NOT_FINITE),
        ('1,2,"a', Reason.QUOTES),
        ("1,2\x00,a", Reason.BINARY),
        ("1,2\r,a", Reason.BINARY),
    ],
)
@pytest.mark.parametrize("company", ["7,8,c\n", '7,8,"c"\n'], ids=["plain", "quoted"])
def test_a_bad_row_is_refused_with_its_line_and_reason_and_its_neighbours_stay(bad, reason, company):
    rows, refusals = parse(company + bad + "\n" + company)
    assert rows.numbers["x"].tolist() == [7.0, 7.0]
    assert rows.line_numbers.tolist() == [1, 3]
    (example,) = refusals.examples
    assert (example.line, example.reason) == (2, reason)


def test_a_block_of_true_and_false_is_not_taken_for_numbers():
    rows, refusals = parse("TRUE,1,a\nFALSE,0,b\n")
    assert rows.line_numbers.size == 0
    assert refusals.counts == {Reason.NOT_A_NUMBER.value: 2}


def test_a_last_row_without_its_end_is_called_cut():
    _, refusals = parse("1,2,a\n3,4\n", unfinished=True)
    assert refusals.examples[0].reason is Reason.CUT


def test_quoted_fields_may_hold_the_delimiter_and_quotes():
    rows, refusals = parse('1,2,"a,b"\n"3","4","say ""c"""\n')
    assert rows.numbers["x"].tolist() == [1.0, 3.0]
    assert words(rows) == ["a,b", 'say "c"']
    assert refusals.total == 0


@pytest.mark.parametrize("company", ["7,5;8;c\n", '7,5;8;"c"\n'], ids=["plain", "quoted"])
def test_a_decimal_comma_is_read_and_a_point_beside_it_is_refused(company):
    layout = Layout(names=("x", "y", "line"), delimiter=";", decimal=",")
    rows, refusals = parse(company + "1.000,5;2;a\n", layout)
    assert rows.numbers["x"].tolist() == [7.5]
    assert refusals.total == 1


def test_headers_are_given_with_their_lines_and_rows_that_begin_with_words_are_rows():
    layout = Layout(BLANKS.names, None, headers=re.compile(r"(line|tie)\b", re.IGNORECASE))
    rows, refusals = parse("LINE 10\n 1 2 a\nNaN 2 a\nTie 20\n 3 4 b\n", layout)
    assert rows.headers == [(1, "LINE 10"), (4, "Tie 20")]
    assert rows.line_numbers.tolist() == [2, 3, 5]
    assert refusals.total == 0


def test_a_name_that_is_not_utf8_is_read_as_latin1():
    rows, _ = parse("1,2,Orad\xedn\n".encode("latin-1"))
    assert words(rows) == ["Orad\xedn"]


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=20), st.booleans(), st.booleans())
def test_every_double_survives_being_written_and_read(values, quoted, blanks):
    name = '"a"' if quoted else "a"
    mark = "  " if blanks else ","
    text = "".join(mark.join((repr(x), repr(y), name)) + "\n" for x, y in values)
    rows, refusals = parse(text, BLANKS if blanks else COMMAS)
    assert refusals.total == 0
    np.testing.assert_array_equal(np.column_stack([rows.numbers["x"], rows.numbers["y"]]), np.array(values))


cell = st.one_of(
    st.sampled_from(
        ["1", "-2.5", "1e5", "*", "", " 3 ", "nan", "x", '"4"', '"', "#", "True", "1.", "inf", "1e"]
    ),
    st.text(alphabet='0123456789.eE+-" #,*\t\r\x00\xa0é', max_size=6),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(cell, min_size=0, max_size=5).map(",".join), max_size=12), st.booleans())
def test_whatever_the_text_no_row_is_lost_and_kept_values_are_what_a_plain_reader_sees(lines, blanks):
    text = "".join(line + "\n" for line in lines)
    layout = BLANKS if blanks else COMMAS
    rows, refusals = parse(text, layout)
    assert rows.line_numbers.size + refusals.total + rows.skipped == text.count("\n")
    assert np.isfinite(rows.numbers["x"][~np.isnan(rows.numbers["x"])]).all()
    # An independent reader: one line at a time, with the standard library alone.
    physical = text.split("\n")
    for number, x, y in zip(rows.line_numbers, rows.numbers["x"], rows.numbers["y"], strict=True):
        line = physical[number - 1].rstrip("\r")
        if blanks:
            line = ",".join(re.split(r"[ \t]+", line.strip(" \t"))) if "," not in line else None
        if line is None:
            continue
        cells = next(csv.reader(io.StringIO(line), skipinitialspace=True))
        for value, cell in zip((x, y), cells, strict=False):
            if cell.strip().lower() in NULL_WORDS:
                assert math.isnan(value)
            else:
                assert value == float(cell)
