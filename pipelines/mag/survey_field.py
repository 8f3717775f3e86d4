"""The reference field along a whole survey, from a patch fitted to the exact field."""

from collections.abc import Mapping
from datetime import date as Date  # noqa: N812  (the parameter is called date)
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer

from pipelines.conventions import ATTRIBUTES, crs_of, require_metres, require_projected
from pipelines.errors import DataError
from pipelines.mag.field import FloatArray
from pipelines.mag.main_field import LATEST, decimal_year, igrf, load
from pipelines.mag.patch import Patch, fit
from pipelines.mag.survey_dates import moment_of, own_times, stated_moment

WGS84_3D = "EPSG:4979"
PATCH_TOLERANCE = 1e-3  # nT, a tenth of the best magnetometer's noise
POINTS_PER_TASK = 1 << 20


def reference_field(
    survey: xr.Dataset, *, date: Date | str | None = None, generation: int = LATEST, geoid_height: float = 0.0
) -> xr.DataArray:
    """Compute the intensity of the main field at every point of a survey.

    A polynomial patch is fitted to the exact field over the survey's extent, within 0.001 nT (the
    error found is in the attribute `patch_error`); it is then evaluated at the points.

    Parameters
    ----------
    survey : Dataset
        Survey with projected `easting` and `northing` (and `upward`) on `point`, and a CRS.
    date : date or str, optional
        One date for all points. By default each point's own `time`, or else (no time is known) the
        attribute `survey_date`; a year or month alone stands for its middle.
    generation : int
        IGRF generation, 11 to 14.
    geoid_height : float
        Metres of the geoid above the ellipsoid, added to `upward`, which is usually a height above
        the sea. Leaving it out costs about 1 nT for 40 m (the field falls by 0.02 to 0.03 nT a metre).

    Returns
    -------
    DataArray
        `reference_field` in nT on `point`: NumPy if the survey is in memory, else lazy. A survey
        without `upward` is taken at the geoid. A point without a time or a height gets NaN.

    Raises
    ------
    DataError
        If the survey lacks positions, a CRS or a date, or leaves the projection's area.
    ParameterError
        If a date is outside the generation's span.
    """
    crs = crs_of(survey)
    for name in ("easting", "northing"):
        if name not in survey.variables:
            raise DataError(f"coordinate '{name}'", None, "is missing; the survey needs projected positions")
    if crs is None:
        raise DataError("crs", None, "is unknown; give the survey one with pipelines.conventions.assign_crs")
    require_projected(crs)
    require_metres(survey, *(n for n in ("easting", "northing", "upward") if n in survey.variables))

    names = [n for n in ("easting", "northing", "upward", "time") if n in survey.variables]
    columns = _lazily(survey[names].reset_coords()[names])
    if columns.sizes.get("point", 0) == 0:
        return _labelled(xr.zeros_like(columns["easting"], dtype=float), survey, {})
    moments, dated_by = _moments(survey, columns, date)
    upward = columns["upward"] if "upward" in columns else xr.DataArray(0.0)
    heights = upward + geoid_height

    ranges = xr.Dataset({"e": columns["easting"], "n": columns["northing"], "u": heights, "t": moments})
    ends = xr.concat([ranges.min(), ranges.max()], dim="end").compute()
    extents = tuple((float(ends[name][0]), float(ends[name][1])) for name in "enu")
    span = ends["t"].values
    if not (np.isfinite(extents).all() and np.isfinite(span).all()):
        raise DataError("survey", "no finite values", "in its positions, heights or times")
    model = load(generation)
    first_and_last = decimal_year(_from_seconds(span))
    model.require(first_and_last)

    to_geographic = Transformer.from_crs(crs, WGS84_3D, always_xy=True)

    def exact(easting: FloatArray, northing: FloatArray, height: FloatArray, time: FloatArray) -> FloatArray:
        longitude, latitude = to_geographic.transform(easting, northing)
        if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
            raise DataError(
                "survey", f"extent {extents[:2]}", f"leaves the area of {crs.name}; check its CRS"
            )
        return igrf(_from_seconds(time), longitude, latitude, height, generation=generation).intensity

    patch = fit(exact, (extents[0], extents[1], extents[2]), _smooth_intervals(span), PATCH_TOLERANCE)
    values = xr.apply_ufunc(
        _evaluate,
        columns["easting"],
        columns["northing"],
        heights,
        moments,
        kwargs={"patch": patch},
        dask="parallelized",
        output_dtypes=[float],
    )
    standings = sorted({model.standing(float(year)) for year in first_and_last})
    facts = {
        "model": f"IGRF-{generation}",
        "standing": ", ".join(standings),
        "dates": " to ".join(sorted({str(t)[:10] for t in _from_seconds(span)})) + f" ({dated_by})",
        "geoid_height": float(geoid_height),
        "patch_error": patch.error,
    }
    return _labelled(values, survey, facts)


def _evaluate(
    easting: FloatArray, northing: FloatArray, height: FloatArray, moment: FloatArray, *, patch: Patch
) -> FloatArray:
    return patch(easting, northing, np.atleast_1d(height), np.atleast_1d(moment))


def _moments(survey: xr.Dataset, columns: xr.Dataset, date: Any) -> tuple[xr.DataArray, str]:
    """Seconds since 1970 at each point, or one for all, and in words where the dates come from."""
    if date is not None:
        return xr.DataArray(_seconds(moment_of(date))), "given"
    times = own_times(columns)
    if times is not None:
        seconds = xr.apply_ufunc(_seconds, times, dask="parallelized", output_dtypes=[float])
        return seconds, "each point's own time"
    stated = stated_moment(survey)
    if stated is not None:
        return xr.DataArray(_seconds(stated)), "survey_date"
    raise DataError(
        "date",
        None,
        "is unknown; pass date=..., or give the survey a 'time' on its points or an attribute "
        "'survey_date' such as 1990-07-01",
    )


def _smooth_intervals(span: FloatArray) -> FloatArray:
    """First and last moment in seconds, and between them every New Year's Day.

    The epochs are such days, and the length of the year, by which decimal years go, changes there.
    """
    first, last = _from_seconds(span).astype("datetime64[Y]")
    years = np.arange(first + 1, last + 1).astype("datetime64[s]").astype(float)
    inner = years[(years > span[0]) & (years < span[1])]
    return np.concatenate([span[:1], inner, span[1:]])


def _seconds(times: NDArray[np.datetime64] | np.datetime64) -> FloatArray:
    """Seconds since 1970, NaN for NaT."""
    seconds = times.astype("datetime64[us]").astype(np.int64) * 1e-6
    return np.where(np.isnat(times), np.nan, seconds)


def _from_seconds(seconds: FloatArray) -> NDArray[np.datetime64]:
    return np.round(seconds * 1e6).astype(np.int64).astype("datetime64[us]")


def _lazily(data: xr.Dataset) -> xr.Dataset:
    """Chunk what is neither in memory nor chunked yet (opened with ``chunks=None``)."""
    # xarray has no public way to ask; a wrong answer would only load or chunk needlessly.
    if any(not v.variable._in_memory and v.chunks is None for v in data.data_vars.values()):
        return data.chunk({"point": POINTS_PER_TASK})
    return data


def _labelled(values: xr.DataArray, survey: xr.Dataset, facts: Mapping[str, Any]) -> xr.DataArray:
    coordinates = {n: c for n, c in survey.coords.items() if set(c.dims) <= {"point"}}
    out = values.rename("reference_field").assign_coords(coordinates)
    out.attrs = {**ATTRIBUTES["reference_field"], **facts}
    out.encoding["grid_mapping"] = "spatial_ref"
    return out
