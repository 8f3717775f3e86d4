"""Filters of a grid: `python -m benchmarks.filters`.

The limit is one real transform, times a kernel made beforehand, and one inverse, at the padded
size: 2560² for a grid of 2048² (Harmonica does not pad and works on 2048²). Every case gets the
same grid: a random-phase field over sources at a depth of three cells, with a plane.
`python -m benchmarks.filters --only "RTP of 16384², Zarr to Zarr" --rounds 1` takes a minute and
2 GB of disk.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np
import scipy.fft
import xarray as xr

from benchmarks.harness import Measured, main
from pipelines.conventions import Geometry, make_grid
from pipelines.mag import products
from pipelines.mag.padding import PaddedAxis
from pipelines.mag.spectral import apply_filters

CELL = 50.0
LIMIT = "limit: rfft2, kernel, irfft2"


def random_field(size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    k = np.hypot(scipy.fft.fftfreq(size)[:, None], scipy.fft.rfftfreq(size)) * 2 * np.pi
    spectrum = np.exp(-3 * k) / np.maximum(k, 2 * np.pi / size) ** 1.5
    spectrum[0, 0] = 0.0
    field = scipy.fft.irfft2(spectrum * np.exp(2j * np.pi * rng.random(k.shape)), s=(size, size))
    return field * (100.0 / field.std()) + np.linspace(0.0, 300.0, size)


def grid_of(size: int) -> xr.DataArray:
    geometry = Geometry((0.0, 0.0), (CELL, CELL), (size, size))
    return make_grid(random_field(size), geometry, name="total_field_anomaly", attrs={"units": "nT"})


def limit(size: int = 2048) -> Measured:
    length = PaddedAxis.of(size).length
    field = np.random.default_rng(0).standard_normal((length, length))
    kernel = np.random.default_rng(1).random((length, length // 2 + 1))

    def run() -> None:
        spectrum = scipy.fft.rfft2(field)
        spectrum *= kernel
        scipy.fft.irfft2(spectrum, s=field.shape, overwrite_x=True)

    return run


def filtered(*made: products.Product) -> Callable[[], Measured]:
    def prepare() -> Measured:
        grid = grid_of(2048)
        return lambda: apply_filters(grid, made).close()

    return prepare


def harmonica(*names: str) -> Callable[[], Measured]:
    def prepare() -> Measured:
        import harmonica as hm

        grid = grid_of(2048)
        calls = {
            "upward_continuation": lambda: hm.upward_continuation(grid, 100.0),
            "reduce_to_pole": lambda: hm.reduction_to_pole(grid, -52.0, 6.0),
            "tilt_angle": lambda: hm.tilt_angle(grid),
            "total_gradient_amplitude": lambda: hm.total_gradient_amplitude(grid),
        }

        def run() -> None:
            for name in names:
                calls[name]()

        return run

    return prepare


def chunked_against_whole() -> Measured:
    """Largest rms difference over products, as a share of the product's rms, holes included."""
    grid = grid_of(3000)
    grid.values[700:1100, 900:1800] = np.nan
    grid.values[:, :60] = np.nan
    made = (
        products.reduced_to_pole(-52.0, 6.0),
        products.derivative_upward(),
        products.vertical_integral(),
        products.upward_continued(200.0),
        products.tilt_angle(),
    )

    def run() -> dict[str, float]:
        whole = apply_filters(grid, made, method="whole")
        split = apply_filters(grid.chunk(700), made, method="split").compute()
        shares = (split - whole).std() / whole.std()
        return {f"{name} %": 100 * float(share) for name, share in shares.items()}

    return run


def zarr_to_zarr(size: int = 16384) -> Measured:
    """Reduce a float32 grid to the pole on two threads, from disk to disk."""
    folder = tempfile.TemporaryDirectory()
    source, target = Path(folder.name, "in.zarr"), Path(folder.name, "out.zarr")
    tile = random_field(2048).astype("f4")
    geometry = Geometry((0.0, 0.0), (CELL, CELL), (size, size))
    lazy = make_grid(
        dask.array.tile(dask.array.from_array(tile), (size // 2048, size // 2048)),
        geometry,
        name="total_field_anomaly",
    )
    lazy.to_dataset().to_zarr(source, encoding={lazy.name: {"chunks": (512, 512)}}, consolidated=False)

    def run() -> dict[str, float]:
        assert folder.name  # the folder lives as long as this function
        store = xr.open_zarr(source, chunks=None, consolidated=False, decode_coords="all")
        grid = store["total_field_anomaly"]
        pole = apply_filters(grid, [products.reduced_to_pole(-52.0, 6.0)])
        with dask.config.set(scheduler="threads", num_workers=2):
            encoding = {"reduced_to_pole": {"chunks": (512, 512)}}
            pole.to_zarr(target, mode="w", encoding=encoding, consolidated=False)
        return {"M cells": size * size / 1e6}

    return run


CASES = {
    LIMIT: limit,
    "upward continuation": filtered(products.upward_continued(100.0)),
    "reduction to the pole": filtered(products.reduced_to_pole(-52.0, 6.0)),
    "reduction to the pole, damped": filtered(products.reduced_to_pole(-5.0, 6.0)),
    "tilt + analytic signal + THD + dz": filtered(
        products.tilt_angle(),
        products.analytic_signal(),
        products.total_horizontal_derivative(),
        products.derivative_upward(),
    ),
    "Harmonica: upward continuation": harmonica("upward_continuation"),
    "Harmonica: reduction to the pole": harmonica("reduce_to_pole"),
    "Harmonica: tilt, analytic signal": harmonica("tilt_angle", "total_gradient_amplitude"),
    "chunked against whole, 3000², holes": chunked_against_whole,
}
LONG = {"RTP of 16384², Zarr to Zarr": zarr_to_zarr}

if __name__ == "__main__":
    import sys

    asked = {name: case for name, case in LONG.items() if name in sys.argv}
    main(__spec__.name, {**CASES, **asked}, baseline=LIMIT, warm=not asked)
