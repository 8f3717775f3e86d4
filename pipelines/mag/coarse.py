"""The two halves of a split kernel, and the coarse grid of the smooth one (see `split`)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from pipelines.mag.banded import support
from pipelines.mag.kernels import Kernel
from pipelines.mag.padded_field import Layout
from pipelines.mag.padding import DECIMATION, Plane

SPLIT_CELLS = 16  # s, in cells of the coarser axis


@dataclass(frozen=True, slots=True)
class Low(Kernel):
    """K G / A²: what the coarse grid is multiplied by. Widths in metres, northing and easting."""

    kernel: Kernel
    width: float
    sigma: tuple[float, float]

    @property
    @override
    def isotropic(self) -> bool:
        return self.kernel.isotropic and self.sigma[0] == self.sigma[1]

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        square = (radial * self.width) ** 2
        answer = (north * self.sigma[0]) ** 2 + (east * self.sigma[1]) ** 2
        # Both exponents are never positive: σ is at most s/√2.
        lowpass = 2.0 * np.exp(answer - 0.5 * square) - np.exp(answer - square)
        return self.kernel(east, north, radial) * lowpass

    @override
    def on_plane(self, plane: Plane) -> Plane:
        return self.kernel.on_plane(plane)


@dataclass(frozen=True, slots=True)
class High(Kernel):
    """K (1 − G): what a tile is multiplied by. Width in metres."""

    kernel: Kernel
    width: float

    @property
    @override
    def isotropic(self) -> bool:
        return self.kernel.isotropic

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        highpass = np.expm1(-0.5 * (radial * self.width) ** 2)
        return self.kernel(east, north, radial) * (highpass * highpass)

    @override
    def on_plane(self, plane: Plane) -> Plane:
        return self.kernel.on_plane(plane)


@dataclass(frozen=True, slots=True)
class Coarse:
    """The coarse grid: node m of an axis lies at position ``m · DECIMATION − before``.

    Attributes
    ----------
    layout : Layout
        Of the padded field.
    """

    layout: Layout

    @property
    def width(self) -> float:
        """The length s, metres."""
        return SPLIT_CELLS * max(self.layout.spacing)

    @property
    def sigma(self) -> tuple[float, float]:
        """Width of the Gaussian along each axis, in cells of it."""
        north, east = (0.5 * self.width / h for h in self.layout.spacing)
        return north, east

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes along each axis."""
        north, east = (axis.length // DECIMATION for axis in self.layout.axes)
        return north, east

    def nodes_near(self, positions: slice, axis: int) -> slice:
        """Nodes within reach of positions, not wrapped."""
        before, reach = self.layout.axes[axis].before, support(self.sigma[axis])
        first = -(-(positions.start - reach + before) // DECIMATION)
        last = (positions.stop - 1 + reach + before) // DECIMATION
        return slice(first, last + 1)

    def node_positions(self, nodes: slice, axis: int) -> NDArray[np.int64]:
        """Positions of nodes."""
        return np.arange(nodes.start, nodes.stop) * DECIMATION - self.layout.axes[axis].before
