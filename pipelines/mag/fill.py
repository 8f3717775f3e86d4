"""Filling holes by push-pull, so that any window of the grid is filled as the whole grid would be.

Averages of blocks of 2, 4, 8, 16, … cells are pushed up until a level has no hole; then each level
is pulled down again: a hole takes the coarser level's value, interpolated bilinearly, and a few
Jacobi sweeps towards the mean of its neighbours take off the edges (Gortler et al., 1996, section
3.4, for the pyramid). Blocks lie on one lattice that starts at the grid's first cell. From 16
cells up the pyramid is small and is made once for the grid; below, a window makes its own levels
from its own cells and a margin of `MARGIN`, beyond which nothing reaches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.errors import DataError
from pipelines.mag.padding import Plane

BLOCK = 16  # cells along the side of a block of the coarse pyramid's lowest level
SWEEPS = 4
# A value at level 2^l reaches 1 node by interpolation and SWEEPS nodes by relaxation, for
# l = 0 … 3, and one more node of 16 cells: (4 + 1)·(1 + 2 + 4 + 8) + 16 = 91, rounded up to blocks.
MARGIN = 6 * BLOCK


@dataclass(frozen=True)
class BlockSums:
    """Sums over the finite cells of each block of `BLOCK` × `BLOCK` cells.

    With x and y the row and the column of a cell within its block, and f its value.

    Attributes
    ----------
    count, f, x, y, xx, xy, yy, xf, yf : array
        Number of finite cells, and sums of these products over them.
    """

    count: NDArray[np.float64]
    f: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    xx: NDArray[np.float64]
    xy: NDArray[np.float64]
    yy: NDArray[np.float64]
    xf: NDArray[np.float64]
    yf: NDArray[np.float64]


@dataclass(frozen=True)
class Background:
    """What is left of the whole grid once its plane is known: the coarse pyramid's filled base.

    Attributes
    ----------
    plane : Plane
        Least-squares plane, see `fit_background`.
    residual : array or None
        Block means of the residuals, holes filled; None when no cell of the grid is missing.
    complete : array of bool
        Whether every cell of a block that lies in the grid is finite.
    """

    plane: Plane
    residual: NDArray[np.float64] | None
    complete: NDArray[np.bool_]

    def has_holes(self, rows: slice, columns: slice) -> bool:
        """Whether a window of the grid has a missing cell (to the block)."""
        blocks = tuple(slice(s.start // BLOCK, -(-s.stop // BLOCK)) for s in (rows, columns))
        return not bool(self.complete[blocks].all())


def block_sums(values: NDArray) -> BlockSums:
    """Sum a window whose first cell is the first cell of a block.

    Raises
    ------
    DataError
        If a value is infinite.
    """
    shape = tuple(-(-n // BLOCK) for n in values.shape)
    sums = np.zeros((len(BlockSums.__dataclass_fields__), *shape))
    _sum_blocks(values, sums)
    if not np.isfinite(sums).all():
        raise DataError("values of the grid", "infinite", "must be finite, or NaN where there is no data")
    return BlockSums(*sums)


def join_sums(parts: Sequence[Sequence[BlockSums]]) -> BlockSums:
    """Put the sums of the windows of a lattice together."""
    names = BlockSums.__dataclass_fields__
    return BlockSums(**{n: np.block([[getattr(p, n) for p in row] for row in parts]) for n in names})


def fit_background(sums: BlockSums, shape: tuple[int, int], spacing: tuple[float, float]) -> Background:
    """Fit the plane and fill the coarse pyramid.

    The plane is that of least squares through all finite cells. Its sums are those of blocks, in
    one order, and so do not depend on chunks.

    Parameters
    ----------
    sums : BlockSums
        Of the whole grid.
    shape, spacing : tuple
        Of the grid, ``(northing, easting)``, in cells and metres.

    Raises
    ------
    DataError
        If no cell is finite.
    """
    found = sums.count > 0
    if not found.any():
        raise DataError("values of the grid", "all NaN", "must contain at least one finite cell")
    plane = _fit_plane(sums, shape, spacing)
    count = np.where(found, sums.count, 1.0)
    x, y = np.indices(sums.count.shape) * BLOCK
    north = (x + sums.x / count - 0.5 * (shape[0] - 1)) * spacing[0]
    east = (y + sums.y / count - 0.5 * (shape[1] - 1)) * spacing[1]
    in_grid = [np.minimum(BLOCK, n - BLOCK * np.arange(-(-n // BLOCK))) for n in shape]
    complete = sums.count == np.outer(*in_grid)
    if complete.all():
        return Background(plane, None, complete)
    residual = sums.f / count - (plane.level + plane.northward * north + plane.eastward * east)
    weights = [np.where(found, sums.count, 0.0)]
    levels = [np.where(found, residual, 0.0)]
    while max(levels[-1].shape) > 1:
        level, weight = _push(levels[-1], weights[-1])
        levels.append(level)
        weights.append(weight)
    filled = levels.pop()
    weights.pop()
    while levels:
        filled = _pull(filled, levels.pop(), weights.pop())
    return Background(plane, filled, complete)


def fill_holes(residual: NDArray, start: tuple[int, int], base: NDArray[np.float64]) -> NDArray:
    """Fill the NaN cells of a window of residuals.

    Parameters
    ----------
    residual : array
        Residuals from the plane, NaN where there is no data. Values nearer than `MARGIN` to a
        side that is not the grid's own are not those of the whole grid and must be cut off.
    start : tuple of int
        The window's first cell, a multiple of `BLOCK` along each axis.
    base : array
        `Background.residual`.

    Returns
    -------
    array
        A new array of the same shape and dtype, without NaN.
    """
    shape = residual.shape
    blocks = [-(-n // BLOCK) for n in shape]
    level = np.full([b * BLOCK for b in blocks], np.nan, residual.dtype)
    level[: shape[0], : shape[1]] = residual
    weight = np.isfinite(level).astype(np.float64)
    level[weight == 0] = 0.0
    levels, weights = [level.astype(np.float64)], [weight]
    for _ in range(BLOCK.bit_length() - 2):
        level, weight = _push(levels[-1], weights[-1])
        levels.append(level)
        weights.append(weight)
    # One more node of the base on either side (or its edge repeated) for the interpolation.
    first = [s // BLOCK for s in start]
    index = [
        np.clip(np.arange(f - 1, f + b + 1), 0, n - 1)
        for f, b, n in zip(first, blocks, base.shape, strict=True)
    ]
    coarse = base[np.ix_(*index)]
    filled = _pull(coarse, levels.pop(), weights.pop(), offset=2)
    while levels:
        filled = _pull(filled, levels.pop(), weights.pop())
    return filled[: shape[0], : shape[1]].astype(residual.dtype)


def _fit_plane(sums: BlockSums, shape: tuple[int, int], spacing: tuple[float, float]) -> Plane:
    count, mean = sums.count.sum(), sums.f.sum() / sums.count.sum()
    # Sums over the grid from those over blocks, about the grid's centre; values about their mean.
    x, y = (n * BLOCK - 0.5 * (size - 1) for n, size in zip(np.indices(sums.count.shape), shape, strict=True))
    f = sums.f - mean * sums.count
    sum_x, sum_y = (x * sums.count + sums.x).sum(), (y * sums.count + sums.y).sum()
    xx = (x * (x * sums.count + 2 * sums.x) + sums.xx).sum() - sum_x * sum_x / count
    yy = (y * (y * sums.count + 2 * sums.y) + sums.yy).sum() - sum_y * sum_y / count
    xy = (x * (y * sums.count + sums.y) + y * sums.x + sums.xy).sum() - sum_x * sum_y / count
    xf = (x * f + sums.xf - mean * sums.x).sum()
    yf = (y * f + sums.yf - mean * sums.y).sum()
    # Minimum norm: finite cells along one line fix one slope only, and the other is zero.
    per_row, per_column = np.linalg.lstsq(np.array([[xx, xy], [xy, yy]]), np.array([xf, yf]), rcond=1e-12)[0]
    level = mean - (per_row * sum_x + per_column * sum_y) / count
    return Plane(float(level), float(per_row / spacing[0]), float(per_column / spacing[1]))


def _push(level: NDArray, weight: NDArray) -> tuple[NDArray, NDArray]:
    """Average 2 × 2 nodes, by weight."""
    pad = [(0, n % 2) for n in level.shape]
    level, weight = np.pad(level, pad), np.pad(weight, pad)
    total, product = np.zeros((2, level.shape[0] // 2, level.shape[1] // 2))
    for i, j in np.ndindex(2, 2):
        total += weight[i::2, j::2]
        product += weight[i::2, j::2] * level[i::2, j::2]
    return np.divide(product, total, out=np.zeros_like(product), where=total > 0), total


def _pull(coarse: NDArray, level: NDArray, weight: NDArray, offset: int = 0) -> NDArray:
    """Fill the nodes without weight from *coarse*, whose node 0 starts *offset* nodes earlier."""
    holes = np.argwhere(weight == 0)
    filled = level.copy()
    if holes.size:
        _interpolate(coarse, offset, holes, filled)
        _relax(holes, filled, SWEEPS)
    return filled


@njit(cache=True, nogil=True)
def _sum_blocks(values: NDArray, sums: NDArray) -> None:
    rows, columns = values.shape
    for i in range(rows):
        block, x = i // BLOCK, float(i % BLOCK)
        for j in range(columns):
            f = float(values[i, j])
            if f == f:
                y = float(j % BLOCK)
                here = sums[:, block, j // BLOCK]
                here[0] += 1.0
                here[1] += f
                here[2] += x
                here[3] += y
                here[4] += x * x
                here[5] += x * y
                here[6] += y * y
                here[7] += x * f
                here[8] += y * f


@njit(cache=True, nogil=True)
def _interpolate(coarse: NDArray, offset: int, holes: NDArray, filled: NDArray) -> None:
    n, m = coarse.shape
    for h in range(holes.shape[0]):
        i, j = holes[h, 0], holes[h, 1]
        y, x = (i + offset) * 0.5 - 0.25, (j + offset) * 0.5 - 0.25
        iy, ix = int(np.floor(y)), int(np.floor(x))
        fy, fx = y - iy, x - ix
        i0, i1 = min(max(iy, 0), n - 1), min(max(iy + 1, 0), n - 1)
        j0, j1 = min(max(ix, 0), m - 1), min(max(ix + 1, 0), m - 1)
        filled[i, j] = (1 - fy) * ((1 - fx) * coarse[i0, j0] + fx * coarse[i0, j1]) + fy * (
            (1 - fx) * coarse[i1, j0] + fx * coarse[i1, j1]
        )


@njit(cache=True, nogil=True)
def _relax(holes: NDArray, filled: NDArray, sweeps: int) -> None:
    n, m = filled.shape
    smoothed = np.empty(holes.shape[0])
    for _ in range(sweeps):
        for h in range(holes.shape[0]):
            i, j = holes[h, 0], holes[h, 1]
            smoothed[h] = 0.25 * (
                filled[max(i - 1, 0), j]
                + filled[min(i + 1, n - 1), j]
                + filled[i, max(j - 1, 0)]
                + filled[i, min(j + 1, m - 1)]
            )
        for h in range(holes.shape[0]):
            filled[holes[h, 0], holes[h, 1]] = smoothed[h]
