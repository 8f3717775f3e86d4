"""GeoTIFF: Cloud-Optimised files out, any single-band north-up GeoTIFF in.

A grid of the house has its first row in the south and coordinates at cell centres; a GeoTIFF has
its first row in the north and an origin at a cell's corner (pixel is area). Both are turned here
and nowhere else.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from rasterio._err import CPLE_BaseError  # what GDAL's own failures are raised as; not exported
from rasterio.errors import RasterioError
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from pipelines.conventions import ATTRIBUTES, GRID_DIMS, assign_crs, crs_of, geometry_of
from pipelines.errors import FormatError
from pipelines.formats.exporting import require_plain_grid, row_bands, scratch_file, written_aside

TILE = 512
CACHE_MEGABYTES = 64  # of GDAL, which by default takes a twentieth of the machine
WRITABLE = {"float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32"}
COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "YES",
    "BLOCKSIZE": TILE,
    "OVERVIEWS": "AUTO",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
}
# GDAL's own tags, which are not attributes of the grid.
GDAL_TAGS = {"AREA_OR_POINT", "scale_factor", "add_offset", "_FillValue"}


def write_cog(grid: xr.DataArray, path: Path | str) -> Path:
    """Write a grid as a Cloud-Optimised GeoTIFF.

    Deflate with a predictor (lossless: the values come back bit for bit in their own dtype), tiles
    of 512 cells, overviews by averaging, NaN as nodata. The units and the long name become the
    band's, every other attribute a tag of the band.

    Parameters
    ----------
    grid : DataArray
        Grid with dimensions ``(northing, easting)``; read by bands of rows, never as a whole.
    path : Path or str
        File to write; an existing one is replaced once the new one is complete.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FormatError
        If the grid's type has no GeoTIFF equivalent or the file cannot be written.
    DataError
        If the grid breaks the conventions (see `pipelines.conventions.geometry_of`).
    """
    require_plain_grid(grid)
    geometry = geometry_of(grid)
    if grid.dtype.name not in WRITABLE:
        raise FormatError(path, f"GeoTIFF holds no {grid.dtype}; convert the grid with .astype('float32')")
    rows, columns = geometry.shape
    dy, dx = geometry.spacing
    north = geometry.northing[-1] + dy / 2
    west = geometry.easting[0] - dx / 2
    crs = crs_of(grid)
    is_float = grid.dtype.kind == "f"
    profile = {
        "driver": "GTiff",
        "dtype": grid.dtype.name,
        "count": 1,
        "width": columns,
        "height": rows,
        "transform": Affine(dx, 0.0, west, 0.0, -dy, north),
        "crs": crs.to_wkt() if crs is not None else None,
        "nodata": np.nan if is_float else None,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "BIGTIFF": "IF_SAFER",
    }
    final = Path(path)
    with written_aside(final) as aside, scratch_file(aside.parent, ".tif") as plain:
        try:
            # The COG driver only copies, so the bands go to a plain tiled file first.
            with rasterio.Env(GDAL_CACHEMAX=CACHE_MEGABYTES), rasterio.open(plain, "w", **profile) as target:
                for band, values in row_bands(grid):
                    window = Window(0, rows - band.stop, columns, len(values))
                    target.write(values[::-1], 1, window=window)
                target.units = (str(grid.attrs.get("units", "")),)
                target.descriptions = (str(grid.attrs.get("long_name", grid.name or "")),)
                target.update_tags(AREA_OR_POINT="Area")
                target.update_tags(1, **_tags(grid))
            with rasterio.Env(GDAL_CACHEMAX=CACHE_MEGABYTES):
                copy_raster(plain, aside, driver="COG", **COG_OPTIONS)
        except (RasterioError, CPLE_BaseError) as error:
            problem = f"cannot be written (GDAL says: {error.__cause__ or error}); is the disk full?"
            raise FormatError(final, problem) from error
    return final


def read_geotiff(path: Path | str, *, band: int = 1) -> xr.DataArray:
    """Read one band of a GeoTIFF as a grid, lazily.

    Parameters
    ----------
    path : Path or str
        A GeoTIFF without rotation.
    band : int
        Band, counted from one.

    Returns
    -------
    DataArray
        Ascending ``(northing, easting)`` at cell centres, or ``(latitude, longitude)`` where the
        CRS is geographic; nodata as NaN (integers with a nodata value become floating point).
        Nothing is read before it is asked for.

    Raises
    ------
    FormatError
        If the file is no raster that GDAL reads, is rotated, or has no such band.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "there is no such file")
    try:
        with rasterio.open(path) as source:
            transform, count, nodata = source.transform, source.count, source.nodata
            if not 1 <= band <= count:
                raise FormatError(path, f"has no band {band}; it has {count}", field="band")
            tags = source.tags(band)
            units, description = source.units[band - 1], source.descriptions[band - 1]
        # Only a nodata value that is a number needs a mask; NaN is one already.
        masked = nodata is not None and not np.isnan(nodata)
        opened: Any = rioxarray.open_rasterio(path, masked=masked, parse_coordinates=False)
    except RasterioError as error:
        raise FormatError(path, f"is not a raster that GDAL can read: {error}") from error
    if transform.b or transform.d:
        raise FormatError(path, "is rotated; warp it to a north-up grid first (gdalwarp does)")
    raster: xr.DataArray = opened.isel(band=band - 1, drop=True)
    crs = opened.rio.crs
    geographic = crs is not None and crs.is_geographic
    dims = ("latitude", "longitude") if geographic else GRID_DIMS
    x = transform.c + transform.a * (np.arange(raster.sizes["x"]) + 0.5)
    y = transform.f + transform.e * (np.arange(raster.sizes["y"]) + 0.5)
    labels = [dict(ATTRIBUTES.get(dim, {"units": "degrees"})) for dim in dims]
    raster = raster.drop_vars(["spatial_ref", "x", "y"], errors="ignore").rename(y=dims[0], x=dims[1])
    raster = raster.assign_coords({dims[0]: (dims[0], y, labels[0]), dims[1]: (dims[1], x, labels[1])})
    for dim, step in zip(dims, (transform.e, transform.a), strict=True):
        if step < 0:
            raster = raster.isel({dim: slice(None, None, -1)})
    attrs = _attributes(tags)
    name = str(attrs.pop("name", path.stem))
    if units:
        attrs["units"] = units
    if description:
        attrs["long_name"] = description
    raster.attrs = attrs
    return assign_crs(raster.rename(name), crs.to_wkt() if crs is not None else None)


def _tags(grid: xr.DataArray) -> dict[str, str]:
    """Attributes as GDAL tags: text as it is, anything else as JSON."""
    tags = {key: value if isinstance(value, str) else _json(value) for key, value in grid.attrs.items()}
    return {"name": str(grid.name or "grid"), **tags}


def _attributes(tags: dict[str, str]) -> dict[str, Any]:
    return {
        key: value
        for key, value in tags.items()
        if key not in GDAL_TAGS and not key.startswith("STATISTICS_")
    }


def _json(value: Any) -> str:
    return json.dumps(value.item() if isinstance(value, np.generic) else value, default=str)
