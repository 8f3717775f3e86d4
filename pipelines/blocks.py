"""Windows with halos: the one way to run a block operator over a grid, wherever its cells are.

A grid may hold its cells in memory (NumPy), in a file that is indexed lazily
(``xr.open_zarr(path, chunks=None)``: nothing read, picklable) or in a Dask array. A block operator
is a plain function of a `View`, a window of the grid that it reads itself:

* in memory, reading is slicing;
* indexed lazily, the window is read inside the task that needs it, so that a graph holds one task
  a window and no cell travels between workers;
* on Dask, the chunks that the window touches are inputs of the task.

Operators that must give the same bits for any chunking choose their windows from the grid's shape
alone (see `lattice`), and this module never moves them.
"""

import operator
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

Rectangle = tuple[slice, slice]


@dataclass(frozen=True)
class View:
    """A window of a grid, in the grid's own cell numbers; nothing is read before `read`.

    Attributes
    ----------
    rows, columns : slice
        The window, with explicit start and stop.
    """

    rows: slice
    columns: slice
    _holder: Any = field(repr=False)
    _origin: tuple[int, int] = field(default=(0, 0), repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the window."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def read(self, rows: slice | None = None, columns: slice | None = None) -> NDArray:
        """Return the cells of the window, or of a part of it given in the grid's cell numbers.

        In this machine's byte order, and half or long floats as float64: kernels know no others.
        """
        rows, columns = rows or self.rows, columns or self.columns
        if not (_within(rows, self.rows) and _within(columns, self.columns)):
            raise IndexError(f"[{rows}, {columns}] leaves the window [{self.rows}, {self.columns}]")
        i, j = self._origin
        part = self._holder[rows.start - i : rows.stop - i, columns.start - j : columns.stop - j]
        return _plain(np.asarray(part))


def is_lazy(grid: xr.DataArray) -> bool:
    """Whether values are elsewhere: in a file indexed lazily, or in a Dask graph."""
    return not isinstance(grid.variable._data, np.ndarray)


def whole(grid: xr.DataArray) -> View:
    """View all of a grid that is in memory."""
    return View(slice(0, grid.shape[0]), slice(0, grid.shape[1]), grid.values)


def lattice(shape: Sequence[int], tile: int) -> list[list[Rectangle]]:
    """Cut a shape into tiles, in rows; the last tile along an axis holds what is left over."""
    cuts = [[slice(start, min(start + tile, n)) for start in range(0, n, tile)] for n in shape]
    return [[(rows, columns) for columns in cuts[1]] for rows in cuts[0]]


def grown(rectangle: Rectangle, halo: int, shape: Sequence[int], multiple: int = 1) -> Rectangle:
    """Grow a rectangle by a halo, then outwards to multiples of cells; the grid's sides cut it off."""
    grow = []
    for part, n in zip(rectangle, shape, strict=True):
        start = (part.start - halo) // multiple * multiple
        stop = -(-(part.stop + halo) // multiple) * multiple
        grow.append(slice(max(start, 0), min(stop, n)))
    return grow[0], grow[1]


def map_windows(
    function: Callable[..., Any],
    grid: xr.DataArray,
    windows: Sequence[Rectangle],
    *arguments: Sequence[Any],
    label: str,
) -> list[Delayed]:
    """Make one task a window: ``function(view, *arguments[window])``.

    Parameters
    ----------
    function : callable
        A module-level function, or a partial of one, since it travels to workers.
    grid : DataArray
        On NumPy, indexed lazily or on Dask.
    windows : sequence of (rows, columns)
        What each task may read.
    *arguments : sequences
        One further argument a window each; `Delayed` values are resolved first.
    label : str
        Name of the tasks on Dask's dashboard.

    Returns
    -------
    list of Delayed
        In the order of *windows*.
    """
    run = uuid.uuid4().hex[:12]
    call = delayed(_call, pure=False)
    source = None
    if grid.chunks is None:
        # The bare variable: coordinates and attributes need not travel with the tasks.
        holder = grid.variable.copy(deep=False)
        holder.attrs = {}
        source = delayed(holder, name=f"source-{label}-{run}", traverse=False)
    tasks = []
    for number, (window, *rest) in enumerate(zip(windows, *arguments, strict=True)):
        rows, columns = window
        origin = (0, 0) if source is not None else (rows.start, columns.start)
        cells = source if source is not None else _parts(grid.data[rows, columns])
        key = f"{label}-{run}-{number}"
        bounds = (rows.start, rows.stop, columns.start, columns.stop)
        tasks.append(call(function, bounds, cells, origin, *rest, dask_key_name=key))
    return tasks


def assemble(
    tasks: Sequence[Delayed], tiles: Sequence[Sequence[Rectangle]], outputs: int, dtype: np.dtype
) -> list[da.Array]:
    """Put tasks that each give a tuple of tiles together as Dask arrays.

    Parameters
    ----------
    tasks : sequence of Delayed
        One a tile, in the order of the rows of *tiles*.
    tiles : rows of rectangles
        See `lattice`.
    outputs : int
        Length of each task's tuple.
    dtype : dtype
        Of every tile.
    """
    pick, meta, arrays = delayed(operator.getitem, pure=False), np.empty((0, 0), dtype), []
    for output in range(outputs):
        task = iter(tasks)
        parts = [
            [
                da.from_delayed(
                    pick(next(task), output), (r.stop - r.start, c.stop - c.start), meta=meta, dtype=dtype
                )
                for r, c in row
            ]
            for row in tiles
        ]
        arrays.append(da.block(parts))
    return arrays


def _parts(array: da.Array) -> list[list[Delayed]]:
    """Return an array's chunks as tasks, in rows.

    Handed to `delayed` whole, an array is optimised on its own first: its tasks are fused under other
    names, and whatever they share with other windows or outputs is computed again for each.
    """
    parts: list[list[Delayed]] = array.to_delayed(optimize_graph=False).tolist()
    return parts


def _call(
    function: Callable[..., Any], bounds: tuple[int, ...], cells: Any, origin: tuple[int, int], *rest: Any
) -> Any:
    rows, columns = slice(bounds[0], bounds[1]), slice(bounds[2], bounds[3])
    if isinstance(cells, list):
        cells = np.block(cells)
    return function(View(rows, columns, cells, origin), *rest)


def _plain(cells: NDArray) -> NDArray:
    if cells.dtype.kind == "f" and cells.dtype.itemsize not in (4, 8):
        return cells.astype(np.float64)
    return cells.astype(cells.dtype.newbyteorder("="), copy=False)


def _within(part: slice, of: slice) -> bool:
    return of.start <= part.start <= part.stop <= of.stop
