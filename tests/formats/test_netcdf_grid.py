"""netCDF grids come back bit for bit, and GDAL puts them where we did."""

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr

from pipelines.conventions import Geometry, crs_of, make_grid
from pipelines.errors import DataError, FormatError
from pipelines.formats.netcdf_grid import read_netcdf, write_netcdf

CRS = "EPSG:32754"
GEOMETRY = Geometry((7_500_010.0, 400_020.0), (40.0, 25.0), (6, 8))


def magnetic_grid(dtype="float64", name="total_field_anomaly") -> xr.DataArray:
    values = np.random.default_rng(3).normal(0, 300, GEOMETRY.shape).astype(dtype)
    values[1, 2] = np.nan
    return make_grid(values, GEOMETRY, name=name, crs=CRS, attrs={"units": "nT"})


def result() -> xr.Dataset:
    """Two grids and a spectrum, labelled as a pipeline labels them."""
    grids = magnetic_grid().to_dataset()
    grids["tilt_angle"] = magnetic_grid("float32", "tilt_angle")
    grids["power"] = ("wavenumber", np.linspace(9, 1, 5))
    return grids.assign_coords(wavenumber=np.linspace(0.001, 0.01, 5)).assign_attrs(
        choices='[{"parameter": "spacing"}]', seeded=True, absent=None, history="made for a test"
    )


def test_a_dataset_comes_back_bit_for_bit_with_its_labels(tmp_path):
    data = result()
    back = read_netcdf(write_netcdf(data, tmp_path / "grids.nc"))
    for name in data.data_vars:
        assert back[name].dtype == data[name].dtype
        assert back[name].values.tobytes() == data[name].values.tobytes()
    xr.testing.assert_equal(back.drop_vars("spatial_ref"), data.drop_vars("spatial_ref"))
    assert crs_of(back) == crs_of(data)
    assert back.total_field_anomaly.attrs["units"] == "nT"
    assert back.attrs["choices"] == data.attrs["choices"]
    assert back.attrs["Conventions"].startswith("CF-")


def test_the_dataset_handed_in_is_left_as_it_was(tmp_path):
    data = result()
    before = data.copy(deep=True)
    write_netcdf(data, tmp_path / "grids.nc")
    xr.testing.assert_identical(data, before)
    assert data.total_field_anomaly.encoding == before.total_field_anomaly.encoding


def test_gdal_finds_the_crs_the_corner_and_the_values(tmp_path):
    grid = magnetic_grid()
    path = write_netcdf(grid, tmp_path / "grid.nc")
    with rasterio.open(f"netcdf:{path}:total_field_anomaly") as raster:
        assert raster.crs.to_epsg() == 32754
        assert raster.tags(ns="")["spatial_ref#GeoTransform"] == "400007.5 25.0 0.0 7500230.0 0.0 -40.0"
        # Half a cell outside the first and last centres.
        assert raster.bounds == (400_007.5, 7_499_990.0, 400_207.5, 7_500_230.0)
        np.testing.assert_array_equal(raster.read(1), grid.values[::-1])


def test_a_crs_in_cf_parameters_alone_is_understood(tmp_path):
    grid = magnetic_grid().to_dataset()
    parameters = {k: v for k, v in crs_of(grid).to_cf().items() if k != "crs_wkt"}
    grid = grid.drop_vars("spatial_ref")
    grid["utm"] = xr.Variable((), 0, parameters)
    grid.total_field_anomaly.encoding = {}
    grid.total_field_anomaly.attrs["grid_mapping"] = "utm"
    grid.to_netcdf(tmp_path / "grid.nc")
    back = read_netcdf(tmp_path / "grid.nc")
    assert "utm" not in back.coords
    assert crs_of(back).to_cf()["longitude_of_central_meridian"] == 141.0


@pytest.mark.parametrize("compress", [True, False])
def test_a_dask_dataset_is_written_by_chunks(tmp_path, compress):
    data = result()
    chunked = data.chunk(northing=4, easting=3)
    back = read_netcdf(write_netcdf(chunked, tmp_path / "grids.nc", compress=compress))
    np.testing.assert_array_equal(back.tilt_angle, data.tilt_angle)
    assert back.tilt_angle.encoding["chunksizes"] == (4, 3)
    assert isinstance(chunked.tilt_angle.data, da.Array)


def test_what_was_read_lazily_from_zarr_can_be_written(tmp_path):
    result().chunk(northing=3, easting=4).to_zarr(tmp_path / "grids.zarr", zarr_format=3, consolidated=False)
    stored = xr.open_zarr(tmp_path / "grids.zarr", chunks=None, decode_coords="all", consolidated=False)
    back = read_netcdf(write_netcdf(stored, tmp_path / "grids.nc"))
    np.testing.assert_array_equal(back.total_field_anomaly, result().total_field_anomaly)
    assert crs_of(back).to_epsg() == 32754


def test_reading_is_lazy(tmp_path):
    back = read_netcdf(write_netcdf(result(), tmp_path / "grids.nc"))
    assert not back.tilt_angle.variable._in_memory


def test_a_foreign_file_is_turned_to_our_names_and_sense(tmp_path):
    foreign = xr.Dataset(
        {"band": (("x", "y"), np.arange(6.0).reshape(3, 2))}, coords={"x": [0.0, 1.0, 2.0], "y": [9.0, 8.0]}
    )
    foreign.to_netcdf(tmp_path / "foreign.nc")
    grid = read_netcdf(tmp_path / "foreign.nc").band
    assert grid.dims == ("northing", "easting")
    assert grid.northing.values.tolist() == [8.0, 9.0]
    np.testing.assert_array_equal(grid, [[1, 3, 5], [0, 2, 4]])


def test_a_real_geographic_file_keeps_degrees(survey_data):
    data = read_netcdf(survey_data / "global-10arcmin" / "earth-geoid-10arcmin.nc")
    assert set(data.sizes) == {"latitude", "longitude"}


@pytest.mark.fault
def test_a_failed_export_leaves_nothing(tmp_path):
    def break_off(block):
        if block.size:
            raise RuntimeError("the worker is gone")
        return block

    grid = magnetic_grid()
    broken = grid.copy(data=da.from_array(grid.values, chunks=2).map_blocks(break_off, dtype=float))
    with pytest.raises(RuntimeError, match="the worker is gone"):
        write_netcdf(broken, tmp_path / "grid.nc")
    assert not list(tmp_path.iterdir())


def test_what_is_no_grid_is_refused_with_words(tmp_path):
    with pytest.raises(DataError, match="must hold a grid"):
        write_netcdf(xr.Dataset({"power": ("wavenumber", np.ones(3))}), tmp_path / "grid.nc")
    with pytest.raises(FormatError, match="does not exist; create it"):
        write_netcdf(magnetic_grid(), tmp_path / "absent" / "grid.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(FormatError, match="is not a netCDF file"):
        read_netcdf(tmp_path / "text.nc")
    with pytest.raises(FormatError, match="no such file"):
        read_netcdf(tmp_path / "absent.nc")
    xr.Dataset({"value": ("point", np.ones(3))}).to_netcdf(tmp_path / "points.nc")
    with pytest.raises(FormatError, match="no coordinates of a grid"):
        read_netcdf(tmp_path / "points.nc")
