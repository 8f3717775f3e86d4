"""The main field, against NOAA's table, an independent potential, ppigrf and a real survey."""

import csv
import lzma
import math
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Proj, Transformer
from scipy.special import lpmv

from pipelines.conventions import assign_crs
from pipelines.errors import ParameterError
from pipelines.mag.harmonics import REFERENCE_RADIUS, synthesise
from pipelines.mag.igrf import (
    GENERATIONS,
    add_reference_field,
    decimal_year,
    field_at,
    igrf,
    load,
    reference_field,
)

UTM = 32754
PATCH_ERROR = 1e-3  # nT, what the patch promises


def survey_over(width=40e3, count=4000, seed=0, crs=UTM, **attrs):
    rng = np.random.default_rng(seed)
    positions = {
        "easting": ("point", 450e3 + rng.uniform(0, width, count)),
        "northing": ("point", 7.5e6 + rng.uniform(0, width, count)),
        "upward": ("point", rng.uniform(200, 900, count)),
    }
    channels = {"total_field": ("point", rng.normal(5e4, 100, count))}
    return assign_crs(xr.Dataset(channels, coords=positions, attrs=attrs), crs)


def with_times(survey, first, last, seed=1):
    first, last = np.datetime64(first, "ns"), np.datetime64(last, "ns")
    moments = first + (np.random.default_rng(seed).random(survey.sizes["point"]) * (last - first)).astype(
        "timedelta64[ns]"
    )
    return survey.assign(time=("point", moments))


def exact(survey, when, generation=14):
    to_geographic = Transformer.from_crs(survey.spatial_ref.attrs["crs_wkt"], "EPSG:4979", always_xy=True)
    longitude, latitude = to_geographic.transform(survey.easting.values, survey.northing.values)
    return igrf(when, longitude, latitude, survey.upward.values, generation=generation).intensity


def originals(path):
    """Coefficients of an .SHC file by (n, m), sine terms under -m whatever the file's own habit."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]
    found = {}
    for n, m, *values in rows[2:]:
        key = (int(n), int(m))
        found[(key[0], -key[1]) if key in found else key] = [float(v) for v in values]
    return [float(epoch) for epoch in rows[1]], found


def shipped(generation):
    model = load(generation)
    keys = [(n, m) for m in range(model.degree + 1) for n in range(max(m, 1), model.degree + 1)]
    cosine = {key: list(model.gauss[:, k, 0]) for k, key in enumerate(keys)}
    sine = {(n, -m): list(model.gauss[:, k, 1]) for k, (n, m) in enumerate(keys) if m}
    return list(model.epochs), cosine | sine


# Coefficients and dates


@pytest.mark.parametrize(("generation", "file"), [(11, "IGRF11.SHC"), (12, "IGRF12.SHC"), (14, "IGRF14.shc")])
def test_coefficients_are_those_of_the_issued_file(survey_data, generation, file):
    assert shipped(generation) == originals(survey_data / "igrf-wmm" / file)


def test_the_other_rounding_of_igrf_13_differs_in_seven_last_digits(survey_data):
    # The file of the name IGRF13.shc is not what NOAA computes with, see coefficients/README.md and
    # the next test but two.
    epochs, ours = shipped(13)
    other_epochs, theirs = originals(survey_data / "igrf-wmm" / "IGRF13.shc")
    assert epochs == other_epochs
    differences = [abs(a - b) for key in ours for a, b in zip(ours[key][:-1], theirs[key][:-1], strict=True)]
    assert sum(d > 0 for d in differences) == 7
    assert max(differences) == pytest.approx(0.1)


def test_igrf_14_and_its_definitive_epochs_are_those_of_the_table(survey_data):
    rows = [
        line.split()
        for line in (survey_data / "igrf-wmm" / "igrf14coeffs.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    kinds, heads, body = rows[0][3:], rows[1][3:], rows[2:]
    assert load(14).statuses == tuple(kinds)
    assert [float(e) for e in heads[:-1]] == list(load(14).epochs[:-1])
    _, ours = shipped(14)
    for letter, n, m, *values in body:
        mine = ours[int(n), -int(m) if letter == "h" else int(m)]
        assert mine[:-1] == [float(v) for v in values[:-1]]
        assert mine[-1] == pytest.approx(mine[-2] + 5 * float(values[-1]), abs=1e-9)


@pytest.mark.parametrize(
    ("when", "year"),
    [
        ("1990-01-01", 1990.0),
        (date(2019, 7, 2), 2019 + 182 / 365),
        ("2020-07-02T00:00", 2020 + 183 / 366),
        (datetime(2020, 1, 1, 5, tzinfo=timezone(timedelta(hours=5))), 2020.0),
        (datetime(2020, 1, 1, tzinfo=UTC), 2020.0),
        (np.datetime64("2021-12-31T12:00"), 2021 + 364.5 / 365),
        (1995, 1995.0),
        (2000.25, 2000.25),
    ],
)
def test_decimal_years_go_by_the_length_of_each_calendar_year(when, year):
    assert decimal_year(when) == pytest.approx(year, abs=1e-9)


def test_a_missing_time_has_no_year():
    assert np.isnan(decimal_year(np.array(["NaT"], dtype="datetime64[ns]"))).all()


@pytest.mark.parametrize(
    ("year", "generation", "standing"),
    [
        (1990.5, 14, "definitive"),
        (2020.0, 14, "definitive"),
        (2022.0, 14, "provisional"),
        (2025.0, 14, "provisional"),
        (2026.0, 14, "predicted"),
        (1943.0, 14, "provisional"),
        (2012.0, 12, "provisional"),
        (2012.0, 13, "definitive"),
        (1900.0, 11, "provisional"),
    ],
)
def test_the_standing_of_a_date_depends_on_the_generation(year, generation, standing):
    assert load(generation).standing(year) == standing


@pytest.mark.parametrize(
    ("when", "generation", "advice"),
    [
        ("2021-01-20", 12, "1900.0 to 2020.0; generation 13 or 14 covers it"),
        ("2031-06-01", 14, "1900.0 to 2030.0; no IGRF generation known here covers it"),
        ("1899-06-01", 14, "no IGRF generation"),
    ],
)
def test_a_date_outside_a_generation_is_refused_with_the_generations_that_cover_it(when, generation, advice):
    with pytest.raises(ParameterError, match="date") as refusal:
        igrf(when, 0.0, 0.0, generation=generation)
    assert advice in str(refusal.value)


# The field


def test_the_whole_noaa_table_agrees_to_its_printed_digit(survey_data):
    tables = []
    for component in ("b_e", "b_n", "b_z"):
        path = survey_data / "igrf-wmm" / "ncei-calculator" / "igrf13-2020-01-01" / f"{component}.csv.xz"
        with lzma.open(path, "rt") as stream:
            tables.append(np.loadtxt(stream, delimiter=","))
    _, latitude, longitude, kilometres, *_ = tables[0].T
    now, next_year = (
        igrf(year, longitude, latitude, kilometres * 1e3, generation=13) for year in (2020.0, 2021.0)
    )
    assert len(latitude) == 57_960
    for table, sign, before, after in zip(tables, (1, 1, -1), now, next_year, strict=True):
        # Printed to 0.1 nT: half of that, and as much again as rounding of the last bit needs.
        assert np.abs(sign * before - table[:, 4]).max() < 0.05 + 1e-6
        assert np.abs(sign * (after - before) - table[:, 5]).max() < 0.05 + 1e-6


def test_the_field_is_minus_the_gradient_of_an_independent_potential():
    # scipy's Legendre functions and PROJ's geocentric coordinates; central differences over 500 m:
    # (step n / R)² / 6 of the degrees' 5e4 … 10 nT leaves 1e-4 nT, rounding of V = 3e11 nT m / 500 m
    # times 1e-14 leaves 1e-5 nT.
    year, step = 2012.3, 250.0
    model = load(14)
    interval = np.searchsorted(model.epochs, year) - 1
    weight = (year - model.epochs[interval]) / 5.0
    gauss = (1 - weight) * model.gauss[interval] + weight * model.gauss[interval + 1]

    def potential(x, y, z):
        r, longitude = np.sqrt(x * x + y * y + z * z), np.arctan2(y, x)
        total, k = 0.0, 0
        for m in range(14):
            for n in range(max(m, 1), 14):
                schmidt = (-1) ** m * math.sqrt(
                    (2 if m else 1) * math.factorial(n - m) / math.factorial(n + m)
                )
                g, h = gauss[k]
                angular = g * np.cos(m * longitude) + h * np.sin(m * longitude)
                total = total + (REFERENCE_RADIUS / r) ** (n + 1) * angular * schmidt * lpmv(m, n, z / r)
                k += 1
        return REFERENCE_RADIUS * total

    rng = np.random.default_rng(5)
    longitude, latitude, height = (
        rng.uniform(-180, 180, 40),
        rng.uniform(-89, 89, 40),
        rng.uniform(0, 4e5, 40),
    )
    x = np.array(Transformer.from_crs(4979, 4978, always_xy=True).transform(longitude, latitude, height))
    b = [
        -(potential(*(x + d[:, None])) - potential(*(x - d[:, None]))) / (2 * step) for d in step * np.eye(3)
    ]
    lam, phi = np.radians(longitude), np.radians(latitude)
    equatorial = b[0] * np.cos(lam) + b[1] * np.sin(lam)
    expected = (
        -b[0] * np.sin(lam) + b[1] * np.cos(lam),
        b[2] * np.cos(phi) - equatorial * np.sin(phi),
        b[2] * np.sin(phi) + equatorial * np.cos(phi),
    )
    for ours, theirs in zip(igrf(year, longitude, latitude, height), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_an_axial_dipole_is_twice_as_strong_at_the_pole_as_on_the_equator():
    # On a geocentric sphere of radius a; geodetic latitudes 0 and 90 are geocentric ones too.
    model = load(14)
    only = np.zeros_like(model.intervals)
    only[:, 0, 0] = -30_000.0
    a, polar = 6_378_137.0, 6_356_752.314245
    latitude, height = np.array([0.0, 90.0]), np.array([REFERENCE_RADIUS - a, REFERENCE_RADIUS - polar])
    east, north, up = np.empty((3, 2))
    synthesise(
        latitude,
        np.zeros(2),
        height,
        np.full(2, 2000.0),
        model.epochs,
        only,
        model.table,
        13,
        east,
        north,
        up,
    )
    np.testing.assert_allclose(north, [30_000.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(up, [0.0, -60_000.0], atol=1e-6)
    np.testing.assert_allclose(east, 0.0, atol=1e-9)


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_the_poles_are_the_limit_along_each_meridian(pole):
    longitude = np.arange(-180.0, 181.0, 30.0)
    at, near = igrf(2015.0, longitude, pole), igrf(2015.0, longitude, pole * (1 - 1e-9))
    for a, b in zip(at, near, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # 1e-7 degrees are 10 mm; gradients are 0.01 nT/m
    np.testing.assert_allclose(at.horizontal, at.horizontal[0], rtol=1e-12)


def test_angles_and_intensity_belong_to_the_vector():
    field = igrf("1990-07-01", 140.7, -22.4, 300.0)
    assert field.up > 0  # the southern hemisphere
    assert -60 < field.inclination < -50
    assert 5 < field.declination < 8
    assert field.along(field.inclination, field.declination) == pytest.approx(float(field.intensity))


def test_time_runs_linearly_between_epochs_and_each_point_may_have_its_own():
    years = np.array([2015.0, 2016.25, 2017.5, 2020.0])
    together = igrf(years, 30.0, 50.0, 0.0)
    for i, year in enumerate(years):
        assert together.up[i] == igrf(year, 30.0, 50.0, 0.0).up
    first, last = together.up[0], together.up[-1]
    np.testing.assert_allclose(together.up, first + (last - first) * (years - 2015) / 5, rtol=1e-12)


def test_shapes_broadcast_and_missing_positions_stay_missing():
    field = igrf(2000.0, np.arange(4.0), np.array([[10.0], [np.nan]]), 0.0)
    assert field.up.shape == (2, 4)
    assert np.isfinite(field.up[0]).all()
    assert np.isnan(field.up[1]).all()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((2000.0, 0.0, 91.0, 0.0), "latitude"),
        ((2000.0, 0.0, 0.0, -6_371_000.0), "height"),
        (("yesterday", 0.0, 0.0), "date"),
        (([object()], 0.0, 0.0), "date"),
    ],
)
def test_nonsense_is_refused_by_name(arguments, field):
    with pytest.raises(ParameterError) as refusal:
        igrf(*arguments)
    assert refusal.value.field == field


def test_an_unknown_generation_is_refused():
    with pytest.raises(ParameterError, match="11, 12, 13, 14"):
        igrf(2000.0, 0.0, 0.0, generation=10)


@pytest.mark.peer
def test_the_field_agrees_with_ppigrf():
    ppigrf = pytest.importorskip("ppigrf")
    rng = np.random.default_rng(2)
    longitude, latitude, height = (
        rng.uniform(-180, 180, 300),
        rng.uniform(-89, 89, 300),
        rng.uniform(0, 6e4, 300),
    )
    for year in (1900, 1945, 1990, 2015, 2025):  # epochs: it interpolates by days, we by years
        theirs = ppigrf.igrf(longitude, latitude, height / 1e3, datetime(year, 1, 1))  # noqa: DTZ001
        for ours, other in zip(igrf(float(year), longitude, latitude, height), theirs, strict=True):
            # Its turn from geocentric to geodetic vectors is by an approximate latitude: 4e-4 nT.
            np.testing.assert_allclose(ours, other.ravel(), atol=2e-3)


# One direction for a survey


@pytest.mark.parametrize(
    ("crs", "easting", "northing"),
    [(32754, 300e3, 7.5e6), (32754, 760e3, 7.5e6), (32633, 700e3, 7e6), (3071, 7e5, 4.9e5)],
)
def test_grid_declination_is_declination_less_the_convergence_that_proj_gives(crs, easting, northing):
    field = field_at(crs, easting, northing, "2010-06-01")
    factors = Proj(CRS.from_epsg(crs)).get_factors(field.longitude, field.latitude)
    assert field.grid_convergence == pytest.approx(factors.meridian_convergence, abs=1e-4)
    assert field.grid_declination == pytest.approx(field.declination - factors.meridian_convergence, abs=1e-4)


def test_on_the_central_meridian_grid_north_is_true_north():
    field = field_at("EPSG:32754", 500e3, 7.5e6, "1990-07-01")
    assert field.grid_convergence == pytest.approx(0.0, abs=1e-7)
    assert field.standing == "definitive"
    direct = igrf("1990-07-01", field.longitude, field.latitude)
    assert field.inclination == float(direct.inclination)
    assert field.intensity == float(direct.intensity)


def test_field_at_refuses_a_place_outside_the_projection_and_a_list_of_dates():
    with pytest.raises(ParameterError, match="easting"):
        field_at(UTM, 1e12, 1e12, "1990-07-01")
    with pytest.raises(ParameterError, match="one date"):
        field_at(UTM, 5e5, 7.5e6, ["1990-07-01", "1990-07-02"])


# Along a survey


@settings(max_examples=15, deadline=None)
@given(
    st.floats(1e2, 8e5),
    st.sampled_from([(32754, 0), (32633, 0), (3031, 0)]),
    st.floats(1905, 2024),
    st.sampled_from(GENERATIONS[2:]),
)
def test_the_patch_keeps_its_promise_for_any_size_place_and_date(width, place, year, generation):
    survey = survey_over(width, 300, crs=place[0])
    day = np.datetime64(f"{int(year)}-01-01") + int((year % 1) * 365)
    found = reference_field(survey, date=str(day), generation=generation)
    assert found.attrs["patch_error"] < PATCH_ERROR
    np.testing.assert_allclose(found, exact(survey, day, generation), atol=PATCH_ERROR)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2019-12-20", "2020-01-25"),
        ("1999-11-01", "2000-03-01"),
        ("1988-03-01", "1991-09-30"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_each_point_has_its_own_time_across_new_year_and_epochs(first, last):
    survey = with_times(survey_over(), first, last)
    found = reference_field(survey)
    np.testing.assert_allclose(found, exact(survey, survey.time.values), atol=PATCH_ERROR)


def test_a_tall_survey_keeps_the_promise():
    survey = survey_over().assign_coords(upward=("point", np.random.default_rng(3).uniform(0, 5e5, 4000)))
    np.testing.assert_allclose(
        reference_field(survey, date="2010-01-01"), exact(survey, "2010-01-01"), atol=PATCH_ERROR
    )


def test_the_order_of_the_points_does_not_matter():
    survey = survey_over(survey_date="1990-07-01")
    order = np.random.default_rng(4).permutation(survey.sizes["point"])
    np.testing.assert_array_equal(reference_field(survey)[order], reference_field(survey.isel(point=order)))


def test_a_date_given_goes_before_times_and_times_before_the_survey_date():
    survey = with_times(survey_over(survey_date="1960-01-01"), "1990-01-01", "1990-02-01")
    assert "own time" in reference_field(survey).attrs["dates"]
    given = reference_field(survey, date="2010-01-01")
    assert given.attrs["dates"] == "2010-01-01 (given)"
    np.testing.assert_allclose(given, exact(survey, "2010-01-01"), atol=PATCH_ERROR)
    dated = reference_field(survey.drop_vars("time"))
    np.testing.assert_allclose(dated, exact(survey, "1960-01-01"), atol=PATCH_ERROR)


def test_the_geoid_height_is_added_to_the_heights():
    survey = survey_over(survey_date="2010-01-01")
    higher = survey.assign_coords(upward=survey.upward + 40.0)
    np.testing.assert_allclose(reference_field(survey, geoid_height=40.0), reference_field(higher), atol=1e-8)
    change = reference_field(higher) - reference_field(survey)
    assert ((change > -1.3) & (change < -0.7)).all()  # 3 F / R: 0.024 nT a metre


def test_points_without_height_or_time_get_no_value_and_spoil_no_other():
    whole = with_times(survey_over(), "1990-01-01", "1990-02-01")
    holed = whole.copy(deep=True)
    holed["upward"][3], holed["time"][5] = np.nan, np.datetime64("NaT", "ns")
    found = reference_field(holed)
    assert list(np.flatnonzero(np.isnan(found))) == [3, 5]
    np.testing.assert_allclose(
        found.dropna("point"), np.delete(reference_field(whole).values, [3, 5]), atol=PATCH_ERROR
    )


def test_a_survey_without_heights_is_taken_at_the_geoid():
    survey = survey_over(survey_date="2010-01-01")
    flat = survey.assign_coords(upward=("point", np.zeros(4000)))
    np.testing.assert_allclose(reference_field(survey.drop_vars("upward")), reference_field(flat), atol=1e-9)


def test_dask_numpy_and_a_store_opened_lazily_give_the_same_numbers(tmp_path):
    survey = with_times(survey_over(), "1999-12-01", "2000-02-01")
    whole = reference_field(survey)
    assert isinstance(whole.data, np.ndarray)
    chunked = reference_field(survey.chunk(point=999))
    assert chunked.chunks is not None
    survey.to_zarr(tmp_path / "survey.zarr")
    stored = reference_field(xr.open_zarr(tmp_path / "survey.zarr", chunks=None, decode_coords="all"))
    assert stored.chunks is not None
    np.testing.assert_array_equal(chunked, whole)
    np.testing.assert_allclose(stored, whole, atol=1e-9)


def test_the_pipeline_returns_the_survey_with_its_reference_field():
    survey = survey_over(survey_date="1990-07-01")
    out = add_reference_field(survey, generation=13)
    np.testing.assert_array_equal(out.reference_field, reference_field(survey, generation=13))
    xr.testing.assert_identical(out.total_field, survey.total_field)
    assert out.reference_field.attrs["model"] == "IGRF-13"
    assert out.reference_field.attrs["units"] == "nT"
    assert "mag.igrf" in out.attrs["history"]
    with pytest.raises(ParameterError, match="generation"):
        add_reference_field(survey, generation=9)


def test_an_empty_survey_has_an_empty_reference_field():
    assert reference_field(survey_over(survey_date="1990-07-01").isel(point=slice(0, 0))).size == 0


@pytest.mark.parametrize(
    ("survey", "words"),
    [
        (survey_over(), "survey_date"),
        (survey_over(crs=None, survey_date="1990-07-01"), "assign_crs"),
        (survey_over(crs=4326, survey_date="1990-07-01"), "must be projected"),
        (survey_over(survey_date="1990-07-01").drop_vars("easting"), "easting"),
        (survey_over(survey_date="last summer"), "ISO date"),
        (survey_over(survey_date="1890-07-01"), "1900.0 to 2030.0"),
        (survey_over(1e12, survey_date="1990-07-01"), "check its CRS"),
    ],
)
def test_a_survey_that_cannot_be_dated_or_placed_is_refused_with_what_to_do(survey, words):
    with pytest.raises(ParameterError, match=words):
        reference_field(survey)


def test_the_wisconsin_survey_took_igrf_12_a_year_past_its_end(survey_data):
    # Flown in January 2021, "2015 model": the contractor's column is IGRF-12 with its secular
    # variation run on beyond 2020.0, at each point's date and orthometric height, and cut at degree
    # 12, to half a nanotesla. No generation gives it within its span, which is why dates are checked.
    with (survey_data / "usgs-wi-magnetics" / "dev_WI_lines_first100.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    column = {
        name: np.array([float(r[name]) for r in rows]) for name in ("TMI", "RMF", "igrf", "Lon", "Lat", "Alt")
    }
    np.testing.assert_allclose(column["RMF"], column["TMI"] - column["igrf"], atol=1e-9)
    years = decimal_year(
        np.array([f"{r['Date'].replace('/', '-')}T{r['Time']}" for r in rows], dtype="datetime64[s]")
    )
    model = load(12)
    degrees = np.array([n for m in range(14) for n in range(max(m, 1), 14)])
    cut = np.where((degrees <= 12)[:, None], model.intervals, 0.0)
    east, north, up = np.empty((3, years.size))
    synthesise(
        column["Lat"],
        column["Lon"],
        column["Alt"],
        years,
        model.epochs,
        cut,
        model.table,
        13,
        east,
        north,
        up,
    )
    np.testing.assert_allclose(np.sqrt(east**2 + north**2 + up**2), column["igrf"], atol=0.55)
    with pytest.raises(ParameterError, match="generation 13 or 14"):
        igrf(years, column["Lon"], column["Lat"], column["Alt"], generation=12)
    current = igrf(years, column["Lon"], column["Lat"], column["Alt"]).intensity
    assert np.median(np.abs(current - column["igrf"])) > 50  # what the stale model cost this survey
