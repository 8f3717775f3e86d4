import pickle

import numpy as np
import pytest

from pipelines.conventions import Geometry
from pipelines.errors import DataError, ParameterError
from pipelines.mag import interpolation, layer_system
from pipelines.mag.equivalent_sources import fit_layer
from pipelines.mag.forward import Dipole, magnetisation, total_field_anomaly

SPACING = 100.0


def anomaly(x, y, z):
    """Total-field anomaly (nT) of two dipoles 250 m and 400 m deep in a field of -60 and 10 degrees."""
    sources = [
        Dipole(1_000.0, 1_100.0, -250.0, tuple(magnetisation(2e7, -60.0, 10.0))),
        Dipole(1_650.0, 700.0, -400.0, tuple(magnetisation(-6e7, -60.0, 10.0))),
    ]
    return np.asarray(total_field_anomaly((x, y, z), sources, inclination=-60.0, declination=10.0))


def lines(drape=0.0, height=60.0):
    """Twenty-one lines, 100 m apart, a point every 20 m; heights swing by *drape* metres."""
    along, across = np.meshgrid(np.arange(0.0, 2_001.0, 20.0), np.arange(0.0, 2_001.0, SPACING))
    x, y = along.ravel(), across.ravel()
    return x, y, height + drape * np.sin(x / 300.0) * np.cos(y / 500.0)


def inner_points(rng, count=500, edge=500.0):
    return rng.uniform(edge, 2_000 - edge, (2, count))


def fitted(drape=0.0, **options):
    x, y, z = lines(drape)
    options = {"depth": 120.0, "damping": 1e-5, "tolerance": 1e-6, "maximum_iterations": 1_500} | options
    return fit_layer(x, y, z, anomaly(x, y, z), **options)


@pytest.fixture(scope="module")
def level():
    return fitted()


@pytest.fixture(scope="module")
def draped():
    return fitted(drape=20.0)


# Between lines 100 m apart the shortest wave that is not aliased is 200 m: k = 0.0314 / m. Of a dipole
# 310 m below the lines exp(-0.0314 * 310) = 6e-5 lies beyond it. The damping of 1e-5 admits errors
# of sqrt(1e-5) = 3e-3 of the rms. Drape is read between heights to 1e-3 of the rms. The edge of the
# survey, from where the periodic continuation reaches in, is five spacings away.
EXACT = 4e-3


def relative_rms(found, true):
    return np.sqrt(np.mean((found - true) ** 2)) / np.std(true)


def test_a_layer_gives_the_dipoles_field_between_the_lines(level):
    x, y = inner_points(np.random.default_rng(0))
    assert relative_rms(level.predict(x, y, 60.0), anomaly(x, y, 60.0)) < EXACT


def test_a_layer_from_draped_lines_gives_the_field_on_the_drape(draped):
    x, y = inner_points(np.random.default_rng(1))
    z = 60 + 20 * np.sin(x / 300.0) * np.cos(y / 500.0)
    assert draped.report.heights > 1
    assert relative_rms(draped.predict(x, y, z), anomaly(x, y, z)) < EXACT


@pytest.mark.parametrize("layer", ["level", "draped"])
def test_a_layer_read_higher_up_is_the_field_continued_upward(layer, request):
    x, y = inner_points(np.random.default_rng(2), edge=700.0)
    found = request.getfixturevalue(layer).predict(x, y, 160.0)
    # Continued up by h = 100 m, a field is an average in which the half-plane beyond an edge at D =
    # 700 m has the weight h^2 / 4 D^2 = 0.5 %. Beyond the four edges the layer does not know the field:
    # it may be wrong by as much as the field itself.
    assert relative_rms(found, anomaly(x, y, 160.0)) < 2e-2


def test_a_grid_is_the_prediction_at_its_cells(draped):
    geometry = Geometry((250.0, 400.0), (40.0, 30.0), (20, 30))
    northing, easting = np.meshgrid(geometry.northing, geometry.easting, indexing="ij")
    np.testing.assert_array_equal(draped.grid(geometry, 90.0), draped.predict(easting, northing, 90.0))
    surface = 80.0 + easting / 100.0
    np.testing.assert_array_equal(draped.grid(geometry, surface), draped.predict(easting, northing, surface))


def test_a_layers_field_is_harmonic(level):
    h = 20.0
    x, y = inner_points(np.random.default_rng(3))
    at = [level.predict(x + dx, y + dy, 120.0 + dz) for dx, dy, dz in
          ((h, 0, 0), (-h, 0, 0), (0, h, 0), (0, -h, 0), (0, 0, h), (0, 0, -h), (0, 0, 0))]  # fmt: skip
    laplacian = (sum(at[:6]) - 6 * at[6]) / h**2
    horizontal = (sum(at[:4]) - 4 * at[6]) / h**2
    # Differences see (k h)^2 / 12 too little sideways and as much too much upward: twice that in all,
    # with k = 1 / 180 m where most of the curvature of the deep field lies: 0.2 %; ten times allowed
    # for the shorter waves.
    assert np.std(laplacian) < 0.02 * np.std(horizontal)


def test_order_of_points_and_shift_of_the_origin_change_nothing():
    x, y, z = lines(drape=20.0)
    d = anomaly(x, y, z)
    geometry = Geometry((500.0, 500.0), (50.0, 50.0), (20, 20))
    moved = Geometry((500.0 + 7.5e6, 500.0 + 5e5), (50.0, 50.0), (20, 20))
    options = {"depth": 120.0, "damping": 1e-3, "tolerance": 1e-8, "maximum_iterations": 400}
    plain = fit_layer(x, y, z, d, **options).grid(geometry, 80.0)
    order = np.random.default_rng(4).permutation(x.size)
    shuffled = fit_layer(x[order], y[order], z[order], d[order], **options).grid(geometry, 80.0)
    shifted = fit_layer(x + 5e5, y + 7.5e6, z, d, **options).grid(moved, 80.0)
    # Both solves stop at a residual of 1e-8 of the start, which for two thousand points on some 1e4
    # cells is about ten times the rms; the weakest mode amplifies it by 1 / damping.
    np.testing.assert_allclose(shuffled, plain, rtol=0, atol=1e-4 * np.std(d))
    np.testing.assert_allclose(shifted, plain, rtol=0, atol=1e-4 * np.std(d))


def test_a_plane_is_reproduced_at_every_height():
    x, y, z = lines(drape=10.0)
    layer = fit_layer(x, y, z, 3 + 0.02 * x - 0.01 * y, depth=100.0, damping=1e-3)
    # Rounding of values up to 43 in a least-squares plane.
    np.testing.assert_allclose(layer.predict(x, y, 500.0), 3 + 0.02 * x - 0.01 * y, rtol=0, atol=1e-10)


def test_conflicting_data_at_one_point_are_averaged_not_chased():
    x, y, z = lines()
    d = anomaly(x, y, z)
    tie = np.full(101, 1_000.0), np.arange(0.0, 2_001.0, 20.0), np.full(101, 60.0)
    off = anomaly(*tie) + 0.1 * d.std()
    columns = [np.concatenate(pair) for pair in zip((x, y, z, d), (*tie, off), strict=True)]
    layer = fit_layer(*columns, depth=150.0, damping=1e-2)
    px, py = inner_points(np.random.default_rng(5))
    # The tie's mismatch is 10 % of the field; nowhere may its effect be larger than itself.
    error = layer.predict(px, py, 60.0) - anomaly(px, py, 60.0)
    assert np.abs(error).max() < 0.2 * d.std()


@pytest.mark.parametrize("shape", [(64, 60), (63, 60), (60, 63)])
def test_the_layers_operator_and_its_adjoint_agree(shape):
    rng = np.random.default_rng(6)
    geometry = Geometry((0.0, 0.0), (25.0, 20.0), shape)
    x, y, z = rng.uniform(100, 1_000, 200), rng.uniform(100, 1_300, 200), rng.uniform(50, 120, 200)
    k = layer_system.radial_wavenumber(geometry)
    system = layer_system.LayerSystem.build(geometry, k, -60.0, x, y, z)
    spectrum = np.fft.rfft2(rng.normal(size=shape), norm="ortho")
    data = rng.normal(size=200)
    left, right = data @ system.forward(spectrum), system.dot(spectrum, system.adjoint(data))
    # Sums of a few thousand products in double precision.
    assert left == pytest.approx(right, rel=1e-11)


def test_rows_and_their_adjoint_agree():
    rng = np.random.default_rng(7)
    level = rng.normal(size=(50, 2))
    rows = interpolation.rows_at(rng.uniform(1, 17, 50), rng.uniform(1, 27, 50), (20, 30), level)
    stack, data = rng.normal(size=(2, 20, 30)), rng.normal(size=50)
    spread = np.stack([interpolation.scatter(data, rows, i, np.zeros((20, 30))) for i in (0, 1)])
    assert data @ interpolation.gather(stack, rows) == pytest.approx(np.sum(stack * spread), rel=1e-12)


def test_rows_reproduce_a_cubic_from_its_spline_coefficients():
    i, j = np.meshgrid(np.arange(12.0), np.arange(14.0), indexing="ij")
    # The cubic spline of coefficients c(i) = i^3 - i is i^3 (its sampled weights add i to i^3).
    rows = interpolation.rows_at(np.array([3.3, 7.9]), np.array([5.1, 9.4]), (12, 14))
    found = interpolation.gather([(i**3 - i) * j], rows)
    np.testing.assert_allclose(found, np.array([3.3, 7.9]) ** 3 * np.array([5.1, 9.4]), rtol=1e-12)


def test_a_layer_travels_by_pickle(level):
    x, y = inner_points(np.random.default_rng(8), 20)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(level)).predict(x, y, 70.0), level.predict(x, y, 70.0)
    )


def test_what_a_layer_cannot_do_is_refused_with_numbers(level):
    x, y, z = lines()
    d = x * 0
    with pytest.raises(ParameterError, match="above the layer"):
        level.predict(np.array([1_000.0]), np.array([1_000.0]), -60.0)
    with pytest.raises(ParameterError, match="within the layer"):
        level.predict(np.array([9e4]), np.array([1_000.0]), 60.0)
    with pytest.raises(DataError, match="at least 4"):
        fit_layer(x[:3], y[:3], z[:3], d[:3], depth=100.0, damping=1e-3)
    with pytest.raises(DataError, match="finite"):
        fit_layer(x, y, z, np.where(x > 0, d, np.nan), depth=100.0, damping=1e-3)
    for bad in ({"depth": 0.0, "damping": 1e-3}, {"depth": 100.0, "damping": -1.0}):
        with pytest.raises(ParameterError, match="positive"):
            fit_layer(x, y, z, d, **bad)
    with pytest.raises(ParameterError, match="2e7"):
        fit_layer(x * 1e3, y * 1e3, z, d, depth=100.0, damping=1e-3)
    with pytest.raises(ParameterError, match="lowest"):
        fit_layer(x, y, z, d, depth=10.0, damping=1e-3, lowest=500.0)
