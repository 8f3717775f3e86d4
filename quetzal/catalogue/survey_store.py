"""A survey's Zarr store: how points and lines are chunked, compressed, written and opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from pipelines.formats.columns import MAGNETIC
from pipelines.formats.survey import LineOrder, label_survey
from quetzal.catalogue.spool import Spool

DATA = "data.zarr"
# 1 MiB of float64. Chunks of 64k to 256k points and zstd levels 1 to 5, shuffled by bytes or bits, were
# tried on a million synthetic points and on a real survey: import and reading differ by less than the
# noise, sizes by 5 to 10 %. The middle is taken.
CHUNK = 1 << 17
COMPRESSOR = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
TIME_UNITS = "nanoseconds since 1970-01-01"

Progress = Callable[[str, int, int | None], None]


def write_points(
    store: Path,
    spool: Spool,
    order: LineOrder,
    lines: dict[str, np.ndarray],
    crs: str | None,
    attrs: dict[str, str],
    tell: Progress,
) -> None:
    """Write the spooled points chunk by chunk in line-major order.

    Metadata go through xarray, so that what it reads back is what it would have written.
    """
    count = int(order.size.sum())
    chunk = min(CHUNK, count)
    columns = [name for name in spool.names if name not in ("row", "time")]
    template = {name: da.zeros(count, chunks=chunk, dtype=np.float64) for name in columns}
    template["line_index"] = da.zeros(count, chunks=chunk, dtype=np.int32)
    encoding: dict[str, dict[str, Any]] = {}
    if "time" in spool.names:
        template["time"] = da.zeros(count, chunks=chunk, dtype="datetime64[ns]")
        encoding["time"] = {"units": TIME_UNITS, "calendar": "proleptic_gregorian", "dtype": "int64"}
    survey = label_survey(template, lines, crs=crs, attrs=attrs)
    for name in template:
        # Encoding given here replaces a variable's own, so the link to its CRS is repeated.
        grid_mapping = {k: v for k, v in survey[name].encoding.items() if k == "grid_mapping"}
        encoding.setdefault(name, {}).update(compressors=(COMPRESSOR,), chunks=(chunk,), **grid_mapping)
    # Chunks that hold only nulls are written too, so that a missing chunk is always a fault.
    with zarr.config.set({"array.write_empty_chunks": True}):
        survey.to_zarr(store, encoding=encoding, compute=False, zarr_format=3, consolidated=False, mode="w-")
        targets = {name: zarr.open_array(store / name, mode="r+") for name in template}
        sources = {name: spool.map(name) for name in template if name != "line_index"}
        line_index = np.repeat(np.arange(order.size.size, dtype=np.int32), order.size)
        for start in range(0, count, chunk):
            part = slice(start, min(start + chunk, count))
            chosen = part if order.order is None else order.order[part]
            for name, values in sources.items():
                targets[name][part] = np.asarray(values[chosen])
            targets["line_index"][part] = line_index[part]
            tell("writing", part.stop, count)


def open_store(store: Path) -> xr.Dataset:
    """Open a survey's Zarr store lazily."""
    survey: xr.Dataset = xr.open_zarr(store, chunks=None, consolidated=False, decode_coords="all")
    # Zarr's strings come as NumPy's StringDType, which much of NumPy and xarray cannot work with yet.
    survey = survey.assign({name: survey[name].astype(object) for name in ("line_name", "line_type")})
    # A store lists its arrays in any order: fields first, then further channels, then what tells lines.
    fields = [name for name in MAGNETIC if name in survey]
    lines = [name for name in survey.data_vars if str(name).startswith("line_")]
    others = sorted(str(n) for n in survey.data_vars if n not in fields and n not in lines)
    return survey[[*fields, *others, *sorted(map(str, lines))]]
