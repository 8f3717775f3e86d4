"""Sums with a Gaussian along one axis, as products of small dense blocks of a banded matrix."""

import numpy as np
from numpy.typing import NDArray

REACH = 6.5  # standard deviations; the Gaussian beyond is exp(−21) = 7e-10 of its peak
GROUP = 32  # outputs a block: the fewer, the less of a block lies outside the band


def support(sigma: float) -> int:
    """Cells to which a Gaussian of *sigma* cells reaches."""
    return int(np.ceil(REACH * sigma))


def gaussian_sums(
    values: NDArray, at: NDArray[np.int64], to: NDArray[np.int64], sigma: float, axis: int
) -> NDArray[np.float64]:
    """Sum *values*, weighted by a Gaussian of the distance, at other positions of an axis.

    Parameters
    ----------
    values : array, shape (n, m)
        Values.
    at : array of int
        Their ascending positions along *axis*.
    to : array of int
        Ascending positions of the sums.
    sigma : float
        Standard deviation; the Gaussian has unit integral.
    axis : {0, 1}
        Axis of the sums.

    Returns
    -------
    array of float64
        Like *values*, with as many entries along *axis* as *to*.
    """
    reach = support(sigma)
    shape = (to.size, values.shape[1]) if axis == 0 else (values.shape[0], to.size)
    sums = np.empty(shape)
    for start in range(0, to.size, GROUP):
        group = to[start : start + GROUP]
        near = slice(
            int(np.searchsorted(at, group[0] - reach)), int(np.searchsorted(at, group[-1] + reach + 1))
        )
        distance = group[:, None] - at[near]
        matrix = np.exp(-0.5 * (distance / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        if axis == 0:
            np.matmul(matrix, values[near].astype(np.float64, copy=False), out=sums[start : start + GROUP])
        else:
            part = values[:, near].astype(np.float64, copy=False)
            sums[:, start : start + GROUP] = part @ matrix.T
    return sums
