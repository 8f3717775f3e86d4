"""Filters that separate wavelengths and strikes of any grid; `filters` has those of potential fields."""

from typing import Annotated, Literal

import xarray as xr
from pydantic import Field

from pipelines.mag import products
from pipelines.mag.filtering import ONE_KERNEL, Declination, Order, Positive, one_product
from pipelines.mag.products import PassKind
from pipelines.mag.spectral import Method
from pipelines.registry import pipeline


@pipeline("mag.low_pass", version="1", cost=ONE_KERNEL)
def low_pass(
    grid: xr.DataArray,
    wavelength: Positive,
    *,
    kind: PassKind = "gaussian",
    order: Order = 4,
    method: Method = "auto",
) -> xr.DataArray:
    """Keep wavelengths longer than a cut-off; the plane is kept.

    Parameters
    ----------
    grid : DataArray
        Any grid.
    wavelength : float
        Cut-off, metres: amplitude exp(−1/2) for the Gaussian, 1/√2 for the Butterworth filter.
    kind : {"gaussian", "butterworth"}
        A Gaussian does not ring; a Butterworth filter is as steep as its order.
    order : int
        Order of the Butterworth filter, 1 to 8.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``low_passed``, in the grid's units.
    """
    return one_product(grid, products.low_passed(wavelength, kind=kind, order=order), method)


@pipeline("mag.high_pass", version="1", cost=ONE_KERNEL)
def high_pass(
    grid: xr.DataArray,
    wavelength: Positive,
    *,
    kind: PassKind = "gaussian",
    order: Order = 4,
    method: Method = "auto",
) -> xr.DataArray:
    """Keep wavelengths shorter than a cut-off; the plane is dropped.

    Parameters
    ----------
    grid : DataArray
        Any grid.
    wavelength : float
        Cut-off, metres: amplitude 1 − exp(−1/2) for the Gaussian, 1/√2 for the Butterworth filter.
    kind : {"gaussian", "butterworth"}
        A Gaussian does not ring; a Butterworth filter is as steep as its order.
    order : int
        Order of the Butterworth filter, 1 to 8.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``high_passed``, in the grid's units.
    """
    return one_product(grid, products.high_passed(wavelength, kind=kind, order=order), method)


@pipeline("mag.band_pass", version="1", cost=ONE_KERNEL)
def band_pass(
    grid: xr.DataArray,
    shortest: Positive,
    longest: Positive,
    *,
    kind: PassKind = "gaussian",
    order: Order = 4,
    method: Method = "auto",
) -> xr.DataArray:
    """Keep wavelengths between two cut-offs: a low pass, then a high pass; the plane is dropped.

    Parameters
    ----------
    grid : DataArray
        Any grid.
    shortest, longest : float
        Cut-offs, metres.
    kind : {"gaussian", "butterworth"}
        A Gaussian does not ring; a Butterworth filter is as steep as its order.
    order : int
        Order of the Butterworth filter, 1 to 8.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``band_passed``, in the grid's units.

    Raises
    ------
    ParameterError
        If *shortest* is not less than *longest*.
    """
    return one_product(grid, products.band_passed(shortest, longest, kind=kind, order=order), method)


@pipeline("mag.directional_cosine", version="1", cost=ONE_KERNEL)
def directional_cosine(
    grid: xr.DataArray,
    azimuth: Declination,
    *,
    degree: Annotated[float, Field(gt=0, le=100)] = 2.0,
    mode: Literal["pass", "reject"] = "reject",
    method: Method = "auto",
) -> xr.DataArray:
    r"""Reject, or pass alone, features that strike along an azimuth.

    With θ the azimuth of the wavenumber, which lies across a feature's strike, passing multiplies
    by :math:`|\sin(\theta - \mathrm{azimuth})|^n` and rejecting by one minus that.

    Parameters
    ----------
    grid : DataArray
        Any grid.
    azimuth : float
        Strike of the features, degrees east of *grid* north, the northing axis: the flight
        direction, to take corrugation out.
    degree : float
        Exponent n; the larger, the narrower the range of strikes.
    mode : {"pass", "reject"}
        What becomes of these features. Rejecting keeps the mean and the plane, passing drops them.
    method : {"auto", "whole", "split"}
        See `spectral.apply_filters`.

    Returns
    -------
    DataArray
        ``direction_filtered``, in the grid's units.
    """
    return one_product(grid, products.direction_filtered(azimuth, degree=degree, mode=mode), method)
