import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.mag.lines import line_spacing


def survey_of(lines, types=None):
    """Label a list of (easting, northing) arrays as a survey."""
    size = np.array([len(e) for e, _ in lines], dtype=np.int64)
    variables = {
        "line_start": ("line", np.cumsum(size) - size),
        "line_size": ("line", size),
    }
    if types is not None:
        variables["line_type"] = ("line", np.array(types))
    join = [np.concatenate([np.asarray(line[i], dtype=float) for line in lines]) for i in (0, 1)]
    return xr.Dataset(variables, coords={"easting": ("point", join[0]), "northing": ("point", join[1])})


def parallel(spacing=200.0, count=20, length=10_000.0, sampling=10.0, azimuth=90.0, seed=0, wander=0.0):
    """Straight lines flown to and fro, in a frame turned to *azimuth* about a UTM-sized origin."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(count):
        along = np.arange(0.0, length, sampling)[:: 1 if i % 2 else -1]
        across = i * spacing + wander * rng.standard_normal(along.size).cumsum() / np.sqrt(along.size)
        lines.append(turned(along, across, azimuth))
    return lines


def turned(along, across, azimuth):
    sine, cosine = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    return 450_000 + along * sine + across * cosine, 7_560_000 + along * cosine - across * sine


@given(
    azimuth=st.floats(0, 179.9),
    spacing=st.floats(20, 500),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_straight_parallel_lines_give_back_their_spacing_sampling_and_azimuth(azimuth, spacing, seed):
    lines = parallel(spacing=spacing, azimuth=azimuth)
    np.random.default_rng(seed).shuffle(lines)
    found = line_spacing(survey_of(lines))
    # Positions of 1e7 m in double precision are good to 2e-9 m; nothing else is inexact.
    assert found.spacing == pytest.approx(spacing, abs=1e-5)
    assert found.sampling == pytest.approx(10.0, abs=1e-5)
    assert abs((found.azimuth - azimuth + 90) % 180 - 90) < 1e-4
    assert found.along == pytest.approx(1.0)
    assert found.length == pytest.approx(20 * 9_990.0)


def test_ties_and_their_crossings_do_not_change_the_spacing():
    lines = parallel()
    ties = [turned(a, c, 0.0) for a, c in _ties(every=2_000.0)]
    found = line_spacing(survey_of(lines + ties))
    assert found.spacing == pytest.approx(200.0, abs=1e-4)
    assert found.tie_spacing == pytest.approx(2_000.0, abs=1e-4)
    assert found.azimuth == pytest.approx(90.0, abs=1e-4)


def _ties(every):
    return [(np.arange(-3_800.0, 1.0, 10.0), np.full(381, e)) for e in np.arange(500.0, 10_000.0, every)]


def test_lines_declared_ties_never_decide_the_azimuth():
    lines = parallel(count=3, length=1_000.0)
    ties = parallel(count=12, length=5_000.0, azimuth=0.0)
    found = line_spacing(survey_of(lines + ties, ["line"] * 3 + ["tie"] * 12))
    assert found.azimuth == pytest.approx(90.0, abs=1e-4)


def test_wandering_lines_with_gaps_missing_and_reflown_lines_keep_the_median_spacing():
    lines = parallel(wander=15.0, count=40)
    del lines[17]
    easting, northing = lines[5]
    lines[5] = (np.delete(easting, slice(200, 600)), np.delete(northing, slice(200, 600)))
    lines.append((lines[9][0], lines[9][1] + 3.0))
    found = line_spacing(survey_of(lines))
    # Each gap between lines is 200 m plus the difference of two wanders of rms 15/sqrt(2) m or less,
    # constant over a line in the worst case: the median of 38 has a standard error of
    # 1.25 * 15 / sqrt(38) = 3 m; three of them are allowed.
    assert found.spacing == pytest.approx(200.0, abs=9.0)


def test_one_polyline_that_walks_to_and_fro_is_understood():
    pieces = parallel(spacing=25.0, count=30, length=400.0, sampling=1.0)
    walk = (np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces]))
    found = line_spacing(survey_of([walk]))
    assert found.spacing == pytest.approx(25.0, abs=0.1)


def test_positions_that_jitter_more_than_they_advance_still_show_their_lines():
    rng = np.random.default_rng(1)
    lines = []
    for i in range(40):
        along = np.arange(0.0, 4_000.0)
        lines.append(turned(along, 100.0 * i + rng.normal(0, 3, along.size), 90.0))
    found = line_spacing(survey_of(lines))
    # A chord's end jitters by 3 m, a gap between lines by 3 sqrt(2); the median of some 10 000 gaps
    # (a tenth of them independent) by 1.25 * 4.2 / sqrt(1000) = 0.17 m; three of them are allowed.
    assert found.spacing == pytest.approx(100.0, abs=0.5)
    assert found.azimuth == pytest.approx(90.0, abs=0.2)
    # Over 32 samples the jitter lengthens the way by 4.2**2 / (2 * 32**2) = 0.9 %.
    assert found.sampling == pytest.approx(1.0, rel=0.05)


def test_a_single_line_has_a_sampling_but_no_spacing():
    found = line_spacing(survey_of(parallel(count=1)))
    assert found.sampling == pytest.approx(10.0, abs=1e-5)
    assert np.isnan(found.spacing)
    assert np.isnan(found.tie_spacing)


@pytest.mark.parametrize("count", [1, 3])
def test_points_that_never_move_give_nothing_rather_than_a_number(count):
    found = line_spacing(survey_of([(np.full(4, 5e5), np.full(4, 7e6))] * count))
    assert np.isnan(found.spacing)
    assert np.isnan(found.sampling)
    assert found.length == 0.0


def test_a_survey_without_lines_or_points_is_refused_by_name():
    with pytest.raises(DataError, match="line_start"):
        line_spacing(survey_of(parallel()).drop_vars("line_start"))
    with pytest.raises(DataError, match="point"):
        line_spacing(survey_of([(np.array([]), np.array([]))]))


@pytest.mark.parametrize(
    "broken, words",
    [
        (lambda s: s.isel(point=slice(0, 5_000)), "add up to the survey's 5000; to leave points out"),
        (lambda s: s.isel(line=slice(0, 3)), "add up to the survey's 20000"),
        (
            lambda s: s.where(s.easting > 452_000, drop=True),
            r"dimensions of 'line_start' = \('line', 'point'\)",
        ),
        (lambda s: s.drop_dims("line"), "line_start"),
        (lambda s: s.assign(line_start=s.line_start[::-1].variable), "line_start = 'out of order'"),
        (lambda s: s.assign(line_size=s.line_size * np.nan), "line_size"),
        (lambda s: s.assign_coords(upward=("line", np.zeros(20))), "dimensions of 'upward'"),
        (lambda s: s.easting.attrs.update(units="ft") or s, "units of 'easting' = 'ft' must be metres"),
    ],
)
def test_a_survey_broken_by_slicing_is_refused_in_words(broken, words):
    survey = broken(survey_of(parallel()))
    with pytest.raises(DataError, match=words):
        line_spacing(survey)


def test_points_without_a_position_are_passed_over():
    survey = survey_of(parallel())
    survey.easting.values[[3, 700, 12_345]] = np.nan, np.inf, np.nan
    found = line_spacing(survey)
    assert found.spacing == pytest.approx(200.0, abs=1e-4)
    assert found.sampling == pytest.approx(10.0, abs=1e-4)
    survey.easting.values[:] = np.nan
    assert np.isnan(line_spacing(survey).sampling)


@pytest.mark.slow
def test_the_osborne_survey_has_lines_about_a_quarter_of_a_kilometre_apart_running_east(survey_data):
    import pandas as pd
    from pyproj import Transformer

    table = pd.read_csv(survey_data / "osborne-magnetic" / "dev_osborne_only.csv.xz")
    to_utm = Transformer.from_crs(4326, 32754, always_xy=True)
    easting, northing = to_utm.transform(table.longitude.to_numpy(), table.latitude.to_numpy())
    cuts = np.flatnonzero(np.diff(table.flight_line)) + 1
    lines = list(zip(np.split(easting, cuts), np.split(northing, cuts), strict=True))
    found = line_spacing(survey_of(lines))
    # Its blocks were flown at 200 m and 250 m, with ties 2 km apart in the blocks that have several.
    assert 195 < found.spacing < 255
    assert 1_900 < found.tie_spacing < 2_100
    assert found.azimuth == pytest.approx(90.0, abs=1.0)
