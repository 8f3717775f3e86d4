"""CF netCDF grids, one or many variables in a file, with a grid mapping that GDAL and QGIS read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from pipelines.conventions import ATTRIBUTES, GRID_DIMS, assign_crs, crs_of, geometry_of, parse_crs
from pipelines.errors import DataError, FormatError
from pipelines.formats.exporting import in_chunks, written_aside

CONVENTIONS = "CF-1.11"
# How other programs call the two directions, where they do not say it by CF attributes.
EASTINGS = {"easting", "x", "projection_x_coordinate", "longitude", "lon"}
NORTHINGS = {"northing", "y", "projection_y_coordinate", "latitude", "lat"}


def write_netcdf(data: xr.DataArray | xr.Dataset, path: Path | str, *, compress: bool = True) -> Path:
    """Write a grid, or a dataset of grids and what belongs to them, as CF netCDF-4.

    Parameters
    ----------
    data : DataArray or Dataset
        Variables with dimensions ``(northing, easting)``; others (a radial spectrum, say) go
        along. Dask-backed and lazily indexed variables are written chunk by chunk.
    path : Path or str
        File to write; an existing one is replaced once the new one is complete.
    compress : bool
        Whether to deflate (lossless; values keep their dtype and bits).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If a grid breaks the conventions.
    FormatError
        If the file cannot be written.
    """
    dataset = data.to_dataset(name=data.name or "grid") if isinstance(data, xr.DataArray) else data
    grids = [name for name, variable in dataset.data_vars.items() if set(GRID_DIMS) <= set(variable.dims)]
    if not grids:
        raise DataError("dimensions", tuple(dataset.dims), f"must hold a grid with dimensions {GRID_DIMS}")
    crs = crs_of(dataset)
    if crs is not None:
        dataset = assign_crs(dataset, crs)
        dataset["spatial_ref"].attrs["GeoTransform"] = _geotransform(dataset[grids[0]])
    else:
        geometry_of(dataset[grids[0]])
    dataset = dataset.assign_attrs({**dataset.attrs, "Conventions": CONVENTIONS})
    dataset = dataset.assign({name: in_chunks(variable) for name, variable in dataset.data_vars.items()})
    dataset.attrs = _plain(dataset.attrs)
    for name, variable in dataset.variables.items():
        variable.attrs = _plain(variable.attrs)
        variable.encoding = _encoding(
            variable, name in dataset.coords, name in grids and crs is not None, compress
        )
    with written_aside(path) as aside:
        try:
            dataset.to_netcdf(aside, engine="netcdf4", format="NETCDF4")
        except RuntimeError as error:
            if not str(error).startswith("NetCDF:"):
                raise  # a task's own error, not the library's
            raise FormatError(path, f"cannot be written ({error}); is the disk full?") from error
    return Path(path)


def read_netcdf(path: Path | str) -> xr.Dataset:
    """Read the grids of a CF netCDF file lazily, by the house's conventions.

    Parameters
    ----------
    path : Path or str
        A netCDF file with one pair of regular coordinates.

    Returns
    -------
    Dataset
        Ascending ``(northing, easting)`` with the CRS in ``spatial_ref``; geographic coordinates
        are called ``latitude`` and ``longitude``. Variables on other dimensions go along.

    Raises
    ------
    FormatError
        If the file is not netCDF or holds no grid.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "there is no such file")
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_coords="all", cache=False)
    except (OSError, ValueError) as error:
        raise FormatError(path, f"is not a netCDF file that can be read: {error}") from error
    y, x = _direction(dataset, NORTHINGS, "Y"), _direction(dataset, EASTINGS, "X")
    if x is None or y is None:
        known = ", ".join(map(str, dataset.coords)) or "none"
        raise FormatError(path, f"has no coordinates of a grid; its coordinates are: {known}")
    in_degrees = str(dataset[x].attrs.get("units", "")).lower().startswith("degree")
    dims = ("latitude", "longitude") if in_degrees else GRID_DIMS
    dataset = dataset.rename({old: new for old, new in zip((y, x), dims, strict=True) if old != new})
    for dim in dims:
        if dataset.sizes[dim] > 1 and dataset[dim].values[0] > dataset[dim].values[-1]:
            dataset = dataset.isel({dim: slice(None, None, -1)})
        dataset[dim].attrs = {**ATTRIBUTES.get(dim, {}), **dataset[dim].attrs}
    crs = _crs(dataset)
    others = [name for name, v in dataset.coords.items() if v.ndim == 0 and "grid_mapping_name" in v.attrs]
    dataset = dataset.drop_vars([name for name in others if name != "spatial_ref"])
    dataset = dataset.transpose(*dims, ...)
    return assign_crs(dataset, crs)


def _geotransform(grid: xr.DataArray) -> str:
    """GDAL's six numbers: corner and steps, the corner in the north-west."""
    geometry = geometry_of(grid)
    dy, dx = geometry.spacing
    north = float(geometry.northing[-1]) + dy / 2
    west = float(geometry.easting[0]) - dx / 2
    return f"{west!r} {dx!r} 0.0 {north!r} 0.0 {-dy!r}"


def _encoding(variable: Any, coordinate: bool, mapped: bool, compress: bool) -> dict[str, Any]:
    """Return what the netCDF library is told, without what another format left there."""
    encoding: dict[str, Any] = {"grid_mapping": "spatial_ref"} if mapped else {}
    if variable.dtype.kind == "M":
        return {"units": "seconds since 1970-01-01", "dtype": "int64"}
    if variable.dtype.kind == "f":
        # CF forbids holes in coordinates, hence a fill value there.
        encoding["_FillValue"] = None if coordinate else np.asarray(np.nan, variable.dtype)[()]
    if compress and variable.ndim >= 2 and variable.dtype.kind in "fiu":
        encoding |= {"zlib": True, "complevel": 1, "shuffle": True}
    if variable.chunks is not None:
        encoding["chunksizes"] = tuple(max(sizes) for sizes in variable.chunks)
    return encoding


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Attributes netCDF can hold: text, numbers and arrays of numbers; the rest as JSON or left out."""
    plain = {}
    for key, value in attrs.items():
        if value is None:
            continue
        is_plain = isinstance(value, str | int | float | np.number | np.ndarray) and not isinstance(
            value, bool
        )
        plain[str(key)] = value if is_plain else json.dumps(value, default=str)
    return plain


def _direction(dataset: xr.Dataset, names: set[str], axis: str) -> str | None:
    """Name of the one-dimensional coordinate along *axis*, by CF attributes first, then by name."""
    found = [str(name) for name in dataset.dims if name in dataset.coords]
    by_axis = [n for n in found if dataset[n].attrs.get("axis") == axis]
    by_standard_name = [n for n in found if dataset[n].attrs.get("standard_name") in names]
    by_name = [n for n in found if n.lower() in names]
    return next(iter([*by_standard_name, *by_axis, *by_name]), None)


def _crs(dataset: xr.Dataset) -> CRS | None:
    """CRS in the first grid mapping: its WKT, else its CF parameters."""
    for coordinate in dataset.coords.values():
        attrs = coordinate.attrs
        if text := attrs.get("crs_wkt") or attrs.get("spatial_ref"):
            return parse_crs(text)
        if "grid_mapping_name" in attrs:
            return CRS.from_cf(attrs)
    return None
