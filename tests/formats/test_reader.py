"""A survey file is understood before it is read, says what was assumed, and loses no row."""

import gzip
import textwrap

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.conventions import assign_crs
from pipelines.errors import FormatError, ParameterError, PipelineError
from pipelines.formats.csv import sniff
from pipelines.formats.reader import open_survey_file
from pipelines.formats.refusals import Reason

UTM = "EPSG:32754"


@pytest.fixture
def written(tmp_path):
    def write(text, name="survey.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
        return path

    return write


def read(path, **options):
    file = open_survey_file(path, **options)
    blocks = list(file.blocks())
    return file, blocks


def joined(blocks, get):
    return np.concatenate([get(block) for block in blocks])


PLAIN = "line,easting,northing,alt,tmi\n10,500000,7500000,300,53000.5\n10,500010,7500000,301,*\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "  "),
        PLAIN.replace("\n", "\r\n"),
        "# made by hand\n\n" + PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("tmi\n", "tmi\n,m,m,m,nT\n"),
        '"line","easting","northing","alt","tmi"\n"10","500000","7500000","300","53000.5"\n10,500010,7500000,301,\n',
        "/ line easting northing alt tmi\n 10 500000 7500000 300 53000.5\n 10 500010 7500000 301 *\n",
        "/ easting northing alt tmi\nLINE 10\n 500000 7500000 300 53000.5\n 500010 7500000 301 *\n",
    ],
    ids=["commas", "tabs", "decimal commas", "blanks", "CRLF", "comments", "byte-order mark",
         "no last line end", "units row", "quoted", "XYZ with a line column", "XYZ with headers"],
)  # fmt: skip
def test_one_survey_in_any_dress_is_the_same_survey(written, text):
    file, blocks = read(written(text), crs=UTM)
    assert file.refusals.total == 0
    assert joined(blocks, lambda b: b.x).tolist() == [500000.0, 500010.0]
    np.testing.assert_array_equal(joined(blocks, lambda b: b.channels["total_field"]), [53000.5, np.nan])
    np.testing.assert_array_equal(joined(blocks, lambda b: b.channels["upward"]), [300.0, 301.0])
    assert file.lines.names == ["10"]


def test_a_last_row_that_is_whole_but_has_no_line_end_is_kept_and_told(written):
    file, blocks = read(written(PLAIN.rstrip("\n")), crs=UTM)
    assert joined(blocks, lambda b: b.x).size == 2
    assert any("last value may be cut" in note for note in file.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n\n \n", "empty"),
        ("# only a comment\n", "no rows"),
        ("line,easting,northing,tmi\n", "header but no rows"),
        ("LINE 10\nTIE 20\n", "no rows"),
        ("hello\nworld\n", "no columns"),
        ("a,b,c\n1,2,3\n", "could be taken for positions"),
    ],
)
def test_a_file_that_is_no_survey_is_refused_and_the_answer_says_what_to_do(written, text, words):
    with pytest.raises(FormatError, match=words):
        open_survey_file(written(text), crs=UTM)


def test_geosoft_headers_name_lines_and_ties_across_blocks(written):
    text = (
        "/ X Y MAG\nLINE 10\n1e5 2e6 50000\n1.1e5 2e6 50001\nTIE 10\n1e5 2e6 50002\n"
        "LINE 20\nLINE 10\n3e5 2e6 *\n"
    )
    file = open_survey_file(written(text, "s.xyz"), crs=UTM)
    codes = np.concatenate([block.line for block in file.blocks(size=16)])
    assert codes.tolist() == [0, 0, 1, 0]  # the second LINE 10 goes on with the first; LINE 20 has no points
    assert list(zip(file.lines.names, file.lines.types, strict=True)) == [("10", "line"), ("10", "tie")]


def test_names_that_repeat_or_are_missing_are_told(written):
    source = sniff(written("x,y,mag,mag,\n1,2,3,4,5\n"))
    assert source.layout.names == ("x", "y", "mag", "mag_2", "column_5")
    assert "repeats the name 'mag'" in source.notes[0]


def test_a_column_of_words_in_the_middle_is_left_out_and_told(written):
    path = written("line,easting,remark,northing,tmi\n1,5e5,bird,7e6,53000\n1,5.1e5,,7e6,53001\n")
    file, blocks = read(path, crs=UTM)
    assert ("remark", "holds words, not numbers") in file.columns.left_out
    assert joined(blocks, lambda b: b.x).size == 2


def test_words_in_a_column_of_numbers_refuse_their_row_with_line_and_field(written):
    rows = [f"1,{5e5 + i},7e6,53000\n" for i in range(20)]
    rows[7] = "1,5e5,oops,53000\n"
    file, _ = read(written("line,easting,northing,tmi\n" + "".join(rows)), crs=UTM)
    (refusal,) = file.refusals.examples
    assert (refusal.line, refusal.field, refusal.reason, refusal.text) == (
        9,
        "northing",
        Reason.NOT_A_NUMBER,
        "oops",
    )


def test_impossible_latitudes_and_longitudes_are_refused_and_nulls_are_no_position(written):
    path = written("""
        line,lon,lat,tmi
        1,140,-21,53000
        1,140,-91,53000
        1,400,-21,53000
        1,*,-21,53000
        1,-9999.99,-21,53000
        1,141,90.0001,53000
        """)
    file, blocks = read(path)
    assert joined(blocks, lambda b: b.y).tolist() == [-21.0]
    assert file.refusals.counts == {
        Reason.LATITUDE.value: 2,
        Reason.LONGITUDE.value: 1,
        Reason.NO_POSITION.value: 2,
    }
    assert {(e.line, e.field) for e in file.refusals.examples} == {
        (3, "lat"), (4, "lon"), (5, "lon"), (6, "lon"), (7, "lat"),
    }  # fmt: skip


def test_degrees_among_metres_are_another_crs_and_refused(written):
    rows = "".join(f"{5e5 + 10 * i},7500000,53000\n" for i in range(9))
    file, blocks = read(written("easting,northing,tmi\n" + rows + "141.2,-22.5,53000\n"), crs=UTM)
    assert file.refusals.examples[0].reason is Reason.MIXED
    assert joined(blocks, lambda b: b.x).size == 9


def test_metres_among_degrees_are_called_another_crs_and_a_slip_in_a_degree_is_not(written):
    path = written("""
        line,lon,lat,tmi
        1,140.1,-21.2,53000
        1,500500.0,7500500.0,53000
        1,1402.0,-21.2,53000
        1,140.2,-2121.0,53000
        1,99999,99999,53000
        """)
    file, blocks = read(path)
    assert joined(blocks, lambda b: b.y).tolist() == [-21.2]
    assert [(e.line, e.reason) for e in file.refusals.examples if e.reason is Reason.METRES] == [
        (3, Reason.METRES)
    ]
    assert any("two CRSs in one file?" in str(example) for example in file.refusals.examples)
    assert file.refusals.counts == {
        Reason.METRES.value: 1,
        Reason.LATITUDE.value: 2,
        Reason.LONGITUDE.value: 1,
    }


def test_eastings_without_a_crs_are_refused_and_the_comment_that_speaks_of_one_is_quoted(survey_data):
    with pytest.raises(FormatError, match=r"NAD83, UTM Zone 15N.*crs=\"EPSG:32615\""):
        open_survey_file(survey_data / "geosoft-gxpy-samples" / "mag_data.csv")


def test_positions_given_twice_in_different_places_are_refused(survey_data):
    path = survey_data / "usgs-wi-magnetics" / "dev_WI_lines_first100.csv"
    with pytest.raises(FormatError, match="in different places"):
        open_survey_file(path, crs=UTM)
    used = open_survey_file(path, crs="EPSG:3071")
    assert used.positions.x == "easting"
    assert open_survey_file(path).positions.x == "longitude"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"crs": UTM}, ParameterError, "target_crs"),
        ({"target_crs": "EPSG:4326"}, ParameterError, "must be projected"),
        ({"target_crs": "EPSG:2263"}, ParameterError, "axes in metres"),
        ({"crs": "nonsense"}, ParameterError, "EPSG code"),
        ({"columns": {"tmi": "no such"}}, ParameterError, "is not in the file, which has: line"),
        ({"units": {"upward": "furlong"}}, ParameterError, "not known here"),
        ({"line_column": "no such"}, ParameterError, "is not in the file"),
    ],
)
def test_options_that_do_not_fit_the_file_are_refused(written, options, error, words):
    path = written("line,lon,lat,alt,tmi\n1,140,-21,300,53000\n")
    with pytest.raises(error, match=words):
        open_survey_file(path, **options)


@pytest.mark.parametrize(
    ("header", "unit", "metres"),
    [
        ("alt (ft)", None, 304.8),
        ("alt_ft", None, 304.8),
        ("alt", "ft", 304.8),
        ("alt", "km", 1e6),
        ("alt", None, 1e3),
    ],
)
def test_heights_in_other_units_become_metres(written, header, unit, metres):
    path = written(f"easting,northing,{header},tmi\n500000,7e6,1000,53000\n")
    _, blocks = read(path, crs=UTM, units={"upward": unit} if unit else None)
    # One multiplication: half a unit in the last place of the product.
    np.testing.assert_allclose(blocks[0].channels["upward"], [metres], rtol=2.3e-16)


def test_what_is_called_tmi_but_is_no_total_field_becomes_an_anomaly_and_says_why(written):
    file = open_survey_file(written("easting,northing,tmi\n500000,7e6,120\n500010,7e6,-80\n"), crs=UTM)
    match = file.columns.of("total_field_anomaly")
    assert match is not None
    assert match.how == "guessed"
    assert "no total field" in match.reason
    kept = open_survey_file(file.source.path, crs=UTM, columns={"total_field": "tmi"})
    assert kept.columns.of("total_field").how == "given"


def test_known_null_numbers_become_nan_and_are_counted_and_given_ones_alone_if_given(written):
    path = written("easting,northing,tmi,diurnal\n5e5,7e6,-9999.99,-1e32\n5e5,7e6,52000,3\n5e5,7e6,*,99999\n")
    file, blocks = read(path, crs=UTM)
    np.testing.assert_array_equal(blocks[0].channels["diurnal"], [np.nan, 3.0, np.nan])
    assert file.nulled == {("total_field", -9999.99): 1, ("diurnal", -1e32): 1, ("diurnal", 99999.0): 1}
    _, blocks = read(path, crs=UTM, nulls=[3.0])
    np.testing.assert_array_equal(blocks[0].channels["diurnal"], [-1e32, np.nan, 99999.0])


@pytest.mark.parametrize(
    ("names", "cells", "expected"),
    [
        ("date,time", "2021/01/20,17:14:42.5", "2021-01-20T17:14:42.5"),
        ("date,time", "20210120,61200", "2021-01-20T17:00:00"),
        ("date,time", "20/01/2021,17:00:00", "2021-01-20T17:00:00"),
        ("datetime", "2021-01-20T17:14:42Z", "2021-01-20T17:14:42"),
        ("year,doy,time", "2020,181,49820.25", "2020-06-29T13:50:20.25"),
        ("decimal_year", "2020.5", "2020-07-02T00:00:00"),  # 366 days: 183 days after New Year
        ("decimal_year", "2021.5", "2021-07-02T12:00:00"),  # 365 days: 182.5
    ],
)
def test_times_are_read_however_they_are_written(written, names, cells, expected):
    file, blocks = read(written(f"easting,northing,{names},tmi\n5e5,7e6,{cells},53000\n"), crs=UTM)
    assert file.time is not None
    assert blocks[0].time[0] == np.datetime64(expected, "ns")


def test_dates_that_may_be_day_or_month_first_are_left_out_and_told(written):
    file = open_survey_file(written("easting,northing,date,tmi\n5e5,7e6,03/04/2020,53000\n"), crs=UTM)
    assert file.time is None
    assert any("day or month first" in note for note in file.notes)


def test_a_time_that_cannot_be_read_refuses_its_row_and_a_null_one_does_not(written):
    rows = "5e5,7e6,2020-01-02,53000\n" * 5 + "5e5,7e6,2020-13-02,53000\n5e5,7e6,*,53000\n"
    file, blocks = read(written("easting,northing,date,tmi\n" + rows), crs=UTM)
    assert file.refusals.examples[0].reason is Reason.NOT_A_TIME
    assert np.isnat(joined(blocks, lambda b: b.time)).tolist() == [False] * 5 + [True]


def test_points_in_netcdf_are_read_with_their_labels_and_crs(tmp_path):
    path = tmp_path / "points.nc"
    data = xr.Dataset(
        {
            "flight_line": ("obs", [10, 10, 20]),
            "field": ("obs", [53000.0, np.nan, 53002.0]),
            "px": ("obs", [5e5, 5.1e5, 5.2e5], {"standard_name": "projection_x_coordinate"}),
            "py": ("obs", [7e6, 7e6, 7e6], {"standard_name": "projection_y_coordinate"}),
            "when": (
                "obs",
                np.array(["2020-01-02T03:04:05"] * 3, "datetime64[ns]"),
                {"standard_name": "time"},
            ),
        }
    )
    assign_crs(data, UTM).to_netcdf(path)
    file, blocks = read(path, columns={"total_field": "field"})
    assert file.positions.x == "easting"
    assert file.lines.names == ["10", "20"]
    np.testing.assert_array_equal(blocks[0].channels["total_field"], [53000.0, np.nan, 53002.0])
    assert (blocks[0].time == np.datetime64("2020-01-02T03:04:05")).all()


@pytest.mark.parametrize("keep", [9, 300])
def test_a_netcdf_file_that_was_cut_is_refused(tmp_path, keep):
    path = tmp_path / "points.nc"
    xr.Dataset({n: ("obs", np.arange(500.0)) for n in ("x", "y", "mag")}).to_netcdf(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match="netCDF"):
        open_survey_file(path, crs=UTM)


def test_a_grid_in_netcdf_is_told_from_points(tmp_path):
    path = tmp_path / "grid.nc"
    xr.Dataset({"z": (("y", "x"), np.zeros((3, 4)))}, {"x": np.arange(4.0), "y": np.arange(3.0)}).to_netcdf(
        path
    )
    with pytest.raises(FormatError, match="grid, not points"):
        open_survey_file(path, crs=UTM)


def test_every_real_survey_is_read_without_a_refused_row(survey_data):
    expected = {
        "osborne-magnetic/dev_osborne_only.csv.xz": (732_493, {}),
        "usgs-wi-magnetics/dev_WI_lines_first100.csv": (3_010, {}),
        "geosoft-gxpy-samples/mag_data.csv": (12_670, {"crs": "EPSG:26915"}),
    }
    for name, (rows, options) in expected.items():
        file, blocks = read(survey_data / name, **options)
        assert (joined(blocks, lambda b: b.x).size, file.refusals.total) == (rows, 0)


def test_the_real_wisconsin_survey_keeps_its_identity_of_channels(survey_data):
    path = survey_data / "usgs-wi-magnetics" / "dev_WI_lines_first100.csv"
    _, blocks = read(path, crs="EPSG:3071")
    channels = {name: joined(blocks, lambda b, n=name: b.channels[n]) for name in blocks[0].channels}
    # The residual is the total field minus IGRF; the file prints each with ten decimals.
    difference = channels["total_field"] - channels["reference_field"] - channels["total_field_anomaly"]
    assert np.nanmax(np.abs(difference)) < 1e-6


text_line = st.lists(
    st.sampled_from(
        ["1", "5e5", "7500000", "*", "", "x", '"q', "LINE 1", "inf", "2020-01-01", "é", "\x00", "-9999"]
    ),
    max_size=6,
).map(",".join)


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(text_line, max_size=25),
    header=st.sampled_from(["", "line,x,y,mag\n", "lon,lat,mag\n", "LINE 5\n", "x,y,date,mag\n"]),
    packed=st.booleans(),
    cut=st.integers(0, 30),
    end=st.sampled_from(["\n", ""]),
)
def test_any_file_is_read_without_loss_or_refused_in_words(tmp_path_factory, lines, header, packed, cut, end):
    content = (header + "\n".join(lines) + end).encode()
    data = gzip.compress(content) if packed else content
    path = tmp_path_factory.mktemp("fuzz") / "survey.csv"
    path.write_bytes(data[: len(data) - cut] if cut and packed else data)
    try:
        file, blocks = read(path, crs="EPSG:32754" if "lon" not in header else None)
    except PipelineError:
        return
    kept = sum(block.x.size for block in blocks)
    in_file = content.count(b"\n") + (not content.endswith(b"\n"))
    assert kept + file.refusals.total + file.skipped == in_file
