r"""Spherical harmonic synthesis of the main field, one point at a time.

The potential is
:math:`V = a \sum_{n,m} (a/r)^{n+1} (g_n^m \cos m\lambda + h_n^m \sin m\lambda) P_n^m(\cos\theta)`
with Schmidt semi-normalised functions and a = 6371.2 km (Alken et al., 2021, eq. 1). For m > 0 the
recurrences run on :math:`R_n^m = P_n^m / \sin\theta`, which stays finite at the poles, so that

.. math::
    P_n^m / \sin\theta = R_n^m, \qquad
    dP_n^m / d\theta = n \cos\theta R_n^m - \sqrt{n^2 - m^2} R_{n-1}^m

and nothing is ever divided by sin θ.

References
----------
Alken, P., et al. (2021). International Geomagnetic Reference Field: the thirteenth generation.
Earth, Planets and Space, 73. https://doi.org/10.1186/s40623-020-01288-x
Langel, R. A. (1987). The main field. In Geomagnetism, vol. 1 (Jacobs, ed.), 249-512.
"""

import math

import numpy as np
from numba import njit

from pipelines.mag.field import FloatArray

REFERENCE_RADIUS = 6_371_200.0  # metres: the a of the expansion, not of the ellipsoid
WGS84_A = 6_378_137.0
WGS84_F = 1.0 / 298.257223563
_E2 = WGS84_F * (2.0 - WGS84_F)


def recurrence_table(degree: int) -> FloatArray:
    r"""Return the factors of the Schmidt recurrences, order by order.

    Rows run over m = 0, 1, …, degree and within it n = max(m, 1), …, degree: the order in which
    `synthesise` meets the terms. Columns are the factors of :math:`\cos\theta R_{n-1}^m` and of
    :math:`-R_{n-2}^m` in :math:`R_n^m` (Langel, 1987, eq. 27), and :math:`\sqrt{n^2 - m^2}`.
    """
    rows = []
    for m in range(degree + 1):
        for n in range(max(m, 1), degree + 1):
            root = math.sqrt(n * n - m * m)
            before = math.sqrt((n - 1) ** 2 - m * m) if n > m else 0.0
            rows.append(((2 * n - 1) / root, before / root, root) if n > m else (0.0, 0.0, 0.0))
    return np.array(rows)


@njit(cache=True, nogil=True, error_model="numpy")
def synthesise(
    latitude: FloatArray,
    longitude: FloatArray,
    height: FloatArray,
    year: FloatArray,
    epochs: FloatArray,
    coefficients: FloatArray,
    table: FloatArray,
    degree: int,
    east: FloatArray,
    north: FloatArray,
    up: FloatArray,
) -> None:
    """Write the main field in nT along geodetic east, north and up at flat arrays of points.

    *latitude* and *longitude* are geodetic degrees, *height* metres above the ellipsoid, *year*
    decimal. *coefficients* has shape (epochs - 1, terms, 4): g and h at the start of the interval
    and their change per year, in the order of *table*.
    """
    radial = np.empty(degree + 1)
    last = epochs.size - 2
    for i in range(latitude.size):
        phi, lam = math.radians(latitude[i]), math.radians(longitude[i])
        sin_phi, cos_phi = math.sin(phi), math.cos(phi)
        curvature = WGS84_A / math.sqrt(1.0 - _E2 * sin_phi * sin_phi)
        axial = (curvature * (1.0 - _E2) + height[i]) * sin_phi
        equatorial = (curvature + height[i]) * cos_phi
        r = math.sqrt(axial * axial + equatorial * equatorial)
        c, s = axial / r, equatorial / r  # cosine and sine of the geocentric colatitude
        if not math.isfinite(r + lam + year[i]):
            east[i] = north[i] = up[i] = np.nan
            continue

        interval = 0
        while interval < last and year[i] >= epochs[interval + 1]:
            interval += 1
        years = year[i] - epochs[interval]

        radial[0] = (REFERENCE_RADIUS / r) ** 2
        for n in range(1, degree + 1):
            radial[n] = radial[n - 1] * (REFERENCE_RADIUS / r)

        b_r = b_theta = b_phi = 0.0
        cos_1, sin_1 = math.cos(lam), math.sin(lam)
        cos_m, sin_m = 1.0, 0.0
        sectoral = 1.0  # R_m^m
        k = 0
        for m in range(degree + 1):
            if m > 1:
                sectoral *= s * math.sqrt((2.0 * m - 1.0) / (2.0 * m))
            if m > 0:
                cos_m, sin_m = cos_m * cos_1 - sin_m * sin_1, sin_m * cos_1 + cos_m * sin_1
            before, here = 0.0, 0.0
            slope_before, slope = 0.0, 0.0
            for n in range(m if m > 0 else 1, degree + 1):
                g = coefficients[interval, k, 0] + years * coefficients[interval, k, 2]
                h = coefficients[interval, k, 1] + years * coefficients[interval, k, 3]
                in_phase, quadrature = g * cos_m + h * sin_m, h * cos_m - g * sin_m
                if m > 0:
                    before, here = here, table[k, 0] * c * here - table[k, 1] * before
                    if n == m:
                        here = sectoral
                    value = here * s
                    derivative = n * c * here - table[k, 2] * before
                    b_phi -= radial[n] * m * here * quadrature
                else:
                    # P_n and dP_n/dθ side by side: dP_n/dθ = n (cos θ P_n - P_{n-1}) / sin θ would
                    # divide by sin θ, the differentiated recurrence does not.
                    if n == 1:
                        before, here = 1.0, c
                        slope_before, slope = 0.0, -s
                    else:
                        slope_before, slope = (
                            slope,
                            table[k, 0] * (c * slope - s * here) - table[k, 1] * slope_before,
                        )
                        before, here = here, table[k, 0] * c * here - table[k, 1] * before
                    value, derivative = here, slope
                b_r += radial[n] * (n + 1) * in_phase * value
                b_theta -= radial[n] * in_phase * derivative
                k += 1

        # Turn from the geocentric to the geodetic vertical by the angle between them.
        cos_psi, sin_psi = cos_phi * s + sin_phi * c, sin_phi * s - cos_phi * c
        east[i] = b_phi
        north[i] = -b_theta * cos_psi - b_r * sin_psi
        up[i] = b_r * cos_psi - b_theta * sin_psi
