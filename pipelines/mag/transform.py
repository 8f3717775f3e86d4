"""One forward transform, any number of filters, in little memory.

A two-dimensional real transform is row transforms, then column transforms. Rows are gathered from
the padded field and transformed a few at a time, so the padded field itself is never held. Then
one strip of columns after another is transformed, multiplied by each kernel, evaluated on that
strip alone, and transformed back, all in cache. At the end the rows that are wanted, and no
others, come back a few at a time, every filter's side by side, ready to be combined. What is held
is one half-plane spectrum a filter, and it is quicker than a whole transform, a whole kernel and
a whole inverse, each of which walks through memory from end to end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pipelines.mag.kernels import Kernel
from pipelines.mag.padding import Window
from pipelines.mag.sampling import sample, wavenumbers

ROWS, COLUMNS = 16, 16  # a block of rows, a strip of columns: with their temporaries they fit the cache

RowBlock = tuple[int, int, list[NDArray]]


def convolve(
    window: Window,
    keep: tuple[slice, slice],
    spacing: tuple[float, float],
    kernels: Sequence[Kernel],
    dtype: np.dtype,
) -> Iterator[RowBlock]:
    """Filter a window of the padded field as if it were periodic.

    Parameters
    ----------
    window : Window
        What to transform.
    keep : tuple of slice
        Rows and columns of the window to give back.
    spacing : tuple of float
        Cell size ``(northing, easting)``, metres.
    kernels : sequence of Kernel
        One output each.
    dtype : dtype
        float32 or float64, of the transforms and of the output.

    Yields
    ------
    start, stop : int
        Rows, counted from the first row kept.
    fields : list of array, shape (stop − start, columns kept)
        One a kernel.
    """
    width = window.shape[1]
    spectra = filter_spectrum(row_spectrum(window, dtype), width, keep[0], spacing, kernels)
    rows = keep[0].stop - keep[0].start
    for start in range(0, rows, ROWS):
        stop = min(start + ROWS, rows)
        fields = [scipy.fft.irfft(s[start:stop], n=width, axis=1)[:, keep[1]] for s in spectra]
        yield start, stop, fields


def row_spectrum(window: Window, dtype: np.dtype) -> NDArray:
    """Transform every row of a window: shape (n, m/2 + 1), complex."""
    rows, columns = window.shape
    spectrum = np.empty((rows, columns // 2 + 1), np.result_type(dtype, np.complex64))
    buffer = np.empty((ROWS, columns), dtype)
    for start in range(0, rows, ROWS):
        stop = min(start + ROWS, rows)
        spectrum[start:stop] = scipy.fft.rfft(window.gather(start, stop, buffer[: stop - start]), axis=1)
    return spectrum


def transform_columns(spectrum: NDArray) -> NDArray:
    """Finish a transform along columns, in place, strip by strip."""
    for start in range(0, spectrum.shape[1], COLUMNS):
        strip = slice(start, start + COLUMNS)
        spectrum[:, strip] = scipy.fft.fft(spectrum[:, strip], axis=0)
    return spectrum


def filter_spectrum(
    spectrum: NDArray,
    width: int,
    keep: slice,
    spacing: tuple[float, float],
    kernels: Sequence[Kernel],
    first: int = 0,
) -> list[NDArray]:
    """Finish the transform along columns, filter, and transform the columns back.

    Parameters
    ----------
    spectrum : array, shape (n, m/2 + 1)
        Row transforms, or some columns of them; overwritten.
    width : int
        Length m of a row.
    keep : slice
        Rows to give back.
    spacing : tuple of float
        Cell size ``(northing, easting)``, metres.
    kernels : sequence of Kernel
        The filters.
    first : int
        Column of the transform that is the first of *spectrum*.

    Returns
    -------
    list of array, shape (rows kept, m/2 + 1)
        Row spectra of each filtered field.
    """
    length = spectrum.shape[0]
    east, north = wavenumbers((length, width), spacing)
    east = east[:, first:]
    real = spectrum.real.dtype
    kept = (keep.stop - keep.start, spectrum.shape[1])
    # The last filter's output takes the place of the spectrum, of which each strip is done with.
    outputs = [np.empty(kept, spectrum.dtype) for _ in kernels[1:]] + [spectrum[keep]]
    for start in range(0, spectrum.shape[1], COLUMNS):
        strip = slice(start, min(start + COLUMNS, spectrum.shape[1]))
        field = scipy.fft.fft(spectrum[:, strip], axis=0)
        for number, (kernel, output) in enumerate(zip(kernels, outputs, strict=True)):
            factor = sample(kernel, east[:, strip], north, spacing)
            kind = spectrum.dtype if np.iscomplexobj(factor) else real
            factor = factor.astype(kind, copy=False)
            final = number == len(kernels) - 1
            filtered = np.multiply(field, factor, out=field if final else None)
            output[:, strip] = scipy.fft.ifft(filtered, axis=0, overwrite_x=True)[keep]
    return outputs
