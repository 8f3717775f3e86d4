"""The labels of grids and surveys: what is read from them, and what is refused."""

import numpy as np
import pytest
import xarray as xr

from pipelines.conventions import Geometry, assign_crs, crs_of, geometry_of, make_grid, require_numbers
from pipelines.errors import DataError
from pipelines.mag import filters

UTM = "EPSG:32754"
GEOMETRY = Geometry((7_500_025.0, 300_025.0), (50.0, 40.0), (60, 80))


def grid(geometry: Geometry = GEOMETRY, name: str = "total_field_anomaly") -> xr.DataArray:
    values = np.random.default_rng(0).random(geometry.shape)
    return make_grid(values, geometry, name=name, crs=UTM, attrs={"units": "nT"})


def reopened(data: xr.Dataset, tmp_path, kind: str, **options) -> xr.Dataset:
    if kind == "netcdf":
        data.to_netcdf(tmp_path / "data.nc")
        return xr.load_dataset(tmp_path / "data.nc", **options)
    data.to_zarr(tmp_path / "data.zarr", consolidated=False)
    return xr.open_zarr(tmp_path / "data.zarr", consolidated=False, chunks=None, **options)


def test_the_geometry_of_a_made_grid_is_the_one_it_was_made_with():
    assert geometry_of(grid()) == GEOMETRY


def test_coordinates_stored_as_float32_metres_pass_as_regular():
    # Near 7 500 000 m float32 knows every half metre: a cell of 33.3 m is off by 1.5 % of itself.
    geometry = Geometry((7_500_025.0, 300_025.0), (33.3, 33.3), (60, 80))
    stored = grid(geometry)
    stored = stored.assign_coords({d: stored[d].astype("f4") for d in stored.dims})
    found = geometry_of(stored)
    # The ends are off by a quarter of a metre at most, shared by the 59 gaps between them.
    np.testing.assert_allclose(found.spacing, 33.3, atol=2 * 0.25 / 59)
    np.testing.assert_allclose(found.origin, geometry.origin, atol=0.25)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_coordinate_that_strays_by_more_than_its_rounding_is_refused(dtype):
    # 1 m is twice float32's half a metre there, and 2.5 % of a cell.
    northing = grid().northing.values.copy()
    northing[30] += 1.0
    with pytest.raises(DataError, match="irregular"):
        geometry_of(grid().assign_coords(northing=northing.astype(dtype)))


def test_coordinates_that_rounding_has_made_equal_are_refused():
    # Cells of 0.2 m do not survive float32 there, whatever tolerance its rounding asks for.
    fine = grid(Geometry((7_500_000.0, 300_000.0), (0.2, 0.2), (20, 20)))
    with pytest.raises(DataError, match="northing"):
        geometry_of(fine.assign_coords(northing=fine.northing.astype("f4")))


def test_a_dataset_is_no_grid():
    with pytest.raises(DataError, match="one variable of a dataset"):
        geometry_of(grid().to_dataset())


@pytest.mark.parametrize("kind", ["netcdf", "zarr"])
def test_a_dataset_knows_its_crs_however_it_was_opened(tmp_path, kind):
    plain = reopened(grid().to_dataset(), tmp_path, kind)
    assert "spatial_ref" in plain.data_vars
    assert crs_of(plain).to_epsg() == 32754
    survey = assign_crs(xr.Dataset(coords={"easting": ("point", np.arange(3.0))}), UTM)
    assert crs_of(survey.reset_coords("spatial_ref")).to_epsg() == 32754


@pytest.mark.parametrize("kind", ["netcdf", "zarr"])
def test_a_grid_taken_from_a_file_that_was_opened_without_its_crs_says_how_to_open_it(tmp_path, kind):
    taken = reopened(grid().to_dataset(), tmp_path, kind)["total_field_anomaly"]
    for read in (crs_of, geometry_of, filters.tilt_angle):
        with pytest.raises(DataError, match='decode_coords="all"'):
            read(taken)


@pytest.mark.parametrize("kind", ["netcdf", "zarr"])
def test_a_grid_opened_with_its_crs_keeps_it_through_a_filter(tmp_path, kind):
    taken = reopened(grid().to_dataset(), tmp_path, kind, decode_coords="all")["total_field_anomaly"]
    assert crs_of(filters.tilt_angle(taken)).to_epsg() == 32754


def test_a_mapping_of_another_name_is_read_and_a_degree_in_it_refused():
    renamed = grid().rename(spatial_ref="crs").assign_attrs(grid_mapping="crs: easting northing")
    assert crs_of(renamed).to_epsg() == 32754
    in_degrees = assign_crs(grid(), "EPSG:4326").rename(spatial_ref="crs")
    with pytest.raises(DataError, match="must be projected"):
        geometry_of(in_degrees.assign_attrs(grid_mapping="crs"))


def test_a_grid_without_a_crs_or_whose_crs_was_dropped_has_none():
    assert crs_of(grid().drop_vars("spatial_ref")) is None
    assert crs_of(xr.DataArray(np.zeros((2, 2)), dims=("northing", "easting"))) is None
    assert geometry_of(grid().drop_vars("spatial_ref")) == GEOMETRY


@pytest.mark.parametrize("dtype", ["bool", "complex128", "datetime64[ns]", "U4", "object"])
def test_values_that_are_no_real_numbers_are_refused(dtype):
    with pytest.raises(DataError, match="real numbers"):
        require_numbers(xr.DataArray(np.zeros(3).astype(dtype), name="channel"))


@pytest.mark.parametrize("dtype", ["i2", "u4", "f4", ">f8"])
def test_real_numbers_of_any_width_pass(dtype):
    require_numbers(xr.DataArray(np.zeros(3, dtype), name="channel"))


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
def test_a_fill_value_among_the_attributes_is_refused_unless_it_is_nan(attribute):
    with pytest.raises(DataError, match="not decoded"):
        require_numbers(grid().assign_attrs({attribute: -99999}))
    require_numbers(grid().assign_attrs({attribute: np.float32("nan")}))


@pytest.mark.parametrize("kind", ["netcdf", "zarr"])
def test_a_file_with_a_fill_value_is_read_decoded_and_refused_undecoded(tmp_path, kind):
    holed = grid().where(grid() > 0.1)
    holed.encoding.update(_FillValue=-99999.0, grid_mapping="spatial_ref")
    decoded = reopened(holed.to_dataset(), tmp_path, kind, decode_coords="all")["total_field_anomaly"]
    np.testing.assert_array_equal(np.isnan(filters.tilt_angle(decoded)), np.isnan(holed))
    (tmp_path / "raw").mkdir()
    raw = reopened(holed.to_dataset(), tmp_path / "raw", kind, decode_coords="all", mask_and_scale=False)
    with pytest.raises(DataError, match="mask_and_scale"):
        filters.tilt_angle(raw["total_field_anomaly"])
