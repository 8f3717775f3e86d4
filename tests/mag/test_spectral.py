"""The engine: what it reads, computes, keeps and refuses, whatever the filter."""

import pickle
import tracemalloc

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.fft
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.conventions import Geometry, make_grid
from pipelines.errors import DataError, ParameterError
from pipelines.mag import filters, products
from pipelines.mag.fill import BLOCK, block_sums, fill_holes, fit_background
from pipelines.mag.padding import DECIMATION, PaddedAxis
from pipelines.mag.spectral import apply_filters, scaled_units

FOUR = (
    products.tilt_angle(),
    products.analytic_signal(),
    products.total_horizontal_derivative(),
    products.derivative_upward(),
)


def test_four_products_take_one_forward_and_three_inverse_transforms(survey_grid, monkeypatch):
    rows = {"rfft": 0, "irfft": 0}

    def counting(name):
        real = getattr(scipy.fft, name)

        def count(values, *args, **kwargs):
            rows[name] += values.shape[0]
            return real(values, *args, **kwargs)

        return count

    for name in rows:
        monkeypatch.setattr(scipy.fft, name, counting(name))
    grid = survey_grid()
    apply_filters(grid, FOUR)
    # Every padded row goes forward once; only the grid's own rows come back, once a kernel.
    assert rows == {"rfft": PaddedAxis.of(300).length, "irfft": 3 * 300}


def test_products_made_together_are_those_made_alone(survey_grid):
    grid = survey_grid(holes=True)
    together = apply_filters(grid, FOUR)
    for product in FOUR:
        xr.testing.assert_identical(together[product.name], apply_filters(grid, [product])[product.name])


def test_one_filter_holds_little_more_than_its_spectrum_and_its_output():
    n = 2048
    values = np.random.default_rng(0).standard_normal((n, n))
    grid = make_grid(values, Geometry((0.0, 0.0), (50.0, 50.0), (n, n)), name="total_field_anomaly")
    filters.reduce_to_pole(grid, -52.0, 6.0)
    tracemalloc.start()
    filters.reduce_to_pole(grid, -52.0, 6.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The spectrum, 2560 · 1281 · 16 bytes, the output, 2048² · 8, and strips: some 90 MB.
    assert peak < 110e6


def test_nan_stays_where_it_was_and_nowhere_else(survey_grid):
    grid = survey_grid(holes=True)
    made = apply_filters(grid, FOUR)
    for name in made:
        np.testing.assert_array_equal(np.isnan(made[name]), np.isnan(grid))


@pytest.mark.parametrize("method", ["whole", "split"])
def test_labels_come_through_and_stale_ones_do_not(survey_grid, method):
    grid = survey_grid().assign_coords(line_spacing=200.0)
    grid.attrs.update(standard_name="magnetic_field", valid_max=3.0)
    grid.encoding.update(_FillValue=-9999, scale_factor=0.1)
    made = filters.derivative_upward(grid, method=method)
    assert made.dims == grid.dims
    xr.testing.assert_identical(made.coords.to_dataset(), grid.coords.to_dataset())
    assert made.attrs["units"] == "nT/m"
    assert made.attrs["source"] == "simulated"
    assert "derivative_upward" in made.attrs["history"]
    assert not {"standard_name", "valid_max"} & set(made.attrs)
    assert made.encoding == {"grid_mapping": "spatial_ref"}
    assert filters.derivative_upward(made, 2).attrs["units"] == "nT/m3"
    assert filters.vertical_integral(made).attrs["units"] == "nT"


@pytest.mark.parametrize(
    "units,power,expected",
    [("nT", -1, "nT/m"), ("nT/m", -2, "nT/m3"), ("nT", 1, "nT m"), ("nT m", -1, "nT"), ("nT/m2", 1, "nT/m")],
)
def test_units_are_multiplied_by_metres(units, power, expected):
    assert scaled_units(units, power) == expected


@pytest.mark.parametrize(
    "given_dtype,expected",
    [("f4", "f4"), ("f8", "f8"), ("i2", "f8"), ("u4", "f8"), (">f4", "f4"), ("f2", "f8")],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_float32_stays_float32_and_the_rest_becomes_float64(survey_grid, given_dtype, expected, lazy):
    grid = survey_grid().round().astype(given_dtype)
    made = filters.upward_continuation(grid.chunk(100) if lazy else grid, 100.0)
    assert made.dtype == expected
    assert made.compute().dtype == expected
    exact = filters.upward_continuation(grid.astype("f8"), 100.0)
    # Single precision carries 6e-8 of residuals of some 400 nT through log2(512²) butterflies.
    np.testing.assert_allclose(made, exact, atol=5e-4 if expected == "f4" else 1e-9)


def test_single_precision_does_not_lose_a_field_on_a_high_base_level(survey_grid):
    grid = survey_grid()
    high = (grid + 56_000.0).astype("f4")
    made = filters.derivative_upward(high)
    exact = filters.derivative_upward(high.astype("f8") - 56_000.0)
    # The plane goes in double precision: what is left is the rounding of the residual's transform.
    np.testing.assert_allclose(made, exact, atol=1e-6 * abs(exact).max().item() * 20)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(17, 60), columns=st.integers(17, 60), seed=st.integers(0, 99))
def test_mirroring_a_grid_mirrors_its_filtered_grid_for_odd_and_even_sizes(rows, columns, seed):
    values = np.random.default_rng(seed).standard_normal((rows, columns))
    geometry = Geometry((0.0, 0.0), (40.0, 50.0), (rows, columns))
    grid = make_grid(values, geometry, name="total_field_anomaly")
    mirrored = make_grid(values[:, ::-1].copy(), geometry, name="total_field_anomaly")
    slope, mirrored_slope = filters.derivative_easting(grid), filters.derivative_easting(mirrored)
    # The padding behind is longer than that in front, which shifts nothing but where the field is
    # zero: mirrored positions have the same neighbours up to the far, tapered end.
    reach = abs(slope).max().item()
    inner = (slice(None), slice(8, -8))
    np.testing.assert_allclose(mirrored_slope.values[inner], -slope.values[:, ::-1][inner], atol=2e-2 * reach)


def test_moving_a_grid_on_the_map_moves_nothing_else(survey_grid):
    grid = survey_grid(holes=True)
    moved = grid.assign_coords(easting=grid.easting + 12_345.0, northing=grid.northing - 54_321.0)
    np.testing.assert_array_equal(filters.reduce_to_pole(moved, -52, 6), filters.reduce_to_pole(grid, -52, 6))


def test_adding_grids_adds_their_filtered_grids(survey_grid):
    one, other = survey_grid(), survey_grid()[::-1, ::-1].assign_coords(survey_grid().coords) * 0.5
    both = filters.reduce_to_pole(one + other, -52, 6)
    parts = filters.reduce_to_pole(one, -52, 6) + filters.reduce_to_pole(other, -52, 6)
    np.testing.assert_allclose(both, parts, atol=1e-9)


def test_numpy_gives_numpy_and_lazy_gives_lazy(survey_grid, tmp_path):
    grid = survey_grid()
    assert isinstance(filters.tilt_angle(grid).data, np.ndarray)
    assert isinstance(filters.tilt_angle(grid, method="split").data, np.ndarray)
    chunked = filters.tilt_angle(grid.chunk(northing=70, easting=90))
    assert chunked.chunks == ((70, 70, 70, 70, 20), (90, 90, 90, 90, 20))
    np.testing.assert_array_equal(chunked, filters.tilt_angle(grid))
    grid.to_dataset().to_zarr(tmp_path / "grid.zarr", consolidated=False)
    store = xr.open_zarr(tmp_path / "grid.zarr", chunks=None, consolidated=False, decode_coords="all")
    indexed = store["total_field_anomaly"]
    lazy = filters.tilt_angle(indexed)
    assert isinstance(lazy.data, da.Array)
    assert isinstance(pickle.loads(pickle.dumps(lazy)).data, da.Array)
    np.testing.assert_array_equal(lazy, filters.tilt_angle(grid))


def test_nothing_is_read_before_it_is_computed(survey_grid):
    grid = survey_grid()

    def refuse(block):
        raise AssertionError("read too early")

    unreadable = grid.copy(data=da.from_array(grid.values, chunks=100).map_blocks(refuse, dtype=float))
    for method in ("whole", "split"):
        made = filters.reduce_to_pole(unreadable, -52, 6, method=method)
        with pytest.raises(AssertionError, match="too early"):
            made.compute(scheduler="sync")


def bad_grids():
    geometry = Geometry((0.0, 0.0), (50.0, 50.0), (20, 30))
    good = make_grid(np.random.default_rng(0).random((20, 30)), geometry, name="total_field_anomaly")
    irregular = np.r_[good.easting.values[:-1], 1e5]
    return {
        "one row": (good[:1], "northing"),
        "irregular": (good.assign_coords(easting=irregular), "easting"),
        "descending": (good[::-1], "northing"),
        "geographic": (good.rename(northing="latitude", easting="longitude"), "dimensions"),
        "three dimensions": (good.expand_dims("upward"), "dimensions"),
        "transposed": (good.T, "dimensions"),
        "boolean": (good > 0.5, "dtype"),
        "complex": (good.astype(complex), "dtype"),
        "a fill value left in": (good.fillna(-99999).assign_attrs(_FillValue=-99999.0), "_FillValue"),
        "a missing value left in": (good.assign_attrs(missing_value=np.array([1e30])), "missing_value"),
        "text": (good.astype(str), "dtype"),
        "all NaN": (good * np.nan, "values"),
        "infinite": (good.where(good > 0.01, np.inf).where(good < 0.99, np.inf), "values"),
        "degrees": (good.assign_coords(easting=good.easting.assign_attrs(units="degrees")), "units"),
        "a dataset": (good.to_dataset(), "grid"),
    }


@pytest.mark.parametrize("case", list(bad_grids()))
@pytest.mark.parametrize("lazy", [False, True])
def test_a_bad_grid_is_refused_with_the_field_that_is_wrong(case, lazy):
    grid, field = bad_grids()[case]
    grid = grid.chunk(10) if lazy else grid
    with pytest.raises(DataError) as refused:
        filters.upward_continuation(grid, 100.0).compute(scheduler="sync")
    assert field in refused.value.field


def test_the_engine_itself_refuses_what_is_no_grid_no_product_and_no_method(survey_grid):
    grid = survey_grid((20, 20))
    with pytest.raises(DataError, match="one variable of a dataset"):
        apply_filters(grid.to_dataset(), FOUR)
    with pytest.raises(ParameterError, match="call it"):
        apply_filters(grid, [products.tilt_angle])
    with pytest.raises(ParameterError, match="auto, whole, split"):
        apply_filters(grid, FOUR, method="wohle")


def test_a_fill_value_of_nan_is_no_dummy(survey_grid):
    grid = survey_grid((20, 20))
    xr.testing.assert_equal(
        filters.tilt_angle(grid.assign_attrs(_FillValue=np.nan)), filters.tilt_angle(grid)
    )


def test_products_need_names_of_their_own(survey_grid):
    with pytest.raises(ParameterError, match="name of its own"):
        apply_filters(survey_grid((20, 20)), [products.derivative_upward(1), products.derivative_upward(2)])
    with pytest.raises(ParameterError, match="at least one"):
        apply_filters(survey_grid((20, 20)), [])


@given(st.integers(2, 100_000))
def test_an_axis_is_padded_to_a_fast_multiple_of_the_decimation(size):
    axis = PaddedAxis.of(size)
    assert axis.length % DECIMATION == 0
    assert axis.before >= 64
    assert axis.length - axis.before - size >= axis.before
    nodes = axis.length // DECIMATION
    assert scipy.fft.next_fast_len(nodes, real=True) == nodes


@given(st.integers(2, 700))
def test_the_padded_axis_mirrors_the_data_and_meets_itself_at_zero(size):
    axis = PaddedAxis.of(size)
    index, weight = axis.source(np.arange(-axis.before, axis.length - axis.before))
    assert (index >= 0).all()
    assert (index < size).all()
    data = slice(axis.before, axis.before + size)
    np.testing.assert_array_equal(index[data], np.arange(size))
    np.testing.assert_array_equal(weight[data], 1.0)
    np.testing.assert_array_equal(index[axis.before - 2 : axis.before], [1, 0])
    assert weight[0] == weight[-1] == 0.0
    again, _ = axis.source(np.arange(-axis.before, axis.length - axis.before) + 3 * axis.length)
    np.testing.assert_array_equal(again, index)


def test_a_window_fills_holes_as_the_whole_grid_does(survey_grid):
    grid = survey_grid((200, 240), holes=True).values
    background = fit_background(block_sums(grid), grid.shape, (1.0, 1.0))
    whole = fill_holes(grid, (0, 0), background.residual)
    start, margin = (3 * BLOCK, 2 * BLOCK), 91
    window = fill_holes(grid[start[0] :, start[1] : start[1] + 13 * BLOCK], start, background.residual)
    inner = (slice(margin, None), slice(margin, 13 * BLOCK - margin))
    expected = whole[start[0] :, start[1] : start[1] + 13 * BLOCK]
    np.testing.assert_array_equal(window[inner], expected[inner])


def test_the_fill_meets_the_data_and_stays_within_their_range(survey_grid):
    grid = survey_grid((200, 240), holes=True).values
    background = fit_background(block_sums(grid), grid.shape, (1.0, 1.0))
    plane = background.plane.on(slice(0, 200), slice(0, 240), grid.shape, (1.0, 1.0))
    filled = fill_holes(grid - plane, (0, 0), background.residual)
    seen = np.isfinite(grid)
    np.testing.assert_array_equal(filled[seen], (grid - plane)[seen])
    # Averages of averages: never outside the data.
    assert filled.max() <= (grid - plane)[seen].max() + 1e-9
    assert filled.min() >= (grid - plane)[seen].min() - 1e-9
    # No edge to ring: steps across the border of a hole are like those within the data.
    step = np.abs(np.diff(filled, axis=1))
    border = seen[:, 1:] != seen[:, :-1]
    assert np.median(step[border]) < 3 * np.percentile(step[seen[:, 1:] & seen[:, :-1]], 90)


def test_a_filtered_hole_spoils_little_around_it(dipole):
    grid = dipole().observed_at()
    holed = grid.copy(deep=True)
    holed.values[150:190, 30:90] = np.nan
    difference = filters.upward_continuation(holed, 50.0) - filters.upward_continuation(grid, 50.0)
    # The hole lies 1.5 km from the dipole, where the field is (300/1500)³ = 0.8 % of its peak.
    assert abs(difference).max() < 0.004 * grid.max()


def test_the_scheduler_does_not_matter(survey_grid):
    grid = survey_grid(holes=True).chunk(100)
    made = filters.reduce_to_pole(grid, -52, 6, method="split")
    with dask.config.set(scheduler="sync"):
        one = made.compute()
    with dask.config.set(scheduler="threads", num_workers=2):
        other = made.compute()
    np.testing.assert_array_equal(one, other)
