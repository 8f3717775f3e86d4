r"""Radially averaged power spectrum, and the depths its straight segments tell.

An ensemble of sources whose tops lie at depth h gives a power spectrum that falls off as
:math:`e^{-2kh}` (Spector and Grant, 1970), so the logarithm of the power is a straight line of
slope −2h wherever one ensemble dominates: deep sources at long waves, shallow ones at short.
"""

import itertools
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from pipelines import blocks
from pipelines.conventions import geometry_of
from pipelines.errors import DataError
from pipelines.mag.fill import block_sums, fit_background
from pipelines.mag.padded_field import Layout
from pipelines.mag.padding import Window
from pipelines.mag.sampling import wavenumbers
from pipelines.mag.transform import row_spectrum, transform_columns
from pipelines.registry import Cost, Labelled, pipeline

SMALLEST = 8  # cells along an axis
FEWEST_BINS = 3  # of a segment


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
        Grid of the house with at least 8 cells along either axis. It is read at once, whatever
        holds it: allow 24 bytes a cell, and decimate a grid of hundreds of millions of cells first.
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
        If the grid breaks the conventions, is constant, or holds infinities or only NaN.

    References
    ----------
    Spector, A. and Grant, F. S. (1970). Statistical models for interpreting aeromagnetic data.
    Geophysics 35, 293–302.
    """
    geometry = geometry_of(grid, minimum=SMALLEST)
    if grid.dtype.kind not in "fiub":
        raise DataError(f"dtype of '{grid.name}'", str(grid.dtype), "must be real numbers")
    layout = Layout.of(geometry.shape, geometry.spacing)
    values = grid.values
    everything = (slice(0, values.shape[0]), slice(0, values.shape[1]))
    view = blocks.View(*everything, values)
    background = fit_background(block_sums(values), layout.shape, layout.spacing)
    window = layout.window(
        view, background, everything, (_taper(values.shape[0], taper), _taper(values.shape[1], taper))
    )
    rings = _ring_average(window, geometry.spacing)
    if rings["power"].max() <= 0:
        raise DataError(f"values of '{grid.name}'", "a plane", "must vary to have a spectrum")
    return _label(grid, rings, fit_segments(rings["wavenumber"], rings["power"], segments))


def fit_segments(wavenumber: NDArray, power: NDArray, segments: int) -> list[dict[str, float]]:
    """Fit straight segments to the logarithm of a power spectrum, the best way to cut it.

    Parameters
    ----------
    wavenumber, power : arrays
        Ascending wavenumbers, rad/m, and positive power; others are left out.
    segments : int
        How many; each takes at least three rings, so a short spectrum gets fewer.

    Returns
    -------
    list of dict
        ``depth``, ``depth_error``, ``wavenumber_start`` and ``wavenumber_stop`` of each.
    """
    seen = power > 0
    k, y = wavenumber[seen], np.log(power[seen])
    segments = min(segments, k.size // FEWEST_BINS)
    if segments == 0:
        return []
    cuts = _best_cuts(k, y, segments)
    found = []
    for start, stop in itertools.pairwise(cuts):
        slope, error = _slope(k[start:stop], y[start:stop])
        found.append(
            {
                "depth": -0.5 * slope,
                "depth_error": 0.5 * error,
                "wavenumber_start": float(k[start]),
                "wavenumber_stop": float(k[stop - 1]),
            }
        )
    return found


def _ring_average(window: Window, spacing: tuple[float, float]) -> dict[str, NDArray]:
    rows, columns = window.shape
    spectrum = transform_columns(row_spectrum(window, np.dtype(float)))
    east, north = wavenumbers((rows, columns), spacing)
    step = 2 * np.pi / min(rows * spacing[0], columns * spacing[1])
    last = int(np.pi / max(spacing) / step)
    # A wave and its mirror image are one column of the half-plane, but for the first and, of an
    # even length, the last column, which hold both.
    twice = np.full(columns // 2 + 1, 2.0)
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    count, total, radius = np.zeros((3, last + 1))
    for row in range(rows):
        radial = np.sqrt(east[0] ** 2 + north[row] ** 2)
        ring = np.rint(radial / step).astype(np.intp)
        inside = ring <= last
        ring, weight = ring[inside], twice[inside]
        power = np.abs(spectrum[row, inside]) ** 2
        count += np.bincount(ring, weight, last + 1)
        total += np.bincount(ring, weight * power, last + 1)
        radius += np.bincount(ring, weight * radial[inside], last + 1)
    # Energy that the taper took is given back on average.
    kept = float((window.rows[1] ** 2).sum() * (window.columns[1] ** 2).sum())
    density = spacing[0] * spacing[1] / kept
    ring_count = count[1:]  # the mean is not part of the spectrum: it went with the plane
    return {
        "wavenumber": radius[1:] / ring_count,
        "power": total[1:] / ring_count * density,
        "count": ring_count,
    }


def _best_cuts(k: NDArray, y: NDArray, segments: int) -> list[int]:
    """Cut a curve where straight lines through the pieces fit best (dynamic programming)."""
    size = k.size
    misfit = _misfits(k, y)
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


def _misfits(k: NDArray, y: NDArray) -> NDArray:
    """Squared misfit of a line through points i … j − 1, for all i and j; infinite if too few."""
    centred, level = k - k.mean(), y - y.mean()
    sums = [
        np.concatenate([[0.0], np.cumsum(v)])
        for v in (np.ones_like(k), centred, level, centred * centred, centred * level, level * level)
    ]
    n, x, v, xx, xv, vv = (s[None, :] - s[:, None] for s in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread, slope, scatter = xx - x * x / n, xv - x * v / n, vv - v * v / n
        misfit = np.maximum(scatter - slope * slope / spread, 0.0)
    return np.where(n >= FEWEST_BINS, misfit, np.inf)


def _slope(k: NDArray, y: NDArray) -> tuple[float, float]:
    centred = k - k.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / spread
    residual = y - y.mean() - slope * centred
    return slope, float(np.sqrt(residual @ residual / (k.size - 2) / spread))


def _taper(size: int, share: float) -> NDArray[np.float64]:
    width = int(share * size)
    inward = np.minimum(np.arange(size), np.arange(size)[::-1])
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum((inward + 0.5) / max(width, 0.5), 1.0))


def _label(grid: xr.DataArray, rings: dict[str, NDArray], segments: list[dict[str, float]]) -> xr.Dataset:
    units = str(grid.attrs.get("units", "1"))
    columns = {
        "depth": {"units": "m", "long_name": "Depth to the ensemble's top", "positive": "down"},
        "depth_error": {"units": "m", "long_name": "Standard error of the depth"},
        "wavenumber_start": {"units": "rad/m", "long_name": "First ring of the segment"},
        "wavenumber_stop": {"units": "rad/m", "long_name": "Last ring of the segment"},
    }
    power = rings["power"]
    with np.errstate(divide="ignore"):
        logarithm = np.log(power)
    data: dict[str, Any] = {
        "power": ("wavenumber", power, {"units": f"({units})2 m2", "long_name": "Radially averaged power"}),
        "log_power": ("wavenumber", logarithm, {"units": "1", "long_name": "Natural logarithm of the power"}),
        "count": ("wavenumber", rings["count"].astype(np.int64), {"long_name": "Waves in the ring"}),
    }
    for name, attrs in columns.items():
        data[name] = ("segment", np.array([s[name] for s in segments], dtype=float), attrs)
    axis = ("wavenumber", rings["wavenumber"], {"units": "rad/m", "long_name": "Wavenumber"})
    kept = {key: value for key, value in grid.attrs.items() if key == "history"}
    return xr.Dataset(data, coords={"wavenumber": axis}, attrs=kept)
