"""The accessor offers the registry's pipelines as methods of the data they take first."""

import inspect

import numpy as np
import pytest
import xarray as xr

import pipelines  # noqa: F401  (registers the accessor)
from pipelines import registry
from pipelines.conventions import Geometry, make_grid


@pytest.fixture
def tmi():
    geometry = Geometry(origin=(7_500_000.0, 450_000.0), spacing=(50.0, 50.0), shape=(40, 48))
    values = np.random.default_rng(3).normal(size=geometry.shape)
    return make_grid(
        values, geometry, name="tmi", crs="EPSG:32754", attrs={"units": "nT", "survey": "north block"}
    )


def test_the_accessor_gives_what_the_plain_function_gives(tmi):
    from pipelines.mag.filters import reduce_to_pole

    through_accessor = tmi.mag.reduce_to_pole(-52, 6)
    xr.testing.assert_identical(through_accessor.drop_attrs(), reduce_to_pole(tmi, -52.0, 6.0).drop_attrs())
    assert through_accessor.attrs["units"] == "nT"
    assert through_accessor.attrs["survey"] == "north block"
    assert "mag.reduce_to_pole(inclination=-52.0, declination=6.0" in through_accessor.attrs["history"]


def test_the_accessor_is_lazy_on_a_lazy_grid(tmi):
    lazy = tmi.chunk(northing=20).mag.reduce_to_pole(-52, 6)
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy.values, tmi.mag.reduce_to_pole(-52, 6).values)


def test_a_grid_offers_grid_pipelines_and_a_survey_those_of_surveys(tmi):
    assert {"reduce_to_pole", "tilt_angle", "radial_spectrum"} <= set(dir(tmi.mag))
    assert {"grid", "process"} <= set(dir(xr.Dataset().mag))
    assert "process" not in dir(tmi.mag)


def test_methods_carry_the_signature_and_the_docstring_of_the_pipeline(tmi):
    method = tmi.mag.reduce_to_pole
    plain = registry.get("mag.reduce_to_pole")
    assert (
        list(inspect.signature(method).parameters) == list(inspect.signature(plain.function).parameters)[1:]
    )
    assert inspect.getdoc(method) == inspect.getdoc(plain.function)


def test_an_unknown_step_is_answered_with_the_known_ones(tmi):
    with pytest.raises(AttributeError, match=r"has no \.mag\.reduce_to_poll; it has: .*reduce_to_pole"):
        _ = tmi.mag.reduce_to_poll
