"""Where the aircraft goes: parallel lines and ties over a rectangle, on a drape it can climb."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipelines.errors import ParameterError
from simulators.patterns import axis
from simulators.relief import Extent, Terrain

DRAPE_CELL = 50.0
DRAPE_MARGIN = 1000.0  # metres of drape around the terrain, for overshoots, wander and run-ins
DRAPE_SMOOTHING = 100.0  # metres, standard deviation of the Gaussian that rounds the drape's edges
SHORTEST_LINE = 300.0  # metres; corners cut off by oblique lines are not worth a turn
WANDER_LENGTH = 600.0  # metres over which the pilot drifts off the line and back


@dataclass(frozen=True, slots=True)
class Leg:
    """One line as planned.

    Attributes
    ----------
    name : str
        For instance "L10010", or "T90010" for a tie.
    kind : str
        "line" or "tie".
    easting, northing : float
        Where it starts, metres.
    heading : float
        Direction flown, degrees clockwise from grid north.
    length : float
        Metres.
    """

    name: str
    kind: str
    easting: float
    northing: float
    heading: float
    length: float


def plan(
    extent: Extent, *, line_spacing: float, tie_spacing: float, azimuth: float, rng: np.random.Generator
) -> list[Leg]:
    """Lay lines along *azimuth* and ties across them, flown to and fro, lines first.

    Each end overshoots the rectangle by 40 to 130 m, so that lines have ragged ends and cross the
    outermost ties.
    """
    legs = _parallel(extent, line_spacing, azimuth, "line", rng)
    return legs + _parallel(extent, tie_spacing, azimuth + 90.0, "tie", rng)


def _parallel(
    extent: Extent, spacing: float, azimuth: float, kind: str, rng: np.random.Generator
) -> list[Leg]:
    west, south, east, north = extent
    along_e, along_n = axis(azimuth)
    centre = np.array([(west + east) / 2, (south + north) / 2])
    half = np.array([(east - west) / 2, (north - south) / 2])
    along = np.array([along_e, along_n])
    across = np.array([along_n, -along_e])
    reach = float(np.abs(across) @ half)
    count = int(2 * reach // spacing) + 1
    prefix, first = ("L", 10000) if kind == "line" else ("T", 90000)
    legs: list[Leg] = []
    for offset in (np.arange(count) - (count - 1) / 2) * spacing:
        begin, end = _chord(offset * across, along, half)
        overshoot = rng.uniform(40.0, 130.0, 2)
        if end - begin < SHORTEST_LINE:
            continue
        heading = azimuth
        begin, end = begin - overshoot[0], end + overshoot[1]
        start = centre + offset * across + begin * along
        if len(legs) % 2:
            start = centre + offset * across + end * along
            heading = azimuth + 180.0
        name = f"{prefix}{first + 10 * (len(legs) + 1)}"
        legs.append(Leg(name, kind, float(start[0]), float(start[1]), heading % 360.0, float(end - begin)))
    return legs


def _chord(through: np.ndarray, along: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """Where a line through a point enters and leaves a rectangle centred on the origin."""
    begin, end = -np.inf, np.inf
    for point, slope, bound in zip(through, along, half, strict=True):
        if abs(slope) < 1e-12:
            if abs(point) > bound + 1e-6:
                return 0.0, 0.0
            continue
        edges = sorted(((-bound - point) / slope, (bound - point) / slope))
        begin, end = max(begin, edges[0]), min(end, edges[1])
    return begin, end


@dataclass(frozen=True, slots=True, eq=False)
class Drape:
    """The surface flown: as low as the clearance and the aircraft's climb allow.

    It is one surface for lines and ties, so that they cross at one height. Along the axes of the
    lines and of the ties it is nowhere steeper than the climb gradient: it is the lowest such
    surface above terrain plus clearance, rounded off by a Gaussian. Rounding may cut into the
    clearance by at most `deficit`.

    Attributes
    ----------
    gradient : float
        Steepest climb or descent, metres per metre.
    """

    gradient: float
    _origin: tuple[float, float]
    _azimuth: float
    _spline: np.ndarray

    @property
    def deficit(self) -> float:
        r"""Largest loss of clearance, metres.

        A surface of slope at most g along an axis changes by at most :math:`g \cdot E|u|` when it is
        averaged with a Gaussian, where :math:`E|u| = \sigma \sqrt{2 / \pi}`; there are two axes.
        """
        return float(2 * self.gradient * DRAPE_SMOOTHING * np.sqrt(2 / np.pi))

    def height(self, easting: np.ndarray, northing: np.ndarray) -> np.ndarray:
        """Return the drape's elevation in metres; beyond its margin, that of its nearest edge."""
        along_e, along_n = axis(self._azimuth)
        from_e, from_n = easting - self._origin[0], northing - self._origin[1]
        indices = np.stack([from_e * along_n - from_n * along_e, from_e * along_e + from_n * along_n])
        indices /= DRAPE_CELL
        return ndimage.map_coordinates(self._spline, indices, order=3, mode="nearest", prefilter=False)


def drape(terrain: Terrain, *, clearance: float, gradient: float, azimuth: float) -> Drape:
    """Compute the drape over a terrain and a kilometre around it.

    Parameters
    ----------
    terrain : Terrain
        Ground surface.
    clearance : float
        Height above ground that is asked for, metres.
    gradient : float
        Steepest climb, metres per metre; aircraft of this kind hold about 0.05.
    azimuth : float
        Direction of the lines, degrees.
    """
    if not gradient > 0:
        raise ParameterError("gradient", gradient, "must be a positive climb in metres per metre")
    west, south, east, north = terrain.extent
    along_e, along_n = axis(azimuth)
    reach_e, reach_n = (east - west) / 2, (north - south) / 2
    half_along = abs(along_e) * reach_e + abs(along_n) * reach_n + DRAPE_MARGIN
    half_across = abs(along_n) * reach_e + abs(along_e) * reach_n + DRAPE_MARGIN
    along = np.arange(-half_along, half_along + DRAPE_CELL, DRAPE_CELL)
    across = np.arange(-half_across, half_across + DRAPE_CELL, DRAPE_CELL)[:, np.newaxis]
    centre_e, centre_n = (west + east) / 2, (south + north) / 2
    ground = terrain.elevation(
        centre_e + along * along_e + across * along_n, centre_n + along * along_n - across * along_e
    )
    surface = ground + clearance
    for dimension in (0, 1):
        surface = _climbable(surface, gradient * DRAPE_CELL, dimension)
    surface = ndimage.gaussian_filter(surface, DRAPE_SMOOTHING / DRAPE_CELL, mode="nearest")
    origin = (
        centre_e - half_along * along_e - half_across * along_n,
        centre_n - half_along * along_n + half_across * along_e,
    )
    return Drape(gradient, origin, azimuth, ndimage.spline_filter(surface, order=3))


def _climbable(surface: np.ndarray, step: float, dimension: int) -> np.ndarray:
    """Return the lowest surface above *surface* that changes by at most *step* a node along a dimension.

    Climbing early enough is a running maximum of (height + ramp); descending, the same from the end.
    """
    ramp = step * np.arange(surface.shape[dimension], dtype=float)
    ramp = ramp[:, np.newaxis] if dimension == 0 else ramp[np.newaxis, :]
    after = np.maximum.accumulate(surface + ramp, axis=dimension) - ramp
    reverse = np.flip(after, dimension)
    return np.flip(np.maximum.accumulate(reverse + ramp, axis=dimension) - ramp, dimension)


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Positions flown, one sample after another; every leg begins with a run-in that is not recorded.

    Attributes
    ----------
    easting, northing, upward : ndarray
        Metres.
    heading : ndarray
        Of the leg, degrees.
    elapsed : ndarray
        Seconds since the leg's first recorded sample (negative in the run-in).
    leg : ndarray
        Index of the leg.
    recorded : ndarray
        Indices of the samples after the run-in.
    """

    easting: np.ndarray
    northing: np.ndarray
    upward: np.ndarray
    heading: np.ndarray
    elapsed: np.ndarray
    leg: np.ndarray
    recorded: np.ndarray


def follow(
    legs: list[Leg],
    surface: Drape,
    *,
    speed: float,
    interval: float,
    run_in: int,
    wander: float,
    rng: np.random.Generator,
) -> Track:
    """Fly the legs: sample positions in time, with the pilot's drift across, up and in speed.

    Parameters
    ----------
    legs : list of Leg
        As planned.
    surface : Drape
        Heights to fly.
    speed : float
        Nominal ground speed, m/s; it varies by about 2 % when there is wander.
    interval : float
        Seconds between samples.
    run_in : int
        Samples flown before each leg.
    wander : float
        Standard deviation of the drift across the line, metres; half of that upward. Zero flies
        perfect lines.
    rng : Generator
        Source of the drift.
    """
    step = speed * interval
    recorded = np.array([int(leg.length // step) + 1 for leg in legs])
    counts = recorded + run_in
    leg = np.repeat(np.arange(len(legs)), counts)
    sample = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) - run_in
    sideways, vertical, hurry = (_smooth(rng, len(leg), WANDER_LENGTH / step) for _ in range(3))
    # A phase error instead of a speed error keeps the leg's length: its slope stays within a few per cent.
    steady = 0.02 * WANDER_LENGTH if wander > 0 else 0.0
    along = sample * step + steady * hurry
    heading = np.array([x.heading for x in legs])[leg]
    along_e, along_n = np.sin(np.radians(heading)), np.cos(np.radians(heading))
    easting = np.array([x.easting for x in legs])[leg] + along * along_e + wander * sideways * along_n
    northing = np.array([x.northing for x in legs])[leg] + along * along_n - wander * sideways * along_e
    upward = surface.height(easting, northing) + wander / 2 * vertical
    return Track(easting, northing, upward, heading, sample * interval, leg, np.flatnonzero(sample >= 0))


def _smooth(rng: np.random.Generator, count: int, length: float) -> np.ndarray:
    """Draw smooth noise of unit standard deviation, cut softly at three, correlated over *length* samples."""
    white = rng.standard_normal(count)
    # White noise through a Gaussian filter keeps 1 / (2 sqrt(pi) sigma) of its variance.
    smooth = ndimage.gaussian_filter1d(white, length, mode="wrap") * np.sqrt(2 * np.sqrt(np.pi) * length)
    return 3.0 * np.tanh(smooth / 3.0)
