r"""Minimum curvature with tension: the thin plate through scattered data, taken at true positions.

The surface is a cubic spline on the grid's cells. It minimises the squared misfit at the data (each
at its own position, never moved to a node) plus a small multiple of the plate's energy

.. math::

    (1 - T) \int (u_{xx}^2 + 2 u_{xy}^2 + u_{yy}^2) + T \int (u_x^2 + u_y^2),

whose Euler equation is :math:`(1 - T) \nabla^4 u - T \nabla^2 u = 0` between the data (Smith & Wessel,
1990, Geophysics 55, 293-305, eq. 7; lengths in cells, as there). The plate's edges are free: a plane
has no energy and is reproduced whatever the tension of the rest, since it is taken off first.

The solve goes from coarse to fine: a spline of twice the cell is exactly a spline of the fine cell,
so each level hands its surface on. On each level conjugate gradients are preconditioned by the plate
with mirrored edges, which cosine transforms invert.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import njit

from pipelines.conventions import Geometry
from pipelines.errors import DataError, ParameterError
from pipelines.mag.blockreduce import block_reduce
from pipelines.mag.equivalent_sources import MINIMUM_POINTS, remove_plane
from pipelines.mag.interpolation import Rows, gather, rows_at, scatter

PAD = 4  # cells round the grid: the free edge lies outside it
OUTSIDE = 2.0  # cells beyond the outermost centres that a datum may lie: the spline still has all its nodes
STIFFNESS = 3e-3  # energy against misfit: small enough that data are honoured, see `fit_minimum_curvature`
COARSEST = 12  # nodes along the shorter side of the first level
TOLERANCE = 1e-4
MAXIMUM_ITERATIONS = 300
MAXIMUM_NODES = 20_000_000


@dataclass(frozen=True, slots=True)
class PlateReport:
    """How a fit went.

    Attributes
    ----------
    iterations : int
        Conjugate-gradient iterations on the finest level.
    residual : float
        Residual of the normal equations relative to that of the data's plane, on the finest level.
    converged : bool
        Whether *residual* reached the tolerance.
    misfit : float
        Root mean square of data minus surface, in the data's units.
    """

    iterations: int
    residual: float
    converged: bool
    misfit: float


def fit_minimum_curvature(
    easting: np.ndarray,
    northing: np.ndarray,
    value: np.ndarray,
    geometry: Geometry,
    *,
    tension: float = 0.25,
    stiffness: float = STIFFNESS,
    tolerance: float = TOLERANCE,
    maximum_iterations: int = MAXIMUM_ITERATIONS,
) -> tuple[np.ndarray, PlateReport]:
    """Grid scattered data by minimum curvature with tension.

    Parameters
    ----------
    easting, northing : ndarray
        Positions, metres, no more than two cells beyond the centres of the outermost cells.
    value : ndarray
        Data, all finite; block-reduced where they are dense.
    geometry : Geometry
        Grid wanted; its cells carry the spline.
    tension : float
        0 for the plain plate, towards 1 for a membrane; 0.25 is advised for potential fields, 0.35
        for topography.
    stiffness : float
        Weight of the plate's energy, in cells, against a datum's squared misfit. With a datum in
        every cell the default takes one per cent off a wave of four cells; larger values smooth.
    tolerance : float
        Where to stop: residual of the normal equations relative to its start. A smaller stiffness
        asks for a smaller tolerance: between the data only the plate's energy is felt.
    maximum_iterations : int
        Where to stop at the latest, on each level.

    Returns
    -------
    (ndarray, PlateReport)
        Values at the cells' centres, shape ``geometry.shape``, and how the fit went.

    Raises
    ------
    DataError
        If there are too few points, a value is not finite or a point lies outside the grid.
    ParameterError
        If tension is outside [0, 1), stiffness not positive, or the grid has more than 2e7 nodes.
    """
    x, y, d = (np.asarray(a, dtype=float).ravel() for a in (easting, northing, value))
    if d.size < MINIMUM_POINTS:
        raise DataError("points", d.size, f"must be at least {MINIMUM_POINTS} with valid values")
    if not np.isfinite(x + y + d).all():
        raise DataError("points", "NaN or infinity", "must be finite; leave such points out")
    if not 0 <= tension < 1:
        raise ParameterError("tension", tension, "must be at least 0 and less than 1")
    if not (np.isfinite(stiffness) and stiffness > 0):
        raise ParameterError("stiffness", stiffness, "must be positive")
    if geometry.shape[0] * geometry.shape[1] > MAXIMUM_NODES:
        raise ParameterError("cell_size", geometry.spacing[0], "makes more than 2e7 nodes; give a larger one")
    centre = (float(y.mean()), float(x.mean()))
    (constant, north, east), residual = remove_plane(x - centre[1], y - centre[0], d)
    # Positions in fine cells, counted from the corner of the padded lattice.
    row = (y - geometry.origin[0]) / geometry.spacing[0] + PAD
    column = (x - geometry.origin[1]) / geometry.spacing[1] + PAD
    beyond = sum(
        np.maximum(np.maximum(PAD - at, at - PAD - (side - 1)), 0.0) > OUTSIDE
        for at, side in ((row, geometry.shape[0]), (column, geometry.shape[1]))
    )
    if outside := int(np.count_nonzero(beyond)):
        rule = "must be none: leave out what lies more than two cells beyond the grid, or widen the grid"
        raise DataError("points outside the grid", outside, rule)
    coefficients, report = _coarse_to_fine(
        row, column, residual, geometry.shape, tension, stiffness, tolerance, maximum_iterations
    )
    surface = _at_nodes(coefficients)[PAD : PAD + geometry.shape[0], PAD : PAD + geometry.shape[1]]
    plane = (
        constant + north * (geometry.northing - centre[0])[:, None] + east * (geometry.easting - centre[1])
    )
    return surface + plane, report


def _coarse_to_fine(
    row: np.ndarray,
    column: np.ndarray,
    data: np.ndarray,
    shape: tuple[int, int],
    tension: float,
    stiffness: float,
    tolerance: float,
    maximum_iterations: int,
) -> tuple[np.ndarray, PlateReport]:
    """Solve on lattices of 2^n cells down to one; coefficients of the finest and its report."""
    need = [side + 2 * PAD for side in shape]
    levels = max(0, int(np.log2(max(min(need) / COARSEST, 1.0))))
    nodes = [-(-(side - 1) // 2**levels) + 1 for side in need]
    surface = np.zeros(nodes)
    for level in range(levels, -1, -1):
        cell = 2**level
        if level < levels:
            surface = _refine(surface)
        # Integrals of squared second derivatives shrink with the square of the cell, those of first
        # derivatives do not change; this keeps the plate the same on every level.
        bending, stretching = stiffness * (1 - tension) / cell**2, stiffness * tension
        size = (surface.shape[0], surface.shape[1])
        # A coarse level only prepares the next: it needs no more than one datum a quarter cell.
        few = None if level == 0 else block_reduce(column, row, data, size=cell / 2)
        x, y, d = (column, row, data) if few is None else (few.easting, few.northing, few.value)
        inner_row = np.clip(y / cell, 1.0, size[0] - 2 - 1e-9)
        inner_column = np.clip(x / cell, 1.0, size[1] - 2 - 1e-9)
        system = _Plate(rows_at(inner_row, inner_column, size), size, bending, stretching)
        surface, iterations, left = _solve(system, d, surface, tolerance, maximum_iterations)
    misfit = float(np.sqrt(np.mean((system.forward(surface) - data) ** 2)))
    return surface, PlateReport(iterations, left, left <= tolerance, misfit)


@dataclass(frozen=True, slots=True, eq=False)
class _Plate:
    """The normal operator of one level: misfit at the points plus the plate's energy."""

    rows: Rows
    shape: tuple[int, int]
    bending: float
    stretching: float

    def forward(self, surface: np.ndarray) -> np.ndarray:
        return gather([surface], self.rows)

    def adjoint(self, data: np.ndarray) -> np.ndarray:
        return scatter(data, self.rows, 0, np.zeros(self.shape))

    def normal(self, surface: np.ndarray) -> np.ndarray:
        out = self.adjoint(self.forward(surface))
        _add_energy_gradient(surface, self.bending, self.stretching, out)
        return out

    def preconditioner(self) -> np.ndarray:
        """Inverse symbol, under cosine transforms, of evenly spread data on a plate of mirrored edges."""
        laplace = sum(
            (2.0 - 2.0 * np.cos(np.pi * np.arange(n) / n)).reshape([-1 if a == axis else 1 for a in (0, 1)])
            for axis, n in enumerate(self.shape)
        )
        density = min(self.rows.row.size / (self.shape[0] * self.shape[1]), 1.0)
        return np.asarray(1.0 / (density + self.bending * laplace**2 + self.stretching * laplace))


def _solve(
    system: _Plate, data: np.ndarray, start: np.ndarray, tolerance: float, maximum_iterations: int
) -> tuple[np.ndarray, int, float]:
    """Conjugate gradients from *start*; surface, iterations and relative residual."""
    symbol = system.preconditioner()

    def precondition(a: np.ndarray) -> np.ndarray:
        return scipy.fft.idctn(symbol * scipy.fft.dctn(a, norm="ortho"), norm="ortho", overwrite_x=True)

    target = system.adjoint(data)
    reference = float(np.vdot(target, precondition(target)))
    if reference == 0.0:
        return np.zeros_like(start), 0, 0.0
    surface = start.copy()
    residual = target - system.normal(surface)
    direction = precondition(residual)
    energy = float(np.vdot(residual, direction))
    iteration = 0
    while iteration < maximum_iterations and energy > tolerance**2 * reference:
        curved = system.normal(direction)
        step = energy / float(np.vdot(direction, curved))
        surface += step * direction
        residual -= step * curved
        scaled = precondition(residual)
        energy, previous = float(np.vdot(residual, scaled)), energy
        direction *= energy / previous
        direction += scaled
        iteration += 1
    return surface, iteration, float(np.sqrt(energy / reference))


def _refine(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients of the same surface on half the cell (the two-scale relation of cubic B-splines)."""
    for _ in range(2):
        c = np.pad(coefficients, ((1, 1), (0, 0)), mode="reflect", reflect_type="odd")
        fine = np.empty((2 * coefficients.shape[0] - 1, coefficients.shape[1]))
        fine[::2] = (c[:-2] + 6.0 * c[1:-1] + c[2:]) / 8.0
        fine[1::2] = (coefficients[:-1] + coefficients[1:]) / 2.0
        coefficients = fine.T
    return np.ascontiguousarray(coefficients)


def _at_nodes(coefficients: np.ndarray) -> np.ndarray:
    """Values of the spline at its own nodes; the outermost ring is left as it is."""
    out = coefficients.copy()
    for view, source in ((out[1:-1], coefficients), (out.T[1:-1], None)):
        c = out.T.copy() if source is None else source
        view[:] = (c[:-2] + 4.0 * c[1:-1] + c[2:]) / 6.0
    return out


@njit(cache=True, nogil=True)
def _add_energy_gradient(c, bending, stretching, out):  # type: ignore[no-untyped-def]
    """Add the plate's stiffness times *c* to *out*; differences end at the lattice's edge: it is free."""
    rows, columns = c.shape
    for i in range(rows):
        for j in range(columns):
            if 0 < j < columns - 1:
                v = bending * (c[i, j - 1] - 2.0 * c[i, j] + c[i, j + 1])
                out[i, j - 1] += v
                out[i, j] -= 2.0 * v
                out[i, j + 1] += v
            if 0 < i < rows - 1:
                v = bending * (c[i - 1, j] - 2.0 * c[i, j] + c[i + 1, j])
                out[i - 1, j] += v
                out[i, j] -= 2.0 * v
                out[i + 1, j] += v
            if i < rows - 1 and j < columns - 1:
                v = 2.0 * bending * (c[i, j] - c[i, j + 1] - c[i + 1, j] + c[i + 1, j + 1])
                out[i, j] += v
                out[i, j + 1] -= v
                out[i + 1, j] -= v
                out[i + 1, j + 1] += v
            if j < columns - 1:
                v = stretching * (c[i, j] - c[i, j + 1])
                out[i, j] += v
                out[i, j + 1] -= v
            if i < rows - 1:
                v = stretching * (c[i, j] - c[i + 1, j])
                out[i, j] += v
                out[i + 1, j] -= v
