"""When a survey was flown: the one reading of dates that the reference field and its direction share.

A date given goes first, then the points' own ``time``, then the attribute ``survey_date``. A year or a
month alone stands for its middle, which halves the largest error of the main field's change.
"""

import datetime
import re
from typing import Any

import numpy as np
import xarray as xr

from pipelines.errors import DataError, ParameterError

RULE = "must be an ISO date such as 1990-07-01"


def moment_of(given: Any) -> np.datetime64:
    """Read a date, a datetime or ISO text, be it of a year, a month, a day or a moment.

    Datetimes with a time zone are brought to UTC.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    try:
        if isinstance(given, np.datetime64):
            return _known(given.astype("datetime64[ns]"))
        if isinstance(given, datetime.date) and not isinstance(given, datetime.datetime):
            return np.datetime64(given, "ns")
        if not isinstance(given, datetime.datetime):
            text = str(given).strip()
            if re.fullmatch(r"\d{4}", text):
                return _middle(np.datetime64(text, "Y"))
            if re.fullmatch(r"\d{4}-\d{2}", text):
                return _middle(np.datetime64(text, "M"))
            given = datetime.datetime.fromisoformat(text)
        if given.tzinfo is not None:
            given = given.astimezone(datetime.UTC).replace(tzinfo=None)
        return _known(np.datetime64(given, "ns"))
    except ValueError as error:
        raise ParameterError("date", str(given), RULE) from error


def own_times(survey: xr.Dataset) -> xr.DataArray | None:
    """Return the channel ``time`` if it is decoded and holds any time at all, else None."""
    if "time" not in survey.variables or not np.issubdtype(survey["time"].dtype, np.datetime64):
        return None
    return survey["time"] if bool(survey["time"].notnull().any()) else None


def stated_moment(survey: xr.Dataset) -> np.datetime64 | None:
    """Return the moment that the attribute ``survey_date`` states, or None if there is none.

    Raises
    ------
    DataError
        If it is not a date.
    """
    stated = survey.attrs.get("survey_date")
    if stated is None or not str(stated).strip():
        return None
    try:
        return moment_of(stated)
    except ParameterError as error:
        raise DataError("survey_date", stated, RULE) from error


def middle_date(survey: xr.Dataset, given: datetime.date | None) -> tuple[datetime.date, str] | None:
    """Return the one date that stands for the survey, and where it is from; None if none is known."""
    if given is not None:
        return given, "the date given"
    times = own_times(survey)
    if times is not None:
        seconds = np.asarray(times.values).astype("datetime64[s]")
        median = np.median(seconds[~np.isnat(seconds)].astype(np.int64))
        return _date(np.datetime64(int(median), "s")), "the median of its time channel"
    stated = stated_moment(survey)
    return None if stated is None else (_date(stated), "the survey's stated date")


def _date(moment: np.datetime64) -> datetime.date:
    day: datetime.date = moment.astype("datetime64[D]").item()
    return day


def _middle(period: np.datetime64) -> np.datetime64:
    start, end = (p.astype("datetime64[ns]") for p in (period, period + 1))
    return np.datetime64(start + (end - start) // 2, "ns")


def _known(moment: np.datetime64) -> np.datetime64:
    if np.isnat(moment):
        raise ValueError("not a time")
    return moment
