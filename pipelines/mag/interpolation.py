"""Between grid nodes and scattered points: cubic B-spline rows, and their adjoint.

A field is carried by coefficients on a regular grid of cells; at a point it is the sum over the
4 x 4 nodes around it, weighted by the cubic B-spline. Compared with cubic Lagrange rows of the same
cost the result is smooth (two continuous derivatives) and, for a given spacing, an order of
magnitude closer: the B-spline's own filter (`spline_symbol`) is divided out where the coefficients
are made, in the wavenumber domain, at no cost. Reference: Unser (1999), IEEE Signal Processing
Magazine 16(6), 22-38.

Several grids at different heights are combined with per-point weights, which is how a field on a
draped surface is read from a stack of level ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit

from pipelines.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Rows:
    """Where points lie in a grid, and how much each level of a stack counts for them.

    Attributes
    ----------
    row, column : ndarray of int32
        South-west node of the cell around each point.
    up, right : ndarray
        Fraction of a cell from that node northward and eastward, 0 to 1.
    level : ndarray, shape (points, levels)
        Weight of each level at each point.
    """

    row: np.ndarray
    column: np.ndarray
    up: np.ndarray
    right: np.ndarray
    level: np.ndarray


def rows_at(
    row: np.ndarray, column: np.ndarray, shape: tuple[int, int], level: np.ndarray | None = None
) -> Rows:
    """Locate points given in units of cells.

    Parameters
    ----------
    row, column : ndarray
        Position counted in cells from the first node.
    shape : (int, int)
        Nodes of the grid, rows and columns.
    level : ndarray, shape (points, levels), optional
        Weights of the levels; one level of weight one if absent.

    Raises
    ------
    ParameterError
        If a point has no full 4 x 4 surrounding in the grid.
    """
    row, column = np.asarray(row, dtype=float).ravel(), np.asarray(column, dtype=float).ravel()
    i, j = np.floor(row).astype(np.int32), np.floor(column).astype(np.int32)
    if row.size and (i.min() < 1 or j.min() < 1 or i.max() > shape[0] - 3 or j.max() > shape[1] - 3):
        raise ParameterError("points", row.size, "must lie within the layer, two cells from its edge")
    weights = np.ones((row.size, 1)) if level is None else np.ascontiguousarray(level, dtype=float)
    return Rows(i, j, row - i, column - j, weights)


def gather(stack: Iterable[np.ndarray], rows: Rows) -> np.ndarray:
    """Evaluate a stack of coefficient grids, one a level, at points."""
    out = np.zeros(rows.row.size)
    for index, grid in enumerate(stack):
        _gather(grid, rows.row, rows.column, rows.up, rows.right, rows.level[:, index], out)
    return out


def scatter(values: np.ndarray, rows: Rows, level: int, out: np.ndarray) -> np.ndarray:
    """Add the adjoint of `gather` for one level of the stack to *out*, shape (rows, columns)."""
    _scatter(values, rows.row, rows.column, rows.up, rows.right, rows.level[:, level], out)
    return out


def spline_symbol(phase: np.ndarray) -> np.ndarray:
    """Fourier transform of the sampled cubic B-spline, (2 + cos phase) / 3, phase in radians a cell."""
    return (2.0 + np.cos(phase)) / 3.0


@njit(cache=True, nogil=True, inline="always")
def _spline(t):  # type: ignore[no-untyped-def]
    """Cubic B-spline weights of the nodes -1, 0, 1, 2 for a point at fraction *t* of the cell 0..1."""
    s = 1.0 - t
    return (
        s * s * s / 6.0,
        2.0 / 3.0 - 0.5 * t * t * (2.0 - t),
        2.0 / 3.0 - 0.5 * s * s * (2.0 - s),
        t * t * t / 6.0,
    )


@njit(cache=True, nogil=True)
def _gather(grid, row, column, up, right, level, out):  # type: ignore[no-untyped-def]
    for p in range(row.size):
        i, j = row[p] - 1, column[p] - 1
        y0, y1, y2, y3 = _spline(up[p])
        x0, x1, x2, x3 = _spline(right[p])
        a = x0 * grid[i, j] + x1 * grid[i, j + 1] + x2 * grid[i, j + 2] + x3 * grid[i, j + 3]
        i += 1
        b = x0 * grid[i, j] + x1 * grid[i, j + 1] + x2 * grid[i, j + 2] + x3 * grid[i, j + 3]
        i += 1
        c = x0 * grid[i, j] + x1 * grid[i, j + 1] + x2 * grid[i, j + 2] + x3 * grid[i, j + 3]
        i += 1
        d = x0 * grid[i, j] + x1 * grid[i, j + 1] + x2 * grid[i, j + 2] + x3 * grid[i, j + 3]
        out[p] += level[p] * (y0 * a + y1 * b + y2 * c + y3 * d)


@njit(cache=True, nogil=True)
def _scatter(values, row, column, up, right, level, out):  # type: ignore[no-untyped-def]
    for p in range(row.size):
        i, j = row[p] - 1, column[p] - 1
        x0, x1, x2, x3 = _spline(right[p])
        v = values[p] * level[p]
        for y in _spline(up[p]):
            w = v * y
            out[i, j] += w * x0
            out[i, j + 1] += w * x1
            out[i, j + 2] += w * x2
            out[i, j + 3] += w * x3
            i += 1
