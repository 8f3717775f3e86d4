"""Rows of a survey file into checked points in house units; every row is a point or a refusal.

A `SurveyFile` is what `reader.open_survey_file` made of a file before its rows are read. Its blocks
stream: nulls, units, positions, lines and times are settled row by row, and only here.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.formats.columns import MAGNETIC, TIMES, ColumnMap
from pipelines.formats.csv import TextSource
from pipelines.formats.geosoft_xyz import parse_header
from pipelines.formats.netcdf import NetcdfSource
from pipelines.formats.positions import PositionPlan
from pipelines.formats.refusals import Reason, Refusals
from pipelines.formats.table import Rows
from pipelines.formats.times import TimePlan, is_null

# Markers of "no value" that no magnetometer, altimeter or receiver gives.
NULL_NUMBERS = (-9999.0, -9999.9, -9999.99, -9999.999, -99999.0, -99999.9, -99999.99, -999999.0)
# IAGA-2002 and its relatives; only for fields and heights, since a fiducial may count as far.
NULL_FIELDS = (99999.0, 99999.9, 99999.99, 999999.0)
HUGE = 1e30  # Geosoft's dummy is -1e32, ESRI's -3.4e38


@dataclass(slots=True)
class LineTable:
    """Lines of a survey in the order of their first points."""

    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    _codes: dict[tuple[str, str], int] = field(default_factory=dict)

    def code(self, name: str, kind: str = "") -> int:
        """Return the code of a line, a new one if it was not seen before; *kind* is "" if unknown."""
        found = self._codes.get((kind, name))
        if found is None:
            found = self._codes[kind, name] = len(self.names)
            self.names.append(name)
            self.types.append(kind)
        return found


@dataclass(frozen=True, slots=True)
class PointBlock:
    """Checked points in the order of the file.

    Attributes
    ----------
    x, y : ndarray
        Positions in the file's CRS and order (longitude, latitude or easting, northing); never NaN.
    channels : dict
        Values by channel in house units, NaN where null; ``upward`` is among them.
    time : ndarray or None
        datetime64[ns].
    line : ndarray
        Code of each point's line in `SurveyFile.lines`, int32.
    line_numbers : ndarray
        Line of the file (record, in netCDF) of each point, int64.
    """

    x: np.ndarray
    y: np.ndarray
    channels: dict[str, np.ndarray]
    time: np.ndarray | None
    line: np.ndarray
    line_numbers: np.ndarray


@dataclass(slots=True)
class SurveyFile:
    """A survey file, understood and ready to be read once.

    Attributes
    ----------
    source : TextSource or NetcdfSource
        The file, cut into columns.
    columns : ColumnMap
        Which column is which channel.
    positions : PositionPlan
        How positions are projected.
    time : TimePlan or None
        How times are read.
    notes : list of str
        What was assumed, in sentences.
    nulls : tuple of float or None
        Numbers that mean null; None for the known markers.
    lines, refusals, nulled, skipped
        Filled while reading: the lines met, rows kept out, values taken for null by channel and marker,
        and lines of the file that hold no row.
    """

    source: TextSource | NetcdfSource
    columns: ColumnMap
    positions: PositionPlan
    time: TimePlan | None
    notes: list[str]
    nulls: tuple[float, ...] | None = None
    far_from_degrees: bool = False
    lines: LineTable = field(default_factory=LineTable)
    refusals: Refusals = field(default_factory=Refusals)
    nulled: Counter[tuple[str, float]] = field(default_factory=Counter)
    skipped: int = 0
    _current: tuple[str, str] | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels on the points, positions and times apart."""
        apart = ("easting", "northing", "longitude", "latitude", "line", *TIMES)
        return tuple(m.channel for m in self.columns.matches if m.channel not in apart)

    def blocks(self, size: int | None = None) -> Iterator[PointBlock]:
        """Read the points; *size* is the bytes (records, in netCDF) read at a time."""
        roles = self.time.roles if self.time else ()
        numeric = [c for c in roles if self.time and c in self.time.numeric]
        words = [c for c in roles if c not in numeric]
        if not self.source.has_line_headers and self.columns.of("line"):
            words.append("line")
        numbers = self._columns((self.positions.x, self.positions.y, *self.channels, *numeric))
        texts = self._columns(words)
        options = {} if size is None else {"size": size}
        for rows in self.source.rows(numbers, texts, self.refusals, **options):
            self.skipped += rows.skipped
            if rows.unfinished:
                self.notes.append("The file does not end with a line end; its very last value may be cut.")
            yield self._points(rows)

    def _columns(self, channels: Sequence[str]) -> tuple[str, ...]:
        return tuple(column for c in channels if (column := self.columns.column(c)) is not None)

    def _points(self, rows: Rows) -> PointBlock:
        numbers = {
            c: self._in_house_units(rows, c) for c in (self.positions.x, self.positions.y, *self.channels)
        }
        lines = self._line_codes(rows)
        keep = np.ones(rows.line_numbers.size, dtype=bool)
        x, y = numbers.pop(self.positions.x), numbers.pop(self.positions.y)
        for wrong, reason, channel in self.positions.check(x, y, self.far_from_degrees):
            values = x if channel == self.positions.x else y
            self._refuse(rows, keep, wrong, reason, self.columns.column(channel) or channel, values)
        time = self._times(rows, keep) if self.time else None
        return PointBlock(
            x[keep],
            y[keep],
            {channel: values[keep] for channel, values in numbers.items()},
            None if time is None else time[keep],
            lines[keep],
            rows.line_numbers[keep],
        )

    def _refuse(
        self, rows: Rows, keep: np.ndarray, wrong: np.ndarray, reason: Reason, name: str, values: np.ndarray
    ) -> None:
        new = wrong & keep
        if new.any():
            self.refusals.add_rows(rows.line_numbers[new], reason, name, values[new])
            keep &= ~new

    def _in_house_units(self, rows: Rows, channel: str) -> np.ndarray:
        match = self.columns.of(channel)
        if match is None:
            raise KeyError(channel)
        values = rows.numbers[match.column].copy()
        markers = self.nulls
        if markers is None:
            markers = NULL_NUMBERS + (NULL_FIELDS if channel in (*MAGNETIC, "upward") else ())
            huge = np.abs(values) >= HUGE
            if huge.any():
                self.nulled[channel, float(values[huge][0])] += int(huge.sum())
                values[huge] = np.nan
        for marker in markers:
            hit = values == marker
            if hit.any():
                self.nulled[channel, marker] += int(hit.sum())
                values[hit] = np.nan
        return values * match.factor if match.factor != 1.0 else values

    def _line_codes(self, rows: Rows) -> np.ndarray:
        if self.source.has_line_headers:
            return self._codes_by_header(rows)
        column = self.columns.column("line")
        if column is None:
            return np.full(
                rows.line_numbers.size, self.lines.code("1") if rows.line_numbers.size else 0, np.int32
            )
        text = rows.texts[column]
        # In the order of the rows, so that lines keep the order of their first points.
        used, first = np.unique(text.codes, return_index=True)
        codes = np.zeros(len(text.values), dtype=np.int32)
        for i in used[np.argsort(first)].tolist():
            codes[i] = self.lines.code(text.values[i] or "(none)")
        return codes[text.codes] if text.codes.size else np.empty(0, dtype=np.int32)

    def _codes_by_header(self, rows: Rows) -> np.ndarray:
        begins = [0] + [line for line, _ in rows.headers]
        current = [self._current] + [parse_header(text) for _, text in rows.headers]
        self._current = current[-1]
        section = np.searchsorted(begins, rows.line_numbers, side="right") - 1
        codes = np.zeros(len(begins), dtype=np.int32)
        for i in np.unique(section).tolist():  # a header without rows makes no line
            kind, name = current[i] or ("line", "(none)")
            codes[i] = self.lines.code(name, kind)
        return codes[section] if section.size else np.empty(0, dtype=np.int32)

    def _times(self, rows: Rows, keep: np.ndarray) -> np.ndarray:
        """Decode times; a null one is NaT, one that cannot be read refuses its row."""
        if self.time is None:
            raise RuntimeError("no time to decode")
        cells: dict[str, tuple[np.ndarray, Sequence[str]] | np.ndarray] = {}
        null = np.zeros(keep.size, dtype=bool)
        for role in self.time.roles:
            column = self.columns.column(role) or role
            if role in self.time.numeric:
                cells[role] = rows.numbers[column]
                null |= np.isnan(rows.numbers[column])
            else:
                text = rows.texts[column]
                cells[role] = (text.codes, text.values)
                if text.codes.size:
                    null |= np.array([is_null(word) for word in text.values])[text.codes]
        if not keep.size:
            return np.empty(0, dtype="datetime64[ns]")
        times = self.time.decode(cells)
        wrong = np.isnat(times) & ~null
        if wrong.any():
            role = self.time.roles[0]
            shown = [
                " ".join(str(c[i] if isinstance(c, np.ndarray) else c[1][c[0][i]]) for c in cells.values())
                for i in np.flatnonzero(wrong & keep)[: self.refusals.limit].tolist()
            ]
            values = np.array([*shown, *[""] * (int((wrong & keep).sum()) - len(shown))], dtype=object)
            spread = np.full(keep.size, "", dtype=object)
            spread[wrong & keep] = values
            self._refuse(rows, keep, wrong, Reason.NOT_A_TIME, self.columns.column(role) or role, spread)
        return times
