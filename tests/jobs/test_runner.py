"""A job gives one result, whole or not at all; the same request is answered from what exists."""

import json

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from pyproj import CRS

from pipelines.conventions import crs_of
from pipelines.errors import ParameterError
from pipelines.registry import Cost, pipeline
from quetzal.catalogue import results
from quetzal.catalogue.manifest import read_manifest, verify
from quetzal.errors import InputError, NotFoundError, StorageError
from quetzal.jobs.runner import compute, prepare


def run(doubled, catalogue, client, **values):
    return compute(request(doubled, catalogue, **values), client)


def request(pipeline, catalogue, inputs=None, **values):
    inputs = {"grid": "made:total_field_anomaly"} if inputs is None else inputs
    return prepare(pipeline, inputs, pipeline.validate(**values), catalogue)


def test_a_result_holds_what_the_pipeline_gives(doubled, catalogue, client):
    outcome = run(doubled, catalogue, client)
    source = results.open_result(catalogue.find("made").folder)["total_field_anomaly"]
    committed = results.open_result(outcome.folder)
    np.testing.assert_array_equal(committed["doubled"].values, 2 * source.values)
    assert committed["doubled"].attrs["units"] == "nT"
    assert crs_of(committed) == CRS("EPSG:32754")
    assert verify(outcome.folder).ok


def test_the_manifest_says_what_the_result_came_from(doubled, catalogue, client):
    outcome = run(doubled, catalogue, client)
    manifest = read_manifest(outcome.folder)
    made = read_manifest(catalogue.find("made").folder)
    assert manifest["pipeline"] == "test.doubled"
    assert manifest["fingerprint"] == outcome.fingerprint
    assert manifest["inputs"] == {"grid": made["id"] + ":total_field_anomaly"}
    assert manifest["parameters"] == {"factor": 2.0}
    assert manifest["arrays"]["doubled"]["chunk_count"] == 3 * 3
    opened = results.open_result(outcome.folder)
    assert json.loads(opened.attrs["pipeline_parameters"]) == {"factor": 2.0}


def test_the_same_request_is_answered_from_the_result_that_exists(doubled, catalogue, client):
    first = run(doubled, catalogue, client)
    before = {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    again = run(doubled, catalogue, client, factor=2)
    assert (first.computed, again.computed) == (True, False)
    assert first.folder == again.folder
    assert before == {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}


def test_another_parameter_is_another_result(doubled, catalogue, client):
    assert run(doubled, catalogue, client).folder != run(doubled, catalogue, client, factor=3).folder


def test_a_task_that_fails_leaves_nothing_behind(own_registry, catalogue, client):
    def fail(block):
        if block.size:
            raise ParameterError("block", block.shape, "must not be")
        return block

    @pipeline("test.failing", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def failing(grid: xr.DataArray) -> xr.DataArray:
        """Fail."""
        return grid.chunk(512).copy(data=da.map_blocks(fail, grid.chunk(512).data, dtype=float))

    with pytest.raises(ParameterError, match="must not be"):
        compute(request(failing, catalogue), client)
    assert [p.name for p in catalogue.results.iterdir()] == ["made-" + "f" * results.SHORT]


def test_a_store_with_a_missing_chunk_is_never_committed(catalogue):
    """Finding: a write that met a full disk leaves a store that opens as valid."""
    lineage = results.Lineage("holed", "1", "e" * 64, {}, {})
    folder = results.folder_of(catalogue.results, "holed", lineage.fingerprint)
    with pytest.raises(StorageError, match="has 1 of 4 chunks"), results.begin(folder) as store:
        array = zarr.create_group(store).create_array("values", shape=(4,), chunks=(1,), dtype="f8")
        array[0] = 1.0
        results.commit(store, lineage, {})
    assert not folder.exists()


def test_progress_counts_every_task_once(doubled, catalogue, client):
    seen = []
    compute(request(doubled, catalogue), client, lambda stages: seen.append(stages))
    assert seen, "at least the last state is reported"
    assert all(0 <= stage.done <= stage.total for stages in seen for stage in stages)
    assert all(stage.done == stage.total for stage in seen[-1])


def test_inputs_are_named_or_refused(doubled, catalogue):
    with pytest.raises(InputError, match="takes the inputs grid; given: none"):
        request(doubled, catalogue, {})
    with pytest.raises(NotFoundError, match="no variable 'tmi'. It has: total_field_anomaly"):
        request(doubled, catalogue, {"grid": "made:tmi"})
    with pytest.raises(NotFoundError, match="no survey or result 'lost'"):
        request(doubled, catalogue, {"grid": "lost"})


def test_a_dataset_where_one_grid_is_wanted_is_refused_with_its_variables(doubled, catalogue):
    with pytest.raises(InputError, match="test.doubled takes one grid; 'made' is a dataset") as caught:
        request(doubled, catalogue, {"grid": "made"})
    name = catalogue.find("made").name
    assert caught.value.remedy == (
        f"Name one variable: {name}:total_field_anomaly; it has: total_field_anomaly."
    )


def test_a_variable_where_a_dataset_is_wanted_is_refused(own_registry, catalogue):
    @pipeline("test.whole", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def whole(survey: xr.Dataset) -> xr.Dataset:
        """Do nothing."""
        return survey

    with pytest.raises(InputError, match="takes a dataset; 'made:total_field_anomaly' is one variable"):
        request(whole, catalogue, {"survey": "made:total_field_anomaly"})
