"""The command line: every command once, and what it answers to nonsense."""

import json
import os
import subprocess
import sys

import pytest
import xarray as xr
from typer.testing import CliRunner

from quetzal.cli import app

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def survey_file(tmp_path_factory):
    """Write a small simulated survey as CSV: 4 by 3 km, lines 200 m apart."""
    from simulators.files import write_csv
    from simulators.scene import scene
    from simulators.survey import fly

    file = tmp_path_factory.mktemp("file") / "north-block.csv"
    survey = fly(scene(extent=(450_000.0, 7_550_000.0, 454_000.0, 7_553_000.0)), sample_interval=0.2)
    write_csv(survey, file)
    return file


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, survey_file):
    """Return a workspace in which the survey was imported and processed."""
    folder = tmp_path_factory.mktemp("workspace")
    done = RUNNER.invoke(app, ["import", str(survey_file), "-w", str(folder), "--crs", "EPSG:32754"])
    assert done.exit_code == 0, done.output
    done = RUNNER.invoke(app, ["run", "mag.process", "north-block", "-w", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    return folder


def ask(*arguments):
    done = RUNNER.invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments):
    done = RUNNER.invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def test_the_import_report_tells_what_was_read_and_guessed(survey_file, tmp_path):
    said = ask("import", survey_file, "-w", tmp_path, "--crs", "EPSG:32754", "--name", "again")
    assert "points of" in said
    assert "total_field_anomaly = 'total_field_anomaly'" in said
    assert "sampling" in said


def test_the_import_report_as_json_is_json(survey_file, tmp_path):
    report = json.loads(ask("import", survey_file, "-w", tmp_path, "--crs", "EPSG:32754", "--json"))
    assert report["rows_read"] == report["rows_kept"] > 1000


def test_the_same_request_is_answered_from_the_result_that_exists(workspace):
    answer = json.loads(ask("run", "mag.process", "north-block", "-w", workspace, "--json"))
    assert answer["computed"] is False


def test_a_result_carries_its_choices_and_every_map(workspace):
    from quetzal.catalogue.catalogue import Catalogue

    _, result = Catalogue(workspace).open_input("mag.process")
    assert isinstance(result, xr.Dataset)
    assert {"total_field_anomaly", "reduced_to_pole", "tilt_angle", "line_distance"} <= set(result.data_vars)
    choices = {c["parameter"]: c for c in json.loads(result.attrs["choices"])}
    assert choices["cell_size"]["value"] == 50.0
    assert {"depth", "damping", "inclination", "declination", "max_distance"} <= set(choices)
    assert result.rio.crs.to_epsg() == 32754


def test_a_single_step_runs_on_one_variable_of_a_result(workspace):
    said = ask(
        "run",
        "mag.upward_continuation",
        "mag.process:total_field_anomaly",
        "-s",
        "height=200",
        "-w",
        workspace,
    )
    assert "The result is in" in said


def test_the_list_names_surveys_and_results(workspace):
    listed = json.loads(ask("list", "-w", workspace, "--json"))
    assert {"north-block"} <= {e["name"] for e in listed}
    assert "north-block" in ask("list", "-w", workspace)
    assert "Nothing yet" in ask("list", "-w", workspace / "empty")


@pytest.mark.parametrize(("format", "suffix"), [("cog", ".tif"), ("netcdf", ".nc"), ("grd", ".grd")])
def test_grids_are_exported_in_every_format(workspace, format, suffix, tmp_path):
    ask(
        "export",
        "mag.process",
        "-f",
        format,
        "--variable",
        "tilt_angle",
        "-w",
        workspace,
        "--folder",
        tmp_path,
    )
    assert [p.suffix for p in tmp_path.iterdir() if p.suffix != ".xml"] == [suffix]


def test_the_report_is_one_page_with_the_maps(workspace):
    said = ask("report", "mag.process", "-w", workspace, "--no-open")
    (page,) = workspace.glob("reports/mag.process-*/report.html")
    assert str(page) in said.replace("\n", "")
    assert page.read_text().count("data:image/") >= 8


def test_verify_tells_a_whole_dataset_from_a_damaged_one(survey_file, tmp_path):
    ask("import", survey_file, "-w", tmp_path, "--crs", "EPSG:32754")
    assert "is whole" in ask("verify", "north-block", "-w", tmp_path)
    chunk = next(p for p in (tmp_path / "surveys/north-block/data.zarr/total_field_anomaly/c").iterdir())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert "changed: data.zarr/total_field_anomaly/c/" in refused("verify", "north-block", "-w", tmp_path)


def test_pipelines_are_listed_with_the_schema_of_their_parameters():
    known = json.loads(ask("pipelines", "--json"))
    assert known["mag.reduce_to_pole"]["parameters"]["properties"]["inclination"]["maximum"] == 90
    assert "mag.process" in ask("pipelines")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "none.csv"], "does not exist"),
        (["run", "mag.process", "nowhere"], "no survey or result 'nowhere'"),
        (["run", "mag.proces", "north-block"], "is not registered; known are"),
        (["run", "mag.process", "north-block", "-s", "cell_size=-5"], "cell_size = -5"),
        (["run", "mag.process", "north-block", "-s", "cellsize=5"], "is not a parameter of mag.process"),
        (["run", "mag.process", "north-block", "more"], "takes 1 inputs (survey); given: 2"),
        (["run", "mag.process", "north-block", "-s", "inclination=0"], "declination"),
        (["run", "mag.tilt_angle", "north-block"], "grid"),
        (["export", "north-block"], "is a survey"),
        (["export", "mag.process", "-f", "gif"], "is not a format"),
        (["report", "nothing"], "no survey or result"),
    ],
)
def test_nonsense_is_answered_with_what_is_wrong(workspace, arguments, said):
    assert said in refused(*arguments, "-w", workspace)


def test_an_option_that_is_wrong_is_named_with_the_ways_to_set_it(monkeypatch):
    monkeypatch.setenv("QUETZAL_WORKERS", "many")
    assert "QUETZAL_WORKERS" in refused("list")


def test_a_configuration_file_that_is_wrong_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quetzal.toml").write_text("workers = = 3\n")
    assert "quetzal.toml is not TOML" in refused("list")
    (tmp_path / "quetzal.toml").write_text("worker = 3\n")
    assert "'worker', which is no option. The options are: workspace, workers" in refused("list")


def test_names_to_type_are_never_cut(workspace):
    listed = ask("list", "-w", workspace)
    assert all(name in listed for name in (p.name for p in (workspace / "results").iterdir()))
    assert "mag.total_horizontal_derivative" in ask("pipelines")


def test_the_module_and_the_script_are_the_same_command(tmp_path):
    environment = {**os.environ, "QUETZAL_NO_BOOTSTRAP": "1"}
    command = [sys.executable, "-m", "quetzal", "list", "-w", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, "Nothing yet" in done.stdout) == (0, True), done.stderr
