"""The labels every dataset of the house carries: dimensions, units, CRS, history.

Grids have dimensions ``(northing, easting)``, ascending, regular, in metres, cell-centred, with
the CRS in a scalar coordinate ``spatial_ref`` (CF grid mapping). Surveys have one dimension
``point`` in line-major order and one dimension ``line``. Angles are degrees, inclination positive
down, declination positive east; ``upward`` is metres above the stated datum, z up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from pipelines.errors import DataError, ParameterError

GRID_DIMS = ("northing", "easting")
REGULAR_TOLERANCE = 1e-4  # of a cell: coordinates stored as float32 metres still pass

NANOTESLA = "nT"

ATTRIBUTES: dict[str, dict[str, str]] = {
    "easting": {
        "units": "m",
        "standard_name": "projection_x_coordinate",
        "long_name": "Easting",
        "axis": "X",
    },
    "northing": {
        "units": "m",
        "standard_name": "projection_y_coordinate",
        "long_name": "Northing",
        "axis": "Y",
    },
    "upward": {
        "units": "m",
        "standard_name": "altitude",
        "long_name": "Height of the sensor",
        "positive": "up",
    },
    "total_field": {"units": NANOTESLA, "long_name": "Total magnetic intensity"},
    "total_field_anomaly": {"units": NANOTESLA, "long_name": "Total-field anomaly"},
    "reference_field": {"units": NANOTESLA, "long_name": "Reference field (IGRF) intensity"},
    "diurnal": {"units": NANOTESLA, "long_name": "Diurnal variation at the base station"},
    "line_distance": {"units": "m", "long_name": "Distance to the nearest line data"},
}

Labelled = TypeVar("Labelled", xr.DataArray, xr.Dataset)


@dataclass(frozen=True, slots=True)
class Geometry:
    """A regular grid's geometry, in metres: first cell centre, spacing and shape.

    Every pair is ``(northing, easting)``.
    """

    origin: tuple[float, float]
    spacing: tuple[float, float]
    shape: tuple[int, int]

    @property
    def northing(self) -> np.ndarray:
        """Cell-centre northings, ascending."""
        return self.origin[0] + self.spacing[0] * np.arange(self.shape[0], dtype=float)

    @property
    def easting(self) -> np.ndarray:
        """Cell-centre eastings, ascending."""
        return self.origin[1] + self.spacing[1] * np.arange(self.shape[1], dtype=float)

    def coordinates(self) -> dict[str, xr.Variable]:
        """Return labelled coordinate variables ``northing`` and ``easting``."""
        return {name: xr.Variable((name,), getattr(self, name), dict(ATTRIBUTES[name])) for name in GRID_DIMS}


def geometry_of(grid: xr.DataArray, minimum: int = 2) -> Geometry:
    """Check that *grid* follows the house's conventions and return its geometry.

    Parameters
    ----------
    grid : DataArray
        A grid; only its coordinates are read.
    minimum : int
        Fewest cells accepted along each dimension.

    Raises
    ------
    DataError
        If the dimensions are not ``(northing, easting)``, a coordinate is missing, irregular,
        descending or not in metres, the grid is too small, or its CRS is geographic.
    """
    if grid.dims != GRID_DIMS:
        hint = "must be ('northing', 'easting'); rename the dimensions and transpose the grid"
        if set(grid.dims) & {"latitude", "longitude", "lat", "lon"}:
            hint = "are geographic; project the grid to metres first, filters are never applied in degrees"
        raise DataError(f"dimensions of '{grid.name}'", grid.dims, hint)
    spacing, origin = [], []
    for dim in GRID_DIMS:
        if dim not in grid.coords:
            raise DataError(f"coordinate '{dim}'", None, "is missing; assign cell-centre values in metres")
        values = np.asarray(grid[dim].values, dtype=float)
        if values.size < minimum:
            raise DataError(f"size of '{dim}'", values.size, f"must be at least {minimum} cells")
        step = (values[-1] - values[0]) / (values.size - 1)
        if not np.isfinite(step) or step <= 0:
            raise DataError(f"coordinate '{dim}'", step, "must ascend; sort the grid with .sortby()")
        if np.abs(np.diff(values) - step).max() > REGULAR_TOLERANCE * step:
            raise DataError(f"coordinate '{dim}'", "irregular", "must be regularly spaced; regrid the data")
        units = str(grid[dim].attrs.get("units", "m")).lower()
        if units not in {"m", "metre", "metres", "meter", "meters"}:
            raise DataError(f"units of '{dim}'", units, "must be metres")
        spacing.append(float(step))
        origin.append(float(values[0]))
    require_projected(crs_of(grid))
    return Geometry(
        origin=(origin[0], origin[1]), spacing=(spacing[0], spacing[1]), shape=(grid.shape[0], grid.shape[1])
    )


def parse_crs(crs: Any) -> CRS:
    """Turn anything pyproj understands into a CRS, or refuse with a `ParameterError`."""
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise ParameterError(
            "crs", crs, "is not a coordinate reference system; give an EPSG code such as EPSG:32754"
        ) from error


def crs_of(data: xr.DataArray | xr.Dataset) -> CRS | None:
    """Return the CRS in the CF grid mapping ``spatial_ref``, or None if there is none."""
    if "spatial_ref" not in data.coords:
        return None
    attrs = data.coords["spatial_ref"].attrs
    text = attrs.get("crs_wkt") or attrs.get("spatial_ref")
    return parse_crs(text) if text else None


def require_projected(crs: CRS | None) -> None:
    """Refuse a CRS whose axes are not metres (an absent one is accepted: it may be synthetic)."""
    if crs is None:
        return
    if not crs.is_projected:
        raise DataError("crs", crs.name, "must be projected; reproject to metres (UTM for instance) first")
    units = {axis.unit_name for axis in crs.axis_info}
    if units - {"metre", "meter"}:
        raise DataError("crs", crs.name, f"must have axes in metres, not {', '.join(sorted(units))}")


def assign_crs(data: Labelled, crs: Any) -> Labelled:
    """Return *data* with *crs* as its CF grid mapping (`spatial_ref`); None leaves it as it is.

    In memory the link sits in ``encoding["grid_mapping"]`` alone, where xarray puts it when it
    decodes a file and looks for it when it writes one.
    """
    if crs is None:
        return data
    parsed = parse_crs(crs)
    attrs = {**parsed.to_cf(), "crs_wkt": parsed.to_wkt(), "spatial_ref": parsed.to_wkt()}
    out = data.assign_coords(spatial_ref=xr.Variable((), np.int64(0), attrs))
    variables = [out] if isinstance(out, xr.DataArray) else list(out.data_vars.values())
    for variable in variables:
        if set(GRID_DIMS) <= set(variable.dims) or "point" in variable.dims:
            variable.attrs.pop("grid_mapping", None)
            variable.encoding["grid_mapping"] = "spatial_ref"
    return out


def make_grid(
    values: Any,
    geometry: Geometry,
    *,
    name: str,
    crs: Any = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Label a 2-D array (NumPy or Dask) as a grid of the house."""
    labels: dict[str, Any] = {**ATTRIBUTES.get(name, {}), **(attrs or {})}
    grid = xr.DataArray(values, dims=GRID_DIMS, coords=geometry.coordinates(), name=name, attrs=labels)
    return assign_crs(grid, crs)


def extend_history(previous: str, entry: str) -> str:
    """Return a CF ``history`` attribute with one dated line appended."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{previous}\n{stamp} {entry}".strip()
