"""The chain from line data to maps, against the closed form of two buried prisms."""

import datetime

import numpy as np
import pytest
import xarray as xr

from pipelines.conventions import assign_crs
from pipelines.errors import DataError, ParameterError
from pipelines.mag.choices import from_attributes
from pipelines.mag.forward import Prism, magnetisation, total_field_anomaly
from pipelines.mag.igrf import field_at, reference_field
from pipelines.mag.process import ALL, process

CRS, DATE = "EPSG:32754", "1990-07-01"
WEST, SOUTH, SIDE, SPACING, HEIGHT = 690_000.0, 7_560_000.0, 6_000.0, 100.0, 80.0
MIDDLE = (WEST + SIDE / 2, SOUTH + SIDE / 2)
POLE = (90.0, 0.0)
INNER = {"northing": slice(20, -20), "easting": slice(20, -20)}


def main_field():
    """Inclination and declination from grid north in the middle of the survey."""
    found = field_at(CRS, *MIDDLE, DATE, height=HEIGHT)
    return found.inclination, found.grid_declination


def anomaly(easting, northing, upward, direction):
    """Two induced prisms whose middles lie some 430 m below the sensor; 130 nT."""
    moment = tuple(float(part) for part in magnetisation(2.0, *direction))
    bodies = [
        Prism(WEST + 2_500, WEST + 2_850, SOUTH + 2_700, SOUTH + 3_200, -520, -220, moment),
        Prism(WEST + 3_200, WEST + 3_500, SOUTH + 2_900, SOUTH + 3_250, -450, -170, moment),
    ]
    inclination, declination = direction
    points = np.broadcast_arrays(easting, northing, float(upward))
    return total_field_anomaly(points, bodies, inclination=inclination, declination=declination)


def flown(lines=61, length=SIDE, sampling=25.0, south=0.0):
    """Level lines from west to east over the prisms."""
    along = np.arange(0, length + 1, sampling)
    easting = WEST + np.tile(along, lines)
    northing = SOUTH + south + np.repeat(np.arange(lines) * SPACING, along.size)
    size = np.full(lines, along.size)
    survey = xr.Dataset(
        {
            "total_field_anomaly": (
                "point",
                anomaly(easting, northing, HEIGHT, main_field()),
                {"units": "nT"},
            ),
            "line_start": ("line", np.cumsum(size) - size),
            "line_size": ("line", size),
        },
        coords={
            "easting": ("point", easting),
            "northing": ("point", northing),
            "upward": ("point", np.full(easting.size, HEIGHT)),
        },
        attrs={"survey_date": DATE},
    )
    return assign_crs(survey, CRS)


def small(**options):
    """A corner of the survey, for what does not depend on its size."""
    return flown(lines=9, length=800.0, **options)


def undated():
    survey = small()
    survey.attrs.clear()
    return survey


def renamed(survey, name, **attrs):
    """The survey's only channel under another name and with other attributes."""
    channel = survey["total_field_anomaly"].rename(None)
    return survey.drop_vars("total_field_anomaly").assign({name: channel.assign_attrs(attrs)})


@pytest.fixture(scope="module", params=["harmonic", "minimum_curvature"])
def maps(request):
    return process(flown(), gridder=request.param)


def chosen(result):
    return {choice.parameter: choice.value for choice in from_attributes(result.attrs)}


def reasons(result):
    return {choice.parameter: choice.reason for choice in from_attributes(result.attrs)}


def gradient(east, north, direction):
    """East, north and up derivatives by central differences of a metre."""
    steps = [(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)]
    return [
        anomaly(east + e, north + n, HEIGHT + u, direction)
        - anomaly(east - e, north - n, HEIGHT - u, direction)
        for e, n, u in steps
    ]


def test_every_map_is_that_of_the_prisms_in_closed_form(maps):
    east, north = np.meshgrid(maps.easting, maps.northing)
    de, dn, du = gradient(east, north, POLE)
    truth = {
        "total_field_anomaly": anomaly(east, north, HEIGHT, main_field()),
        "reduced_to_pole": anomaly(east, north, HEIGHT, POLE),
        "derivative_upward": du,
        "total_horizontal_derivative": np.hypot(de, dn),
        "upward_continued": anomaly(east, north, HEIGHT + chosen(maps)["continuation_height"], POLE),
        "analytic_signal": np.sqrt(sum(part**2 for part in gradient(east, north, main_field()))),
    }
    # A field known on a square of half-side R says nothing of its mean beyond: for sources z below,
    # 2 (z / R)^3 = 1 % of the peak at z = 430 m, R = 2500 m, which the reduction to the pole amplifies
    # by up to 1 / sin^2(53 degrees) = 1.6. A layer damped by 1e-4 of the signal's variance adds 1 %, of
    # two components of a gradient 1.4 %.
    for name, exact in truth.items():
        worst = np.abs(maps[name] - exact).isel(INNER).max() / np.abs(exact).max()
        assert worst < 0.03, f"{name}: {float(worst):.1%}"
    # An angle is off by the error of the gradient over the gradient.
    modulus = np.sqrt(de**2 + dn**2 + du**2)
    clear = xr.zeros_like(maps.tilt_angle, dtype=bool).copy(data=modulus > 0.2 * modulus.max())
    error = np.abs(maps.tilt_angle - np.arctan2(-du, np.hypot(de, dn))).where(clear)
    assert error.max() < 0.03 / 0.2
    assert (modulus > 0.2 * modulus.max()).sum() > 500


def test_the_vertical_integral_is_the_field_summed_over_all_heights(maps):
    every = {axis: slice(20, -20, 8) for axis in ("northing", "easting")}
    found = maps.vertical_integral.isel(every)
    east, north = np.meshgrid(found.easting, found.northing)
    # Heights h = 430 m u / (1 - u) take u in [0, 1) to infinity; the field falls as (1 - u)^3 there.
    nodes, weights = np.polynomial.legendre.leggauss(24)
    u, weights = 0.5 * (nodes + 1), 0.5 * weights
    steps = zip(430 * u / (1 - u), 430 * weights / (1 - u) ** 2, strict=True)
    exact = sum(w * anomaly(east, north, HEIGHT + h, POLE) for h, w in steps)
    # The integral of the unknown mean is taken as zero: integrals agree but for a level. What is left
    # of the tails is of the potential's, (z / R)^2 = 3 %, amplified by 1.6.
    error = (found - exact) - float((found - exact).median())
    assert np.abs(error).max() < 0.05 * exact.max()
    assert found.attrs["units"] == "nT m"


@pytest.mark.parametrize("gridder", ["harmonic", "minimum_curvature"])
def test_a_survey_that_ends_beside_its_sources_is_filtered_on_a_margin(gridder, monkeypatch):
    half = flown(lines=36, south=2_500.0)  # the prisms begin 200 m north of the first line

    def error():
        maps = process(half, gridder=gridder, grids=("analytic_signal",))
        east, north = np.meshgrid(maps.easting, maps.northing)
        exact = np.sqrt(sum(part**2 for part in gradient(east, north, main_field())))
        return float(np.abs(maps.analytic_signal - exact).max())

    with_margin = error()
    # Without one the padding mirrors the field there, and the slope across the edge with it.
    monkeypatch.setattr("pipelines.mag.process.MARGIN", 0)
    assert with_margin < 0.7 * error()


def test_the_choices_are_the_field_at_the_middle_and_the_spacing_of_the_lines(maps):
    inclination, declination = main_field()
    values = chosen(maps)
    assert values["inclination"] == pytest.approx(inclination, abs=5e-4)
    assert values["declination"] == pytest.approx(declination, abs=5e-4)
    # Grid north is 0.7 degrees off true north here: the two cannot be taken for each other.
    assert abs(declination - field_at(CRS, *MIDDLE, DATE).declination) > 0.5
    assert values["continuation_height"] == SPACING
    assert maps.attrs["max_distance"] == pytest.approx(1.25 * SPACING)


def test_the_direction_used_is_the_one_stated():
    survey = flown()
    inclination, declination = main_field()
    options = {"gridder": "minimum_curvature", "grids": ("reduced_to_pole",)}
    by_default = process(survey, **options)
    given = process(survey, inclination=inclination, declination=declination, **options)
    xr.testing.assert_allclose(by_default.reduced_to_pole, given.reduced_to_pole, rtol=1e-9)


def test_gaps_hold_no_data_farther_from_the_lines_than_the_limit():
    survey = flown(lines=21, length=2_000.0)
    gap = (survey.northing > SOUTH + 650) & (survey.northing < SOUTH + 1_250)
    survey["total_field_anomaly"] = survey.total_field_anomaly.where(~gap)
    maps = process(survey, gridder="minimum_curvature", grids=("reduced_to_pole",))
    east, north = np.meshgrid(maps.easting, maps.northing)
    kept = survey.isel(point=np.flatnonzero(~gap))
    points = np.column_stack([kept.easting, kept.northing])
    cells = np.column_stack([east.ravel(), north.ravel()])
    away = np.array([np.hypot(*(points - cell).T).min() for cell in cells]).reshape(east.shape)
    limit, slack = 1.25 * SPACING, 12.5  # the mean of a block lies within a block of its points
    for name in ("total_field_anomaly", "reduced_to_pole"):
        assert maps[name].values[away < limit - slack].size > 0
        assert np.isfinite(maps[name].values[away < limit - slack]).all()
        assert np.isnan(maps[name].values[away > limit + slack]).all()
        assert np.isnan(maps[name].values).any()
    np.testing.assert_array_equal(
        maps.total_field_anomaly.isnull(), maps.line_distance > maps.attrs["max_distance"]
    )


def test_a_lazy_survey_gives_lazy_maps_with_the_same_values_and_choices():
    eager, lazy = process(small()), process(small().chunk(point=100))
    assert all(lazy[name].chunks is not None for name in ("total_field_anomaly", *ALL, "power"))
    assert lazy.attrs["choices"] == eager.attrs["choices"]
    xr.testing.assert_allclose(lazy.compute(), eager, rtol=1e-9)


@pytest.mark.parametrize("units", ["nT", "nanotesla", "NanoTeslas", "gamma", ""])
def test_a_field_in_nanotesla_is_taken_however_it_is_spelt(units):
    maps = process(renamed(small(), "total_field_anomaly", units=units), grids=())
    assert maps.total_field_anomaly.attrs["units"] == "nT"
    assert maps.total_field_anomaly.attrs["long_name"] == "Total-field anomaly"


@pytest.mark.parametrize("name", ["total_field_anomaly", "total_field"])
@pytest.mark.parametrize("named", [True, False])
def test_a_field_in_other_units_is_refused_not_relabelled(name, named):
    with pytest.raises(DataError, match="must be nT") as refusal:
        process(renamed(small(), name, units="uT"), channel=name if named else None)
    assert refusal.value.value == "uT"


def test_a_channel_named_keeps_its_units_and_name_and_is_stated():
    survey = renamed(small(), "heading", units="degree", long_name="Heading")
    maps = process(survey, channel="heading", grids=("analytic_signal",))
    assert maps.total_field_anomaly.attrs["units"] == "degree"
    assert maps.total_field_anomaly.attrs["long_name"] == "Heading"
    assert maps.analytic_signal.attrs["units"] == "degree/m"
    assert chosen(maps)["channel"] == "heading"


def test_a_total_field_is_gridded_less_its_reference_field():
    survey = small()
    main = reference_field(survey)
    whole = survey.assign(total_field=survey.total_field_anomaly + main).drop_vars("total_field_anomaly")
    maps = process(whole, grids=(), gridder="minimum_curvature")
    expected = process(survey, grids=(), gridder="minimum_curvature")
    # 52,000 nT come and go: rounding of 1e-11 nT, through a solve that stops at 1e-4 of the signal.
    np.testing.assert_allclose(maps.total_field_anomaly, expected.total_field_anomaly, atol=1e-3)
    assert "minus IGRF-14" in reasons(maps)["channel"]


def test_a_survey_without_parallel_lines_is_processed_with_multiples_of_the_cell():
    maps = process(flown(lines=1, length=3_000.0), cell_size=25.0)
    told = reasons(maps)
    assert chosen(maps)["continuation_height"] == 100.0
    assert told["continuation_height"] == "4 cells; no line spacing known"
    assert told["max_distance"] == "1.25 times 4 cells: no line spacing known"
    assert "line spacings of" not in maps.attrs["choices"]
    assert "NaN" not in maps.attrs["choices"]


def test_a_survey_of_decimetres_is_not_continued_by_nothing():
    survey = small()
    survey = survey.assign_coords(
        easting=WEST + (survey.easting - WEST) / 250,
        northing=SOUTH + (survey.northing - SOUTH) / 250,
    )
    maps = process(survey, grids=("upward_continued",), inclination=90.0, declination=0.0)
    assert chosen(maps)["continuation_height"] == pytest.approx(0.4)
    assert chosen(maps)["max_distance"] == pytest.approx(0.5)


def test_the_spectrum_is_left_out_where_there_can_be_none():
    few = process(small(), cell_size=125.0, grids=("analytic_signal",))
    assert "power" not in few
    assert "8 a side" in reasons(few)["spectrum"]
    survey = small()
    flat = process(survey.assign(total_field_anomaly=survey.total_field_anomaly * 0 + 7.0), grids=())
    assert "power" not in flat
    assert "constant" in reasons(flat)["spectrum"]
    np.testing.assert_allclose(flat.total_field_anomaly, 7.0)


@pytest.mark.parametrize(
    "stated, day", [("1990", "1990-07-02"), ("1990-07", "1990-07-16"), ("1990-07-01T10:00Z", "1990-07-01")]
)
def test_a_survey_date_of_any_iso_form_is_read_alike_for_field_and_direction(stated, day):
    survey = small().assign_attrs(survey_date=stated)
    maps = process(survey, grids=("reduced_to_pole",), gridder="minimum_curvature")
    assert f"on {day}, the survey's stated date" in reasons(maps)["inclination"]
    assert reference_field(survey).attrs["dates"] == f"{day} (survey_date)"


@pytest.mark.parametrize("times", ["float", "NaT"])
def test_times_that_are_none_leave_the_survey_date(times):
    survey = small()
    count = survey.sizes["point"]
    unknown = np.zeros(count) if times == "float" else np.full(count, np.datetime64("NaT", "ns"))
    survey = survey.assign(time=("point", unknown))
    maps = process(survey, grids=("reduced_to_pole",), gridder="minimum_curvature")
    assert f"on {DATE}, the survey's stated date" in reasons(maps)["inclination"]
    assert reference_field(survey).attrs["dates"] == f"{DATE} (survey_date)"


def test_the_date_of_a_survey_is_the_median_of_its_times_in_any_order():
    survey = small()
    days = np.datetime64("1991-01-01", "ns") + np.arange(survey.sizes["point"]).astype("timedelta64[D]")
    days = np.random.default_rng(3).permutation(days)
    maps = process(
        survey.assign(time=("point", days)), grids=("reduced_to_pole",), gridder="minimum_curvature"
    )
    middle = np.sort(days)[days.size // 2].astype("datetime64[D]")
    assert f"on {middle}, the median of its time channel" in reasons(maps)["declination"]


def no_gridding(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("gridded before refusing")

    monkeypatch.setattr("pipelines.mag.process.grid_points", fail)


@pytest.mark.parametrize(
    "survey, options, words",
    [
        (small(), {"grids": ("tilt_angle", "tilt_angle")}, "grids = 'tilt_angle' must be named once"),
        (small(), {"inclination": 60.0, "grids": ()}, "declination"),
        (small(), {"declination": 6.0, "grids": ("analytic_signal",)}, "inclination"),
        (undated(), {}, "date = None is not known"),
        (small().assign_attrs(survey_date="spring"), {}, "survey_date = 'spring' must be an ISO date"),
        (small().drop_vars("spatial_ref"), {}, "crs = None is needed"),
        (small(), {"date": datetime.date(1850, 1, 1)}, "1900"),
        (renamed(small(), "mag"), {}, "mag"),
        (small(), {"channel": "gravity"}, "total_field_anomaly"),
        (small().isel(point=slice(0, 100)), {}, "add up to the survey's 100"),
        (small().drop_dims("line"), {}, "line_start"),
    ],
)
def test_what_cannot_be_processed_is_refused_before_the_solve(survey, options, words, monkeypatch):
    no_gridding(monkeypatch)
    with pytest.raises(ParameterError, match=words):
        process(survey, **options)
