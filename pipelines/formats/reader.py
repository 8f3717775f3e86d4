"""Open a survey file of any known format, and read it as blocks of checked points.

`open_survey_file` decides everything that can be decided before the rows are read: format, columns,
units, nulls, CRS, times. What it decided can be shown before anything is imported. `SurveyFile.blocks`
then streams the points; every row is in a block or among the refusals.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.errors import FormatError, ParameterError
from pipelines.formats.columns import MAGNETIC, TIMES, ColumnMap, map_columns
from pipelines.formats.csv import TextSource, sniff
from pipelines.formats.netcdf import NetcdfSource, open_netcdf
from pipelines.formats.points import HUGE, NULL_NUMBERS, SurveyFile
from pipelines.formats.positions import degrees_like, plan_positions
from pipelines.formats.refusals import Reason
from pipelines.formats.table import read_number
from pipelines.formats.times import TimePlan, plan_time

NUMERIC_SHARE = 0.5
_NETCDF_MAGIC = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")


def open_survey_file(
    path: Path | str,
    *,
    crs: str | None = None,
    target_crs: str | None = None,
    columns: Mapping[str, str] | None = None,
    line_column: str | None = None,
    units: Mapping[str, str] | None = None,
    nulls: Sequence[float] | None = None,
    keep_other: bool = True,
) -> SurveyFile:
    """Understand a survey file without reading its rows.

    Parameters
    ----------
    path : Path or str
        CSV or Geosoft XYZ, plain or compressed by gzip, xz or bzip2, or netCDF of points. The format is
        told from the content.
    crs : str, optional
        CRS of the positions in the file. Needed for eastings and northings; WGS 84 is assumed for
        longitudes and latitudes.
    target_crs : str, optional
        CRS of the survey, in metres; by default the file's own, or UTM for geographic positions.
    columns : mapping, optional
        Channel to column, for what is not to be guessed.
    line_column : str, optional
        Column that names the flight line; short for ``columns={"line": …}``.
    units : mapping, optional
        Unit by channel or column, such as ``{"upward": "ft"}``.
    nulls : sequence of float, optional
        Numbers that mean null. By default the known markers (-9999.99, -1e32, …) are taken for null,
        and counted; give an empty list to take every number as it is.
    keep_other : bool
        Whether numeric columns without a meaning here are kept.

    Raises
    ------
    FormatError
        If the file is not what it should be; names the line and field where there is one.
    ParameterError
        If what was given does not fit the file.
    """
    path = Path(path)
    source = _source(path)
    given = dict(columns or {})
    if line_column is not None:
        given["line"] = line_column
    if source.has_line_headers and "line" in given:
        raise ParameterError("line_column", given["line"], "cannot be, since LINE headers name the lines")
    decimal = source.layout.decimal if isinstance(source, TextSource) else "."
    sample = {name: _numbers(cells, decimal, nulls) for name, cells in source.sample.items()}
    found = map_columns(
        source.names,
        sample,
        given=given,
        hints=source.hints,
        units={**source.units, **(units or {})},
        keep_other=keep_other,
    )
    if source.has_line_headers:
        found = found.without(("line",), "LINE headers name the lines")
    first = {m.channel: v * m.factor for m in found.matches if (v := sample[m.column]) is not None}
    plan, found = plan_positions(
        str(path),
        found,
        crs=crs if crs is not None else source.crs,
        target_crs=target_crs,
        comments=source.comments,
        sample=first,
    )
    notes = [*source.notes, *plan.notes]
    time, found = _time(source, sample, found, notes)
    if not source.has_line_headers and found.of("line") is None:
        notes.append("No column names the flight lines; all points are one line.")
    if not any(m.channel in MAGNETIC for m in found.matches):
        notes.append(
            "No magnetic channel was recognised; name the column of one, as in total_field_anomaly=COLUMN."
        )
    x, y = (first.get(c, np.empty(0)) for c in (plan.x, plan.y))
    known = np.isfinite(x) & np.isfinite(y) if x.size == y.size else np.zeros(0, dtype=bool)
    far = not plan.geographic and bool(known.any()) and bool(degrees_like(x[known], y[known]).mean() < 0.5)
    return SurveyFile(
        source=source,
        columns=found,
        positions=plan,
        time=time,
        notes=notes,
        nulls=None if nulls is None else tuple(float(v) for v in nulls),
        far_from_degrees=far,
    )


def _source(path: Path) -> TextSource | NetcdfSource:
    if path.is_file():
        with path.open("rb") as file:
            magic = file.read(8)
        if magic.startswith(_NETCDF_MAGIC):
            return open_netcdf(path)
        if magic and path.suffix.lower() in (".nc", ".nc4", ".cdf"):
            raise FormatError(path, "is called netCDF but is not; it may be cut, damaged or wrongly named")
    return sniff(path)


def _time(
    source: TextSource | NetcdfSource,
    sample: Mapping[str, np.ndarray | None],
    found: ColumnMap,
    notes: list[str],
) -> tuple[TimePlan | None, ColumnMap]:
    roles = {role: column for role in TIMES if (column := found.column(role)) is not None}
    # Dates are words, even those written as one number (20210120).
    numeric = frozenset(
        r for r, c in roles.items() if r not in ("date", "datetime") and sample[c] is not None
    )
    plan, why = plan_time({role: source.sample[column] for role, column in roles.items()}, numeric)
    if why:
        notes.append(why)
    unused = [role for role in roles if plan is None or role not in plan.roles]
    return plan, found.without(unused, "not needed for the time") if unused else found


def _numbers(cells: Sequence[str], decimal: str, nulls: Sequence[float] | None) -> np.ndarray | None:
    """Sample cells as floats with nulls as NaN, or None if most of them are words."""
    read = [read_number(cell, decimal) for cell in cells]
    wordy = sum(reason is Reason.NOT_A_NUMBER for _, reason in read)
    known = sum(bool(cell) for cell in cells)
    if known and wordy > (1 - NUMERIC_SHARE) * known:
        return None
    values = np.array([value for value, _ in read], dtype=float)
    values[np.isin(values, NULL_NUMBERS if nulls is None else list(nulls))] = np.nan
    values[~(np.abs(values) < HUGE)] = np.nan
    return values
