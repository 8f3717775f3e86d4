"""Magnetic vectors and directions, the same for the main field and for a source's anomaly."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

# In nT m / A. The measured mu_0 agrees with 4 pi 1e-7 H/m within its uncertainty (CODATA 2022).
MU_0 = 400.0 * np.pi
FIELD_CONSTANT = MU_0 / (4 * np.pi)  # 100 to the last bit


class Field(NamedTuple):
    """Magnetic induction in nT along east, north and up; unpacks as ``b_e, b_n, b_u``.

    Attributes
    ----------
    east, north, up : ndarray
        Components in nT, all of one shape.
    """

    east: FloatArray
    north: FloatArray
    up: FloatArray

    @property
    def horizontal(self) -> FloatArray:
        """Horizontal intensity in nT."""
        return np.hypot(self.east, self.north)

    @property
    def intensity(self) -> FloatArray:
        """Total intensity in nT."""
        return np.hypot(self.horizontal, self.up)

    @property
    def inclination(self) -> FloatArray:
        """Angle below the horizontal in degrees, positive down."""
        return np.degrees(np.arctan2(-self.up, self.horizontal))

    @property
    def declination(self) -> FloatArray:
        """Angle from north in degrees, positive east."""
        return np.degrees(np.arctan2(self.east, self.north))

    def along(self, inclination: ArrayLike, declination: ArrayLike) -> FloatArray:
        """Component in nT along a direction given by its angles in degrees."""
        east, north, up = direction(inclination, declination)
        return self.east * east + self.north * north + self.up * up


def direction(inclination: ArrayLike, declination: ArrayLike) -> tuple[Any, Any, Any]:
    """Return the unit vector (east, north, up) of an inclination and a declination in degrees.

    Inclination is positive down and declination positive east of the northing axis, so that
    ``direction(90, 0)`` points straight down (Blakely, 1995, section 8.3.1, with z up).
    """
    dip, azimuth = np.radians(inclination), np.radians(declination)
    return np.cos(dip) * np.sin(azimuth), np.cos(dip) * np.cos(azimuth), -np.sin(dip)
