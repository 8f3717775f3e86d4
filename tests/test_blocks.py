"""Windows of grids: in memory, indexed lazily, on Dask."""

import pickle

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import blocks
from pipelines.conventions import Geometry, make_grid


@pytest.fixture(params=["numpy", "zarr", "dask"])
def grid(request, tmp_path):
    values = np.arange(35 * 50, dtype="f4").reshape(35, 50)
    made = make_grid(values, Geometry((0.0, 0.0), (1.0, 1.0), (35, 50)), name="total_field_anomaly")
    if request.param == "dask":
        return made.chunk(northing=8, easting=13)
    if request.param == "zarr":
        made.to_dataset().to_zarr(tmp_path / "grid.zarr", consolidated=False)
        return xr.open_zarr(tmp_path / "grid.zarr", chunks=None, consolidated=False)["total_field_anomaly"]
    return made


def window_sum(view, factor):
    return (view.read() * factor,)


def test_a_task_a_window_reads_its_own_cells_from_every_kind_of_grid(grid):
    tiles = blocks.lattice(grid.shape, 16)
    flat = [tile for row in tiles for tile in row]
    tasks = blocks.map_windows(window_sum, grid, flat, [2.0] * len(flat), label="double")
    (doubled,) = blocks.assemble(tasks, tiles, 1, np.dtype("f4"))
    assert isinstance(doubled, da.Array)
    assert doubled.chunks == ((16, 16, 3), (16, 16, 16, 2))
    np.testing.assert_array_equal(doubled.compute(scheduler="sync"), 2 * grid.values)


def middle(view):
    inner = view.read(slice(view.rows.start + 1, view.rows.stop - 1))
    return float(inner.sum())


def test_a_view_reads_parts_in_the_grids_own_cell_numbers(grid):
    window = (slice(10, 20), slice(30, 45))
    (task,) = blocks.map_windows(middle, grid, [window], label="middle")
    assert task.compute(scheduler="sync") == grid.values[11:19, 30:45].sum()


def test_a_lazily_indexed_grid_travels_unread(grid):
    if grid.chunks is not None or not blocks.is_lazy(grid):
        pytest.skip("only for a grid indexed lazily")
    (task,) = blocks.map_windows(middle, grid, [(slice(0, 9), slice(0, 9))], label="middle")
    graph = pickle.dumps(dict(task.__dask_graph__()))
    assert grid.values[3:5].tobytes() not in graph
    assert pickle.loads(pickle.dumps(task)).compute(scheduler="sync") == grid.values[1:8, :9].sum()


def test_a_view_refuses_what_lies_outside_its_window():
    view = blocks.View(slice(2, 5), slice(0, 4), np.zeros((9, 9)))
    assert view.shape == (3, 4)
    with pytest.raises(IndexError, match="leaves the window"):
        view.read(slice(1, 4))


def test_cells_come_in_native_byte_order():
    view = blocks.View(slice(0, 2), slice(0, 2), np.arange(4, dtype=">i4").reshape(2, 2))
    assert view.read().dtype.isnative
    np.testing.assert_array_equal(view.read(), [[0, 1], [2, 3]])


def test_chunks_that_several_windows_touch_are_made_once():
    made = []

    def source(block, block_info=None):
        made.append(block_info[0]["chunk-location"])
        return block

    data = da.zeros((20, 20), chunks=10).map_blocks(source, dtype=float, meta=np.empty((0, 0)))
    grid = make_grid(data, Geometry((0.0, 0.0), (1.0, 1.0), (20, 20)), name="total_field_anomaly")
    windows = [(slice(0, 12), slice(0, 12)), (slice(8, 20), slice(8, 20)), (slice(0, 20), slice(0, 20))]
    tasks = blocks.map_windows(middle, grid, windows, label="middle")
    dask.compute(*tasks, scheduler="sync")
    assert sorted(made) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    tile=st.integers(8, 128),
    halo=st.integers(0, 60),
    multiple=st.integers(1, 20),
)
def test_a_lattice_covers_a_grid_once_and_grown_tiles_stay_inside(shape, tile, halo, multiple):
    seen = np.zeros(shape, int)
    for row in blocks.lattice(shape, tile):
        for rows, columns in row:
            seen[rows, columns] += 1
            grown = blocks.grown((rows, columns), halo, shape, multiple)
            for part, big, n in zip((rows, columns), grown, shape, strict=True):
                assert 0 <= big.start <= max(part.start - halo, 0)
                assert min(part.stop + halo, n) <= big.stop <= n
                assert big.start % multiple == 0
                assert big.stop % multiple == 0 or big.stop == n
    assert (seen == 1).all()
