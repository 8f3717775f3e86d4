"""Maps as PNG: one grid, the flight lines, and a sheet of the main products."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from pipelines.conventions import crs_of, geometry_of
from pipelines.errors import DataError
from quetzal.report.colours import Scale, Stretch, Style, stretch_of, style_of
from quetzal.report.flight import LINE_COLOURS, add_lines
from quetzal.report.layout import (
    INK,
    LOW,
    PAPER,
    QUIET,
    Extent,
    Sheet,
    add_colour_bar,
    add_foot,
    add_north_arrow,
    fill_colour_bar,
    label_coordinates,
    open_sheet,
    save,
    wrapped,
)
from quetzal.report.shade import picture, reduce_to_pixels

DPI = 150
PIXELS_PER_INCH_OF_MAP = 6.6
SHEET = (
    "total_field_anomaly",
    "reduced_to_pole",
    "derivative_upward",
    "analytic_signal",
    "tilt_angle",
    "total_horizontal_derivative",
)
Marker = tuple[float, float, str]


def draw_map(
    grid: xr.DataArray,
    path: Path | str,
    *,
    title: str,
    colour_map: str | None = None,
    hillshade: bool = True,
    stretch: Scale | Stretch | Literal["auto"] = "auto",
    lines: xr.Dataset | None = None,
    markers: Sequence[Marker] = (),
    caption: str | None = None,
    dpi: int = DPI,
) -> Path:
    """Draw one grid as a map sheet.

    Parameters
    ----------
    grid : DataArray
        Grid ``(northing, easting)`` of any backing; averaged to about the pixels drawn first.
    path : Path or str
        PNG to write.
    title : str
        Heading.
    colour_map : str, optional
        A map of `quetzal.report.colours` or of matplotlib; by default what suits the variable.
    hillshade : bool
        Whether to light the surface from the north-west.
    stretch : str or Stretch
        ``quantile`` (histogram-equalised over the whole grid), ``symmetric``, ``linear``, a
        `Stretch` made before (to give several maps the same colours), or ``auto``: what suits the
        variable.
    lines : Dataset, optional
        Survey whose flight lines are drawn thinly over the map.
    markers : sequence of (easting, northing, label)
        Places to mark [m].
    caption : str, optional
        Text at the foot; by default date and pipeline from the grid's attributes.
    dpi : int
        Pixels an inch.

    Returns
    -------
    Path
        The PNG.

    Raises
    ------
    DataError
        If the grid breaks the conventions.
    ParameterError
        If it has no finite cell, or a colour map or stretch is unknown.
    """
    sheet = _compose_map(grid, title, colour_map, hillshade, stretch, lines, markers, caption, dpi)
    return save(sheet.figure, path, dpi)


def _compose_map(
    grid: xr.DataArray,
    title: str,
    colour_map: str | None,
    hillshade: bool,
    stretch: Scale | Stretch | Literal["auto"],
    lines: xr.Dataset | None,
    markers: Sequence[Marker],
    caption: str | None,
    dpi: int,
) -> Sheet:
    small, extent = _prepared(grid, dpi)
    style = _style(grid, colour_map, stretch)
    mapping = stretch if isinstance(stretch, Stretch) else stretch_of(small.values, style.scale, style.limits)
    cell = max(geometry_of(grid).spacing)
    subtitle = f"{_long_name(grid)}, {cell:g} m cells"
    sheet = open_sheet(extent, title, subtitle)
    _paint(sheet.axes, small, extent, mapping, style, hillshade)
    if lines is not None:
        add_lines(sheet.axes, lines, width=0.3, colours=dict.fromkeys(LINE_COLOURS, INK), alpha=0.45)
    _add_markers(sheet.axes, markers)
    add_colour_bar(sheet, mapping, style.colour_map, str(grid.attrs.get("units", "")))
    _finish(sheet, extent, grid, caption if caption is not None else describe(grid, hillshade, style.scale))
    return sheet


def draw_lines(survey: xr.Dataset, path: Path | str, *, title: str, dpi: int = DPI) -> Path:
    """Draw the flight lines of *survey*: where the aircraft flew, lines and ties apart."""
    sheet = _compose_lines(survey, title)
    return save(sheet.figure, path, dpi)


def _compose_lines(survey: xr.Dataset, title: str) -> Sheet:
    x, y = survey["easting"].values, survey["northing"].values
    if x.size == 0:
        raise DataError("point", 0, "must hold points; a map of nothing cannot be drawn")
    outline = Extent(float(x.min()), float(x.max()), float(y.min()), float(y.max())).padded(0.03)
    kinds = survey["line_type"].values.astype(str)
    counts = {kind: int((kinds == kind).sum()) for kind in LINE_COLOURS}
    total = f"{x.size:,} points on {survey.sizes['line']:,} lines".replace(",", "\N{THIN SPACE}")
    sheet = open_sheet(outline, title, total)
    add_lines(sheet.axes, survey, width=0.5, colours=LINE_COLOURS, alpha=0.9)
    left, bottom, width, height = sheet.frame
    names = {"line": "flight line", "tie": "tie line"}
    shown = [(names[k] + ("s" if n != 1 else ""), LINE_COLOURS[k], n) for k, n in counts.items() if n]
    for row, (label, colour, count) in enumerate(shown):
        y_text = bottom + height - (0.1 if height < LOW else 0.95) - 0.42 * row
        key = sheet.add_axes(left + width + 0.16, y_text, 0.24, 0.02)
        key.set_axis_off()
        key.set(xlim=(0, 1), ylim=(0, 1))
        key.add_line(Line2D([0, 1], [0.5, 0.5], color=colour, lw=1.6))
        sheet.text(left + width + 0.16, y_text - 0.05, f"{count} {label}", size=7.5, color=INK, va="top")
    _finish(sheet, outline, survey, describe(survey))
    return sheet


def draw_sheet(
    grids: xr.Dataset | Mapping[str, xr.DataArray],
    path: Path | str,
    *,
    title: str,
    names: Sequence[str] = SHEET,
    dpi: int = DPI,
) -> Path:
    """Draw several products side by side, three in a row; those that do not exist are left out."""
    found = [name for name in names if name in grids]
    if not found:
        raise DataError("grids", list(map(str, grids)), f"must hold at least one of {', '.join(names)}")
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    _, extent = _prepared(grids[found[0]], 10)
    width = 3.0
    height = float(np.clip(width * extent.height / extent.width, 1.2, 4.5))
    width = height * extent.width / extent.height
    cell = (width + 1.15, height + 0.62)
    size = (columns * cell[0] + 0.25, rows * cell[1] + 0.75)
    figure = Figure(figsize=size, facecolor=PAPER)
    FigureCanvasAgg(figure)
    sheet = Sheet(figure, figure.add_axes((0, 0, 0, 0), visible=False), size, (0, 0, 0, 0))
    heading = wrapped(title, 13, size[0] - 0.6, "bold")[0]
    sheet.text(0.45, size[1] - 0.2, heading, size=13, weight="bold", color=INK, va="top")
    for number, name in enumerate(found):
        row, column = divmod(number, columns)
        left, bottom = 0.45 + column * cell[0], size[1] - 0.37 - (row + 1) * cell[1] + 0.3
        small, extent = _prepared(grids[name], round(dpi * 0.55))
        style = style_of(name)
        mapping = stretch_of(small.values, style.scale, style.limits)
        axes = sheet.add_axes(left, bottom, width, height)
        _paint(axes, small, extent, mapping, style, True)
        label_coordinates(axes, extent, size=6, names=False)
        sheet.text(left, bottom + height + 0.06, _long_name(grids[name]), size=8.5, color=INK, va="bottom")
        bar = sheet.add_axes(left + width + 0.1, bottom, 0.1, 0.86 * height)
        fill_colour_bar(bar, mapping, style.colour_map, mapping.ticks(5), size=6)
        bar.set_title(
            str(grids[name].attrs.get("units", "")),
            size=6.5,
            color=QUIET,
            loc="left",
            pad=3,
            parse_math=False,
        )
    crs = crs_of(grids[found[0]])
    told = grids if isinstance(grids, xr.Dataset) else grids[found[0]]
    foot = "Coordinates in " + ("km" if max(extent.width, extent.height) >= 4000 else "m")
    foot += f", {crs.name}" if crs is not None else ", local"
    sheet.text(0.45, 0.14, f"{foot}. {describe(told)}", size=7, color=QUIET, va="bottom")
    return save(figure, path, dpi)


def describe(data: xr.DataArray | xr.Dataset, hillshade: bool = False, scale: str = "") -> str:
    """Return the caption that *data*'s attributes and the way it is drawn make."""
    sentences = []
    if date := data.attrs.get("survey_date"):
        sentences.append(f"Survey of {date}")
    stamp = str(data.attrs.get("history", "")).strip().rpartition("\n")[2][:10]
    made = f" on {stamp}" if stamp[:4].isdigit() else ""
    if pipeline := data.attrs.get("pipeline"):
        sentences.append(f"Computed by {pipeline} {data.attrs.get('pipeline_version', '')}".strip() + made)
    colours = {"quantile": "Equal-area colours", "symmetric": "Colours symmetric about zero"}.get(scale, "")
    drawn = ", ".join(part for part in (colours, "light from the north-west" if hillshade else "") if part)
    if drawn:
        sentences.append(drawn[0].upper() + drawn[1:])
    return " ".join(f"{sentence}." for sentence in sentences)


def _prepared(grid: xr.DataArray, dpi: int) -> tuple[xr.DataArray, Extent]:
    """Reduce the grid to the pixels drawn and find its outline."""
    geometry_of(grid)
    small = reduce_to_pixels(grid, round(dpi * PIXELS_PER_INCH_OF_MAP))
    geometry = geometry_of(small)
    dy, dx = geometry.spacing
    return small, Extent(
        geometry.easting[0] - dx / 2,
        geometry.easting[-1] + dx / 2,
        geometry.northing[0] - dy / 2,
        geometry.northing[-1] + dy / 2,
    )


def _style(grid: xr.DataArray, colour_map: str | None, stretch: Scale | Stretch | Literal["auto"]) -> Style:
    natural = style_of(str(grid.name))
    if isinstance(stretch, Stretch) or stretch == "auto":
        return replace(natural, colour_map=colour_map or natural.colour_map)
    limits = natural.limits if stretch == "linear" else None
    return replace(natural, colour_map=colour_map or natural.colour_map, scale=stretch, limits=limits)


def _paint(
    axes: Axes, small: xr.DataArray, extent: Extent, stretch: Stretch, style: Style, shaded: bool
) -> None:
    spacing = geometry_of(small).spacing
    pixels = picture(small.values, spacing, stretch, style.colour_map, relief=style.relief if shaded else 0.0)
    axes.imshow(pixels, origin="lower", extent=extent.image, interpolation="bilinear", aspect="auto")


def _add_markers(axes: Axes, markers: Sequence[Marker]) -> None:
    halo = [withStroke(linewidth=2.2, foreground=PAPER)]
    for easting, northing, label in markers:
        axes.plot(easting, northing, "o", ms=5, mfc=PAPER, mec=INK, mew=1.1, zorder=6)
        axes.annotate(
            label, (easting, northing), xytext=(5, 4), textcoords="offset points", size=8, color=INK,
            path_effects=halo, zorder=7, annotation_clip=True, parse_math=False,
        )  # fmt: skip


def _finish(sheet: Sheet, extent: Extent, data: xr.DataArray | xr.Dataset, caption: str) -> None:
    add_north_arrow(sheet)
    crs = crs_of(data)
    code = f" (EPSG:{crs.to_epsg()})" if crs is not None and crs.to_epsg() else ""
    add_foot(sheet, extent, f"{crs.name}{code}" if crs is not None else "Local coordinates", caption)


def _long_name(grid: xr.DataArray) -> str:
    return str(grid.attrs.get("long_name") or str(grid.name or "grid").replace("_", " ").capitalize())
