"""Kernels of point dipoles and uniformly magnetised spheres."""

import numpy as np
from numba import njit

from pipelines.mag.field import FIELD_CONSTANT, FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def dipole_field(
    easting: FloatArray,
    northing: FloatArray,
    upward: FloatArray,
    positions: FloatArray,
    moments: FloatArray,
    b_e: FloatArray,
    b_n: FloatArray,
    b_u: FloatArray,
) -> None:
    """Add the induction (nT) of every dipole at every point; *moments* in A m²."""
    for i in range(easting.size):
        e = n = u = 0.0
        for j in range(positions.shape[0]):
            x = easting[i] - positions[j, 0]
            y = northing[i] - positions[j, 1]
            z = upward[i] - positions[j, 2]
            r2 = x * x + y * y + z * z
            inverse = 1.0 / (r2 * np.sqrt(r2))
            radial = 3.0 * (moments[j, 0] * x + moments[j, 1] * y + moments[j, 2] * z) / r2
            e += (radial * x - moments[j, 0]) * inverse
            n += (radial * y - moments[j, 1]) * inverse
            u += (radial * z - moments[j, 2]) * inverse
        b_e[i] += FIELD_CONSTANT * e
        b_n[i] += FIELD_CONSTANT * n
        b_u[i] += FIELD_CONSTANT * u


@njit(cache=True, nogil=True, error_model="numpy")
def sphere_field(
    easting: FloatArray,
    northing: FloatArray,
    upward: FloatArray,
    spheres: FloatArray,
    magnetisations: FloatArray,
    b_e: FloatArray,
    b_n: FloatArray,
    b_u: FloatArray,
) -> None:
    """Add the induction (nT) of every sphere at every point; rows are position and radius."""
    for i in range(easting.size):
        e = n = u = 0.0
        for j in range(spheres.shape[0]):
            x = easting[i] - spheres[j, 0]
            y = northing[i] - spheres[j, 1]
            z = upward[i] - spheres[j, 2]
            radius = spheres[j, 3]
            m_e, m_n, m_u = magnetisations[j, 0], magnetisations[j, 1], magnetisations[j, 2]
            r2 = x * x + y * y + z * z
            if r2 < radius * radius:
                # 2/3 mu_0 M = mu_0 / 4 pi * 8 pi / 3 * M; the sign undoes that of the sum below.
                radial, shape = 0.0, -8.0 * np.pi / 3.0
            else:
                ratio = radius * radius / r2
                shape = 4.0 * np.pi / 3.0 * ratio * np.sqrt(ratio)
                radial = 3.0 * (m_e * x + m_n * y + m_u * z) / r2
            e += (radial * x - m_e) * shape
            n += (radial * y - m_n) * shape
            u += (radial * z - m_u) * shape
        b_e[i] += FIELD_CONSTANT * e
        b_n[i] += FIELD_CONSTANT * n
        b_u[i] += FIELD_CONSTANT * u
