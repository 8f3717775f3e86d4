"""The padded field of one grid: its layout, its background, and windows of both."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipelines.blocks import Rectangle, View, grown
from pipelines.mag.fill import BLOCK, MARGIN, Background, fill_holes
from pipelines.mag.padding import PaddedAxis, Window


@dataclass(frozen=True, slots=True)
class Layout:
    """Geometry of a padded field; pairs are ``(northing, easting)``.

    Attributes
    ----------
    axes : tuple of PaddedAxis
        How each axis is padded.
    spacing : tuple of float
        Cell size, metres.
    """

    axes: tuple[PaddedAxis, PaddedAxis]
    spacing: tuple[float, float]

    @classmethod
    def of(cls, shape: tuple[int, int], spacing: tuple[float, float]) -> Self:
        """Lay the padded field of a grid out, from its shape alone."""
        return cls((PaddedAxis.of(shape[0]), PaddedAxis.of(shape[1])), spacing)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the grid."""
        return self.axes[0].size, self.axes[1].size

    @property
    def padded(self) -> tuple[slice, slice]:
        """Positions of the whole padded field."""
        rows, columns = (slice(-a.before, a.length - a.before) for a in self.axes)
        return rows, columns

    def cells(self, positions: Rectangle) -> Rectangle:
        """Return the cells of the grid that a window of the padded field mirrors."""
        spans = []
        for axis, part in zip(self.axes, positions, strict=True):
            index, weight = axis.source(np.arange(part.start, part.stop))
            used = index[weight > 0]
            if used.size == 0:  # all in the zeros between periodic images: any cell will do
                used = index[:1]
            spans.append(slice(int(used.min()), int(used.max()) + 1))
        return spans[0], spans[1]

    def reach(self, positions: Rectangle) -> Rectangle:
        """Return the cells that a window may have to read: those it mirrors, and the fill's margin."""
        return grown(self.cells(positions), MARGIN, self.shape, BLOCK)

    def window(
        self,
        view: View,
        background: Background,
        positions: Rectangle,
        tapers: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> Window:
        """Read a window of the padded field.

        Parameters
        ----------
        view : View
            Must hold what `reach` says.
        background : Background
            Of the whole grid.
        positions : tuple of slice
            The window, in positions of the padded axes.
        tapers : tuple of arrays, optional
            Further weights along rows and columns.
        """
        cells = self.cells(positions)
        if background.has_holes(*cells):
            values = self._filled(view, background, cells)
            plane = (0.0, 0.0, 0.0)
        else:
            values = view.read(*cells)
            per_row = background.plane.northward * self.spacing[0]
            per_column = background.plane.eastward * self.spacing[1]
            north, east = (c.start - 0.5 * (n - 1) for c, n in zip(cells, self.shape, strict=True))
            plane = (background.plane.level + north * per_row + east * per_column, per_row, per_column)
        maps = []
        for number, (axis, part, cell) in enumerate(zip(self.axes, positions, cells, strict=True)):
            index, weight = axis.source(np.arange(part.start, part.stop))
            if tapers is not None:
                weight = weight * tapers[number]
            maps.append((np.clip(index - cell.start, 0, cell.stop - cell.start - 1), weight))
        return Window(values, plane, maps[0], maps[1])

    def _filled(self, view: View, background: Background, cells: Rectangle) -> NDArray:
        around = grown(cells, MARGIN, self.shape, BLOCK)
        residual = view.read(*around) - background.plane.on(*around, self.shape, self.spacing)
        assert background.residual is not None  # has_holes says so
        filled = fill_holes(residual, (around[0].start, around[1].start), background.residual)
        rows, columns = (
            slice(c.start - a.start, c.stop - a.start) for c, a in zip(cells, around, strict=True)
        )
        return filled[rows, columns]
