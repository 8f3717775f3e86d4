"""What every exporter promises: whole files or none, and one band of rows in memory at a time."""

import subprocess
import sys
import textwrap
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import FormatError
from pipelines.formats import exporting
from pipelines.formats.exporting import in_chunks, row_bands, written_aside

WRITE_WITH_LITTLE_ROOM = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from pipelines.conventions import Geometry, make_grid
    from pipelines.errors import FormatError
    from pipelines.formats.geosoft_grd import write_grd
    from pipelines.formats.geotiff import write_cog
    from pipelines.formats.netcdf_grid import write_netcdf

    values = np.random.default_rng(0).normal(size=(512, 1024))
    grid = make_grid(values, Geometry((0.0, 0.0), (1.0, 1.0), values.shape), name="grid", crs="EPSG:32754")
    for room in map(int, sys.argv[2:]):
        folder = Path(sys.argv[1]) / str(room)
        folder.mkdir()
        # The soft limit alone, so that the next round can have more.
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        for write, name in ((write_cog, "grid.tif"), (write_grd, "grid.grd"), (write_netcdf, "grid.nc")):
            try:
                write(grid, folder / name)
            except FormatError as error:
                assert "cannot be written" in str(error), error
    """
)


@pytest.mark.fault
@pytest.mark.skipif(sys.platform != "linux", reason="the size of files is limited by Linux' own means")
# The grid is 4.2 MB of noise, which hardly compresses. In 1 MB nothing fits; in 4.5 MB everything
# does but the finished COG, to which overviews add a third: there the last step is cut.
def test_a_full_disk_is_said_in_words_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", WRITE_WITH_LITTLE_ROOM, str(tmp_path), "1000000", "4500000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "1000000").iterdir())
    left = sorted(p.name for p in (tmp_path / "4500000").iterdir())
    assert left == ["grid.grd", "grid.grd.xml", "grid.nc"]


@pytest.mark.fault
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "grid.tif"
    path.write_text("old")

    def write_and_fail():
        with written_aside(path) as aside:
            aside.write_text("half of the n")
            assert path.read_text() == "old"
            assert aside.parent == path.parent  # the same file system, so that the rename is one step
            assert aside.suffix == path.suffix
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with written_aside(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"


def test_a_file_has_the_rights_that_any_new_file_has(tmp_path):
    (tmp_path / "plain").touch()
    with written_aside(tmp_path / "written") as aside:
        aside.write_text("x")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(FormatError, match="does not exist; create it"),
        written_aside(tmp_path / "absent" / "x"),
    ):
        pass


@settings(deadline=None)
@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 5),
    chunk=st.integers(1, 20),
    multiple=st.integers(1, 9),
    room=st.integers(8, 2000),
)
def test_bands_are_the_grid_in_order_whatever_its_chunks(rows, columns, chunk, multiple, room):
    values = np.arange(float(rows * columns)).reshape(rows, columns)
    grid = xr.DataArray(da.from_array(values, chunks=(chunk, 2)), dims=("northing", "easting"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "BAND_BYTES", room)
        bands = list(row_bands(grid, multiple))
    np.testing.assert_array_equal(np.concatenate([band for _, band in bands]), values)
    assert [s.start for s, _ in bands] == [0, *(s.stop for s, _ in bands[:-1])]
    assert all(len(band) % multiple == 0 for _, band in bands[:-1])


def test_what_is_stored_in_chunks_is_taken_chunk_by_chunk(tmp_path):
    grid = xr.DataArray(np.zeros((8, 6)), dims=("northing", "easting"), name="grid")
    grid.chunk(northing=3, easting=4).to_dataset().to_zarr(
        tmp_path / "g.zarr", zarr_format=3, consolidated=False
    )
    stored = xr.open_zarr(tmp_path / "g.zarr", chunks=None, consolidated=False).grid
    assert in_chunks(stored).chunks == ((3, 3, 2), (4, 2))
    assert in_chunks(grid).chunks is None
