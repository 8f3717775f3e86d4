"""`mag.grid`: a survey's line data to a regular grid, every choice stated.

What is proportional to the points is done at once: positions and one channel are read, reduced by
blocks, and the cell size, heights, depth and damping are chosen. The solve, the long part, is one
task: it runs at once for a survey in memory, and is a Dask task for any other.
"""

import operator
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from pydantic import Field

from pipelines.blocks import is_lazy
from pipelines.conventions import ATTRIBUTES, Geometry, crs_of, make_grid, require_projected
from pipelines.errors import DataError, ParameterError
from pipelines.mag.blockreduce import Blocks, block_reduce
from pipelines.mag.choices import ATTRIBUTE, Choice, to_attribute
from pipelines.mag.coverage import distance_to_data
from pipelines.mag.cross_validation import FALLBACK, choose_layer
from pipelines.mag.equivalent_sources import MINIMUM_POINTS, fit_layer
from pipelines.mag.lines import LineGeometry, line_spacing
from pipelines.mag.minimum_curvature import fit_minimum_curvature
from pipelines.mag.survey_points import SurveyPoints, read_points
from pipelines.registry import Cost, Labelled, pipeline

CELLS_PER_SPACING = 4  # of a layer one spacing deep, straight lines between such cells miss 1.5 %
BLOCKS_PER_CELL = 2  # averaging over half a cell bends a peak a quarter as much as over a whole one
REACH = 1.25  # line spacings: one missing line is bridged, wander included; two are a gap
TIDY = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0, 10.0)
SLACK = 1.03  # lines meant to be 200 m apart measure 199 m, and ask for cells of 50 m all the same
MAXIMUM_CELLS = 20_000_000
TENSION = 0.25  # what Smith & Wessel (1990) advise for potential fields

FIGURES = ("misfit", "iterations", "converged")

Positive = Annotated[float, Field(gt=0)]


def grid_cost(datasets: Mapping[str, Labelled], parameters: Any) -> Cost:
    """Estimate what gridding takes from the count of points and, if given, the size of the cells."""
    survey = next(iter(datasets.values()))
    points = float(survey.sizes["point"])
    cells = points
    if getattr(parameters, "cell_size", None):
        area = float(np.prod([np.ptp(survey[axis].values) for axis in ("easting", "northing")]))
        cells = area / parameters.cell_size**2
    return Cost(cpu_seconds=1.0 + 5e-6 * points + 1e-5 * cells, memory_bytes=2e8 + 120 * points + 250 * cells)


@pipeline("mag.grid", version="1", cost=grid_cost)
def grid_survey(
    survey: xr.Dataset,
    *,
    channel: str | None = None,
    cell_size: Positive | None = None,
    method: Literal["harmonic", "minimum_curvature"] = "harmonic",
    upward: float | None = None,
    depth: Positive | None = None,
    damping: Positive | None = None,
    tension: Annotated[float, Field(ge=0, lt=1)] = TENSION,
    block: Literal["mean", "median"] = "mean",
    ties: bool = False,
    max_distance: Positive | None = None,
    mask: bool = True,
    margin: Annotated[int, Field(ge=0)] = 0,
) -> xr.Dataset:
    """Grid a channel of a survey, its points taken at their true positions and heights.

    Parameters
    ----------
    survey : Dataset
        Line data of the house. Points where the channel is NaN are left out.
    channel : str, optional
        By default ``total_field_anomaly``, else ``total_field``, else the only channel there is.
    cell_size : float, optional
        Metres; by default a quarter of the line spacing, rounded down to a tidy number. Read
        between such cells by straight lines, the field of a layer one spacing deep is wrong by 1.5 %
        of its rms, by cubic rows 0.03 %; with a third of the spacing it is 3 % and 0.15 %, and a
        fifth costs half as many cells again.
    method : {"harmonic", "minimum_curvature"}
        ``harmonic`` explains the data by sources below the survey (`equivalent_sources`): it honours
        drape and knows how fields change with height. ``minimum_curvature`` bends a thin plate
        through them (`minimum_curvature`): for any smooth quantity, heights ignored.
    upward : float, optional
        Height of the grid, metres; by default the survey's median. Only ``harmonic`` uses it.
    depth : float, optional
        Depth of the layer below the lowest datum, metres; by default chosen by leaving pieces
        of lines out (`cross_validation`).
    damping : float, optional
        Noise-to-signal variance of the layer's fit; by default chosen likewise.
    tension : float
        Tension of the plate, 0 to 1, for ``minimum_curvature``.
    block : {"mean", "median"}
        How points are reduced in blocks of half a cell; the median ignores spikes.
    ties : bool
        Whether to grid tie lines too. They serve levelling; what mismatch is left between them and the
        lines would be printed as streaks along them.
    max_distance : float, optional
        Cells farther than this from any datum hold no data, metres; by default 1.25 line spacings,
        which bridges one missing line and not two.
    mask : bool
        Whether to put NaN there; otherwise the layer's own continuation is left in the gaps.
    margin : int
        Cells added on every side.

    Returns
    -------
    Dataset
        The channel and ``line_distance`` (metres to the nearest datum). Attributes hold
        ``max_distance``, ``points_without_value`` and, as JSON, the ``choices`` made. The scalar
        variables ``fit_misfit`` (in the channel's units), ``fit_iterations`` and ``fit_converged``
        say how the fit went.

    Raises
    ------
    DataError
        If there are too few valid points or no line spacing to take the defaults from.
    ParameterError
        If the channel does not exist, the grid would have more than 2e7 cells, or *upward* is not
        above the layer.
    """
    require_projected(crs_of(survey))
    points = read_points(survey, channel, ties=ties)
    lazy = is_lazy(survey[points.channel])
    choices = list(points.choices)
    if points.ties_left:
        reason = f"{points.ties_left:,} points on tie lines left out: mismatches would print as streaks"
        choices.append(Choice("ties", "left out", reason))
    lines = line_spacing(survey)
    spacing, cell = _cell_size(lines, cell_size, choices)
    geometry = _grid_geometry(points, cell, margin)
    size = cell / BLOCKS_PER_CELL
    blocks = block_reduce(
        points.easting, points.northing, points.value, upward=points.upward, size=size, statistic=block
    )
    choices.append(
        Choice("block", f"{block} over {size:g} m", f"half a cell; {len(blocks):,} blocks hold data")
    )
    if len(blocks) < MINIMUM_POINTS:
        raise DataError("blocks", len(blocks), f"must be at least {MINIMUM_POINTS}; give a smaller cell_size")
    if method == "harmonic":
        height = _height(points, upward, choices)
        chosen = _layer(points, lines, spacing, size, depth, damping, choices)
        solve: Harmonic | MinimumCurvature = Harmonic(geometry, height, *chosen)
    else:
        solve = MinimumCurvature(geometry, tension)
        choices.append(Choice("tension", tension, "of the plate, after Smith and Wessel (1990)"))
    reach = max_distance or _reach(spacing, choices)
    return _assemble(survey, points, blocks, solve, reach, lazy=lazy, mask=mask).assign_attrs(
        {ATTRIBUTE: to_attribute(choices), "max_distance": reach, "points_without_value": points.dropped}
    )


@dataclass(frozen=True, slots=True)
class Harmonic:
    """One solve by the harmonic layer: a plain function of blocks, for a task."""

    geometry: Geometry
    upward: float
    depth: float
    damping: float

    def __call__(self, blocks: Blocks) -> tuple[np.ndarray, dict[str, float]]:
        """Return the grid's values and how the fit went."""
        layer = fit_layer(
            blocks.easting,
            blocks.northing,
            blocks.upward,
            blocks.value,
            depth=self.depth,
            damping=self.damping,
            extent=_extent(self.geometry),
        )
        return layer.grid(self.geometry, self.upward), {
            "misfit": layer.report.misfit,
            "iterations": layer.report.iterations,
            "converged": layer.report.converged,
        }


@dataclass(frozen=True, slots=True)
class MinimumCurvature:
    """One solve by minimum curvature: a plain function of blocks, for a task."""

    geometry: Geometry
    tension: float

    def __call__(self, blocks: Blocks) -> tuple[np.ndarray, dict[str, float]]:
        """Return the grid's values and how the fit went."""
        values, report = fit_minimum_curvature(
            blocks.easting, blocks.northing, blocks.value, self.geometry, tension=self.tension
        )
        return values, {
            "misfit": report.misfit,
            "iterations": report.iterations,
            "converged": report.converged,
        }


def _cell_size(lines: LineGeometry, given: float | None, choices: list[Choice]) -> tuple[float, float]:
    """Return the spacing that the survey resolves and the size of the cells."""
    apart = lines.spacing if np.isnan(lines.sampling) else max(lines.spacing, lines.sampling)
    if given is not None:
        # Cells wider than the lines are apart leave nothing to say on the scale of the lines.
        return max(given, given * CELLS_PER_SPACING if np.isnan(apart) else apart), given
    if np.isnan(apart):
        raise DataError(
            "line spacing", apart, "cannot be read off this survey (no parallel lines); give cell_size"
        )
    cell = tidy(apart / CELLS_PER_SPACING)
    choices.append(Choice("cell_size", cell, f"a quarter of the line spacing of {apart:.0f} m, rounded down"))
    return apart, cell


def tidy(length: float) -> float:
    """Round down to 1, 1.25, 1.5, 2, 2.5, 3, 4, 5 or 8 times a power of ten, give or take 3 %."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(power * max(t for t in TIDY if t <= SLACK * length / power))


def _grid_geometry(points: SurveyPoints, cell: float, margin: int) -> Geometry:
    """Return cells whose edges are multiples of the cell size and that hold every point."""
    first, count = [], []
    for position in (points.northing, points.easting):
        low, high = np.floor(position.min() / cell), np.floor(position.max() / cell)
        first.append(float((low - margin + 0.5) * cell))
        count.append(max(int(high - low) + 1 + 2 * margin, 2))
    if count[0] * count[1] > MAXIMUM_CELLS:
        enough = tidy(cell * float(np.sqrt(count[0] * count[1] / MAXIMUM_CELLS)) * 1.25)
        rule = f"makes {count[0]} x {count[1]} cells, more than 2e7; give at least {enough:g}"
        raise ParameterError("cell_size", cell, rule)
    return Geometry((first[0], first[1]), (cell, cell), (count[0], count[1]))


def _extent(geometry: Geometry) -> tuple[float, float, float, float]:
    northing, easting = geometry.northing, geometry.easting
    return float(easting[0]), float(northing[0]), float(easting[-1]), float(northing[-1])


def _height(points: SurveyPoints, given: float | None, choices: list[Choice]) -> float:
    if given is not None:
        return given
    median = float(np.median(points.upward))
    reason = "the median height of the survey" if points.has_height else "the survey carries no heights"
    choices.append(Choice("upward", round(median, 2), reason))
    return median


def _layer(
    points: SurveyPoints,
    lines: LineGeometry,
    spacing: float,
    size: float,
    depth: float | None,
    damping: float | None,
    choices: list[Choice],
) -> tuple[float, float]:
    """Return depth and damping of the layer, chosen where they are not given."""
    if depth is not None and damping is not None:
        return depth, damping
    if np.isnan(lines.azimuth) or np.isnan(lines.spacing):
        found = depth or FALLBACK[0] * spacing, damping or FALLBACK[1]
        why = "no parallel lines to leave pieces out of; a usual value"
    else:
        best = choose_layer(
            points.easting,
            points.northing,
            points.upward,
            points.value,
            points.line,
            spacing=spacing,
            azimuth=lines.azimuth,
            block_size=size,
            depth=depth,
            damping=damping,
        )
        found = best.depth, best.damping
        if best.lines:
            why = (
                f"best of {best.trials} pairs tried on pieces left out of {best.lines} lines, each as "
                f"long as the lines are apart; predicts them to {best.score:.3g} rms "
                f"({100 * best.relative:.1f} % of the field's)"
            )
        else:
            why = "too few parallel lines to leave pieces out; a usual value"
    if depth is None:
        choices.append(Choice("depth", round(found[0], 3), f"{found[0] / spacing:.2g} line spacings: {why}"))
    if damping is None:
        choices.append(Choice("damping", found[1], why))
    return found


def _reach(spacing: float, choices: list[Choice]) -> float:
    reach = REACH * spacing
    reason = f"{REACH} line spacings of {spacing:.0f} m: one missing line is bridged, two are a gap"
    choices.append(Choice("max_distance", round(reach, 2), reason))
    return reach


def _solved(solve: Harmonic | MinimumCurvature, blocks: Blocks) -> tuple[Any, ...]:
    """Return the grid and its `FIGURES`, flat: Dask would run a solve twice for a nested pick."""
    values, report = solve(blocks)
    return values, *(np.float64(report[name]) for name in FIGURES)


def _assemble(
    survey: xr.Dataset,
    points: SurveyPoints,
    blocks: Blocks,
    solve: Harmonic | MinimumCurvature,
    reach: float,
    *,
    lazy: bool,
    mask: bool,
) -> xr.Dataset:
    """Run the solve, or put it off as one task, and label what it gives."""
    geometry, crs = solve.geometry, crs_of(survey)
    distance = distance_to_data(blocks.easting, blocks.northing, geometry)
    if lazy:
        key = f"grid-{type(solve).__name__.lower()}-{uuid.uuid4().hex[:12]}"
        solved = delayed(_solved, pure=False)(solve, blocks, dask_key_name=key)
        pick = delayed(operator.getitem, pure=False)
        values: Any = da.from_delayed(pick(solved, 0), shape=geometry.shape, dtype=float)
        figures: dict[str, Any] = {
            name: da.from_delayed(pick(solved, n), shape=(), dtype=float) for n, name in enumerate(FIGURES, 1)
        }
    else:
        values, *told = _solved(solve, blocks)
        figures = dict(zip(FIGURES, told, strict=True))
        if not figures["converged"]:
            warnings.warn("The fit has not converged: see fit_iterations and fit_misfit", stacklevel=3)
    units = survey[points.channel].attrs.get("units", ATTRIBUTES.get(points.channel, {}).get("units", ""))
    attrs = {
        k: v for k, v in survey[points.channel].attrs.items() if k in ("long_name", "standard_name", "units")
    }
    grid = make_grid(values, geometry, name=points.channel, crs=crs, attrs=attrs)
    far = make_grid(distance, geometry, name="line_distance", crs=crs)
    if mask:
        grid = grid.where(far <= reach).assign_attrs(grid.attrs)
    labels = {
        "misfit": {"long_name": "Root mean square of data minus grid", "units": units},
        "iterations": {"long_name": "Iterations of the fit", "units": "1"},
        "converged": {"long_name": "Whether the fit reached its tolerance", "units": "1"},
    }
    out = xr.Dataset({points.channel: grid, "line_distance": far})
    return out.assign({f"fit_{name}": ((), figure, labels[name]) for name, figure in figures.items()})
