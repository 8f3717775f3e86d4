"""Filters against closed forms, identities and an independent program."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.conventions import Geometry, geometry_of, make_grid
from pipelines.errors import ParameterError
from pipelines.mag import filters, kernels, products, separation
from pipelines.mag.sampling import wavenumbers
from pipelines.registry import all_pipelines

MODULES = {filters.__name__, separation.__name__}
EDGE = 20  # cells: the mirrored border is not the field that goes on beyond it


def interior(grid):
    return grid.values[EDGE:-EDGE, EDGE:-EDGE]


# The dipole lies 300 m under a grid of 6 km: at the border its field is at most 2 (300/3000)³ = 2e-3
# of its peak, and what the filters invent beyond the border is off by no more than that.
OUTSIDE = 2e-3


def test_upward_continuation_of_a_dipole_is_the_dipole_seen_from_higher_up(dipole):
    low, high = dipole().observed_at(0.0), dipole().observed_at(100.0)
    continued = filters.upward_continuation(low, 100.0)
    np.testing.assert_allclose(interior(continued), interior(high), atol=OUTSIDE * high.max().item())


def test_derivative_upward_of_a_dipole_is_its_rate_of_change_with_height(dipole):
    source, step = dipole(), 0.5
    # A central difference is off by step²/6 · f''' ≈ (0.5/300)² · 60/6 of f', here 3e-5.
    exact = (source.observed_at(step) - source.observed_at(-step)) / (2 * step)
    derivative = filters.derivative_upward(source.observed_at())
    np.testing.assert_allclose(interior(derivative), interior(exact), atol=OUTSIDE * abs(exact).max().item())


@pytest.mark.parametrize("axis", ["northing", "easting"])
@pytest.mark.parametrize("order", [1, 2])
def test_horizontal_derivatives_of_a_dipole_are_its_rates_of_change_along_the_ground(dipole, axis, order):
    step = 2.0
    there = (step, 0.0) if axis == "northing" else (0.0, step)
    ahead, here = dipole(seen_from=there).observed_at(), dipole().observed_at()
    behind = dipole(seen_from=tuple(-s for s in there)).observed_at()
    # Central differences of 2 m at a depth of 300 m are off by some (2/300)² · 40/6 = 3e-4.
    exact = (ahead - behind) / (2 * step) if order == 1 else (ahead - 2 * here + behind) / step**2
    derivative = getattr(filters, f"derivative_{axis}")(here, order)
    np.testing.assert_allclose(interior(derivative), interior(exact), atol=OUTSIDE * abs(exact).max().item())


@pytest.mark.parametrize(
    "inclination,declination", [(-52.0, 6.0), (35.0, -100.0), (20.0, 30.0), (-90.0, 0.0)]
)
def test_a_dipole_reduced_to_the_pole_is_the_dipole_at_the_pole(dipole, inclination, declination):
    reduced = filters.reduce_to_pole(dipole(inclination, declination).observed_at(), inclination, declination)
    pole = dipole(90.0, 0.0).observed_at()
    gain = 1.0 / np.sin(np.radians(inclination)) ** 2  # the most that the filter amplifies
    np.testing.assert_allclose(interior(reduced), interior(pole), atol=gain * OUTSIDE * pole.max().item())


def test_remanence_is_taken_out_when_its_direction_is_told(dipole):
    source = dipole(40.0, 10.0, magnetisation=(60.0, -30.0))
    reduced = filters.reduce_to_pole(
        source.observed_at(), 40.0, 10.0, magnetisation_inclination=60.0, magnetisation_declination=-30.0
    )
    pole = dipole(90.0, 0.0).observed_at()
    np.testing.assert_allclose(interior(reduced), interior(pole), atol=2.5 * OUTSIDE * pole.max().item())


def test_reduction_at_the_pole_changes_nothing(survey_grid):
    grid = survey_grid(holes=True)
    reduced = filters.reduce_to_pole(grid, 90.0, 123.0)
    # Rounding of one transform and its inverse: some eps · log2(N) of the largest value.
    np.testing.assert_allclose(reduced.values, grid.values, atol=40 * np.finfo(float).eps * 1000)


def test_damping_leaves_steep_inclinations_alone_and_bounds_flat_ones():
    east, north = wavenumbers((64, 80), (50.0, 50.0))
    radial = np.hypot(east, north)

    def factor(inclination, minimum):
        return kernels.ReductionToPole(inclination, 25.0, inclination, 25.0, minimum)(east, north, radial)

    np.testing.assert_array_equal(factor(-30.0, 20.0), factor(-30.0, 0.0))
    bound = 1.0 / np.sin(np.radians(20.0)) ** 2
    for inclination in (0.0, 1.0, -5.0, 19.9):
        damped = factor(inclination, 20.0)
        assert np.isfinite(damped).all()
        assert np.abs(damped).max() <= bound * (1 + 1e-12)
        # The phase is the exact one, wherever the exact one exists.
        if inclination:
            exact = factor(inclination, 0.0)
            np.testing.assert_allclose(damped / abs(damped), exact / abs(exact), atol=1e-9)


def test_a_horizontal_field_gives_a_finite_damped_answer_or_is_refused(dipole):
    grid = dipole(0.0, 90.0).observed_at()
    reduced = filters.reduce_to_pole(grid, 0.0, 90.0)
    assert np.isfinite(reduced).all()
    row, column = np.unravel_index(reduced.values.argmax(), reduced.shape)
    assert abs(row - 119.5) <= 1
    assert abs(column - 126) <= 1
    with pytest.raises(ParameterError, match="minimum_inclination"):
        filters.reduce_to_pole(grid, 0.0, 90.0, minimum_inclination=0.0)


@pytest.mark.parametrize("flat", [0.0, 0.01, -0.999])
@pytest.mark.parametrize("minimum", [0.0, 0.5])
def test_an_almost_horizontal_direction_without_damping_is_refused(flat, minimum):
    remanent = {"magnetisation_inclination": flat, "magnetisation_declination": 30.0}
    for build in (
        lambda: products.reduced_to_pole(flat, 0.0, minimum_inclination=minimum),
        lambda: products.reduced_to_pole(60.0, 0.0, **remanent, minimum_inclination=minimum),
    ):
        with pytest.raises(ParameterError, match="at least 1 degree"):
            build()
    assert products.reduced_to_pole(flat, 0.0, minimum_inclination=1.0)
    assert products.reduced_to_pole(1.0, 0.0, minimum_inclination=0.0)


def test_a_field_is_harmonic(survey_grid):
    grid = survey_grid()
    kinds = {name: getattr(products, f"derivative_{name}")(2) for name in ("easting", "northing", "upward")}
    made = filters.apply_filters(grid, list(kinds.values()))
    total = made["derivative_easting"] + made["derivative_northing"] + made["derivative_upward"]
    # −k_e² − k_n² + k² cancels to rounding, amplified like the second derivative at Nyquist.
    rounding = 100 * np.finfo(float).eps * 300 * 2 * (np.pi / 50.0) ** 2
    assert abs(total).max() < rounding


def test_two_continuations_are_one_of_both_heights(dipole):
    grid = dipole().observed_at()
    once = filters.upward_continuation(grid, 160.0)
    twice = filters.upward_continuation(filters.upward_continuation(grid, 100.0), 60.0)
    np.testing.assert_allclose(interior(twice), interior(once), atol=OUTSIDE * once.max().item())
    chained = products.after(kernels.UpwardContinuation(100.0), products.upward_continued(60.0))
    both = filters.apply_filters(grid, [chained])["upward_continued"]
    np.testing.assert_allclose(both, once, rtol=0, atol=1e-12 * once.max().item())


def test_the_derivative_of_the_vertical_integral_is_the_field(survey_grid):
    grid = survey_grid()
    both = products.after(kernels.VerticalIntegral(), products.derivative_upward())
    made = filters.apply_filters(grid, [both, products.high_passed(1e9)])
    # −k/k = −1 but at k = 0; the high pass of a huge wavelength drops the mean and the plane too.
    np.testing.assert_allclose(-made["derivative_upward"], made["high_passed"], atol=1e-3)


def test_the_tilt_angle_of_a_dipole_is_positive_above_it_negative_around_it_and_in_radians(dipole):
    source = dipole(90.0, 0.0)
    tilt = filters.tilt_angle(source.observed_at())
    assert tilt.attrs["units"] == "radian"
    # Half a cell off a row of cells, 300 m above the dipole: arctan(2h / 4ρ) = arctan(300 / 25) = 85°.
    assert tilt[119, 126] > np.radians(80)

    # At a distance ρ the field is (2h² − ρ²)/r⁵; its slopes downward and outward, times r⁷/3:
    geometry = geometry_of(tilt)
    middle = [values.mean() for values in (geometry.northing, geometry.easting)]
    rho = np.hypot((geometry.northing - middle[0])[:, None], geometry.easting - middle[1])
    h, r = source.depth, np.hypot(rho, source.depth)
    down, outward = h * (2 * h**2 - 3 * rho**2), rho * (rho**2 - 4 * h**2)
    exact = np.arctan2(down, abs(outward))
    gradient = np.hypot(down, outward) / r**7
    # Each derivative is off by OUTSIDE of the largest gradient: where the gradient is at least a
    # twentieth of that, three of them turn the angle by at most √3 · 20 · OUTSIDE.
    clear = gradient > gradient.max() / 20
    np.testing.assert_allclose(tilt.values[clear], exact[clear], atol=np.sqrt(3) * 20 * OUTSIDE)
    around = clear & (rho > h)  # the angle is zero at √(2/3) h, and −18° already at h
    assert around.sum() > 300
    assert (tilt.values[around] < 0).all()


def test_the_analytic_signal_is_the_modulus_of_the_three_derivatives(survey_grid):
    grid = survey_grid(holes=True)
    parts = [getattr(filters, f"derivative_{axis}")(grid) for axis in ("easting", "northing", "upward")]
    signal = filters.analytic_signal(grid)
    np.testing.assert_allclose(signal, np.sqrt(sum(p**2 for p in parts)), atol=1e-12)
    slope = filters.total_horizontal_derivative(grid)
    np.testing.assert_allclose(slope, np.hypot(parts[0], parts[1]), atol=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "butterworth"])
def test_low_and_high_pass_share_the_field_out_as_their_formulas_say(kind):
    # A wave whose period divides the grid twice mirrors into itself; far from the taper only its own
    # factor acts. The grid is long so that the taper's reach, some wavelengths, stays outside.
    cells, spacing, wavelength = 1024, 10.0, 160.0
    geometry = Geometry((0.0, 0.0), (spacing, spacing), (16, cells))
    wave = np.cos(2 * np.pi * (np.arange(cells) + 0.5) * spacing / wavelength)
    grid = make_grid(np.tile(wave, (16, 1)), geometry, name="total_field_anomaly")
    middle = slice(cells // 2 - 32, cells // 2 + 32)
    for cutoff in (100.0, 160.0, 250.0):
        ratio = cutoff / wavelength
        expected = {
            "gaussian": (np.exp(-(ratio**2) / 2), 1 - np.exp(-(ratio**2) / 2)),
            "butterworth": ((1 + ratio**8) ** -0.5, (1 + ratio**-8) ** -0.5),
        }[kind]
        low = filters.low_pass(grid, cutoff, kind=kind)
        high = filters.high_pass(grid, cutoff, kind=kind)
        # The northing is 16 cells, mirrored over 64 and tapered: the wave's power is spread over
        # k_n of 2π/(100 cells), which moves k by (16/100)²/2 = 1.3 % and a factor by its slope there.
        for filtered, factor in zip((low, high), expected, strict=True):
            found = (filtered.values[8, middle] @ wave[middle]) / (wave[middle] @ wave[middle])
            assert found == pytest.approx(factor, abs=0.06)


def test_a_band_pass_is_a_low_pass_then_a_high_pass_and_refuses_an_empty_band(survey_grid):
    grid = survey_grid()
    band = filters.band_pass(grid, 400.0, 3000.0, kind="butterworth", order=3)
    assert band.name == "band_passed"
    low = products.low_passed(400.0, kind="butterworth", order=3)
    chained = products.after(low.kernels[0], products.high_passed(3000.0, kind="butterworth", order=3))
    np.testing.assert_allclose(band, filters.apply_filters(grid, [chained])["high_passed"], atol=1e-9)
    with pytest.raises(ParameterError, match="shortest"):
        filters.band_pass(grid, 3000.0, 400.0)


def test_directional_cosine_takes_out_the_strike_it_is_told():
    n = 256
    geometry = Geometry((0.0, 0.0), (50.0, 50.0), (n, n))
    north, east = np.meshgrid(geometry.northing, geometry.easting, indexing="ij")
    angle = np.radians(30.0)
    across = np.cos(angle) * east - np.sin(angle) * north  # crests strike 30 degrees east of north
    grid = make_grid(np.cos(2 * np.pi * across / 800.0), geometry, name="total_field_anomaly")
    middle = (slice(96, 160), slice(96, 160))
    kept = filters.directional_cosine(grid, 30.0).values[middle].std() / grid.values[middle].std()
    passed = filters.directional_cosine(grid, 30.0, mode="pass").values[middle].std()
    across_it = filters.directional_cosine(grid, 120.0).values[middle].std() / grid.values[middle].std()
    # A patch of 256 cells blurs the wave's azimuth by about λ/L = 16/256 rad, and mirroring adds waves
    # of the mirrored strike outside the middle: a few percent, squared by the exponent.
    assert kept < 0.05
    assert across_it > 0.95
    assert passed == pytest.approx(grid.values[middle].std(), rel=0.05)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    constant=st.floats(-6e4, 6e4),
    slopes=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_a_plane_goes_through_every_filter_as_algebra_says(shape, constant, slopes):
    geometry = Geometry((100.0, 200.0), (30.0, 20.0), shape)
    values = constant + slopes[0] * geometry.northing[:, None] + slopes[1] * geometry.easting
    grid = make_grid(values, geometry, name="total_field_anomaly")
    made = filters.apply_filters(
        grid,
        [
            products.upward_continued(50.0),
            products.reduced_to_pole(30.0, 10.0),
            products.derivative_easting(),
            products.derivative_northing(),
            products.derivative_upward(),
            products.high_passed(500.0),
        ],
    )
    # Rounding of the fit: eps of the largest value, times the filters' gain (4, and π/20 per metre).
    tolerance = 1e-12 * (1 + abs(values).max())
    for name in ("upward_continued", "reduced_to_pole"):
        np.testing.assert_allclose(made[name], values, atol=4 * tolerance)
    np.testing.assert_allclose(made["derivative_easting"], slopes[1], atol=tolerance)
    np.testing.assert_allclose(made["derivative_northing"], slopes[0], atol=tolerance)
    np.testing.assert_allclose(made["derivative_upward"], 0, atol=tolerance)
    np.testing.assert_allclose(made["high_passed"], 0, atol=tolerance)


@pytest.mark.parametrize(
    "call,field",
    [
        (lambda g: filters.upward_continuation(g, -1.0), "height"),
        (lambda g: filters.upward_continuation(g, np.nan), "height"),
        (lambda g: filters.derivative_upward(g, 0), "order"),
        (lambda g: filters.reduce_to_pole(g, 91.0, 0.0), "inclination"),
        (
            lambda g: filters.reduce_to_pole(g, 50.0, 0.0, magnetisation_inclination=3.0),
            "magnetisation_declination",
        ),
        (lambda g: filters.low_pass(g, 0.0), "wavelength"),
        (lambda g: filters.directional_cosine(g, 10.0, mode="keep"), "mode"),
        (lambda g: filters.tilt_angle(g, method="fast"), "method"),
    ],
)
def test_a_bad_parameter_is_named(survey_grid, call, field):
    with pytest.raises(ParameterError) as refused:
        call(survey_grid((20, 20)))
    assert refused.value.field == field


@pytest.mark.parametrize(
    "build,field",
    [
        (lambda: products.upward_continued(-500.0), "height"),
        (lambda: products.upward_continued(np.nan), "height"),
        (lambda: products.upward_continued(np.inf), "height"),
        (lambda: products.upward_continued("500"), "height"),
        (lambda: products.derivative_upward(0), "order"),
        (lambda: products.derivative_easting(1.5), "order"),
        (lambda: products.derivative_northing(9), "order"),
        (lambda: kernels.Derivative(upward=-1), "upward"),
        (lambda: products.reduced_to_pole(np.nan, 0.0), "inclination"),
        (lambda: products.reduced_to_pole(50.0, np.inf), "declination"),
        (lambda: products.reduced_to_pole(50.0, 0.0, minimum_inclination=-1.0), "minimum_inclination"),
        (
            lambda: products.reduced_to_pole(50.0, 0.0, magnetisation_declination=3.0),
            "magnetisation_inclination",
        ),
        (
            lambda: products.reduced_to_pole(
                50.0, 0.0, magnetisation_inclination=91.0, magnetisation_declination=3.0
            ),
            "magnetisation_inclination",
        ),
        (lambda: products.low_passed(-5.0, kind="butterworth"), "wavelength"),
        (lambda: products.high_passed(0.0), "wavelength"),
        (lambda: products.low_passed(500.0, kind="butterworth", order=0), "order"),
        (lambda: products.low_passed(500.0, kind="butterworth", order=True), "order"),
        (lambda: products.low_passed(500.0, kind="gausian"), "kind"),
        (lambda: products.band_passed(500.0, 400.0), "shortest"),
        (lambda: products.band_passed(np.nan, 400.0), "wavelength"),
        (lambda: products.direction_filtered(np.nan), "azimuth"),
        (lambda: products.direction_filtered(30.0, degree=0.0), "degree"),
        (lambda: products.direction_filtered(30.0, degree=101.0), "degree"),
        (lambda: products.direction_filtered(30.0, mode="keep"), "mode"),
        (lambda: kernels.Gaussian(500.0, "medium"), "keep"),
    ],
)
def test_a_product_is_refused_when_it_is_built_whoever_builds_it(build, field):
    with pytest.raises(ParameterError) as refused:
        build()
    assert refused.value.field == field


def test_every_filter_is_registered_with_a_cost_and_a_summary(survey_grid):
    known = {name: p for name, p in all_pipelines().items() if p.function.__module__ in MODULES}
    assert len(known) == 13
    for pipeline in known.values():
        assert pipeline.summary
        cost = pipeline.cost({"grid": survey_grid((20, 20))}, None)
        assert cost.cpu_seconds > 0
        assert cost.memory_bytes > 0


@pytest.mark.peer
@pytest.mark.parametrize(
    "ours,theirs",
    [
        (lambda g: filters.upward_continuation(g, 150.0), lambda hm, g: hm.upward_continuation(g, 150.0)),
        (lambda g: filters.derivative_upward(g), lambda hm, g: hm.derivative_upward(g)),
        (lambda g: filters.reduce_to_pole(g, -52.0, 6.0), lambda hm, g: hm.reduction_to_pole(g, -52.0, 6.0)),
        (lambda g: filters.low_pass(g, 400.0), lambda hm, g: hm.gaussian_lowpass(g, 400.0)),
    ],
)
def test_away_from_edges_the_filters_agree_with_harmonica(dipole, ours, theirs):
    hm = pytest.importorskip("harmonica")
    grid = dipole().observed_at().drop_vars("spatial_ref")
    expected: xr.DataArray = theirs(hm, grid)
    found = ours(grid)
    middle = (slice(60, 180), slice(60, 193))
    # Harmonica repeats the grid instead of mirroring it: each may be off by the field outside.
    tolerance = 2 * OUTSIDE * abs(expected).max().item()
    np.testing.assert_allclose(found.values[middle], expected.values[middle], atol=tolerance)
