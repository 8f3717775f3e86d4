"""Filters by tiles and a coarse grid against the whole-grid transform and the pencil transform."""

import dask
import numpy as np
import pytest
import xarray as xr

from pipelines.mag import products
from pipelines.mag.banded import gaussian_sums
from pipelines.mag.coarse import Coarse, High, Low
from pipelines.mag.padded_field import Layout
from pipelines.mag.pencil import filter_by_pencils
from pipelines.mag.sampling import wavenumbers
from pipelines.mag.spectral import apply_filters
from pipelines.mag.split import Tiling, filter_split

SMALL = Tiling(tile=256)
HOUSE = 2e-4  # of the rms of a product: what the house asks for
# The Gaussian sums alias by at most 7e-7 (see `split`). What is left is the taper over the outer
# half of a tile's halo, which cuts the high part's kernel at 128 cells or 8 s: measured 0.6 to 1.4e-5
# on reduction to the pole, and held to three times that.
EXPECTED = 4e-5

PRODUCTS = (
    products.reduced_to_pole(-52.0, 6.0),
    products.derivative_upward(),
    products.vertical_integral(),
    products.upward_continued(200.0),
    products.tilt_angle(),
    products.derivative_easting(),
    products.low_passed(3000.0),
    products.direction_filtered(20.0),
)


def split(grid, made=PRODUCTS, tiling=SMALL):
    spacing = tuple(float(grid[d][1] - grid[d][0]) for d in grid.dims)
    arrays = filter_split(grid, Layout.of(grid.shape, spacing), tuple(made), tiling)
    return dict(zip([p.name for p in made], dask.compute(*arrays, scheduler="sync"), strict=True))


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("spacing", [(50.0, 50.0), (50.0, 25.0)])
def test_tiles_give_the_whole_grid_answer_at_edges_and_holes_too(survey_grid, holes, spacing):
    grid = survey_grid((700, 813), spacing, holes=holes)
    whole = apply_filters(grid, PRODUCTS, method="whole")
    tiled = split(grid)
    border = np.ones(grid.shape, bool)
    border[12:-12, 12:-12] = False
    missing = np.isnan(grid.values)
    for shift in range(-6, 7, 3):
        for axis in (0, 1):
            border |= np.roll(missing, shift, axis)
    for name, values in tiled.items():
        exact = whole[name].values
        np.testing.assert_array_equal(np.isnan(values), missing)
        scale = np.nanstd(exact)
        error = (values - exact)[~missing]
        assert np.sqrt(np.mean(error**2)) < EXPECTED * scale, name
        # Beside survey edges and holes no less than elsewhere.
        beside = (values - exact)[~missing & border]
        assert np.sqrt(np.mean(beside**2)) < min(2 * EXPECTED, HOUSE) * scale, name


@pytest.mark.parametrize("product", [products.reduced_to_pole(-52.0, 6.0), products.derivative_easting(2)])
def test_pencils_give_the_whole_grid_answer_to_rounding(survey_grid, product):
    grid = survey_grid((130, 171), (50.0, 40.0), holes=True)
    pencils = filter_by_pencils(grid.chunk(60), product, rows=64, columns=30).compute()
    whole = apply_filters(grid, [product], method="whole")[product.name]
    np.testing.assert_allclose(pencils, whole, rtol=0, atol=1e-12 * np.nanmax(abs(whole)))


def test_any_chunking_gives_the_same_bits(survey_grid, tmp_path):
    grid = survey_grid((600, 530), holes=True, dtype="f4")
    made = (PRODUCTS[0], PRODUCTS[4])
    expected = split(grid, made)
    grid.to_dataset().to_zarr(tmp_path / "grid.zarr", consolidated=False)
    store = xr.open_zarr(tmp_path / "grid.zarr", chunks=None, consolidated=False, decode_coords="all")
    indexed = store["total_field_anomaly"]
    chunkings = [
        {"northing": 600, "easting": 530},
        {"northing": 97, "easting": 203},
        {"northing": 600, "easting": 41},
    ]
    for other in [indexed, *(grid.chunk(c) for c in chunkings)]:
        for name, values in split(other, made).items():
            np.testing.assert_array_equal(values, expected[name])


def test_single_precision_is_as_near_to_the_whole_grid(survey_grid):
    grid = survey_grid((600, 530), holes=True, dtype="f4")
    whole = apply_filters(grid.astype("f8"), PRODUCTS, method="whole")
    for name, values in split(grid).items():
        assert values.dtype == np.float32
        exact = whole[name].values
        assert np.sqrt(np.nanmean((values - exact) ** 2)) < 2 * EXPECTED * np.nanstd(exact), name


def test_blocks_without_any_data_stay_empty_and_harm_nobody(survey_grid):
    grid = survey_grid((640, 700))
    grid.values[:, 180:560] = np.nan  # a tile of 256 cells has not one value
    whole = apply_filters(grid, PRODUCTS, method="whole")
    for name, values in split(grid.chunk(200)).items():
        exact = whole[name].values
        np.testing.assert_array_equal(np.isnan(values), np.isnan(grid.values))
        assert np.sqrt(np.nanmean((values - exact) ** 2)) < HOUSE * np.nanstd(exact), name


@pytest.mark.parametrize("shape", [(20, 700), (257, 5), (600, 16)])
def test_narrow_surveys_and_slivers_of_tiles_work(survey_grid, shape):
    grid = survey_grid(shape)
    whole = apply_filters(grid, PRODUCTS, method="whole")
    for name, values in split(grid).items():
        exact = whole[name].values
        assert np.sqrt(np.mean((values - exact) ** 2)) < HOUSE * exact.std(), name


def test_tasks_grow_with_tiles_and_not_with_chunks(survey_grid):
    grid = survey_grid((1024, 1024))
    layout = Layout.of(grid.shape, (50.0, 50.0))

    def tasks(data):
        (array,) = filter_split(data, layout, PRODUCTS[:1], SMALL)
        return len(dict(array.__dask_graph__()))

    # 16 tiles: sums, coarse parts, the low part's cut, the tile, its pick and its place.
    assert tasks(grid) <= 9 * 16
    # On Dask the chunks that windows touch come on top.
    assert tasks(grid.chunk(512)) <= 60 * 16


def test_the_two_parts_of_a_split_kernel_are_the_kernel(survey_grid):
    layout = Layout.of((300, 400), (50.0, 25.0))
    coarse = Coarse(layout)
    kernel = PRODUCTS[0].kernels[0]
    # Wavenumbers up to the coarse grid's Nyquist: there the low part is all that G leaves.
    east, north = wavenumbers((40, 50), (400.0, 200.0))
    radial = np.hypot(east, north)
    metres = (coarse.sigma[0] * 50.0, coarse.sigma[1] * 25.0)
    low = Low(kernel, coarse.width, metres)(east, north, radial)
    answer = np.exp(-((north * metres[0]) ** 2 + (east * metres[1]) ** 2) / 2)
    high = High(kernel, coarse.width)(east, north, radial)
    np.testing.assert_allclose(low * answer**2 + high, kernel(east, north, radial), atol=1e-12)


def test_gaussian_sums_answer_to_a_wave_as_a_gaussian_does():
    sigma, wavelength = 8.0, 60.0
    positions, nodes = np.arange(-200, 300), np.arange(0, 100, 8)
    wave = np.cos(2 * np.pi * positions / wavelength)
    expected = np.exp(-0.5 * (2 * np.pi * sigma / wavelength) ** 2) * np.cos(2 * np.pi * nodes / wavelength)
    for axis in (0, 1):
        values = wave[:, None] if axis == 0 else wave[None, :]
        sums = gaussian_sums(values, positions, nodes, sigma, axis)
        # Beyond 6.5 standard deviations lies 8e-11 of a Gaussian's area.
        np.testing.assert_allclose(sums.ravel(), expected, atol=2e-10)
