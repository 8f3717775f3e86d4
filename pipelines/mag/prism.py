r"""Kernel of the uniformly magnetised right rectangular prism.

With :math:`U_{ij} = \partial_i \partial_j \int dV' / |r - r'|` the induction is
:math:`B_i = \frac{\mu_0}{4\pi} \sum_j U_{ij} M_j`, plus :math:`\mu_0 M_i` inside the body
(Blakely, 1995, section 9.3; the closed forms below are those of Nagy et al., 2000).

Three choices make it fast and keep its digits:

- The observation point is reflected into one octant about the prism's centre. Every
  ``r + z`` then comes without cancellation, also on the line that continues an edge.
- :math:`U_{xy}` is the logarithm of ONE quotient of products over the corners instead of a sum of
  eight logarithms.
- :math:`U_{xx}` is minus the solid angle of the two faces across x. A face is the difference of two
  half-infinite strips, and a strip is a spherical triangle with one corner at infinity, whose half
  angle is the argument of a complex number (van Oosterom & Strackee, 1983). Half the sum stays
  within ±π outside the body, so the argument of ONE product replaces eight arc tangents; on a face
  it is the limit from outside.

References
----------
Blakely, R. J. (1995). Potential theory in gravity and magnetic applications.
Nagy, D., Papp, G., & Benedek, J. (2000). The gravitational potential and its derivatives for the
prism. Journal of Geodesy, 74. https://doi.org/10.1007/s001900000116
van Oosterom, A., & Strackee, J. (1983). The solid angle of a plane triangle. IEEE Transactions on
Biomedical Engineering, 30. https://doi.org/10.1109/TBME.1983.325207
"""

import math

from numba import njit

from pipelines.mag.field import FIELD_CONSTANT, FloatArray

ON_EDGE = 1e-30  # metres: the field diverges as a logarithm on an edge; this floor keeps it finite


@njit(cache=True, nogil=True, error_model="numpy")
def prism_field(
    easting: FloatArray,
    northing: FloatArray,
    upward: FloatArray,
    prisms: FloatArray,
    magnetisation: FloatArray,
    b_e: FloatArray,
    b_n: FloatArray,
    b_u: FloatArray,
) -> None:
    """Add the induction (nT) of every prism at every point to *b_e*, *b_n* and *b_u*.

    *prisms* is (n, 6): west, east, south, north, bottom, top in metres; *magnetisation* is (n, 3):
    east, north, up in A/m.
    """
    for i in range(easting.size):
        x, y, z = easting[i], northing[i], upward[i]
        e = n = u = 0.0
        for j in range(prisms.shape[0]):
            ee, nn, uu, en, eu, nu, inside = _second_derivatives(
                prisms[j, 0] - x,
                prisms[j, 1] - x,
                prisms[j, 2] - y,
                prisms[j, 3] - y,
                prisms[j, 4] - z,
                prisms[j, 5] - z,
            )
            m_e, m_n, m_u = magnetisation[j, 0], magnetisation[j, 1], magnetisation[j, 2]
            e += (ee + inside) * m_e + en * m_n + eu * m_u
            n += en * m_e + (nn + inside) * m_n + nu * m_u
            u += eu * m_e + nu * m_n + (uu + inside) * m_u
        b_e[i] += FIELD_CONSTANT * e
        b_n[i] += FIELD_CONSTANT * n
        b_u[i] += FIELD_CONSTANT * u


@njit(cache=True, nogil=True, error_model="numpy")
def _second_derivatives(
    x1: float, x2: float, y1: float, y2: float, z1: float, z2: float
) -> tuple[float, float, float, float, float, float, float]:
    """Return U_ee, U_nn, U_uu, U_en, U_eu, U_nu and 4 pi if the origin lies inside, else 0."""
    sx = sy = sz = 1.0
    if x1 + x2 < 0.0:
        x1, x2, sx = -x2, -x1, -1.0
    if y1 + y2 < 0.0:
        y1, y2, sy = -y2, -y1, -1.0
    if z1 + z2 < 0.0:
        z1, z2, sz = -z2, -z1, -1.0

    xx1, xx2, yy1, yy2, zz1, zz2 = x1 * x1, x2 * x2, y1 * y1, y2 * y2, z1 * z1, z2 * z2
    r111, r112 = math.sqrt(xx1 + yy1 + zz1), math.sqrt(xx1 + yy1 + zz2)
    r121, r122 = math.sqrt(xx1 + yy2 + zz1), math.sqrt(xx1 + yy2 + zz2)
    r211, r212 = math.sqrt(xx2 + yy1 + zz1), math.sqrt(xx2 + yy1 + zz2)
    r221, r222 = math.sqrt(xx2 + yy2 + zz1), math.sqrt(xx2 + yy2 + zz2)

    # r + z at the corners; the upper z is never negative after the reflection.
    p111, p121 = _near_sum(r111, z1, xx1 + yy1), _near_sum(r121, z1, xx1 + yy2)
    p211, p221 = _near_sum(r211, z1, xx2 + yy1), _near_sum(r221, z1, xx2 + yy2)
    p112, p122, p212, p222 = r112 + z2, r122 + z2, r212 + z2, r222 + z2
    en = math.log((p222 * p211 * p121 * p112) / (p111 * p122 * p212 * p221))
    eu = math.log(  # r + y
        ((r222 + y2) * _near_sum(r211, y1, xx2 + zz1) * (r121 + y2) * _near_sum(r112, y1, xx1 + zz2))
        / (_near_sum(r111, y1, xx1 + zz1) * (r122 + y2) * _near_sum(r212, y1, xx2 + zz2) * (r221 + y2))
    )
    nu = math.log(  # r + x
        ((r222 + x2) * (r211 + x2) * _near_sum(r121, x1, yy2 + zz1) * _near_sum(r112, x1, yy1 + zz2))
        / (_near_sum(r111, x1, yy1 + zz1) * _near_sum(r122, x1, yy2 + zz2) * (r212 + x2) * (r221 + x2))
    )

    # Strips along z: real part p p' + x² + y1 y2, imaginary part x (y2 - y1), and x, y exchanged.
    y12, dy, x12, dx = y1 * y2, y2 - y1, x1 * x2, x2 - x1
    half_x = _argument(
        x2 * dy, p211 * p221 + xx2 + y12, p212 * p222 + xx2 + y12,
        x1 * dy, p112 * p122 + xx1 + y12, p111 * p121 + xx1 + y12,
    )  # fmt: skip
    half_y = _argument(
        y2 * dx, p121 * p221 + yy2 + x12, p122 * p222 + yy2 + x12,
        y1 * dx, p112 * p212 + yy1 + x12, p111 * p211 + yy1 + x12,
    )  # fmt: skip
    inside = 0.0
    if x1 < 0.0 and y1 < 0.0 and z1 < 0.0:
        inside = 4.0 * math.pi
        half_x += 2.0 * math.pi if half_x < 0.0 else 0.0
        half_y += 2.0 * math.pi if half_y < 0.0 else 0.0
    ee, nn = -2.0 * half_x, -2.0 * half_y
    # Laplace outside, Poisson inside.
    return ee, nn, -inside - ee - nn, sx * sy * en, sx * sz * eu, sy * sz * nu, inside


@njit(cache=True, nogil=True, error_model="numpy")
def _near_sum(r: float, z: float, rest: float) -> float:
    """Return r + z without cancellation, where rest = r² - z²."""
    return max(r + z if z >= 0.0 else rest / (r - z), ON_EDGE)


@njit(cache=True, nogil=True, error_model="numpy")
def _argument(ib: float, a: float, b: float, id_: float, c: float, d: float) -> float:
    """Return the argument of (a + i ib) (b - i ib) (c + i id) (d - i id)."""
    real_1, imaginary_1 = a * b + ib * ib, ib * (b - a)
    real_2, imaginary_2 = c * d + id_ * id_, id_ * (d - c)
    return math.atan2(
        real_1 * imaginary_2 + imaginary_1 * real_2, real_1 * real_2 - imaginary_1 * imaginary_2
    )
