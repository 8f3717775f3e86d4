"""Raster work of a map: reduce a grid to about the pixels drawn, light it, colour it."""

import numpy as np
import xarray as xr

from pipelines.formats.exporting import in_chunks
from quetzal.report.colours import Stretch, colourise

# Unit vector to the light: from the north-west (315°), 45° high. East, north, up.
LIGHT = (-0.5, 0.5, 0.5**0.5)
SLOPE = 0.35  # what ground of median steepness is tilted to, about
NO_DATA = (0.9, 0.9, 0.895)


def reduce_to_pixels(grid: xr.DataArray, pixels: int) -> xr.DataArray:
    """Return *grid* in memory, block-averaged so that no side has more than about *pixels* cells.

    Averages leave NaN out. A grid in chunks is reduced chunk by chunk, so that only the small one
    is ever whole in memory; up to one block is cut off at the northern and eastern edge.
    """
    factor = max(1, int(np.ceil(max(grid.shape) / pixels)))
    factor = min(factor, *grid.shape)
    if factor == 1:
        return grid.compute()
    blocks = dict.fromkeys(grid.dims, factor)
    return in_chunks(grid).coarsen(blocks, boundary="trim").mean().compute()


def hillshade(values: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Light a surface from the north-west; 1 is the brightness of flat ground.

    Parameters
    ----------
    values : ndarray
        Any unit, ascending (northing, easting).
    spacing : tuple of float
        Cell size (northing, easting) [m].

    Returns
    -------
    ndarray
        float32, 0 (in shadow) to √2 (facing the light); 1 where a slope cannot be had.

    Notes
    -----
    Lambert's law on the unit normal, which needs no angle. Magnetic gradients span decades: slopes
    are measured in units of their median and compressed (asinh keeps the direction, follows small
    slopes and tames large ones), so that quiet ground shows its texture beside a strong body.
    """
    if min(values.shape) < 2:
        return np.ones(values.shape, "float32")
    north, east = np.gradient(values.astype("float32"), *spacing)
    steepness = np.hypot(north, east)
    typical = np.nanmedian(steepness[steepness > 0]) if np.any(steepness > 0) else 0.0
    if not typical > 0:
        return np.ones(values.shape, "float32")
    relative = steepness / typical
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(relative > 0, SLOPE * np.arcsinh(relative) / steepness, 0.0)
    east, north = east * scale, north * scale
    towards = LIGHT[2] - LIGHT[0] * east - LIGHT[1] * north
    lit = np.maximum(towards, 0) / np.sqrt(1 + east**2 + north**2) / LIGHT[2]
    return np.where(np.isfinite(lit), lit, 1.0).astype("float32")


def picture(
    values: np.ndarray,
    spacing: tuple[float, float],
    stretch: Stretch,
    colour_map: str,
    *,
    relief: float,
) -> np.ndarray:
    """Return the map's pixels, sRGB float32 (rows, columns, 3), south first; no data is light grey.

    *relief* is the strength of the hillshade from 0 (none) to 1.
    """
    colours = colourise(stretch(values), colour_map)
    if relief > 0:
        light = (hillshade(values, spacing) - 1)[..., None] * np.float32(relief)
        # Shadow multiplies, light mixes with white: hues stay, as under a lamp.
        colours = np.where(light < 0, colours * (1 + light), colours + (1 - colours) * light)
    return np.where(np.isnan(values)[..., None], np.asarray(NO_DATA, "float32"), np.clip(colours, 0, 1))
