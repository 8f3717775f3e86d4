"""Run one job: open the inputs, build the graph, compute it on Dask, commit the result."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import xarray as xr
from distributed import Client

from pipelines.conventions import GRID_DIMS
from pipelines.registry import Parameters, Pipeline
from quetzal.catalogue import results
from quetzal.catalogue.catalogue import Catalogue
from quetzal.catalogue.sealed import MANIFEST
from quetzal.errors import ConflictError, InputError
from quetzal.jobs.fingerprint import fingerprint
from quetzal.jobs.progress import OnProgress, watch

CHUNK = 512  # cells a side, 1 to 2 MB: tiles with halos that read them later touch little they do not need


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a job's result is, and whether it had to be computed."""

    folder: Path
    fingerprint: str
    computed: bool
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One request, its inputs found and opened, nothing computed yet.

    Attributes
    ----------
    pipeline : Pipeline
        What to run.
    parameters : Parameters
        Validated parameters.
    snapshots : dict
        Snapshot id of each input.
    datasets : dict
        The inputs, lazily indexed.
    fingerprint : str
        What the request is known by.
    folder : Path
        Where its result is, or will be.
    """

    pipeline: Pipeline
    parameters: Parameters
    snapshots: dict[str, str]
    datasets: dict[str, Any]
    fingerprint: str
    folder: Path

    @property
    def is_answered(self) -> bool:
        """Whether the result exists."""
        return (self.folder / MANIFEST).exists()


def prepare(
    pipeline: Pipeline, inputs: Mapping[str, str], parameters: Parameters, catalogue: Catalogue
) -> Job:
    """Find and open the inputs of a request and take its fingerprint.

    Parameters
    ----------
    pipeline : Pipeline
        What to run.
    inputs : mapping of str
        Catalogue reference (``NAME`` or ``NAME:VARIABLE``) for each of the pipeline's inputs.
    parameters : Parameters
        Validated parameters.
    catalogue : Catalogue
        Where inputs are found and the result goes.

    Raises
    ------
    QuetzalError
        If an input is missing or unknown.
    """
    if set(inputs) != set(pipeline.inputs):
        wanted, given = ", ".join(pipeline.inputs), ", ".join(inputs) or "none"
        raise InputError(f"{pipeline.name} takes the inputs {wanted}; given: {given}.", "Name each once.")
    snapshots, datasets = {}, {}
    for name in pipeline.inputs:
        snapshots[name], datasets[name] = catalogue.open_input(inputs[name])
    key = fingerprint(pipeline, snapshots, parameters)
    folder = results.folder_of(catalogue.results, pipeline.name, key)
    return Job(pipeline, parameters, snapshots, datasets, key, folder)


def compute(job: Job, client: Client, on_progress: OnProgress | None = None) -> Outcome:
    """Return the result of *job*: the one that exists, or a new one computed by *client*.

    Parameters
    ----------
    job : Job
        As `prepare` made it.
    client : Client
        The Dask to compute on.
    on_progress : callable, optional
        Called with the stages while the graph runs.

    Raises
    ------
    QuetzalError
        If the store cannot take the result.
    PipelineError
        If the pipeline refuses its inputs.
    """
    started = time.perf_counter()
    if job.is_answered:
        return Outcome(job.folder, job.fingerprint, computed=False, seconds=0.0)
    name, version = job.pipeline.name, job.pipeline.code_version
    parameters = job.parameters.model_dump(mode="json")
    lineage = results.Lineage(name, version, job.fingerprint, job.snapshots, parameters)
    with _tolerate_the_same_result(job.folder), results.begin(job.folder) as store:
        output = _as_dataset(job.pipeline.run(job.datasets, job.parameters), name)
        output.attrs["input_ids"] = list(job.snapshots.values())
        tasks = _write(output, store, client, on_progress)
        seconds = time.perf_counter() - started
        results.commit(store, lineage, {"seconds": round(seconds, 3), "tasks": tasks})
    return Outcome(job.folder, job.fingerprint, computed=True, seconds=time.perf_counter() - started)


@contextmanager
def _tolerate_the_same_result(folder: Path) -> Iterator[None]:
    """Let a twin that committed the same fingerprint first win: its result is this one."""
    try:
        yield
    except ConflictError:
        if not (folder / MANIFEST).exists():
            raise


def _as_dataset(output: xr.Dataset | xr.DataArray, fallback: str) -> xr.Dataset:
    if isinstance(output, xr.Dataset):
        return output
    name = str(output.name or fallback.rpartition(".")[2])
    return output.to_dataset(name=name, promote_attrs=True)


def _write(output: xr.Dataset, store: Path, client: Client, on_progress: OnProgress | None) -> int:
    """Write chunk by chunk and return the number of tasks.

    Empty chunks are written too, so that the count of chunks on disk says whether all is there.
    """
    chunked = output.map(_chunked, keep_attrs=True)
    delayed = chunked.to_zarr(
        store, mode="w-", compute=False, zarr_format=3, consolidated=False, write_empty_chunks=True,
        encoding={str(name): _encoding(variable) for name, variable in chunked.data_vars.items()},
    )  # fmt: skip
    future = client.compute(delayed, optimize_graph=True)
    if on_progress is not None:
        watch(client, [future], on_progress)
    future.result()
    return len(delayed.dask)


def _chunked(variable: xr.DataArray) -> xr.DataArray:
    if variable.dims == GRID_DIMS:
        return variable.chunk(dict.fromkeys(GRID_DIMS, CHUNK))
    return variable.chunk() if not isinstance(variable.data, da.Array) else variable


def _encoding(variable: xr.DataArray) -> dict[str, Any]:
    if variable.ndim == 0:
        return {}
    return {"chunks": tuple(max(sizes) for sizes in variable.chunks or ()), "grid_mapping": "spatial_ref"}
