"""Flight lines on a map: thinned to what a sheet shows, and cut where nothing was flown."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from pipelines.mag.lines import GAP_FACTOR

POINTS_PER_LINE = 1500
LINE_COLOURS = {"line": "#1f5fd0", "tie": "#d62a3a"}


def add_lines(
    axes: Axes, survey: xr.Dataset, *, width: float, colours: Mapping[str, str], alpha: float
) -> None:
    """Draw the lines of *survey*, flight lines and ties in their own colours."""
    x, y = survey["easting"].values, survey["northing"].values
    paths: dict[str, list[np.ndarray]] = {kind: [] for kind in colours}
    for start, size, kind in zip(
        survey["line_start"].values, survey["line_size"].values, survey["line_type"].values, strict=True
    ):
        points = slice(int(start), int(start + size))
        paths["tie" if str(kind) == "tie" else "line"] += flown(x[points], y[points])
    for kind, found in paths.items():
        axes.add_collection(
            LineCollection(found, colors=colours[kind], linewidths=width, alpha=alpha, zorder=3),
            autolim=False,
        )


def flown(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Cut a line where it was not flown, and thin each part to what a sheet can show."""
    steps = np.hypot(np.diff(x), np.diff(y))
    usual = np.median(steps) if steps.size else 0.0
    breaks = np.flatnonzero((steps > GAP_FACTOR * usual) & (usual > 0)) + 1
    parts = []
    for index in np.split(np.arange(x.size), breaks):
        if index.size:
            thin = index[:: max(1, x.size // POINTS_PER_LINE)]
            kept = np.append(thin, index[-1])  # the end belongs to the part, whatever the step
            parts.append(np.column_stack([x[kept], y[kept]]))
    return parts
