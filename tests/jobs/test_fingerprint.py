"""The fingerprint depends on what determines a result, and on nothing else."""

import pytest
import xarray as xr

from pipelines.registry import Cost, Pipeline, pipeline
from quetzal.jobs.fingerprint import fingerprint


@pytest.fixture
def step(own_registry) -> Pipeline:
    @pipeline("test.step", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def step(grid: xr.DataArray, *, height: float = 100.0, note: str | None = None) -> xr.DataArray:
        """Do nothing."""
        return grid

    return step


def test_a_default_given_by_name_is_the_same_request(step):
    inputs = {"grid": "abc"}
    assert fingerprint(step, inputs, step.validate()) == fingerprint(step, inputs, step.validate(height=100))


@pytest.mark.parametrize(
    "change",
    [{"inputs": {"grid": "abd"}}, {"values": {"height": 100.5}}, {"values": {"note": "x"}}, {"version": "2"}],
)
def test_whatever_determines_the_result_changes_it(step, change):
    before = fingerprint(step, {"grid": "abc"}, step.validate())
    step.version = change.get("version", step.version)
    inputs = change.get("inputs", {"grid": "abc"})
    assert fingerprint(step, inputs, step.validate(**change.get("values", {}))) != before
