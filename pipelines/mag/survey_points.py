"""One channel of a survey as plain arrays: what the gridders work on."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipelines.conventions import require_metres
from pipelines.errors import DataError, ParameterError
from pipelines.mag.choices import Choice
from pipelines.mag.equivalent_sources import MINIMUM_POINTS
from pipelines.mag.survey_layout import channels_of, check_lines

PREFERRED = ("total_field_anomaly", "total_field")


@dataclass(frozen=True, slots=True, eq=False)
class SurveyPoints:
    """The valid points of a channel, read into memory; `upward` is finite only if it was asked to be."""

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


def read_points(
    survey: xr.Dataset, channel: str | None, *, ties: bool = True, heights: bool = True
) -> SurveyPoints:
    """Read a channel's valid points, or refuse with the numbers.

    Parameters
    ----------
    survey : Dataset
        Line data of the house.
    channel : str, optional
        By default ``total_field_anomaly``, else ``total_field``, else the only channel there is.
    ties : bool
        Whether to read tie lines too; a survey of nothing but ties is read whole.
    heights : bool
        Whether heights will be used, and so must be finite and in metres.

    Raises
    ------
    ParameterError
        If there is no such channel of real numbers, or none is named and there are several.
    DataError
        If the survey's lines and points disagree (`survey_layout.check_lines`), fewer than four
        values are valid, or a point with a value has no position.
    """
    layout = check_lines(survey)
    name = _channel(survey, channel)
    value = np.asarray(survey[name].values, dtype=float)
    valid = np.isfinite(value)
    count = int(np.count_nonzero(valid))
    line = layout.line
    leave = not ties and layout.tie.any() and not layout.tie.all()
    kept = valid & ~layout.tie[line] if leave else valid
    if (left := int(np.count_nonzero(kept))) < MINIMUM_POINTS:
        rule = f"must be at least {MINIMUM_POINTS} of {value.size} to be gridded"
        raise DataError(f"valid values of '{name}'", left, rule)
    has_height = "upward" in survey.variables
    axes = ["easting", "northing"] + ["upward"] * has_height
    columns = {axis: np.asarray(survey[axis].values, dtype=float)[kept] for axis in axes}
    needed = axes if heights else axes[:2]
    require_metres(survey, *needed)
    for axis in needed:
        lost = int(np.count_nonzero(~np.isfinite(columns[axis])))
        if lost:
            rule = f"must be finite where '{name}' is; set '{name}' to NaN there to leave such points out"
            raise DataError(f"survey coordinate '{axis}'", f"NaN or infinity at {lost:,} points", rule)
    return SurveyPoints(
        channel=name,
        easting=columns["easting"],
        northing=columns["northing"],
        upward=columns["upward"] if has_height else np.zeros(left),
        value=value[kept],
        line=line[kept],
        dropped=value.size - count,
        ties_left=count - left,
        has_height=has_height,
        choices=(Choice("channel", name, "the channel to grid"),) if channel is None else (),
    )


def _channel(survey: xr.Dataset, given: str | None) -> str:
    """Return the channel named, or the one that can only be meant."""
    channels = channels_of(survey)
    measured = [name for name in channels if survey[name].dtype.kind == "f"]
    name = given
    if given is None:
        only = measured[0] if len(measured) == 1 else None
        name = next((c for c in PREFERRED if c in channels), only)
    if name is None or name not in channels:
        known = ", ".join(channels) or "none"
        raise ParameterError(
            "channel", given, f"must be one of the survey's channels of real numbers: {known}"
        )
    return name
