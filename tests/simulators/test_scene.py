"""Scenes: seeds, bounds, and fields that agree with the exact bodies they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DataError, ParameterError
from pipelines.mag.forward import Prism, total_field_anomaly
from simulators.bodies import Block, Intrusion, Lens, MainField, Remanence, anomaly_of_bodies, magnetisation
from simulators.layer import CELL, INTERPOLATION_ERROR, Layer, layer_field
from simulators.patterns import Fault, FoldedBeds, Texture
from simulators.randomness import generator
from simulators.relief import Lattice, Terrain
from simulators.scene import Scene, scene

EXTENT = (500_000.0, 7_000_000.0, 504_000.0, 7_003_000.0)
MAIN = MainField(50_000.0, -55.0, 8.0)


@pytest.fixture(scope="module")
def drawn() -> Scene:
    return scene(3, extent=EXTENT)


@pytest.fixture(scope="module")
def points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.uniform(500_000, 504_000, 400),
        rng.uniform(7_000_000, 7_003_000, 400),
        rng.uniform(300, 420, 400),
    )


def test_the_same_seed_draws_the_same_scene_and_another_seed_another(drawn, points):
    again, other = scene(3, extent=EXTENT), scene(4, extent=EXTENT)
    assert again == drawn
    assert again.anomaly(*points).tobytes() == drawn.anomaly(*points).tobytes()
    assert other.terrain != drawn.terrain
    assert other.bodies != drawn.bodies
    assert np.std(other.anomaly(*points) - drawn.anomaly(*points)) > 1.0


def test_a_component_draws_the_same_whatever_the_others_draw():
    alone = generator(5, "dykes").random(4)
    generator(5, "terrain").random(1000)
    np.testing.assert_array_equal(generator(5, "dykes").random(4), alone)
    assert not np.array_equal(generator(5, "terrain").random(4), alone)


def test_a_scene_survives_json_bit_for_bit(drawn):
    revived = Scene.from_json(drawn.to_json())
    assert revived == drawn
    assert hash(revived) == hash(drawn)


def test_terrain_reaches_its_lowest_and_highest_elevation_and_never_passes_them():
    terrain = Terrain(1, EXTENT, 123.0, 456.0)
    # The extremes lie on the lattice that the surface was drawn on, here walked at its nodes.
    easting, northing = np.meshgrid(
        np.arange(500_000, 504_001, 100.0), np.arange(7_000_000, 7_003_001, 100.0)
    )
    nodes = terrain.elevation(easting, northing)
    # The spline meets its nodes to rounding.
    np.testing.assert_allclose([nodes.min(), nodes.max()], [123.0, 456.0], atol=1e-9)
    rng = np.random.default_rng(1)
    anywhere = terrain.elevation(rng.uniform(4e5, 6e5, 5000), rng.uniform(6.9e6, 7.1e6, 5000))
    assert anywhere.min() >= 123.0
    assert anywhere.max() <= 456.0


def test_every_body_is_buried(drawn):
    for body in drawn.bodies:
        top = body.upward if isinstance(body, Lens) else body.top
        assert top < drawn.terrain.elevation(np.array([body.easting]), np.array([body.northing]))[0], (
            body.name
        )
    assert all(layer.top < drawn.terrain.lowest for layer in drawn.layers)
    assert len({body.name for body in drawn.bodies}) == len(drawn.bodies)


def test_the_default_scene_has_every_kind_of_body():
    assert {body.kind for body in scene().bodies} == {"dyke", "intrusion", "pipe", "sill", "ore lens"}


def test_a_block_that_strikes_east_is_the_prism_with_its_sides_exchanged(points):
    remanence = Remanence(2.0, 40.0, 170.0)
    block = Block("a", "dyke", 502_000.0, 7_001_500.0, 90.0, 1000.0, 200.0, 200.0, -300.0, 0.02, remanence)
    prism = Prism(
        501_500.0,
        502_500.0,
        7_001_400.0,
        7_001_600.0,
        -300.0,
        200.0,
        magnetisation(0.02, remanence, MAIN, 0.0),
    )
    expected = total_field_anomaly(points, prism, inclination=-55.0, declination=8.0)
    # Only rounding differs: eastings of 5e5 and northings of 7e6 carry 1e-9 m, gradients are below 10 nT/m.
    np.testing.assert_allclose(anomaly_of_bodies([block], MAIN, *points), expected, rtol=1e-7, atol=1e-6)


def test_a_block_cut_in_two_along_an_oblique_strike_has_the_field_of_the_whole(points):
    strike, half = 37.0, 250.0
    whole = Block("w", "dyke", 502_000.0, 7_001_500.0, strike, 4 * half, 150.0, 150.0, -500.0, 0.03)
    east, north = half * np.sin(np.radians(strike)), half * np.cos(np.radians(strike))
    parts = [
        Block(
            "p",
            "dyke",
            502_000.0 + s * east,
            7_001_500.0 + s * north,
            strike,
            2 * half,
            150.0,
            150.0,
            -500.0,
            0.03,
        )
        for s in (-1, 1)
    ]
    np.testing.assert_allclose(
        anomaly_of_bodies(parts, MAIN, *points),
        anomaly_of_bodies([whole], MAIN, *points),
        rtol=1e-7,
        atol=1e-6,
    )


def test_an_intrusion_keeps_the_volume_of_its_ellipse_and_looks_like_its_dipole_from_afar():
    body = Intrusion("i", "pipe", 0.0, 0.0, 30.0, 100.0, 60.0, 0.5, 50.0, -50.0, 0.02, 0.01)
    rim = magnetisation(0.02, None, MAIN, 0.0)
    core = magnetisation(-0.01, None, MAIN, 0.0)
    volume = np.pi * 100.0 * 60.0 * 100.0
    lens = Lens("l", "ore lens", 0.0, 0.0, 0.0, volume, 0.02 - 0.01 * 0.25)
    weights = [(p.east - p.west) * (p.north - p.south) * 100.0 for p in body.prisms(MAIN)]
    np.testing.assert_allclose(sum(weights), volume * (1 + 0.25), rtol=1e-12)
    assert np.hypot.reduce(rim) > np.hypot.reduce(core)
    distance = 5000.0
    far = np.array([0.0, distance, -distance]), np.array([distance, 0.0, distance]), np.full(3, 800.0)
    # The next term of the expansion is of the order of (size / distance)^2 = (100 / 5000)^2 = 4e-4; its
    # factor is (n + 1)(2n + 1) / 2 < 15 for the second-degree moments that the symmetry leaves.
    np.testing.assert_allclose(
        anomaly_of_bodies([body], MAIN, *far), anomaly_of_bodies([lens], MAIN, *far), rtol=15 * 4e-4
    )


def test_faults_displace_what_lay_on_their_right_and_restoring_undoes_it():
    fault = Fault(0.0, 0.0, 0.0, 500.0)
    easting, northing = np.array([-10.0, 10.0]), np.array([0.0, 0.0])
    moved = fault.displaced(easting, northing)
    np.testing.assert_allclose(moved, [[-10.0, 10.0], [0.0, 500.0]])
    np.testing.assert_allclose(fault.restored(*moved), [easting, northing])


metres = st.floats(-1e4, 1e4)


@given(metres, metres, st.floats(0.0, 360.0), metres, metres, metres)
def test_restoring_undoes_any_fault_off_its_own_plane(easting, northing, strike, slip, e, n):
    fault = Fault(easting, northing, strike, slip)
    place = np.array([e]), np.array([n])
    if abs(fault.distance(*place)[0]) > 1e-6:
        np.testing.assert_allclose(fault.restored(*fault.displaced(*place)), place, atol=1e-9)


def test_beds_stay_within_their_susceptibilities_and_repeat_with_the_succession():
    beds = FoldedBeds(160.0, 3000.0, 600.0, 0.1, 50.0, (100.0, 200.0), (0.001, 0.05))
    values = beds.susceptibility(Lattice(EXTENT, CELL), 1, "beds")
    assert values.min() >= 0.001
    assert values.max() <= 0.05
    # Folded level sets spend as much height in each bed as it is thick: both beds fill much of the map.
    assert 0.2 < np.mean(values < 0.0255) < 0.5


LAYERS = (
    Layer("deep", -500.0, -1500.0, Texture(0.02, 0.01, 0.5, 800.0, 5000.0)),
    Layer("shallow", 200.0, 180.0, Texture(0.01, 0.01, -0.5, 120.0, 1000.0)),
)


def test_the_field_of_layers_between_the_nodes_is_their_exact_fourier_sum(points):
    field = layer_field(LAYERS, extent=EXTENT, seed=2, **MAIN._asdict())
    easting, northing, upward = (values[:25] for values in points)
    k_east, k_north = field.lattice.wavenumbers()
    rows, columns = field.lattice.shape
    # Each half-plane mode stands for its conjugate too, except those on the zero column.
    twice = np.where(k_east == 0, 1.0, 2.0) / (rows * columns)
    south, west = field.lattice.origin
    exact = [
        np.sum(
            twice * np.real(field.spectrum(u) * np.exp(1j * (k_east * (e - west) + k_north * (n - south))))
        )
        for e, n, u in zip(easting, northing, upward, strict=True)
    ]
    got = field.anomaly(*points)[:25]
    error = np.sqrt(np.mean((got - exact) ** 2))
    assert error < INTERPOLATION_ERROR * np.std(field.anomaly(*points))


def test_the_field_of_a_layer_is_that_of_the_prisms_under_its_cells():
    class Spot(Texture):
        """A smooth spot in the middle of the extent."""

        def susceptibility(self, lattice, seed, component):
            easting, northing = lattice.nodes()
            return 0.05 * np.exp(-((easting - 502_000.0) ** 2 + (northing - 7_001_500.0) ** 2) / 2 / 250.0**2)

    layer = Layer("spot", 100.0, -300.0, Spot(0, 0, 0, 0, 0))
    field = layer_field([layer], extent=EXTENT, seed=0, **MAIN._asdict())
    easting, northing = (x.ravel() for x in field.lattice.nodes())
    kept = np.hypot(easting - 502_000.0, northing - 7_001_500.0) < 1300.0
    susceptibility = layer.susceptibility(EXTENT, 0).ravel()
    prisms = [
        Prism(e - 25, e + 25, n - 25, n + 25, -300.0, 100.0, magnetisation(k, None, MAIN, 0.0))
        for e, n, k in zip(easting[kept], northing[kept], susceptibility[kept], strict=True)
    ]
    along = np.linspace(-600.0, 600.0, 13)
    where = 502_000.0 + along, 7_001_500.0 + 0.7 * along, np.full(13, 350.0)
    expected = total_field_anomaly(where, prisms, inclination=-55.0, declination=8.0)
    # A smooth map sampled in 50 m cells: the cell's average over its sinc is exact to (k CELL)^2 / 24 with
    # k about 1 / 250 m, 1.7e-3. Periodic images of the spot stand L = 11 km away: each dipole moment
    # m = M x area x 400 m = 2 x (2 pi 250^2) x 400 = 3e8 A m^2 adds at most 200 m / L^3 = 0.05 nT; the
    # whole lattice of them, whose sum is the mean taken off at k = 0, a few times that.
    np.testing.assert_allclose(field.anomaly(*where), expected, rtol=0, atol=0.002 * np.ptp(expected) + 0.25)


def test_layers_refuse_points_inside_rock(drawn):
    with pytest.raises(ParameterError, match="must be above"):
        drawn.anomaly(np.array([502_000.0]), np.array([7_001_500.0]), np.array([100.0]))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"extent": (0, 0, 10, 10)}, "extent"),
        ({"lowest": 300.0, "highest": 200.0}, "highest"),
        ({"cover": 0.0}, "cover"),
    ],
)
def test_a_scene_refuses_what_it_cannot_be(arguments, field):
    with pytest.raises(ParameterError) as caught:
        scene(**arguments)
    assert caught.value.field == field


def test_a_body_is_found_by_name_and_an_unknown_name_is_refused_with_those_known(drawn):
    first = drawn.bodies[0]
    assert drawn.body(first.name) == first
    with pytest.raises(ParameterError, match=first.name):
        drawn.body("dyke-99z")


def test_a_scene_in_degrees_is_refused():
    with pytest.raises(DataError, match="projected"):
        scene(crs="EPSG:4326")
