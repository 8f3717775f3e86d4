"""Run one job: open the inputs, build the graph, compute it on Dask, commit the result."""

import time
import typing
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import xarray as xr
from distributed import Client

from pipelines.conventions import GRID_DIMS
from pipelines.registry import Parameters, Pipeline
from quetzal.catalogue import results
from quetzal.catalogue.catalogue import Catalogue, Input
from quetzal.catalogue.manifest import read_manifest
from quetzal.catalogue.storage import reading_in_words
from quetzal.errors import ConflictError, InputError, NotFoundError
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
    inputs : dict
        What each of the pipeline's inputs is, opened and lazily indexed.
    fingerprint : str
        What the request is known by.
    folder : Path
        Where its result is, or will be.
    """

    pipeline: Pipeline
    parameters: Parameters
    inputs: dict[str, Input]
    fingerprint: str
    folder: Path

    @property
    def is_answered(self) -> bool:
        """Whether the result exists; raises StorageError if it does and is damaged."""
        try:
            read_manifest(self.folder, results.KIND)
        except NotFoundError:
            return False
        return True

    @property
    def snapshots(self) -> dict[str, str]:
        """Snapshot id of each input."""
        return {name: found.snapshot for name, found in self.inputs.items()}

    @property
    def datasets(self) -> dict[str, xr.Dataset | xr.DataArray]:
        """The data of each input."""
        return {name: found.data for name, found in self.inputs.items()}


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
        If an input is missing, unknown or damaged, or is a dataset where one variable is wanted, or the
        other way round.
    """
    if set(inputs) != set(pipeline.inputs):
        wanted, given = ", ".join(pipeline.inputs), ", ".join(inputs) or "none"
        raise InputError(f"{pipeline.name} takes the inputs {wanted}; given: {given}.", "Name each once.")
    found = {name: catalogue.find_input(inputs[name]) for name in pipeline.inputs}
    wanted_types = typing.get_type_hints(pipeline.function)
    for name, opened in found.items():
        _refuse_another_type(pipeline.name, opened, wanted_types.get(name))
    key = fingerprint(pipeline, {name: opened.snapshot for name, opened in found.items()}, parameters)
    folder = results.folder_of(catalogue.results, pipeline.name, key)
    return Job(pipeline, parameters, found, key, folder)


def compute(job: Job, client: Client, on_progress: OnProgress | None = None) -> Outcome:
    """Return the result of *job*: the one that exists, or a new one computed by *client*.

    While another process or thread computes the same, this one waits and returns that result.

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
        If the store cannot take the result, or an input is damaged.
    PipelineError
        If the pipeline refuses its inputs.
    """
    started = time.perf_counter()
    computed = False
    if not job.is_answered:
        with results.claim(job.folder):
            computed = not job.is_answered and _compute(job, client, on_progress)
    return Outcome(job.folder, job.fingerprint, computed, seconds=time.perf_counter() - started)


def _compute(job: Job, client: Client, on_progress: OnProgress | None) -> bool:
    """Compute and commit; False if a twin committed first, as where the file system knows no locks."""
    started = time.perf_counter()
    name, version = job.pipeline.name, job.pipeline.code_version
    parameters = job.parameters.model_dump(mode="json")
    lineage = results.Lineage(name, version, job.fingerprint, job.snapshots, parameters)
    try:
        with results.begin(job.folder) as store:
            # Inside, so that an input that may not be read is not taken for a result that may not be written.
            with _reading_in_words(job):
                output = _as_dataset(job.pipeline.run(job.datasets, job.parameters), name)
                output.attrs["input_ids"] = list(job.snapshots.values())
                tasks = _write(output, store, client, on_progress)
            seconds = time.perf_counter() - started
            results.commit(store, lineage, {"seconds": round(seconds, 3), "tasks": tasks})
    except ConflictError:
        if job.is_answered:
            return False
        raise
    return True


@contextmanager
def _reading_in_words(job: Job) -> Iterator[None]:
    """Name the input whose damage made the computing fail."""
    with ExitStack() as stack:
        for entry in {found.entry.folder: found.entry for found in job.inputs.values()}.values():
            stack.enter_context(reading_in_words(entry.name, entry.folder))
        yield


def _refuse_another_type(pipeline: str, given: Input, wanted: Any) -> None:
    """Tell a dataset from one of its variables before anything is computed from the wrong one."""
    if wanted is xr.DataArray and isinstance(given.data, xr.Dataset):
        grids = [str(name) for name, variable in given.data.data_vars.items() if variable.dims == GRID_DIMS]
        example = "reduced_to_pole" if "reduced_to_pole" in grids else "".join(grids[:1])
        raise InputError(
            f"{pipeline} takes one grid; '{given.reference}' is a "
            f"{'survey' if given.entry.kind == 'survey' else 'dataset'}.",
            f"Name one variable: {given.entry.name}:{example}; it has: {', '.join(grids)}."
            if grids
            else "It has no grid; run `mag.grid` or `mag.process` on a survey and name a variable of that.",
        )
    if wanted is xr.Dataset and isinstance(given.data, xr.DataArray):
        raise InputError(
            f"{pipeline} takes a dataset; '{given.reference}' is one variable of it.",
            f"Name it whole: {given.entry.name}.",
        )


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
