import json
import shutil
import subprocess

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.conventions import Geometry, assign_crs, crs_of, geometry_of
from pipelines.errors import DataError, ParameterError
from pipelines.mag.choices import from_attributes
from pipelines.mag.coverage import distance_to_data
from pipelines.mag.grid_choices import cells_over, tidy
from pipelines.mag.gridding import grid_survey
from pipelines.mag.survey_points import read_points


def field(x, y):
    """Smooth field in nT of broad and narrow swells, the narrowest four line spacings long."""
    return 100 * np.exp(-((x - 900) ** 2 + (y - 800) ** 2) / 3e5) + 20 * np.sin(x / 130.0) * np.cos(y / 160.0)


def flown(lines=21, spacing=100.0, sampling=10.0, length=2_000.0, crs="EPSG:32754", seed=0):
    """Label parallel lines, each wandering by a metre or two, as a survey."""
    rng = np.random.default_rng(seed)
    count = int(length / sampling) + 1
    easting = np.tile(np.arange(count) * sampling, lines)
    northing = np.repeat(np.arange(lines) * spacing, count) + rng.normal(0, 1.5, lines * count)
    size = np.full(lines, count, dtype=np.int64)
    survey = xr.Dataset(
        {
            "total_field_anomaly": ("point", field(easting, northing), {"units": "nT"}),
            "line_index": ("point", np.repeat(np.arange(lines, dtype=np.int32), count)),
            "line_name": ("line", np.arange(lines).astype(str)),
            "line_start": ("line", np.cumsum(size) - size),
            "line_size": ("line", size),
        },
        coords={
            "easting": ("point", easting),
            "northing": ("point", northing),
            "upward": ("point", np.full(easting.size, 80.0)),
        },
    )
    return assign_crs(survey, crs)


def truth_of(grid):
    return field(*np.meshgrid(grid.easting, grid.northing))


def reasons(grid):
    return {choice.parameter: choice for choice in from_attributes(grid.attrs)}


@pytest.mark.parametrize("method", ["harmonic", "minimum_curvature"])
def test_a_survey_becomes_a_map_of_its_field(method):
    grid = grid_survey(flown(), method=method)
    inner = {"northing": slice(300, 1_700), "easting": slice(300, 1_700)}
    values = grid.total_field_anomaly
    error = (values - truth_of(grid)).sel(inner)
    # A plate misses (k L)^4 / 384 of a wave between data L = 100 m apart, here with k = 1/160 or less
    # 0.04 %; a layer assumes the field to be harmonic, which this one is not: between lines it pulls
    # towards exp(-k z), a few per cent of the narrow swells.
    assert float(np.sqrt((error**2).mean())) < 0.02 * float(values.std())
    assert values.attrs["units"] == "nT"
    assert crs_of(grid).to_epsg() == 32754
    assert geometry_of(values).spacing == (25.0, 25.0)
    assert float(grid.fit_converged) == 1.0


def test_every_choice_is_stated_with_its_reason():
    grid = grid_survey(flown())
    found = reasons(grid)
    assert {"channel", "cell_size", "block", "upward", "depth", "damping", "max_distance"} == set(found)
    assert found["cell_size"].value == 25.0
    assert found["cell_size"].reason == "a quarter of the line spacing of 100 m, rounded down"
    assert "pieces left out" in found["depth"].reason
    assert found["upward"].value == 80.0
    assert grid.attrs["pipeline"] == "mag.grid"
    assert json.loads(grid.attrs["pipeline_parameters"])["method"] == "harmonic"


def test_what_is_given_is_not_chosen():
    grid = grid_survey(flown(), cell_size=20.0, depth=150.0, damping=1e-3, upward=90.0, max_distance=70.0)
    assert set(reasons(grid)) == {"channel", "block"}
    assert geometry_of(grid.total_field_anomaly).spacing == (20.0, 20.0)
    assert grid.attrs["max_distance"] == 70.0


def test_a_gap_of_two_missing_lines_holds_no_data_and_of_one_is_bridged():
    survey = flown(lines=30)
    keep = ~np.isin(survey.line_index.values, [7, 15, 16, 17])
    survey["total_field_anomaly"] = survey.total_field_anomaly.where(xr.DataArray(keep, dims="point"))
    grid = grid_survey(survey, depth=150.0, damping=1e-3)
    column = grid.total_field_anomaly.sel(easting=1_000, method="nearest")
    assert not column.sel(northing=slice(0, 1_400)).isnull().any()
    assert column.sel(northing=slice(1_550, 1_650)).isnull().all()
    assert (
        grid.line_distance.where(grid.total_field_anomaly.isnull(), drop=True) > grid.attrs["max_distance"]
    ).sum()
    assert grid.attrs["points_without_value"] == int((~keep).sum())


def test_margin_and_unmasked_values_are_for_filters():
    inside = grid_survey(flown(), depth=150.0, damping=1e-3, mask=False)
    around = grid_survey(flown(), depth=150.0, damping=1e-3, mask=False, margin=8)
    assert not around.total_field_anomaly.isnull().any()
    shared = around.isel(northing=slice(8, -8), easting=slice(8, -8))
    xr.testing.assert_equal(shared.line_distance, inside.line_distance)
    # The layers differ in padding alone, whose correlation with the survey is below a per cent.
    difference = shared.total_field_anomaly - inside.total_field_anomaly
    assert float(np.abs(difference).max()) < 0.01 * float(inside.total_field_anomaly.std())


@pytest.mark.parametrize("method", ["harmonic", "minimum_curvature"])
def test_a_dask_survey_gives_one_lazy_task_with_the_same_values(method):
    options = {"method": method, "depth": 150.0, "damping": 1e-3}
    eager, lazy = grid_survey(flown(), **options), grid_survey(flown().chunk(point=1_000), **options)
    assert isinstance(lazy.total_field_anomaly.data, da.Array)
    assert lazy.attrs["choices"] == eager.attrs["choices"]
    with dask.config.set(scheduler="processes", num_workers=1):
        xr.testing.assert_allclose(lazy.compute(), eager, rtol=1e-12)


def test_the_pipeline_has_a_name_and_a_cost():
    assert grid_survey.name == "mag.grid"
    cost = grid_survey.cost({"survey": flown()}, grid_survey.parameters(cell_size=25.0))
    assert 1 < cost.cpu_seconds < 10
    assert cost.memory_bytes > 1e8


def test_the_median_of_blocks_ignores_spikes():
    survey = flown(sampling=2.0)
    survey = survey.assign_coords(northing=survey.northing + 6.0)  # off the edges of the blocks
    values = survey.total_field_anomaly.values.copy()
    values.reshape(21, -1)[:, 10::50] += 5_000.0  # at most one point in a block of six
    spiked = survey.assign(total_field_anomaly=("point", values))
    options = {"cell_size": 25.0, "depth": 150.0, "damping": 1e-3}
    clean, median = grid_survey(survey, **options), grid_survey(spiked, block="median", **options)
    # Over a block of 12 m the field changes by 12 * 100 / 470 + 12 * 20 / 130 = 4 nT at most; one spike
    # more moves the middle by half a place of six.
    assert float(np.abs(median - clean).total_field_anomaly.max()) < 2.0


def test_what_cannot_be_gridded_is_refused_with_numbers():
    survey = flown()
    with pytest.raises(ParameterError, match="total_field_anomaly"):
        grid_survey(survey, channel="gravity")
    with pytest.raises(DataError, match="give cell_size"):
        grid_survey(flown(lines=1))
    with pytest.raises(DataError, match="at least 4 of 4221"):
        grid_survey(survey.assign(total_field_anomaly=survey.total_field_anomaly * np.nan))
    with pytest.raises(ParameterError, match="2e7"):
        grid_survey(survey, cell_size=0.1)
    with pytest.raises(ParameterError, match="above the layer"):
        grid_survey(survey, depth=100.0, damping=1e-3, upward=-500.0)
    with pytest.raises(ParameterError, match="cell_size"):
        grid_survey(survey, cell_size=-1.0)
    with pytest.raises(DataError, match="finite"):
        grid_survey(survey.assign_coords(upward=survey.upward * np.nan))
    with pytest.raises(DataError, match="projected"):
        grid_survey(flown(crs="EPSG:4326"))


FAST = {"method": "minimum_curvature"}


def test_positions_and_heights_that_nobody_needs_may_be_missing():
    survey = flown(lines=8, length=800.0)
    survey["line_type"] = ("line", ["line"] * 7 + ["tie"])
    survey.total_field_anomaly[5] = np.nan
    whole = grid_survey(survey, **FAST)
    survey.easting[5] = np.nan  # it has no value
    survey.northing[-3] = np.inf  # it is on a tie
    survey.upward[7] = np.nan  # a plate asks for no heights
    holed = grid_survey(survey, **FAST)
    # The way made from point to point is a median over 640 steps, of which two are gone.
    xr.testing.assert_allclose(holed, whole, rtol=1e-9)
    with pytest.raises(DataError, match="'upward' = 'NaN or infinity at 1 points' must be finite where"):
        grid_survey(survey)
    survey.easting[9] = np.nan
    with pytest.raises(DataError, match="'easting' = 'NaN or infinity at 1 points' must be finite where"):
        grid_survey(survey, **FAST)


@pytest.mark.parametrize("axis, method", [("easting", "minimum_curvature"), ("upward", "harmonic")])
def test_positions_in_other_units_than_metres_are_refused(axis, method):
    survey = flown(lines=8, length=800.0)
    survey[axis].attrs["units"] = "ft"
    with pytest.raises(DataError, match=f"units of '{axis}' = 'ft' must be metres"):
        grid_survey(survey, method=method)


def test_only_real_numbers_are_gridded():
    survey = flown(lines=8, length=800.0)
    values = survey.total_field_anomaly
    survey["counts"] = values.round().astype("i2")
    grid = grid_survey(survey, channel="counts", **FAST)
    error = grid.counts - grid_survey(survey, channel="total_field_anomaly", **FAST).total_field_anomaly
    assert float(np.sqrt((error**2).mean())) < 0.5  # rounding: 1 / sqrt(12) nT rms
    survey["wave"] = values * 1j
    survey["flag"] = values > 0
    survey["time"] = values.astype("M8[ns]")
    for channel in ("wave", "flag", "time", "line_index", "line_name", "upward"):
        with pytest.raises(ParameterError, match="real numbers: total_field_anomaly, counts"):
            grid_survey(survey, channel=channel, **FAST)


def test_a_reach_that_no_cell_is_within_is_refused_with_the_least_that_would_do():
    survey = flown(lines=8, length=800.0)
    with pytest.raises(
        ParameterError, match=r"max_distance = 0.001 leaves no cell .* lies (\S+) m"
    ) as refusal:
        grid_survey(survey, max_distance=1e-3, **FAST)
    least = float(refusal.value.rule.split(" lies ")[1].split(" m ")[0])
    grid = grid_survey(survey, max_distance=1.01 * least, **FAST)
    assert int(grid.total_field_anomaly.notnull().sum()) >= 1


@pytest.mark.parametrize(
    "lines, cell_size",
    [(21, 0.1), (21, 1e-6), (21, 1e-300), (21, 5e-324), (1, 1e-6), (1, 1e-300), (1, 5e-324)],
)
def test_too_small_a_cell_is_refused_with_one_that_will_do(lines, cell_size):
    survey = flown(lines=lines)
    with pytest.raises(ParameterError, match="2e7") as refusal:
        grid_survey(survey, cell_size=cell_size)
    enough = float(refusal.value.rule.split()[-1])
    points = read_points(survey, None)
    rows, columns = cells_over(points, enough, margin=0).shape
    # Tidy sizes are at most 1.6 apart on either side of the least one.
    assert 2e7 / 1.6**2 / 1.1 < rows * columns <= 2e7


def test_a_single_line_is_gridded_when_the_cell_size_is_given():
    grid = grid_survey(flown(lines=1), cell_size=25.0)
    assert "no parallel lines" in reasons(grid)["depth"].reason
    assert grid.total_field_anomaly.notnull().any()


@pytest.mark.parametrize(
    "length, expected", [(59.8, 50.0), (50.0, 50.0), (12.0, 10.0), (49.8, 50.0), (0.26, 0.25), (940.0, 800.0)]
)
def test_cell_sizes_are_tidy(length, expected):
    assert tidy(length) == pytest.approx(expected)


@given(seed=st.integers(0, 1_000), count=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_distance_to_data_is_that_of_a_search_over_all_points(seed, count):
    x, y = np.random.default_rng(seed).uniform(-50, 350, (2, count))
    geometry = Geometry((5.0, 10.0), (10.0, 15.0), (30, 20))
    easting, northing = np.meshgrid(geometry.easting, geometry.northing)
    brute = np.hypot(easting[..., None] - x, northing[..., None] - y).min(axis=-1)
    np.testing.assert_allclose(distance_to_data(x, y, geometry), brute, rtol=1e-12, atol=1e-12)


def test_distance_to_nothing_is_refused():
    with pytest.raises(DataError, match="at least one"):
        distance_to_data(np.empty(0), np.empty(0), Geometry((0.0, 0.0), (1.0, 1.0), (2, 2)))


@pytest.fixture(scope="module")
def osborne(survey_data):
    import pandas as pd
    from pyproj import Transformer

    table = pd.read_csv(survey_data / "osborne-magnetic" / "dev_osborne_only.csv.xz")
    easting, northing = Transformer.from_crs(4326, 32754, always_xy=True).transform(
        table.longitude.to_numpy(), table.latitude.to_numpy()
    )
    start = np.r_[0, np.flatnonzero(np.diff(table.flight_line)) + 1]
    return xr.Dataset(
        {
            "total_field_anomaly": ("point", table.total_field_anomaly_nt.to_numpy(dtype=float)),
            "line_start": ("line", start),
            "line_size": ("line", np.diff(np.r_[start, len(table)])),
        },
        coords={
            "easting": ("point", easting),
            "northing": ("point", northing),
            "upward": ("point", table.height_orthometric_m.to_numpy(dtype=float)),
        },
    )


@pytest.mark.slow
def test_osborne_is_predicted_better_than_along_its_own_lines(osborne):
    """Pieces left out of the lines, as wide as the lines are apart, against a straight line across them."""
    line = np.repeat(np.arange(osborne.sizes["line"]), osborne.line_size.values)
    easting, northing = osborne.easting.values, osborne.northing.values
    window = (easting > 450e3) & (easting < 458e3) & (northing > 7_560e3) & (northing < 7_568e3)
    runs_east = np.array(
        [np.ptp(easting[line == n]) > np.ptp(northing[line == n]) for n in range(line[-1] + 1)]
    )
    window &= runs_east[line]
    held = window & ((easting // 240.0 + 3 * line) % 7 == 0)
    value = osborne.total_field_anomaly.values
    kept = osborne.assign(total_field_anomaly=("point", np.where(window & ~held, value, np.nan)))
    grid = grid_survey(kept, cell_size=40.0, mask=False)
    out = osborne.isel(point=held)
    found = grid.total_field_anomaly.interp(easting=out.easting, northing=out.northing)
    straight = np.full(value.size, np.nan)
    for number in np.unique(line[held]):
        there, known = held & (line == number), window & ~held & (line == number)
        order = np.argsort(easting[known])
        straight[there] = np.interp(easting[there], easting[known][order], value[known][order])
    error = float(np.sqrt(np.nanmean((found.values - value[held]) ** 2)))
    baseline = float(np.sqrt(np.nanmean((straight[held] - value[held]) ** 2)))
    assert error < 0.9 * baseline, f"{error:.2f} nT against {baseline:.2f} nT"


@pytest.mark.slow
@pytest.mark.peer
def test_gmt_surface_is_no_closer_to_the_truth(tmp_path):
    if not shutil.which("gmt"):
        pytest.skip("GMT is not installed")
    survey = flown(sampling=5.0)
    columns = [survey[name].values for name in ("easting", "northing", "total_field_anomaly")]
    np.column_stack(columns).astype("<f8").tofile(tmp_path / "points.bin")
    region = "-R0/2000/0/2000 -I25+e"
    command = (
        f"gmt blockmean points.bin -bi3d -bo3d {region} > means.bin && "
        f"gmt surface means.bin -bi3d {region} -T0 -Ggrid.nc"
    )
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    with xr.open_dataset(tmp_path / "grid.nc", engine="netcdf4") as theirs:
        inner = {"x": slice(300, 1_700), "y": slice(300, 1_700)}
        gmt = theirs.z.sel(inner).load()
    gmt_error = np.sqrt(np.mean((gmt.values - field(*np.meshgrid(gmt.x, gmt.y))) ** 2))
    ours = grid_survey(survey, method="minimum_curvature", tension=0.0, cell_size=25.0).total_field_anomaly
    ours = ours.sel(northing=slice(300, 1_700), easting=slice(300, 1_700))
    our_error = np.sqrt(np.mean((ours.values - field(*np.meshgrid(ours.easting, ours.northing))) ** 2))
    assert our_error <= gmt_error
