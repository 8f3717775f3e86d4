"""``python -m simulators survey OUT.csv --seed 12``: write a simulated survey for `quetzal import`."""

# A command line prints.
# ruff: noqa: T201

import argparse
import sys
from pathlib import Path

from pipelines.errors import PipelineError
from simulators.base_station import base_station
from simulators.files import WRITERS, write_csv, write_xyz
from simulators.instruments import Errors
from simulators.scene import CRS, DATE, EXTENT, scene
from simulators.survey import fly


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    if not out.name.endswith(WRITERS):
        print(f"{out}: the name must end in {', '.join(WRITERS)}", file=sys.stderr)
        return 2
    for path in filter(None, (out, options.base, options.scene)):
        if not path.parent.is_dir():
            print(f"cannot write {path}: the folder {path.parent} does not exist", file=sys.stderr)
            return 1
    try:
        drawn = scene(options.seed, extent=tuple(options.extent), crs=options.crs)
        survey = fly(
            drawn,
            line_spacing=options.line_spacing,
            tie_spacing=options.tie_spacing,
            line_azimuth=options.line_azimuth,
            clearance=options.clearance,
            date=options.date,
            errors=Errors(noise=options.noise),
        )
        (write_xyz if out.suffix == ".xyz" else write_csv)(survey, out)
        if options.base:
            readings = base_station(survey).to_dataframe().round(3)
            readings.to_csv(options.base, date_format="%Y-%m-%dT%H:%M:%SZ")
        if options.scene:
            options.scene.write_text(drawn.to_json() + "\n", encoding="utf-8")
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot write {error.filename or out}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(
        f"{out}: {survey.sizes['point']:,} points on {survey.sizes['line']} lines, "
        f"{options.crs}, flown from {survey.attrs['survey_date']}, seed {options.seed}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    survey = commands.add_parser(
        "survey",
        help="fly a survey over an invented geology and write its points",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    survey.add_argument("out", type=Path, help=f"file to write: {', '.join(WRITERS)}")
    survey.add_argument("--seed", type=int, default=12, help="the same seed gives the same file")
    survey.add_argument(
        "--extent",
        type=float,
        nargs=4,
        default=EXTENT,
        metavar=("WEST", "SOUTH", "EAST", "NORTH"),
        help="metres",
    )
    survey.add_argument("--crs", default=CRS, help="projected coordinate reference system")
    survey.add_argument("--line-spacing", type=float, default=200.0, help="metres")
    survey.add_argument("--tie-spacing", type=float, default=2000.0, help="metres")
    survey.add_argument("--line-azimuth", type=float, default=90.0, help="degrees clockwise from grid north")
    survey.add_argument("--clearance", type=float, default=80.0, help="metres above ground")
    survey.add_argument("--noise", type=float, default=0.05, help="nT")
    survey.add_argument("--date", default=DATE, help="day of the first flight")
    survey.add_argument("--base", type=Path, help="write the base station's readings to this CSV too")
    survey.add_argument(
        "--scene", type=Path, help="write the scene, with every body's true depth, to this JSON"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
