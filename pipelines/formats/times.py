"""When points were measured: dates, times of day, days of the year, decimal years, to one UTC time."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

NOT_A_TIME = np.datetime64("NaT", "ns")
DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y")
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y")
MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y")
LEAST_SHARE = 0.5  # of the distinct dates in the sample
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d*)?))?")
_NULLS = {"", "*", "nan", "na", "null", "none", "-"}
_SECONDS_A_DAY = 86_400.0
# A flight that passes midnight counts seconds on; no flight lasts two days.
_MOST_SECONDS = 2 * _SECONDS_A_DAY


@dataclass(frozen=True, slots=True)
class TimePlan:
    """Which channels hold the time, and how dates are written.

    Attributes
    ----------
    roles : tuple of str
        Channels used, among ``datetime``, ``date``, ``time_of_day``, ``year``, ``day_of_year`` and
        ``decimal_year``.
    date_format : str or None
        Format of ``date`` or ``datetime``; None for ISO 8601.
    numeric : frozenset of str
        Roles read as numbers (seconds past midnight, days, years); the others are words.
    """

    roles: tuple[str, ...]
    date_format: str | None
    numeric: frozenset[str]

    def decode(self, columns: Mapping[str, tuple[np.ndarray, Sequence[str]] | np.ndarray]) -> np.ndarray:
        """Return times of the points, datetime64[ns]; NaT where null, and what cannot be read is too.

        Parameters
        ----------
        columns : mapping
            By role, numbers as floats, or words as (codes, distinct values).
        """
        if "decimal_year" in self.roles:
            return _from_decimal_years(np.asarray(columns["decimal_year"], dtype=float))
        if "day_of_year" in self.roles:
            years = np.asarray(columns["year"], dtype=float)
            days = np.asarray(columns["day_of_year"], dtype=float)
            base = _from_year_and_day(years, days)
        else:
            role = "datetime" if "datetime" in self.roles else "date"
            base = _by_value(columns[role], lambda words: parse_dates(words, self.date_format))
        if "time_of_day" not in self.roles:
            return base
        clock = columns["time_of_day"]
        seconds = clock if isinstance(clock, np.ndarray) else _by_value(clock, parse_clock)
        return base + _nanoseconds(np.asarray(seconds, dtype=float))


def plan_time(sample: Mapping[str, Sequence[str]], numeric: frozenset[str]) -> tuple[TimePlan | None, str]:
    """Decide from the first cells of the time channels how they are read, and say it in a sentence.

    Parameters
    ----------
    sample : mapping
        First cells by role, as text.
    numeric : frozenset of str
        Roles whose cells are plain numbers.
    """
    have = set(sample)
    if "datetime" in have or "date" in have:
        role = "datetime" if "datetime" in have else "date"
        words = sorted({w.strip() for w in sample[role] if w.strip().lower() not in _NULLS})
        if not words:
            return None, f"The column for {role} is empty; times are left out."
        found, why = _date_format(words)
        if why:
            return None, why
        roles: tuple[str, ...] = (
            (role, "time_of_day") if role == "date" and "time_of_day" in have else (role,)
        )
        return TimePlan(
            roles, found, numeric & {"time_of_day"}
        ), f"Times are read from {' and '.join(roles)}."
    if {"year", "day_of_year"} <= have and {"year", "day_of_year"} <= numeric:
        roles = ("year", "day_of_year", *(["time_of_day"] if "time_of_day" in have else []))
        return TimePlan(roles, None, numeric & set(roles)), f"Times are read from {', '.join(roles)}."
    if "decimal_year" in have and "decimal_year" in numeric:
        return TimePlan(("decimal_year",), None, frozenset({"decimal_year"})), "Times are decimal years."
    return None, ""


def parse_dates(words: Sequence[str], form: str | None) -> np.ndarray:
    """Parse dates or dates with times, each by *form* or (None) ISO 8601; NaT where impossible."""
    series = pd.Series([w.strip() for w in words], dtype=object)
    parsed = pd.to_datetime(series, format=form or "ISO8601", errors="coerce", utc=True)
    return np.asarray(parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]"))


def parse_clock(words: Sequence[str]) -> np.ndarray:
    """Parse times of day (``17:14:42.5``, or seconds past midnight) to seconds; NaN where impossible."""
    seconds = np.full(len(words), np.nan)
    for i, word in enumerate(words):
        clock = _CLOCK.fullmatch(word.strip())
        if clock:
            hours, minutes, rest = int(clock[1]), int(clock[2]), float(clock[3] or 0.0)
            if minutes < 60 and rest < 61:
                seconds[i] = 3600.0 * hours + 60.0 * minutes + rest
        else:
            try:
                seconds[i] = float(word)
            except ValueError:
                continue
    return seconds


def is_null(word: str) -> bool:
    """Whether a cell for a time is null, rather than wrong."""
    return word.strip().lower() in _NULLS


def _date_format(words: Sequence[str]) -> tuple[str | None, str]:
    """Find the form that reads most sample dates; return it (None: ISO 8601), or why there is none.

    Words that the form cannot read are bad cells of their rows; they do not cost the others their time.
    """
    if _share(words, None) >= LEAST_SHARE:
        return None, ""
    for form in DATE_FORMATS:
        for whole in (form, form + " %H:%M:%S"):
            if _share(words, whole) >= LEAST_SHARE:
                return whole, ""
    day = max(DAY_FIRST, key=lambda form: _share(words, form))
    month = max(MONTH_FIRST, key=lambda form: _share(words, form))
    best = max(_share(words, day), _share(words, month))
    if best < LEAST_SHARE:
        return None, f"Dates such as {words[0]} are in no known form; times are left out."
    if _share(words, day) == _share(words, month):
        return None, f"Dates such as {words[0]} may be day or month first; times are left out."
    return (day if _share(words, day) == best else month), ""


def _share(words: Sequence[str], form: str | None) -> float:
    return sum(_reads(word, form) for word in words) / len(words)


def _reads(word: str, form: str | None) -> bool:
    try:
        if form is None:
            datetime.fromisoformat(word)
            return len(word) != 8  # 20210120 has a format of its own
        datetime.strptime(word, form)  # noqa: DTZ007 (only whether it can be read matters)
    except ValueError:
        return False
    return True


def _by_value(
    column: tuple[np.ndarray, Sequence[str]] | np.ndarray, parse: Callable[[Sequence[str]], np.ndarray]
) -> np.ndarray:
    """Parse each distinct word once and hand the values to the points."""
    if isinstance(column, np.ndarray):
        raise TypeError("a column of words is needed")
    codes, words = column
    return parse(words)[codes] if len(words) else parse(["nan"])[np.zeros(codes.size, dtype=int)]


def _from_decimal_years(years: np.ndarray) -> np.ndarray:
    """Turn 2020.5 into the middle of 2020, whose length is its own (365 or 366 days)."""
    possible = (years >= 1678) & (years < 2262)
    whole = np.where(possible, np.floor(years), 1970).astype(np.int64)
    begin = (whole - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    length = ((whole - 1969).astype("datetime64[Y]").astype("datetime64[D]") - begin).astype(float)
    seconds = np.where(possible, (years - whole) * length * _SECONDS_A_DAY, np.nan)
    spread = np.round(np.nan_to_num(seconds) * 1e9).astype("timedelta64[ns]")
    return np.where(possible, begin.astype("datetime64[ns]") + spread, NOT_A_TIME)


def _from_year_and_day(years: np.ndarray, days: np.ndarray) -> np.ndarray:
    possible = (years >= 1678) & (years < 2262) & (days >= 1) & (days < 367)
    year = np.where(possible, years, 1970).astype(np.int64)
    day = np.where(possible, np.floor(days), 1).astype(np.int64) - 1
    begin = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]") + day
    return np.where(possible, begin.astype("datetime64[ns]"), NOT_A_TIME)


def _nanoseconds(seconds: np.ndarray) -> np.ndarray:
    possible = (seconds >= 0) & (seconds < _MOST_SECONDS)
    spread = np.round(np.where(possible, seconds, 0.0) * 1e9).astype("timedelta64[ns]")
    return np.where(possible, spread, np.timedelta64("NaT", "ns"))
