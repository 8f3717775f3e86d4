"""What an import did, as data and as lines of text."""

from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.formats.checks import Suspicion
from pipelines.formats.columns import ColumnMap
from pipelines.formats.refusals import Refusals

SHOWN_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The report of one import.

    Attributes
    ----------
    name, folder, source : str
        The survey, where it is, and the file it came from.
    kind : str
        Format of the file.
    rows_read, rows_kept : int
        Rows of the file; what is not kept is among `refusals`.
    lines_skipped : int
        Lines of the file that hold no row: blank, comments, headers.
    refusals : Refusals
        Rows kept out, counted by reason, with the first of them.
    columns : ColumnMap
        What each column became.
    nulls : dict
        Numbers taken for null, counted as "channel: marker".
    crs_source, crs : str
        Names of the file's CRS and the survey's.
    extent : tuple of float
        West, south, east, north of the survey, metres.
    lines, ties : int
        Number of lines (ties not among them) and of ties.
    line_spacing, sampling, azimuth : float or None
        Metres and degrees; None where they could not be told.
    survey_date : str or None
        ISO date.
    notes : tuple of str
        What was assumed, in sentences.
    suspicious : tuple of Suspicion
        What a person should look at.
    seconds : float
        Wall time.
    """

    name: str
    folder: str
    source: str
    kind: str
    rows_read: int
    rows_kept: int
    lines_skipped: int
    refusals: Refusals
    columns: ColumnMap
    nulls: dict[str, int]
    crs_source: str
    crs: str
    extent: tuple[float, float, float, float]
    lines: int
    ties: int
    line_spacing: float | None
    sampling: float | None
    azimuth: float | None
    survey_date: str | None
    notes: tuple[str, ...]
    suspicious: tuple[Suspicion, ...] = field(default_factory=tuple)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        plain = {k: v for k in self.__slots__ if not isinstance(v := getattr(self, k), (Refusals, ColumnMap))}
        return {
            **plain,
            "extent": list(self.extent),
            "notes": list(self.notes),
            "refusals": self.refusals.to_dict(),
            "columns": self.columns.to_dict(),
            "suspicious": [asdict(s) for s in self.suspicious],
        }

    def render(self) -> list[str]:
        """Return the report as lines of plain text."""
        west, south, east, north = self.extent
        out = [
            f"{self.name}: {self.rows_kept:,} points of {self.rows_read:,} rows, "
            f"from {self.source} ({self.kind})",
            f"CRS: {self.crs}" + (f", from {self.crs_source}" if self.crs_source != self.crs else ""),
            f"Extent: easting {west:,.0f} to {east:,.0f} m, northing {south:,.0f} to {north:,.0f} m "
            f"({(east - west) / 1000:,.1f} by {(north - south) / 1000:,.1f} km)",
            f"Lines: {self.lines:,} and {self.ties:,} ties; spacing {_metres(self.line_spacing)}, "
            f"sampling {_metres(self.sampling)}",
            "Columns:",
        ]
        kept = [match.column for match in self.columns.matches if match.how == "kept"]
        for match in self.columns.matches:
            if match.how == "kept":
                continue
            unit = f" [{match.unit}]" if match.unit else ""
            out.append(f"  {match.channel} = '{match.column}'{unit} ({match.how}: {match.reason})")
        if kept:
            out.append(f"  under their own names: {', '.join(kept)}")
        out += [f"  '{name}' is left out: {why}" for name, why in self.columns.left_out]
        out += [f"Taken for null: {count:,} times {name}" for name, count in self.nulls.items()]
        out += self.notes
        if self.refusals.total:
            out.append(f"Refused {self.refusals.total:,} rows:")
            out += [f"  {count:,} times {reason}" for reason, count in self.refusals.counts.most_common()]
            out += [f"  {example}" for example in self.refusals.examples[:SHOWN_REFUSALS]]
        out += [f"Look at {suspicion}" for suspicion in self.suspicious]
        return out


def _metres(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f} m"
