"""What an output is, and how filtered residuals become one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.blocks import Rectangle
from pipelines.mag.kernels import Kernel
from pipelines.mag.padded_field import Layout
from pipelines.mag.padding import Plane


@dataclass(frozen=True, slots=True)
class Product:
    """One output grid.

    Attributes
    ----------
    name : str
        Name of the variable.
    kernels : tuple of Kernel
        The linear filters it needs.
    combine : callable, optional
        Module-level function of as many arrays that gives the output; the only filter's field
        itself by default.
    units : str, optional
        Units; by default the grid's times metres to the *length_power*.
    length_power : int
        −1 for a first derivative, and so on.
    long_name : str
        CF long name.
    """

    name: str
    kernels: tuple[Kernel, ...]
    combine: Callable[..., NDArray] | None = None
    units: str | None = None
    length_power: int = 0
    long_name: str = ""


class Finisher:
    """Turns filtered residuals into products: plane back, combination, no-data mask.

    Parameters
    ----------
    products, kernels : tuple
        What to make, and from which fields.
    plane : Plane
        The plane that was taken off.
    layout : Layout
        Of the whole grid.
    cells : tuple of slice
        The part of the grid that is made.
    dtype : dtype
        Of the outputs.
    """

    def __init__(
        self,
        products: tuple[Product, ...],
        kernels: tuple[Kernel, ...],
        plane: Plane,
        layout: Layout,
        cells: Rectangle,
        dtype: np.dtype,
    ) -> None:
        self._products, self._kernels, self._layout, self._cells = products, kernels, layout, cells
        self._planes = [kernel.on_plane(plane) for kernel in kernels]
        shape = tuple(part.stop - part.start for part in cells)
        self.outputs = tuple(np.empty(shape, dtype) for _ in products)

    def add(self, start: int, stop: int, fields: Sequence[NDArray], values: NDArray) -> None:
        """Finish rows *start* to *stop* of the part; *values* are the cells they come from."""
        first = self._cells[0].start
        rows = slice(first + start, first + stop)
        by_kernel = {}
        for kernel, plane, field in zip(self._kernels, self._planes, fields, strict=True):
            if not plane.is_zero:
                field = field + plane.on(rows, self._cells[1], self._layout.shape, self._layout.spacing)
            by_kernel[kernel] = field
        missing = np.isnan(values) if values.dtype.kind == "f" else None
        for product, output in zip(self._products, self.outputs, strict=True):
            terms = [by_kernel[kernel] for kernel in product.kernels]
            output[start:stop] = product.combine(*terms) if product.combine else terms[0]
            if missing is not None and missing.any():
                output[start:stop][missing] = np.nan


def distinct_kernels(products: Sequence[Product]) -> tuple[Kernel, ...]:
    """Kernels of all products, each once, in order."""
    return tuple(dict.fromkeys(kernel for product in products for kernel in product.kernels))


def output_dtype(dtype: np.dtype) -> np.dtype:
    """float32 stays float32, anything else becomes float64."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64)
