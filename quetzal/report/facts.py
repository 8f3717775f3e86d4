"""What a survey says of itself: the facts at the head of a report."""

import numpy as np
import xarray as xr

from pipelines.conventions import crs_of
from pipelines.errors import DataError
from pipelines.mag.lines import line_spacing
from quetzal.report.page import Fact, facts_of

THIN = "\N{THIN SPACE}"
# Attributes of a survey that are told as they are, with the label they get.
TOLD = {
    "survey_date": "Date of the survey",
    "source": "Source",
    "source_file": "File",
    "sensor": "Sensor",
    "instrument": "Instrument",
    "operator": "Operator",
    "licence": "Licence",
    "license": "Licence",
    "citation": "Cite as",
}


def survey_facts(survey: xr.Dataset) -> tuple[Fact, ...]:
    """Tell where, when and how densely *survey* was measured, as far as it says."""
    x, y = survey["easting"].values, survey["northing"].values
    facts: dict[str, object] = {"Points": count(x.size)}
    if "line_type" in survey:
        ties = int((survey["line_type"].values.astype(str) == "tie").sum())
        tied = f", {ties} of them tie lines" if ties else ""
        facts["Lines"] = f"{count(survey.sizes['line'])}{tied}"
    facts |= _line_facts(survey)
    if x.size:
        width, height = np.ptp(x) / 1000, np.ptp(y) / 1000
        facts["Extent"] = (
            f"{width:.1f} km by {height:.1f} km: easting {_whole(x.min())} to {_whole(x.max())} m, "
            f"northing {_whole(y.min())} to {_whole(y.max())} m"
        )
    crs = crs_of(survey)
    if crs is not None:
        code = f" (EPSG:{crs.to_epsg()})" if crs.to_epsg() else ""
        facts["Coordinates"] = f"{crs.name}{code}"
    for name, label in (("upward", "Height of the sensor"), ("height", "Height above ground")):
        if name in survey.variables and np.isfinite(survey[name].values).any():
            facts[label] = _range(survey[name].values, "m")
    for name in ("total_field_anomaly", "total_field"):
        if name in survey and np.isfinite(survey[name].values).any():
            facts[long_name(survey[name])] = _range(survey[name].values, "nT")
    facts |= {label: survey.attrs.get(name) for name, label in TOLD.items() if survey.attrs.get(name)}
    return facts_of(facts)


def _line_facts(survey: xr.Dataset) -> dict[str, object]:
    try:
        lines = line_spacing(survey)
    except DataError:
        return {}
    facts: dict[str, object] = {"Flown": f"{count(round(lines.length / 1000))} line-kilometres"}
    if np.isfinite(lines.spacing):
        facts["Line spacing"] = f"{lines.spacing:.0f} m, lines run {lines.azimuth:.0f}° from grid north"
    if np.isfinite(lines.tie_spacing):
        facts["Tie spacing"] = f"{count(round(lines.tie_spacing))} m"
    if np.isfinite(lines.sampling):
        facts["Sampling along lines"] = f"{lines.sampling:.3g} m"
    return facts


def long_name(grid: xr.DataArray) -> str:
    """Return the long name of *grid*, else its name in words."""
    return str(grid.attrs.get("long_name") or str(grid.name).replace("_", " ").capitalize())


def count(number: int) -> str:
    """Write a count; thousands are grouped from five digits on."""
    return f"{number:,}".replace(",", THIN) if number >= 10_000 else str(number)


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", THIN).replace("-", "\N{MINUS SIGN}")


def _range(values: np.ndarray, units: str) -> str:
    low, middle, high = np.nanquantile(values, [0, 0.5, 1])
    return f"{_whole(low)} to {_whole(high)} {units}, median {_whole(middle)} {units}"
