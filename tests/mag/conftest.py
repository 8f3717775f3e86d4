"""Fields with known answers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.fft
import xarray as xr

from pipelines.conventions import Geometry, make_grid


@dataclass(frozen=True)
class Dipole:
    """A dipole *depth* metres below the middle of a grid; angles in degrees."""

    inclination: float = -52.0
    declination: float = 6.0
    magnetisation: tuple[float, float] | None = None
    depth: float = 300.0
    shape: tuple[int, int] = (240, 253)
    spacing: tuple[float, float] = (25.0, 25.0)
    seen_from: tuple[float, float] = (0.0, 0.0)  # metres north and east of the grid

    def observed_at(self, height: float = 0.0) -> xr.DataArray:
        """Total-field anomaly of unit scale at a height: (3 (m·r)(f·r) − m·f) / r³ (Blakely, eq. 5.14)."""
        geometry = Geometry((1000.0, 5000.0), self.spacing, self.shape)
        middle = [0.5 * (n - 1) * h for n, h in zip(self.shape, self.spacing, strict=True)]
        north = (geometry.northing - geometry.origin[0] - middle[0])[:, None] + self.seen_from[0]
        east = geometry.easting - geometry.origin[1] - middle[1] + self.seen_from[1]
        up = self.depth + height
        r = np.sqrt(north**2 + east**2 + up**2)
        field = unit_vector(self.inclination, self.declination)
        moment = unit_vector(*(self.magnetisation or (self.inclination, self.declination)))
        along_field = (field[0] * east + field[1] * north + field[2] * up) / r
        along_moment = (moment[0] * east + moment[1] * north + moment[2] * up) / r
        values = 1e9 * (3 * along_moment * along_field - field @ moment) / r**3
        return make_grid(values, geometry, name="total_field_anomaly", crs="EPSG:32754")


def unit_vector(inclination: float, declination: float) -> np.ndarray:
    """East, north and up components."""
    i, d = np.radians(inclination), np.radians(declination)
    return np.array([np.cos(i) * np.sin(d), np.cos(i) * np.cos(d), -np.sin(i)])


@pytest.fixture
def dipole() -> type[Dipole]:
    return Dipole


@pytest.fixture
def survey_grid() -> Callable[..., xr.DataArray]:
    """A random-phase field over sources at a depth of three cells, with a plane and a base level."""

    def make(
        shape: tuple[int, int] = (300, 380),
        spacing: tuple[float, float] = (50.0, 50.0),
        holes: bool = False,
        dtype: str = "f8",
    ) -> xr.DataArray:
        rng = np.random.default_rng(7)
        size = 2 * max(shape)
        k = 2 * np.pi * np.hypot(scipy.fft.fftfreq(size)[:, None], scipy.fft.rfftfreq(size))
        spectrum = np.exp(-3 * k) / np.maximum(k, 2 * np.pi / size) ** 1.5
        spectrum[0, 0] = 0.0
        phase = np.exp(2j * np.pi * rng.random(k.shape))
        field = scipy.fft.irfft2(spectrum * phase, s=(size, size))[: shape[0], : shape[1]]
        field = 300.0 + 100.0 * field / field.std() + 0.2 * np.arange(shape[0])[:, None]
        if holes:
            field[shape[0] // 4 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] = np.nan
            field[:, : shape[1] // 20] = np.nan
            field[-shape[0] // 10 :, -shape[1] // 8 :] = np.nan
            field[rng.random(shape) < 0.002] = np.nan
        geometry = Geometry((7_500_000.0, 300_000.0), spacing, shape)
        return make_grid(
            field.astype(dtype),
            geometry,
            name="total_field_anomaly",
            crs="EPSG:32754",
            attrs={"source": "simulated"},
        )

    return make
