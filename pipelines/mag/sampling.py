"""Wavenumbers of a real transform, and kernels evaluated on them."""

import numpy as np
from numpy.typing import NDArray

from pipelines.mag.kernels import Kernel

MIXED = 1 / 16  # of the wavenumbers up to Nyquist, see `sample`


def sample(kernel: Kernel, east: NDArray, north: NDArray, spacing: tuple[float, float]) -> NDArray:
    """Evaluate a kernel on a strip of the half-plane, with the Nyquist convention of the house.

    At the Nyquist wavenumber of a grid +k and −k are the same wave, and the factor must be the
    mean of both, or mirroring a grid would not mirror its filtered grid: an odd derivative is
    zero there. A sudden change to that mean would ring over the whole survey, so along each axis
    the change is a cosine over the last sixteenth of the wavenumbers below Nyquist (wavelengths
    of 2 to 2.13 cells, where no survey carries signal). Isotropic kernels know no sign.

    Parameters
    ----------
    kernel : Kernel
        The filter.
    east, north : arrays, shapes (1, m) and (n, 1)
        Wavenumbers, rad/m.
    spacing : tuple of float
        Cell size ``(northing, easting)``, metres.
    """
    factor = _mixed_north(kernel, east, north, spacing[0])
    if kernel.isotropic:
        return factor
    share = _mirror_share(east[0], spacing[1])
    near = np.flatnonzero(share)
    if near.size:
        mirrored = _mixed_north(kernel, -east[:, near], north, spacing[0])
        factor[:, near] += share[near] * (mirrored - factor[:, near])
    return factor


def wavenumbers(shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """Return ``east`` (1, m/2 + 1) and ``north`` (n, 1) of a real transform, rad/m."""
    north = 2 * np.pi * np.fft.fftfreq(shape[0], spacing[0])[:, None]
    east = 2 * np.pi * np.fft.rfftfreq(shape[1], spacing[1])[None, :]
    return east, north


def _mixed_north(kernel: Kernel, east: NDArray, north: NDArray, spacing: float) -> NDArray:
    factor = kernel(east, north, _modulus(east, north))
    if kernel.isotropic:
        return factor
    share = _mirror_share(north[:, 0], spacing)
    near = np.flatnonzero(share)
    opposite = -north[near]
    mirrored = kernel(east, opposite, _modulus(east, opposite))
    factor[near] += share[near, None] * (mirrored - factor[near])
    return factor


def _mirror_share(wavenumber: NDArray, spacing: float) -> NDArray:
    """Share of the opposite wavenumber: 0 up to 15/16 of Nyquist, then a cosine up to one half."""
    phase = np.clip((np.abs(wavenumber) * (spacing / np.pi) - 1.0) / MIXED + 1.0, 0.0, 1.0)
    return 0.25 - 0.25 * np.cos(np.pi * phase)


def _modulus(east: NDArray, north: NDArray) -> NDArray:
    # Several times faster than np.hypot, whose care for overflow no wavenumber needs.
    return np.sqrt(east * east + north * north)
