r"""The split kernel: a filter of the whole survey made of tiles and one coarse grid.

Reduction to the pole, vertical derivatives and integrals are not smooth at k = 0, so every cell
of their output depends on the whole survey, and tiles with a halo alone give wrong answers (5 to
87 %). But only long waves reach far. With the smooth low pass

.. math:: G(k) = 1 - (1 - e^{-k^2 s^2/2})^2 = 2 e^{-k^2 s^2/2} - e^{-k^2 s^2}, \qquad s = 16\ \text{cells},

a filter is :math:`K = K(1 - G) + K G`. The first part vanishes like :math:`k^4 K` at k = 0, its
reach is a few s, and tiles with a halo of 256 cells do it. The second has no waves shorter than
some 8 cells; it is made on a grid coarser by `DECIMATION`, small enough for one transform.

Going down to the coarse grid and coming back up are sums with a Gaussian of width :math:`\sigma
= s/2`, that is products with banded matrices along each axis. The Gaussian's own response
:math:`A(k) = e^{-k^2\sigma^2/2}`, met twice, is divided out on the coarse grid, where the factor
becomes :math:`K G / A^2`. With :math:`\kappa = 2\pi/D` the coarse grid's period, a wave k is
mixed with its alias :math:`\kappa - k` by at most

.. math:: \max_k\, G(k)\, A(\kappa - k) / A(k) \approx 2\,e^{-3 s^2 \kappa^2 / 32} = 7\times 10^{-7}

(the exponent's minimum, at k = κ/4; s κ = 4π), far below the 2e-4 that the house asks for.

Three passes read the grid: block sums, which give the plane and the fill; the sums on the coarse
grid; the tiles. Tiles lie on one lattice that starts at the grid's first cell, so nothing depends
on how the grid is chunked.
"""

from dataclasses import dataclass
from functools import partial

import dask.array as da
import numpy as np
import scipy.fft
import xarray as xr
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

from pipelines import blocks
from pipelines.mag.banded import gaussian_sums
from pipelines.mag.coarse import Coarse, High, Low
from pipelines.mag.fill import Background, BlockSums, block_sums, fit_background, join_sums
from pipelines.mag.finishing import Finisher, Product, distinct_kernels, output_dtype
from pipelines.mag.kernels import Kernel
from pipelines.mag.padded_field import Layout
from pipelines.mag.padding import DECIMATION
from pipelines.mag.transform import convolve, filter_spectrum


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the passes cut the grid.

    Attributes
    ----------
    tile : int
        Cells along the side of a tile, a multiple of 16.
    halo : int
        Cells of the coarser axis around a tile, the outer half under a cosine taper.
    """

    tile: int = 2048
    halo: int = 256


def filter_split(
    grid: xr.DataArray, layout: Layout, products: tuple[Product, ...], tiling: Tiling | None = None
) -> list[da.Array]:
    """Build the graph of every product of a grid, as Dask arrays chunked by tiles.

    Parameters
    ----------
    grid : DataArray
        On NumPy, indexed lazily or on Dask.
    layout : Layout
        Of its padded field.
    products : tuple of Product
        What to make.
    tiling : Tiling, optional
        Other tiles than the house's, for tests.

    Returns
    -------
    list of dask.array.Array
        One a product.
    """
    tiling = tiling or Tiling()
    tiles = blocks.lattice(layout.shape, tiling.tile)
    flat = [tile for row in tiles for tile in row]
    kernels = distinct_kernels(products)

    background = fit_lazily(grid, layout, tiling)
    owned = [_owned(tile, layout) for tile in flat]
    reads = [layout.reach(positions) for positions in owned]
    coarsen = partial(_coarsen, layout=layout)
    shares = [background] * len(flat)
    parts = blocks.map_windows(coarsen, grid, reads, owned, shares, label="coarsen")
    low = delayed(_filter_coarse, pure=False)(parts, owned, Coarse(layout), kernels)

    reads = [layout.reach(_tile_window(tile, layout, tiling)) for tile in flat]
    near = [delayed(_near, pure=False)(low, tile, Coarse(layout)) for tile in flat]
    finish = partial(_filter_tile, layout=layout, tiling=tiling, products=products)
    made = blocks.map_windows(finish, grid, reads, flat, shares, near, label="filter-tile")
    return blocks.assemble(made, tiles, len(products), output_dtype(grid.dtype))


def fit_lazily(grid: xr.DataArray, layout: Layout, tiling: Tiling | None = None) -> Delayed:
    """Fit a grid's `Background` in one pass over its tiles."""
    tiles = blocks.lattice(layout.shape, (tiling or Tiling()).tile)
    sums = blocks.map_windows(_sum, grid, [tile for row in tiles for tile in row], label="sum-blocks")
    width = len(tiles[0])
    rows = [sums[start : start + width] for start in range(0, len(sums), width)]
    return delayed(_background, pure=False)(rows, layout)


def _sum(view: blocks.View) -> BlockSums:
    return block_sums(view.read())


def _background(rows: list[list[BlockSums]], layout: Layout) -> Background:
    return fit_background(join_sums(rows), layout.shape, layout.spacing)


def _owned(tile: blocks.Rectangle, layout: Layout) -> blocks.Rectangle:
    """Positions whose values a tile brings to the coarse grid: its cells, and the padding beside."""
    spans = []
    for part, axis in zip(tile, layout.axes, strict=True):
        start = -axis.before if part.start == 0 else part.start
        stop = axis.length - axis.before if part.stop == axis.size else part.stop
        spans.append(slice(start, stop))
    return spans[0], spans[1]


def _coarsen(
    view: blocks.View, positions: blocks.Rectangle, background: Background, *, layout: Layout
) -> NDArray[np.float64]:
    """Sum a tile's part of the padded field to the coarse nodes in reach."""
    coarse = Coarse(layout)
    window = layout.window(view, background, positions)
    field = window.gather(0, window.shape[0], np.empty(window.shape))
    for axis in (0, 1):
        span = positions[axis]
        nodes = coarse.node_positions(coarse.nodes_near(span, axis), axis)
        field = gaussian_sums(field, np.arange(span.start, span.stop), nodes, coarse.sigma[axis], axis)
    return field


def _filter_coarse(
    parts: list[NDArray], owned: list[blocks.Rectangle], coarse: Coarse, kernels: tuple[Kernel, ...]
) -> list[NDArray[np.float64]]:
    """Add the tiles' parts up, in their order, and filter the coarse grid once for all kernels."""
    field = np.zeros(coarse.shape)
    for part, positions in zip(parts, owned, strict=True):
        rows, columns = (coarse.nodes_near(span, axis) for axis, span in enumerate(positions))
        # An axis shorter than the Gaussian's reach meets a node more than once: add.at would do,
        # whole periods folded one by one keep the order of the sum.
        for index_rows, part_rows in _periods(rows, coarse.shape[0]):
            for index_columns, part_columns in _periods(columns, coarse.shape[1]):
                field[index_rows, index_columns] += part[part_rows, part_columns]
    layout = coarse.layout
    spacing = (layout.spacing[0] * DECIMATION, layout.spacing[1] * DECIMATION)
    metres = (coarse.sigma[0] * layout.spacing[0], coarse.sigma[1] * layout.spacing[1])
    lows = [Low(kernel, coarse.width, metres) for kernel in kernels]
    # A sum over nodes is coarser than one over cells by the decimation, along each axis.
    spectrum = scipy.fft.rfft(field * DECIMATION**2, axis=1)
    spectra = filter_spectrum(spectrum, field.shape[1], slice(0, field.shape[0]), spacing, lows)
    return [scipy.fft.irfft(s, n=field.shape[1], axis=1) for s in spectra]


def _near(low: list[NDArray], tile: blocks.Rectangle, coarse: Coarse) -> list[NDArray]:
    """Cut the nodes out that a tile's cells are interpolated from."""
    index = []
    for axis, part in enumerate(tile):
        nodes = coarse.nodes_near(part, axis)
        index.append(np.arange(nodes.start, nodes.stop) % coarse.shape[axis])
    return [field[np.ix_(*index)] for field in low]


def _filter_tile(
    view: blocks.View,
    tile: blocks.Rectangle,
    background: Background,
    near: list[NDArray],
    *,
    layout: Layout,
    tiling: Tiling,
    products: tuple[Product, ...],
) -> tuple[NDArray, ...]:
    """Make every product of a tile: high part, low part, plane, combination and mask."""
    coarse, kernels = Coarse(layout), distinct_kernels(products)
    positions = _tile_window(tile, layout, tiling)
    tapers = tuple(
        _taper(span, part, halo)
        for span, part, halo in zip(positions, tile, _halos(layout, tiling), strict=True)
    )
    window = layout.window(view, background, positions, (tapers[0], tapers[1]))
    rows, columns = (
        slice(part.start - span.start, part.stop - span.start)
        for part, span in zip(tile, positions, strict=True)
    )
    # Along the easting now, for the tile; along the northing below, for a block of rows at a time.
    span = coarse.node_positions(coarse.nodes_near(tile[1], 1), 1)
    cells = np.arange(tile[1].start, tile[1].stop)
    lows = [gaussian_sums(field, span, cells, coarse.sigma[1], 1) for field in near]
    nodes = coarse.node_positions(coarse.nodes_near(tile[0], 0), 0)
    values = view.read(*tile)
    dtype = output_dtype(values.dtype)
    highs = [High(kernel, coarse.width) for kernel in kernels]
    finisher = Finisher(products, kernels, background.plane, layout, tile, dtype)
    for start, stop, fields in convolve(window, (rows, columns), layout.spacing, highs, dtype):
        cells = np.arange(tile[0].start + start, tile[0].start + stop)
        both = [
            high + gaussian_sums(low, nodes, cells, coarse.sigma[0], 0)
            for high, low in zip(fields, lows, strict=True)
        ]
        finisher.add(start, stop, both, values[start:stop])
    return finisher.outputs


def _halos(layout: Layout, tiling: Tiling) -> tuple[int, int]:
    """Halo of a tile along each axis: equal lengths, so more cells along the finer axis."""
    coarser = max(layout.spacing)
    north, east = (int(np.ceil(tiling.halo * coarser / h)) for h in layout.spacing)
    return north, east


def _tile_window(tile: blocks.Rectangle, layout: Layout, tiling: Tiling) -> blocks.Rectangle:
    """Positions that a tile transforms: its cells, the halo, and zeros up to a fast length."""
    spans = []
    for part, halo in zip(tile, _halos(layout, tiling), strict=True):
        length = scipy.fft.next_fast_len(part.stop - part.start + 2 * halo, real=True)
        spans.append(slice(part.start - halo, part.start - halo + length))
    return spans[0], spans[1]


def _taper(span: slice, part: slice, halo: int) -> NDArray[np.float64]:
    """Weight 1 on a tile and the inner half of its halo, a cosine to 0 over the outer half."""
    position = np.arange(span.start, span.stop)
    outside = np.maximum(np.maximum(part.start - position, position - part.stop + 1), 0)
    phase = np.clip((outside - halo / 2) / (halo / 2 + 1), 0.0, 1.0)
    return 0.5 + 0.5 * np.cos(np.pi * phase)


def _periods(nodes: slice, count: int) -> list[tuple[slice, slice]]:
    """Cut a run of nodes at multiples of *count*: where each piece goes, and which piece it is."""
    cuts = []
    start = nodes.start
    while start < nodes.stop:
        stop = min((start // count + 1) * count, nodes.stop)
        base = start // count * count
        cuts.append((slice(start - base, stop - base), slice(start - nodes.start, stop - nodes.start)))
        start = stop
    return cuts
