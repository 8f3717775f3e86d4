"""Filters of magnetic grids, each a plain function and a pipeline.

Every filter takes a grid of the house and gives one back: same coordinates, CRS and chunks, NaN
where it was, units made right. float32 stays float32; any other type becomes float64. What
happens at the edges, in holes and on chunked grids is the engine's matter: see `spectral`, whose
`apply_filters` makes several products at once for little more than the price of one.

References
----------
Blakely, R. J. (1995). Potential Theory in Gravity and Magnetic Applications. Cambridge.
"""

from typing import Annotated

import xarray as xr
from pydantic import Field

from pipelines.mag import products
from pipelines.mag.filtering import ONE_KERNEL, Declination, Order, Positive, filter_cost, one_product
from pipelines.mag.separation import band_pass, directional_cosine, high_pass, low_pass
from pipelines.mag.spectral import Method, apply_filters
from pipelines.registry import pipeline

__all__ = [
    "analytic_signal",
    "apply_filters",
    "band_pass",
    "derivative_easting",
    "derivative_northing",
    "derivative_upward",
    "directional_cosine",
    "high_pass",
    "low_pass",
    "reduce_to_pole",
    "tilt_angle",
    "total_horizontal_derivative",
    "upward_continuation",
    "vertical_integral",
]

Inclination = Annotated[float, Field(ge=-90, le=90)]


@pipeline("mag.upward_continuation", version="1", cost=ONE_KERNEL)
def upward_continuation(grid: xr.DataArray, height: Positive, *, method: Method = "auto") -> xr.DataArray:
    r"""Continue a potential field upward by *height* metres.

    Multiplies every wavenumber by :math:`e^{-|k| h}` (Blakely, 1995, eq. 12.8).

    Parameters
    ----------
    grid : DataArray
        Potential field on a horizontal plane.
    height : float
        Metres above the observation surface; positive, since continuing downward amplifies noise
        without bound.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``upward_continued``, in the grid's units.

    Raises
    ------
    ParameterError
        If *height* is not a positive number.
    DataError
        If the grid breaks the conventions; see `spectral.apply_filters`.
    """
    return one_product(grid, products.upward_continued(height), method)


@pipeline("mag.derivative_easting", version="1", cost=ONE_KERNEL)
def derivative_easting(grid: xr.DataArray, order: Order = 1, *, method: Method = "auto") -> xr.DataArray:
    r"""Differentiate a grid along the easting.

    It is :math:`(i k_e)^n`.

    Parameters
    ----------
    grid : DataArray
        Any grid.
    order : int
        Order n of the derivative, 1 to 8.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``derivative_easting``, in the grid's units per metreⁿ. An odd derivative goes to zero over
        the last sixteenth below the Nyquist wavenumber, see `sampling.sample`.
    """
    return one_product(grid, products.derivative_easting(order), method)


@pipeline("mag.derivative_northing", version="1", cost=ONE_KERNEL)
def derivative_northing(grid: xr.DataArray, order: Order = 1, *, method: Method = "auto") -> xr.DataArray:
    r"""Differentiate a grid along the northing.

    It is :math:`(i k_n)^n`.

    Parameters
    ----------
    grid : DataArray
        Any grid.
    order : int
        Order n of the derivative, 1 to 8.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``derivative_northing``, in the grid's units per metreⁿ.
    """
    return one_product(grid, products.derivative_northing(order), method)


@pipeline("mag.derivative_upward", version="1", cost=ONE_KERNEL)
def derivative_upward(grid: xr.DataArray, order: Order = 1, *, method: Method = "auto") -> xr.DataArray:
    r"""Differentiate a potential field upward.

    It is :math:`(-|k|)^n`.

    Upward is positive, so that the first derivative is negative over a source whose field is
    positive: the field falls off with height.

    Parameters
    ----------
    grid : DataArray
        Potential field on a horizontal plane.
    order : int
        Order n of the derivative, 1 to 8.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``derivative_upward``, in the grid's units per metreⁿ.
    """
    return one_product(grid, products.derivative_upward(order), method)


@pipeline("mag.vertical_integral", version="1", cost=ONE_KERNEL)
def vertical_integral(grid: xr.DataArray, *, method: Method = "auto") -> xr.DataArray:
    r"""Integrate a potential field from the observation surface upward.

    It is :math:`1/|k|`.

    The integral of a mean or of a plane is unbounded: both are dropped, so the result is right up
    to a constant and shows anomalies, not a regional.

    Parameters
    ----------
    grid : DataArray
        Potential field on a horizontal plane.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``vertical_integral``, in the grid's units times metres.
    """
    return one_product(grid, products.vertical_integral(), method)


@pipeline("mag.reduce_to_pole", version="1", cost=ONE_KERNEL)
def reduce_to_pole(
    grid: xr.DataArray,
    inclination: Inclination,
    declination: Declination,
    *,
    magnetisation_inclination: Inclination | None = None,
    magnetisation_declination: Declination | None = None,
    minimum_inclination: Annotated[float, Field(ge=0, le=90)] = 20.0,
    method: Method = "auto",
) -> xr.DataArray:
    r"""Reduce a total-field anomaly to the pole.

    Gives the anomaly as it would be if field and magnetisation were vertical:
    :math:`1/(\Theta_m\Theta_f)` with :math:`\Theta = \sin I + i\cos I\cos(D - \theta)` (Blakely,
    1995, eq. 12.31). Exact where the inclinations are at least *minimum_inclination* steep.
    Flatter ones keep the exact phase and take the amplitude of the pseudo-inclination (MacLeod et
    al., 1993), so that features striking along the field are amplified at most
    :math:`1/\sin^2 I'` times and come out too weak rather than as stripes.

    Parameters
    ----------
    grid : DataArray
        Total-field anomaly on a horizontal plane.
    inclination, declination : float
        Direction of the geomagnetic field, degrees, positive down and east. Declination is from
        *grid* north, the northing axis: true declination minus the meridian convergence, which is
        what ``igrf.field_at(...).grid_declination`` gives.
    magnetisation_inclination, magnetisation_declination : float, optional
        Direction of the total magnetisation where remanence turns it, declination from grid north
        too; both or neither. Parallel to the field by default.
    minimum_inclination : float
        Pseudo-inclination, degrees; 0 switches the damping off.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``reduced_to_pole``, in the grid's units. The mean and the plane of the grid are kept. At
        the Nyquist wavenumber the factor is the mean of those at ±k, see `sampling.sample`.

    Raises
    ------
    ParameterError
        If an angle is out of range, only one angle of the magnetisation is given, or a direction
        and *minimum_inclination* are both flatter than 1 degree.

    References
    ----------
    MacLeod, I. N., Jones, K. and Dai, T. F. (1993). 3-D analytic signal in the interpretation of
    total magnetic field data at low magnetic latitudes. Exploration Geophysics 24, 679–688.
    """
    product = products.reduced_to_pole(
        inclination,
        declination,
        magnetisation_inclination=magnetisation_inclination,
        magnetisation_declination=magnetisation_declination,
        minimum_inclination=minimum_inclination,
    )
    return one_product(grid, product, method)


@pipeline(
    "mag.total_horizontal_derivative", version="1", cost=filter_cost([products.total_horizontal_derivative()])
)
def total_horizontal_derivative(grid: xr.DataArray, *, method: Method = "auto") -> xr.DataArray:
    r"""Modulus of the horizontal gradient.

    It is :math:`\sqrt{f_e^2 + f_n^2}`.

    Parameters
    ----------
    grid : DataArray
        Any grid; over a field reduced to the pole the maxima lie above steep contacts.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``total_horizontal_derivative``, in the grid's units per metre.
    """
    return one_product(grid, products.total_horizontal_derivative(), method)


@pipeline("mag.analytic_signal", version="1", cost=filter_cost([products.analytic_signal()]))
def analytic_signal(grid: xr.DataArray, *, method: Method = "auto") -> xr.DataArray:
    r"""Modulus of the gradient.

    It is :math:`\sqrt{f_e^2 + f_n^2 + f_u^2}` (Roest et al., 1992).

    Parameters
    ----------
    grid : DataArray
        Potential field on a horizontal plane.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``analytic_signal``, in the grid's units per metre.
    """
    return one_product(grid, products.analytic_signal(), method)


@pipeline("mag.tilt_angle", version="1", cost=filter_cost([products.tilt_angle()]))
def tilt_angle(grid: xr.DataArray, *, method: Method = "auto") -> xr.DataArray:
    r"""Tilt angle.

    It is :math:`\arctan(-f_u / \sqrt{f_e^2 + f_n^2})`, in radians.

    After Miller and Singh (1994), with the derivative downward, so that the angle is positive
    above a source of positive anomaly, zero near its edge and negative outside.

    Parameters
    ----------
    grid : DataArray
        Potential field on a horizontal plane, best reduced to the pole.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``tilt_angle``, radians in [−π/2, π/2].
    """
    return one_product(grid, products.tilt_angle(), method)
