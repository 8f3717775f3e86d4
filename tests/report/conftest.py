"""A small survey and result, labelled as importers and pipelines label them."""

import json

import numpy as np
import pytest
import xarray as xr

from pipelines.conventions import Geometry, assign_crs, make_grid

CRS = "EPSG:32754"
HISTORY = "2026-02-03T10:00:00Z mag.process(spacing=50.0) 1+0.1.0"


def smooth_values(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Two bumps and a slope: something to light and to colour."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    bumps = 900 * np.exp(-20 * ((x - 0.3) ** 2 + y**2)) - 500 * np.exp(
        -30 * ((x + 0.4) ** 2 + (y - 0.3) ** 2)
    )
    return bumps + 80 * x + np.random.default_rng(seed).normal(0, 2, shape)


def make_small_grid(
    name: str = "total_field_anomaly", shape=(60, 80), spacing=50.0, units="nT", **attrs
) -> xr.DataArray:
    geometry = Geometry((7_500_000.0, 400_000.0), (spacing, spacing), shape)
    labels = {"units": units, "long_name": name.replace("_", " ").capitalize(), **attrs}
    return make_grid(smooth_values(shape), geometry, name=name, crs=CRS, attrs=labels)


@pytest.fixture
def grid_of():
    """The function that makes a small grid by name, shape and spacing."""
    return make_small_grid


@pytest.fixture
def result() -> xr.Dataset:
    grid = make_small_grid()
    grid[:5, :7] = np.nan
    data = grid.to_dataset()
    data["tilt_angle"] = make_small_grid("tilt_angle", units="rad") / 600
    data["tilt_angle"].attrs = {"units": "rad", "long_name": "Tilt angle"}
    wavenumber = np.linspace(1e-4, 0.06, 40)
    data["power"] = ("wavenumber", np.exp(20 - 2 * 150 * wavenumber))
    segment = {"wavenumber_start": 0.002, "wavenumber_stop": 0.05, "depth": 150.0, "depth_error": 4.0}
    data = data.assign({name: ("segment", [value]) for name, value in segment.items()})
    data = data.assign_coords(wavenumber=wavenumber)
    return data.assign_attrs(
        survey_date="1990-07-01",
        pipeline="mag.process",
        pipeline_version="1+0.1.0",
        pipeline_parameters=json.dumps({"spacing": 50.0}),
        history=HISTORY,
        choices=json.dumps([{"parameter": "cell_size", "value": 50.0, "reason": "a quarter of 200 m"}]),
        quality=json.dumps([{"quantity": "Misfit of the gridding", "value": 0.82, "units": "nT"}]),
    )


@pytest.fixture
def survey() -> xr.Dataset:
    easting = np.arange(400_000.0, 404_000.0, 20.0)
    rows = np.arange(7_500_000.0, 7_503_000.0, 200.0)
    x = np.concatenate([np.tile(easting, rows.size), np.full(150, 402_000.0)])
    y = np.concatenate([np.repeat(rows, easting.size), np.linspace(7_500_000, 7_503_000, 150)])
    size = np.array([easting.size] * rows.size + [150])
    data = xr.Dataset(
        {
            "total_field_anomaly": ("point", np.sin(x / 500) * 100, {"units": "nT"}),
            "line_index": ("point", np.repeat(np.arange(size.size), size).astype("int32")),
            "line_name": ("line", np.array([f"L{i}" for i in range(size.size)])),
            "line_type": ("line", np.array(["line"] * rows.size + ["tie"])),
            "line_start": ("line", np.cumsum(size) - size),
            "line_size": ("line", size),
        },
        coords={
            "easting": ("point", x),
            "northing": ("point", y),
            "upward": ("point", np.full(x.size, 80.0)),
        },
        attrs={
            "title": "A test",
            "survey_date": "1990-07-01",
            "citation": "A test, 2026",
            "licence": "CC-BY 4.0",
        },
    )
    return assign_crs(data, CRS)
