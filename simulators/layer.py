r"""Magnetic layers: susceptibility that varies from place to place between two level surfaces.

A layer carries what single bodies cannot, thousands of folded beds or the texture of the regolith,
and costs the same for one bed as for a thousand. It is periodic and band limited by definition, so
that its field is known without approximation at every height above it (Blakely, 1995,
chapter 11):

.. math::

    \Delta T(k, z) = \frac{\mu_0}{2} \Theta_m \Theta_f
        \left(e^{-|k| (z - z_{top})} - e^{-|k| (z - z_{bottom})}\right) M(k)

Evaluated on a drape it is interpolated, to within `INTERPOLATION_ERROR` of its standard deviation.

References
----------
Berrut, J.-P., & Trefethen, L. N. (2004). Barycentric Lagrange interpolation. SIAM Review, 46(3).
https://doi.org/10.1137/S0036144502417715
Blakely, R. J. (1995). Potential theory in gravity and magnetic applications.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from pipelines.errors import ParameterError
from pipelines.mag.field import MU_0, direction
from simulators.patterns import FoldedBeds, Texture
from simulators.relief import Extent, Lattice

CELL = 50.0  # metres between the nodes of a susceptibility map
REFINED = 2  # the field is sampled at half of that before the spline reads it
SPLINE_ORDER = 5
HEIGHTS = 9  # Chebyshev heights between the lowest and the highest point
INTERPOLATION_ERROR = 1e-5  # rms, of the layer's standard deviation; held by a test against the exact sum


@dataclass(frozen=True, slots=True)
class Layer:
    """Magnetic rock between two level surfaces, magnetised along the inducing field.

    Attributes
    ----------
    name : str
        Also the name of its random stream.
    top, bottom : float
        Elevations in metres, upward.
    pattern : Texture or FoldedBeds
        Susceptibility from place to place.

    Raises
    ------
    ParameterError
        If *top* is not above *bottom*.
    """

    name: str
    top: float
    bottom: float
    pattern: Texture | FoldedBeds

    def __post_init__(self) -> None:
        if not self.top > self.bottom:
            raise ParameterError("top", self.top, f"must be above bottom = {self.bottom} m")

    def susceptibility(self, extent: Extent, seed: int) -> np.ndarray:
        """Return the susceptibility (SI) at the nodes of ``Lattice(extent, CELL)``, never negative."""
        return np.maximum(self.pattern.susceptibility(Lattice(extent, CELL), seed, self.name), 0.0)


@dataclass(frozen=True, slots=True)
class LayerField:
    """The field of a stack of layers, ready to be evaluated.

    Attributes
    ----------
    lattice : Lattice
        Of the susceptibility maps.
    spectra : tuple of ndarray
        Half-plane spectrum of each layer's field as seen from its own top, nT, before the bottom is
        taken off.
    tops, bottoms : tuple of float
        Elevations in metres.
    """

    lattice: Lattice
    spectra: tuple[np.ndarray, ...]
    tops: tuple[float, ...]
    bottoms: tuple[float, ...]

    def at_height(self, upward: float, refined: int = 1) -> np.ndarray:
        """Return the anomaly (nT) on the lattice, *refined* times as dense, at one elevation."""
        rows, columns = self.lattice.shape
        spectrum = self.spectrum(upward)
        positive, negative = (rows + 1) // 2, rows // 2
        padded = np.zeros((rows * refined, columns * refined // 2 + 1), dtype=complex)
        padded[:positive, : spectrum.shape[1]] = spectrum[:positive]
        padded[-negative:, : spectrum.shape[1]] = spectrum[-negative:]
        shape = (rows * refined, columns * refined)
        return fft.irfft2(padded, s=shape, overwrite_x=True) * refined**2

    def spectrum(self, upward: float) -> np.ndarray:
        """Return the half-plane spectrum of the anomaly (nT) at one elevation."""
        k = np.hypot(*self.lattice.wavenumbers())
        total = np.zeros(k.shape, dtype=complex)
        for spectrum, top, bottom in zip(self.spectra, self.tops, self.bottoms, strict=True):
            total += spectrum * np.exp(-k * (upward - top)) * -np.expm1(-k * (top - bottom))
        return total

    def anomaly(self, easting: np.ndarray, northing: np.ndarray, upward: np.ndarray) -> np.ndarray:
        """Return the total-field anomaly (nT) at points above the layers.

        The field is synthesised at Chebyshev heights, read there by a spline and interpolated
        between them by Lagrange's polynomial in its barycentric form (Berrut & Trefethen, 2004).
        """
        if not self.tops:
            return np.zeros(np.shape(easting))
        if np.min(upward) <= max(self.tops):
            raise ParameterError("upward", float(np.min(upward)), f"must be above {max(self.tops)} m")
        indices = self.lattice.indices(easting, northing, REFINED)
        nodes, weights = _chebyshev(float(np.min(upward)), float(np.max(upward)))
        numerator, denominator = np.zeros(indices.shape[1]), np.zeros(indices.shape[1])
        for node, weight in zip(nodes, weights, strict=True):
            values = ndimage.map_coordinates(
                self.at_height(node, REFINED), indices, order=SPLINE_ORDER, mode="grid-wrap"
            )
            # A point exactly at a node divides by the floor and takes that node's value alone.
            share = weight / _floored(upward - node)
            numerator += share * values
            denominator += share
        return numerator / denominator


def layer_field(
    layers: Sequence[Layer],
    *,
    extent: Extent,
    seed: int,
    intensity: float,
    inclination: float,
    declination: float,
) -> LayerField:
    """Transform the layers' magnetisation into the spectra of their fields.

    Parameters
    ----------
    layers : sequence of Layer
        Any number of layers, none is allowed.
    extent : tuple of float
        West, south, east, north of the scene, metres.
    seed : int
        Seed of the scene.
    intensity, inclination, declination : float
        Of the inducing field: nT, degrees down, degrees east of grid north.
    """
    lattice = Lattice(extent, CELL)
    k_east, k_north = lattice.wavenumbers()
    k = np.hypot(k_east, k_north)
    k[0, 0] = 1.0
    east, north, up = direction(inclination, declination)
    # Blakely's Theta with z down; magnetisation and field share the direction.
    theta = -up + 1j * (k_east * east + k_north * north) / k
    response = MU_0 / 2 * theta**2
    response[0, 0] = 0.0  # a uniform sheet has no field outside
    rows, columns = lattice.shape
    # A Nyquist mode is its own mirror image and has no derivative: it is no part of the layer.
    if rows % 2 == 0:
        response[rows // 2] = 0.0
    if columns % 2 == 0:
        response[:, -1] = 0.0
    magnetising = intensity / MU_0  # A/m
    spectra = tuple(
        fft.rfft2(layer.susceptibility(extent, seed) * magnetising) * response for layer in layers
    )
    return LayerField(lattice, spectra, tuple(x.top for x in layers), tuple(x.bottom for x in layers))


def _chebyshev(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev nodes of the first kind on [low, high] and their barycentric weights."""
    angle = (2 * np.arange(HEIGHTS) + 1) * np.pi / (2 * HEIGHTS)
    half = max((high - low) / 2, 1.0)
    return (low + high) / 2 + half * np.cos(angle), (-1.0) ** np.arange(HEIGHTS) * np.sin(angle)


def _floored(distance: np.ndarray) -> np.ndarray:
    return np.where(np.abs(distance) < 1e-9, 1e-9, distance)
