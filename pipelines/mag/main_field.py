"""The International Geomagnetic Reference Field: its generations, their dates, and the exact synthesis."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.errors import ParameterError
from pipelines.mag.field import Field, FloatArray
from pipelines.mag.harmonics import recurrence_table, synthesise

Generation = Literal[11, 12, 13, 14]
GENERATIONS: tuple[int, ...] = get_args(Generation)
LATEST: Generation = 14

Standing = Literal["definitive", "provisional", "predicted"]

LOWEST_HEIGHT = -12_000.0  # metres: deeper than any borehole; lower values are a unit or a sign error


@dataclass(frozen=True, eq=False)
class MainFieldModel:
    """One generation of the International Geomagnetic Reference Field.

    Attributes
    ----------
    generation : int
        11 to 14.
    epochs : ndarray
        Decimal years of the snapshots; between them every coefficient is linear in time. The last
        one is the end of the predicted secular variation.
    statuses : tuple of str
        ``DGRF`` (definitive), ``IGRF`` or ``SV`` (predicted by secular variation), one an epoch.
    degree : int
        Largest degree and order.
    gauss : ndarray
        Shape (epochs, terms, 2): g and h in nT, terms order by order as in `recurrence_table`.
    """

    generation: int
    epochs: FloatArray
    statuses: tuple[str, ...]
    degree: int
    gauss: FloatArray
    table: FloatArray
    intervals: FloatArray

    @property
    def span(self) -> tuple[float, float]:
        """First and last decimal year of validity, both included."""
        return float(self.epochs[0]), float(self.epochs[-1])

    def standing(self, year: float) -> Standing:
        """Tell how final the model is at a decimal *year*.

        ``definitive`` if both neighbouring epochs are (or the epoch itself, when *year* is one),
        ``predicted`` after the last epoch that was fitted to data, else ``provisional``.
        """
        after = int(np.searchsorted(self.epochs, year))
        around = (
            self.statuses[after : after + 1] if year in self.epochs else self.statuses[after - 1 : after + 1]
        )
        if "SV" in around:
            return "predicted"
        return "definitive" if set(around) == {"DGRF"} else "provisional"

    def require(self, years: FloatArray) -> None:
        """Refuse decimal years outside the span; NaN (no date) passes.

        Raises
        ------
        ParameterError
            Names the span and the generations that would do.
        """
        first, last = self.span
        outside = years[(years < first) | (years > last)]
        if outside.size == 0:
            return
        worst = float(outside.flat[0])
        others = [g for g in GENERATIONS if load(g).span[0] <= worst <= load(g).span[1]]
        advice = (
            f"generation {' or '.join(map(str, others))} covers it"
            if others
            else "no IGRF generation known here covers it"
        )
        raise ParameterError(
            "date", worst, f"is outside IGRF-{self.generation}, which covers {first} to {last}; {advice}"
        )


@cache
def load(generation: int = LATEST) -> MainFieldModel:
    """Read a generation's coefficients from the package (once).

    Raises
    ------
    ParameterError
        If the generation is not one of 11 to 14.
    """
    if generation not in GENERATIONS:
        raise ParameterError("generation", generation, f"must be one of {', '.join(map(str, GENERATIONS))}")
    text = (files("pipelines.mag") / "coefficients" / f"igrf{generation}.csv").read_text("ascii")
    head, statuses, *rows = (
        line.split(",") for line in text.splitlines() if line and not line.startswith("#")
    )
    epochs = np.array(head[2:], dtype=float)
    values = {(int(n), int(m)): np.array(row, dtype=float) for n, m, *row in rows}
    degree = max(n for n, _ in values)
    none = np.zeros(epochs.size)
    gauss = np.array(
        [
            [values[n, m], values[n, -m] if m else none]
            for m in range(degree + 1)
            for n in range(max(m, 1), degree + 1)
        ]
    ).transpose(2, 0, 1)
    rates = np.diff(gauss, axis=0) / np.diff(epochs)[:, None, None]
    intervals = np.concatenate([gauss[:-1], rates], axis=2)
    for shared in (epochs, gauss, intervals):
        shared.setflags(write=False)
    return MainFieldModel(
        generation, epochs, tuple(statuses[2:]), degree, gauss, recurrence_table(degree), intervals
    )


def igrf(
    date: Any,
    longitude: ArrayLike,
    latitude: ArrayLike,
    height: ArrayLike = 0.0,
    *,
    generation: int = LATEST,
) -> Field:
    """Compute the International Geomagnetic Reference Field.

    Parameters
    ----------
    date : date, datetime, str, number or array
        Moment of each point, or one for all: dates, ISO strings, datetime64 values (UTC) or decimal
        years. Every argument broadcasts against the others.
    longitude, latitude : array_like
        Geodetic degrees (WGS84); latitude within ±90. At a pole, north is the direction in which
        the meridian of the given longitude arrives.
    height : array_like
        Metres above the WGS84 ellipsoid.
    generation : int
        IGRF generation, 11 to 14.

    Returns
    -------
    Field
        East, north and up components in nT, with `intensity`, `inclination` and `declination`.
        NaN in, NaN out.

    Raises
    ------
    ParameterError
        If a date is outside the generation's span (the error names those that cover it), a latitude
        is beyond a pole, or a height lies deeper than 12 km.
    """
    model = load(generation)
    years = decimal_year(date)
    model.require(years)
    points = np.broadcast_arrays(
        np.asarray(latitude, dtype=float),
        np.asarray(longitude, dtype=float),
        np.asarray(height, dtype=float),
        years,
    )
    beyond = np.abs(points[0]) > 90.0
    if beyond.any():
        raise ParameterError(
            "latitude", float(points[0][beyond].flat[0]), "must be within -90 and 90 degrees"
        )
    deep = points[2] < LOWEST_HEIGHT
    if deep.any():
        raise ParameterError(
            "height", float(points[2][deep].flat[0]), "must be metres above the ellipsoid, not below -12,000"
        )
    lat, lon, high, year = (np.ascontiguousarray(values).ravel() for values in points)
    east, north, up = np.empty((3, lat.size))
    synthesise(
        lat, lon, high, year, model.epochs, model.intervals, model.table, model.degree, east, north, up
    )
    shape = points[0].shape
    return Field(east.reshape(shape), north.reshape(shape), up.reshape(shape))


def decimal_year(when: Any) -> FloatArray:
    """Return decimal years: the year plus the part of that calendar year that has passed (UTC).

    Parameters
    ----------
    when : date, datetime, str or number, or an array of them
        Dates are taken at midnight, naive datetimes as UTC, strings as ISO 8601; numbers are
        decimal years already. NaT gives NaN.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    if isinstance(when, datetime) and when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    array = np.asarray(when)
    if array.dtype.kind in "UO":
        try:
            array = array.astype("datetime64[us]")
        except (ValueError, TypeError) as error:
            raise ParameterError(
                "date",
                when,
                "must be a date, an ISO date such as 1990-07-01, datetime64 values or decimal years",
            ) from error
    if array.dtype.kind == "M":
        return _year_of(array)
    if array.dtype.kind not in "iuf":
        raise ParameterError("date", when, "must be a date, not a value of another kind")
    return array.astype(float)


def _year_of(times: NDArray[np.datetime64]) -> FloatArray:
    start = times.astype("datetime64[Y]")
    length = (start + 1).astype(times.dtype) - start.astype(times.dtype)
    passed = (times - start.astype(times.dtype)).astype(float) / length.astype(float)
    years = start.astype(np.int64) + 1970.0 + passed
    return np.where(np.isnat(times), np.nan, years)
