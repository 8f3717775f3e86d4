"""The exact filter of a chunked grid, by pencils: the reference that the split kernel answers to.

Rows of the padded field are transformed, all chunks are exchanged for columns, these are
transformed, filtered and transformed back, and all chunks are exchanged again. It is the
whole-grid filter to rounding, at the price of moving every cell twice between tasks; `split`
moves next to nothing, and tests hold it against this.
"""

from functools import partial

import dask.array as da
import numpy as np
import scipy.fft
import xarray as xr
from numpy.typing import NDArray

from pipelines import blocks
from pipelines.conventions import geometry_of
from pipelines.mag.fill import Background
from pipelines.mag.finishing import Finisher, Product, distinct_kernels
from pipelines.mag.kernels import Kernel
from pipelines.mag.padded_field import Layout
from pipelines.mag.split import fit_lazily
from pipelines.mag.transform import filter_spectrum, row_spectrum

ROWS_A_TASK, COLUMNS_A_TASK = 512, 128


def filter_by_pencils(
    grid: xr.DataArray, product: Product, *, rows: int = ROWS_A_TASK, columns: int = COLUMNS_A_TASK
) -> da.Array:
    """Make one product of a grid exactly, in float64.

    Parameters
    ----------
    grid : DataArray
        On NumPy, indexed lazily or on Dask.
    product : Product
        A product of one kernel.
    rows, columns : int
        Rows of the padded field, and columns of its spectrum, a task.

    Returns
    -------
    dask.array.Array
        The filtered grid, chunked by rows.
    """
    (kernel,) = distinct_kernels([product])
    geometry = geometry_of(grid)
    layout = Layout.of(geometry.shape, geometry.spacing)
    background = fit_lazily(grid, layout)
    length, width = (axis.length for axis in layout.axes)
    half = width // 2 + 1

    bands = _cut(length, rows)
    positions = [
        (slice(b.start + layout.padded[0].start, b.stop + layout.padded[0].start), layout.padded[1])
        for b in bands
    ]
    reads = [layout.reach(p) for p in positions]
    share = [background] * len(bands)
    spectra = blocks.map_windows(
        partial(_forward, layout=layout), grid, reads, positions, share, label="pencil-rows"
    )
    spectrum = da.concatenate(
        [
            da.from_delayed(s, (b.stop - b.start, half), dtype=complex)
            for s, b in zip(spectra, bands, strict=True)
        ]
    )
    filtered = spectrum.rechunk((length, columns)).map_blocks(
        _filter_columns, dtype=complex, kernel=kernel, shape=(length, width), layout=layout
    )
    inner = filtered[layout.axes[0].before : layout.axes[0].before + layout.shape[0]].rechunk((rows, half))
    cells = _cut(layout.shape[0], rows)
    made = blocks.map_windows(
        partial(_inverse, layout=layout, product=product),
        grid,
        [(band, slice(0, layout.shape[1])) for band in cells],
        [inner[band] for band in cells],
        [background] * len(cells),
        label="pencil-inverse",
    )
    (array,) = blocks.assemble(made, [[(b, slice(0, layout.shape[1]))] for b in cells], 1, np.dtype(float))
    return array


def _cut(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _forward(
    view: blocks.View, positions: blocks.Rectangle, background: Background, *, layout: Layout
) -> NDArray:
    return row_spectrum(layout.window(view, background, positions), np.dtype(float))


def _filter_columns(
    spectrum: NDArray,
    *,
    kernel: Kernel,
    shape: tuple[int, int],
    layout: Layout,
    block_info: dict | None = None,
) -> NDArray:
    if not block_info:  # Dask infers the output's type from an empty block
        return spectrum
    first = block_info[0]["array-location"][1][0]
    every = slice(0, shape[0])
    (filtered,) = filter_spectrum(spectrum.copy(), shape[1], every, layout.spacing, [kernel], first)
    return filtered


def _inverse(
    view: blocks.View, spectrum: NDArray, background: Background, *, layout: Layout, product: Product
) -> tuple[NDArray, ...]:
    width, before = layout.axes[1].length, layout.axes[1].before
    field = scipy.fft.irfft(spectrum, n=width, axis=1)[:, before : before + layout.shape[1]]
    part = (view.rows, view.columns)
    kernels = distinct_kernels([product])
    finisher = Finisher((product,), kernels, background.plane, layout, part, np.dtype(float))
    finisher.add(0, view.shape[0], [field], view.read())
    return finisher.outputs
