"""The command ``quetzal``: one function a command, thin over the assembly."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from quetzal.errors import InputError, QuetzalError, translate
from quetzal.settings import CONFIGURATION_FILE, PREFIX, Settings, description_of

app = typer.Typer(
    name="quetzal",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Workspace = Annotated[
    Path | None, typer.Option("--workspace", "-w", help=description_of("workspace"), show_default=".")
]
Workers = Annotated[int | None, typer.Option(help=description_of("workers"))]
Threads = Annotated[int | None, typer.Option(help=description_of("threads"))]
Scheduler = Annotated[str | None, typer.Option(help=description_of("scheduler"))]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda wanted: _print_version(wanted),
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Magnetic and terrain computation for mineral exploration: from flight lines to maps."""


@app.command()
def demo(
    survey: Annotated[Path | None, typer.Argument(help="A survey file of your own.")] = None,
    name: Annotated[str | None, typer.Option(help="Name in the catalogue; by default the file's.")] = None,
    workspace: Workspace = None,
    crs: Annotated[str | None, typer.Option(help="CRS of your file's coordinates, as EPSG:code.")] = None,
    date: Annotated[str | None, typer.Option(help="Date of your survey, YYYY-MM-DD.")] = None,
    offline: Annotated[bool, typer.Option(help="Do not ask the internet for the real survey.")] = False,
    open_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the report at the end.")] = True,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Take a survey from flight lines to maps: yours, a real one, or a simulated one."""
    from quetzal.demo import run_demo
    from quetzal.terminal import Terminal

    with _in_words():
        run_demo(
            _settings(workspace=workspace, workers=workers, threads=threads),
            Terminal(),
            survey=survey,
            name=name,
            crs=crs,
            date=date,
            offline=offline,
            open_report=open_report,
        )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV (.gz, .xz, .bz2), Geosoft XYZ or netCDF.")],
    name: Annotated[str | None, typer.Option(help="Name in the catalogue; by default the file's.")] = None,
    workspace: Workspace = None,
    crs: Annotated[str | None, typer.Option(help="CRS of the file's coordinates, as EPSG:code.")] = None,
    target_crs: Annotated[
        str | None, typer.Option(help="CRS to project to; by default the file's own, or UTM when geographic.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="channel=column, repeatable: total_field_anomaly=TMI. The others are guessed."),
    ] = None,
    line_column: Annotated[str | None, typer.Option(help="Column that names the line.")] = None,
    tie_line: Annotated[list[str] | None, typer.Option(help="Name of a tie line, repeatable.")] = None,
    unit: Annotated[list[str] | None, typer.Option(help="channel=unit, repeatable: upward=ft.")] = None,
    null: Annotated[list[float] | None, typer.Option(help="A number that means no data, repeatable.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the survey, for maps and reports.")] = None,
    citation: Annotated[str | None, typer.Option(help="How the data ask to be cited.")] = None,
    date: Annotated[str | None, typer.Option(help="Date of the survey, YYYY-MM-DD.")] = None,
    max_refused: Annotated[
        float | None, typer.Option(min=0, max=1, help="Largest share of refused rows to accept.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring a survey file into the catalogue; every refused row is reported."""
    from quetzal.assembly import import_file
    from quetzal.terminal import Terminal

    options: dict[str, Any] = {
        "name": name,
        "crs": crs,
        "target_crs": target_crs,
        "columns": dict(_pair(text, "--column") for text in column or []),
        "line_column": line_column,
        "tie_lines": tie_line,
        "units": dict(_pair(text, "--unit") for text in unit or []),
        "nulls": null,
        "title": title,
        "citation": citation,
        "survey_date": date,
        "max_refused": max_refused,
    }
    with _in_words():
        terminal = Terminal(quiet=as_json)
        given = {k: v for k, v in options.items() if v not in (None, {}, [])}
        report = import_file(_settings(workspace=workspace), file, terminal, **given)
        if as_json:
            _print_json(report.to_dict())
        else:
            terminal.import_report(report)


@app.command()
def run(
    pipeline: Annotated[str, typer.Argument(help="Name of a pipeline, see `quetzal pipelines`.")],
    inputs: Annotated[
        list[str],
        typer.Argument(help="NAME or NAME:VARIABLE for each input, in order; see `quetzal list`."),
    ],
    workspace: Workspace = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="parameter=value, repeatable; values are JSON or text."),
    ] = None,
    workers: Workers = None,
    threads: Threads = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Run a pipeline on surveys or results; the same request is answered from the result that exists."""
    from quetzal.assembly import run_pipeline
    from quetzal.terminal import Terminal

    with _in_words():
        terminal = Terminal(quiet=as_json)
        settings = _settings(workspace=workspace, workers=workers, threads=threads, scheduler=scheduler)
        values = {k: _value(v) for k, v in (_pair(text, "--set") for text in parameter or [])}
        outcome = run_pipeline(settings, pipeline, inputs, values, terminal)
        if as_json:
            _print_json(
                {"folder": str(outcome.folder), "computed": outcome.computed, "seconds": outcome.seconds}
            )
        else:
            terminal.outcome(outcome)


@app.command()
def report(
    result: Annotated[str, typer.Argument(help="A result, see `quetzal list`.")],
    workspace: Workspace = None,
    open_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the page at the end.")] = True,
) -> None:
    """Draw a result: maps, spectrum and a one-page HTML report."""
    from quetzal.assembly import write_report
    from quetzal.terminal import Terminal

    with _in_words():
        terminal = Terminal()
        terminal.page(write_report(_settings(workspace=workspace), result), open_it=open_report)


@app.command()
def export(
    result: Annotated[str, typer.Argument(help="A result, see `quetzal list`.")],
    format: Annotated[str, typer.Option("--format", "-f", help="cog, netcdf or grd.")] = "cog",
    variable: Annotated[list[str] | None, typer.Option(help="Which grids; by default all.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to; by default below reports/.")] = None,
    workspace: Workspace = None,
) -> None:
    """Export a result's grids as GeoTIFF (COG), netCDF or Geosoft .grd."""
    from quetzal.assembly import export_result
    from quetzal.terminal import Terminal

    with _in_words():
        Terminal().exported(export_result(_settings(workspace=workspace), result, format, variable, folder))


@app.command("list")
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """List the surveys and results of the workspace."""
    from quetzal.catalogue.catalogue import Catalogue
    from quetzal.terminal import Terminal

    with _in_words():
        catalogue = Catalogue(_settings(workspace=workspace).workspace)
        entries, damaged = catalogue.entries(), catalogue.damaged()
        if as_json:
            rows = [(e.kind, e.name, e.folder, e.manifest) for e in entries]
            rows += [(d.kind, d.name, d.folder, {"problem": d.problem.to_dict()}) for d in damaged]
            _print_json([{"kind": k, "name": n, "folder": str(f), **more} for k, n, f, more in rows])
        else:
            Terminal().catalogue(entries, damaged)


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="A survey or result.")], workspace: Workspace = None
) -> None:
    """Compare every file of a survey or result with its manifest."""
    from quetzal.assembly import verify_dataset
    from quetzal.terminal import Terminal

    with _in_words():
        Terminal().say(verify_dataset(_settings(workspace=workspace), name))


@app.command()
def pipelines(as_json: Json = False) -> None:
    """List the pipelines with their inputs and parameters."""
    from pipelines.registry import all_pipelines
    from quetzal.terminal import Terminal

    with _in_words():
        known = all_pipelines()
        if as_json:
            _print_json(
                {
                    name: {
                        "summary": found.summary,
                        "version": found.code_version,
                        "inputs": list(found.inputs),
                        "parameters": found.parameters.model_json_schema(),
                    }
                    for name, found in known.items()
                }
            )
        else:
            Terminal().pipelines(known)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def test(context: typer.Context) -> None:
    """Run the tests; further arguments go to pytest."""
    from quetzal.selftest import run_tests

    raise typer.Exit(run_tests(context.args))


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="quetzal")


def _print_version(wanted: bool) -> None:
    if wanted:
        import quetzal

        typer.echo(f"quetzal {quetzal.__version__}")
        raise typer.Exit


def _settings(**flags: Any) -> Settings:
    """Gather settings from flags, environment and file; say in words what is wrong with them."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            raise InputError(
                f"{CONFIGURATION_FILE} has '{option}', which is no option.", f"The options are: {known}."
            ) from error
        message = first["msg"].removeprefix("Value error, ")
        ways = [f"{PREFIX}{option.upper()}", CONFIGURATION_FILE]
        flag = [f"--{option}"] if option in ("workspace", "workers", "threads", "scheduler") else []
        raise InputError(
            f"{option} = {first['input']!r}: {message[0].lower()}{message[1:]}.",
            f"{description_of(option)} It is set by {', '.join(flag + ways[:1])} or {ways[1]}.",
            code="invalid_parameter",
        ) from error
    except ValueError as error:  # tomllib's own, which names line and column
        raise InputError(f"{CONFIGURATION_FILE} is not TOML: {error}.", "Correct it.") from error


@contextmanager
def _in_words() -> Iterator[None]:
    """Show a refusal as a sentence and what to do, on stderr, with exit code 2; no traceback."""
    from pipelines.errors import PipelineError
    from quetzal.terminal import Terminal

    try:
        yield
    except (QuetzalError, PipelineError) as error:
        Terminal(stderr=True).refusal(translate(error) if isinstance(error, PipelineError) else error)
        raise typer.Exit(2) from None
    except OSError as error:  # what no room below has put into words
        place = f" ({error.filename})" if error.filename else ""
        said = QuetzalError(
            f"The system refused{place}: {error.strerror or error}.", "Mend that and try again."
        )
        Terminal(stderr=True).refusal(said)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        Terminal(stderr=True).say("Interrupted; nothing half-done is left.")
        raise typer.Exit(130) from None


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"'{text}' is not name=value", param_hint=option)
    return name, value


def _value(text: str) -> Any:
    """Read a parameter's value: JSON where it is JSON (numbers, lists, null), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")
