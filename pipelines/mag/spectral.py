"""The spectral engine: many filtered grids from one forward transform, chunked or not.

`apply_filters` takes *products*: named outputs, each a combination of linear *kernels*. Kernels
that several products share are computed once. A grid of up to `WHOLE_CELLS` cells is transformed
whole; a larger one by the split kernel (see `split`), tile by tile. Both see the same padded field
(see `padding`), so neither the grid's chunks nor the method change the answer by more than
rounding and 2e-4 of its rms, respectively.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import dask.array as da
import xarray as xr
from numpy.typing import NDArray

from pipelines import blocks
from pipelines.conventions import geometry_of, require_numbers
from pipelines.errors import ParameterError
from pipelines.mag.checks import require_one_of
from pipelines.mag.fill import block_sums, fit_background
from pipelines.mag.finishing import Finisher, Product, distinct_kernels, output_dtype
from pipelines.mag.padded_field import Layout
from pipelines.mag.split import filter_split
from pipelines.mag.transform import convolve

__all__ = ["Method", "Product", "apply_filters", "distinct_kernels", "filter_whole", "scaled_units"]

Method = Literal["auto", "whole", "split"]
WHOLE_CELLS = 4096**2

# What describes the values of the grid that came in, and not of one made from it.
STALE_ATTRIBUTES = (
    "standard_name",
    "units",
    "long_name",
    "valid_min",
    "valid_max",
    "valid_range",
    "actual_range",
)


def apply_filters(grid: xr.DataArray, products: Sequence[Product], *, method: Method = "auto") -> xr.Dataset:
    """Make every product of a grid from one forward transform.

    Parameters
    ----------
    grid : DataArray
        Grid of the house; NaN is no data, is filled inside and comes back as NaN. float32 is
        filtered in float32 and stays float32; anything else becomes float64.
    products : sequence of Product
        What to make, see the builders in `products`.
    method : {"auto", "whole", "split"}
        ``whole`` transforms the grid in one task; ``split`` works by tiles and a coarse grid, in
        bounded memory; ``auto`` takes ``whole`` up to 4096² cells. The choice depends on the
        grid's size alone.

    Returns
    -------
    Dataset
        One variable a product with the grid's coordinates and attributes. NumPy in, NumPy out; a
        grid on Dask or indexed lazily gives Dask arrays, nothing is read before they are
        computed, and the output has the input's chunks if it had any.

    Raises
    ------
    DataError
        If the grid breaks the conventions, is boolean or complex, was opened without decoding its
        fill value, holds infinities or only NaN (the last two when computed, if the grid is lazy).
    ParameterError
        If two products have one name, or there is none; if the method is unknown.
    """
    geometry = geometry_of(grid)
    require_numbers(grid)
    require_one_of("method", method, get_args(Method))
    if unbuilt := [p for p in products if not isinstance(p, Product)]:
        raise ParameterError("products", unbuilt[0], "must be made by the builders in `products`; call it")
    names = [product.name for product in products]
    if not names or len(set(names)) < len(names):
        raise ParameterError("products", names, "must be at least one, each with a name of its own")
    layout = Layout.of(geometry.shape, geometry.spacing)
    if method == "auto":
        method = "whole" if grid.size <= WHOLE_CELLS else "split"
    if not blocks.is_lazy(grid) and method == "whole":
        arrays: Sequence[Any] = filter_whole(blocks.whole(grid), layout, tuple(products))
    else:
        arrays = _lazily(grid, layout, tuple(products), method)
    labelled = {p.name: _label(grid, p, a) for p, a in zip(products, arrays, strict=True)}
    return xr.Dataset(labelled)


def filter_whole(view: blocks.View, layout: Layout, products: tuple[Product, ...]) -> tuple[NDArray, ...]:
    """Make every product of a grid that one task holds."""
    values = view.read()
    background = fit_background(block_sums(values), layout.shape, layout.spacing)
    window = layout.window(view, background, layout.padded)
    kernels = distinct_kernels(products)
    rows, columns = (slice(a.before, a.before + a.size) for a in layout.axes)
    dtype = output_dtype(values.dtype)
    everything = (slice(0, layout.shape[0]), slice(0, layout.shape[1]))
    finisher = Finisher(products, kernels, background.plane, layout, everything, dtype)
    for start, stop, fields in convolve(window, (rows, columns), layout.spacing, kernels, dtype):
        finisher.add(start, stop, fields, values[start:stop])
    return finisher.outputs


def scaled_units(units: str, power: int) -> str:
    """Multiply a unit by metres to a power: ``scaled_units("nT/m", -1)`` is ``"nT/m2"``."""
    base, old = units, 0
    if found := re.fullmatch(r"(.*?)/m(\d*)", units):
        base, old = found[1], -int(found[2] or 1)
    elif found := re.fullmatch(r"(.*?) m(\d*)", units):
        base, old = found[1], int(found[2] or 1)
    power += old
    if power == 0:
        return base
    exponent = "" if abs(power) == 1 else str(abs(power))
    return f"{base}/m{exponent}" if power < 0 else f"{base} m{exponent}"


def _lazily(grid: xr.DataArray, layout: Layout, products: tuple[Product, ...], method: Method) -> list[Any]:
    if method == "split":
        arrays = filter_split(grid, layout, products)
    else:
        tiles = [[(slice(0, grid.shape[0]), slice(0, grid.shape[1]))]]
        made = blocks.map_windows(filter_whole, grid, tiles[0], [layout], [products], label="filter-whole")
        arrays = blocks.assemble(made, tiles, len(products), output_dtype(grid.dtype))
    if grid.chunks is not None:
        return [array.rechunk(grid.chunks) for array in arrays]
    return arrays if blocks.is_lazy(grid) else list(da.compute(*arrays, scheduler="threads"))


def _label(grid: xr.DataArray, product: Product, values: Any) -> xr.DataArray:
    attrs = {k: v for k, v in grid.attrs.items() if k not in STALE_ATTRIBUTES}
    units = product.units
    if units is None and "units" in grid.attrs:
        units = scaled_units(str(grid.attrs["units"]), product.length_power)
    labels = {"long_name": product.long_name or product.name.replace("_", " ")}
    if units is not None:
        labels["units"] = units
    out = xr.DataArray(
        values, dims=grid.dims, coords=grid.coords, name=product.name, attrs={**attrs, **labels}
    )
    if "spatial_ref" in grid.coords:
        out.encoding["grid_mapping"] = "spatial_ref"
    return out
