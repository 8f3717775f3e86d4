"""`quetzal test` runs the checkout's tests, and says what it lacks to run them all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from quetzal import selftest


@pytest.fixture
def commands(monkeypatch):
    """What would have been run; every one of them ends with status 3."""
    started = []

    class Process:
        def __init__(self, command, **options):
            started.append(command)

        def wait(self):
            return 3

    monkeypatch.setattr(subprocess, "Popen", Process)
    return started


def test_further_arguments_and_the_exit_status_are_those_of_pytest(commands):
    assert selftest.run_tests(["-k", "igrf"]) == 3
    (command,) = commands
    assert command[1:3] == ["-m", "pytest"]
    assert command[-2:] == ["-k", "igrf"]


def test_an_installed_package_without_tests_says_where_they_are(monkeypatch, tmp_path, commands, capsys):
    monkeypatch.setattr(selftest, "ROOT", tmp_path)
    assert selftest.run_tests() == 1
    assert "Clone the repository" in capsys.readouterr().err
    assert commands == []


def test_an_environment_without_pytest_says_how_to_get_it(monkeypatch, commands, capsys):
    monkeypatch.setattr(selftest, "find_spec", lambda _: None)
    assert selftest.run_tests() == 1
    assert "python -m quetzal test" in capsys.readouterr().err
    assert commands == []


@pytest.mark.parametrize("own", [["-n", "4"], ["-n4"], ["--pdb"], ["-p", "no:xdist"], ["--collect-only"]])
def test_a_user_who_steers_the_processes_or_debugs_is_left_alone(own):
    assert selftest._in_parallel(own) == []


def test_a_missing_browser_is_announced_before_the_tests_run(monkeypatch, tmp_path, commands, capsys):
    for name in (selftest.BROWSER_VARIABLE, "PLAYWRIGHT_BROWSERS_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(selftest, "BROWSER_PLACES", ())
    assert selftest.find_browser() is None
    selftest.run_tests()
    assert "apt-get install chromium" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps downloads under another variable")
def test_a_browser_is_found_by_name_and_in_playwrights_download(monkeypatch, tmp_path):
    monkeypatch.setenv(selftest.BROWSER_VARIABLE, "/opt/my/chrome")
    assert selftest.find_browser() == Path("/opt/my/chrome")
    monkeypatch.delenv(selftest.BROWSER_VARIABLE)

    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(selftest, "BROWSER_PLACES", ())
    program = tmp_path / "chromium-1200" / "chrome-linux" / "chrome"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert selftest.find_browser() == program
