r"""Radially averaged power spectrum, and the depths its straight segments tell.

An ensemble of sources whose tops lie at depth h gives a power spectrum that falls off as
:math:`e^{-2kh}` (Spector and Grant, 1970), so the logarithm of the power is a straight line of
slope −2h wherever one ensemble dominates: deep sources at long waves, shallow ones at short.
"""

import itertools
import operator
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from pydantic import Field

from pipelines import blocks
from pipelines.conventions import geometry_of, require_numbers
from pipelines.errors import DataError
from pipelines.mag.fill import block_sums, fit_background
from pipelines.mag.padded_field import Layout
from pipelines.mag.padding import Window
from pipelines.mag.sampling import wavenumbers
from pipelines.mag.transform import row_spectrum, transform_columns
from pipelines.registry import Cost, Labelled, pipeline

SMALLEST = 8  # cells along an axis
FEWEST_BINS = 5  # of a segment
STRAIGHT = 0.1  # natural logarithm: how far a true spectrum strays from straight segments
FITTED = {
    "depth": {"units": "m", "long_name": "Depth to the ensemble's top", "positive": "down"},
    "depth_error": {"units": "m", "long_name": "Standard error of the depth"},
    "wavenumber_start": {"units": "rad/m", "long_name": "First ring of the segment"},
    "wavenumber_stop": {"units": "rad/m", "long_name": "Last ring of the segment"},
}


def _cost(datasets: Mapping[str, Labelled], parameters: Any) -> Cost:
    cells = next(iter(datasets.values())).size
    return Cost(4e-8 * cells, 24.0 * cells)


@pipeline("mag.radial_spectrum", version="1", cost=_cost)
def radial_spectrum(
    grid: xr.DataArray,
    *,
    segments: Annotated[int, Field(ge=1, le=5)] = 2,
    taper: Annotated[float, Field(ge=0, le=0.5)] = 0.1,
) -> xr.Dataset:
    r"""Average a grid's power over rings of wavenumber, and fit depths to straight segments.

    The least-squares plane is taken off, holes are filled, a cosine taper brings the sides to
    zero. Rings are as wide as the coarser of the two axes' wavenumber steps; the last one ends at
    the lower of the two Nyquist wavenumbers. Segments minimise the squared misfit of the
    logarithm of the power, every ring having the same weight.

    Parameters
    ----------
    grid : DataArray
        Grid of the house with at least 8 cells along either axis. A lazy one gives a lazy result,
        made in one task: allow 24 bytes a cell.
    segments : int
        Straight segments, 1 to 5; fewer where the grid has too few rings.
    taper : float
        Share of each side under the taper, 0 to 0.5.

    Returns
    -------
    Dataset
        On ``wavenumber`` (mean of each ring, rad/m): ``power``, the squared amplitude density
        (grid units)² m² of the infinite-plane transform per area, its natural logarithm
        ``log_power``, and ``count``, the waves averaged. On ``segment``: ``depth`` (metres below
        the observation surface, to the ensemble's top), ``depth_error`` (standard error of the
        slope alone), ``wavenumber_start`` and ``wavenumber_stop``.

    Raises
    ------
    DataError
        If the grid breaks the conventions, is boolean or complex, was opened without decoding its
        fill value, is constant, or holds infinities or only NaN.

    References
    ----------
    Spector, A. and Grant, F. S. (1970). Statistical models for interpreting aeromagnetic data.
    Geophysics 35, 293–302.
    """
    geometry = geometry_of(grid, minimum=SMALLEST)
    require_numbers(grid)
    wavenumber, count = _rings(geometry.shape, geometry.spacing)
    segments = min(segments, wavenumber.size // FEWEST_BINS)
    measure = partial(
        _measure,
        spacing=geometry.spacing,
        taper=taper,
        rings=(wavenumber, count),
        segments=segments,
    )
    if not blocks.is_lazy(grid):
        power, fits = measure(blocks.whole(grid))
        return _label(grid, wavenumber, count, power, fits)
    every = (slice(0, grid.shape[0]), slice(0, grid.shape[1]))
    (measured,) = blocks.map_windows(measure, grid, [every], label="radial-spectrum")
    pick = delayed(operator.getitem, pure=False)
    shapes = (wavenumber.shape, (segments, len(FITTED)))
    lazy = [da.from_delayed(pick(measured, n), shape, dtype=float) for n, shape in enumerate(shapes)]
    return _label(grid, wavenumber, count, lazy[0], lazy[1])


def _measure(
    view: blocks.View,
    *,
    spacing: tuple[float, float],
    taper: float,
    rings: tuple[NDArray, NDArray],
    segments: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the power of every ring, and a row of `FITTED` for every segment."""
    layout = Layout.of(view.shape, spacing)
    background = fit_background(block_sums(view.read()), layout.shape, spacing)
    tapers = (_taper(view.shape[0], taper), _taper(view.shape[1], taper))
    window = layout.window(view, background, (view.rows, view.columns), tapers)
    power = _ring_power(window, spacing)
    # What is left of a plane is rounding: some 1e-16 of its values, squared.
    scale = max(abs(background.plane.level), 1e-300) ** 2 * np.prod(spacing)
    if power.max() <= 1e-28 * scale:
        raise DataError("values of the grid", "a plane", "must vary to have a spectrum")
    table = np.full((segments, len(FITTED)), np.nan)
    for row, fit in zip(table, fit_segments(rings[0], power, segments, rings[1]), strict=False):
        row[:] = [fit[name] for name in FITTED]
    return power, table


def fit_segments(
    wavenumber: NDArray, power: NDArray, segments: int, count: NDArray | None = None
) -> list[dict[str, float]]:
    """Fit straight segments to the logarithm of a power spectrum, the best way to cut it.

    Parameters
    ----------
    wavenumber, power : arrays
        Ascending wavenumbers, rad/m, and positive power; others are left out.
    segments : int
        How many; each takes at least five rings, so a short spectrum gets fewer.
    count : array, optional
        Waves averaged in each ring. The logarithm of their mean power has a variance of 2/count,
        half of the waves being mirror images; to it comes a misfit of 0.1 that no count takes away,
        and the inverse of the sum is the ring's weight. Equal weights by default.

    Returns
    -------
    list of dict
        ``depth``, ``depth_error``, ``wavenumber_start`` and ``wavenumber_stop`` of each.
    """
    seen = power > 0
    k, y = wavenumber[seen], np.log(power[seen])
    weight = np.ones_like(k) if count is None else 1.0 / (STRAIGHT**2 + 2.0 / count[seen])
    segments = min(segments, k.size // FEWEST_BINS)
    if segments == 0:
        return []
    cuts = _best_cuts(k, y, weight, segments)
    found = []
    for start, stop in itertools.pairwise(cuts):
        slope, error = _slope(k[start:stop], y[start:stop], weight[start:stop])
        found.append(
            {
                "depth": -0.5 * slope,
                "depth_error": 0.5 * error,
                "wavenumber_start": float(k[start]),
                "wavenumber_stop": float(k[stop - 1]),
            }
        )
    return found


def _rings(shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """Mean wavenumber and number of waves of every ring; the mean of the grid is in none."""
    east, north = wavenumbers(shape, spacing)
    step, last = _ring_step(shape, spacing)
    count, radius = np.zeros((2, last + 1))
    weight = _waves(shape[1])
    for row in range(shape[0]):
        radial = np.sqrt(east[0] ** 2 + north[row] ** 2)
        ring = np.rint(radial / step).astype(np.intp)
        inside = ring <= last
        count += np.bincount(ring[inside], weight[inside], last + 1)
        radius += np.bincount(ring[inside], (weight * radial)[inside], last + 1)
    return radius[1:] / count[1:], count[1:]


def _ring_power(window: Window, spacing: tuple[float, float]) -> NDArray[np.float64]:
    shape = window.shape
    spectrum = transform_columns(row_spectrum(window, np.dtype(float)))
    east, north = wavenumbers(shape, spacing)
    step, last = _ring_step(shape, spacing)
    count, total = np.zeros((2, last + 1))
    weight = _waves(shape[1])
    for row in range(shape[0]):
        ring = np.rint(np.sqrt(east[0] ** 2 + north[row] ** 2) / step).astype(np.intp)
        inside = ring <= last
        power = weight * np.abs(spectrum[row]) ** 2
        count += np.bincount(ring[inside], weight[inside], last + 1)
        total += np.bincount(ring[inside], power[inside], last + 1)
    # The energy that the taper took is given back on average: white noise keeps its density.
    kept = float((window.rows[1] ** 2).sum() * (window.columns[1] ** 2).sum())
    return total[1:] / count[1:] * (spacing[0] * spacing[1] / kept)


def _ring_step(shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[float, int]:
    """Width of a ring, rad/m, and the number of the last one."""
    step = 2 * np.pi / min(shape[0] * spacing[0], shape[1] * spacing[1])
    return step, int(np.pi / max(spacing) / step)


def _waves(columns: int) -> NDArray[np.float64]:
    """Waves that a column of the half-plane stands for: with their mirror images, two."""
    waves = np.full(columns // 2 + 1, 2.0)
    waves[0] = 1.0
    if columns % 2 == 0:
        waves[-1] = 1.0
    return waves


def _best_cuts(k: NDArray, y: NDArray, weight: NDArray, segments: int) -> list[int]:
    """Cut a curve where straight lines through the pieces fit best (dynamic programming)."""
    size = k.size
    misfit = _misfits(k, y, weight)
    best, origin = misfit[0].copy(), [np.zeros(size + 1, int)]
    for _ in range(segments - 1):
        candidates = best[:, None] + misfit
        came_from = candidates.argmin(axis=0)
        best = candidates[came_from, np.arange(size + 1)]
        origin.append(came_from)
    cuts = [size]
    for came_from in reversed(origin):
        cuts.append(int(came_from[cuts[-1]]))
    return cuts[::-1]


def _misfits(k: NDArray, y: NDArray, weight: NDArray) -> NDArray:
    """Weighted squared misfit of a line through points i … j − 1; infinite where they are too few."""
    x, v = k - k.mean(), y - y.mean()
    terms = (weight, weight * x, weight * v, weight * x * x, weight * x * v, weight * v * v)
    cumulated = [np.concatenate([[0.0], np.cumsum(term)]) for term in terms]
    n, sx, sv, xx, xv, vv = (c[None, :] - c[:, None] for c in cumulated)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread, slope, scatter = xx - sx * sx / n, xv - sx * sv / n, vv - sv * sv / n
        misfit = np.maximum(scatter - slope * slope / spread, 0.0)
    place = np.arange(k.size + 1)
    return np.where(place[None, :] - place[:, None] >= FEWEST_BINS, misfit, np.inf)


def _slope(k: NDArray, y: NDArray, weight: NDArray) -> tuple[float, float]:
    x = k - np.average(k, weights=weight)
    v = y - np.average(y, weights=weight)
    spread = float((weight * x) @ x)
    slope = float((weight * x) @ v) / spread
    residual = v - slope * x
    return slope, float(np.sqrt((weight * residual) @ residual / (k.size - 2) / spread))


def _taper(size: int, share: float) -> NDArray[np.float64]:
    width = int(share * size)
    inward = np.minimum(np.arange(size), np.arange(size)[::-1])
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum((inward + 0.5) / max(width, 0.5), 1.0))


def _label(grid: xr.DataArray, wavenumber: NDArray, count: NDArray, power: Any, fits: Any) -> xr.Dataset:
    units = str(grid.attrs.get("units", "1"))
    data: dict[str, Any] = {
        "power": ("wavenumber", power, {"units": f"({units})2 m2", "long_name": "Radially averaged power"}),
        "log_power": ("wavenumber", np.log(power), {"units": "1", "long_name": "Logarithm of the power"}),
        "count": ("wavenumber", count.astype(np.int64), {"units": "1", "long_name": "Waves in the ring"}),
    }
    for number, (name, attrs) in enumerate(FITTED.items()):
        data[name] = ("segment", fits[:, number], dict(attrs))
    axis = ("wavenumber", wavenumber, {"units": "rad/m", "long_name": "Wavenumber"})
    kept = {key: value for key, value in grid.attrs.items() if key == "history"}
    return xr.Dataset(data, coords={"wavenumber": axis}, attrs=kept)
