"""The geometry of flight lines: which way they run, how far apart they are, how densely they sample.

Everything is read from the positions themselves, because names and types of lines are often missing
or wrong. The survey is cut by transects perpendicular to its lines; where the lines cross a transect,
the distances between neighbouring crossings are the line spacings. Ties run along the transects, so
they cannot be taken for lines, and one polyline that walks a whole area to and fro is understood too.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipelines.mag.survey_layout import check_lines

STRIDES = (2, 4, 8, 16, 32, 64, 128)  # samples a chord may span
BALLISTIC = 1.9  # twice the samples, (nearly) twice the way: the jitter of positions no longer counts
GAP_FACTOR = 10.0  # a step ten times the usual one was not flown: the line has a gap there
ALONG = np.radians(30.0)  # half-width of the fan of azimuths that counts as running along the lines
TRANSECTS = 256
REFLOWN = 0.1  # crossings closer than a tenth of the usual spacing are one line flown twice


@dataclass(frozen=True, slots=True)
class LineGeometry:
    """How a survey's lines lie.

    Attributes
    ----------
    spacing : float
        Median distance between neighbouring parallel lines, metres; NaN where no two lines run side
        by side.
    sampling : float
        Way made along a line from one point to the next, median, metres; NaN if no line moves.
    azimuth : float
        Direction of the lines, degrees clockwise from grid north, in [0, 180); NaN as above.
    tie_spacing : float
        Median distance between neighbouring lines that run across the others, metres; NaN if none.
    along : float
        Share of the flown length that runs along `azimuth` (within 30 degrees), 0 to 1.
    length : float
        Flown length without gaps, metres.
    """

    spacing: float
    sampling: float
    azimuth: float
    tie_spacing: float
    along: float
    length: float


def line_spacing(survey: xr.Dataset) -> LineGeometry:
    """Measure how the lines of a survey lie.

    Parameters
    ----------
    survey : Dataset
        A survey in line-major order with coordinates ``easting`` and ``northing`` (metres) on
        ``point`` and variables ``line_start`` and ``line_size`` on ``line``. Lines whose
        ``line_type`` is "tie" never decide which way the lines run; points without a position
        are passed over.

    Returns
    -------
    LineGeometry
        Figures that do not exist are NaN: a single line has a sampling but no spacing.

    Raises
    ------
    DataError
        If the survey lacks these variables, has no points, or its lines and points disagree
        (`survey_layout.check_lines`).

    Notes
    -----
    The azimuth is the one within 15 degrees of which most length is flown. The spacing is the median
    over all crossings of 256 transects, so blocks of different spacing count by their area, and one
    missing line in a few changes nothing. Cost: one pass over the positions, about 0.1 s per million
    points.
    """
    layout = check_lines(survey)
    easting = np.asarray(survey["easting"].values, dtype=float)
    northing = np.asarray(survey["northing"].values, dtype=float)
    known = np.isfinite(easting) & np.isfinite(northing)
    size = np.bincount(layout.line[known], minlength=layout.size.size)
    return measure_lines(easting[known], northing[known], size, layout.tie)


def measure_lines(
    easting: np.ndarray, northing: np.ndarray, size: np.ndarray, declared_tie: np.ndarray
) -> LineGeometry:
    """Do the work of `line_spacing` on plain arrays: finite positions by line, the rest a line each."""
    nothing = LineGeometry(*(float("nan"),) * 5, length=0.0)
    line = np.repeat(np.arange(size.size), size)
    if line.size == 0:
        return nothing
    # The mean position is taken off so that products of UTM coordinates lose no digits.
    x, y = easting - easting.mean(), northing - northing.mean()
    stride, sampling = _stride(x, y, line)
    if np.isnan(sampling):
        return nothing
    chords = _chords(x, y, line, size, stride, limit=GAP_FACTOR * sampling)
    if chords.length.size == 0:
        return nothing
    azimuth = _dominant_azimuth(chords, ~declared_tie)
    turn = _fold(chords.azimuth - azimuth)
    runs_along = np.abs(turn) < ALONG
    runs_across = np.abs(turn) > np.pi / 2 - ALONG
    total = float(chords.length.sum())
    return LineGeometry(
        spacing=_spacing_across(chords.only(runs_along), azimuth),
        sampling=sampling,
        azimuth=float(np.degrees(azimuth) % 180.0),
        tie_spacing=_spacing_across(chords.only(runs_across), azimuth + np.pi / 2),
        along=float(chords.length[runs_along].sum()) / total,
        length=total,
    )


@dataclass(frozen=True, slots=True)
class _Chords:
    """Short straight pieces of line: both ends, the line they belong to."""

    x0: np.ndarray
    y0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    line: np.ndarray

    @property
    def length(self) -> np.ndarray:
        return np.hypot(self.x1 - self.x0, self.y1 - self.y0)

    @property
    def azimuth(self) -> np.ndarray:
        """Radians clockwise from grid north; a chord and its reverse differ by pi."""
        return np.arctan2(self.x1 - self.x0, self.y1 - self.y0)

    def only(self, chosen: np.ndarray) -> "_Chords":
        return _Chords(self.x0[chosen], self.y0[chosen], self.x1[chosen], self.y1[chosen], self.line[chosen])


def _stride(x: np.ndarray, y: np.ndarray, line: np.ndarray) -> tuple[int, float]:
    """Find how many samples a chord must span to show the line's direction, and the way made by one.

    Single steps of a densely sampled, jittery track point anywhere and are longer than the way made.
    """
    reach, stride = _median_displacement(x, y, line, 1), 1
    sampling = reach
    for longer in STRIDES:
        further = _median_displacement(x, y, line, longer)
        if np.isnan(further):
            break
        ratio = further / reach if reach > 0 else np.inf
        reach, stride = further, longer
        if ratio >= BALLISTIC and longer >= 4:
            break
    if stride > 1 and reach > 0:
        sampling = min(sampling, reach / stride) if sampling > 0 else reach / stride
    return stride, sampling if sampling > 0 else float("nan")


def _median_displacement(x: np.ndarray, y: np.ndarray, line: np.ndarray, stride: int) -> float:
    """Median distance between points *stride* samples apart in a line; NaN on lines too short for it."""
    same = line[stride:] == line[:-stride]
    if np.count_nonzero(same) < max(1, line.size // 2):
        return float("nan")
    moved = np.hypot(x[stride:] - x[:-stride], y[stride:] - y[:-stride])[same]
    return float(np.median(moved))


def _chords(
    x: np.ndarray, y: np.ndarray, line: np.ndarray, size: np.ndarray, stride: int, limit: float
) -> _Chords:
    """Cut every line into chords of *stride* steps (fewer on short lines), gaps left out."""
    within = np.arange(line.size) - np.repeat(np.cumsum(size) - size, size)
    own = np.clip(size // 4, 1, stride)[line]
    last = within == size[line] - 1
    keep = np.flatnonzero((within % own == 0) | last)
    begin, end = keep[:-1], keep[1:]
    usable = line[begin] == line[end]
    begin, end = begin[usable], end[usable]
    chords = _Chords(x[begin], y[begin], x[end], y[end], line[begin])
    length = chords.length
    return chords.only((length > 0) & (length <= limit * (end - begin)))


def _dominant_azimuth(chords: _Chords, eligible: np.ndarray) -> float:
    """Azimuth (radians) about which most length is flown; ties declared as such do not vote."""
    votes = chords.only(eligible[chords.line]) if eligible[chords.line].any() else chords
    azimuth, length = votes.azimuth, votes.length
    bins = 180
    degree = (np.degrees(azimuth) % 180.0).astype(np.int64) % bins
    flown = np.bincount(degree, length, minlength=bins)
    window = np.ones(31)  # 15 degrees either side, round the circle
    smooth = np.convolve(np.concatenate([flown[-15:], flown, flown[:15]]), window, mode="valid")
    # The plateau of a narrow fan is as wide as the window: its middle is refined by the mean
    # of the doubled angles, which knows no beginning of the circle.
    best = np.radians(float(np.argmax(smooth)) + 0.5)
    near = np.abs(_fold(azimuth - best)) < np.radians(31.0)
    doubled = np.sum(length[near] * np.exp(2j * azimuth[near]))
    return float(np.angle(doubled) / 2)


def _spacing_across(chords: _Chords, azimuth: float) -> float:
    """Median distance between neighbouring crossings of transects perpendicular to *azimuth*."""
    if chords.length.size == 0:
        return float("nan")
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    along0, along1 = chords.x0 * sine + chords.y0 * cosine, chords.x1 * sine + chords.y1 * cosine
    across0, across1 = chords.x0 * cosine - chords.y0 * sine, chords.x1 * cosine - chords.y1 * sine
    low, high = min(along0.min(), along1.min()), max(along0.max(), along1.max())
    between = (high - low) / TRANSECTS
    if between <= 0:
        return float("nan")
    index0 = np.floor((along0 - low) / between - 0.5).astype(np.int64)
    index1 = np.floor((along1 - low) / between - 0.5).astype(np.int64)
    crossings = np.abs(index1 - index0)
    chord = np.repeat(np.arange(crossings.size), crossings)
    nth = np.arange(chord.size) - np.repeat(np.cumsum(crossings) - crossings, crossings)
    transect = np.minimum(index0, index1)[chord] + 1 + nth
    position = low + (transect + 0.5) * between
    fraction = (position - along0[chord]) / (along1[chord] - along0[chord])
    across = across0[chord] + fraction * (across1[chord] - across0[chord])
    order = np.lexsort((across, transect))
    gaps = np.diff(across[order])[np.diff(transect[order]) == 0]
    gaps = gaps[gaps > 0]
    if gaps.size == 0:
        return float("nan")
    return float(np.median(gaps[gaps >= REFLOWN * np.median(gaps)]))


def _fold(angle: np.ndarray) -> np.ndarray:
    """Angle between undirected lines, in [-pi/2, pi/2)."""
    return (angle + np.pi / 2) % np.pi - np.pi / 2
