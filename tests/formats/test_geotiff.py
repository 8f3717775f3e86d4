"""Grids survive a GeoTIFF bit for bit, the right way up, and GDAL sees what we meant."""

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.conventions import Geometry, crs_of, make_grid
from pipelines.errors import DataError, FormatError
from pipelines.formats.geotiff import read_geotiff, write_cog

CRS = "EPSG:32754"


def asymmetric_grid(shape=(5, 7), dtype="float32", spacing=(40.0, 25.0)) -> xr.DataArray:
    """A grid that no flip, transpose or shift leaves as it is, with one hole."""
    rows, columns = np.indices(shape)
    values = (1000 * rows + columns).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        values += np.asarray(0.1, dtype)
        values[1, 1] = np.nan
    attrs = {"units": "nT", "long_name": "Total-field anomaly", "history": "made for a test", "window": 3.5}
    geometry = Geometry(origin=(7_500_010.0, 400_020.0), spacing=spacing, shape=shape)
    return make_grid(values, geometry, name="total_field_anomaly", crs=CRS, attrs=attrs)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_grid_comes_back_bit_for_bit(tmp_path, dtype):
    grid = asymmetric_grid(dtype=dtype)
    back = read_geotiff(write_cog(grid, tmp_path / "grid.tif"))
    assert back.dtype == grid.dtype
    assert back.values.tobytes() == grid.values.tobytes()
    np.testing.assert_array_equal(back.easting, grid.easting)
    np.testing.assert_array_equal(back.northing, grid.northing)
    assert back.name == "total_field_anomaly"
    assert crs_of(back) == crs_of(grid)
    assert back.attrs["units"] == "nT"
    assert back.attrs["history"] == "made for a test"


def test_gdal_sees_north_up_pixel_is_area_with_units_and_nan_nodata(tmp_path):
    grid = asymmetric_grid()
    with rasterio.open(write_cog(grid, tmp_path / "grid.tif")) as raster:
        # The corner is half a cell outside the first and last centres.
        assert raster.bounds == (400_007.5, 7_499_990.0, 400_182.5, 7_500_190.0)
        assert raster.crs.to_epsg() == 32754
        assert np.isnan(raster.nodata)
        assert raster.units == ("nT",)
        assert raster.descriptions == ("Total-field anomaly",)
        assert raster.tags()["AREA_OR_POINT"] == "Area"
        north_west = next(raster.sample([(400_020.0, 7_500_170.0)]))
        assert north_west[0] == grid.sel(easting=400_020.0, northing=7_500_170.0).item()


def test_the_file_is_cloud_optimised_with_overviews_that_leave_holes_out(tmp_path):
    values = np.full((1500, 1200), 7.0, "float32")
    values[:, :3] = np.nan
    grid = make_grid(values, Geometry((0.0, 0.0), (10.0, 10.0), values.shape), name="tilt_angle", crs=CRS)
    path = write_cog(grid, tmp_path / "grid.tif")
    with rasterio.open(path) as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.block_shapes == [(512, 512)]
        assert raster.overviews(1)
    with rasterio.open(path, overview_level=0) as overview:
        smaller = overview.read(1)
        # A mean over the cells that have data is 7 wherever any of them has.
        assert np.unique(smaller[np.isfinite(smaller)]).tolist() == [7.0]


def test_a_dask_grid_is_written_by_bands_with_the_same_bytes(tmp_path):
    grid = asymmetric_grid(shape=(60, 50), dtype="float64")
    chunked = grid.copy(data=da.from_array(grid.values, chunks=(17, 20)))
    one = write_cog(grid, tmp_path / "one.tif").read_bytes()
    assert write_cog(chunked, tmp_path / "two.tif").read_bytes() == one


def test_reading_is_lazy(tmp_path):
    back = read_geotiff(write_cog(asymmetric_grid(), tmp_path / "grid.tif"))
    assert not back.variable._in_memory


def test_a_nodata_number_is_read_as_nan_and_a_south_up_file_is_turned(tmp_path):
    path = tmp_path / "other.tif"
    values = np.array([[1, 2, 3], [-9999, 5, 6]], "int16")
    transform = rasterio.Affine(10, 0, 500_000, 0, 10, 7_000_000)  # rows run northward
    profile = {"driver": "GTiff", "width": 3, "height": 2, "count": 1, "dtype": "int16", "nodata": -9999}
    with rasterio.open(path, "w", crs=CRS, transform=transform, **profile) as raster:
        raster.write(values, 1)
    grid = read_geotiff(path)
    assert grid.northing.values.tolist() == [7_000_005.0, 7_000_015.0]
    np.testing.assert_array_equal(grid, [[1, 2, 3], [np.nan, 5, 6]])


def test_a_geographic_raster_keeps_its_own_dimensions_so_that_no_filter_takes_it(survey_data):
    grid = read_geotiff(survey_data / "dem" / "N44W072.hgt")
    assert grid.dims == ("latitude", "longitude")
    assert grid.latitude.values[0] < grid.latitude.values[-1]


def test_a_real_projected_raster_agrees_with_gdal_itself(survey_data):
    path = survey_data / "dem" / "lidar_dem.tif"
    grid = read_geotiff(path)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(grid.values[::-1], raster.read(1))
        for row, column in [(0, 0), (3, 399), (399, 7)]:
            x, y = raster.xy(row, column)
            assert grid.sel(easting=x, northing=y, method="nearest").item() == raster.read(1)[row, column]


@pytest.mark.fault
def test_a_failed_export_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_cog(asymmetric_grid(), tmp_path / "grid.tif")
    before = path.read_bytes()

    def break_off(block):
        if block.size:  # dask asks with an empty block what the function gives
            raise RuntimeError("the worker is gone")
        return block

    grid = asymmetric_grid()
    broken = grid.copy(data=da.from_array(grid.values, chunks=2).map_blocks(break_off, dtype="float32"))
    with pytest.raises(RuntimeError, match="the worker is gone"):
        write_cog(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["grid.tif"]


@pytest.mark.fault
def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FormatError, match="does not exist; create it"):
        write_cog(asymmetric_grid(), tmp_path / "absent" / "grid.tif")
    with pytest.raises(FormatError, match="cannot be written"):
        write_cog(asymmetric_grid(), "/proc/grid.tif")
    with pytest.raises(FormatError, match="is a folder"):
        write_cog(asymmetric_grid(), tmp_path)


def test_what_is_no_grid_is_refused_with_words(tmp_path):
    grid = asymmetric_grid()
    with pytest.raises(DataError, match="must be a real number"):
        write_cog(grid.astype(complex), tmp_path / "grid.tif")
    with pytest.raises(DataError, match="must ascend"):
        write_cog(grid[::-1], tmp_path / "grid.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(FormatError, match="not a raster"):
        read_geotiff(tmp_path / "text.tif")
    with pytest.raises(FormatError, match="no such file"):
        read_geotiff(tmp_path / "absent.tif")
    with pytest.raises(FormatError, match="no band 2"):
        read_geotiff(write_cog(grid, tmp_path / "grid.tif"), band=2)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    spacing=st.tuples(st.sampled_from([0.5, 1.0, 37.5]), st.sampled_from([0.25, 2.0, 50.0])),
)
def test_any_shape_and_spacing_comes_back(tmp_path, shape, spacing):
    grid = asymmetric_grid(shape=shape, spacing=spacing)
    back = read_geotiff(write_cog(grid, tmp_path / "grid.tif"))
    xr.testing.assert_equal(back, grid)
