"""What the registered filters share: parameter types, the cost model, the call of the engine."""

from collections.abc import Mapping
from typing import Annotated, Any

import xarray as xr
from pydantic import Field

from pipelines.mag import products
from pipelines.mag.kernels import HIGHEST_ORDER
from pipelines.mag.spectral import WHOLE_CELLS, Method, Product, apply_filters, distinct_kernels
from pipelines.registry import Cost, CostModel, Labelled

Positive = Annotated[float, Field(gt=0)]
Order = Annotated[int, Field(ge=1, le=HIGHEST_ORDER)]
Declination = Annotated[float, Field(ge=-360, le=360)]

# CPU seconds a padded cell, measured on one core: the forward transform with the reading, and each
# kernel's inverse; by tiles, with halos, three readings and a compressed store, several times that.
FORWARD_SECONDS, INVERSE_SECONDS = 8e-9, 8e-9
TILED = 4.0
PADDED = 1.6  # padded cells a cell of the grid


def filter_cost(outputs: list[Product]) -> CostModel:
    """Make the cost model of a filter from what it makes."""
    terms = len(distinct_kernels(outputs))

    def cost(datasets: Mapping[str, Labelled], parameters: Any) -> Cost:
        cells = next(iter(datasets.values())).size
        seconds = PADDED * cells * (FORWARD_SECONDS + terms * INVERSE_SECONDS)
        in_memory = PADDED * min(cells, WHOLE_CELLS)
        return Cost(
            seconds if cells <= WHOLE_CELLS else TILED * seconds,
            8.0 * in_memory * (1 + terms + len(outputs)),
        )

    return cost


ONE_KERNEL = filter_cost([products.vertical_integral()])


def one_product(grid: xr.DataArray, product: Product, method: Method) -> xr.DataArray:
    """Make one product of a grid."""
    return apply_filters(grid, [product], method=method)[product.name]
