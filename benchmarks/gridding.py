"""Gridding a million line points: our gridders beside GMT's `surface` and verde.

The field is that of 150 vertical dipoles 120 to 600 m deep, flown on 100 lines 100 m apart with a
point each metre, 3 m of wander and 0.02 nT of noise. `rms_percent` is the error over 500² inner
nodes relative to the field's standard deviation, read off each grid by cubic splines. GMT runs as
its manual says: `blockmean`, then `surface`; its CPU is that of the child processes (`child_cpu_s`).
"""

import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from benchmarks.harness import Measured, main
from pipelines.mag.blockreduce import block_reduce
from pipelines.mag.gridding import grid_survey

SIDE, CELL = 10_000.0, 20.0
LINES, POINTS = 100, 10_000


def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(5)
    count = 150
    east, north = rng.uniform(0, SIDE, count), rng.uniform(0, SIDE, count)
    depth, moment = rng.uniform(120, 600, count), rng.normal(0, 1, count) * 1e7
    out = np.zeros(np.broadcast(x, y).shape)
    for e, n, d, m in zip(east, north, depth, moment, strict=True):
        level = (x - e) ** 2 + (y - n) ** 2
        out += m * (2 * d**2 - level) / (level + d**2) ** 2.5
    return out


def points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    total = LINES * POINTS
    y = np.repeat((np.arange(LINES) + 0.5) * SIDE / LINES, POINTS) + rng.normal(0, 3, total)
    x = np.tile(np.linspace(0, SIDE, POINTS), LINES) + rng.normal(0, 0.02, total)
    return x, y, field(x, y) + rng.normal(0, 0.02, total)


def survey() -> xr.Dataset:
    x, y, d = points()
    size = np.full(LINES, POINTS)
    return xr.Dataset(
        {
            "total_field_anomaly": ("point", d),
            "line_start": ("line", np.cumsum(size) - size),
            "line_size": ("line", size),
        },
        coords={"easting": ("point", x), "northing": ("point", y)},
    )


def judge() -> Callable[[np.ndarray, float, float], float]:
    """Return the error in percent of a grid, given its first easting and northing."""
    centres = np.linspace(100, SIDE - 100, 500)
    x, y = np.meshgrid(centres, centres)
    true = field(x, y)

    def percent(values: np.ndarray, west: float, south: float) -> float:
        read = map_coordinates(values, [(y - south) / CELL, (x - west) / CELL], order=3)
        return float(100 * np.sqrt(np.mean((read - true) ** 2)) / true.std())

    return percent


def ours(**options: Any) -> Measured:
    data, error = survey(), judge()

    def run() -> Mapping[str, float]:
        grid = grid_survey(data, cell_size=CELL, mask=False, **options)
        west, south = float(grid.easting[0]), float(grid.northing[0])
        return {
            "rms_percent": error(grid.total_field_anomaly.values, west, south),
            "iterations": float(grid.fit_iterations),
        }

    return run


def gmt_surface() -> Measured:
    if not shutil.which("gmt"):
        raise SystemExit("GMT is not installed")
    folder = tempfile.TemporaryDirectory()
    where = Path(folder.name)
    np.column_stack(points()).tofile(where / "points.bin")
    region, error = f"-R0/{SIDE:g}/0/{SIDE:g} -I{CELL:g}", judge()
    command = (
        f"gmt blockmean points.bin -bi3d -bo3d {region} > means.bin && "
        f"gmt surface means.bin -bi3d {region} -T0 -Ggrid.nc"
    )

    def run() -> Mapping[str, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, shell=True, check=True, cwd=folder.name, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        with xr.open_dataset(where / "grid.nc", engine="netcdf4") as grid:
            percent = error(grid.z.values, 0.0, 0.0)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"rms_percent": percent, "child_cpu_s": spent}

    return run


def verde_cubic() -> Measured:
    import verde

    x, y, d = points()
    error = judge()
    centres = np.arange(CELL / 2, SIDE, CELL)

    def run() -> Mapping[str, float]:
        coordinates, reduced, _ = verde.BlockMean(CELL).filter((x, y), d)
        values = verde.Cubic().fit(coordinates, reduced).predict(np.meshgrid(centres, centres))
        return {"rms_percent": error(np.nan_to_num(values), CELL / 2, CELL / 2)}

    return run


def reduce_ours(statistic: Any) -> Measured:
    x, y, d = points()

    def run() -> None:
        block_reduce(x, y, d, size=CELL, statistic=statistic)

    return run


def reduce_verde() -> Measured:
    import verde

    x, y, d = points()

    def run() -> None:
        verde.BlockReduce(np.mean, CELL).filter((x, y), d)

    return run


CASES: dict[str, Callable[[], Measured]] = {
    "harmonic layer, all chosen": ours,
    "minimum curvature": lambda: ours(method="minimum_curvature"),
    "minimum curvature, no tension": lambda: ours(method="minimum_curvature", tension=0.0),
    "GMT surface -T0": gmt_surface,
    "verde Cubic": verde_cubic,
    "block mean": lambda: reduce_ours("mean"),
    "block median": lambda: reduce_ours("median"),
    "verde block mean": reduce_verde,
}

if __name__ == "__main__":
    main("benchmarks.gridding", CASES, rounds=3)
