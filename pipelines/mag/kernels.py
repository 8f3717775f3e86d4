r"""Filters of potential fields in the wavenumber domain.

Each kernel is a small frozen value that is called with wavenumbers and answers with the factor
that multiplies the field's transform. With :math:`\hat f(\mathbf k) = \int f\,
e^{-i\mathbf k\cdot\mathbf x}\,d\mathbf x`, sources below and z up, the gradient is
:math:`(ik_e,\; ik_n,\; -k)`, k the modulus (Blakely, 1995, chapter 12). A kernel also says what
becomes of the plane that is taken off before the transform (`on_plane`), which is not periodic.

Equal kernels are equal values: an engine computes a kernel that several products share once.
"""

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from typing_extensions import override

from pipelines.errors import ParameterError
from pipelines.mag.checks import require_degrees, require_one_of, require_positive, require_whole
from pipelines.mag.padding import Plane

HIGHEST_ORDER = 8  # of a derivative or a Butterworth filter
FLATTEST = 1.0  # degrees: without damping a flatter direction would amplify 1/sin² 1° = 3283 times or more


class Kernel(ABC):
    """A linear filter."""

    __slots__ = ()

    @property
    def isotropic(self) -> bool:
        """Whether the factor is real and depends on the modulus of the wavenumber alone."""
        return True

    @abstractmethod
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        """Return the factor at wavenumbers in rad/m: (1, m), (n, 1) and their modulus (n, m)."""

    @abstractmethod
    def on_plane(self, plane: Plane) -> Plane:
        """Return what the filter makes of a plane."""


@dataclass(frozen=True, slots=True)
class UpwardContinuation(Kernel):
    """Continue the field upward by *height* metres: exp(−k h) (Blakely, 1995, eq. 12.8)."""

    height: float

    def __post_init__(self) -> None:
        require_positive("height", self.height, "metres")

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        return np.exp(-self.height * radial)

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Keep the plane, which is harmonic and the same at every height."""
        return plane


@dataclass(frozen=True, slots=True)
class Derivative(Kernel):
    """Differentiate *easting*, *northing* and *upward* times: (i k_e)^a (i k_n)^b (−k)^c."""

    easting: int = 0
    northing: int = 0
    upward: int = 0

    def __post_init__(self) -> None:
        for axis in ("easting", "northing", "upward"):
            require_whole(axis, getattr(self, axis), 0, HIGHEST_ORDER)

    @property
    @override
    def isotropic(self) -> bool:
        return not (self.easting or self.northing)

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        factor: NDArray = np.ones_like(radial)
        for wavenumber, order in ((east, self.easting), (north, self.northing)):
            if order:
                factor = factor * wavenumber**order
        if self.upward:
            factor = factor * (-radial) ** self.upward
        power = (self.easting + self.northing) % 4
        return factor if power == 0 else factor * (1, 1j, -1, -1j)[power]

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Turn the plane into its slope."""
        orders = (self.easting, self.northing, self.upward)
        if orders == (0, 0, 0):
            return plane
        return Plane({(1, 0, 0): plane.eastward, (0, 1, 0): plane.northward}.get(orders, 0.0))


@dataclass(frozen=True, slots=True)
class VerticalIntegral(Kernel):
    """Integrate from the observation surface upward to infinity: 1/k; zero at k = 0.

    The mean and the plane have no finite integral and are dropped.
    """

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        return np.divide(1.0, radial, out=np.zeros_like(radial), where=radial > 0)

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Drop the plane."""
        return Plane()


@dataclass(frozen=True, slots=True)
class ReductionToPole(Kernel):
    r"""Turn field and magnetisation upright.

    With :math:`\Theta = \sin I + i \cos I \cos(D - \theta)` for the field and for the
    magnetisation, :math:`\theta` the azimuth of the wavenumber, the factor is
    :math:`1 / (\Theta_m \Theta_f)` (Blakely, 1995, eq. 12.31). Where an inclination is flatter
    than *minimum_inclination* the phase stays exact and the amplitude is taken at that
    pseudo-inclination, :math:`\bar\Theta / (|\Theta|\,|\Theta'|)` (MacLeod et al., 1993), which
    bounds the factor by :math:`1/\sin^2 I'`. At k = 0 it is 1.

    Attributes
    ----------
    inclination, declination : float
        Of the geomagnetic field, degrees, positive down and east. Declination is from grid north,
        the northing axis: `igrf.field_at` gives it as ``grid_declination``.
    magnetisation_inclination, magnetisation_declination : float
        Of the sources' total magnetisation, in the same frame.
    minimum_inclination : float
        Pseudo-inclination, degrees.

    Raises
    ------
    ParameterError
        If an angle is not finite or out of range, or a direction and *minimum_inclination* are
        both flatter than 1 degree.
    """

    inclination: float
    declination: float
    magnetisation_inclination: float
    magnetisation_declination: float
    minimum_inclination: float

    def __post_init__(self) -> None:
        for name in ("inclination", "magnetisation_inclination"):
            require_degrees(name, getattr(self, name), -90, 90)
        for name in ("declination", "magnetisation_declination"):
            require_degrees(name, getattr(self, name), -360, 360)
        require_degrees("minimum_inclination", self.minimum_inclination, 0, 90)
        flattest = min(abs(self.inclination), abs(self.magnetisation_inclination))
        if max(flattest, self.minimum_inclination) < FLATTEST:
            raise ParameterError(
                "minimum_inclination",
                self.minimum_inclination,
                f"must be at least {FLATTEST:g} degree where the field or the magnetisation is flatter than "
                "that: features that strike along it carry no signal there and would be amplified "
                "without bound; 20 is usual",
            )

    @property
    @override
    def isotropic(self) -> bool:
        return False

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        directions = np.array(
            [
                _direction_cosines(angle, azimuth)
                for inclination, azimuth in (
                    (self.inclination, self.declination),
                    (self.magnetisation_inclination, self.magnetisation_declination),
                )
                # The direction itself, for the phase, then the pseudo-direction, for the amplitude.
                for angle in (inclination, max(abs(inclination), self.minimum_inclination))
            ]
        )
        factor = np.empty(radial.shape, complex)
        _reduce(east[0], north[:, 0], directions, factor)
        return factor

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Keep the plane: at k = 0 there is no direction to turn."""
        return plane


@dataclass(frozen=True, slots=True)
class Gaussian(Kernel):
    """Pass wavelengths longer (or shorter) than *wavelength* metres: exp(−(k/k_c)²/2), k_c = 2π/λ.

    The amplitude at the cut-off is exp(−1/2) = 0.61 for the low pass, 0.39 for the high pass.
    """

    wavelength: float
    keep: Literal["long", "short"]

    def __post_init__(self) -> None:
        require_positive("wavelength", self.wavelength, "metres")
        require_one_of("keep", self.keep, ("long", "short"))

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        exponent = -0.5 * (radial * (self.wavelength / (2 * np.pi))) ** 2
        return np.exp(exponent) if self.keep == "long" else -np.expm1(exponent)

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Keep the plane, the longest wavelength of all, or drop it."""
        return plane if self.keep == "long" else Plane()


@dataclass(frozen=True, slots=True)
class Butterworth(Kernel):
    """Pass wavelengths longer (or shorter) than *wavelength* metres: 1/√(1 + (k/k_c)^(2n)).

    The amplitude at the cut-off k_c = 2π/λ is 1/√2; *order* n sets the steepness.
    """

    wavelength: float
    order: int
    keep: Literal["long", "short"]

    def __post_init__(self) -> None:
        require_positive("wavelength", self.wavelength, "metres")
        require_whole("order", self.order, 1, HIGHEST_ORDER)
        require_one_of("keep", self.keep, ("long", "short"))

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        power = (radial * (self.wavelength / (2 * np.pi))) ** (2 * self.order)
        if self.keep == "long":
            return 1.0 / np.sqrt(1.0 + power)
        return np.sqrt(power / (1.0 + power))

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Keep the plane, the longest wavelength of all, or drop it."""
        return plane if self.keep == "long" else Plane()


@dataclass(frozen=True, slots=True)
class DirectionalCosine(Kernel):
    """Pass (or reject) features that strike along *azimuth*, degrees east of grid north.

    A feature's wavenumber lies across its strike: with θ the wavenumber's azimuth the pass factor
    is abs(sin(θ − azimuth))^degree. Rejecting is one minus that; the mean and the plane are kept
    by rejecting and dropped by passing.
    """

    azimuth: float
    degree: float
    mode: Literal["pass", "reject"]

    def __post_init__(self) -> None:
        require_degrees("azimuth", self.azimuth, -360, 360)
        require_positive("degree", self.degree, most=100)
        require_one_of("mode", self.mode, ("pass", "reject"))

    @property
    @override
    def isotropic(self) -> bool:
        return False

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        angle = np.radians(self.azimuth)
        across = np.abs(np.cos(angle) * east - np.sin(angle) * north)
        passed = _ratio(across, radial) ** self.degree
        return passed if self.mode == "pass" else 1.0 - passed

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Keep the plane where the strike is rejected, drop it where it is passed."""
        return plane if self.mode == "reject" else Plane()


@dataclass(frozen=True, slots=True)
class Chain(Kernel):
    """One filter after another: the product of the factors."""

    kernels: tuple[Kernel, ...]

    @property
    @override
    def isotropic(self) -> bool:
        return all(kernel.isotropic for kernel in self.kernels)

    @override
    def __call__(self, east: NDArray, north: NDArray, radial: NDArray) -> NDArray:
        return functools.reduce(np.multiply, (kernel(east, north, radial) for kernel in self.kernels))

    @override
    def on_plane(self, plane: Plane) -> Plane:
        """Pass the plane through every filter."""
        return functools.reduce(lambda p, kernel: kernel.on_plane(p), self.kernels, plane)


def _direction_cosines(inclination: float, declination: float) -> tuple[float, float, float]:
    """Return the components down, east and north of a unit vector."""
    i, d = np.radians(inclination), np.radians(declination)
    return np.sin(i), np.cos(i) * np.sin(d), np.cos(i) * np.cos(d)


@njit(cache=True, nogil=True)
def _reduce(east: NDArray, north: NDArray, directions: NDArray, out: NDArray) -> None:
    (d0, e0, n0), (d1, e1, n1), (d2, e2, n2), (d3, e3, n3) = directions
    induced = (directions[0] == directions[2]).all()
    for i in range(north.size):
        for j in range(east.size):
            # |k| Θ = u + i a, of the field (f) and the magnetisation (m), true and pseudo.
            square = east[j] * east[j] + north[i] * north[i]
            radial = np.sqrt(square)
            uf, af = d0 * radial, e0 * east[j] + n0 * north[i]
            um, am = d2 * radial, e2 * east[j] + n2 * north[i]
            pseudo_f = square * d1 * d1 + (e1 * east[j] + n1 * north[i]) ** 2
            pseudo_m = square * d3 * d3 + (e3 * east[j] + n3 * north[i]) ** 2
            weight = (uf * uf + af * af) * pseudo_f * (um * um + am * am) * pseudo_m
            if weight > 0.0:
                scale = square / np.sqrt(weight)
                out[i, j] = complex(scale * (uf * um - af * am), -scale * (uf * am + af * um))
            elif square == 0.0:
                out[i, j] = 1.0
            elif induced:
                # A horizontal field sees nothing of a feature that strikes along it; on either
                # side of that strike the phase is that of −1, and so is the limit.
                out[i, j] = -square / pseudo_f
            else:
                out[i, j] = 0.0  # the mean of two limits of opposite sign


def _ratio(numerator: NDArray, radial: NDArray) -> NDArray:
    return np.divide(numerator, radial, out=np.zeros(radial.shape), where=radial > 0)
