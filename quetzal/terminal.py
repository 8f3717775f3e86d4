"""What the commands print: sentences, tables and one progress display, all by rich."""

import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from quetzal.errors import QuetzalError

if TYPE_CHECKING:
    from pipelines.formats.report import ImportReport
    from pipelines.registry import Pipeline
    from quetzal.catalogue.catalogue import Damaged, Entry
    from quetzal.jobs.progress import Stage
    from quetzal.jobs.runner import Outcome


class Terminal:
    """A console that commands speak through.

    Parameters
    ----------
    quiet : bool
        Print nothing but refusals: for ``--json``.
    stderr : bool
        Speak on the error stream.
    """

    def __init__(self, *, quiet: bool = False, stderr: bool = False) -> None:
        self.console = Console(quiet=quiet, stderr=stderr, highlight=False)

    def say(self, sentence: str) -> None:
        """Print one sentence."""
        self.console.print(escape(sentence), soft_wrap=True)

    def step(self, sentence: str) -> None:
        """Print the heading of a step."""
        self.console.print(f"[bold]{escape(sentence)}[/bold]", soft_wrap=True)

    def refusal(self, error: QuetzalError) -> None:
        """Print what is wrong and what to do."""
        self.console.print(f"[bold red]Refused:[/bold red] {escape(error.message)}", soft_wrap=True)
        if error.remedy:
            self.console.print(escape(error.remedy), soft_wrap=True)

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[str, int, int | None], None]]:
        """Show how many rows are read and written; yields the function that takes the counts."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed:,.0f} rows"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=None)

            def update(stage: str, done: int, total: int | None) -> None:
                progress.update(task, description=f"{what}, {stage}:", completed=done, total=total)

            yield update

    @contextmanager
    def stages(self) -> Iterator[Callable[[list["Stage"]], None]]:
        """Show one bar a stage of a running graph; yields the function that takes the stages."""
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            bars: dict[str, Any] = {}

            def update(stages: list["Stage"]) -> None:
                for stage in stages:
                    if stage.name not in bars:
                        bars[stage.name] = progress.add_task(stage.name, total=stage.total)
                    progress.update(bars[stage.name], completed=stage.done, total=stage.total)

            yield update

    def import_report(self, report: "ImportReport") -> None:
        """Print what an import read, kept and refused."""
        for line in report.render():
            self.say(line)
        self.say(f"The survey is in {report.folder} ({report.seconds:.1f} s)")

    def outcome(self, outcome: "Outcome") -> None:
        """Print where a result is."""
        how = "computed" if outcome.computed else "found: the same request was computed before"
        self.say(f"{how[0].upper()}{how[1:]} ({outcome.seconds:.1f} s). The result is in {outcome.folder}")

    def exported(self, files: list[Path]) -> None:
        """Print where exported files are: the file, or how many of them in which folder."""
        one = files[0] if len(files) == 1 else f"{len(files)} {files[0].suffix} files to {files[0].parent}"
        self.say(f"Wrote {one}")

    def catalogue(self, entries: list["Entry"], damaged: list["Damaged"]) -> None:
        """Print surveys and results as a table."""
        table = _table("kind", "name", "created", "what")
        for entry in entries:
            manifest = entry.manifest
            if entry.kind == "survey":
                points, lines = f"{manifest['points']:,} points", f"{manifest['lines']:,} lines"
                what = f"{points}, {lines}, {manifest['ties']:,} ties"
            else:
                grids = [a["shape"] for a in manifest["arrays"].values() if len(a["shape"]) == 2]
                what = f"{len(grids)} grids of {grids[0][0]} × {grids[0][1]} cells" if grids else "no grid"
            table.add_row(entry.kind, escape(entry.name), manifest["created"][:16], what)
        for bad in damaged:
            table.add_row(bad.kind, escape(bad.name), "damaged", escape(bad.problem.message))
        self.console.print(
            table if entries or damaged else "Nothing yet: `quetzal import FILE` brings a survey in."
        )

    def pipelines(self, known: Mapping[str, "Pipeline"]) -> None:
        """Print pipelines with inputs, what they do, and their parameters; optional ones in brackets."""
        for name, found in known.items():
            fields = found.parameters.model_fields
            shown = " ".join(field if info.is_required() else f"[{field}]" for field, info in fields.items())
            self.console.print(f"[bold]{name}[/bold] {' '.join(found.inputs).upper()}")
            self.console.print(f"    {escape(found.summary)}", soft_wrap=True)
            self.console.print(f"    [dim]{escape(shown)}[/dim]", soft_wrap=True)

    def page(self, page: Path, *, open_it: bool) -> None:
        """Say where a page is and open it in the user's browser."""
        self.say(f"The report is {page}")
        if open_it and self.console.is_terminal:
            webbrowser.open(page.resolve().as_uri())


def _table(*headings: str) -> Table:
    """Return a table that never cuts its names: they are what one types."""
    table = Table(box=None, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    return table
