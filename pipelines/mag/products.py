"""The products of the house's filters: which kernels each needs and how they are combined.

Give several to `spectral.apply_filters` and they share one forward transform and every kernel
that is equal::

    apply_filters(grid, [tilt_angle(), analytic_signal(), derivative_upward()])

makes three inverse transforms, not seven. `after` puts a filter in front of a product: the tilt
angle of the field reduced to the pole is ``after(reduction, tilt_angle())``. What a builder is given
is checked by the kernel that it makes.
"""

import dataclasses
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ParameterError
from pipelines.mag import kernels
from pipelines.mag.checks import require_one_of, require_whole
from pipelines.mag.spectral import Product

PassKind = Literal["gaussian", "butterworth"]

EAST, NORTH, UP = kernels.Derivative(easting=1), kernels.Derivative(northing=1), kernels.Derivative(upward=1)


def after(kernel: kernels.Kernel, product: Product, *, name: str | None = None) -> Product:
    """Put *kernel* in front of every kernel of *product*."""
    chained = tuple(kernels.Chain((kernel, own)) for own in product.kernels)
    return dataclasses.replace(product, kernels=chained, name=name or product.name)


def upward_continued(height: float) -> Product:
    """Continue upward by *height* metres."""
    kernel = kernels.UpwardContinuation(height)
    return Product("upward_continued", (kernel,), long_name=f"Field continued upward by {height:g} m")


def derivative_easting(order: int = 1) -> Product:
    """Differentiate *order* times along the easting."""
    return _derivative("easting", order)


def derivative_northing(order: int = 1) -> Product:
    """Differentiate *order* times along the northing."""
    return _derivative("northing", order)


def derivative_upward(order: int = 1) -> Product:
    """Differentiate *order* times upward."""
    return _derivative("upward", order)


def vertical_integral() -> Product:
    """Integrate from the observation surface upward."""
    kernel = kernels.VerticalIntegral()
    return Product("vertical_integral", (kernel,), length_power=1, long_name="Vertical integral")


def reduced_to_pole(
    inclination: float,
    declination: float,
    *,
    magnetisation_inclination: float | None = None,
    magnetisation_declination: float | None = None,
    minimum_inclination: float = 20.0,
) -> Product:
    """Reduce to the pole; see `reduction_to_pole` for the rules on directions."""
    kernel = reduction_to_pole(
        inclination,
        declination,
        magnetisation_inclination=magnetisation_inclination,
        magnetisation_declination=magnetisation_declination,
        minimum_inclination=minimum_inclination,
    )
    return Product("reduced_to_pole", (kernel,), long_name="Field reduced to the pole")


def reduction_to_pole(
    inclination: float,
    declination: float,
    *,
    magnetisation_inclination: float | None = None,
    magnetisation_declination: float | None = None,
    minimum_inclination: float = 20.0,
) -> kernels.ReductionToPole:
    """Make the kernel of the reduction to the pole.

    The magnetisation is induced, parallel to the field, unless both of its angles are given.

    Raises
    ------
    ParameterError
        If one angle of the magnetisation is given without the other, or the kernel refuses them,
        see `kernels.ReductionToPole`.
    """
    angles = (magnetisation_inclination, magnetisation_declination)
    if (angles[0] is None) != (angles[1] is None):
        missing = "magnetisation_inclination" if angles[0] is None else "magnetisation_declination"
        raise ParameterError(missing, None, "must be given too: a direction has two angles")
    m_inclination = inclination if angles[0] is None else angles[0]
    m_declination = declination if angles[1] is None else angles[1]
    return kernels.ReductionToPole(
        inclination, declination, m_inclination, m_declination, minimum_inclination
    )


def total_horizontal_derivative() -> Product:
    """Modulus of the horizontal gradient."""
    return Product(
        "total_horizontal_derivative",
        (EAST, NORTH),
        _horizontal,
        length_power=-1,
        long_name="Total horizontal derivative",
    )


def analytic_signal() -> Product:
    """Modulus of the gradient."""
    return Product(
        "analytic_signal",
        (EAST, NORTH, UP),
        _modulus,
        length_power=-1,
        long_name="Analytic signal amplitude",
    )


def tilt_angle() -> Product:
    """Angle of the downward derivative over the horizontal one, radians, positive over sources."""
    return Product("tilt_angle", (EAST, NORTH, UP), _tilt, units="radian", long_name="Tilt angle")


def low_passed(wavelength: float, *, kind: PassKind = "gaussian", order: int = 4) -> Product:
    """Pass wavelengths longer than *wavelength* metres."""
    kernel = _pass(wavelength, kind, order, "long")
    return Product("low_passed", (kernel,), long_name=f"Wavelengths over {wavelength:g} m")


def high_passed(wavelength: float, *, kind: PassKind = "gaussian", order: int = 4) -> Product:
    """Pass wavelengths shorter than *wavelength* metres."""
    kernel = _pass(wavelength, kind, order, "short")
    return Product("high_passed", (kernel,), long_name=f"Wavelengths under {wavelength:g} m")


def band_passed(shortest: float, longest: float, *, kind: PassKind = "gaussian", order: int = 4) -> Product:
    """Pass wavelengths between *shortest* and *longest* metres.

    Raises
    ------
    ParameterError
        If the band is empty.
    """
    parts = _pass(shortest, kind, order, "long"), _pass(longest, kind, order, "short")
    if shortest >= longest:
        raise ParameterError("shortest", shortest, f"must be less than longest = {longest:g} metres")
    kernel = kernels.Chain(parts)
    return Product("band_passed", (kernel,), long_name=f"Wavelengths of {shortest:g} to {longest:g} m")


def direction_filtered(
    azimuth: float, *, degree: float = 2.0, mode: Literal["pass", "reject"] = "reject"
) -> Product:
    """Reject, or pass alone, features that strike along *azimuth*."""
    kernel = kernels.DirectionalCosine(azimuth, degree, mode)
    verb = "passed" if mode == "pass" else "rejected"
    return Product("direction_filtered", (kernel,), long_name=f"Strike of {azimuth:g} degrees {verb}")


def _derivative(axis: str, order: int) -> Product:
    require_whole("order", order, 1, kernels.HIGHEST_ORDER)
    kernel = kernels.Derivative(**{axis: order})
    what = "" if order == 1 else f" of order {order}"
    name = f"derivative_{axis}"
    return Product(name, (kernel,), length_power=-order, long_name=f"{axis.title()} derivative{what}")


def _pass(wavelength: float, kind: PassKind, order: int, keep: Literal["long", "short"]) -> kernels.Kernel:
    require_one_of("kind", kind, get_args(PassKind))
    if kind == "gaussian":
        return kernels.Gaussian(wavelength, keep)
    return kernels.Butterworth(wavelength, order, keep)


def _horizontal(east: NDArray, north: NDArray) -> NDArray:
    return np.sqrt(east * east + north * north)


def _modulus(east: NDArray, north: NDArray, up: NDArray) -> NDArray:
    return np.sqrt(east * east + north * north + up * up)


def _tilt(east: NDArray, north: NDArray, up: NDArray) -> NDArray:
    return np.arctan2(-up, _horizontal(east, north))
