"""One channel of a survey as plain arrays: what the gridders work on."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipelines.errors import DataError, ParameterError
from pipelines.mag.choices import Choice
from pipelines.mag.equivalent_sources import MINIMUM_POINTS

PREFERRED = ("total_field_anomaly", "total_field")


@dataclass(frozen=True, slots=True, eq=False)
class SurveyPoints:
    """The valid points of a channel, read into memory."""

    channel: str
    easting: np.ndarray
    northing: np.ndarray
    upward: np.ndarray
    value: np.ndarray
    line: np.ndarray
    dropped: int
    ties_left: int
    has_height: bool
    choices: tuple[Choice, ...]


def read_points(survey: xr.Dataset, channel: str | None, *, ties: bool = True) -> SurveyPoints:
    """Read a channel's valid points, or refuse with the numbers.

    Parameters
    ----------
    survey : Dataset
        Line data of the house.
    channel : str, optional
        By default ``total_field_anomaly``, else ``total_field``, else the only channel there is.

    ties : bool
        Whether to read tie lines too; a survey of nothing but ties is read whole.

    Raises
    ------
    ParameterError
        If there is no such channel, or none is named and there are several.
    DataError
        If fewer than four values are valid, or a position is not finite.
    """
    channels = [
        str(name) for name, v in survey.data_vars.items() if v.dims == ("point",) and v.dtype.kind == "f"
    ]
    name = channel or next(
        (c for c in PREFERRED if c in channels), channels[0] if len(channels) == 1 else None
    )
    if name is None or name not in survey.data_vars or survey[name].dims != ("point",):
        raise ParameterError(
            "channel", channel, f"must be one of the survey's: {', '.join(channels) or 'none'}"
        )
    value = np.asarray(survey[name].values, dtype=float)
    valid = np.isfinite(value)
    count = int(np.count_nonzero(valid))
    if count < MINIMUM_POINTS:
        rule = f"must be at least {MINIMUM_POINTS} of {value.size} to be gridded"
        raise DataError(f"valid values of '{name}'", count, rule)
    has_height = "upward" in survey.variables
    line = np.repeat(np.arange(survey.sizes["line"]), survey["line_size"].values)
    kinds = survey["line_type"].values.astype(str) if "line_type" in survey else np.array(["line"])
    leave = not ties and (kinds == "tie").any() and (kinds != "tie").any()
    kept = valid & (kinds != "tie")[line] if leave else valid
    columns = [np.asarray(survey[axis].values, dtype=float) for axis in ("easting", "northing")]
    columns.append(np.asarray(survey["upward"].values, dtype=float) if has_height else np.zeros(value.size))
    for axis, column in zip(("easting", "northing", "upward"), columns, strict=True):
        if not np.isfinite(column).all():
            raise DataError(
                f"survey coordinate '{axis}'", "NaN or infinity", "must be finite; leave such points out"
            )
    if not kept.all():
        columns = [column[kept] for column in columns]
        value, line = value[kept], line[kept]
    found = (Choice("channel", name, "the channel to grid"),) if channel is None else ()
    x, y, z = columns
    ties_left = count - value.size
    return SurveyPoints(name, x, y, z, value, line, valid.size - count, ties_left, has_height, found)
