"""A value cut at the end of a file is refused; a file that merely lacks its last line end loses nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.formats.endings import is_cut_number, is_cut_word
from pipelines.formats.reader import open_survey_file
from pipelines.formats.refusals import Reason

UTM = "EPSG:32754"
HEAD = "line,easting,northing,tmi"


def read(tmp_path, text, **options):
    path = tmp_path / "survey.csv"
    path.write_bytes(text.encode())
    file = open_survey_file(path, crs=UTM, **options)
    blocks = list(file.blocks(size=64))  # many blocks: the last row's neighbours lie in the one before
    return file, np.concatenate([block.channels["total_field"] for block in blocks])


def rows(values):
    return "".join(f"L1,{500000 + 10 * i},7500000,{value}\n" for i, value in enumerate(values))


FIXED = ["53012.95", "53013.10", "53013.00", "53012.87"]
SIGNED = ["-153.2", "-149.8", "-150.0", "-151.1"]
WHOLE = ["53012", "53013", "53015", "53011"]
POWERS = ["5.301e+04", "5.302e+04", "5.303e+04", "5.301e+04"]


@pytest.mark.parametrize("values", [FIXED, SIGNED, WHOLE, POWERS], ids=["fixed", "signed", "whole", "powers"])
@pytest.mark.parametrize("dress", ["{}", "{}\r"], ids=["LF", "CRLF"])
def test_a_cut_anywhere_in_the_last_value_refuses_its_row(tmp_path, values, dress):
    body = (HEAD + "\n" + rows(values)).replace("\n", dress.format("") + "\n")
    whole = body.rstrip("\r\n")
    for left in range(len(values[-1])):
        text = whole[: len(whole) - len(values[-1]) + left]
        file, kept = read(tmp_path, text, columns={"total_field": "tmi"})
        assert kept.tolist() == [float(value) for value in values[:-1]], text
        (refusal,) = file.refusals.examples
        assert (refusal.reason, refusal.line, refusal.text) == (Reason.CUT, 5, values[-1][:left])
        assert not any("may be cut" in note for note in file.notes)


@pytest.mark.parametrize("end", ["", "\r", "  "], ids=["nothing", "carriage return", "blanks"])
@pytest.mark.parametrize(
    "values", [FIXED, SIGNED, WHOLE, POWERS, ["1.5", "2", "3.25", "0.5"], ["7"], ["1", "*"]]
)
def test_a_whole_last_row_without_its_line_end_is_kept_and_told(tmp_path, values, end):
    file, kept = read(tmp_path, HEAD + "\n" + rows(values).rstrip("\n") + end, columns={"total_field": "tmi"})
    expected = [np.nan if value == "*" else float(value) for value in values]
    np.testing.assert_array_equal(kept, expected)
    assert file.refusals.total == 0
    assert any("may be cut" in note for note in file.notes)


def test_what_proves_a_short_value_whole_keeps_its_row(tmp_path):
    body = HEAD + "\n" + rows(FIXED)
    for proof in ('"53"', "53\r", "53 "):
        file, kept = read(tmp_path, body + "L1,500050,7500000," + proof, columns={"total_field": "tmi"})
        assert (kept[-1], file.refusals.total) == (53.0, 0)


def test_a_cut_in_a_column_that_is_not_used_costs_no_row(tmp_path):
    text = "line,easting,northing,tmi,remark\nL1,5e5,7e6,53000,bird\nL1,5.1e5,7e6,53001,bi"
    file, kept = read(tmp_path, text)
    assert (kept.tolist(), file.refusals.total) == ([53000.0, 53001.0], 0)


@pytest.mark.parametrize(("cut", "refused"), [("L1010", False), ("L101", True), ("L", True), ("", True)])
def test_the_cut_name_of_a_line_makes_no_new_line(tmp_path, cut, refused):
    text = "easting,northing,tmi,line\n5e5,7e6,53000,L1010\n5.1e5,7e6,53001,L1010\n5.2e5,7e6,53002," + cut
    file, kept = read(tmp_path, text)
    assert (kept.size, file.refusals.total) == ((2, 1) if refused else (3, 0))
    assert file.lines.names == ["L1010"]


@pytest.mark.parametrize("end", ["\n", ""], ids=["line end", "no line end"])
def test_a_file_of_one_row_is_a_survey_with_or_without_a_last_line_end(tmp_path, end):
    _, kept = read(tmp_path, f"{HEAD}\nL1,500000,7500000,53012.9{end}")
    assert kept.tolist() == [53012.9]


def test_a_decimal_comma_is_a_decimal_mark():
    assert is_cut_number("53012", ["53012,9", "53013,1"], ",")
    assert not is_cut_number("53012,8", ["53012,9", "53013,1"], ",")


def test_words_are_judged_by_their_length_and_the_word_above():
    assert is_cut_word("2020-01-0", ["2020-01-02", "2020-01-03"])
    assert is_cut_word("12", ["7", "120"])  # the line above is 120, and has lost its last digit
    assert not is_cut_word("121", ["7", "120"])
    assert not is_cut_word("1", [])


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.decimals(-99999, 99999, allow_nan=False, places=2), min_size=2, max_size=9),
    data=st.data(),
)
def test_with_a_fixed_number_of_decimals_every_cut_is_seen_and_no_whole_value_is_taken_for_cut(values, data):
    *others, last = (f"{value:.2f}" for value in values)
    assert not is_cut_number(last, others)
    assert is_cut_number(last[: data.draw(st.integers(0, len(last) - 1))], others)
