"""`mag.process`: a survey's line data to the maps that an interpreter asks for first.

Grid, reduce to the pole, derive: the steps are the library's own functions, and everything they do
can be done by hand in a notebook. What this module adds is the choices: each default is taken from
the survey, and stated with its reason in the result's attribute ``choices``.

The field is filtered *before* the gaps are masked, on the equivalent layer's own continuation
into the gaps and past the survey's edge; so no filter sees an artificial edge.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_args

import numpy as np
import xarray as xr
from pydantic import Field

from pipelines.conventions import ATTRIBUTES, crs_of
from pipelines.errors import DataError, ParameterError
from pipelines.mag import products
from pipelines.mag.choices import ATTRIBUTE, Choice, from_attributes, to_attribute
from pipelines.mag.gridding import grid_cost, grid_survey
from pipelines.mag.igrf import field_at, reference_field
from pipelines.mag.kernels import ReductionToPole
from pipelines.mag.lines import line_spacing
from pipelines.mag.main_field import Generation
from pipelines.mag.spectral import Product, apply_filters
from pipelines.mag.spectrum import radial_spectrum
from pipelines.registry import Cost, Labelled, pipeline

GridName = Literal[
    "reduced_to_pole",
    "derivative_upward",
    "total_horizontal_derivative",
    "analytic_signal",
    "tilt_angle",
    "upward_continued",
    "vertical_integral",
]
ALL: tuple[GridName, ...] = get_args(GridName)
ANOMALY, RAW = "total_field_anomaly", "total_field"
MARGIN = 32  # cells gridded past the survey's edge, so that filters see the field go on
NEEDS_POLE = frozenset(ALL) - {"analytic_signal"}

Positive = Annotated[float, Field(gt=0)]


def process_cost(datasets: Mapping[str, Labelled], parameters: Any) -> Cost:
    """Estimate the chain's cost: the gridder's, plus a few percent for the filters."""
    gridding = grid_cost(datasets, parameters)
    return Cost(1.2 * gridding.cpu_seconds, 1.2 * gridding.memory_bytes)


@pipeline("mag.process", version="1", cost=process_cost)
def process(
    survey: xr.Dataset,
    *,
    channel: str | None = None,
    date: datetime.date | None = None,
    generation: Generation = 14,
    inclination: Annotated[float | None, Field(ge=-90, le=90)] = None,
    declination: Annotated[float | None, Field(ge=-360, le=360)] = None,
    minimum_inclination: Annotated[float, Field(ge=0, le=90)] = 20.0,
    cell_size: Positive | None = None,
    gridder: Literal["harmonic", "minimum_curvature"] = "harmonic",
    max_distance: Positive | None = None,
    continuation_height: Positive | None = None,
    grids: tuple[GridName, ...] = ALL,
) -> xr.Dataset:
    """Grid a magnetic survey, reduce it to the pole and derive the usual maps.

    Parameters
    ----------
    survey : Dataset
        Line data of the house; lazily indexed ones stay unread until the result is computed, but
        for the positions.
    channel : str, optional
        Channel to grid. By default ``total_field_anomaly``, else ``total_field`` minus the IGRF.
    date : date, optional
        Date of the survey; by default its ``time`` channel's median or its ``survey_date``.
    generation : {11, 12, 13, 14}
        IGRF generation for the field's direction and for the reference field.
    inclination, declination : float, optional
        Direction of the field in degrees, declination from *grid* north; by default that of the
        IGRF at the survey's centre. Both or neither.
    minimum_inclination : float
        Low-latitude damping of the reduction to the pole, degrees; see `filters.reduce_to_pole`.
    cell_size : float, optional
        Metres; by default from the line spacing.
    gridder : {"harmonic", "minimum_curvature"}
        See `gridding.grid_survey`.
    max_distance : float, optional
        Cells farther than this from the data hold no data, metres; by default from the line
        spacing.
    continuation_height : float, optional
        Metres of the upward continuation; by default the line spacing.
    grids : tuple of str
        Which maps to derive.

    Returns
    -------
    Dataset
        ``total_field_anomaly`` (nT), ``line_distance`` (m), the *grids* and the radially averaged
        spectrum ``power`` (`spectrum.radial_spectrum`); how the gridder's fit went is in ``fit_misfit``,
        ``fit_iterations`` and ``fit_converged``. Derivatives, tilt, continuation and
        integral are those of the field reduced to the pole; the analytic signal is that of the
        anomaly itself.

    Raises
    ------
    DataError
        If the survey has no channel to grid, or no CRS where the field's direction is needed.
    ParameterError
        If no date is known, or one angle of the field's direction is given without the other.
    """
    choices: list[Choice] = []
    survey, name = _with_anomaly(survey, channel, date, generation, choices)
    gridded = grid_survey.function(
        survey,
        channel=name,
        cell_size=cell_size,
        method=gridder,
        max_distance=max_distance,
        mask=False,
        margin=MARGIN,
    )
    choices += from_attributes(gridded.attrs)
    tmi, distance = gridded[name].rename(ANOMALY), gridded["line_distance"]
    tmi.attrs.update(ATTRIBUTES[ANOMALY])

    pole = None
    if NEEDS_POLE & set(grids):
        angles = _direction(survey, (inclination, declination), date, generation, choices)
        pole = products.reduction_to_pole(*angles, minimum_inclination=minimum_inclination)
    height = continuation_height
    if "upward_continued" in grids and height is None:
        height = float(round(line_spacing(survey).spacing))
        choices.append(Choice("continuation_height", height, "the line spacing: what remains is regional"))
    derived = apply_filters(tmi, [_product(grid, pole, height) for grid in grids]) if grids else xr.Dataset()

    inside = _inside(distance, gridded.attrs["max_distance"])
    maps = {ANOMALY: tmi, **{str(k): v for k, v in derived.items()}}
    masked = {k: _crop(v.where(inside)).assign_attrs(v.attrs) for k, v in maps.items()}
    for key, value in masked.items():
        value.encoding.update(maps[key].encoding)
    told = {str(k): v for k, v in gridded.data_vars.items() if str(k).startswith("fit_")}
    result = xr.Dataset({**masked, "line_distance": _crop(distance), **told})
    result = result.merge(radial_spectrum.function(_crop(tmi)))
    kept = {k: v for k, v in survey.attrs.items() if k not in ("history", ATTRIBUTE)}
    return result.assign_attrs({**kept, **gridded.attrs, ATTRIBUTE: to_attribute(choices)})


def _with_anomaly(
    survey: xr.Dataset,
    channel: str | None,
    date: datetime.date | None,
    generation: Generation,
    choices: list[Choice],
) -> tuple[xr.Dataset, str]:
    """Return the survey with a channel to grid, and that channel's name."""
    if channel is not None:
        if channel not in survey.data_vars:
            raise ParameterError("channel", channel, f"is not in the survey; it has: {_channels(survey)}")
        return survey, channel
    if ANOMALY in survey.data_vars:
        choices.append(Choice("channel", ANOMALY, "the survey brings its total-field anomaly"))
        return survey, ANOMALY
    if RAW not in survey.data_vars:
        raise DataError(
            "survey",
            _channels(survey),
            f"must have the channel {ANOMALY} or {RAW}; or name a channel to grid",
        )
    main = reference_field(survey, date=date, generation=generation)
    choices.append(
        Choice("channel", ANOMALY, f"{RAW} minus IGRF-{generation} at each point's date and height")
    )
    return survey.assign({ANOMALY: survey[RAW] - main}), ANOMALY


def _channels(survey: xr.Dataset) -> str:
    return ", ".join(str(k) for k, v in survey.data_vars.items() if v.dims == ("point",)) or "none"


def _direction(
    survey: xr.Dataset,
    given: tuple[float | None, float | None],
    date: datetime.date | None,
    generation: Generation,
    choices: list[Choice],
) -> tuple[float, float]:
    """Return inclination and declination (from grid north) of the field over the survey."""
    inclination, declination = given
    if inclination is not None and declination is not None:
        return inclination, declination
    if (inclination is None) != (declination is None):
        missing = "inclination" if inclination is None else "declination"
        raise ParameterError(missing, None, "must be given too: the field's direction has two angles")
    crs = crs_of(survey)
    if crs is None:
        raise DataError(
            "crs", None, "is needed for the field's direction; give inclination and declination instead"
        )
    when, why = _date(survey, date)
    centre = {axis: float(survey[axis].mean()) for axis in ("easting", "northing")}
    height = float(survey["upward"].mean()) if "upward" in survey.variables else 0.0
    found = field_at(crs, centre["easting"], centre["northing"], when, height=height, generation=generation)
    reason = f"IGRF-{generation} at the survey's centre on {when}, {why}"
    choices.append(Choice("inclination", round(found.inclination, 3), reason))
    choices.append(
        Choice(
            "declination",
            round(found.grid_declination, 3),
            f"{reason}; from grid north, {found.declination:.3f}° from true north",
        )
    )
    return found.inclination, found.grid_declination


def _date(survey: xr.Dataset, given: datetime.date | None) -> tuple[datetime.date, str]:
    if given is not None:
        return given, "the date given"
    if "time" in survey.variables:
        times = survey["time"].values
        known = times[~np.isnat(times)]
        if known.size:
            return known[known.size // 2].astype("datetime64[D]").item(), "from its time channel"
    if text := survey.attrs.get("survey_date"):
        return datetime.date.fromisoformat(str(text)), "the survey's stated date"
    raise ParameterError(
        "date", None, "is not known: the survey carries none; give it, or inclination and declination, "
        "or ask for grids without reduction to the pole (analytic_signal)"
    )  # fmt: skip


def _product(name: GridName, pole: ReductionToPole | None, height: float | None) -> Product:
    """Build a map's product, behind the reduction to the pole where it belongs."""
    if name == "reduced_to_pole":
        assert pole is not None
        return Product(name, (pole,), long_name="Total-field anomaly reduced to the pole")
    if name == "analytic_signal":
        return products.analytic_signal()
    builders: dict[str, Callable[[], Product]] = {
        "derivative_upward": products.derivative_upward,
        "total_horizontal_derivative": products.total_horizontal_derivative,
        "tilt_angle": products.tilt_angle,
        "vertical_integral": products.vertical_integral,
        "upward_continued": lambda: products.upward_continued(height or 0.0),
    }
    assert pole is not None
    product = products.after(pole, builders[name]())
    return dataclasses.replace(product, long_name=f"{product.long_name}, reduced to the pole")


def _inside(distance: xr.DataArray, limit: float) -> xr.DataArray:
    return distance <= limit


def _crop(grid: xr.DataArray) -> xr.DataArray:
    return grid.isel(northing=slice(MARGIN, -MARGIN), easting=slice(MARGIN, -MARGIN))
