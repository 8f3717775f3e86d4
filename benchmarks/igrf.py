"""The main field: exact synthesis, the patch along a survey, and the peer ppigrf.

``python -m benchmarks.igrf``. Wanted: exact >= 0.6 M points/s, patch >= 10 M points/s at <= 1e-3 nT.
"""

import time
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import xarray as xr
from pyproj import Transformer

from benchmarks.harness import Measured, main
from pipelines.conventions import assign_crs
from pipelines.mag.igrf import igrf, reference_field

EXACT_POINTS = 500_000
SURVEY_POINTS = 2_000_000
CHECKED = 20_000
CRS = 32754


def points(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(-180, 180, count), rng.uniform(-90, 90, count), rng.uniform(0, 1e4, count)


def survey(width: float, days: int) -> xr.Dataset:
    rng = np.random.default_rng(0)
    coordinates = {
        "easting": ("point", 450e3 + rng.uniform(0, width, SURVEY_POINTS)),
        "northing": ("point", 7.5e6 + rng.uniform(0, width, SURVEY_POINTS)),
        "upward": ("point", rng.uniform(200, 900, SURVEY_POINTS)),
    }
    start = np.datetime64("1990-07-01", "ns")
    moments = start + rng.integers(0, max(days, 1) * 86_400_000_000_000, SURVEY_POINTS).astype("m8[ns]")
    data = xr.Dataset(coords=coordinates, attrs={"survey_date": "1990-07-01"})
    return assign_crs(data.assign(time=("point", moments)) if days else data, CRS)


def exact() -> Measured:
    longitude, latitude, height = points(EXACT_POINTS)

    def run() -> Mapping[str, float]:
        begin = time.process_time()
        igrf(2012.5, longitude, latitude, height)
        return {"million_points_per_cpu_s": EXACT_POINTS / (time.process_time() - begin) / 1e6}

    return run


def patch(width: float, days: int) -> Measured:
    data = survey(width, days)
    some = data.isel(point=slice(0, CHECKED))

    def run() -> Mapping[str, float]:
        begin = time.process_time()
        found = reference_field(data)
        elapsed = time.process_time() - begin
        return {
            "million_points_per_cpu_s": SURVEY_POINTS / elapsed / 1e6,
            "largest_error_nt": float(np.abs(found[:CHECKED] - exactly(some)).max()),
        }

    return run


def exactly(some: xr.Dataset) -> np.ndarray:
    turn = Transformer.from_crs(CRS, "EPSG:4979", always_xy=True)
    longitude, latitude = turn.transform(some.easting.values, some.northing.values)
    when = some.time.values if "time" in some else some.attrs["survey_date"]
    return igrf(when, longitude, latitude, some.upward.values).intensity


def peer() -> Measured:
    import ppigrf

    count = EXACT_POINTS // 10
    longitude, latitude, height = points(count)

    def run() -> Mapping[str, float]:
        begin = time.process_time()
        ppigrf.igrf(longitude, latitude, height / 1e3, datetime(2012, 7, 2))  # noqa: DTZ001
        return {"million_points_per_cpu_s": count / (time.process_time() - begin) / 1e6}

    return run


CASES = {
    "exact, IGRF-14, degree 13": exact,
    "patch, 40 km, one date": lambda: patch(40e3, 0),
    "patch, 40 km, own times over 60 days": lambda: patch(40e3, 60),
    "patch, 400 km, own times over 60 days": lambda: patch(400e3, 60),
    "ppigrf": peer,
}

if __name__ == "__main__":
    main("benchmarks.igrf", CASES, rounds=3)
