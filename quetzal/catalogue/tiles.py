"""Where the points of a survey are: a tile index, and reading a window without reading the rest.

Points are stored along lines. Square tiles cut the lines into runs of consecutive points; the index
lists the runs of each tile, tiles in rows from south to north, offsets as in a compressed sparse row
matrix. A window reads the chunks that hold runs of its tiles, each chunk once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from pipelines.errors import ParameterError
from quetzal.catalogue.manifest import find_wrong_sizes, read_manifest
from quetzal.catalogue.storage import damaged, reading_in_words
from quetzal.catalogue.survey_store import DATA, open_store

GROUP = "tiles"
POINTS_A_TILE = 4096  # aimed at; several kilometres for an airborne survey, tens of metres on foot
SMALLEST_TILE = 10.0


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """What reading a window takes.

    Attributes
    ----------
    starts, stops : ndarray
        Runs of consecutive points in the window's tiles, ascending, not touching.
    chunks : ndarray
        Chunks of the point arrays that hold them.
    """

    starts: np.ndarray
    stops: np.ndarray
    chunks: np.ndarray

    @property
    def points(self) -> int:
        """Points in the runs: those in the window and those beside it in the same tiles."""
        return int((self.stops - self.starts).sum())


def write_tile_index(store: Path, survey: xr.Dataset) -> None:
    """Write the tile index of a survey into its Zarr store, as the group ``tiles``."""
    easting, northing = np.asarray(survey["easting"].values), np.asarray(survey["northing"].values)
    west, south = float(easting.min()), float(northing.min())
    width, height = float(easting.max()) - west, float(northing.max()) - south
    side = _side(width, height, easting.size)
    columns, rows = int(width // side) + 1, int(height // side) + 1
    tile = ((northing - south) // side).astype(np.int64) * columns + ((easting - west) // side).astype(
        np.int64
    )
    start = np.concatenate([[0], np.flatnonzero(np.diff(tile)) + 1])
    stop = np.append(start[1:], tile.size)
    order = np.argsort(tile[start], kind="stable")
    tiles, first = np.unique(tile[start[order]], return_index=True)
    group = zarr.open_group(store, mode="r+").create_group(
        GROUP, attributes={"side": side, "west": west, "south": south, "columns": columns, "rows": rows}
    )
    arrays = {
        "tile": tiles,
        "offset": np.append(first, start.size),
        "start": start[order],
        "stop": stop[order],
    }
    for name, values in arrays.items():
        group.create_array(name, data=values.astype(np.int64), chunks=(max(1, values.size),))


def plan_window(folder: Path, west: float, south: float, east: float, north: float) -> WindowPlan:
    """Find the runs of points that a window's tiles hold; reads the index alone.

    Parameters
    ----------
    folder : Path
        A sealed survey.
    west, south, east, north : float
        Bounds of the window in the survey's CRS, metres; both ends are in it.

    Raises
    ------
    ParameterError
        If the window is empty or not finite.
    StorageError
        If a file of the survey is missing or damaged, or may not be read.
    """
    folder = Path(folder)
    if not np.isfinite([west, south, east, north]).all() or west > east or south > north:
        raise ParameterError(
            "window", (west, south, east, north), "must be finite, west to east, south to north"
        )
    with reading_in_words(folder.name, folder):
        if wrong := find_wrong_sizes(folder, read_manifest(folder)):
            raise damaged(folder.name, wrong)
        index, size = _read_index(folder / DATA), _chunk_size(folder)
    tile, offset, columns, rows = index.tile, index.offset, index.columns, index.rows
    column = np.clip((np.array([west, east]) - index.west) // index.side, -1, columns).astype(int)
    row = np.clip((np.array([south, north]) - index.south) // index.side, -1, rows).astype(int)
    runs = []
    for r in range(max(row[0], 0), min(row[1], rows - 1) + 1):
        begin = np.searchsorted(tile, r * columns + max(column[0], 0))
        end = np.searchsorted(tile, r * columns + min(column[1], columns - 1), side="right")
        if end > begin:  # neighbouring tiles of a row are neighbours in the index too
            runs.append((offset[begin], offset[end]))
    starts = np.sort(np.concatenate([index.start[a:b] for a, b in runs] or [np.empty(0, np.int64)]))
    stops = np.sort(np.concatenate([index.stop[a:b] for a, b in runs] or [np.empty(0, np.int64)]))
    # Runs do not overlap, so sorting both keeps pairs; those that touch are joined.
    touching = starts[1:] == stops[:-1]
    starts = starts[np.concatenate([[True], ~touching])] if starts.size else starts
    stops = stops[np.concatenate([~touching, [True]])] if stops.size else stops
    spans = [np.arange(a // size, (b - 1) // size + 1) for a, b in zip(starts, stops, strict=True)]
    return WindowPlan(starts, stops, np.unique(np.concatenate(spans or [np.empty(0, np.int64)])))


def read_window(
    folder: Path,
    west: float,
    south: float,
    east: float,
    north: float,
    *,
    variables: Sequence[str] | None = None,
) -> xr.Dataset:
    """Read the points of a survey inside a window, as a survey with the lines that cross it.

    Parameters
    ----------
    folder : Path
        A sealed survey.
    west, south, east, north : float
        Bounds of the window in the survey's CRS, metres; both ends are in it.
    variables : sequence of str, optional
        Channels wanted; all by default. Positions and lines always come.

    Raises
    ------
    ParameterError
        If the window is empty or not finite, or a channel does not exist.
    StorageError
        If a file of the survey is missing or damaged, or may not be read.
    """
    folder = Path(folder)
    plan = plan_window(folder, west, south, east, north)
    with reading_in_words(folder.name, folder):
        return _read_planned(folder, plan, (west, south, east, north), variables)


def _read_planned(
    folder: Path,
    plan: WindowPlan,
    bounds: tuple[float, float, float, float],
    variables: Sequence[str] | None,
) -> xr.Dataset:
    west, south, east, north = bounds
    survey = open_store(folder / DATA)
    if variables is not None:
        missing = sorted(set(variables) - set(survey.variables))
        if missing:
            raise ParameterError("variables", missing[0], "is not in the survey")
        always = [n for n in survey.data_vars if survey[n].dims != ("point",)]
        survey = survey[[*variables, "line_index", *always]]
    size = _chunk_size(folder)
    parts = []
    for chunk in plan.chunks.tolist():
        begin, end = chunk * size, min((chunk + 1) * size, survey.sizes["point"])
        wanted = np.zeros(end - begin, dtype=bool)
        for a in np.flatnonzero((plan.starts < end) & (plan.stops > begin)):
            wanted[max(plan.starts[a] - begin, 0) : plan.stops[a] - begin] = True
        piece = survey.isel(point=slice(begin, end)).load().isel(point=wanted)
        inside = (piece["easting"] >= west) & (piece["easting"] <= east)
        inside &= (piece["northing"] >= south) & (piece["northing"] <= north)
        parts.append(piece.isel(point=inside.values))
    whole = (
        xr.concat(
            parts, dim="point", data_vars="minimal", coords="minimal", compat="override", join="override"
        )
        if parts
        else survey.isel(point=slice(0, 0)).load()
    )
    return _only_lines_present(whole)


@dataclass(frozen=True, slots=True)
class _Index:
    """The tile index in memory: non-empty tiles, the offsets of their runs, the runs."""

    side: float
    west: float
    south: float
    columns: int
    rows: int
    tile: np.ndarray
    offset: np.ndarray
    start: np.ndarray
    stop: np.ndarray


def _read_index(store: Path) -> _Index:
    attrs: dict[str, Any] = dict(zarr.open_group(store / GROUP, mode="r").attrs)
    arrays = [
        np.asarray(zarr.open_array(store / GROUP / name, mode="r")[:])
        for name in ("tile", "offset", "start", "stop")
    ]
    return _Index(attrs["side"], attrs["west"], attrs["south"], attrs["columns"], attrs["rows"], *arrays)


def _chunk_size(folder: Path) -> int:
    return int(zarr.open_array(Path(folder) / DATA / "easting", mode="r").chunks[0])


def _only_lines_present(survey: xr.Dataset) -> xr.Dataset:
    present, index = np.unique(survey["line_index"].values, return_inverse=True)
    count = np.bincount(index, minlength=present.size).astype(np.int64)
    out = survey.isel(line=present).copy()
    out["line_index"] = survey["line_index"].copy(data=index.astype(np.int32))
    out["line_size"] = out["line_size"].copy(data=count)
    out["line_start"] = out["line_start"].copy(data=np.cumsum(count) - count)
    return out


def _side(width: float, height: float, points: int) -> float:
    """Side of a tile with about `POINTS_A_TILE` points: 1, 2 or 5 times a power of ten metres."""
    area = max(width * height, max(width, height) * SMALLEST_TILE)
    ideal = max(np.sqrt(area * POINTS_A_TILE / max(points, 1)), SMALLEST_TILE)
    power = 10.0 ** np.floor(np.log10(ideal))
    return float(power * next(step for step in (1, 2, 5, 10) if step * power >= ideal * 0.999))
