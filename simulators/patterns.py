"""Patterns of susceptibility in map view: fractal textures, and beds folded and faulted."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from simulators.randomness import generator
from simulators.relief import Lattice, fractal_noise

CONTACT = 25.0  # metres, standard deviation over which beds pass into one another: maps must not alias


@dataclass(frozen=True, slots=True)
class Fault:
    """A vertical strike-slip fault that shifted everything older than itself.

    Attributes
    ----------
    easting, northing : float
        A point on the fault, metres.
    strike : float
        Degrees clockwise from north.
    slip : float
        Metres that the right-hand side (looking along strike) moved along strike.
    """

    easting: float
    northing: float
    strike: float
    slip: float

    def distance(self, easting: np.ndarray, northing: np.ndarray) -> np.ndarray:
        """Return metres from the fault, positive on its right-hand side."""
        along_e, along_n = axis(self.strike)
        return (easting - self.easting) * along_n - (northing - self.northing) * along_e

    def displaced(self, easting: np.ndarray, northing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where rock at these places before the fault lies after it."""
        return self._shift(easting, northing, self.slip)

    def restored(self, easting: np.ndarray, northing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where rock at these places lay before the fault."""
        return self._shift(easting, northing, -self.slip)

    def _shift(self, easting: np.ndarray, northing: np.ndarray, by: float) -> tuple[np.ndarray, np.ndarray]:
        along_e, along_n = axis(self.strike)
        moved = np.where(self.distance(easting, northing) > 0, by, 0.0)
        return easting + moved * along_e, northing + moved * along_n


@dataclass(frozen=True, slots=True)
class Texture:
    """Fractal susceptibility without structure: a deep regional field, or a weathered surface.

    Attributes
    ----------
    mean, deviation : float
        Mean and standard deviation of the susceptibility, SI.
    hurst : float
        Roughness, see `fractal_noise`.
    shortest, longest : float
        Wavelengths in metres.
    """

    mean: float
    deviation: float
    hurst: float
    shortest: float
    longest: float

    def susceptibility(self, lattice: Lattice, seed: int, component: str) -> np.ndarray:
        """Return the susceptibility (SI) at the lattice's nodes."""
        noise = fractal_noise(
            lattice,
            generator(seed, component),
            hurst=self.hurst,
            shortest=self.shortest,
            longest=self.longest,
        )
        return self.mean + self.deviation * noise


@dataclass(frozen=True, slots=True)
class FoldedBeds:
    """Beds of different susceptibility, folded, cut by faults and bleached along them.

    The beds are level sets of a stratigraphic height: an anticlinal wave across strike, a plunge
    along it and a fractal warp, taken where the rock lay before the faults.

    Attributes
    ----------
    strike : float
        Of the fold axes, degrees clockwise from north.
    wavelength, amplitude : float
        Of the folds, metres.
    plunge : float
        Metres of stratigraphic height per metre along strike.
    warp : float
        Standard deviation of the fractal warp, metres.
    thickness : tuple of float
        Of each bed from the lowest upward, metres; the succession repeats.
    susceptibilities : tuple of float
        Of each bed, SI.
    faults : tuple of Fault
        Youngest last.
    bleached : float
        Half-width of the corridor along a fault in which magnetite has been destroyed, metres.
    """

    strike: float
    wavelength: float
    amplitude: float
    plunge: float
    warp: float
    thickness: tuple[float, ...]
    susceptibilities: tuple[float, ...]
    faults: tuple[Fault, ...] = ()
    bleached: float = 150.0

    def susceptibility(self, lattice: Lattice, seed: int, component: str) -> np.ndarray:
        """Return the susceptibility (SI) at the lattice's nodes."""
        easting, northing = lattice.nodes()
        kept = np.ones(lattice.shape)
        for fault in reversed(self.faults):
            kept *= 1.0 - 0.85 * np.exp(-((fault.distance(easting, northing) / self.bleached) ** 2))
            easting, northing = fault.restored(easting, northing)
        return kept * self._of_height(self._stratigraphic_height(lattice, easting, northing, seed, component))

    def _stratigraphic_height(
        self, lattice: Lattice, easting: np.ndarray, northing: np.ndarray, seed: int, component: str
    ) -> np.ndarray:
        west, south, east, north = lattice.extent
        along_e, along_n = axis(self.strike)
        from_e, from_n = easting - (west + east) / 2, northing - (south + north) / 2
        along = from_e * along_e + from_n * along_n
        across = from_e * along_n - from_n * along_e
        rng = generator(seed, component)
        warp, bend = (
            ndimage.map_coordinates(
                fractal_noise(lattice, rng, hurst=0.9, shortest=shortest, longest=9000.0),
                lattice.indices(easting, northing),
                order=1,
                mode="grid-wrap",
            )
            for shortest in (700.0, 4000.0)
        )
        phase = 2 * np.pi * (across + self.wavelength * 0.18 * bend) / self.wavelength
        return self.amplitude * np.cos(phase) + self.plunge * along + self.warp * warp

    def _of_height(self, height: np.ndarray) -> np.ndarray:
        """Look the susceptibility up, with contacts smoothed by `CONTACT`."""
        period = sum(self.thickness)
        tops = np.cumsum(self.thickness)
        sampled = np.arange(0.0, period, 5.0)
        column = np.asarray(self.susceptibilities)[np.searchsorted(tops[:-1], sampled, side="right")]
        column = ndimage.gaussian_filter1d(column, CONTACT / 5.0, mode="wrap")
        return np.interp(height, sampled, column, period=period)


def axis(strike: float) -> tuple[float, float]:
    """East and north components of the unit vector along *strike*."""
    return float(np.sin(np.radians(strike))), float(np.cos(np.radians(strike)))
