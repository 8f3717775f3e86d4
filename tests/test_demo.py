"""The demo end to end, as a user runs it: on the real survey, and simulated."""

import os
import subprocess
import sys

import numpy as np
import pytest

from quetzal.catalogue.catalogue import Catalogue
from quetzal.demo import run_demo
from quetzal.settings import Settings
from quetzal.terminal import Terminal


@pytest.fixture
def osborne_file(survey_data):
    return survey_data / "osborne-magnetic" / "dev_osborne_only.csv.xz"


@pytest.mark.slow
def test_the_real_survey_becomes_a_report(osborne_file, tmp_path):
    command = [
        sys.executable,
        "-m",
        "quetzal",
        "demo",
        str(osborne_file),
        "--date",
        "1990-07-01",
        "--no-open",
    ]
    environment = {**os.environ, "QUETZAL_NO_BOOTSTRAP": "1"}
    done = subprocess.run(
        [*command, "-w", str(tmp_path)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "732,493 points of 732,493 rows" in done.stdout
    assert "From flight lines to the report" in done.stdout
    _, result = Catalogue(tmp_path).open_input("mag.process")
    # The survey is L-shaped: its missing quarter is masked, and what was flown is not.
    tmi = result["total_field_anomaly"].load()
    assert np.isnan(tmi.sel(easting=475_000, northing=7_585_000, method="nearest"))
    assert 0.6 < float(tmi.notnull().mean()) < 0.85
    # The survey's own figures: levelled data between about -1,000 and 3,000 nT, mean near 100 nT.
    assert 200 < float(tmi.std()) < 500
    (folder,) = (tmp_path / "reports").iterdir()
    names = {p.name for p in (folder / "exports").iterdir()}
    assert {"total_field_anomaly.tif", "reduced_to_pole.grd", f"{folder.name}.nc"} <= names


@pytest.mark.slow
def test_without_internet_a_simulated_survey_goes_the_same_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"survey": None, "crs": None, "date": None, "offline": True, "open_report": False}
    page = run_demo(Settings(), Terminal(quiet=True), **options)
    assert page.exists()
    again = run_demo(Settings(), Terminal(quiet=True), **options)
    assert again == page
    assert len(Catalogue(tmp_path).entries()) == 2, "the second demo found the survey and the result"
