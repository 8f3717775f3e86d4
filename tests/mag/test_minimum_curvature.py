import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from pipelines.conventions import Geometry
from pipelines.errors import DataError, ParameterError
from pipelines.mag.minimum_curvature import fit_minimum_curvature

GEOMETRY = Geometry((0.0, 0.0), (10.0, 10.0), (60, 50))


def scattered(count=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 490, count), rng.uniform(0, 590, count)


def nodes():
    northing, easting = np.meshgrid(GEOMETRY.northing, GEOMETRY.easting, indexing="ij")
    return easting, northing


@pytest.mark.parametrize("tension", [0.0, 0.25, 0.9])
def test_a_plane_is_reproduced_exactly_whatever_the_tension(tension):
    x, y = scattered(30)
    values, report = fit_minimum_curvature(x, y, 5 + 0.3 * x - 0.1 * y, GEOMETRY, tension=tension)
    easting, northing = nodes()
    # Rounding of values up to 200 in a least-squares plane; the plate has nothing left to bend.
    np.testing.assert_allclose(values, 5 + 0.3 * easting - 0.1 * northing, rtol=0, atol=1e-9)
    assert report.converged


def test_without_tension_data_that_vary_one_way_follow_the_natural_cubic_spline():
    # The biharmonic equation in one dimension: a cubic between data, straight beyond them. Sideways the
    # plate ends, and is not bent there by data beyond; a knot's distance (20 cells) from its ends that
    # has decayed by exp(-pi), so of 240 columns the middle ones are compared.
    wide = Geometry((0.0, 0.0), (10.0, 10.0), (60, 240))
    knots, heights = np.array([0.0, 200.0, 290.0, 400.0, 590.0]), np.array([0.0, 30.0, -20.0, 10.0, 0.0])
    x, y = (a.ravel() for a in np.meshgrid(wide.easting, knots))
    data = np.repeat(heights, wide.shape[1])
    values, _ = fit_minimum_curvature(
        x, y, data, wide, tension=0.0, stiffness=1e-3, tolerance=1e-8, maximum_iterations=3_000
    )
    expected = CubicSpline(knots, heights, bc_type="natural")(wide.northing)
    # Second differences of the coefficients stand for curvature, which is right to the second order:
    # with knots 9 cells apart or more to 1 / 9^2 of the largest value, 30.
    np.testing.assert_allclose(
        values[:, 110:130], np.broadcast_to(expected[:, None], (60, 20)), rtol=0, atol=30 / 9**2
    )


def test_data_are_taken_at_their_true_positions():
    x, y = scattered(1_500, seed=1)
    wave = lambda e, n: np.sin(e / 50.0) * np.cos(n / 70.0)  # noqa: E731
    values, _ = fit_minimum_curvature(x, y, wave(x, y), GEOMETRY, tension=0.0)
    inner = (slice(5, -5), slice(5, -5))
    error = values - wave(*nodes())
    # Points lie 15 m apart: of a wave with k = 1/50 a plate misses (k * 15)^4 = 0.8 % at most. Moved to
    # nodes by up to 5 m each way they would be wrong by 2.9 / 50 = 6 % rms.
    assert np.sqrt(np.mean(error[inner] ** 2)) < 0.01


def test_tension_takes_the_overshoot_off_a_step():
    x = np.repeat(np.arange(0.0, 491.0, 70.0), 60)
    y = np.tile(GEOMETRY.northing, 8)
    step = np.where(x < 240, 0.0, 100.0)
    span = [np.ptp(fit_minimum_curvature(x, y, step, GEOMETRY, tension=t)[0]) for t in (0.0, 0.5, 0.95)]
    assert span[0] > span[1] > span[2]
    # A membrane does not overshoot, but a spline rounds its kinks: by less than half a cell's rise,
    # 100 / 7 / 2, on either side.
    assert span[2] - 100.0 < 100.0 / 7


def test_order_of_points_and_shift_of_the_origin_change_nothing():
    x, y = scattered()
    d = np.sin(x / 60) + y / 300
    options = {"tolerance": 1e-9, "maximum_iterations": 3_000}
    plain, _ = fit_minimum_curvature(x, y, d, GEOMETRY, **options)
    order = np.random.default_rng(2).permutation(x.size)
    moved = Geometry((7.5e6, 5e5), GEOMETRY.spacing, GEOMETRY.shape)
    # Both stop at a residual of 1e-9, whose worst conditioned mode is some 1e3 weaker.
    for other in (
        fit_minimum_curvature(x[order], y[order], d[order], GEOMETRY, **options)[0],
        fit_minimum_curvature(x + 5e5, y + 7.5e6, d, moved, **options)[0],
    ):
        np.testing.assert_allclose(other, plain, rtol=0, atol=1e-5)


def test_a_solve_that_is_stopped_early_says_so():
    x, y = scattered()
    assert not fit_minimum_curvature(x, y, np.sin(x / 9.0), GEOMETRY, maximum_iterations=1)[1].converged


def test_what_cannot_be_gridded_is_refused():
    x, y = scattered(10)
    with pytest.raises(DataError, match="at least 4"):
        fit_minimum_curvature(x[:3], y[:3], x[:3], GEOMETRY)
    with pytest.raises(DataError, match="finite"):
        fit_minimum_curvature(x, y, x * np.nan, GEOMETRY)
    with pytest.raises(ParameterError, match="tension"):
        fit_minimum_curvature(x, y, x, GEOMETRY, tension=1.0)
    with pytest.raises(ParameterError, match="stiffness"):
        fit_minimum_curvature(x, y, x, GEOMETRY, stiffness=0.0)
    with pytest.raises(ParameterError, match="2e7"):
        fit_minimum_curvature(x, y, x, Geometry((0.0, 0.0), (1.0, 1.0), (5_000, 5_000)))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("side", ["low", "high"])
def test_points_far_outside_the_grid_are_refused_not_moved_to_its_edge(axis, side):
    x, y = scattered(30)
    positions = [x, y]
    last = (GEOMETRY.shape[1] - 1, GEOMETRY.shape[0] - 1)[axis] * 10.0
    edge, outward = (0.0, -1.0) if side == "low" else (last, 1.0)
    positions[axis][0] = edge + outward * 19.0
    fit_minimum_curvature(*positions, np.ones(30), GEOMETRY)
    positions[axis][0] = edge + outward * 21.0
    with pytest.raises(DataError, match="points outside the grid = 1 "):
        fit_minimum_curvature(*positions, np.ones(30), GEOMETRY)
