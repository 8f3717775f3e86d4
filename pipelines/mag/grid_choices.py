"""What `mag.grid` chooses for its user, each choice stated: cells, heights, depth, damping, reach."""

from dataclasses import dataclass

import numpy as np

from pipelines.conventions import Geometry
from pipelines.errors import DataError, ParameterError
from pipelines.mag.choices import Choice, significant
from pipelines.mag.cross_validation import FALLBACK, choose_layer
from pipelines.mag.lines import LineGeometry
from pipelines.mag.survey_points import SurveyPoints

CELLS_PER_SPACING = 4  # of a layer one spacing deep, straight lines between such cells miss 1.5 %
REACH = 1.25  # line spacings: one missing line is bridged, wander included; two are a gap
TIDY = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0, 10.0)
SLACK = 1.03  # lines meant to be 200 m apart measure 199 m, and ask for cells of 50 m all the same
MAXIMUM_CELLS = 20_000_000
NO_SPACING = "no line spacing known"


@dataclass(frozen=True, slots=True)
class Scale:
    """The length that the survey resolves.

    Attributes
    ----------
    length : float
        Metres.
    unit : str
        What it is, for use behind a number: ``line spacings of 200 m``.
    known : bool
        Whether it was read off the survey; else it is a multiple of the cell size.
    """

    length: float
    unit: str
    known: bool = True


def choose_cell_size(lines: LineGeometry, given: float | None, choices: list[Choice]) -> tuple[Scale, float]:
    """Return the scale that the survey resolves and the size of the cells."""
    if np.isnan(lines.spacing):
        if given is None:
            rule = "cannot be read off this survey (no parallel lines); give cell_size"
            raise DataError("line spacing", lines.spacing, rule)
        return Scale(CELLS_PER_SPACING * given, f"times {CELLS_PER_SPACING} cells", known=False), given
    scale = Scale(lines.spacing, f"line spacings of {significant(lines.spacing):g} m")
    if lines.sampling > lines.spacing:
        scale = Scale(lines.sampling, f"steps along the lines of {significant(lines.sampling):g} m")
    if given is not None:
        # Cells wider than the lines are apart leave nothing to say on the scale of the lines.
        return (Scale(given, f"cells of {given:g} m") if given > scale.length else scale), given
    cell = tidy(scale.length / CELLS_PER_SPACING)
    of = scale.unit.replace("line spacings", "the line spacing", 1).replace("steps", "the step", 1)
    choices.append(Choice("cell_size", cell, f"a quarter of {of}, rounded down"))
    return scale, cell


def tidy(length: float) -> float:
    """Round down to 1, 1.25, 1.5, 2, 2.5, 3, 4, 5 or 8 times a power of ten, give or take 3 %."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(power * max(t for t in TIDY if t <= SLACK * length / power))


def cells_over(points: SurveyPoints, cell: float, margin: int) -> Geometry:
    """Return cells whose edges are multiples of the cell size and that hold every point."""
    height, width = float(np.ptp(points.northing)), float(np.ptp(points.easting))
    added = 2 * margin + 2
    if added**2 >= MAXIMUM_CELLS:
        raise ParameterError("margin", margin, "makes more than 2e7 cells by itself; give a smaller one")
    if (height / cell + added) * (width / cell + added) > MAXIMUM_CELLS:
        # The largest u = 1 / cell with (height u + added) (width u + added) within the limit.
        linear = added * (height + width)
        left = MAXIMUM_CELLS - added**2
        u = 2 * left / (linear + np.sqrt(linear**2 + 4 * height * width * left))
        enough = 1 / u
        power = 10.0 ** np.floor(np.log10(enough))
        wanted = power * min(t for t in TIDY if t >= enough / power)
        raise ParameterError("cell_size", cell, f"makes more than 2e7 cells; give at least {wanted:g}")
    first, count = [], []
    for position in (points.northing, points.easting):
        low, high = np.floor(position.min() / cell), np.floor(position.max() / cell)
        first.append(float((low - margin + 0.5) * cell))
        count.append(max(int(high - low) + 1 + 2 * margin, 2))
    return Geometry((first[0], first[1]), (cell, cell), (count[0], count[1]))


def choose_height(points: SurveyPoints, given: float | None, choices: list[Choice]) -> float:
    """Return the height of the grid, metres."""
    if given is not None:
        return given
    median = float(np.median(points.upward))
    reason = "the median height of the survey" if points.has_height else "the survey carries no heights"
    choices.append(Choice("upward", round(median, 2), reason))
    return median


def choose_depth_and_damping(
    points: SurveyPoints,
    lines: LineGeometry,
    scale: Scale,
    size: float,
    given: tuple[float | None, float | None],
    choices: list[Choice],
) -> tuple[float, float]:
    """Return depth and damping of the layer, chosen where they are not given; *size* is the blocks'."""
    depth, damping = given
    if depth is not None and damping is not None:
        return depth, damping
    if not scale.known:
        found = depth or FALLBACK[0] * scale.length, damping or FALLBACK[1]
        why = "no parallel lines to leave pieces out of; a usual value"
    else:
        best = choose_layer(
            points.easting,
            points.northing,
            points.upward,
            points.value,
            points.line,
            spacing=scale.length,
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
        reason = f"{found[0] / scale.length:.2g} {scale.unit}: {why}"
        choices.append(Choice("depth", significant(found[0], 6), reason))
    if damping is None:
        choices.append(Choice("damping", found[1], why))
    return found


def choose_reach(scale: Scale, choices: list[Choice]) -> float:
    """Return how far from data a cell still holds data, metres."""
    reach = REACH * scale.length
    why = "one missing line is bridged, two are a gap" if scale.known else NO_SPACING
    choices.append(Choice("max_distance", significant(reach, 6), f"{REACH} {scale.unit}: {why}"))
    return reach
