"""Surveys: field data imported once, stored whole, opened lazily.

``<root>/<name>/`` holds ``data.zarr`` (points in line-major order, lines, a tile index) and the
manifest that seals it. An import reads the file once, in blocks, and spools columns to the disk; what it
holds in memory is the order of the points and, while it looks them over, a few columns at a time.
"""

import math
import re
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from pipelines.errors import FormatError, ParameterError, Remedy
from pipelines.formats.checks import find_suspicions
from pipelines.formats.points import SurveyFile
from pipelines.formats.reader import open_survey_file
from pipelines.formats.refusals import Reason
from pipelines.formats.report import ImportReport
from pipelines.formats.survey import LineOrder, guess_ties, line_order
from pipelines.mag.lines import line_spacing
from quetzal.catalogue.arrays import describe_arrays
from quetzal.catalogue.manifest import digest, find_wrong_sizes, read_manifest, write_manifest
from quetzal.catalogue.sealed import sealed_directory
from quetzal.catalogue.spool import Spool
from quetzal.catalogue.storage import damaged, reading_in_words
from quetzal.catalogue.survey_store import DATA, Progress, open_store, write_points
from quetzal.catalogue.tiles import write_tile_index

KIND = "survey"
MAX_REFUSED = 0.01
BLOCK = 1 << 17  # points projected at a time
SAMPLE = 1_000_000  # positions looked at to choose a UTM zone
# Length of the path in diagonals of the survey. Real lines, the turns between them included, cross a
# survey some thousand times.
MOST_CROSSINGS = 50_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def import_survey(
    path: Path | str,
    root: Path | str,
    *,
    name: str | None = None,
    crs: str | None = None,
    target_crs: str | None = None,
    columns: Mapping[str, str] | None = None,
    line_column: str | None = None,
    tie_lines: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    nulls: Sequence[float] | None = None,
    keep_other: bool = True,
    survey_date: str | None = None,
    title: str | None = None,
    citation: str | None = None,
    max_refused: float = MAX_REFUSED,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a survey file into ``root/name``, whole or not at all.

    Parameters
    ----------
    path : Path or str
        CSV, Geosoft XYZ (both plain or compressed) or netCDF of points.
    root : Path or str
        Folder of the surveys; created if need be.
    name : str, optional
        Name of the survey; by default made from the file's.
    crs, target_crs, columns, line_column, units, nulls, keep_other
        See `pipelines.formats.reader.open_survey_file`.
    tie_lines : sequence of str, optional
        Names of the tie lines; by default they are known by their headers or told by their direction.
    survey_date : str, optional
        ISO date of the survey; by default the median of the points' times, if there are any.
    title : str, optional
        Title of the survey; by default its name.
    citation : str, optional
        How the data ask to be cited, licence included; reports print it.
    max_refused : float
        Largest share of rows that may be refused, 0 to 1. One single row is let pass (a file cut in its
        last row) unless this is 0.
    progress : callable, optional
        Called as ``progress(stage, done, total)`` with stages "reading" (rows; the total is unknown) and
        "writing" (points).

    Returns
    -------
    ImportReport
        What was read, kept, refused, assumed, and what looks suspicious.

    Raises
    ------
    FormatError, ParameterError
        If the file or a parameter must be refused; nothing is left behind.
    QuetzalError
        If a survey of that name exists, or the folder cannot be written or is full.
    """
    begun = time.monotonic()
    path = Path(path)
    if not 0.0 <= max_refused <= 1.0:
        raise ParameterError("max_refused", max_refused, "must be a share between 0 and 1")
    if survey_date is not None:
        survey_date = _iso_date(survey_date)
    name = name if name is not None else _name_from(path)
    if not _NAME.fullmatch(name):
        raise ParameterError(
            "name", name, "must be letters, digits, '.', '_' and '-', a letter or digit first"
        )
    file = open_survey_file(
        path,
        crs=crs,
        target_crs=target_crs,
        columns=columns,
        line_column=line_column,
        units=units,
        nulls=nulls,
        keep_other=keep_other,
    )
    tell = progress or _say_nothing
    final = Path(root) / name
    with sealed_directory(final) as partial:
        (partial / "spool").mkdir()
        spool = Spool(partial / "spool")
        try:
            codes = _read(file, spool, tell)
            projected = _project(file, spool)
            _judge(file, projected, max_refused)
            order = line_order(codes, projected)
            lines = _lines(file, spool, order, tie_lines)
            if survey_date is None and "time" in spool.names:
                survey_date = _median_date(spool.map("time"))
            attrs = {"title": title or name, "source": path.name}
            told = {"survey_date": survey_date, "citation": citation}
            attrs |= {name: text for name, text in told.items() if text is not None}
            write_points(partial / DATA, spool, order, lines, file.positions.target, attrs, tell)
            spool.remove()
        finally:
            spool.close()
        survey = open_store(partial / DATA)
        write_tile_index(partial / DATA, survey)
        report = _report(file, survey, name, final, begun)
        write_manifest(partial, _manifest(path, file, partial / DATA, report))
    return report


def open_survey(folder: Path | str) -> xr.Dataset:
    """Open a survey lazily: nothing is read but coordinates' shapes and attributes.

    Raises
    ------
    NotFoundError
        If there is no survey, or one that was never finished.
    InputError
        If the folder holds something else.
    StorageError
        If a file of it is missing or damaged, or may not be read.
    """
    folder = Path(folder)
    with reading_in_words(folder.name, folder):
        manifest = read_manifest(folder, KIND)
        if wrong := find_wrong_sizes(folder, manifest):
            raise damaged(folder.name, wrong)
        return open_store(folder / DATA).assign_attrs(survey_id=manifest["id"])


def _read(file: SurveyFile, spool: Spool, tell: Progress) -> np.ndarray:
    """Read the file into the spool; return the line code of every point."""
    codes = [np.empty(0, dtype=np.int32)]
    for block in file.blocks():
        columns = {"easting": block.x, "northing": block.y, **block.channels, "row": block.line_numbers}
        if block.time is not None:
            columns["time"] = block.time.view(np.int64)
        spool.append(columns)
        codes.append(block.line)
        tell("reading", spool.length, None)
    return np.concatenate(codes)


def _project(file: SurveyFile, spool: Spool) -> np.ndarray:
    """Project the spooled positions in place; return which points could be."""
    reached = np.ones(spool.length, dtype=bool)
    if spool.length == 0:
        return reached
    x, y, row = spool.map("easting"), spool.map("northing"), spool.map("row")
    step = max(1, spool.length // SAMPLE)
    file.positions = file.positions.settle(np.array(x[::step]), np.array(y[::step]))
    for start in range(0, spool.length, BLOCK):
        part = slice(start, start + BLOCK)
        easting, northing = file.positions.project(np.array(x[part]), np.array(y[part]))
        good = np.isfinite(easting) & np.isfinite(northing)
        if not good.all():
            column = file.columns.column(file.positions.x) or file.positions.x
            file.refusals.add_rows(row[part][~good], Reason.OUTSIDE, column, x[part][~good])
            reached[part] = good
        x[part], y[part] = easting, northing
    return reached


def _judge(file: SurveyFile, projected: np.ndarray, max_refused: float) -> None:
    """Refuse the file if too many of its rows were refused, or none is left."""
    kept, refused = int(projected.sum()), file.refusals.total
    path = file.source.path
    if kept == 0 and refused == 0:
        raise FormatError(path, "has no rows; nothing to import")
    tolerated = max(1.0, max_refused * (kept + refused)) if max_refused > 0 else 0.0
    if kept > 0 and refused <= tolerated:
        return
    reasons = "; ".join(f"{count:,} times {reason}" for reason, count in file.refusals.counts.most_common())
    first = "; ".join(str(example) for example in file.refusals.examples[:3])
    raise FormatError(
        path,
        f"{refused:,} of {kept + refused:,} rows cannot be read ({reasons}), more than the "
        f"{max_refused:.2%} allowed. First: {first}. Correct the file, or name its columns or CRS",
        line=file.refusals.examples[0].line,
        field=file.refusals.examples[0].field,
        # Allowing more does not help where no row is left.
        remedies=[Remedy("max_refused", math.ceil(100 * refused / (kept + refused)) / 100)] if kept else [],
    )


def _lines(
    file: SurveyFile, spool: Spool, order: LineOrder, tie_lines: Sequence[str] | None
) -> dict[str, np.ndarray]:
    names = np.array([file.lines.names[code] for code in order.codes.tolist()], dtype=object)
    types = np.array([file.lines.types[code] for code in order.codes.tolist()], dtype=object)
    if tie_lines is not None:
        unknown = sorted(set(tie_lines) - set(names.tolist()))
        if unknown:
            raise ParameterError("tie_lines", unknown[0], "is no line of this file")
        types[:] = ["tie" if name in set(tie_lines) else "line" for name in names]
    elif not (types == "tie").any():
        ends = np.stack([order.start, order.start + order.size - 1], axis=1)
        ends = ends if order.order is None else order.order[ends]
        ties, why = guess_ties(spool.map("easting")[ends], spool.map("northing")[ends])
        types[:] = np.where(ties, "tie", "line")
        file.notes.append(why)
    else:
        file.notes.append("Ties are told from lines by their headers.")
    return {"line_name": names, "line_type": types, "line_start": order.start, "line_size": order.size}


def _report(file: SurveyFile, survey: xr.Dataset, name: str, final: Path, begun: float) -> ImportReport:
    easting, northing = np.asarray(survey["easting"].values), np.asarray(survey["northing"].values)
    west, south, east, north = (f(v) for f in (np.min, np.max) for v in (easting, northing))
    spacing, sampling, azimuth = _geometry(
        survey, easting, northing, float(np.hypot(east - west, north - south))
    )
    if spacing is None:
        file.notes.append("The spacing of the lines could not be told from the positions.")
    ties = int((survey["line_type"].values == "tie").sum())
    kept = survey.sizes["point"]
    return ImportReport(
        name=name,
        folder=str(final),
        source=file.source.path.name,
        kind=file.source.kind,
        rows_read=kept + file.refusals.total,
        rows_kept=kept,
        lines_skipped=file.skipped,
        refusals=file.refusals,
        columns=file.columns,
        nulls={f"{channel}: {marker:g}": count for (channel, marker), count in file.nulled.items()},
        crs_source=CRS.from_wkt(file.positions.source).name,
        crs=CRS.from_wkt(file.positions.target or file.positions.source).name,
        extent=(float(west), float(south), float(east), float(north)),
        lines=survey.sizes["line"] - ties,
        ties=ties,
        line_spacing=spacing,
        sampling=sampling,
        azimuth=azimuth,
        survey_date=survey.attrs.get("survey_date"),
        notes=(*file.notes, *(n for n in file.positions.notes if n not in file.notes)),
        suspicious=tuple(find_suspicions(survey)),
        seconds=time.monotonic() - begun,
    )


def _geometry(
    survey: xr.Dataset, easting: np.ndarray, northing: np.ndarray, diagonal: float
) -> tuple[float | None, float | None, float | None]:
    """Return spacing, sampling and azimuth of the lines, None where they cannot be told.

    Points in no order along their lines make a path that crosses the survey once a point. Its lines
    have no geometry, and looking for it would take gigabytes.
    """
    path = float(np.hypot(np.diff(easting), np.diff(northing)).sum())
    if path > MOST_CROSSINGS * max(diagonal, 1.0):
        return None, None, None
    found = line_spacing(survey)
    return _known(found.spacing), _known(found.sampling), _known(found.azimuth)


def _manifest(path: Path, file: SurveyFile, store: Path, report: ImportReport) -> dict[str, Any]:
    return {
        "kind": KIND,
        "name": report.name,
        "source": {"file": path.name, "size": path.stat().st_size, "sha256": digest(path)},
        "crs": file.positions.target,
        "extent": list(report.extent),
        "points": report.rows_kept,
        "lines": report.lines,
        "ties": report.ties,
        "survey_date": report.survey_date,
        "columns": report.columns.to_dict(),
        "report": report.to_dict(),
        "arrays": describe_arrays(store),
    }


def _name_from(path: Path) -> str:
    stem = re.sub(r"(\.(csv|txt|dat|xyz|nc|nc4|gz|xz|bz2))+$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or "survey"


def _iso_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ParameterError("survey_date", text, "must be an ISO date such as 1990-06-15") from None


def _median_date(times: np.ndarray) -> str | None:
    known = np.asarray(times)[:: max(1, times.size // SAMPLE)]
    known = known[known != np.iinfo(np.int64).min]
    if known.size == 0:
        return None
    return str(np.sort(known)[known.size // 2].astype("datetime64[ns]").astype("datetime64[D]"))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _say_nothing(stage: str, done: int, total: int | None) -> None:
    pass
