"""What every exporter needs: a file written aside, and a grid handed out in bands of rows."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from pipelines.conventions import GRID_DIMS
from pipelines.errors import DataError, FormatError

BAND_BYTES = 32 * 2**20  # a band of rows: long enough to stream, small beside any worker's memory


@contextmanager
def written_aside(path: Path | str) -> Iterator[Path]:
    """Give a temporary file beside *path* that takes its name only when the block ends well.

    A reader of *path* therefore sees the whole old file, the whole new one or none, whatever stops
    the writer; the temporary file is removed when the block fails.

    Parameters
    ----------
    path : Path or str
        Final name. An existing file is replaced.

    Yields
    ------
    Path
        A new empty file in the same folder, hence on the same file system; same suffix as *path*,
        which some drivers look at.

    Raises
    ------
    FormatError
        If the folder does not exist or refuses the file, or the disk is full.
    """
    final = Path(path)
    if not final.parent.is_dir():
        raise FormatError(final, f"the folder {final.parent} does not exist; create it first")
    if final.is_dir():
        raise FormatError(final, "is a folder; give the name of a file")
    aside: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}.", suffix=final.suffix, dir=final.parent)
        os.close(handle)
        aside = Path(name)
        yield aside
        _flush_to_disk(aside)
        aside.chmod(0o666 & ~_umask())
        aside.replace(final)
    except FormatError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise FormatError(final, f"cannot be written ({reason}); free the place or choose another") from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


@contextmanager
def scratch_file(folder: Path, suffix: str) -> Iterator[Path]:
    """Give an empty scratch file in *folder*, removed when the block ends."""
    handle, name = tempfile.mkstemp(prefix=".scratch.", suffix=suffix, dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def row_bands(grid: xr.DataArray, multiple: int = 1) -> Iterator[tuple[slice, np.ndarray]]:
    """Hand out *grid* from south to north in bands of whole rows, one in memory at a time.

    Parameters
    ----------
    grid : DataArray
        Grid with dimensions ``(northing, easting)`` (or any two), NumPy-, Dask- or lazily backed.
    multiple : int
        Every band but the last has a multiple of this many rows.

    Yields
    ------
    rows : slice
        Which rows.
    values : ndarray
        Their values, C-contiguous.

    Notes
    -----
    Bands end where chunks end, so that a chunk is decoded once. A Dask graph is run once a band:
    export what is already stored, not a chain of filters that would be run again for every band.
    """
    rows, columns = grid.shape
    wanted = max(1, BAND_BYTES // max(1, columns * grid.dtype.itemsize))
    step = _chunk_rows(grid)
    if step and wanted > step:
        wanted -= wanted % step
    elif step:
        wanted = step
    wanted = min(rows, max(multiple, wanted - wanted % multiple))
    for start in range(0, rows, wanted):
        band = slice(start, min(start + wanted, rows))
        yield band, np.ascontiguousarray(grid[band].values)


def in_chunks(grid: xr.DataArray) -> xr.DataArray:
    """Return a lazily indexed *grid* as a Dask one on the chunks of its file, others as they are."""
    stored = grid.encoding.get("preferred_chunks")
    if grid.chunks is None and stored and set(stored) <= set(grid.dims):
        return grid.chunk(stored)
    return grid


def require_plain_grid(grid: xr.DataArray) -> None:
    """Refuse anything but a two-dimensional grid of numbers."""
    if grid.dims != GRID_DIMS:
        raise DataError("dimensions", grid.dims, f"must be {GRID_DIMS}; export one grid at a time")
    if grid.dtype.kind not in "fiu":
        raise DataError("dtype", str(grid.dtype), "must be a real number; convert the grid with .astype()")


def _chunk_rows(grid: xr.DataArray) -> int:
    if grid.chunks:
        return int(max(grid.chunks[0]))
    return int(grid.encoding.get("preferred_chunks", {}).get(grid.dims[0], 0))


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
