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
from pipelines.mag.interpolation import Rows, gather, rows_at, scatter, spline_symbol

CELLS_PER_DEPTH = 4  # at the layer's Nyquist the field is down by exp(-4 pi) = 3e-6
PAD_DEPTHS = 5.0  # opposite edges are ten depths apart: correlation (1 + 5^2)^-1.5 = 0.8 %
MAXIMUM_CELLS = 20_000_000
MAXIMUM_HEIGHTS = 12
HEIGHT_TOLERANCE = 1e-3  # of the field's rms: what interpolation between heights may cost
MINIMUM_POINTS = 4
TOLERANCE = 2e-4  # of the normal equations: a thousandth still left the gaps 20 % too wrong


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
        k = _radial_wavenumber(self.geometry)
        nodes = _height_nodes(float(z.min()), float(z.max()), self.base, k)
        level = _level_weights(z.ravel(), nodes)
        field = gather((self._coefficients(k, height) for height in nodes), _rows(self.geometry, x, y, level))
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
        spectrum = self.spectrum * np.exp(-k * (height - self.base)) / _spline_filter(self.geometry)
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
    k = _radial_wavenumber(geometry)
    if scale <= 1e-14 * float(np.abs(d).max()):  # a plane, to rounding: nothing is left to explain
        report = FitReport(iterations=0, residual=0.0, converged=True, misfit=scale, heights=1)
        return EquivalentLayer(
            geometry, base, depth, damping, np.zeros(k.shape, complex), trend, centre, report
        )
    system = _System.build(geometry, k, base, x, y, z)
    solution, iterations, left = _solve(system, residual / scale, damping, tolerance, maximum_iterations)
    misfit = scale * float(np.sqrt(np.mean((system.forward(solution) - residual / scale) ** 2)))
    report = FitReport(iterations, left, left <= tolerance, misfit, len(system.kernels))
    spectrum = scale * system.gain * solution
    return EquivalentLayer(geometry, base, depth, damping, spectrum, trend, centre, report)


@dataclass(frozen=True, slots=True, eq=False)
class _System:
    """The linear map from whitened layer coefficients to data, and its adjoint.

    Unknowns are half-plane spectra; their inner product counts the interior columns twice, as the
    whole plane would, which makes `adjoint` the transpose of `forward`.
    """

    shape: tuple[int, int]
    rows: Rows
    kernels: list[np.ndarray]
    twice: np.ndarray
    gain: float
    prior: np.ndarray

    @classmethod
    def build(
        cls, geometry: Geometry, k: np.ndarray, base: float, x: np.ndarray, y: np.ndarray, z: np.ndarray
    ) -> "_System":
        nodes = _height_nodes(float(z.min()), float(z.max()), base, k)
        twice = np.full(k.shape, 2.0)
        twice[:, 0] = 1.0
        if geometry.shape[1] % 2 == 0:
            twice[:, -1] = 1.0
        # A white layer of this gain has a field of variance one at the middle height.
        power = np.exp(-2.0 * k * (float(np.median(z)) - base))
        gain = float(np.sqrt(k.shape[0] * geometry.shape[1] / np.sum(twice * power)))
        smoothing = _spline_filter(geometry)
        kernels = [gain * np.exp(-k * (height - base)) / smoothing for height in nodes]
        rows = _rows(geometry, x, y, _level_weights(z, nodes))
        return cls(geometry.shape, rows, kernels, twice, gain, gain**2 * power)

    def forward(self, unknown: np.ndarray) -> np.ndarray:
        return gather(
            (scipy.fft.irfft2(unknown * kernel, s=self.shape, norm="ortho") for kernel in self.kernels),
            self.rows,
        )

    def adjoint(self, data: np.ndarray) -> np.ndarray:
        total = np.zeros(self.twice.shape, dtype=complex)
        for level, kernel in enumerate(self.kernels):
            spread = scatter(data, self.rows, level, np.zeros(self.shape))
            total += scipy.fft.rfft2(spread, norm="ortho", overwrite_x=True) * kernel
        return total

    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sum(self.twice * (a.real * b.real + a.imag * b.imag)))


def _solve(
    system: _System, data: np.ndarray, damping: float, tolerance: float, maximum_iterations: int
) -> tuple[np.ndarray, int, float]:
    """Conjugate gradients on the damped normal equations; solution, iterations, relative residual."""
    density = data.size / (system.shape[0] * system.shape[1])
    # For evenly spread data the operator is density * prior + damping. On lines that preconditioner
    # is a trap: it takes off the smoothness between lines, the first iterates are spikes on the lines
    # and the gaps fill only at the very end (76 % error after 50 iterations where this floor gave 4 %).
    floor = max(1000.0 * damping, 0.1)
    precondition = 1.0 / (density * system.prior + floor)
    solution = np.zeros(system.twice.shape, dtype=complex)
    residual = system.adjoint(data)
    direction = precondition * residual
    energy = start = system.dot(residual, direction)
    iteration = 0
    while iteration < maximum_iterations and energy > tolerance**2 * start:
        curved = system.adjoint(system.forward(direction)) + damping * direction
        step = energy / system.dot(direction, curved)
        solution += step * direction
        residual -= step * curved
        scaled = precondition * residual
        energy, previous = system.dot(residual, scaled), energy
        direction *= energy / previous
        direction += scaled
        iteration += 1
    return solution, iteration, float(np.sqrt(energy / start)) if start > 0 else 0.0


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


def _radial_wavenumber(geometry: Geometry) -> np.ndarray:
    rows, columns = geometry.shape
    ky = 2.0 * np.pi * scipy.fft.fftfreq(rows, geometry.spacing[0])
    kx = 2.0 * np.pi * scipy.fft.rfftfreq(columns, geometry.spacing[1])
    return np.hypot(ky[:, None], kx[None, :])


def _spline_filter(geometry: Geometry) -> np.ndarray:
    rows, columns = geometry.shape
    by_row = spline_symbol(2.0 * np.pi * scipy.fft.fftfreq(rows))
    by_column = spline_symbol(2.0 * np.pi * scipy.fft.rfftfreq(columns))
    return by_row[:, None] * by_column[None, :]


def _rows(geometry: Geometry, x: np.ndarray, y: np.ndarray, level: np.ndarray) -> Rows:
    row = (y - geometry.origin[0]) / geometry.spacing[0]
    column = (x - geometry.origin[1]) / geometry.spacing[1]
    return rows_at(row, column, geometry.shape, level)


def _height_nodes(low: float, high: float, base: float, k: np.ndarray) -> np.ndarray:
    """Fewest Chebyshev heights between which a white layer's field is read well enough.

    The error of a trial is evaluated for every wavenumber: that of interpolating ``exp(-k (z -
    base))``, weighted as the field itself, against the field's rms at the same heights.
    """
    middle, half = 0.5 * (high + low), 0.5 * (high - low)
    samples = np.linspace(low, high, 33)
    radial = np.linspace(0.0, float(k.max()), 256)
    exact = np.exp(-radial * (samples[:, None] - base))
    weight = radial  # modes in a ring of the wavenumber plane
    for count in range(1, MAXIMUM_HEIGHTS + 1):
        nodes = middle + half * np.cos(np.pi * (np.arange(count) + 0.5) / count)
        read = _level_weights(samples, nodes) @ np.exp(-radial * (nodes[:, None] - base))
        error = np.sum(weight * (read - exact) ** 2, axis=1)
        if np.all(error <= HEIGHT_TOLERANCE**2 * np.sum(weight * exact**2, axis=1)):
            break
    return nodes


def _level_weights(z: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Lagrange weights of every node at every height, shape (heights, nodes)."""
    weights = np.ones((z.size, nodes.size))
    for i, own in enumerate(nodes):
        for j, other in enumerate(nodes):
            if i != j:
                weights[:, i] *= (z - other) / (own - other)
    return weights
