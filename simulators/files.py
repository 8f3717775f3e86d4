"""Write simulated surveys as the text files that contractors deliver: CSV and Geosoft XYZ."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

DECIMALS = {"easting": 2, "northing": 2, "upward": 2, "ground": 2, "heading": 1}
FIELD_DECIMALS = 3  # nT
WRITERS = (".csv", ".csv.gz", ".csv.xz", ".xyz")


def to_table(survey: xr.Dataset) -> pd.DataFrame:
    """Return a survey as a table, a row a point: line and its type, time, position, channels.

    Numbers are rounded as contractors round them: metres to centimetres, fields to 0.001 nT.
    """
    index = survey["line_index"].values
    columns: dict[str, Any] = {
        "line": survey["line_name"].values[index],
        "line_type": survey["line_type"].values[index],
        "time": survey["time"].values,
    }
    order = ["easting", "northing", "upward", "flight", "heading", "ground"]
    rest = [str(n) for n in survey.data_vars if survey[n].dims == ("point",)]
    for name in [*order, *(n for n in rest if n not in (*order, "line_index"))]:
        values = survey[name].values
        rounds = np.issubdtype(values.dtype, np.floating)
        columns[name] = np.round(values, DECIMALS.get(name, FIELD_DECIMALS)) if rounds else values
    return pd.DataFrame(columns)


def write_csv(survey: xr.Dataset, path: Path) -> None:
    """Write a survey as CSV with one header row; ``.gz`` and ``.xz`` compress.

    Times are ISO 8601 in UTC with milliseconds, in a column ``datetime``.
    """
    table = to_table(survey).rename(columns={"time": "datetime"})
    table["datetime"] = np.datetime_as_string(survey["time"].values, unit="ms", timezone="UTC")
    table.to_csv(path, index=False)


def write_xyz(survey: xr.Dataset, path: Path) -> None:
    """Write a survey as Geosoft XYZ: ``LINE`` and ``TIE`` headers, nulls as ``*``.

    Comment lines name the columns, the coordinate system and the survey; date and time of day are
    two columns.
    """
    table = to_table(survey)
    stamp = np.datetime_as_string(survey["time"].values, unit="ms")
    table["date"] = [text[:10].replace("-", "/") for text in stamp]
    table["time"] = [text[11:] for text in stamp]
    columns = ["date", *(name for name in table.columns if name not in ("line", "line_type", "date"))]
    names = [str(name) for name in survey["line_name"].values]
    with path.open("w", encoding="ascii", newline="\n") as out:
        out.write(f"/ {survey.attrs['title']}\n/ {_crs_name(survey)}\n/ {' '.join(columns)}\n")
        starts, sizes = survey["line_start"].values, survey["line_size"].values
        for name, kind, start, size in zip(names, survey["line_type"].values, starts, sizes, strict=True):
            out.write(f"{'TIE' if kind == 'tie' else 'LINE'} {name[1:]}\n")
            rows = table.iloc[start : start + size]
            rows.to_csv(out, columns=columns, sep=" ", header=False, index=False, na_rep="*")


def _crs_name(survey: xr.Dataset) -> str:
    return str(survey["spatial_ref"].attrs.get("projected_crs_name", "coordinate system unknown"))
