"""Random surfaces: fractal noise on a periodic lattice, and terrain with exact lowest and highest points.

References
----------
Turcotte, D. L. (1997). Fractals and chaos in geology and geophysics (2nd ed.).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from pipelines.errors import ParameterError
from simulators.randomness import generator

Extent = tuple[float, float, float, float]
"""West, south, east and north edges in metres."""

MARGIN = 4000.0  # metres added on each side, so that periodic images stay far from the survey


@dataclass(frozen=True, slots=True)
class Lattice:
    """A periodic square lattice that covers an extent and a margin around it.

    Parameters
    ----------
    extent : tuple of float
        West, south, east, north, metres.
    cell : float
        Distance between nodes, metres.
    """

    extent: Extent
    cell: float

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes along northing and easting, rounded up to fast FFT sizes (the margin takes the rest)."""
        west, south, east, north = self.extent
        rows = fft.next_fast_len(int(np.ceil((north - south + 2 * MARGIN) / self.cell)), real=True)
        columns = fft.next_fast_len(int(np.ceil((east - west + 2 * MARGIN) / self.cell)), real=True)
        return rows, columns

    @property
    def origin(self) -> tuple[float, float]:
        """Northing and easting of the first node."""
        return self.extent[1] - MARGIN, self.extent[0] - MARGIN

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return easting and northing of every node, two arrays of `shape`."""
        rows, columns = self.shape
        northing = self.origin[0] + self.cell * np.arange(rows)
        easting = self.origin[1] + self.cell * np.arange(columns)
        grids = np.meshgrid(easting, northing)
        return grids[0], grids[1]

    def wavenumbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return easting (1, m) and northing (n, 1) wavenumbers of the half plane, rad/m."""
        rows, columns = self.shape
        k_east = 2 * np.pi * fft.rfftfreq(columns, self.cell)
        k_north = 2 * np.pi * fft.fftfreq(rows, self.cell)
        return k_east[np.newaxis, :], k_north[:, np.newaxis]

    def indices(self, easting: np.ndarray, northing: np.ndarray, refined: int = 1) -> np.ndarray:
        """Return fractional row and column of positions on a lattice *refined* times as dense."""
        south, west = self.origin
        scale = refined / self.cell
        return np.stack([(np.asarray(northing) - south) * scale, (np.asarray(easting) - west) * scale])


def fractal_noise(
    lattice: Lattice, rng: np.random.Generator, *, hurst: float, shortest: float, longest: float = np.inf
) -> np.ndarray:
    r"""Draw fractional Brownian noise with zero mean and unit standard deviation on *lattice*.

    White noise is coloured with :math:`|k|^{-(H+1)}` (the two-dimensional fBm of Hurst exponent
    *H*; Turcotte, 1997), flattened below ``2 pi / longest`` and rolled off as a
    Gaussian above ``2 pi / shortest``.

    Parameters
    ----------
    lattice : Lattice
        Where to draw.
    rng : Generator
        Source of the white noise.
    hurst : float
        Roughness: -1 is white, 0 rough, 1 smooth.
    shortest, longest : float
        Wavelengths in metres between which the noise is fractal.
    """
    k_east, k_north = lattice.wavenumbers()
    k = np.hypot(k_east, k_north)
    corner = 0.0 if np.isinf(longest) else 2 * np.pi / longest
    k[0, 0] = 1.0
    colour = np.hypot(k, corner) ** -(hurst + 1.0) * np.exp(-((k * shortest / (2 * np.pi)) ** 2))
    colour[0, 0] = 0.0
    noise = fft.irfft2(fft.rfft2(rng.standard_normal(lattice.shape)) * colour, s=lattice.shape)
    return noise / noise.std()


@dataclass(frozen=True, slots=True)
class Terrain:
    """A seeded fractal ground surface, defined at every position.

    Parameters
    ----------
    seed : int
        Seed of the scene.
    extent : tuple of float
        West, south, east, north in metres; the surface repeats some kilometres outside.
    lowest, highest : float
        Lowest and highest elevation in metres: bounds everywhere, and both are reached.
    hurst : float
        Roughness, see `fractal_noise`.
    shortest : float
        Shortest wavelength in metres.

    Raises
    ------
    ParameterError
        If *highest* is not above *lowest*.
    """

    seed: int
    extent: Extent
    lowest: float
    highest: float
    hurst: float = 0.7
    shortest: float = 500.0

    def __post_init__(self) -> None:
        if not self.highest > self.lowest:
            raise ParameterError("highest", self.highest, f"must be above lowest = {self.lowest} m")

    @property
    def lattice(self) -> Lattice:
        """The lattice on which the surface was drawn."""
        return Lattice(self.extent, cell=100.0)

    def elevation(self, easting: np.ndarray, northing: np.ndarray) -> np.ndarray:
        """Return elevations in metres, upward, in the shape of the positions."""
        indices = self.lattice.indices(easting, northing)
        values = ndimage.map_coordinates(_spline(self), indices, order=3, mode="grid-wrap", prefilter=False)
        # The spline meets the nodes, lowest and highest among them, and may pass them by a hair between.
        return np.clip(values, self.lowest, self.highest)


@lru_cache(maxsize=8)
def _spline(terrain: Terrain) -> np.ndarray:
    noise = fractal_noise(
        terrain.lattice, generator(terrain.seed, "terrain"), hurst=terrain.hurst, shortest=terrain.shortest
    )
    # The range is met inside the extent: what lies in the margin is cut off at the same bounds.
    rows, columns = _inside(terrain.lattice)
    inside = noise[rows, columns]
    unit = np.clip((noise - inside.min()) / np.ptp(inside), 0.0, 1.0)
    return ndimage.spline_filter(
        terrain.lowest + (terrain.highest - terrain.lowest) * unit, order=3, mode="grid-wrap"
    )


def _inside(lattice: Lattice) -> tuple[slice, slice]:
    """Rows and columns of the nodes that lie inside the extent."""
    _, _, east, north = lattice.extent
    first = int(np.ceil(MARGIN / lattice.cell))
    return (
        slice(first, int((north - lattice.origin[0]) // lattice.cell) + 1),
        slice(first, int((east - lattice.origin[1]) // lattice.cell) + 1),
    )
