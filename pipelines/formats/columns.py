"""Which column of a file is which channel: given by the user or guessed, and always with the reason.

A guess is made from names, checked against a sample of the values where names mislead: what is
called TMI is often an anomaly, and a bare "mag" may be either.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.errors import ParameterError, Remedy
from pipelines.formats.units import DEGREES, METRES, NANOTESLA, factor_to, is_unit, split_unit

# The field is 22 000 nT at its weakest at the surface and 67 000 nT at its strongest (IGRF); the margin
# leaves room for heights, disturbances and strong bodies.
TOTAL_FIELD_RANGE = (15_000.0, 90_000.0)
POSITIONS = ("easting", "northing", "longitude", "latitude", "upward")
MAGNETIC = ("total_field", "total_field_anomaly", "diurnal", "base_field", "reference_field")
TIMES = ("datetime", "date", "time_of_day", "year", "day_of_year", "decimal_year")
CHANNELS = (*POSITIONS, *MAGNETIC, "line", *TIMES)
# Names that the survey's dataset has for itself.
RESERVED = ("time", "point", "line_index", "line_name", "line_type", "line_start", "line_size", "spatial_ref")
UNITS: dict[str, dict[str, float]] = {
    **dict.fromkeys(("easting", "northing", "upward"), METRES),
    **dict.fromkeys(("longitude", "latitude"), DEGREES),
    **dict.fromkeys(MAGNETIC, NANOTESLA),
}

# Names by channel, best first; matched whole, in lower case with words joined by "_" and the unit
# taken off. Where a file has several, the better name wins, then the first column.
NAMES: dict[str, tuple[str, ...]] = {
    "easting": (r"easting", r"east|eastings", r"(utm_?(x|e|east|easting)|(x|e|east|easting)_utm)",
                r"(x|e|east|easting)_(nad|wgs|gda|agd|etrs|mga|itrf|proj|grid)\w*", r"[xe]|x_coord\w*"),
    "northing": (r"northing", r"north|northings", r"(utm_?(y|n|north|northing)|(y|n|north|northing)_utm)",
                 r"(y|n|north|northing)_(nad|wgs|gda|agd|etrs|mga|itrf|proj|grid)\w*", r"[yn]|y_coord\w*"),
    "longitude": (r"longitude", r"lon|long|lng", r"(lon|long|longitude)_\w+"),
    "latitude": (r"latitude", r"lat", r"(lat|latitude)_\w+"),
    "upward": (r"upward", r"(height|altitude|alt)_(orthometric|ellipsoidal|gps|msl|sensor|wgs84)",
               r"(gps|utm|msl|dgps|sensor|mag)_?(z|alt|height|altitude|elevation)|z_?gps|msl",
               r"altitude|alt", r"height|elevation|elev", r"z"),
    "total_field_anomaly": (r"total_field_anomaly|tfa", r"(rmf|rmi|residual_(magnetic_)?field|tmi_anomaly)",
                            r"(mag\w*_anomaly|anomaly|residual_mag\w*|mag_res\w*|resmag|igrf_?mag\d?)"),
    "total_field": (r"total_field|total_magnetic_(intensity|field)", r"tmi(_\w+)?|tmf", r"comp_?mag\d?",
                    r"mag(netic)?_?(lev(elled)?|final|corr\w*)", r"mag|mag(netics?|_field)?(_?1)?(_c)?",
                    r"mag_filt\w*", r"mag_raw|lag_?mag\d?|raw_?mag\d?"),
    "diurnal": (r"diurnal(_\w+)?", r"diurn|diurcor"),
    "base_field": (r"base_?(mag|field|station)\w*",),
    "reference_field": (r"igrf(_?(f|tmi|total|field|mag))?|dgrf|reference_field",),
    "line": (r"line", r"flight_?line|line_?(number|no|num|name|id)|lineno", r"profile(_\w+)?|traverse"),
    "datetime": (r"date_?time|timestamp|utc_?(date_?time)|iso_?time",),
    "date": (r"date|utc_?date|flight_?date|gps_?date",),
    "time_of_day": (r"time|utc_?time|gps_?time|time_?(utc|of_day|gps)|utc", r"seconds?|fid_?sec\w*|tt"),
    "year": (r"year|yyyy",),
    "day_of_year": (r"doy|day_of_year|jday|julian_?day|julday",),
    "decimal_year": (r"decimal_?year|dec_?year|date_?decimal",),
}  # fmt: skip
# Several matches are only worth their place if the rest of a date is there too.
_PARTS_OF_TIME = {"time_of_day", "year", "day_of_year"}
_GROUND = re.compile(r"radar|laser|agl|clearance|above_ground|terrain|topo|dem|dtm|drape|ground")


@dataclass(frozen=True, slots=True)
class Match:
    """A column taken for a channel.

    Attributes
    ----------
    channel, column : str
        The house's name and the file's.
    how : str
        "given", "guessed", or "kept" for a further column that keeps its own name.
    reason : str
        Why, for a person.
    unit : str or None
        Unit in the file, if stated.
    factor : float
        What the values are multiplied with.
    """

    channel: str
    column: str
    how: str
    reason: str
    unit: str | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Every column of a file: what it became, or why it was left out."""

    matches: tuple[Match, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def of(self, channel: str) -> Match | None:
        """Return the match of a channel, if there is one."""
        return next((m for m in self.matches if m.channel == channel), None)

    def column(self, channel: str) -> str | None:
        """Return the column taken for a channel, if there is one."""
        match = self.of(channel)
        return match.column if match else None

    def without(self, channels: Sequence[str], why: str) -> "ColumnMap":
        """Leave out channels, saying why."""
        gone = [m for m in self.matches if m.channel in channels]
        kept = tuple(m for m in self.matches if m not in gone)
        return ColumnMap(kept, (*self.left_out, *((m.column, why) for m in gone)))

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping, ready for JSON."""
        return {"matches": [asdict(m) for m in self.matches], "left_out": [list(p) for p in self.left_out]}


def map_columns(
    names: Sequence[str],
    sample: Mapping[str, np.ndarray | None],
    *,
    given: Mapping[str, str] | None = None,
    hints: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    keep_other: bool = True,
) -> ColumnMap:
    """Map the columns of a file to the house's channels.

    Parameters
    ----------
    names : sequence of str
        Columns of the file.
    sample : mapping
        First values of each column as floats (NaN where null), or None for a column of words.
    given : mapping, optional
        Channel to column, by the user; channels that are not here are guessed. A column without a meaning
        here can only be given under its own name.
    hints : mapping, optional
        Channel to column, by the file itself (a standard name in netCDF); the user's word goes first.
    units : mapping, optional
        Unit of a channel or column, by the user or by the file; otherwise read from the names.
    keep_other : bool
        Whether numeric columns without a meaning here are kept under their own names.

    Raises
    ------
    ParameterError
        If *given* names a column that is not there or a channel that does not exist, gives a column
        twice, or a unit is not known.
    """
    given = dict(given or {})
    _check_given(given, names)
    found: dict[str, tuple[str, str, str]] = {
        channel if channel in CHANNELS else _own_name(column, set()): (column, "given", "given by the user")
        for channel, column in given.items()
    }
    for channel, column in (hints or {}).items():
        if channel not in found and column not in {taken for taken, _, _ in found.values()}:
            found[channel] = (column, "guessed", "the file's own labels say so")
    for channel in CHANNELS:
        if channel not in found:
            guess = _guess(channel, names, sample, taken={column for column, _, _ in found.values()})
            if guess:
                found[channel] = (guess[0], "guessed", guess[1])
    _settle_total_field(found, sample)
    _drop_lonely_times(found)
    matches = [
        _with_unit(Match(channel, column, how, reason), units or {}, sample)
        for channel, (column, how, reason) in sorted(found.items(), key=lambda f: list(names).index(f[1][0]))
    ]
    left_out = []
    for name in names:
        if any(m.column == name for m in matches):
            continue
        if sample.get(name) is None:
            left_out.append((name, "holds words, not numbers"))
        elif not keep_other:
            left_out.append((name, "no channel of that name is known"))
        else:
            taken = {m.channel for m in matches} | set(CHANNELS)
            matches.append(Match(_own_name(name, taken), name, "kept", "a number under its own name"))
    return ColumnMap(tuple(matches), tuple(left_out))


def normalise(name: str) -> str:
    """Write a column's name in lower case, with words joined by underscores."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def _check_given(given: Mapping[str, str], names: Sequence[str]) -> None:
    for channel, column in given.items():
        if column not in names:
            there = ", ".join(names)
            raise ParameterError(f"columns['{channel}']", column, f"is not in the file, which has: {there}")
        # A further column keeps its own name: under a free one, a magnetic channel would be lost as such.
        own = _own_name(channel, set()) == _own_name(column, set()) and normalise(channel) not in RESERVED
        if channel not in CHANNELS and not own:
            nearest = _nearest_channels(channel, column)
            said = f"near to it are: {', '.join(nearest)}" if nearest else f"known: {', '.join(CHANNELS)}"
            raise ParameterError(
                "columns",
                channel,
                f"is neither a channel nor the name of column '{column}'; {said}",
                [Remedy("columns", {near: column}) for near in nearest[:1]],
            )
    twice = {c for c in given.values() if list(given.values()).count(c) > 1}
    if twice:
        raise ParameterError(
            "columns", sorted(twice)[0], "is given for two channels; a column has one meaning"
        )


def _nearest_channels(word: str, column: str) -> list[str]:
    """Channels that a word given for a column may stand for: by its meaning, its letters, or the column's."""
    close = difflib.get_close_matches(normalise(word), CHANNELS, n=3)
    return list(dict.fromkeys([*_meant_by(word), *close, *_meant_by(column)]))


def _meant_by(name: str) -> list[str]:
    bare = normalise(split_unit(name)[0])
    meant = [c for c in CHANNELS if any(re.fullmatch(pattern, bare) for pattern in NAMES[c])]
    # What is called tmi_anomaly may be either field by the patterns, but looks more like the anomaly.
    return sorted(meant, key=lambda c: difflib.SequenceMatcher(None, bare, c).ratio(), reverse=True)


def _guess(
    channel: str, names: Sequence[str], sample: Mapping[str, np.ndarray | None], taken: set[str]
) -> tuple[str, str] | None:
    """Find the column with the best name for a channel, and say why it was taken."""
    best: tuple[int, str, str] | None = None
    for name in names:
        words = sample.get(name) is None and channel not in ("line", *TIMES)
        if name in taken or words:
            continue
        bare = normalise(split_unit(name)[0])
        if channel == "upward" and _GROUND.search(bare):
            continue
        for rank, pattern in enumerate(NAMES[channel]):
            if (best is None or rank < best[0]) and re.fullmatch(pattern, bare):
                reason = f"its name says {channel.replace('_', ' ')}"
                if channel == "upward" and bare in ("height", "elevation", "elev", "z"):
                    reason = "its name may mean height of the sensor; check that it is not above ground"
                best = rank, name, reason
    return best[1:] if best else None


def _settle_total_field(
    found: dict[str, tuple[str, str, str]], sample: Mapping[str, np.ndarray | None]
) -> None:
    """Call a guessed total field an anomaly, if its values are no total field."""
    if "total_field" not in found or found["total_field"][1] != "guessed":
        return
    column, how, reason = found["total_field"]
    values = sample.get(column)
    known = values[np.isfinite(values)] if values is not None else np.empty(0)
    if known.size == 0:
        return
    middle = float(np.median(known))
    low, high = TOTAL_FIELD_RANGE
    if low <= middle <= high:
        found["total_field"] = column, how, f"{reason}, and values near {middle:,.0f} nT agree"
        return
    del found["total_field"]
    if "total_field_anomaly" not in found:
        why = f"its values near {middle:,.0f} nT are no total field, so they are an anomaly"
        found["total_field_anomaly"] = column, how, why


def _drop_lonely_times(found: dict[str, tuple[str, str, str]]) -> None:
    """Keep parts of a time only where they make a whole: a time of day needs a day."""
    guessed = {c for c in _PARTS_OF_TIME if c in found and found[c][1] == "guessed"}
    if not {"date", "datetime"} & set(found) and not {"year", "day_of_year"} <= set(found):
        for channel in guessed:
            del found[channel]
    elif {"date", "datetime"} & set(found):
        for channel in guessed - {"time_of_day"}:
            del found[channel]


def _with_unit(match: Match, units: Mapping[str, str], sample: Mapping[str, np.ndarray | None]) -> Match:
    table = UNITS.get(match.channel)
    unit = units.get(match.channel) or units.get(match.column) or split_unit(match.column)[1]
    if unit is None or table is None or not (is_unit(unit) or match.channel in units):
        return match
    return Match(
        match.channel, match.column, match.how, match.reason, unit, factor_to(table, unit, match.channel)
    )


def _own_name(name: str, taken: set[str]) -> str:
    own = normalise(name) or "column"
    own = f"column_{own}" if own[0].isdigit() else own
    base, again = own, 2
    while own in taken or own in RESERVED:
        own, again = f"{base}_{again}", again + 1
    return own
