"""The dataset that line data become: points in line-major order, lines, CF labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipelines.conventions import ATTRIBUTES, NANOTESLA, assign_crs

ACROSS = np.radians(45.0)


@dataclass(frozen=True, slots=True)
class LineOrder:
    """How points in the order of a file become line-major.

    Attributes
    ----------
    order : ndarray or None
        Position in the file of each point of the survey; None where the file is line-major already.
    start, size : ndarray
        First point and number of points of each line, int64.
    codes : ndarray
        Which line of the file each line of the survey is (lines without points are left out).
    """

    order: np.ndarray | None
    start: np.ndarray
    size: np.ndarray
    codes: np.ndarray


def line_order(codes: np.ndarray, keep: np.ndarray | None = None) -> LineOrder:
    """Group points by line, lines by their first point, and keep the order within each line.

    Parameters
    ----------
    codes : ndarray
        Line code of each point, numbered by first appearance.
    keep : ndarray of bool, optional
        Points to be in the survey; all by default.
    """
    chosen = None if keep is None or keep.all() else np.flatnonzero(keep)
    kept = codes if chosen is None else codes[chosen]
    size = np.bincount(kept)
    present = np.flatnonzero(size)
    size = size[present].astype(np.int64)
    start = np.cumsum(size) - size
    if np.all(kept[1:] >= kept[:-1]):
        return LineOrder(chosen, start, size, present)
    order = np.argsort(kept, kind="stable")
    return LineOrder(order if chosen is None else chosen[order], start, size, present)


def guess_ties(easting: np.ndarray, northing: np.ndarray) -> tuple[np.ndarray, str]:
    """Tell tie lines from lines by their direction.

    Parameters
    ----------
    easting, northing : ndarray
        Positions of both ends of each line, metres, shape ``(lines, 2)``.

    Returns
    -------
    tuple of ndarray of bool and str
        Which lines are ties, and how it was decided. Ties are the lines more than 45 degrees away from
        the direction in which most length runs, if they are fewer than half of the others' length.
    """
    x, y = np.diff(easting, axis=1)[:, 0], np.diff(northing, axis=1)[:, 0]
    length, azimuth = np.hypot(x, y), np.arctan2(x, y)
    nothing = np.zeros(length.size, dtype=bool)
    if not length.sum() > 0:
        return nothing, "Lines have no direction; none is taken for a tie."
    # The doubled angle knows no beginning of the circle. Its plain mean would cancel between lines and
    # ties, so the direction is that of the fullest of 36 overlapping sectors.
    doubled = np.exp(2j * azimuth) * length
    sectors = np.radians(np.arange(0.0, 180.0, 5.0))
    inside = np.abs(_fold(azimuth[None, :] - sectors[:, None])) <= np.radians(15.0)
    fullest = inside[np.argmax(inside @ length)]
    direction = np.angle(doubled[fullest].sum()) / 2
    across = (np.abs(_fold(azimuth - direction)) > ACROSS) & (length > 0)
    degrees = np.degrees(direction) % 180.0
    if not across.any():
        return nothing, f"Lines run along {degrees:.0f}°; none runs across, so none is a tie."
    if length[across].sum() > 0.5 * length[~across].sum():
        return nothing, "Lines run in several directions in like amounts; none is taken for a tie."
    return across, f"Lines run along {degrees:.0f}°; the {across.sum()} that run across are taken for ties."


def label_survey(
    points: Mapping[str, Any],
    lines: Mapping[str, Sequence[Any] | np.ndarray],
    *,
    crs: str | None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Label arrays as a survey of the house.

    Parameters
    ----------
    points : mapping
        ``easting``, ``northing``, ``line_index``, and optionally ``upward``, ``time`` and channels; NumPy
        or Dask arrays of equal length, line-major.
    lines : mapping
        ``line_name``, ``line_type``, ``line_start`` and ``line_size``.
    crs : str or None
        CRS of the positions.
    attrs : mapping, optional
        Attributes such as ``title``, ``source`` and ``survey_date``.
    """
    coordinates = [name for name in ("easting", "northing", "upward") if name in points]
    data: dict[str, Any] = {}
    for name, values in points.items():
        labels: dict[str, str] = dict(ATTRIBUTES.get(name, {"long_name": name.replace("_", " ")}))
        if name == "base_field":
            labels = {"units": NANOTESLA, "long_name": "Total field at the base station"}
        if name == "line_index":
            labels = {"long_name": "Index of the point's line", "instance_dimension": "line"}
        if name == "time":
            labels = {"standard_name": "time", "long_name": "Time of measurement (UTC)"}
        labels.pop("axis", None)  # an axis is a coordinate variable of its own dimension
        data[name] = (("point",), values, labels)
    data["line_name"] = (("line",), np.asarray(lines["line_name"], dtype=object), {"long_name": "Line"})
    data["line_type"] = (
        ("line",),
        np.asarray(lines["line_type"], dtype=object),
        {"long_name": "line or tie"},
    )
    for name, meaning in (("line_start", "First point of the line"), ("line_size", "Points of the line")):
        data[name] = (("line",), np.asarray(lines[name], dtype=np.int64), {"long_name": meaning})
    labels = {"Conventions": "CF-1.11", **(attrs or {})}
    return assign_crs(xr.Dataset(data, attrs=labels).set_coords(coordinates), crs)


def _fold(angle: np.ndarray) -> np.ndarray:
    """Angle between undirected lines, in [-pi/2, pi/2)."""
    return (angle + np.pi / 2) % np.pi - np.pi / 2
