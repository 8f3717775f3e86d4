"""Columns are taken for channels by their names, with the reason told and the user's word first."""

import numpy as np
import pytest

from pipelines.errors import ParameterError
from pipelines.formats.columns import map_columns
from pipelines.formats.positions import utm_zone
from pipelines.formats.survey import guess_ties, line_order
from pipelines.formats.units import METRES, factor_to, split_unit


def mapping(names, **options):
    found = map_columns(names, {name: np.array([1.0, 2.0]) for name in names}, **options)
    return {match.channel: match.column for match in found.matches}


@pytest.mark.parametrize(
    ("names", "channel", "column"),
    [
        (["X", "Y", "UTM_X", "UTM_Y"], "easting", "UTM_X"),
        (["E_Nad83", "N_Nad83"], "northing", "N_Nad83"),
        (["LONGITUDE_GDA94", "LATITUDE_GDA94"], "longitude", "LONGITUDE_GDA94"),
        (["Radar Alt", "GPS Alt (m)"], "upward", "GPS Alt (m)"),
        (["RADAR", "DEM", "TOPO"], "upward", None),  # heights, but not the sensor's above the datum
        (["Flight Line"], "line", "Flight Line"),
        (["LINE", "flight_line"], "line", "LINE"),
        (["Residual Mag"], "total_field_anomaly", "Residual Mag"),
        (["DOY", "TIME"], "time_of_day", None),  # a time of day without its day tells nothing
        (["DATE", "TIME"], "time_of_day", "TIME"),
    ],
)
def test_a_channel_is_found_under_the_names_that_surveys_use(names, channel, column):
    assert mapping(names).get(channel) == column


def test_the_users_word_goes_before_a_guess_and_frees_the_guessed_column():
    found = mapping(["easting", "x", "northing"], given={"easting": "x"})
    assert found["easting"] == "x"
    assert found["easting_2"] == "easting"  # kept, under a name that is not taken


@pytest.mark.parametrize(
    ("channel", "nearest"),
    [
        ("nonsense", "total_field_anomaly"),  # which is what the column's name says
        ("total_field_anomly", "total_field_anomaly"),
        ("TMI", "total_field"),
        ("height", "upward"),
        ("time", "time_of_day"),
    ],
)
def test_a_channel_that_does_not_exist_is_refused_and_the_nearest_named(channel, nearest):
    with pytest.raises(ParameterError, match=f"neither a channel.*: {nearest}") as refused:
        mapping(["x", "y", "tmi_anomaly"], given={channel: "tmi_anomaly"})
    assert [remedy.example for remedy in refused.value.remedies] == [{nearest: "tmi_anomaly"}]


def test_a_channel_like_no_other_is_answered_with_all_there_are():
    with pytest.raises(ParameterError, match="neither a channel.*known: easting.*decimal_year") as refused:
        mapping(["x", "y", "q7"], given={"nonsense": "q7"})
    assert refused.value.remedies == ()


def test_a_column_given_under_its_own_name_keeps_it_and_the_house_writes_it():
    assert mapping(["x", "y", "Radar Alt"], given={"Radar Alt": "Radar Alt"})["radar_alt"] == "Radar Alt"
    assert mapping(["x", "y", "Fid"], given={"fid": "Fid"})["fid"] == "Fid"
    with pytest.raises(ParameterError, match="neither a channel"):
        mapping(["x", "y", "time"], given={"time": "time"})


def test_a_column_has_one_meaning():
    with pytest.raises(ParameterError, match="two channels"):
        mapping(["x", "y"], given={"easting": "x", "northing": "x"})


def test_every_column_is_in_the_map_or_left_out_with_a_reason():
    names = ["x", "y", "remark", "fid"]
    sample = {"x": np.ones(2), "y": np.ones(2), "remark": None, "fid": np.ones(2)}
    found = map_columns(names, sample, keep_other=False)
    assert sorted([m.column for m in found.matches] + [name for name, _ in found.left_out]) == sorted(names)
    assert all(why for _, why in found.left_out)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Alt (ft)", ("Alt", "ft")),
        ("mag [nT]", ("mag", "nT")),
        ("height_m", ("height", "m")),
        ("x", ("x", None)),
    ],
)
def test_units_are_split_off_names(name, expected):
    assert split_unit(name) == expected


def test_the_survey_foot_is_not_the_international_one():
    # 1200/3937 m against 0.3048 m exactly: two parts in a million, 15 m at the eastings of a state plane.
    assert factor_to(METRES, "us-ft", "x") / factor_to(METRES, "ft", "x") - 1 == pytest.approx(2e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("longitude", "latitude", "zone"),
    [(140.9, -22.0, "EPSG:32754"), (-75.7, 45.3, "EPSG:32618"), (-180.0, 0.0, "EPSG:32601"),
     (180.0, 0.0, "EPSG:32601"), (179.99, -1.0, "EPSG:32760"), (220.0, 10.0, "EPSG:32607"),
     (0.0, 51.0, "EPSG:32631")],
)  # fmt: skip
def test_utm_zones_are_six_degrees_from_the_date_line(longitude, latitude, zone):
    assert utm_zone(longitude, latitude) == zone


def test_points_are_grouped_by_line_and_refused_ones_leave_no_empty_line():
    order = line_order(np.array([0, 1, 0, 2, 1], dtype=np.int32), np.array([True, True, True, False, True]))
    assert order.order is not None
    assert order.order.tolist() == [0, 2, 1, 4]
    assert (order.start.tolist(), order.size.tolist(), order.codes.tolist()) == ([0, 2], [2, 2], [0, 1])
    assert line_order(np.array([0, 0, 1], dtype=np.int32)).order is None  # nothing to be moved


@pytest.mark.parametrize("azimuth", [0.0, 37.0, 89.0, 135.0, 179.0])
def test_ties_are_the_lines_across_whichever_way_the_lines_run(azimuth):
    turn = np.radians([azimuth] * 8 + [azimuth + 90.0] * 2)
    flown = np.where(np.arange(10) % 2, 1.0, -1.0) * 5000.0  # to and fro
    ends = np.zeros((10, 2)), np.zeros((10, 2))
    ends[0][:, 1], ends[1][:, 1] = flown * np.sin(turn), flown * np.cos(turn)
    ties, why = guess_ties(*ends)
    assert ties.tolist() == [False] * 8 + [True] * 2
    assert "2 that run across" in why


def test_a_grid_of_equal_lines_both_ways_has_no_ties():
    turn = np.radians([0.0] * 5 + [90.0] * 5)
    ties, why = guess_ties(
        np.stack([turn * 0, 5e3 * np.sin(turn)], 1), np.stack([turn * 0, 5e3 * np.cos(turn)], 1)
    )
    assert not ties.any()
    assert "like amounts" in why
