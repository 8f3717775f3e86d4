"""Geosoft grids: files laid out by hand, files Geosoft wrote, and every broken one refused."""

import struct
import zlib
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.conventions import Geometry, crs_of, make_grid
from pipelines.errors import DataError, FormatError
from pipelines.formats.geosoft_grd import DUMMIES, read_grd, write_grd

SAMPLES = ["TMI.GRD", "Wittichica Creek Residual Total Field.grd", "Wittichica DEM.grd", "test.grd"]
ENCODINGS = {  # dtype: (element size, sign flag), as Geosoft's description of the format has them
    "u1": (1, 0),
    "i1": (1, 1),
    "u2": (2, 0),
    "i2": (2, 1),
    "u4": (4, 0),
    "i4": (4, 1),
    "f4": (4, 2),
    "f8": (8, 2),
}


def laid_out(elements, *, order=1, base=0.0, multiplier=1.0, compressed=False, rotation=0.0) -> bytes:
    """A file byte by byte: vectors by rows of *elements*, 10 m between elements, 20 m between vectors."""
    size, sign = ENCODINGS[elements.dtype.str[1:]]
    vectors, per_vector = elements.shape
    head = struct.pack("<5i", size + 1024 * compressed, sign, per_vector, vectors, order)
    head += struct.pack("<7d", 10.0, 20.0, 1000.0, 2000.0, rotation, base, multiplier)
    head = head.ljust(512, b"\0")
    if not compressed:
        return head + elements.tobytes()
    blocks = [b"\x0f\x0e\xff\xfe\x12\x34\x56\x78" + struct.pack("<2i", 2, 1)] * vectors
    blocks = [b + zlib.compress(v.tobytes()) for b, v in zip(blocks, elements, strict=True)]
    table = 512 + 16 + 12 * vectors
    offsets = [table + sum(map(len, blocks[:i])) for i in range(vectors)]
    directory = struct.pack(f"<4I{vectors}q", 0xF8E7D8C7, 2, vectors, 1, *offsets)
    directory += struct.pack(f"<{vectors}i", *map(len, blocks))
    return head + directory + b"".join(blocks)


def magnetic_grid(shape=(5, 7), dtype="float32") -> xr.DataArray:
    """A grid with one hole that no flip or transpose leaves as it is."""
    values = np.random.default_rng(5).normal(0, 300, shape).astype(dtype)
    values[1, 2] = np.nan
    geometry = Geometry((7_500_010.0, 400_020.0), (40.0, 25.0), shape)
    return make_grid(values, geometry, name="total_field_anomaly", crs="EPSG:32754", attrs={"units": "nT"})


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ENCODINGS)
def test_each_encoding_is_read_with_its_scale_and_its_dummy(tmp_path, dtype, compressed):
    elements = np.arange(12).reshape(3, 4).astype(f"<{dtype}")
    elements[2, 1] = DUMMIES.get(dtype, -1e32)
    path = tmp_path / "grid.grd"
    path.write_bytes(laid_out(elements, base=100.0, multiplier=4.0, compressed=compressed))
    expected = 100.0 + np.arange(12.0).reshape(3, 4) / 4.0
    expected[2, 1] = np.nan
    grid = read_grd(path)
    np.testing.assert_array_equal(grid.values, expected)
    assert grid.easting.values.tolist() == [1000.0, 1010.0, 1020.0, 1030.0]
    assert grid.northing.values.tolist() == [2000.0, 2020.0, 2040.0]


@pytest.mark.parametrize("order", [1, -1, 2, -2, 3, -3, 4, -4])
def test_each_storage_order_lands_at_its_own_corner_and_sense(tmp_path, order):
    # Walk the file in the order it is stored. The corner gives the start, and the two possible
    # directions away from it; the sign says which comes first: right-handed means that
    # (element direction) x (vector direction) points up.
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0)}[abs(order)]  # (east end?, north end?)
    east, north = np.array([1 - 2 * corner[0], 0]), np.array([0, 1 - 2 * corner[1]])
    element, vector = east, north
    if np.sign(element[0] * vector[1] - element[1] * vector[0]) != np.sign(order):
        element, vector = north, east
    elements = np.arange(12, dtype="<f4").reshape(3, 4)
    path = tmp_path / "grid.grd"
    path.write_bytes(laid_out(elements, order=order))
    grid = read_grd(path)
    last = np.array([grid.sizes["easting"] - 1, grid.sizes["northing"] - 1])
    start = np.array(corner) * last
    for i in range(3):
        for j in range(4):
            column, row = start + j * element + i * vector
            assert grid[row, column].item() == elements[i, j]
    assert grid.easting.values[0] == 1000.0
    assert grid.northing.values[0] == 2000.0
    element_axis = "easting" if element[0] else "northing"
    assert np.diff(grid[element_axis])[0] == 10.0


@pytest.mark.peer
@pytest.mark.parametrize("name", SAMPLES)
def test_grids_written_by_geosoft_are_read_as_harmonica_reads_them(survey_data, name):
    harmonica = pytest.importorskip("harmonica", reason="harmonica is the oracle; pip install harmonica")
    path = survey_data / "geosoft-gxpy-samples" / name
    with pytest.warns(UserWarning, match="look like degrees") if name == "test.grd" else _no_warning():
        grid = read_grd(path)
    peer = harmonica.load_oasis_montaj_grid(path)
    np.testing.assert_array_equal(grid.values, peer.values)
    # Harmonica builds coordinates by linspace, we by multiples: equal to the last digits.
    for dim, other in zip(grid.dims, peer.dims, strict=True):
        np.testing.assert_allclose(grid[dim], peer[other], rtol=1e-14)


@pytest.mark.peer
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_we_write_harmonica_reads(tmp_path, dtype, compress):
    harmonica = pytest.importorskip("harmonica", reason="harmonica is the oracle; pip install harmonica")
    grid = magnetic_grid(shape=(300, 200), dtype=dtype)
    peer = harmonica.load_oasis_montaj_grid(write_grd(grid, tmp_path / "grid.grd", compress=compress))
    np.testing.assert_array_equal(peer.values, grid.values)
    np.testing.assert_allclose(peer.northing, grid.northing, rtol=1e-14)
    np.testing.assert_allclose(peer.easting, grid.easting, rtol=1e-14)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_grid_comes_back_bit_for_bit_with_its_crs(tmp_path, dtype, compress):
    grid = magnetic_grid(shape=(400, 150), dtype=dtype)
    back = read_grd(write_grd(grid, tmp_path / "grid.grd", compress=compress))
    assert back.dtype == grid.dtype
    np.testing.assert_array_equal(back.values, grid.values)
    xr.testing.assert_equal(back, grid)
    assert crs_of(back) == crs_of(grid)
    assert back.name == grid.name


def test_a_dask_grid_is_written_by_bands_with_the_same_bytes(tmp_path):
    grid = magnetic_grid(shape=(300, 90))
    chunked = grid.copy(data=da.from_array(grid.values, chunks=(70, 40)))
    one = write_grd(grid, tmp_path / "one.grd").read_bytes()
    assert write_grd(chunked, tmp_path / "two.grd").read_bytes() == one


def test_blocks_are_as_long_as_those_in_geosofts_own_files(tmp_path, survey_data):
    path = survey_data / "geosoft-gxpy-samples" / "Wittichica Creek Residual Total Field.grd"
    ours = write_grd(read_grd(path), tmp_path / "grid.grd").read_bytes()
    assert ours[:76] == path.read_bytes()[:76]  # the header up to the label
    assert ours[512:528] == path.read_bytes()[512:528]  # signature, kind, blocks, vectors a block


@pytest.mark.parametrize(
    ("name", "epsg"), [("Wittichica DEM.grd", 26910), ("TMI.GRD", 20253)], ids=["by code", "by parameters"]
)
def test_the_crs_is_read_from_geosofts_metadata(survey_data, name, epsg):
    assert crs_of(read_grd(survey_data / "geosoft-gxpy-samples" / name)).to_epsg() == epsg


def test_a_crs_without_a_code_survives(tmp_path):
    local = "+proj=tmerc +lat_0=-20.3 +lon_0=139.1 +k=1 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m +type=crs"
    geometry = Geometry((0.0, 0.0), (10.0, 10.0), (3, 4))
    grid = make_grid(np.zeros((3, 4)), geometry, name="dem", crs=local)
    assert crs_of(read_grd(write_grd(grid, tmp_path / "grid.grd"))).equals(crs_of(grid))


def test_a_side_file_that_is_not_understood_is_said_and_overruled(tmp_path):
    path = write_grd(magnetic_grid(), tmp_path / "grid.grd")
    (tmp_path / "grid.grd.xml").write_text("<metadata><cut")
    with pytest.warns(UserWarning, match="not understood.*crs="):
        assert crs_of(read_grd(path)) is None
    assert crs_of(read_grd(path, crs="EPSG:28354")).to_epsg() == 28354


def test_a_geographic_grid_keeps_its_own_dimensions_so_that_no_filter_takes_it(survey_data):
    grid = read_grd(survey_data / "geosoft-gxpy-samples" / "test.grd", crs="EPSG:4326")
    assert grid.dims == ("latitude", "longitude")


def test_a_value_that_the_format_takes_for_no_data_is_refused_and_nothing_is_left(tmp_path):
    grid = magnetic_grid(dtype="float64")
    grid[0, 0] = -2e32
    with pytest.raises(DataError, match="above -1e32"):
        write_grd(grid, tmp_path / "grid.grd")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: b"", "has 0 bytes"),
        (lambda raw: raw[:300], "header of 512"),
        (lambda raw: raw[:-3], "is cut"),
        (lambda raw: raw[:560], "is cut|promises|damaged"),
        (lambda raw: b"DSRB" + raw[4:], "Surfer"),
        (lambda raw: struct.pack("<2i", 4, 3) + raw[8:], "colour grid"),
        (lambda raw: struct.pack("<2i", 3, 0) + raw[8:], "element size 3"),
        (lambda raw: raw[:8] + struct.pack("<i", -4) + raw[12:], "-4 elements"),
        (lambda raw: raw[:8] + struct.pack("<2i", 2**30, 2**30) + raw[16:], "promises"),
        (lambda raw: raw[:16] + struct.pack("<i", 9) + raw[20:], "storage order 9"),
        (lambda raw: raw[:20] + struct.pack("<d", 0.0) + raw[28:], "spacings"),
        (lambda raw: raw[:52] + struct.pack("<d", 30.0) + raw[60:], "rotated by 30"),
        (lambda raw: raw[:68] + struct.pack("<d", 0.0) + raw[76:], "multiplier 0"),
        (lambda raw: raw[:600] + b"\xff" * 40 + raw[640:], "damaged"),
    ],
)
def test_a_broken_file_is_refused_with_words(tmp_path, damage, words):
    path = write_grd(magnetic_grid(shape=(40, 30)), tmp_path / "grid.grd")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FormatError, match=words):
        read_grd(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_grd(tmp_path / "absent.grd")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), dtype=st.sampled_from(["float32", "float64"]), compress=st.booleans())
def test_any_finite_values_come_back(tmp_path, data, dtype, compress):
    shape = data.draw(st.tuples(st.integers(2, 6), st.integers(2, 6)))
    width = 32 if dtype == "float32" else 64
    limit = float(np.float32(1e31))
    elements = st.floats(-limit, limit, width=width) | st.just(float("nan"))
    values = data.draw(arrays(dtype, shape, elements=elements))
    grid = make_grid(values, Geometry((0.0, 0.0), (1.0, 2.0), shape), name="grid")
    np.testing.assert_array_equal(read_grd(write_grd(grid, tmp_path / "g.grd", compress=compress)), values)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1200), new=st.binary(min_size=1, max_size=16), cut=st.integers(0, 1200))
@example(place=0, new=b"\x08\x04", cut=0)
@pytest.mark.filterwarnings("ignore:.*look like degrees")
def test_damage_anywhere_is_refused_or_changes_values_only(tmp_path, place, new, cut):
    path = tmp_path / "grid.grd"
    if not path.exists():
        write_grd(magnetic_grid(shape=(12, 9)), path)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[place : place + len(new)] = new
    bad = Path(tmp_path / "damaged.grd")
    bad.write_bytes(bytes(damaged[: len(damaged) - cut]))
    try:
        grid = read_grd(bad)
    except FormatError:
        return
    assert grid.ndim == 2


def _no_warning():
    import contextlib

    return contextlib.nullcontext()
