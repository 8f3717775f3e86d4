"""The padded field: what a Fourier transform of a grid sees, as a definition that knows no chunks.

A grid is not periodic and a Fourier transform is. So the least-squares plane is taken off, holes
are filled (see `fill`), the result is mirrored outwards and a cosine taper brings the mirrored
part to zero, where it meets its own periodic image. Each value of this field depends only on the
grid, never on how the grid is chunked or which part of it is asked for: the whole-grid transform
reads all of it, a tile reads a window, and both get the same numbers.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.fft import next_fast_len

DECIMATION = 8  # cells per node of the coarse grid of `split`; every padded length is a multiple of it
SHORTEST_PAD, LONGEST_PAD = 64, 512  # cells
TAPERED = 0.75  # share of the pad under the cosine; the rest is zero and keeps periodic images apart


@dataclass(frozen=True, slots=True)
class PaddedAxis:
    """One axis of the padded field; positions count cells from the first data cell.

    Attributes
    ----------
    size : int
        Data cells, at positions ``0 … size − 1``.
    before : int
        Padding cells in front of them.
    length : int
        Length of the padded axis, which is its period.
    """

    size: int
    before: int
    length: int

    @classmethod
    def of(cls, size: int) -> Self:
        """Choose the padding of an axis from its size alone.

        An eighth of the axis on either side (64 to 512 cells), then as much behind as makes the
        length a multiple of `DECIMATION` and a product of small primes.
        """
        pad = min(max(-(-size // (8 * DECIMATION)) * DECIMATION, SHORTEST_PAD), LONGEST_PAD)
        length = DECIMATION * next_fast_len(-(-(size + 2 * pad) // DECIMATION), real=True)
        return cls(size, pad, length)

    def source(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the data cell that each position mirrors, and the taper's weight there."""
        wrapped = (np.asarray(positions) + self.before) % self.length - self.before
        distance = np.maximum(np.maximum(-wrapped, wrapped - self.size + 1), 0)
        width = int(TAPERED * self.before)
        weight = np.where(distance <= width, 0.5 + 0.5 * np.cos(np.pi * distance / (width + 1)), 0.0)
        folded = np.mod(wrapped, 2 * self.size)
        return np.where(folded < self.size, folded, 2 * self.size - 1 - folded), weight


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane about the grid's centre.

    Attributes
    ----------
    level : float
        Value at the centre, in the field's unit.
    northward, eastward : float
        Slopes, in the field's unit per metre.
    """

    level: float = 0.0
    northward: float = 0.0
    eastward: float = 0.0

    @property
    def is_zero(self) -> bool:
        """Whether there is nothing to add."""
        return self.level == self.northward == self.eastward == 0.0

    def on(
        self, rows: slice, columns: slice, shape: tuple[int, int], spacing: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Return the plane's values on a window of a grid."""
        north = (np.arange(rows.start, rows.stop) - 0.5 * (shape[0] - 1)) * spacing[0]
        east = (np.arange(columns.start, columns.stop) - 0.5 * (shape[1] - 1)) * spacing[1]
        return (self.level + self.northward * north)[:, None] + self.eastward * east


@dataclass(frozen=True)
class Window:
    """A rectangle of the padded field, gathered row block by row block.

    Attributes
    ----------
    values : array, shape (n, m)
        The cells that the window mirrors: raw, or filled residuals when the plane is zero.
    plane : tuple of float
        ``constant, per row, per column`` of *values*, subtracted while gathering.
    rows, columns : tuple of arrays
        Index into *values* and weight of every row and column of the window.
    """

    values: NDArray
    plane: tuple[float, float, float]
    rows: tuple[NDArray[np.int64], NDArray[np.float64]]
    columns: tuple[NDArray[np.int64], NDArray[np.float64]]

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the window."""
        return self.rows[0].size, self.columns[0].size

    def gather(self, start: int, stop: int, out: NDArray) -> NDArray:
        """Write rows *start* to *stop* of the window into *out* and return it."""
        (row, row_weight), (column, column_weight) = self.rows, self.columns
        _gather(self.values, *self.plane, row[start:stop], row_weight[start:stop], column, column_weight, out)
        return out


@njit(cache=True, nogil=True)
def _gather(
    values: NDArray,
    constant: float,
    per_row: float,
    per_column: float,
    row: NDArray,
    row_weight: NDArray,
    column: NDArray,
    column_weight: NDArray,
    out: NDArray,
) -> None:
    for i in range(row.size):
        source, base, weight = row[i], constant + per_row * row[i], row_weight[i]
        if weight == 0.0:
            out[i, :] = 0.0
            continue
        for j in range(column.size):
            c = column[j]
            out[i, j] = (values[source, c] - (base + per_column * c)) * (weight * column_weight[j])
