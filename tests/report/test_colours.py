"""Colours do not invent edges, and a stretch can be read back from the colour bar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.errors import ParameterError
from quetzal.report.colours import (
    ANCHORS,
    STYLES,
    colour_table,
    colourise,
    from_oklab,
    stretch_of,
    style_of,
    to_oklab,
)


def test_white_is_lightness_one_without_hue_as_the_definition_of_oklab_has_it():
    # The published matrices are rounded to ten digits, hence 1e-7.
    np.testing.assert_allclose(to_oklab(np.ones(3)), [1, 0, 0], atol=1e-7)


def test_oklab_goes_there_and_back():
    srgb = np.random.default_rng(0).random((100, 3))
    np.testing.assert_allclose(from_oklab(to_oklab(srgb)), srgb, atol=1e-9)


@pytest.mark.parametrize("name", ANCHORS)
def test_every_step_of_our_maps_looks_equally_large(name):
    steps = np.linalg.norm(np.diff(to_oklab(colour_table(name).astype(float)), axis=0), axis=1)
    # The curve is walked in 20 times finer steps, so a bend costs at most a twentieth of a step.
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.05)


def test_amplitudes_grow_lighter_and_differences_are_symmetric():
    lightness = to_oklab(colour_table("amplitude").astype(float))[:, 0]
    assert (np.diff(lightness) > 0).all()
    diverging = to_oklab(colour_table("diverging").astype(float))[:, 0]
    assert np.argmax(diverging) == pytest.approx(len(diverging) / 2, rel=0.1)


def test_no_data_has_no_colour():
    assert np.isnan(colourise(np.array([[np.nan, 0.5]]), "survey")[0, 0]).all()


def test_a_quantile_stretch_gives_each_colour_as_many_cells():
    values = np.random.default_rng(0).lognormal(3, 2, 100_000)
    places = stretch_of(values, "quantile")(values)
    # 256 knots: within one interval of even.
    counts = np.histogram(places, bins=16, range=(0, 1))[0] / values.size
    np.testing.assert_allclose(counts, 1 / 16, atol=1 / 256)


def test_a_symmetric_stretch_puts_zero_in_the_middle_whatever_the_data():
    stretch = stretch_of(np.random.default_rng(0).normal(3, 1, 10_000), "symmetric")
    assert stretch(np.array([0.0]))[0] == 0.5
    assert stretch(np.array([2.0]))[0] - 0.5 == pytest.approx(0.5 - stretch(np.array([-2.0]))[0])


def test_the_tilt_angle_has_the_same_colours_on_every_map():
    style = style_of("tilt_angle")
    stretch = stretch_of(np.array([-0.1, 0.3]), style.scale, style.limits)
    np.testing.assert_allclose(stretch(np.array([-np.pi / 2, 0, np.pi / 2])), [0, 0.5, 1])


finite = st.floats(-1e6, 1e6, allow_nan=False)


@settings(deadline=None)
@given(
    arrays(float, st.integers(1, 300), elements=finite), st.sampled_from(["quantile", "symmetric", "linear"])
)
def test_a_stretch_is_monotonic_within_its_colours_and_its_ticks_lie_inside(values, scale):
    stretch = stretch_of(values, scale)
    places = stretch(np.sort(values))
    assert (np.diff(places) >= -1e-15).all()  # a rounding error of one interpolation, not a step back
    assert places.min() >= 0
    assert places.max() <= 1
    ticks = stretch.ticks()
    assert 1 <= len(ticks) <= 7
    assert (np.diff(ticks) > 0).all()
    assert (ticks >= stretch.values[0]).all()
    assert (ticks <= stretch.values[-1]).all()


def test_ticks_are_round_values_at_their_own_places():
    values = np.random.default_rng(0).lognormal(5, 1, 10_000)
    stretch = stretch_of(values)
    ticks = stretch.ticks()
    assert all(float(f"{tick:.2g}") == tick for tick in ticks)
    np.testing.assert_allclose(stretch.inverse(stretch(ticks)), ticks)


def test_unknown_maps_and_empty_grids_are_refused_with_words():
    with pytest.raises(ParameterError, match="is unknown; take survey"):
        colour_table("rainbow-of-dreams")
    with pytest.raises(ParameterError, match="must hold data"):
        stretch_of(np.full(4, np.nan))
    with pytest.raises(ParameterError, match="must be quantile"):
        stretch_of(np.ones(4), "cubic")
    assert colour_table("viridis").shape == colour_table("survey").shape
    assert all(style.colour_map in ANCHORS for style in STYLES.values())
