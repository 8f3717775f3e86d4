"""Twins, kills, full disks and damaged inputs: a job still gives one whole result, or none."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import xarray as xr
import zarr

from pipelines.registry import Cost, pipeline
from quetzal.catalogue import results, storage
from quetzal.catalogue.catalogue import Catalogue
from quetzal.catalogue.manifest import MANIFEST, verify
from quetzal.catalogue.sealed import PARTIAL_PREFIX
from quetzal.errors import StorageError
from quetzal.jobs.runner import compute, prepare

INPUT = {"grid": "made:total_field_anomaly"}


def request(pipeline, catalogue):
    return prepare(pipeline, INPUT, pipeline.validate(), catalogue)


def made_alone(catalogue):
    """Whether nothing but the result that jobs compute from is in the results' folder."""
    return [path.name for path in catalogue.results.iterdir()] == ["made-" + "f" * results.SHORT]


@pytest.fixture
def second_waits(monkeypatch):
    """An event that is set when a second one asks for the lock of a request."""
    asked, flock, event = [], fcntl.flock, threading.Event()

    def count(handle, how):
        if how == fcntl.LOCK_EX:  # the one lock that is waited for
            asked.append(handle)
            if len(asked) == 2:
                event.set()
        return flock(handle, how)

    monkeypatch.setattr(storage.fcntl, "flock", count)
    return event


@pytest.mark.fault
def test_twin_requests_at_once_are_computed_once(own_registry, catalogue, client, second_waits):
    executions, outcomes = [], []

    @pipeline("test.slow", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def slow(grid: xr.DataArray) -> xr.DataArray:
        """Go on when the twin has come."""
        executions.append(None)
        assert second_waits.wait(timeout=120)
        return grid.chunk(512) * 1.0

    def ask():
        outcomes.append(compute(request(slow, catalogue), client))

    twins = [threading.Thread(target=ask) for _ in range(2)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()
    assert len(executions) == 1
    assert sorted(outcome.computed for outcome in outcomes) == [False, True]
    (folder,) = {outcome.folder for outcome in outcomes}
    assert verify(folder).ok
    assert {path.name[0] for path in catalogue.results.iterdir()} == {"m", "t"}, "no lock or partial is left"


@pytest.mark.fault
def test_when_the_first_of_twins_fails_the_second_computes(own_registry, catalogue, client, second_waits):
    executions, ends = [], []

    @pipeline("test.once", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def once(grid: xr.DataArray) -> xr.DataArray:
        """Fail the first time."""
        executions.append(None)
        assert second_waits.wait(timeout=120)
        if len(executions) == 1:
            raise ZeroDivisionError
        return grid.chunk(512) * 1.0

    def ask():
        try:
            ends.append(compute(request(once, catalogue), client).computed)
        except ZeroDivisionError:
            ends.append(None)

    twins = [threading.Thread(target=ask) for _ in range(2)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()
    assert ends == [None, True]


HANGING_RUN = """
import sys
from pathlib import Path
import numpy as np
import xarray as xr
from distributed import Client, LocalCluster
from pipelines.registry import Cost, pipeline
from quetzal.catalogue.catalogue import Catalogue
from quetzal.jobs.runner import compute, prepare

def hang(block):
    if block.size and np.isfinite(block[0, 0]):  # the first block alone begins with no data, and is written
        print("computing", flush=True)
        sys.stdin.read()
    return block

@pipeline("test.doubled", version="1", cost=lambda *_: Cost(1.0, 1.0))
def doubled(grid: xr.DataArray, *, factor: float = 2.0) -> xr.Dataset:
    grid = grid.chunk(512)
    return grid.copy(data=grid.data.map_blocks(hang, dtype=float)).to_dataset(name="doubled")

job = prepare(doubled, {"grid": "made:total_field_anomaly"}, doubled.validate(), Catalogue(Path(sys.argv[1])))
with (
    LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
    Client(cluster, set_as_default=False) as client,
):
    compute(job, client)
"""


@pytest.mark.fault
def test_a_run_killed_in_the_middle_leaves_nothing_visible_and_the_next_one_computes(
    doubled, catalogue, client
):
    command = [sys.executable, "-c", HANGING_RUN, str(catalogue.root)]
    where = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=where) as running:
        assert running.stdout.readline() == b"computing\n"
        running.send_signal(signal.SIGKILL)
    assert len(list(catalogue.results.glob(PARTIAL_PREFIX + "*"))) == 1
    assert [entry.name for entry in catalogue.entries()] == ["made-" + "f" * results.SHORT]
    assert catalogue.damaged() == []
    job = request(doubled, catalogue)
    assert not job.is_answered
    assert (catalogue.results / f".{job.folder.name}.lock").exists(), "the one killed held the same request"
    outcome = compute(job, client)
    assert outcome.computed
    assert verify(outcome.folder).ok
    assert {path.name for path in catalogue.results.iterdir()} == {
        "made-" + "f" * results.SHORT,
        outcome.folder.name,
    }


@pytest.mark.fault
@pytest.mark.parametrize("after", [0, 1, 8])
def test_a_disk_that_fills_while_a_result_is_written_leaves_nothing(
    doubled, catalogue, client, monkeypatch, after
):
    calls, original = [], zarr.storage.LocalStore.set

    async def fill(self, *args, **kwargs):
        calls.append(None)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "set", fill)
    with pytest.raises(StorageError, match="is full") as caught:
        compute(request(doubled, catalogue), client)
    assert caught.value.code == "storage_full"
    assert made_alone(catalogue)


@pytest.mark.fault
def test_a_disk_that_is_really_full_takes_no_result_and_keeps_what_it_has(
    doubled, catalogue, client, tmp_path
):
    place = tmp_path / "small"
    place.mkdir()
    # The input of 1,100 by 1,300 random numbers takes some 11 MB, and the result another 11.
    command = ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        reason = "NO SMALL DISK: mounting a tmpfs needs root on Linux; the full disk was only simulated"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    try:
        subprocess.run(["cp", "-r", str(catalogue.results), str(place)], check=True)
        small = Catalogue(place)
        with pytest.raises(StorageError, match="is full"):
            compute(request(doubled, small), client)
        assert made_alone(small)
        assert verify(small.find("made").folder).ok
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.fault
def test_an_input_damaged_before_or_after_it_is_opened_is_named(doubled, catalogue, client):
    entry = catalogue.find("made")
    job = request(doubled, catalogue)
    chunks = (entry.folder / "data.zarr" / "total_field_anomaly" / "c").rglob("*")
    chunk = next(path for path in chunks if path.is_file())
    chunk.write_bytes(b"x" * chunk.stat().st_size)
    for harmed in (lambda: job, lambda: request(doubled, catalogue)):
        with pytest.raises(StorageError, match=f"{entry.name} is damaged: data.zarr/total_field_anomaly"):
            compute(harmed(), client)
    assert made_alone(catalogue)
    chunk.write_bytes(b"xx")
    with pytest.raises(StorageError, match="is damaged"):
        request(doubled, catalogue)


@pytest.mark.fault
def test_an_input_that_may_not_be_read_is_not_called_unwritable(own_registry, catalogue, client):
    chunk = catalogue.find("made").folder / "data.zarr" / "zarr.json"

    @pipeline("test.closed", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def closed(grid: xr.DataArray) -> xr.DataArray:
        """Meet a closed file, as root cannot."""
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(chunk))

    with pytest.raises(StorageError, match="zarr.json may not be read"):
        compute(request(closed, catalogue), client)
    assert made_alone(catalogue)


def test_a_damaged_answer_is_not_given_for_a_result(doubled, catalogue, client):
    job = request(doubled, catalogue)
    outcome = compute(job, client)
    (outcome.folder / MANIFEST).write_text("{")
    with pytest.raises(StorageError, match="is damaged"):
        compute(request(doubled, catalogue), client)
