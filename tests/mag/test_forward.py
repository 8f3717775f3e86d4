"""The fields of dipoles, spheres and prisms, against closed forms, limits and physics."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ParameterError
from pipelines.mag.field import direction
from pipelines.mag.forward import (
    Dipole,
    Prism,
    Sphere,
    dipole,
    magnetic_field,
    magnetisation,
    prism,
    sphere,
    total_field_anomaly,
)

MU_0 = 4e-7 * np.pi
NANO = 1e9
CUBE = (-50.0, 50.0, -50.0, 50.0, -50.0, 50.0)
BRICK = (-120.0, 80.0, -300.0, 250.0, -400.0, -100.0)
OBLIQUE = (1.0, 2.0, -3.0)


def scattered(count, reach, seed=0):
    return np.random.default_rng(seed).uniform(-reach, reach, (3, count))


def outside(points, box):
    low, high = np.array(box[::2])[:, None], np.array(box[1::2])[:, None]
    return points[:, ~np.all((points > low) & (points < high), axis=0)]


def stacked(field):
    return np.stack(field)


def test_a_dipole_has_the_closed_form_on_its_axis_and_on_its_equator():
    r, m = 250.0, 7.0e6
    b_e, b_n, b_u = dipole(([0, r, 0], [0, 0, r], [r, 0, 0]), (0, 0, 0), (0, 0, m))
    scale = MU_0 / (4 * np.pi) * m / r**3 * NANO
    np.testing.assert_allclose(b_u, scale * np.array([2.0, -1.0, -1.0]), rtol=1e-14)
    np.testing.assert_array_equal([b_e, b_n], np.zeros((2, 3)))


def test_a_sphere_is_the_dipole_of_its_moment_outside_and_uniform_inside():
    centre, radius, vector = np.array([10.0, -20.0, -300.0]), 100.0, np.array([1.0, 0.5, -2.0])
    points = outside(scattered(200, 900.0), [-90, 110, -120, 80, -400, -200])
    moment = 4 / 3 * np.pi * radius**3 * vector
    np.testing.assert_allclose(
        stacked(sphere(points, centre, radius, vector)), stacked(dipole(points, centre, moment)), rtol=1e-12
    )
    within = sphere(centre[:, None] + scattered(20, 50.0), centre, radius, vector)
    expected = np.broadcast_to((2 / 3 * MU_0 * NANO * vector)[:, None], (3, 20))
    np.testing.assert_allclose(stacked(within), expected, rtol=1e-14)


def test_the_normal_component_is_continuous_across_the_surface_of_a_sphere():
    vector = np.array([0.0, 0.0, 1.0])
    _, _, up = sphere(([0, 0], [0, 0], [100 - 1e-9, 100 + 1e-9]), (0, 0, 0), 100.0, vector)
    np.testing.assert_allclose(up[0], up[1], rtol=1e-10)


def test_a_prism_far_away_is_a_dipole():
    # A cube has no quadrupole and its first correction is the hexadecapole: relative to the
    # dipole about (half side / distance)^4 times a constant below 10; rounding 1e-15 (r / side)^3.
    points = scattered(200, 1.0)
    points *= 4000.0 / np.linalg.norm(points, axis=0)
    near = stacked(prism(points, CUBE, OBLIQUE))
    far = stacked(dipole(points, (0, 0, 0), 100.0**3 * np.array(OBLIQUE)))
    tolerance = 10 * (50 / 4000) ** 4 * np.abs(far).max()
    np.testing.assert_allclose(near, far, atol=tolerance)


def test_a_prism_is_the_sum_of_its_parts():
    west, east, south, north, bottom, top = BRICK
    cuts = [(west, 13.0, east), (south, -41.0, north), (bottom, -222.0, top)]
    parts = [(*e, *n, *u) for e, n, u in itertools.product(*([(a, b), (b, c)] for a, b, c in cuts))]
    points = scattered(500, 800.0)
    whole, summed = stacked(prism(points, BRICK, OBLIQUE)), stacked(prism(points, parts, OBLIQUE))
    # Each of nine prisms rounds at 1e-15 (r / size)^3 of its field: r < 1400, the smallest part 67 m.
    np.testing.assert_allclose(summed, whole, rtol=1e-10, atol=1e-11 * np.abs(whole).max())


def test_the_field_outside_is_curl_free_and_divergence_free():
    points = outside(scattered(200, 800.0), np.array(BRICK) + np.array([-30, 30] * 3))
    step = 0.5

    def derivative(axis):
        shift = np.zeros((3, 1))
        shift[axis] = step
        ahead, behind = prism(points + shift, BRICK, OBLIQUE), prism(points - shift, BRICK, OBLIQUE)
        return (stacked(ahead) - stacked(behind)) / (2 * step)

    gradient = np.stack([derivative(axis) for axis in range(3)])
    scale = np.abs(gradient).max(axis=(0, 1))
    # Central differences: (step / distance)^2 with points at least 30 m away, so under 3e-4.
    assert np.all(np.abs(np.trace(gradient)) < 1e-3 * scale)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.all(np.abs(gradient[i, j] - gradient[j, i]) < 1e-3 * scale)


def test_every_component_of_the_field_is_harmonic():
    points = outside(scattered(50, 800.0), np.array(BRICK) + np.array([-60, 60] * 3))
    step = 2.0
    centre = stacked(prism(points, BRICK, OBLIQUE))
    second = []
    for axis in range(3):
        shift = np.zeros((3, 1))
        shift[axis] = step
        around = stacked(prism(points + shift, BRICK, OBLIQUE)) + stacked(
            prism(points - shift, BRICK, OBLIQUE)
        )
        second.append((around - 2 * centre) / step**2)
    scale = np.abs(second).max()
    assert np.abs(sum(second)).max() < 5e-3 * scale  # (step / 60 m)^2 and a constant of a few


def test_a_wide_thin_plate_is_an_infinite_slab():
    # An infinite horizontal slab has no field outside and -mu_0 M + mu_0 M = 0 inside for vertical
    # magnetisation (H = -M); horizontal magnetisation gives B = mu_0 M inside. The edges, 1e6 m
    # away, contribute a relative thickness / distance = 1e-5.
    reach, thickness = 1e6, 10.0
    slab = (-reach, reach, -reach, reach, -thickness, 0.0)
    heights = np.array([50.0, -5.0])
    vertical = prism((0, 0, heights), slab, (0, 0, 1))
    horizontal = prism((0, 0, heights), slab, (1, 0, 0))
    full = MU_0 * NANO
    np.testing.assert_allclose(vertical.up, [0, 0], atol=2e-5 * full)
    np.testing.assert_allclose(horizontal.east, [0, full], atol=2e-5 * full)


def test_a_cube_demagnetises_itself_by_a_third_at_its_centre():
    # Symmetry and trace -1 give H = -M/3 at the centre of any cube, so B = 2/3 mu_0 M.
    field = prism((0.0, 0.0, 0.0), CUBE, OBLIQUE)
    np.testing.assert_allclose(stacked(field), 2 / 3 * MU_0 * NANO * np.array(OBLIQUE), rtol=1e-14)


def test_mirrored_prisms_have_mirrored_fields():
    points = scattered(300, 600.0)
    vector = np.array(OBLIQUE)
    whole = stacked(prism(points, BRICK, vector))
    for axis in range(3):
        mirror = np.ones(3)
        mirror[axis] = -1.0
        box = np.array(BRICK).reshape(3, 2) * mirror[:, None]
        mirrored = prism(points * mirror[:, None], np.sort(box, axis=1).ravel(), vector * mirror)
        np.testing.assert_allclose(stacked(mirrored) * mirror[:, None], whole, rtol=1e-12, atol=1e-9)


def test_turning_the_axes_turns_the_field():
    points = scattered(300, 600.0)
    whole = stacked(prism(points, BRICK, OBLIQUE))
    turn = [1, 2, 0]  # east from north, north from up, up from east
    box = np.array(BRICK).reshape(3, 2)[turn].ravel()
    turned = stacked(prism(points[turn], box, np.array(OBLIQUE)[turn]))
    np.testing.assert_allclose(turned, whole[turn], rtol=1e-10, atol=1e-9)


def test_a_point_on_a_face_gets_the_limit_from_outside():
    west, east, south, north, bottom, top = BRICK
    middle = ((west + east) / 2, (south + north) / 2, (bottom + top) / 2)
    for axis, (low, high) in enumerate(((west, east), (south, north), (bottom, top))):
        for value, out in ((low, -1.0), (high, 1.0)):
            on, near = np.array(middle), np.array(middle)
            on[axis], near[axis] = value, value + 1e-7 * out
            # The field changes by its gradient, under |B| / 50 m, times 1e-7 m.
            at_face = stacked(prism(on, BRICK, OBLIQUE))
            np.testing.assert_allclose(
                at_face, stacked(prism(near, BRICK, OBLIQUE)), atol=1e-8 * np.abs(at_face).max()
            )


def test_edges_corners_and_the_lines_that_continue_them_are_finite():
    levels = [
        (low - 70.0, low, (low + high) / 2, high, high + 70.0) for low, high in np.reshape(BRICK, (3, 2))
    ]
    points = np.array(list(itertools.product(*levels))).T
    values = stacked(prism(points, BRICK, OBLIQUE))
    assert np.isfinite(values).all()
    # Off the body, the lines that continue edges are ordinary points: their neighbours agree.
    low, high = np.array(BRICK[::2])[:, None], np.array(BRICK[1::2])[:, None]
    off = np.any((points < low) | (points > high), axis=0)
    neighbours = stacked(prism(points[:, off] + 1e-7, BRICK, OBLIQUE))
    np.testing.assert_allclose(values[:, off], neighbours, atol=1e-8 * np.abs(neighbours).max())


@given(
    st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    st.tuples(*[st.floats(1e-2, 1e4)] * 3),
)
def test_every_point_has_a_finite_field(point, corner, size):
    box = np.array([(low, low + extent) for low, extent in zip(corner, size, strict=True)]).ravel()
    assert np.isfinite(stacked(prism(point, box, OBLIQUE))).all()


def test_the_anomaly_is_the_field_along_the_main_field():
    points = scattered(50, 800.0)
    body = Prism(*BRICK, magnetisation=OBLIQUE)
    anomaly = total_field_anomaly(points, body, inclination=-52.0, declination=6.0)
    projected = np.tensordot(direction(-52.0, 6.0), stacked(magnetic_field(points, body)), 1)
    np.testing.assert_allclose(anomaly, projected, rtol=1e-12)


def test_a_scene_is_the_sum_of_its_sources_and_travels_by_pickle():
    scene = [
        Dipole(0, 10, -300, (1e7, 0, -1e7)),
        Sphere(100, -50, -500, 120.0, (0, 1, -1)),
        Prism(*BRICK, magnetisation=OBLIQUE),
    ]
    points = scattered(20, 800.0)
    points[2] += 1000.0
    together = stacked(magnetic_field(points, pickle.loads(pickle.dumps(scene))))
    apart = sum(stacked(magnetic_field(points, source)) for source in scene)
    np.testing.assert_allclose(together, apart, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(stacked(magnetic_field(points, [])), np.zeros((3, 20)))


def test_the_field_has_the_shape_of_the_points():
    easting, northing = np.meshgrid(np.arange(4.0), np.arange(3.0))
    assert prism((easting, northing, 10.0), BRICK, OBLIQUE).up.shape == (3, 4)
    assert prism((0.0, 0.0, 10.0), BRICK, OBLIQUE).up.shape == ()


@pytest.mark.parametrize(
    ("inclination", "declination", "expected"),
    [(90, 0, (0, 0, -1)), (0, 0, (0, 1, 0)), (0, 90, (1, 0, 0)), (-90, 33, (0, 0, 1))],
)
def test_inclination_points_down_and_declination_east(inclination, declination, expected):
    np.testing.assert_allclose(direction(inclination, declination), expected, atol=1e-16)
    np.testing.assert_allclose(
        magnetisation(2.5, inclination, declination), np.multiply(2.5, expected), atol=1e-15
    )


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: prism((0, 0, 0), (1, 0, 0, 1, 0, 1), OBLIQUE), "prisms"),
        (lambda: prism((0, 0, 0), (0, 1, 0, 1), OBLIQUE), "prisms"),
        (lambda: prism((0, np.nan, 0), CUBE, OBLIQUE), "northing"),
        (lambda: prism((0, 0), CUBE, OBLIQUE), "coordinates"),
        (lambda: prism((0, 0, 0), [CUBE] * 3, [OBLIQUE] * 2), "magnetisations"),
        (lambda: sphere((0, 0, 0), (0, 0, -9), -1.0, OBLIQUE), "radii"),
        (lambda: dipole((0, 0, 0), (0, 0, np.inf), OBLIQUE), "positions"),
        (lambda: magnetic_field((0, 0, 0), ["prism"]), "sources"),
        (
            lambda: total_field_anomaly((0, 0, 0), [], inclination=np.nan, declination=0.0),
            "inclination",
        ),
    ],
)
def test_nonsense_is_refused_by_name(call, field):
    with pytest.raises(ParameterError) as refusal:
        call()
    assert refusal.value.field == field


@pytest.mark.peer
def test_prisms_agree_with_choclo():
    choclo = pytest.importorskip("choclo")
    points = outside(scattered(2000, 1000.0, seed=3), BRICK)  # choclo answers NaN inside
    ours = stacked(prism(points, BRICK, OBLIQUE))
    scale = NANO * MU_0 / choclo.constants.VACUUM_MAGNETIC_PERMEABILITY
    theirs = scale * np.array([choclo.prism.magnetic_field(*p, *BRICK, *OBLIQUE) for p in points.T]).T
    error = np.abs(ours - theirs).max(axis=0) / np.abs(theirs).max(axis=0)
    assert error.max() < 1e-10


@pytest.mark.peer
def test_dipoles_agree_with_choclo():
    choclo = pytest.importorskip("choclo")
    points = scattered(200, 1000.0, seed=4)
    ours = stacked(dipole(points, (1, 2, 3), OBLIQUE))
    scale = NANO * MU_0 / choclo.constants.VACUUM_MAGNETIC_PERMEABILITY
    theirs = scale * np.array([choclo.dipole.magnetic_field(*p, 1.0, 2.0, 3.0, *OBLIQUE) for p in points.T]).T
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
