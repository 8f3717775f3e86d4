"""Depth and damping of a harmonic layer, chosen by leaving lines out.

A layer that fits its own data well may still be wrong between the lines, and only there does the map
differ from the data. So whole lines are held out in one or two windows of the survey, the layer is
fitted to the rest, and the pair is taken that predicts the held-out lines best. A held-out line
leaves a gap of two spacings, so the score is pessimistic; it ranks the candidates all the same.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.mag.blockreduce import Blocks, block_reduce
from pipelines.mag.equivalent_sources import fit_layer

DEPTHS = tuple(2.0 ** (i / 2) for i in range(-2, 5))  # of the line spacing: 0.5, 0.71, 1 … 4
DAMPINGS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FIRST = (3, 2)  # where the search begins: 1.41 spacings, 1e-2
FALLBACK = (DEPTHS[FIRST[0]], DAMPINGS[FIRST[1]])
WINDOW = 20.0  # side of a window in line spacings: some twenty lines, of which five are held out
EVERY = 4  # one line in so many is held out
SAME_TRACK = 0.3  # of the spacing: lines closer than this are one track, held out together
FEWEST_TRACKS = 5
FULL = 0.75  # a window must hold this share of the points of the fullest one
QUIET_AND_BUSY = (0.5, 0.9)  # quantiles of the windows' variability that are tried
TOLERANCE = 1e-3
AS_GOOD = 1.1  # the errors of neighbouring pairs on other windows differ by about a tenth


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """The pair chosen, and what it was chosen by.

    Attributes
    ----------
    depth, damping : float
        Metres and variance ratio, as `equivalent_sources.fit_layer` takes them.
    score : float
        Root mean square error on the held-out lines, in the data's units; NaN if no line could be
        held out.
    relative : float
        The same over the data's standard deviation in each window (geometric mean of windows).
    lines : int
        Tracks held out.
    trials : int
        Pairs tried.
    """

    depth: float
    damping: float
    score: float
    relative: float
    lines: int
    trials: int


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    """One window: data to fit, data held out."""

    fitted: Blocks
    held: Blocks
    tracks: int


def choose_layer(
    easting: np.ndarray,
    northing: np.ndarray,
    upward: np.ndarray,
    value: np.ndarray,
    line: np.ndarray,
    *,
    spacing: float,
    azimuth: float,
    block_size: float,
    depth: float | None = None,
    damping: float | None = None,
) -> LayerChoice:
    """Choose the depth and damping that predict left-out lines best.

    Parameters
    ----------
    easting, northing, upward, value : ndarray
        The survey's points, all finite.
    line : ndarray of int
        Line of every point.
    spacing : float
        Line spacing, metres; candidate depths are multiples of it.
    azimuth : float
        Direction of the lines, degrees from grid north; only lines near it are held out.
    block_size : float
        Side of the blocks to which data are averaged first, metres.
    depth, damping : float, optional
        Given: kept, and only the other is chosen.

    Returns
    -------
    LayerChoice
        With fewer than five parallel tracks in every window nothing can be held out: then the depth
        is 1.41 spacings and the damping 1e-2, and the score is NaN.
    """
    depths = [f * spacing for f in DEPTHS] if depth is None else [depth]
    dampings = list(DAMPINGS) if damping is None else [damping]
    start = (min(FIRST[0], len(depths) - 1), min(FIRST[1], len(dampings) - 1))
    windows = _windows(easting, northing, value, spacing, azimuth)
    splits = []
    for window in windows:
        points = (a[window] for a in (easting, northing, upward, value, line))
        if split := _hold_out(*points, spacing=spacing, azimuth=azimuth, block_size=block_size):
            splits.append(split)
    lowest = float(upward.min())
    if not splits:
        nan = float("nan")
        return LayerChoice(depths[start[0]], dampings[start[1]], nan, nan, 0, 0)

    def errors(i: int, j: int) -> np.ndarray:
        return np.array([_held_out_error(s, depths[i], dampings[j], lowest) for s in splits])

    deviations = np.array([max(float(np.std(s.held.value)), 1e-300) for s in splits])
    relative = functools.cache(
        lambda i, j: float(np.exp(np.mean(np.log(np.maximum(errors(i, j), 1e-300) / deviations))))
    )
    best = _descend(relative, (len(depths), len(dampings)), start)
    limit = AS_GOOD * relative(*best)
    # The gap left by a held-out line is twice the real one, which favours damping. So of the pairs
    # that are as good, give or take, the one that honours the data most is taken.
    while best[1] + 1 < len(dampings):
        closer = (best[0], best[1] + 1)
        if relative(*closer) > limit:
            break
        best = closer
    final = errors(*best)
    return LayerChoice(
        depth=depths[best[0]],
        damping=dampings[best[1]],
        score=float(np.sqrt(np.mean(final**2))),
        relative=relative(*best),
        lines=sum(s.tracks for s in splits),
        trials=relative.cache_info().currsize,
    )


def _descend(
    cost: Callable[[int, int], float], shape: tuple[int, int], start: tuple[int, int]
) -> tuple[int, int]:
    """Walk to the lowest cost on a small table, one axis at a time; *cost* remembers what it knows."""
    here, moved = start, True
    while moved:
        moved = False
        for axis, step in itertools.product((0, 1), (1, -1)):
            while True:
                there = (here[0] + step, here[1]) if axis == 0 else (here[0], here[1] + step)
                if not 0 <= there[axis] < shape[axis] or cost(*there) >= cost(*here):
                    break
                here, moved = there, True
    return here


def _held_out_error(split: _Split, depth: float, damping: float, lowest: float) -> float:
    fitted, held = split.fitted, split.held
    layer = fit_layer(
        fitted.easting,
        fitted.northing,
        fitted.upward,
        fitted.value,
        depth=depth,
        damping=damping,
        lowest=lowest,
        extent=(held.easting.min(), held.northing.min(), held.easting.max(), held.northing.max()),
        tolerance=TOLERANCE,
    )
    predicted = layer.predict(held.easting, held.northing, held.upward)
    return float(np.sqrt(np.mean((predicted - held.value) ** 2)))


def _windows(
    easting: np.ndarray, northing: np.ndarray, value: np.ndarray, spacing: float, azimuth: float
) -> list[np.ndarray]:
    """Return the points of one or two windows: of middling and of high variability."""
    along, across = _turn(easting, northing, azimuth)
    tile, count = np.zeros(along.size, dtype=np.int64), 1
    for position in (along, across):
        low, extent = position.min(), np.ptp(position)
        pieces = max(1, round(extent / (WINDOW * spacing)))
        index = np.minimum(((position - low) * (pieces / max(extent, 1e-300))).astype(np.int64), pieces - 1)
        tile, count = tile * pieces + index, count * pieces
    points = np.bincount(tile, minlength=count)
    safe = np.maximum(points, 1)
    centred = value - value.mean()
    mean = np.bincount(tile, centred, minlength=count) / safe
    variance = np.bincount(tile, centred**2, minlength=count) / safe - mean**2
    full = np.flatnonzero(points >= FULL * points.max())
    ranked = full[np.argsort(variance[full], kind="stable")]
    chosen = {int(ranked[round(q * (ranked.size - 1))]) for q in QUIET_AND_BUSY}
    return [np.flatnonzero(tile == t) for t in sorted(chosen)]


def _hold_out(
    easting: np.ndarray,
    northing: np.ndarray,
    upward: np.ndarray,
    value: np.ndarray,
    line: np.ndarray,
    *,
    spacing: float,
    azimuth: float,
    block_size: float,
) -> _Split | None:
    """Split a window's points into those to fit and every fourth track; None if there are too few."""
    along, across = _turn(easting, northing, azimuth)
    side = np.ptp(along)
    names, line = np.unique(line, return_inverse=True)
    candidates: list[tuple[float, int]] = []
    for number in range(names.size):
        own = line == number
        length, width = np.ptp(along[own]), np.ptp(across[own])
        if length >= 0.5 * side and width <= 0.3 * length:
            candidates.append((float(np.median(across[own])), number))
    candidates.sort()
    track = np.cumsum(np.diff([c[0] for c in candidates], prepend=-np.inf) > SAME_TRACK * spacing)
    tracks = int(track[-1]) if candidates else 0
    if tracks < FEWEST_TRACKS:
        return None
    held_tracks = range(2, tracks, EVERY) if tracks > EVERY + 1 else (3,)
    held_lines = [c[1] for c, t in zip(candidates, track, strict=True) if t in held_tracks]
    held = np.isin(line, held_lines)
    fitted, out = (
        block_reduce(easting[m], northing[m], value[m], upward=upward[m], size=block_size)
        for m in (~held, held)
    )
    return _Split(fitted, out, len(held_tracks))


def _turn(easting: np.ndarray, northing: np.ndarray, azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across lines of *azimuth* (degrees from grid north)."""
    sine, cosine = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    x, y = easting - easting.mean(), northing - northing.mean()
    return x * sine + y * cosine, x * cosine - y * sine
