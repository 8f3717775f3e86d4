"""Assemble a report from what a survey and a result say about themselves.

Everything is found by the labels of the house (`pipelines.conventions`): variables with dimensions
``(northing, easting)`` are drawn, attributes are told, and what is not there is not mentioned.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from dask.base import compute

from pipelines.conventions import GRID_DIMS, geometry_of
from pipelines.formats.exporting import in_chunks
from quetzal.report.charts import SPECTRUM_NAMES, DepthSegment, draw_spectrum
from quetzal.report.facts import count, long_name, survey_facts
from quetzal.report.maps import SHEET, draw_lines, draw_map, draw_sheet
from quetzal.report.page import Choice, Fact, Picture, Product, Report, facts_of

# Grids that serve the others and tell a reader nothing by themselves.
SERVANTS = frozenset({"line_distance"})
# Units of what is chosen, since a choice holds a bare number.
CHOICE_UNITS = {
    "cell_size": " m",
    "max_distance": " m",
    "continuation_height": " m",
    "upward": " m",
    "depth": " m",
    "inclination": "°",
    "declination": "°",
    "minimum_inclination": "°",
}
# What each product is good for: a line for the reader who does not make these maps.
MEANING = {
    "total_field_anomaly": "Magnetic field after removal of the reference field.",
    "reduced_to_pole": "The anomaly as it would be under a vertical field: highs sit over their sources.",
    "derivative_upward": "Vertical gradient: sharpens shallow sources and separates neighbours.",
    "derivative_easting": "Gradient along easting: contacts that run north and south.",
    "derivative_northing": "Gradient along northing: contacts that run east and west.",
    "analytic_signal": "Length of the gradient: highest over edges and thin bodies, little moved by "
    "the direction of magnetisation.",
    "total_horizontal_derivative": "Length of the horizontal gradient: ridges follow vertical contacts.",
    "tilt_angle": "Angle of the gradient: strong and weak sources alike, zero near their edges.",
    "vertical_integral": "Integral along the vertical: brings out deep and broad sources.",
    "upward_continued": "The field seen from higher up: the regional part.",
    "band_passed": "The band of wavelengths that was asked for.",
}


def draw_pictures(
    result: xr.Dataset, folder: Path | str, *, title: str, survey: xr.Dataset | None = None
) -> tuple[Picture, ...]:
    """Draw everything *result* holds that can be drawn, into *folder*.

    Parameters
    ----------
    result : Dataset
        Grids, perhaps with a spectrum ``power`` over ``wavenumber``.
    folder : Path or str
        Existing folder; files are called after their variables.
    title : str
        Name of the survey, for the headings.
    survey : Dataset, optional
        The survey, for a map of its lines.

    Returns
    -------
    tuple of Picture
        The sheet of main products first (where there are at least two), then one map a grid, the
        flight lines, and the spectrum last.
    """
    folder = Path(folder)
    names = grid_names(result)
    pictures = []
    main = [name for name in SHEET if name in names]
    if len(main) > 1:
        file = draw_sheet(result, folder / "sheet.png", title=title, names=main)
        listed = ", ".join(long_name(result[name]).lower() for name in main)
        pictures.append(
            Picture(file, "Main products.", f"{listed.capitalize()}.", f"Maps of {title}: {listed}")
        )
    for name in names:
        label = long_name(result[name])
        file = draw_map(_told(result, name), folder / f"{name}.png", title=f"{title}: {label.lower()}")
        units = result[name].attrs.get("units", "")
        alt = f"Shaded colour map of {label.lower()}" + (f" in {units}" if units else "")
        pictures.append(Picture(file, f"{label}.", MEANING.get(name, ""), alt))
    if survey is not None:
        file = draw_lines(survey, folder / "lines.png", title=f"{title}: flight lines")
        pictures.append(
            Picture(file, "Flight lines.", "Where the field was measured.", "Map of the flight lines")
        )
    if any(name in result for name in SPECTRUM_NAMES):
        depths = depths_of(result)
        file = draw_spectrum(
            result, folder / "spectrum.png", title="Radially averaged spectrum", segments=depths
        )
        caption = "Straight parts tell depths of ensembles of sources; the flat end is noise."
        pictures.append(Picture(file, "Spectrum.", caption, "Graph of ln power against radial wavenumber"))
    return tuple(pictures)


def build_report(
    survey: xr.Dataset | None,
    result: xr.Dataset,
    *,
    title: str,
    pictures: Sequence[Picture] = (),
    quality: Mapping[str, object] | None = None,
    inputs: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Report:
    """Assemble the report of *result*, computed from *survey*.

    Parameters
    ----------
    survey : Dataset, optional
        The survey as imported.
    result : Dataset
        Grids and the attributes ``choices`` and ``quality`` (JSON lists of mappings with
        ``parameter``/``value``/``reason`` and ``quantity``/``value``/``units``), ``pipeline``,
        ``pipeline_version``, ``pipeline_parameters`` and ``history``; each may be missing.
    title : str
        Heading.
    pictures : sequence of Picture
        As `draw_pictures` gives them; a file called ``spectrum.png`` goes with the depths.
    quality : mapping, optional
        Further figures: label to value (timing, cross-validation).
    inputs : mapping, optional
        Name of each input to the identity it has in the catalogue.
    files : mapping, optional
        Name of a file that goes with the report to what it is.
    """
    spectra = [p for p in pictures if p.file.name == "spectrum.png"]
    return Report(
        title=title,
        summary=_summary(survey, result),
        survey=survey_facts(survey) if survey is not None else (),
        choices=_choices(result.attrs.get("choices")),
        pictures=tuple(p for p in pictures if p not in spectra),
        spectrum=spectra[0] if spectra else None,
        depths=depths_of(result),
        products=_products(result),
        quality=(*_quality(result.attrs), *facts_of(quality or {})),
        lineage=_lineage(result, inputs or {}),
        parameters=_pretty(result.attrs.get("pipeline_parameters")),
        history=tuple(line for line in str(result.attrs.get("history", "")).splitlines() if line.strip()),
        files=facts_of(files or {}),
    )


def grid_names(result: xr.Dataset) -> list[str]:
    """Names of the variables that are maps, the main ones first."""
    found = [str(n) for n, v in result.data_vars.items() if v.dims == GRID_DIMS and v.dtype.kind in "fiu"]
    return [n for n in SHEET if n in found] + [n for n in found if n not in SHEET and n not in SERVANTS]


def depths_of(result: xr.Dataset) -> tuple[DepthSegment, ...]:
    """Depths of the spectrum's straight parts, as `pipelines.mag.spectrum.radial_spectrum` gives them."""
    names = ("wavenumber_start", "wavenumber_stop", "depth", "depth_error")
    if not all(name in result and result[name].dims == ("segment",) for name in names):
        return ()
    rows = np.stack([np.asarray(result[name].values, dtype=float) for name in names], axis=1)
    return tuple(DepthSegment(*row) for row in rows.tolist() if np.isfinite(row).all())


def _summary(survey: xr.Dataset | None, result: xr.Dataset) -> str:
    names = grid_names(result)
    parts = []
    if survey is not None:
        date = survey.attrs.get("survey_date")
        flown = f" of {date}" if date else ""
        parts.append(f"A survey{flown} with {count(survey.sizes['point'])} points")
    if names:
        spacing = geometry_of(result[names[0]]).spacing
        cell = f"{max(spacing):g} m" if spacing[0] == spacing[1] else f"{spacing[0]:g} by {spacing[1]:g} m"
        parts.append(f"{len(names)} grid{'s' if len(names) > 1 else ''} with cells of {cell}")
    return ", ".join(parts) + "." if parts else ""


def _choices(text: Any) -> tuple[Choice, ...]:
    choices = []
    for entry in _entries(text):
        name, value, reason = (
            str(entry.get("parameter", "")),
            entry.get("value"),
            str(entry.get("reason", "")),
        )
        units = CHOICE_UNITS.get(name, "") if isinstance(value, int | float) else ""
        choices.append(Choice(_capital(name.replace("_", " ")), _value(value) + units, _capital(reason)))
    return tuple(choices)


def _quality(attrs: Mapping[Any, Any]) -> Iterable[Fact]:
    for entry in _entries(attrs.get("quality")):
        units = f" {entry['units']}" if entry.get("units") else ""
        yield Fact(str(entry.get("quantity", "")), f"{_value(entry.get('value'))}{units}")
    if "points_without_value" in attrs:
        yield Fact("Points left out for want of a value", str(attrs["points_without_value"]))


def _products(result: xr.Dataset) -> tuple[Product, ...]:
    """Figures over every cell, each grid read once, chunk by chunk."""
    names = grid_names(result)
    lazy = [in_chunks(result[name]) for name in names]
    figures = compute([(g.min(), g.mean(dtype=float), g.max(), g.isnull().mean()) for g in lazy])[0]
    return tuple(
        Product(
            long_name(result[name]), str(result[name].attrs.get("units", "")), *(float(v) for v in values)
        )
        for name, values in zip(names, figures, strict=True)
    )


def _lineage(result: xr.Dataset, inputs: Mapping[str, str]) -> tuple[Fact, ...]:
    attrs = result.attrs
    told = {"Pipeline": attrs.get("pipeline"), "Version": attrs.get("pipeline_version")}
    told |= {"Result": attrs.get("result_id"), "Fingerprint": attrs.get("fingerprint")}
    return facts_of({**told, **{f"Input: {name}": identity for name, identity in inputs.items()}})


def _told(result: xr.Dataset, name: str) -> xr.DataArray:
    """Return the grid with the dataset's lineage, where it has none of its own, for its caption."""
    keys = ("survey_date", "pipeline", "pipeline_version", "history")
    inherited = {key: result.attrs[key] for key in keys if key in result.attrs}
    return result[name].assign_attrs({**inherited, **result[name].attrs})


def _entries(text: Any) -> list[dict[str, Any]]:
    """Return a list of mappings from JSON text, or from such a list; anything else is nothing."""
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except ValueError:
            return []
    return [entry for entry in text if isinstance(entry, dict)] if isinstance(text, list) else []


def _pretty(text: Any) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text else ""
    except (TypeError, ValueError):
        return str(text)


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
