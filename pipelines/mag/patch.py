r"""A smooth field over a survey: exact at a few nodes, a polynomial between them.

The main field changes slowly, so its intensity over a survey is a low polynomial in projected
position, height and time. `fit` samples an exact function at Chebyshev nodes, splits easting and
northing into more pieces (and raises the degree in height and time) until the polynomial is good,
then drops the terms that do not count. The truncation error of a Chebyshev series is bounded by the
sum of the coefficients left out (Trefethen, 2013, chapter 8), which gives the criterion; exact
values between the nodes give the error that is reported.

Fitting in projected coordinates is what makes it fast: the map projection is needed at the nodes
alone and is part of what the polynomial approximates.

References
----------
Trefethen, L. N. (2013). Approximation Theory and Approximation Practice. SIAM.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.errors import ParameterError
from pipelines.mag.field import FloatArray

Sampler = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
Extent = tuple[float, float]

POSITION_DEGREE = 4
LARGEST_DEGREE = 12  # in height and time; the main field within the atmosphere needs 2 or 3
MOST_PIECES = 4096
CHECKS = np.array([-0.93, -0.41, 0.0, 0.47, 0.97])  # off the nodes, near the ends


@dataclass(frozen=True, eq=False)
class Patch:
    """Piecewise polynomial in easting, northing, upward and time.

    Attributes
    ----------
    breaks : tuple of four arrays
        Ends of the pieces along each coordinate, ascending.
    terms : ndarray
        Shape (terms, 4): Chebyshev degrees along the coordinates.
    coefficients : ndarray
        Shape (pieces e, pieces n, pieces u, pieces t, terms).
    error : float
        Largest difference from the exact function at the check points of all pieces.
    """

    breaks: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    terms: NDArray[np.int64]
    coefficients: FloatArray
    error: float

    def __call__(
        self, easting: FloatArray, northing: FloatArray, upward: FloatArray, time: FloatArray
    ) -> FloatArray:
        """Evaluate at flat arrays of points (arrays of one value stand for all); NaN stays NaN.

        Points outside the fitted extent are the caller's mistake: there the polynomial runs on.
        """
        e, n, u, t = (np.ascontiguousarray(a, dtype=float) for a in (easting, northing, upward, time))
        out = np.empty(max(e.size, n.size, u.size, t.size))
        ends_e, ends_n, ends_u, ends_t = self.breaks
        _evaluate(e, n, u, t, ends_e, ends_n, ends_u, ends_t, self.terms, self.coefficients, out)
        return out


def fit(
    sample: Sampler, extents: tuple[Extent, Extent, Extent], times: FloatArray, tolerance: float
) -> Patch:
    """Fit a patch to an exact function.

    Parameters
    ----------
    sample : callable
        ``sample(easting, northing, upward, time)`` of flat arrays, exact.
    extents : three pairs
        Lowest and highest easting, northing and upward.
    times : ndarray
        Ends of the intervals in which the function is smooth in time, ascending; two equal ends
        for one moment.
    tolerance : float
        Largest error wanted at the check points, in the function's units.

    Raises
    ------
    ParameterError
        If it takes more than `MOST_PIECES` pieces.
    """
    ends = [np.array(pair, dtype=float) for pair in extents] + [np.asarray(times, dtype=float)]
    degrees = [POSITION_DEGREE, POSITION_DEGREE, 2, 2]
    for axis, end in enumerate(ends):
        if end[-1] == end[0]:
            degrees[axis] = 0
    while True:
        series = _series(sample, ends, degrees)
        tails = _tails(series, degrees)
        worst = int(np.argmax(tails))
        error = _error(sample, ends, degrees, series) if tails[worst] <= tolerance / 4 else math.inf
        if error <= tolerance / 2:
            break
        if worst < 2 or degrees[worst] >= LARGEST_DEGREE:
            pieces = 2 * (ends[worst].size - 1)
            ends[worst] = np.linspace(ends[worst][0], ends[worst][-1], pieces + 1)
        else:
            degrees[worst] += 1
        if math.prod(end.size - 1 for end in ends) > MOST_PIECES:
            raise ParameterError(
                "survey", "its extent", f"is too large for {tolerance} nT; split the survey into regions"
            )
    terms, coefficients = _drop(series, tolerance / 4)
    patch = Patch((ends[0], ends[1], ends[2], ends[3]), terms, coefficients, 0.0)
    return Patch(patch.breaks, terms, coefficients, _patch_error(sample, patch))


def _series(sample: Sampler, ends: list[FloatArray], degrees: list[int]) -> FloatArray:
    """Chebyshev coefficients, shape (pieces along each axis, degree + 1 along each axis)."""
    nodes = [np.cos(np.pi * (np.arange(d + 1) + 0.5) / (d + 1)) for d in degrees]
    values = _on_lattice(sample, ends, nodes)
    for axis, degree in enumerate(degrees):
        j = np.arange(degree + 1)
        transform = 2 / (degree + 1) * np.cos(np.pi * j[:, None] * (j + 0.5) / (degree + 1))
        transform[0] /= 2
        values = np.moveaxis(np.tensordot(transform, values, (1, 4 + axis)), 0, 4 + axis)
    return values


def _on_lattice(sample: Sampler, ends: list[FloatArray], local: list[FloatArray]) -> FloatArray:
    """Sample every piece at the lattice of *local* positions in [-1, 1]."""
    axes = [
        (end[:-1, None] + end[1:, None]) / 2 + (end[1:, None] - end[:-1, None]) / 2 * x
        for end, x in zip(ends, local, strict=True)
    ]
    shape = tuple(a.shape[0] for a in axes) + tuple(a.shape[1] for a in axes)
    spread = []
    for axis, positions in enumerate(axes):
        sides = [1] * 8
        sides[axis], sides[4 + axis] = positions.shape
        spread.append(np.broadcast_to(positions.reshape(sides), shape).ravel())
    return sample(*spread).reshape(shape)


def _tails(series: FloatArray, degrees: list[int]) -> list[float]:
    """Along each axis, the largest sum over a piece of the coefficients of the highest degree."""
    out = []
    for axis, degree in enumerate(degrees):
        top = np.abs(np.take(series, degree, axis=4 + axis))
        out.append(float(top.sum(axis=(4, 5, 6)).max()) if degree else 0.0)
    return out


def _error(sample: Sampler, ends: list[FloatArray], degrees: list[int], series: FloatArray) -> float:
    terms = np.array(list(itertools.product(*(range(d + 1) for d in degrees))))
    coefficients = np.ascontiguousarray(series.reshape(*series.shape[:4], -1))
    return _patch_error(sample, Patch((ends[0], ends[1], ends[2], ends[3]), terms, coefficients, 0.0))


def _patch_error(sample: Sampler, patch: Patch) -> float:
    collected: list[FloatArray] = []

    def keep(*points: FloatArray) -> FloatArray:
        collected.append(np.abs(patch(*points) - sample(*points)))
        return collected[-1]

    checks = [CHECKS if end[-1] > end[0] else np.zeros(1) for end in patch.breaks]
    _on_lattice(keep, list(patch.breaks), checks)
    return float(collected[0].max())


def _drop(series: FloatArray, allowance: float) -> tuple[NDArray[np.int64], FloatArray]:
    """Leave out the smallest terms while they sum to less than *allowance* in every piece."""
    orders = np.array(list(itertools.product(*(range(d) for d in series.shape[4:]))))
    flat = series.reshape(*series.shape[:4], -1)
    size = np.abs(flat).max(axis=(0, 1, 2, 3))
    ascending = np.argsort(size)
    kept = np.sort(ascending[np.cumsum(size[ascending]) > allowance])
    return orders[kept], np.ascontiguousarray(flat[..., kept])


@njit(cache=True, nogil=True, error_model="numpy")
def _locate(x: float, ends: FloatArray) -> tuple[int, float]:
    """Piece that holds x and position within it in [-1, 1]."""
    piece = 0
    while piece < ends.size - 2 and x > ends[piece + 1]:
        piece += 1
    width = ends[piece + 1] - ends[piece]
    return piece, (2.0 * (x - ends[piece]) / width - 1.0 if width > 0.0 else 0.0 * x)


@njit(cache=True, nogil=True, error_model="numpy")
def _chebyshev(x: float, values: FloatArray) -> None:
    values[0] = 1.0
    if values.size > 1:
        values[1] = x
    for i in range(2, values.size):
        values[i] = 2.0 * x * values[i - 1] - values[i - 2]


@njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(
    easting: FloatArray,
    northing: FloatArray,
    upward: FloatArray,
    time: FloatArray,
    ends_e: FloatArray,
    ends_n: FloatArray,
    ends_u: FloatArray,
    ends_t: FloatArray,
    terms: NDArray[np.int64],
    coefficients: FloatArray,
    out: FloatArray,
) -> None:
    t_e = np.empty(terms[:, 0].max() + 1)
    t_n = np.empty(terms[:, 1].max() + 1)
    t_u = np.empty(terms[:, 2].max() + 1)
    t_t = np.empty(terms[:, 3].max() + 1)
    step_e, step_n = int(easting.size > 1), int(northing.size > 1)
    step_u, step_t = int(upward.size > 1), int(time.size > 1)
    for i in range(out.size):
        e, x = _locate(easting[i * step_e], ends_e)
        n, y = _locate(northing[i * step_n], ends_n)
        u, z = _locate(upward[i * step_u], ends_u)
        t, s = _locate(time[i * step_t], ends_t)
        if not math.isfinite(x + y + z + s):
            out[i] = np.nan
            continue
        _chebyshev(x, t_e)
        _chebyshev(y, t_n)
        _chebyshev(z, t_u)
        _chebyshev(s, t_t)
        total = 0.0
        for k in range(terms.shape[0]):
            total += (
                coefficients[e, n, u, t, k]
                * (t_e[terms[k, 0]] * t_n[terms[k, 1]])
                * (t_u[terms[k, 2]] * t_t[terms[k, 3]])
            )
        out[i] = total
