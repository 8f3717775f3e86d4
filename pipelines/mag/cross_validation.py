"""Depth and damping of a harmonic layer, chosen by leaving data out.

A layer that fits its own data well may still be wrong between the lines, and only there does the map
differ from the data. So data are held out in one or two windows of the survey, the layer is fitted to
the rest, and the pair is taken that predicts best what was held out. Two things are held out in turn:

*Pieces* of lines, as long as the lines are apart. The middle of a piece is half a spacing from the
nearest datum, as a cell midway between two lines is; this score ranks the pairs.

*Whole lines*, which tell what pieces cannot: how well neighbouring lines agree. With too little damping
the layer honours the small difference in level between two lines and prints it as stripes. So a damping
is allowed only if no heavier one predicts the left-out lines much better, in any window. As the score
itself whole lines would not do: they leave gaps of two spacings and ask for a layer far smoother than
the map needs (on a simulated survey of known field, one with six times the misfit).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.mag.blockreduce import Blocks, block_reduce
from pipelines.mag.equivalent_sources import fit_layer

DEPTHS = tuple(2.0 ** (i / 2) for i in range(-1, 5))  # of the line spacing: 0.71, 1, 1.41 … 4
# Down to noise of 1 % of the signal: less, lines do not agree; and the solve would take 200 steps and more.
DAMPINGS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
FIRST = (2, 2)  # where the search begins: 1.41 spacings, 1e-2
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
FALLBACK = (DEPTHS[FIRST[0]], DAMPINGS[FIRST[1]])
WINDOW = 20.0  # side of a window in line spacings: some twenty lines, of which five are held out
EVERY = 4  # one piece in so many is held out, beside pieces of the neighbouring lines that are not
SAME_TRACK = 0.3  # of the spacing: lines closer than this are one track, held out together
FEWEST_TRACKS = 5
FULL = 0.75  # a window must hold this share of the points of the fullest one
QUIET_AND_BUSY = (0.5, 0.9)  # quantiles of the windows' variability that are tried
TOLERANCE = 1e-3
MUCH_BETTER = 1.5  # stripes show from here on; the errors of whole lines scatter by some 10 %


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """The pair chosen, and what it was chosen by.

    Attributes
    ----------
    depth, damping : float
        Metres and variance ratio, as `equivalent_sources.fit_layer` takes them.
    score : float
        Root mean square error on the held-out pieces, in the data's units; NaN if none could be
        held out.
    relative : float
        The same over the data's standard deviation.
    lines : int
        Tracks of which pieces were held out.
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
    """Data to fit, data held out."""

    fitted: Blocks
    held: Blocks

    def error(self, depth: float, damping: float, lowest: float) -> float:
        """Root mean square error of the held-out data, predicted from the others."""
        fitted, held = self.fitted, self.held
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


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Part of a survey, split in the two ways."""

    pieces: _Split
    lines: _Split
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
    """Choose the depth and damping that predict left-out pieces of lines best.

    Parameters
    ----------
    easting, northing, upward, value : ndarray
        The survey's points, all finite.
    line : ndarray of int
        Line of every point.
    spacing : float
        Line spacing, metres; candidate depths are multiples of it.
    azimuth : float
        Direction of the lines, degrees from grid north; only pieces of lines near it are held out.
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
    windows = []
    for chosen in _windows(easting, northing, value, spacing, azimuth):
        points = (a[chosen] for a in (easting, northing, upward, value, line))
        if window := _hold_out(*points, spacing=spacing, azimuth=azimuth, block_size=block_size):
            windows.append(window)
    lowest = float(upward.min())
    if not windows:
        nan = float("nan")
        return LayerChoice(depths[start[0]], dampings[start[1]], nan, nan, 0, 0)

    @functools.cache
    def between_lines(i: int, j: int) -> np.ndarray:
        return np.array([w.lines.error(depths[i], dampings[j], lowest) for w in windows])

    @functools.cache
    def score(i: int, j: int) -> float:
        heavier = np.min([between_lines(i, k) for k in range(j + 1)], axis=0)
        if (between_lines(i, j) > MUCH_BETTER * heavier).any():
            return float("inf")
        errors = [w.pieces.error(depths[i], dampings[j], lowest) for w in windows]
        return float(np.sqrt(np.mean(np.square(errors))))

    best = _descend(score, (len(depths), len(dampings)), start)
    deviation = float(np.sqrt(np.mean([np.var(w.pieces.held.value) for w in windows])))
    return LayerChoice(
        depth=depths[best[0]],
        damping=dampings[best[1]],
        score=score(*best),
        relative=score(*best) / deviation if deviation > 0 else 0.0,
        lines=sum(w.tracks for w in windows),
        trials=score.cache_info().currsize,
    )


def _descend(
    cost: Callable[[int, int], float], shape: tuple[int, int], start: tuple[int, int]
) -> tuple[int, int]:
    """Walk to the lowest cost on a small table; *cost* remembers what it knows.

    Diagonal steps too: a deeper layer with less damping fits about as well, so the valley runs that way.
    """
    here, moved = start, True
    while moved:
        moved = False
        for rows, columns in STEPS:
            while True:
                there = (here[0] + rows, here[1] + columns)
                inside = 0 <= there[0] < shape[0] and 0 <= there[1] < shape[1]
                if not inside or cost(*there) >= cost(*here):
                    break
                here, moved = there, True
    return here


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
) -> _Window | None:
    """Hold out every fourth piece of each track, and every fourth track; None if there are too few."""
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
    track_of_line = np.zeros(names.size, dtype=np.int64)
    track_of_line[[number for _, number in candidates]] = track
    piece = np.floor(along / spacing).astype(np.int64)
    own = track_of_line[line]
    # Two pieces further on from one track to the next: no two held-out pieces lie side by side.
    held = (own > 0) & ((piece + (EVERY // 2) * own) % EVERY == 0)
    whole = (own > 1) & (own < tracks) & (own % EVERY == 3 % EVERY)
    if not (held.any() and whole.any()):
        return None

    def split(out: np.ndarray) -> _Split:
        parts = (
            block_reduce(easting[m], northing[m], value[m], upward=upward[m], size=block_size)
            for m in (~out, out)
        )
        return _Split(*parts)

    return _Window(split(held), split(whole), tracks)


def _turn(easting: np.ndarray, northing: np.ndarray, azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across lines of *azimuth* (degrees from grid north)."""
    sine, cosine = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    x, y = easting - easting.mean(), northing - northing.mean()
    return x * sine + y * cosine, x * cosine - y * sine
