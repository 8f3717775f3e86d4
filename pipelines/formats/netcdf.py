"""Points in netCDF: one-dimensional variables along one dimension, with CF labels where there are any."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from pipelines.errors import FormatError
from pipelines.formats.columns import CHANNELS
from pipelines.formats.refusals import Refusals
from pipelines.formats.table import Rows, Text

RECORDS = 1 << 16  # records read at a time
SAMPLE_RECORDS = 2000
STANDARD_NAMES = {
    "longitude": "longitude",
    "latitude": "latitude",
    "projection_x_coordinate": "easting",
    "projection_y_coordinate": "northing",
    "altitude": "upward",
    "height_above_mean_sea_level": "upward",
    "height_above_reference_ellipsoid": "upward",
    "time": "datetime",
}


@dataclass(frozen=True, slots=True)
class NetcdfSource:
    """A netCDF file of points, ready to be read; see `csv.TextSource` for the attributes."""

    path: Path
    dimension: str
    names: tuple[str, ...]
    sample: dict[str, list[str]]
    units: dict[str, str]
    hints: dict[str, str]
    crs: str | None
    comments: tuple[str, ...]
    notes: tuple[str, ...]
    kind: str = "netCDF"
    has_line_headers: bool = False

    def rows(
        self, numbers: tuple[str, ...], texts: tuple[str, ...], refusals: Refusals, *, size: int = RECORDS
    ) -> Iterator[Rows]:
        """Read the file, *size* records at a time; line numbers are records, counted from one."""
        with _open(self.path) as data:
            count = data.sizes[self.dimension]
            for start in range(0, count, size):
                part = data.isel({self.dimension: slice(start, start + size)})
                yield Rows(
                    {name: np.asarray(part[name].values, dtype=float) for name in numbers},
                    {name: _words(part[name].values) for name in texts},
                    np.arange(start, min(start + size, count), dtype=np.int64) + 1,
                )


def open_netcdf(path: Path) -> NetcdfSource:
    """Find the points of a netCDF file.

    Raises
    ------
    FormatError
        If the file is no netCDF, holds a grid, or has no variables along one dimension.
    """
    with _open(path) as data:
        flat = {str(n): v for n, v in data.variables.items() if v.ndim == 1 and v.dtype.kind in "fiuMOSUT"}
        dimensions = [str(v.dims[0]) for v in flat.values()]
        if not flat:
            raise FormatError(path, "has no variables along one dimension; this is not a file of points")
        dimension = max(set(dimensions), key=lambda d: (dimensions.count(d), data.sizes[d]))
        named = [n for n, v in flat.items() if v.dims[0] == dimension]
        if len(named) < 3:
            raise FormatError(path, "holds a grid, not points; open it as a grid instead of importing it")
        if data.sizes[dimension] == 0:
            raise FormatError(path, "has no records; nothing to import")
        head = data.isel({dimension: slice(0, SAMPLE_RECORDS)})
        hints: dict[str, str] = {}
        for name in named:
            standard = STANDARD_NAMES.get(str(data[name].attrs.get("standard_name", "")))
            for channel in (standard, name if name in CHANNELS else None):
                if channel:
                    hints.setdefault(channel, name)
        if "time" in named and data["time"].dtype.kind == "M":
            hints.setdefault("datetime", "time")
        words = {name: _words(head[name].values) for name in named}
        return NetcdfSource(
            path=path,
            dimension=dimension,
            names=tuple(named),
            sample={name: [text.values[code] for code in text.codes] for name, text in words.items()},
            units={n: str(data[n].attrs["units"]) for n in named if "units" in data[n].attrs},
            hints=hints,
            crs=_crs(data),
            comments=(),
            notes=(f"Points are along the dimension '{dimension}'.",),
        )


def _open(path: Path) -> xr.Dataset:
    try:
        return xr.open_dataset(path, decode_timedelta=False)
    except FileNotFoundError as error:
        raise FormatError(path, "does not exist; check the path") from error
    except (OSError, ValueError) as error:
        raise FormatError(path, f"cannot be read as netCDF ({error}); it may be cut or damaged") from error


def _crs(data: xr.Dataset) -> str | None:
    """Return the CRS of the first CF grid mapping found, as WKT."""
    for variable in data.variables.values():
        attrs: dict[str, Any] = variable.attrs
        if not {"crs_wkt", "spatial_ref", "grid_mapping_name"} & set(attrs):
            continue
        try:
            text = attrs.get("crs_wkt") or attrs.get("spatial_ref")
            return str((CRS.from_user_input(text) if text else CRS.from_cf(attrs)).to_wkt())
        except (CRSError, KeyError):
            continue
    return None


def _words(values: np.ndarray) -> Text:
    """Write values as words: whole numbers without a point, times in ISO 8601, nulls as nothing."""
    distinct, codes = np.unique(np.asarray(values), return_inverse=True)
    if distinct.dtype.kind == "M":
        words = ["" if np.isnat(v) else str(v) for v in distinct.astype("datetime64[us]")]
    elif distinct.dtype.kind in "fiu":
        words = [
            "" if np.isnan(v) else str(int(v)) if float(v).is_integer() else repr(float(v)) for v in distinct
        ]
    else:
        words = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in distinct]
    return Text(np.asarray(codes, dtype=np.int64).ravel(), tuple(words))
