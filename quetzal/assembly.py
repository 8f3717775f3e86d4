"""Puts the parts together: settings, catalogue, Dask, report. Each function is one command's work."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import xarray as xr

from pipelines import registry
from pipelines.conventions import GRID_DIMS
from pipelines.formats.geosoft_grd import write_grd
from pipelines.formats.geotiff import write_cog
from pipelines.formats.netcdf_grid import write_netcdf
from pipelines.formats.report import ImportReport
from quetzal.catalogue import results
from quetzal.catalogue.catalogue import Catalogue, Entry
from quetzal.catalogue.manifest import verify
from quetzal.catalogue.storage import make_folder, reading_in_words, storage_in_words
from quetzal.catalogue.surveys import import_survey, open_survey
from quetzal.cluster.local import dask_client
from quetzal.errors import InputError, NotFoundError, StorageError
from quetzal.jobs.runner import Outcome, compute, prepare
from quetzal.report.build import build_report, draw_pictures
from quetzal.report.page import write_page
from quetzal.settings import Settings
from quetzal.terminal import Terminal

SUFFIXES = {"cog": ".tif", "netcdf": ".nc", "grd": ".grd"}


def import_file(settings: Settings, file: Path, terminal: Terminal, **options: Any) -> ImportReport:
    """Import a survey file into the catalogue; see `quetzal.catalogue.surveys.import_survey`."""
    catalogue = Catalogue(settings.workspace)
    with terminal.counting(file.name) as count:
        return import_survey(file, catalogue.surveys, progress=count, **options)


def run_pipeline(
    settings: Settings, name: str, references: Sequence[str], values: Mapping[str, Any], terminal: Terminal
) -> Outcome:
    """Run a pipeline by name on catalogue references, given in the order of its inputs."""
    pipeline = registry.get(name)
    parameters = pipeline.validate(**values)
    if len(references) != len(pipeline.inputs):
        wanted = ", ".join(pipeline.inputs)
        raise InputError(f"{name} takes {len(pipeline.inputs)} inputs ({wanted}); given: {len(references)}.")
    inputs = dict(zip(pipeline.inputs, references, strict=True))
    job = prepare(pipeline, inputs, parameters, Catalogue(settings.workspace))
    if job.is_answered:  # no need to start a cluster
        return Outcome(job.folder, job.fingerprint, computed=False, seconds=0.0)
    with dask_client(settings) as client, terminal.stages() as report:
        terminal.say(f"Dask's dashboard: {client.dashboard_link}")
        return compute(job, client, report)


def verify_dataset(settings: Settings, name: str) -> str:
    """Check a dataset against its manifest; returns the sentence that says it is whole."""
    entry = Catalogue(settings.workspace).find(name)
    found = verify(entry.folder)
    if not found.ok:
        parts = {"missing": found.missing, "changed": found.changed, "not in the manifest": found.unlisted}
        said = "; ".join(f"{what}: {', '.join(files)}" for what, files in parts.items() if files)
        raise StorageError(f"{entry.name} is damaged. {said}.", "Restore it from a copy, or make it again.")
    return f"{entry.name} is whole: {len(entry.manifest['files'])} files match their checksums."


def export_result(
    settings: Settings,
    name: str,
    format: str,
    variables: Sequence[str] | None = None,
    folder: Path | None = None,
) -> list[Path]:
    """Write a result's grids in an exchange format; returns the files.

    A file of its own for every grid, but for netCDF, which holds them all.
    """
    if format not in SUFFIXES:
        raise InputError(
            f"'{format}' is not a format to export to.", f"Choose one of: {', '.join(SUFFIXES)}."
        )
    catalogue = Catalogue(settings.workspace)
    entry = _result(catalogue, name)
    data = results.open_result(entry.folder)
    grids = _grids(data, variables, entry.name)
    target = folder or catalogue.reports / entry.name / "exports"
    make_folder(target)
    with storage_in_words(target), reading_in_words(entry.name, entry.folder):
        if format == "netcdf":
            return [write_netcdf(data if variables is None else data[grids], target / f"{entry.name}.nc")]
        write = write_cog if format == "cog" else write_grd
        return [write(data[grid], target / f"{grid}{SUFFIXES[format]}") for grid in grids]


def write_report(settings: Settings, name: str) -> Path:
    """Draw a result and write its one-page report; returns the page."""
    catalogue = Catalogue(settings.workspace)
    entry = _result(catalogue, name)
    data = results.open_result(entry.folder)
    source = _survey_of(catalogue, entry)
    survey = open_survey(source.folder) if source else None
    title = str(data.attrs.get("title") or entry.name)
    target = catalogue.reports / entry.name
    maps = target / "maps"
    make_folder(maps)
    with ExitStack() as read:
        read.enter_context(storage_in_words(target))
        for dataset in filter(None, (entry, source)):
            read.enter_context(reading_in_words(dataset.name, dataset.folder))
        pictures = draw_pictures(data, maps, title=title, survey=survey)
        exports = sorted(path for path in (target / "exports").glob("*") if not path.name.startswith("."))
        report = build_report(
            survey,
            data,
            title=title,
            pictures=pictures,
            quality={**_fit(data), **_timing(entry)},
            inputs=entry.manifest["inputs"],
            files={
                path.relative_to(target).as_posix(): f"{path.stat().st_size / 1e6:.2f} MB" for path in exports
            },
        )
        return write_page(target / "report.html", report)


def _fit(data: xr.Dataset) -> dict[str, str]:
    """Say how the gridder's fit went, where the result tells."""
    if "fit_misfit" not in data:
        return {}
    ended = "converged" if bool(data["fit_converged"]) else "stopped before it converged"
    units = data["fit_misfit"].attrs.get("units", "nT")
    return {
        "Misfit of the grid to the data (rms)": f"{float(data['fit_misfit']):.3g} {units}",
        "Iterations of the fit": f"{int(data['fit_iterations'])}, {ended}",
    }


def _result(catalogue: Catalogue, name: str) -> Entry:
    entry = catalogue.find(name)
    if entry.kind != "result":
        raise InputError(f"'{name}' is a survey.", "Run a pipeline on it and name the result.")
    return entry


def _grids(data: xr.Dataset, variables: Sequence[str] | None, name: str) -> list[str]:
    there = [str(key) for key, variable in data.data_vars.items() if variable.dims == GRID_DIMS]
    unknown = sorted(set(variables or ()) - set(there))
    if unknown or not there:
        raise NotFoundError(
            f"{name} has no grid {', '.join(unknown)}.".replace(" .", "."), f"It has: {', '.join(there)}."
        )
    return list(variables or there)


def _timing(entry: Entry) -> dict[str, str]:
    seconds = entry.manifest["figures"].get("seconds")
    return {} if seconds is None else {"Computed in": f"{seconds} s"}


def _survey_of(catalogue: Catalogue, entry: Entry) -> Entry | None:
    """Find the survey a result was made from, if it was made from one and it is still there."""
    identities = set(entry.manifest["inputs"].values())
    for found in catalogue.entries():
        if found.kind == "survey" and found.manifest["id"] in identities:
            return found
    return None
