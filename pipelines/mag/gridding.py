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
from pyproj import CRS

from pipelines.blocks import is_lazy
from pipelines.conventions import Geometry, crs_of, make_grid, require_projected
from pipelines.errors import DataError, ParameterError
from pipelines.mag.blockreduce import Blocks, block_reduce
from pipelines.mag.choices import ATTRIBUTE, Choice, to_attribute
from pipelines.mag.coverage import distance_to_data
from pipelines.mag.equivalent_sources import MINIMUM_POINTS, fit_layer
from pipelines.mag.grid_choices import (
    MAXIMUM_CELLS,
    cells_over,
    choose_cell_size,
    choose_depth_and_damping,
    choose_height,
    choose_reach,
)
from pipelines.mag.lines import LineGeometry, line_spacing
from pipelines.mag.minimum_curvature import fit_minimum_curvature
from pipelines.mag.survey_points import SurveyPoints, read_points
from pipelines.registry import Cost, Labelled, pipeline

BLOCKS_PER_CELL = 2  # averaging over half a cell bends a peak a quarter as much as over a whole one
TENSION = 0.25  # what Smith & Wessel (1990) advise for potential fields
FIGURES = ("misfit", "iterations", "converged")

Positive = Annotated[float, Field(gt=0)]
Method = Literal["harmonic", "minimum_curvature"]


def grid_cost(datasets: Mapping[str, Labelled], parameters: Any) -> Cost:
    """Estimate what gridding takes from the count of points and, if given, the size of the cells."""
    survey = next(iter(datasets.values()))
    points = float(survey.sizes.get("point", 0))
    cells = points
    if points and getattr(parameters, "cell_size", None):
        sides = [float(survey[axis].max() - survey[axis].min()) for axis in ("easting", "northing")]
        cells = min(sides[0] / parameters.cell_size * (sides[1] / parameters.cell_size), MAXIMUM_CELLS)
    return Cost(cpu_seconds=1.0 + 5e-6 * points + 1e-5 * cells, memory_bytes=2e8 + 120 * points + 250 * cells)


@pipeline("mag.grid", version="1", cost=grid_cost)
def grid_survey(
    survey: xr.Dataset,
    *,
    channel: str | None = None,
    cell_size: Positive | None = None,
    method: Method = "harmonic",
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
        Cells farther than this from every block's mean position hold no data, metres; by default
        1.25 line spacings, which bridges one missing line and not two, or five cells where no line
        spacing is known.
    mask : bool
        Whether to put NaN there; otherwise the layer's own continuation is left in the gaps.
    margin : int
        Cells added on every side.

    Returns
    -------
    Dataset
        The channel and ``line_distance`` (metres to the nearest block's mean position). Attributes hold
        ``max_distance``, ``points_without_value`` and, as JSON, the ``choices`` made. The scalar
        variables ``fit_misfit`` (in the channel's units), ``fit_iterations`` and ``fit_converged``
        say how the fit went.

    Raises
    ------
    DataError
        If there are too few valid points or no line spacing to take the cell size from, a point
        with a value has no position (or height, for ``harmonic``), or lines and points disagree.
    ParameterError
        If the channel does not exist or holds no real numbers, the grid would have more than 2e7
        cells, no cell lies within *max_distance*, or *upward* is not above the layer.
    """
    require_projected(crs_of(survey))
    points = read_points(survey, channel, ties=ties, heights=method == "harmonic")
    wanted = Wanted(cell_size, method, upward, depth, damping, tension, block, max_distance, mask, margin)
    return grid_points(survey, points, line_spacing(survey), wanted)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parameters of `grid_survey` beyond the channel."""

    cell_size: float | None = None
    method: Method = "harmonic"
    upward: float | None = None
    depth: float | None = None
    damping: float | None = None
    tension: float = TENSION
    block: Literal["mean", "median"] = "mean"
    max_distance: float | None = None
    mask: bool = True
    margin: int = 0


def grid_points(survey: xr.Dataset, points: SurveyPoints, lines: LineGeometry, wanted: Wanted) -> xr.Dataset:
    """Grid points already read from *survey*, which gives the labels; see `grid_survey`."""
    choices = list(points.choices)
    if points.ties_left:
        reason = f"{points.ties_left:,} points on tie lines left out: mismatches would print as streaks"
        choices.append(Choice("ties", "left out", reason))
    scale, cell = choose_cell_size(lines, wanted.cell_size, choices)
    geometry = cells_over(points, cell, wanted.margin)
    size = cell / BLOCKS_PER_CELL
    harmonic = wanted.method == "harmonic"
    blocks = block_reduce(
        points.easting,
        points.northing,
        points.value,
        upward=points.upward if harmonic else None,
        size=size,
        statistic=wanted.block,
    )
    choices.append(
        Choice("block", f"{wanted.block} over {size:g} m", f"half a cell; {len(blocks):,} blocks hold data")
    )
    if len(blocks) < MINIMUM_POINTS:
        raise DataError("blocks", len(blocks), f"must be at least {MINIMUM_POINTS}; give a smaller cell_size")
    stated: list[Choice] = []
    reach = wanted.max_distance or choose_reach(scale, stated)
    distance = distance_to_data(blocks.easting, blocks.northing, geometry)
    if not (nearest := float(distance.min())) <= reach:
        rule = f"leaves no cell with data: the nearest cell lies {nearest:.3g} m from a block's mean"
        raise ParameterError("max_distance", reach, rule)
    if harmonic:
        height = choose_height(points, wanted.upward, choices)
        given = wanted.depth, wanted.damping
        chosen = choose_depth_and_damping(points, lines, scale, size, given, choices)
        solve: Harmonic | MinimumCurvature = Harmonic(geometry, height, *chosen)
    else:
        solve = MinimumCurvature(geometry, wanted.tension)
        choices.append(Choice("tension", wanted.tension, "of the plate, after Smith and Wessel (1990)"))
    choices += stated
    lazy = is_lazy(survey[points.channel])
    out = _assemble(survey[points.channel], crs_of(survey), blocks, distance, solve, lazy=lazy)
    if wanted.mask:
        grid = out[points.channel]
        out[points.channel] = grid.where(out["line_distance"] <= reach).assign_attrs(grid.attrs)
    return out.assign_attrs(
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


def _extent(geometry: Geometry) -> tuple[float, float, float, float]:
    northing, easting = geometry.northing, geometry.easting
    return float(easting[0]), float(northing[0]), float(easting[-1]), float(northing[-1])


def _solved(solve: Harmonic | MinimumCurvature, blocks: Blocks) -> tuple[Any, ...]:
    """Return the grid and its `FIGURES`, flat: Dask would run a solve twice for a nested pick."""
    values, report = solve(blocks)
    return values, *(np.float64(report[name]) for name in FIGURES)


def _assemble(
    channel: xr.DataArray,
    crs: CRS | None,
    blocks: Blocks,
    distance: np.ndarray,
    solve: Harmonic | MinimumCurvature,
    *,
    lazy: bool,
) -> xr.Dataset:
    """Run the solve, or put it off as one task, and label what it gives as *channel* is labelled."""
    geometry, name = solve.geometry, str(channel.name)
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
            warnings.warn("The fit has not converged: see fit_iterations and fit_misfit", stacklevel=4)
    attrs = {k: v for k, v in channel.attrs.items() if k in ("long_name", "standard_name", "units")}
    grid = make_grid(values, geometry, name=name, crs=crs, attrs=attrs)
    far = make_grid(distance, geometry, name="line_distance", crs=crs)
    labels = {
        "misfit": {"long_name": "Root mean square of data minus grid", "units": grid.attrs.get("units", "")},
        "iterations": {"long_name": "Iterations of the fit", "units": "1"},
        "converged": {"long_name": "Whether the fit reached its tolerance", "units": "1"},
    }
    out = xr.Dataset({name: grid, "line_distance": far})
    return out.assign({f"fit_{name}": ((), figure, labels[name]) for name, figure in figures.items()})
