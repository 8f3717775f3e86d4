r"""The harmonic layer: scattered field data explained by regular sources below them.

A field without sources above the layer :math:`z_0` is harmonic there, so in the wavenumber domain it
changes with height by :math:`e^{-|k| (z - z_0)}` alone (Dampney, 1969, Geophysics 34, 39-53; Blakely,
1995, ch. 12). The unknowns are the layer's spectrum, white by assumption: that fixes how the field is
filled in between the lines, and `depth` below the lowest datum says how smooth it is. Applying the
layer is one inverse FFT for each of a few Chebyshev heights and cubic rows to the points
(`interpolation`), so a fit costs O(N log N) instead of the O(N^3) of a dense equivalent source
system, takes every datum at its own position and height, and can afterwards be read at any other.

The fit minimises ``|d - G u|^2 + damping * |u|^2`` by preconditioned conjugate gradients on the normal
equations, where ``u`` is scaled so that both the data and the field of a white layer have variance
one: `damping` is the variance of the noise relative to that of the signal.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft

from pipelines.conventions import Geometry
from pipelines.errors import DataError, ParameterError
from pipelines.mag.interpolation import gather
from pipelines.mag.layer_system import (
    LayerSystem,
    height_nodes,
    level_weights,
    radial_wavenumber,
    rows_in,
    solve,
    spline_filter,
)

CELLS_PER_DEPTH = 4  # at the layer's Nyquist the field is down by exp(-4 pi) = 3e-6
PAD_DEPTHS = 5.0  # opposite edges are ten depths apart: correlation (1 + 5^2)^-1.5 = 0.8 %
MAXIMUM_CELLS = 20_000_000
MINIMUM_POINTS = 4
TOLERANCE = 2e-4  # of the normal equations: at 1e-3 the error between lines was a quarter larger


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a fit went.

    Attributes
    ----------
    iterations : int
        Conjugate-gradient iterations.
    residual : float
        Norm of the normal equations' residual relative to its start, in the preconditioner's metric.
    converged : bool
        Whether *residual* reached the tolerance.
    misfit : float
        Root mean square of data minus layer, in the data's units.
    heights : int
        Chebyshev heights between which drape is interpolated; one for level data.
    """

    iterations: int
    residual: float
    converged: bool
    misfit: float
    heights: int


@dataclass(frozen=True, slots=True, eq=False)
class EquivalentLayer:
    """A fitted layer, ready to be read anywhere above it.

    Make one with `fit_layer`. The field at height z is ``trend + irfft2(spectrum * exp(-|k| (z -
    base)))``: a plane plus the layer's own part, both harmonic.

    Attributes
    ----------
    geometry : Geometry
        The layer's cells, padding included.
    base : float
        Height of the layer, metres.
    depth : float
        Distance from the layer up to the lowest datum, metres.
    damping : float
        Noise-to-signal variance that was assumed.
    spectrum : ndarray of complex128
        Half-plane spectrum (`scipy.fft.rfft2`, orthonormal) of the field at the layer's own height.
    trend : (float, float, float)
        Constant, slope per metre northward and eastward, about `centre`.
    centre : (float, float)
        Northing and easting about which the trend is taken.
    report : FitReport
        How the fit went.
    """

    geometry: Geometry
    base: float
    depth: float
    damping: float
    spectrum: np.ndarray
    trend: tuple[float, float, float]
    centre: tuple[float, float]
    report: FitReport

    def predict(self, easting: np.ndarray, northing: np.ndarray, upward: np.ndarray | float) -> np.ndarray:
        """Return the field at points.

        Parameters
        ----------
        easting, northing : ndarray
            Positions in metres, any one shape, within the layer's extent.
        upward : ndarray or float
            Heights in metres, above the layer.

        Raises
        ------
        ParameterError
            If a point lies outside the layer's extent or not above it.
        """
        x, y, z = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (easting, northing, upward)))
        if x.size == 0:
            return np.zeros(x.shape)
        self._require_above(float(z.min()))
        k = radial_wavenumber(self.geometry)
        nodes = height_nodes(float(z.min()), float(z.max()), self.base, k)
        level = level_weights(z.ravel(), nodes)
        field = gather(
            (self._coefficients(k, height) for height in nodes), rows_in(self.geometry, x, y, level)
        )
        return field.reshape(x.shape) + self._trend_at(y, x)

    def grid(self, geometry: Geometry, upward: np.ndarray | float) -> np.ndarray:
        """Return the field on a grid, at one height or on a surface.

        Parameters
        ----------
        geometry : Geometry
            Cells wanted, within the layer's extent.
        upward : float or ndarray, shape ``geometry.shape``
            Height of every cell, metres.
        """
        northing, easting = np.meshgrid(geometry.northing, geometry.easting, indexing="ij")
        return self.predict(easting, northing, upward)

    def _coefficients(self, k: np.ndarray, height: float) -> np.ndarray:
        spectrum = self.spectrum * np.exp(-k * (height - self.base)) / spline_filter(self.geometry)
        return scipy.fft.irfft2(spectrum, s=self.geometry.shape, norm="ortho")

    def _trend_at(self, northing: np.ndarray, easting: np.ndarray) -> np.ndarray:
        constant, north, east = self.trend
        return constant + north * (northing - self.centre[0]) + east * (easting - self.centre[1])

    def _require_above(self, lowest: float) -> None:
        if not lowest > self.base:
            raise ParameterError("upward", lowest, f"must be above the layer, which lies at {self.base:g} m")


def fit_layer(
    easting: np.ndarray,
    northing: np.ndarray,
    upward: np.ndarray,
    value: np.ndarray,
    *,
    depth: float,
    damping: float,
    extent: tuple[float, float, float, float] | None = None,
    lowest: float | None = None,
    cell_size: float | None = None,
    tolerance: float = TOLERANCE,
    maximum_iterations: int = 200,
) -> EquivalentLayer:
    """Fit a harmonic layer to scattered data.

    Parameters
    ----------
    easting, northing, upward : ndarray
        Positions, metres; block-reduced (`blockreduce`) where the data are dense.
    value : ndarray
        Field at these positions, any unit (nT). All finite.
    depth : float
        From the lowest datum down to the layer, metres. About the line spacing or the depth of the
        shallowest sources; much shallower, and the field between lines falls back to the trend.
    damping : float
        Variance of noise relative to that of the field (its trend taken off): 1e-4 says that one
        per cent of the field's rms is noise.
    extent : (float, float, float, float), optional
        West, south, east, north in metres: where the layer must be readable, besides the data's own
        extent.
    lowest : float, optional
        Height from which *depth* counts, metres; that of the lowest datum by default.
    cell_size : float, optional
        Cell of the layer, metres; a quarter of the depth by default.
    tolerance : float
        Where to stop: residual of the normal equations relative to its start.
    maximum_iterations : int
        Where to stop at the latest; the report then says that it has not converged.

    Raises
    ------
    DataError
        If there are too few points or a value is not finite.
    ParameterError
        If depth or damping is not positive, or the layer would have more than 2e7 cells.
    """
    x, y, z, d = (np.asarray(a, dtype=float).ravel() for a in (easting, northing, upward, value))
    if d.size < MINIMUM_POINTS:
        raise DataError("points", d.size, f"must be at least {MINIMUM_POINTS} with valid values")
    if not (np.isfinite(d).all() and np.isfinite(x + y + z).all()):
        raise DataError("points", "NaN or infinity", "must be finite; leave such points out")
    for name, number in (("depth", depth), ("damping", damping)):
        if not (np.isfinite(number) and number > 0):
            raise ParameterError(name, number, "must be positive")
    geometry = _layer_geometry(x, y, extent, depth, cell_size)
    centre = (float(y.mean()), float(x.mean()))
    trend, residual = remove_plane(x - centre[1], y - centre[0], d)
    scale = float(np.sqrt(np.mean(residual**2)))
    base = float(z.min() if lowest is None else lowest) - depth
    if not base < z.min():
        raise ParameterError("lowest", lowest, f"puts the layer at {base:g} m, above the lowest datum")
    k = radial_wavenumber(geometry)
    if scale <= 1e-14 * float(np.abs(d).max()):  # a plane, to rounding: nothing is left to explain
        report = FitReport(iterations=0, residual=0.0, converged=True, misfit=scale, heights=1)
        return EquivalentLayer(
            geometry, base, depth, damping, np.zeros(k.shape, complex), trend, centre, report
        )
    system = LayerSystem.build(geometry, k, base, x, y, z)
    solution, iterations, left = solve(system, residual / scale, damping, tolerance, maximum_iterations)
    misfit = scale * float(np.sqrt(np.mean((system.forward(solution) - residual / scale) ** 2)))
    report = FitReport(iterations, left, left <= tolerance, misfit, len(system.kernels))
    spectrum = scale * system.gain * solution
    return EquivalentLayer(geometry, base, depth, damping, spectrum, trend, centre, report)


def _layer_geometry(
    x: np.ndarray,
    y: np.ndarray,
    extent: tuple[float, float, float, float] | None,
    depth: float,
    cell_size: float | None,
) -> Geometry:
    west, south, east, north = float(x.min()), float(y.min()), float(x.max()), float(y.max())
    if extent is not None:
        west, south = min(west, extent[0]), min(south, extent[1])
        east, north = max(east, extent[2]), max(north, extent[3])
    cell = depth / CELLS_PER_DEPTH if cell_size is None else cell_size
    pad = max(PAD_DEPTHS * depth, 8 * cell)
    counts = [(side + 2 * pad) / cell for side in (north - south, east - west)]
    if counts[0] * counts[1] > MAXIMUM_CELLS:
        raise ParameterError(
            "depth" if cell_size is None else "cell_size",
            depth if cell_size is None else cell_size,
            f"asks for a layer of {counts[0]:.0f} x {counts[1]:.0f} cells of {cell:g} m, more than 2e7; "
            f"grid a smaller window, or give at least {_coarser(depth, cell_size, counts):.3g} m",
        )
    rows, columns = (scipy.fft.next_fast_len(int(np.ceil(count)) + 1, real=True) for count in counts)
    return Geometry(origin=(south - pad, west - pad), spacing=(cell, cell), shape=(rows, columns))


def _coarser(depth: float, cell_size: float | None, counts: list[float]) -> float:
    return (depth if cell_size is None else cell_size) * float(
        np.sqrt(1.05 * counts[0] * counts[1] / MAXIMUM_CELLS)
    )


def remove_plane(
    x: np.ndarray, y: np.ndarray, d: np.ndarray
) -> tuple[tuple[float, float, float], np.ndarray]:
    """Take off the least-squares plane, the flattest one where the points lie on one line.

    Parameters
    ----------
    x, y, d : ndarray
        Easting and northing about a centre, metres, and data.

    Returns
    -------
    ((float, float, float), ndarray)
        Constant and slopes per metre northward and eastward; what is left of the data.
    """
    size = max(float(np.abs(x).max()), float(np.abs(y).max()), 1e-300)
    matrix = np.column_stack([np.ones(x.size), y / size, x / size])
    found = np.linalg.lstsq(matrix, d, rcond=1e-6)[0]
    return (float(found[0]), float(found[1] / size), float(found[2] / size)), d - matrix @ found
