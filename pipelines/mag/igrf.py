"""The Earth's main field: at points, at a survey's centre, and along a whole survey.

- `igrf` is the exact synthesis at any date, position and height.
- `field_at` gives the one direction a filter needs, relative to true north and to grid north.
- `reference_field` gives the intensity at every point of a survey from a fitted patch, some ten
  times faster, and ``mag.igrf`` is the same as a registered pipeline.

Between the epochs of a generation every coefficient is linear in time; after the last epoch the
predicted secular variation holds for five years. A date outside that is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812  (the parameter is called date)
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field as Constraint
from pyproj import Transformer

from pipelines.conventions import parse_crs
from pipelines.errors import ParameterError
from pipelines.mag.main_field import (
    GENERATIONS,
    LATEST,
    Generation,
    MainFieldModel,
    Standing,
    decimal_year,
    igrf,
    load,
)
from pipelines.mag.survey_field import POINTS_PER_TASK, WGS84_3D, reference_field
from pipelines.registry import Cost, pipeline

__all__ = [
    "GENERATIONS",
    "LATEST",
    "Generation",
    "LocalField",
    "MainFieldModel",
    "add_reference_field",
    "decimal_year",
    "field_at",
    "igrf",
    "load",
    "reference_field",
]

GeoidHeight = Annotated[float, Constraint(ge=-150.0, le=150.0)]  # the geoid stays within -107 and 86 m


@dataclass(frozen=True, slots=True)
class LocalField:
    """The main field at one place and date, as filters and reports need it.

    Attributes
    ----------
    intensity : float
        nT.
    inclination : float
        Degrees, positive down.
    declination : float
        Degrees east of TRUE north: for reports and for geographic use.
    grid_declination : float
        Degrees east of GRID north (`declination` minus `grid_convergence`): for every filter and
        forward model on projected coordinates, reduction to the pole above all.
    grid_convergence : float
        Bearing of grid north: degrees east of true north.
    longitude, latitude : float
        The place, WGS84 degrees.
    standing : str
        ``definitive``, ``provisional`` or ``predicted``, see `MainFieldModel.standing`.
    """

    intensity: float
    inclination: float
    declination: float
    grid_declination: float
    grid_convergence: float
    longitude: float
    latitude: float
    standing: Standing


def field_at(
    crs: Any,
    easting: float,
    northing: float,
    date: Any,
    *,
    height: float = 0.0,
    generation: int = LATEST,
) -> LocalField:
    """Compute the main field at a place given in projected coordinates.

    Declination is an angle from true north, and the northing axis of a projection is not true
    north: at the edge of a UTM zone in middle latitudes the two differ by about 2 degrees. Use
    `LocalField.grid_declination` wherever angles refer to the grid.

    Parameters
    ----------
    crs : Any
        Anything pyproj understands.
    easting, northing : float
        The place in that CRS, metres; a survey's centre for instance.
    date : date, datetime, str or number
        Moment, as in `igrf`.
    height : float
        Metres above the ellipsoid.
    generation : int
        IGRF generation, 11 to 14.

    Raises
    ------
    ParameterError
        As `igrf`, or if the place is outside the projection.
    """
    years = decimal_year(date)
    if years.ndim or not np.isfinite(years):
        raise ParameterError("date", date, "must be one date")
    to_geographic = Transformer.from_crs(parse_crs(crs), WGS84_3D, always_xy=True)
    longitude, latitude = to_geographic.transform(easting, northing)
    if not np.isfinite([longitude, latitude]).all():
        raise ParameterError(
            "easting, northing", (easting, northing), "must lie within the CRS's area of use"
        )
    # A short step along the meridian, seen on the grid: its bearing there is minus the convergence.
    steps = np.clip(latitude + np.array([-1e-4, 1e-4]), -90.0, 90.0)
    (x_0, x_1), (y_0, y_1) = to_geographic.transform([longitude] * 2, steps, direction="INVERSE")
    convergence = -float(np.degrees(np.arctan2(x_1 - x_0, y_1 - y_0)))
    field = igrf(years, longitude, latitude, height, generation=generation)
    declination = float(field.declination)
    return LocalField(
        intensity=float(field.intensity),
        inclination=float(field.inclination),
        declination=declination,
        grid_declination=(declination - convergence + 180.0) % 360.0 - 180.0,
        grid_convergence=convergence,
        longitude=float(longitude),
        latitude=float(latitude),
        standing=load(generation).standing(float(years)),
    )


def _cost(datasets: Mapping[str, Any], parameters: Any) -> Cost:
    points = next(iter(datasets.values())).sizes.get("point", 0)
    return Cost(cpu_seconds=1.0 + points / 10e6, memory_bytes=2e8 + 48.0 * min(points, 16 * POINTS_PER_TASK))


@pipeline("mag.igrf", version="1", cost=_cost)
def add_reference_field(
    survey: xr.Dataset,
    *,
    date: Date | None = None,
    generation: Generation = LATEST,
    geoid_height: GeoidHeight = 0.0,
) -> xr.Dataset:
    """Give a survey its reference field, the intensity of the IGRF at every point.

    Parameters
    ----------
    survey : Dataset
        See `reference_field`.
    date : date, optional
        One date for all points instead of their own.
    generation : int
        IGRF generation, 11 to 14.
    geoid_height : float
        Metres of the geoid above the ellipsoid at the survey.

    Returns
    -------
    Dataset
        The survey with `reference_field` (nT) on `point`, in place of one that it may have had.
    """
    channel = reference_field(survey, date=date, generation=generation, geoid_height=geoid_height)
    return survey.assign(reference_field=channel.variable)
