"""How a survey's points and lines hang together: checked once, before anything is computed.

Slicing a survey in a notebook breaks it easily: ``isel(point=...)`` leaves the table of lines as it
was, ``where(..., drop=True)`` spreads it over the points. What comes in broken is refused in words.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipelines.conventions import require_metres
from pipelines.errors import DataError

DIMENSION = {"easting": "point", "northing": "point", "line_start": "line", "line_size": "line"}
OPTIONAL = {"upward": "point", "line_type": "line"}
NO_CHANNELS = {"line_index"}  # labels that happen to be numbers
ADVICE = "to leave points out, set the channel to NaN there"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The lines of a survey in line-major order.

    Attributes
    ----------
    size : ndarray of int64
        Points of each line, one line after the other.
    tie : ndarray of bool
        Whether a line is declared a tie.
    """

    size: np.ndarray
    tie: np.ndarray

    @property
    def line(self) -> np.ndarray:
        """Line of every point."""
        return np.repeat(np.arange(self.size.size), self.size)


def check_lines(survey: xr.Dataset) -> Layout:
    """Check that a survey's points are the points of its lines, in their order.

    Parameters
    ----------
    survey : Dataset
        Only its table of lines is read: ``line_start``, ``line_size`` and, if there, ``line_type``.

    Raises
    ------
    DataError
        If positions or the table of lines are missing, not of one dimension, or disagree; if there
        is no point; or if positions are not in metres.
    """
    for name, dimension in {**DIMENSION, **OPTIONAL}.items():
        if name not in survey.variables:
            if name in OPTIONAL:
                continue
            raise DataError(f"survey variable '{name}'", None, "is missing; a survey has points and lines")
        if survey[name].dims != (dimension,):
            rule = f"must be ('{dimension}',); {ADVICE}"
            raise DataError(f"dimensions of '{name}'", survey[name].dims, rule)
    require_metres(survey, "easting", "northing")
    points = survey.sizes["point"]
    if points == 0:
        raise DataError("survey dimension 'point'", 0, "must hold at least one point")
    start, size = (np.asarray(survey[name].values, dtype=float) for name in ("line_start", "line_size"))
    counted = np.isfinite(size).all() and (size >= 0).all() and (size == np.floor(size)).all()
    if not counted or size.sum() != points:
        given = f"{size.sum():.0f} points in all"
        raise DataError("line_size", given, f"must add up to the survey's {points}; {ADVICE}")
    if (start != np.cumsum(size) - size).any():
        raise DataError(
            "line_start", "out of order", "must count up by line_size: the points of one line after the other"
        )
    tie = np.zeros(size.size, dtype=bool)
    if "line_type" in survey.variables:
        tie = np.char.lower(np.asarray(survey["line_type"].values).astype(str)) == "tie"
    return Layout(size.astype(np.int64), tie)


def channels_of(survey: xr.Dataset) -> list[str]:
    """Names of the data variables on ``point`` that hold real numbers and are no labels."""
    return [
        str(name)
        for name, variable in survey.data_vars.items()
        if variable.dims == ("point",) and variable.dtype.kind in "fiu" and name not in NO_CHANNELS
    ]
