"""`quetzal demo`: one survey end to end, from flight lines to a report that can be sent."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pipelines.conventions import parse_crs
from quetzal import assembly, samples
from quetzal.catalogue.catalogue import Catalogue, Entry
from quetzal.catalogue.manifest import digest
from quetzal.errors import ConflictError, InputError, NotFoundError
from quetzal.samples import Sample
from quetzal.settings import Settings
from quetzal.terminal import Terminal

PIPELINE = "mag.process"
EXPORTS = ("cog", "netcdf", "grd")


def run_demo(
    settings: Settings,
    terminal: Terminal,
    *,
    survey: Path | None,
    name: str | None = None,
    crs: str | None,
    date: str | None,
    offline: bool,
    open_report: bool,
) -> Path:
    """Import, process, draw, export; returns the report's path.

    Parameters
    ----------
    settings : Settings
        Workspace and cluster.
    terminal : Terminal
        What the user watches.
    survey : Path, optional
        The user's own file; otherwise the real Osborne survey, otherwise a simulated one.
    name : str, optional
        What to call it in the catalogue; by default as the file.
    crs, date : str, optional
        What the user's file does not say.
    offline : bool
        Do not ask the internet.
    open_report : bool
        Open the page in the user's browser at the end.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="quetzal-") as scratch:
        sample = choose(survey, crs, date, offline=offline, scratch=Path(scratch), terminal=terminal)
        terminal.step(sample.why)
        name = _import_once(settings, replace(sample, name=name or sample.name), terminal)
    terminal.step("Grid, reduce to the pole, derive")
    outcome = assembly.run_pipeline(settings, PIPELINE, [name], {}, terminal)
    terminal.outcome(outcome)
    terminal.step("Export and draw")
    for format in EXPORTS:
        terminal.exported(assembly.export_result(settings, outcome.folder.name, format))
    page = assembly.write_report(settings, outcome.folder.name)
    terminal.say(f"From flight lines to the report in {time.perf_counter() - started:.0f} s.")
    terminal.page(page, open_it=open_report)
    return page


def choose(
    survey: Path | None,
    crs: str | None,
    date: str | None,
    *,
    offline: bool,
    scratch: Path,
    terminal: Terminal,
) -> Sample:
    """Choose the survey: the user's own, else the real one, else a simulated one."""
    if survey is not None:
        if not survey.exists():
            raise NotFoundError(f"There is no file {survey}.", "Check the path.")
        options = {"crs": crs, "survey_date": date}
        given: dict[str, object] = {k: v for k, v in options.items() if v is not None}
        return Sample(survey, survey.name.partition(".")[0], f"Your survey {survey}", given)
    if crs or date:
        raise InputError("--crs and --date describe a survey of your own.", "Name its file too.")
    if not offline:
        fetched, reason = samples.fetch_osborne(terminal.say)
        if fetched is not None:
            return samples.osborne(fetched, "The real Osborne survey (Queensland, flown in 1990)")
    else:
        reason = "you asked not to use the internet"
    terminal.say(f"Simulating a survey, since {reason}")
    return samples.simulated(scratch, "A simulated survey: seeded geology with known bodies")


def _import_once(settings: Settings, sample: Sample, terminal: Terminal) -> str:
    """Import the sample, unless the catalogue has this very file, imported alike, under that name."""
    there = [
        e for e in Catalogue(settings.workspace).entries() if (e.kind, e.name) == ("survey", sample.name)
    ]
    if there and _is_the_same(there[0], sample):
        terminal.say(f"Imported before: {there[0].folder}")
    elif there:
        raise ConflictError(
            f"There is a survey '{sample.name}' already, from another file or with another date or CRS.",
            "Give this one a --name of its own, or use another --workspace.",
        )
    else:
        report = assembly.import_file(settings, sample.file, terminal, name=sample.name, **sample.options)
        terminal.import_report(report)
    return sample.name


def _is_the_same(entry: Entry, sample: Sample) -> bool:
    """Whether a survey came from this file with these options."""
    manifest, options = entry.manifest, sample.options
    if manifest["source"]["sha256"] != digest(sample.file):
        return False
    was = {
        "survey_date": manifest["survey_date"],
        "crs": manifest["report"]["crs_source"],
        "target_crs": manifest["report"]["crs"],
    }
    return all(
        options.get(name) is None
        or (parse_crs(options[name]).name if "crs" in name else options[name]) == told
        for name, told in was.items()
    )
