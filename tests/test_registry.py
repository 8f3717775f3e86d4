"""The registry: one decorator, two doors, the same checks and labels."""

import json
from typing import Annotated

import numpy as np
import pytest
import xarray as xr
from pydantic import Field

from pipelines import registry
from pipelines.errors import DataError, ParameterError
from pipelines.registry import Cost, pipeline


@pytest.fixture
def scaled(own_registry):
    @pipeline("test.scaled", version="3", cost=lambda datasets, _: Cost(1.0, datasets["grid"].nbytes))
    def scaled(
        grid: xr.DataArray,
        factor: Annotated[float, Field(gt=0)],
        *,
        offset: Annotated[float | None, Field(ge=0)] = None,
    ) -> xr.DataArray:
        """Multiply a grid."""
        return grid * factor + (offset or 0.0)

    return scaled


@pytest.fixture
def grid():
    return xr.DataArray(np.ones(4), dims="x", attrs={"history": "2026-01-01T00:00:00Z flown"})


def test_a_pipeline_is_called_as_the_plain_function_it_is(scaled, grid):
    assert scaled(grid, 2.0, offset=1.0).values.tolist() == [3.0] * 4
    assert scaled.__doc__ == "Multiply a grid." == scaled.summary


def test_both_doors_give_the_same_labelled_output(scaled, grid):
    by_name = registry.get("test.scaled")
    through_model = by_name.run({"grid": grid}, by_name.validate(factor="2"))
    plain = scaled(grid, 2)
    xr.testing.assert_equal(through_model, plain)
    assert {k: v for k, v in plain.attrs.items() if k != "history"} == {
        "pipeline": "test.scaled",
        "pipeline_version": scaled.code_version,
        "pipeline_parameters": json.dumps({"factor": 2.0, "offset": None}),
    }


def test_history_grows_by_one_dated_line_and_the_input_is_left_alone(scaled, grid):
    lines = scaled(grid, 2.0).attrs["history"].splitlines()
    assert lines[0] == "2026-01-01T00:00:00Z flown"
    assert lines[1].endswith(f"test.scaled(factor=2.0, offset=None) {scaled.code_version}")
    assert grid.attrs == {"history": "2026-01-01T00:00:00Z flown"}


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ({"factor": -1}, "factor", "greater than 0"),
        ({"factor": float("nan")}, "factor", "finite number"),
        ({"factor": "much"}, "factor", "valid number"),
        ({"factor": 1, "offset": -1}, "offset", "greater than or equal to 0"),
    ],
)
def test_a_broken_rule_names_the_field_and_what_is_asked(scaled, grid, arguments, field, rule):
    with pytest.raises(ParameterError, match=rule) as caught:
        scaled(grid, **arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("flag", [True, False, np.True_])
def test_true_and_false_are_no_numbers(scaled, grid, flag):
    with pytest.raises(ParameterError, match="factor = .* must not be true or false"):
        scaled(grid, flag)


def test_true_and_false_pass_where_they_are_asked_for(own_registry):
    @pipeline("test.switched", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def switched(grid: xr.DataArray, on: bool, weights: list[float] = [1.0]) -> xr.DataArray:  # noqa: B006
        """Switch a grid."""
        return grid * on

    assert switched.validate(on=True).on is True
    with pytest.raises(ParameterError, match="weights"):
        switched.validate(on=False, weights=[0.5, True])


def test_an_input_of_the_wrong_kind_is_refused_whichever_door_it_comes_through(scaled, grid, own_registry):
    @pipeline("test.surveyed", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def surveyed(survey: xr.Dataset) -> xr.Dataset:
        """Give a survey back."""
        return survey

    with pytest.raises(DataError, match="grid = 'Dataset' must be an xarray DataArray, one variable"):
        scaled(grid.to_dataset(name="grid"), 2.0)
    with pytest.raises(DataError, match="grid = 'ndarray' must be an xarray DataArray"):
        scaled(grid.values, 2.0)
    with pytest.raises(DataError, match="survey = 'DataArray' must be an xarray Dataset"):
        surveyed.run({"survey": grid}, surveyed.parameters())
    with pytest.raises(DataError, match="survey = None is missing; test.surveyed needs it"):
        surveyed.run({}, surveyed.parameters())


def test_unknown_and_missing_parameters_are_refused_by_name(scaled):
    with pytest.raises(ParameterError, match="is not a parameter of test.scaled; it takes: factor, offset"):
        scaled.validate(factor=1, factr=2)
    with pytest.raises(ParameterError, match="factor = .* is missing"):
        scaled.validate()


def test_an_unknown_pipeline_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"known are: .*mag\.reduce_to_pole"):
        registry.get("mag.reduce_to_poll")


def test_every_registered_pipeline_has_a_summary_inputs_and_a_json_schema():
    for name, found in registry.all_pipelines().items():
        assert found.summary.endswith("."), name
        assert "`" not in found.summary, f"{name}: shown in the terminal, so no mark-up"
        assert found.inputs, name
        assert json.dumps(found.parameters.model_json_schema()), name


def test_a_variable_taken_out_of_a_made_dataset_knows_its_history_and_a_given_one_keeps_its_own(own_registry):
    @pipeline("test.widened", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def widened(survey: xr.Dataset) -> xr.Dataset:
        """Add a variable."""
        return survey.assign(made=survey["given"] + 1)

    survey = xr.Dataset({"given": ("point", np.ones(3), {"history": "flown"})})
    out = widened(survey)
    assert "test.widened()" in out["made"].attrs["history"]
    assert out["given"].attrs["history"] == "flown"
    assert "made" not in survey
