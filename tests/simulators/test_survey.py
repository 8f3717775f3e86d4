"""Simulated surveys: paths that can be flown, errors that behave like errors, files that read back."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import CubicSpline

from pipelines.conventions import crs_of
from pipelines.errors import DataError, ParameterError
from pipelines.formats.reader import open_survey_file
from pipelines.mag.forward import Prism, total_field_anomaly
from pipelines.mag.lines import line_spacing
from simulators.__main__ import main
from simulators.base_station import base_station
from simulators.bodies import Block, magnetisation
from simulators.files import write_csv, write_xyz
from simulators.flightpath import _climbable, drape
from simulators.instruments import Errors, diurnal
from simulators.relief import Terrain
from simulators.scene import Scene, scene
from simulators.survey import ENDURANCE, fly

EXTENT = (500_000.0, 7_000_000.0, 504_000.0, 7_003_000.0)
WEST, SOUTH, EAST, NORTH = EXTENT
NONE = Errors(noise=0.0, lag=0.0, heading=0.0, levelling=0.0, spikes=0.0, wander=0.0)
LINES = {"line_spacing": 250.0, "tie_spacing": 800.0}


@pytest.fixture(scope="module")
def drawn() -> Scene:
    return scene(5, extent=EXTENT)


@pytest.fixture(scope="module")
def survey(drawn) -> xr.Dataset:
    return fly(drawn, **LINES, with_errors=True)


def points_of(survey: xr.Dataset, line: int) -> xr.Dataset:
    start = int(survey["line_start"][line])
    return survey.isel(point=slice(start, start + int(survey["line_size"][line])))


def test_the_same_seed_flies_the_same_survey_to_the_last_bit(drawn, survey):
    again = fly(scene(5, extent=EXTENT), **LINES, with_errors=True)
    xr.testing.assert_identical(again, survey)
    other = fly(drawn, **LINES, seed=6)
    assert not np.array_equal(other["total_field"][:100], survey["total_field"][:100])


def test_points_are_line_major_and_time_never_goes_back(survey):
    size, start = survey["line_size"].values, survey["line_start"].values
    assert size.sum() == survey.sizes["point"]
    np.testing.assert_array_equal(start, np.cumsum(size) - size)
    np.testing.assert_array_equal(survey["line_index"], np.repeat(np.arange(survey.sizes["line"]), size))
    assert np.all(np.diff(survey["time"].values) > np.timedelta64(0, "ns"))
    assert all(np.isfinite(survey[name]).all() for name in ("easting", "northing", "upward"))


def test_lines_and_ties_lie_as_they_were_asked_for(survey):
    measured = line_spacing(survey)
    # Lines wander with a standard deviation of 4 m, so a median of spacings is off by a few metres at most.
    assert measured.spacing == pytest.approx(250.0, abs=8.0)
    assert measured.tie_spacing == pytest.approx(800.0, abs=8.0)
    assert measured.azimuth == pytest.approx(90.0, abs=0.5)
    # 70 m/s and 0.1 s; the pilot's hurry varies it by a few per cent, its median by less.
    assert measured.sampling == pytest.approx(7.0, rel=0.01)
    ties = survey["line_type"].values == "tie"
    assert ties.any()
    assert [name[0] for name in survey["line_name"].values] == ["T" if tie else "L" for tie in ties]


@pytest.mark.parametrize("azimuth", [0.0, 30.0, 200.0])
def test_lines_of_any_azimuth_cover_the_extent_and_stay_near_it(drawn, azimuth):
    flown = fly(drawn, **LINES, line_azimuth=azimuth, errors=NONE)
    assert flown["easting"].min() > WEST - 130.0
    assert flown["easting"].max() < EAST + 130.0
    assert flown["northing"].min() > SOUTH - 130.0
    assert flown["northing"].max() < NORTH + 130.0
    headings = np.unique(flown["heading"].values[flown["line_type"].values[flown["line_index"]] == "line"])
    np.testing.assert_allclose(headings, sorted({azimuth % 360.0, (azimuth + 180.0) % 360.0}))
    rng = np.random.default_rng(0)
    inside = rng.uniform((WEST + 250, SOUTH + 250), (EAST - 250, NORTH - 250), (50, 2))
    nearest = [np.hypot(flown["easting"] - e, flown["northing"] - n).min() for e, n in inside]
    # Half a line spacing across, half a sample along.
    assert max(nearest) <= np.hypot(125.0, 3.5) + 1e-6


def test_the_drape_keeps_its_clearance_over_rugged_ground_and_its_climb():
    rugged = dataclasses.replace(scene(5, extent=EXTENT), terrain=Terrain(5, EXTENT, 210.0, 900.0))
    flown = fly(rugged, **LINES, climb=0.06, errors=NONE)
    allowed = drape(rugged.terrain, clearance=80.0, gradient=0.06, azimuth=90.0).deficit
    # Between the drape's nodes, 50 m apart, the ground may bulge by slope changes of metres.
    bulge = 3.0
    assert (flown["upward"] - flown["ground"]).min() > 80.0 - allowed - bulge
    for line in range(flown.sizes["line"]):
        part = points_of(flown, line)
        along = np.hypot(np.diff(part["easting"]), np.diff(part["northing"]))
        # The nodes keep the climb; a cubic spline through them may be steeper between by a few per cent.
        assert np.abs(np.diff(part["upward"]) / along).max() < 0.06 * 1.05


def test_the_drape_follows_gentle_ground_at_the_clearance(drawn):
    gentle = dataclasses.replace(drawn, terrain=Terrain(5, EXTENT, 210.0, 230.0))
    flown = fly(gentle, **LINES, errors=NONE)
    # 20 m of relief over kilometres: slopes of 1 %, and the drape is rounded over 100 m.
    np.testing.assert_allclose(flown["upward"] - flown["ground"], 80.0, atol=2.0)


@given(arrays(float, (7, 9), elements=st.floats(0.0, 1000.0)), st.floats(0.5, 100.0), st.sampled_from([0, 1]))
def test_a_climbable_surface_is_the_lowest_one_above_with_bounded_steps(surface, step, dimension):
    climbable = _climbable(surface, step, dimension)
    # Ramps reach 9 x 100 m on 1000 m: rounding of 1e-12.
    assert np.all(climbable >= surface - 1e-9)
    assert np.abs(np.diff(climbable, axis=dimension)).max() <= step + 1e-9
    # The lowest: its definition by the largest cone, written out.
    other = np.arange(surface.shape[dimension])
    cone = step * np.abs(other[:, np.newaxis] - other)
    moved = np.moveaxis(surface, dimension, 0)
    expected = np.moveaxis((moved[np.newaxis] - cone[:, :, np.newaxis]).max(axis=1), 0, dimension)
    np.testing.assert_allclose(climbable, expected, atol=1e-9)


def test_flights_land_before_the_fuel_is_gone_and_one_is_flown_a_day(drawn):
    flown = fly(drawn, line_spacing=100.0, tie_spacing=500.0, speed=6.0, sample_interval=1.0)
    flights = np.unique(flown["flight"])
    assert flights.size > 1
    for flight in flights:
        times = flown["time"].values[flown["flight"].values == flight]
        assert np.ptp(times) <= np.timedelta64(int(ENDURANCE), "s")
        assert np.all((times - times[0]) < np.timedelta64(1, "D"))
    assert str(flown["time"].values[0])[:10] == flown.attrs["survey_date"]


def test_the_raw_channel_is_the_sum_of_what_it_is_made_of(survey):
    errors = sum(survey[name] for name in ("diurnal", "heading_error", "levelling_error", "noise", "spike"))
    clean = (survey["total_field"] - errors).values
    field = (survey["reference_field"] + survey["total_field_anomaly_true"]).values
    lag = json.loads(survey.attrs["simulation"])["lag_samples"]
    assert lag == 4
    for line in (0, survey.sizes["line"] - 1):
        start, size = int(survey["line_start"][line]), int(survey["line_size"][line])
        # Sums of five terms of 5e4 nT: rounding of a few 1e-11.
        np.testing.assert_allclose(
            clean[start + lag : start + size], field[start : start + size - lag], atol=1e-9
        )


def test_correcting_by_the_base_station_leaves_only_its_noise(survey):
    base = base_station(survey)
    seconds, at = (values.astype("int64") / 1e9 for values in (base["time"].values, survey["time"].values))
    corrected = survey["diurnal"].values - np.interp(at, seconds, base["total_field"] - base.attrs["datum"])
    # 0.02 nT of station noise, less where two readings are averaged; the fastest pulsation (20 s, under
    # 0.1 nT) bends by 0.1 (2 pi / 20)^2 / 8 = 1e-3 nT between readings one second apart.
    assert np.sqrt(np.mean(corrected**2)) < 0.02
    assert abs(corrected.mean()) < 0.003


def test_the_diurnal_of_a_day_does_not_depend_on_how_long_the_survey_lasts():
    first = np.linspace(0.0, 86_400.0, 50)
    longer = np.linspace(0.0, 5 * 86_400.0, 246)
    # The same numbers but for the rounding of vectorised exponentials.
    np.testing.assert_allclose(diurnal(1, first, 141.0), diurnal(1, longer, 141.0)[:50], rtol=0, atol=1e-12)


def test_the_heading_error_changes_sign_with_the_direction_flown(survey):
    heading, error = survey["heading"].values, survey["heading_error"].values
    for one, other in ((90.0, 270.0), (0.0, 180.0)):
        there, back = np.unique(error[heading == one]), np.unique(error[heading == other])
        assert there.size == back.size == 1
        np.testing.assert_allclose(there, -back, atol=1e-12)
    assert abs(error[heading == 90.0][0]) > 1.0


def test_lines_and_ties_cross_at_one_height_and_one_field_and_differ_by_noise_alone(drawn):
    sigma = 0.05
    flown = fly(drawn, **LINES, errors=dataclasses.replace(NONE, noise=sigma))
    ties = np.flatnonzero(flown["line_type"].values == "tie")
    lines = np.flatnonzero(flown["line_type"].values == "line")
    names = ("upward", "total_field_anomaly_true", "total_field_anomaly")
    differences = []
    for tie in (points_of(flown, i) for i in ties):
        easting = float(tie["easting"].mean())
        for line in (points_of(flown, i) for i in lines):
            northing = float(line["northing"].mean())
            differences.append(
                [
                    _at(line["easting"], line[name], easting) - _at(tie["northing"], tie[name], northing)
                    for name in names
                ]
            )
    height, true, corrected = np.array(differences).T
    assert height.size == ties.size * lines.size > 50
    # Cubic splines through samples 7 m apart: (h^4 / 384) f'''' with f'''' = A / (100 m)^4, A of the
    # order of 10 m or 1000 nT, is below 1e-4.
    np.testing.assert_allclose(height, 0.0, atol=1e-3)
    np.testing.assert_allclose(true, 0.0, atol=1e-3)
    # A spline weighs the noise by at most one; two channels differ; three standard errors of a rms.
    rms = np.sqrt(np.mean(corrected**2))
    assert rms < np.sqrt(2) * sigma * (1 + 3 / np.sqrt(2 * corrected.size))
    assert rms > 0.6 * sigma


def test_the_corrected_channel_differs_from_the_truth_by_the_noise(survey):
    noise = (survey["total_field_anomaly"] - survey["total_field_anomaly_true"]).values
    np.testing.assert_allclose(noise, survey["noise"], atol=1e-10)
    # Standard error of a standard deviation: 1 / sqrt(2 n).
    assert noise.std() == pytest.approx(0.05, rel=4 / np.sqrt(2 * noise.size))


def test_spikes_are_as_rare_and_as_large_as_asked_for(drawn):
    flown = fly(drawn, **LINES, errors=dataclasses.replace(NONE, spikes=0.01), with_errors=True)
    spike = flown["spike"].values
    hit = np.abs(spike[spike != 0])
    assert hit.min() >= 20.0
    assert hit.max() <= 400.0
    # Binomial: four standard deviations.
    assert hit.size == pytest.approx(0.01 * spike.size, abs=4 * np.sqrt(0.01 * spike.size))


def test_over_one_dyke_the_survey_measures_the_dyke(drawn):
    dyke = Block("dyke-1", "dyke", 502_000.0, 7_001_500.0, 0.0, 1500.0, 60.0, 150.0, -1000.0, 0.05)
    alone = dataclasses.replace(drawn, layers=(), bodies=(dyke,))
    flown = fly(alone, **LINES)
    main_field = alone.main
    prism = Prism(
        501_970.0, 502_030.0, 7_000_750.0, 7_002_250.0, -1000.0, 150.0,
        magnetisation(0.05, None, main_field, 0.0),
    )  # fmt: skip
    expected = total_field_anomaly(
        (flown["easting"], flown["northing"], flown["upward"]),
        prism,
        inclination=main_field.inclination,
        declination=main_field.declination,
    )
    assert np.ptp(expected) > 100.0
    np.testing.assert_allclose(flown["total_field_anomaly_true"], expected, rtol=1e-7, atol=1e-5)


def test_the_survey_says_when_where_and_that_it_is_simulated(survey):
    assert survey.attrs["survey_date"] == "2024-05-14"
    assert survey.attrs["source"] == "simulated, seed 5"
    assert crs_of(survey).to_epsg() == 32754
    for name in ("easting", "northing", "upward", "total_field", "total_field_anomaly", "diurnal"):
        assert survey[name].attrs["units"] in ("m", "nT")
        assert survey[name].dtype == np.float64


def test_the_scenes_main_field_is_the_reference_field_of_its_place(survey, drawn):
    # 2 km from centre to edge and 400 m of height change the intensity by some 10 nT each, no more than 1e-3.
    np.testing.assert_allclose(survey["reference_field"], drawn.main.intensity, rtol=1e-3)


def test_a_survey_round_trips_through_netcdf(survey, tmp_path):
    survey.to_netcdf(tmp_path / "survey.nc")
    with xr.open_dataset(tmp_path / "survey.nc", decode_coords="all") as read:
        np.testing.assert_array_equal(read["total_field"], survey["total_field"])
        np.testing.assert_array_equal(read["time"], survey["time"])
        assert crs_of(read) == crs_of(survey)


@pytest.mark.parametrize("name", ["survey.csv", "survey.csv.gz", "survey.csv.xz"])
def test_csv_holds_every_point_to_a_thousandth_of_a_nanotesla(survey, tmp_path, name):
    write_csv(survey, tmp_path / name)
    table = pd.read_csv(tmp_path / name)
    assert len(table) == survey.sizes["point"]
    np.testing.assert_allclose(table["total_field"], survey["total_field"], atol=0.00051)
    np.testing.assert_allclose(table["easting"], survey["easting"], atol=0.0051)
    assert list(table["line"].unique()) == list(survey["line_name"].values)
    assert set(table["line_type"]) == {"line", "tie"}
    read = pd.to_datetime(table["datetime"]).dt.tz_convert(None).to_numpy()
    # Milliseconds are cut off, not rounded.
    assert np.abs(read - survey["time"].values).max() < np.timedelta64(1, "ms")


def test_xyz_opens_every_line_with_its_header_and_nulls_are_stars(survey, tmp_path):
    holed = survey.copy(deep=True)
    holed["total_field"][7] = np.nan
    write_xyz(holed, tmp_path / "survey.xyz")
    lines = (tmp_path / "survey.xyz").read_text().splitlines()
    headers = [line for line in lines if line.startswith(("LINE ", "TIE "))]
    kinds = survey["line_type"].values
    expected = [
        f"{'TIE' if kind == 'tie' else 'LINE'} {name[1:]}"
        for name, kind in zip(survey["line_name"].values, kinds, strict=True)
    ]
    assert headers == expected
    columns = next(line for line in lines if line.startswith("/ date")).split()[1:]
    rows = [line.split() for line in lines if not line.startswith(("/", "LINE", "TIE"))]
    assert len(rows) == survey.sizes["point"]
    assert {len(row) for row in rows} == {len(columns)}
    assert rows[7][columns.index("total_field")] == "*"
    assert sum(row.count("*") for row in rows) == 1


@pytest.mark.parametrize(("name", "write"), [("survey.csv", write_csv), ("survey.xyz", write_xyz)])
def test_the_importers_read_what_was_written(survey, tmp_path, name, write):
    write(survey, tmp_path / name)
    file = open_survey_file(tmp_path / name, crs="EPSG:32754")
    blocks = list(file.blocks())
    assert file.refusals.total == 0
    np.testing.assert_allclose(np.concatenate([b.x for b in blocks]), survey["easting"], atol=0.0051)
    np.testing.assert_allclose(np.concatenate([b.y for b in blocks]), survey["northing"], atol=0.0051)
    for channel in ("total_field", "total_field_anomaly", "diurnal", "upward"):
        read = np.concatenate([b.channels[channel] for b in blocks])
        np.testing.assert_allclose(read, survey[channel], atol=0.0051 if channel == "upward" else 0.00051)
    np.testing.assert_array_equal(np.concatenate([b.line for b in blocks]), survey["line_index"])
    read = np.concatenate([b.time for b in blocks])
    assert np.abs(read - survey["time"].values).max() < np.timedelta64(1, "ms")


def test_the_command_line_writes_survey_base_and_scene(tmp_path, capsys):
    out, base, truth = tmp_path / "out.csv", tmp_path / "base.csv", tmp_path / "scene.json"
    extent = [str(v) for v in (WEST, SOUTH, WEST + 2000, SOUTH + 2000)]
    status = main(
        ["survey", str(out), "--seed", "9", "--extent", *extent, "--base", str(base), "--scene", str(truth)]
    )
    assert status == 0
    assert "seed 9" in capsys.readouterr().out
    assert len(pd.read_csv(out)) > 1000
    assert pd.read_csv(base)["total_field"].notna().all()
    assert Scene.from_json(truth.read_text()) == scene(9, extent=(WEST, SOUTH, WEST + 2000, SOUTH + 2000))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["out.doc"], 2, "must end in"),
        (["out.csv", "--seed", "-3"], 2, "zero or positive"),
        (["out.csv", "--date", "yesterday"], 2, "ISO date"),
        (["out.csv", "--line-spacing", "0"], 2, "positive"),
        (["nowhere/out.csv"], 1, "nowhere does not exist"),
        (["out.csv", "--base", "nowhere/base.csv"], 1, "nowhere does not exist"),
    ],
)
def test_the_command_line_refuses_nonsense_in_words(tmp_path, monkeypatch, capsys, arguments, status, words):
    monkeypatch.chdir(tmp_path)
    assert main(["survey", *arguments]) == status
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["line_spacing", "tie_spacing", "clearance", "climb", "speed", "sample_interval"]
)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_flying_refuses_distances_and_times_that_are_not_positive(drawn, name, value):
    with pytest.raises(ParameterError) as caught:
        fly(drawn, **{name: value})
    assert caught.value.field == name


@pytest.mark.parametrize("azimuth", [float("nan"), float("inf")])
def test_flying_refuses_an_azimuth_that_is_no_number(drawn, azimuth):
    with pytest.raises(ParameterError) as caught:
        fly(drawn, line_azimuth=azimuth)
    assert caught.value.field == "line_azimuth"


def test_a_lag_is_bounded_by_the_distance_flown_in_it(drawn):
    # 500 m at 70 m/s are 7.1 s.
    with pytest.raises(ParameterError, match=r"lag = 7\.2 must be at most 7\.14"):
        fly(drawn, **LINES, errors=dataclasses.replace(NONE, lag=7.2))
    flown = fly(drawn, **LINES, errors=dataclasses.replace(NONE, lag=7.0))
    # The sensor trails by 70 samples, over ground that the drape clears: the field there is finite.
    assert np.isfinite(flown["total_field"]).all()


def test_beyond_its_margin_the_drape_goes_on_level_from_its_edge(drawn):
    surface = drape(drawn.terrain, clearance=80.0, gradient=0.05, azimuth=90.0)
    middle = np.array([(SOUTH + NORTH) / 2])
    # Lines along 90 degrees: the margin ends 1000 m east of the extent, at a node or less than one past it.
    edge = surface.height(np.array([EAST + 1050.0]), middle)
    for beyond in (1100.0, 5000.0, 100_000.0):
        np.testing.assert_allclose(surface.height(np.array([EAST + beyond]), middle), edge, atol=1e-9)
    assert edge > drawn.terrain.lowest


def test_a_base_station_needs_a_simulated_survey():
    with pytest.raises(DataError, match="fly"):
        base_station(xr.Dataset())


def _at(position: xr.DataArray, values: xr.DataArray, where: float) -> float:
    order = np.argsort(position.values)
    return float(CubicSpline(position.values[order], values.values[order])(where))
