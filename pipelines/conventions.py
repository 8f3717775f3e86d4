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
REGULAR_TOLERANCE = 1e-4  # of a cell, or the rounding of the coordinate's own type where that is coarser

NANOTESLA = "nT"
METRES = frozenset({"m", "metre", "metres", "meter", "meters"})  # spellings, in lower case

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
        If it is no DataArray, the dimensions are not ``(northing, easting)``, a coordinate is
        missing, irregular, descending or not in metres, the grid is too small, or its CRS is
        geographic or was lost when the file was opened.
    """
    if not isinstance(grid, xr.DataArray):
        raise DataError("grid", type(grid).__name__, "must be an xarray DataArray, one variable of a dataset")
    if grid.dims != GRID_DIMS:
        hint = "must be ('northing', 'easting'); rename the dimensions and transpose the grid"
        if set(grid.dims) & {"latitude", "longitude", "lat", "lon"}:
            hint = "are geographic; project the grid to metres first, filters are never applied in degrees"
        raise DataError(f"dimensions of '{grid.name}'", grid.dims, hint)
    spacing, origin = [], []
    for dim in GRID_DIMS:
        if dim not in grid.coords:
            raise DataError(f"coordinate '{dim}'", None, "is missing; assign cell-centre values in metres")
        stored = grid[dim].values
        values = np.asarray(stored, dtype=float)
        if values.size < minimum:
            raise DataError(f"size of '{dim}'", values.size, f"must be at least {minimum} cells")
        step = (values[-1] - values[0]) / (values.size - 1)
        if not np.isfinite(step) or step <= 0:
            raise DataError(f"coordinate '{dim}'", step, "must ascend; sort the grid with .sortby()")
        gaps = np.diff(values)
        if gaps.min() <= 0 or np.abs(gaps - step).max() > max(REGULAR_TOLERANCE * step, _rounding(stored)):
            raise DataError(f"coordinate '{dim}'", "irregular", "must be regularly spaced; regrid the data")
        require_metres(grid, dim)
        spacing.append(float(step))
        origin.append(float(values[0]))
    require_projected(crs_of(grid))
    return Geometry(
        origin=(origin[0], origin[1]), spacing=(spacing[0], spacing[1]), shape=(grid.shape[0], grid.shape[1])
    )


def _rounding(stored: np.ndarray) -> float:
    """Most that rounding to their own type moves the gaps between regular coordinates.

    Half a unit in the last place for each end of a gap: for float32 northings of 7 500 000 m, 0.5 m.
    """
    if stored.dtype.kind != "f":
        return 0.0
    return float(np.spacing(np.abs(stored).max()))


def require_numbers(grid: xr.DataArray) -> None:
    """Refuse values that are not real numbers, or are still as stored in a file.

    Raises
    ------
    DataError
        If the values are boolean, complex or no numbers at all; if a fill value is still among the
        attributes, since cells that hold it would pass for data.
    """
    if grid.dtype.kind not in "fiu":
        raise DataError(f"dtype of '{grid.name}'", str(grid.dtype), "must be integers or real numbers")
    for attribute in ("_FillValue", "missing_value"):
        fill = grid.attrs.get(attribute)
        if fill is not None and not np.isnan(np.asarray(fill, dtype=float)).all():
            raise DataError(
                f"attribute {attribute} of '{grid.name}'",
                fill,
                "is not decoded, so cells without data would pass for data; open the file with "
                "mask_and_scale (masked=True in rioxarray), or put NaN there with .where() and drop it",
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
    """Return the CRS in the CF grid mapping, or None if there is none.

    The mapping is ``spatial_ref``, else what the data name as theirs. In a dataset that was opened
    without ``decode_coords="all"`` it is among the data variables, and is found there too.

    Raises
    ------
    DataError
        If the data name a mapping that they do not hold: such a grid was taken from a dataset that
        was opened without ``decode_coords="all"``, and its CRS stayed behind.
    """
    mapping = _grid_mapping(data)
    if mapping is None:
        return None
    text = mapping.attrs.get("crs_wkt") or mapping.attrs.get("spatial_ref")
    return parse_crs(text) if text else None


def _grid_mapping(data: xr.DataArray | xr.Dataset) -> Any:
    held: Mapping[Any, Any] = data.coords if isinstance(data, xr.DataArray) else data.variables
    if "spatial_ref" in held:
        return held["spatial_ref"]
    for variable in [data] if isinstance(data, xr.DataArray) else data.data_vars.values():
        undecoded = variable.attrs.get("grid_mapping")
        # The extended form is "mapping: coordinate coordinate".
        name = str(undecoded or variable.encoding.get("grid_mapping", "")).partition(":")[0].strip()
        if name in held:
            return held[name]
        if undecoded:  # in the encoding alone it was decoded and dropped since, on purpose
            raise DataError(
                f"grid_mapping of '{variable.name}'",
                undecoded,
                'is not among the coordinates; open the file with decode_coords="all"',
            )
    return None


def require_metres(data: xr.DataArray | xr.Dataset, *names: str) -> None:
    """Refuse coordinates whose units are stated and are not metres."""
    for name in names:
        units = str(data[name].attrs.get("units", "m"))
        if units.lower() not in METRES:
            raise DataError(f"units of '{name}'", units, "must be metres")


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
