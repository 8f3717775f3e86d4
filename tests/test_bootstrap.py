"""The bootstrap sets up a bare clone, and says in words why where it cannot.

Most of it runs for real: a toy checkout that holds the bootstrap, a command line of five lines and
a build backend of its own, so that pip installs it without any package index.
"""

import ast
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quetzal import _environment, _installers, _needs, bootstrap

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("__init__.py", "__main__.py", "bootstrap.py", "_environment.py", "_installers.py", "_needs.py")

COMMAND_LINE = """
import json, sys
def main():
    print(json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix}))
    raise SystemExit(7 if "fail" in sys.argv else 0)
"""
# Builds editable wheels with the standard library. With TOY_PIPE it opens that pipe and waits,
# which tells the test that the installation is under way.
BACKEND = """
import os, tomllib, zipfile
from pathlib import Path
def build_editable(directory, config_settings=None, metadata_directory=None):
    if "TOY_PIPE" in os.environ:
        with open(os.environ["TOY_PIPE"], "w") as pipe, open(os.environ["TOY_PIPE"] + ".hold") as hold:
            pipe.write("begun"); pipe.flush(); hold.read()
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    info = f"{name}-1.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", "Version: 1"]
    lines += [f"Provides-Extra: {extra}" for extra in project.get("optional-dependencies", {})]
    lines += [f"Requires-Dist: {line}" for line in project.get("dependencies", [])]
    with zipfile.ZipFile(Path(directory) / f"{name}-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.pth", str(Path.cwd()))
        wheel.writestr(f"{info}/METADATA", "\\n".join(lines) + "\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{name}-1-py3-none-any.whl"
build_wheel = build_editable
"""


class Checkout:
    """A toy checkout and the ways a person uses it."""

    def __init__(self, folder: Path, name: str = "quetzal-toy") -> None:
        self.folder, self.name = folder, name
        (folder / "quetzal").mkdir(parents=True)
        for module in MODULES:
            shutil.copy(ROOT / "quetzal" / module, folder / "quetzal")
        (folder / "quetzal" / "cli.py").write_text(COMMAND_LINE)
        (folder / "backend.py").write_text(BACKEND)
        self.require()

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    @property
    def python(self) -> Path:
        return _environment.Environment(self.venv, self.folder).python

    def require(self, *dependencies: str) -> None:
        (self.folder / "pyproject.toml").write_text(
            f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            f'[project]\nname = "{self.name}"\nversion = "1"\ndependencies = {json.dumps(dependencies)}\n'
            f"[project.optional-dependencies]\ntest = []\npeers = []\n"
        )

    def start(self, *arguments: str, python: Path | str = sys.executable, **variables: str):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUETZAL", "PIP", "UV", "PYTHON"))}
        offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "QUETZAL_INSTALLER": "pip"}
        return subprocess.Popen(
            [str(python), "-m", "quetzal", *arguments],
            cwd=self.folder,
            env={**kept, **offline, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, python: Path | str = sys.executable, **variables: str):
        process = self.start(*arguments, python=python, **variables)
        output, said = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, output, said)


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "a clone")  # a space in the path is a trap of its own


@pytest.fixture
def under_way(checkout, tmp_path):
    """A set-up that was started and is installing right now."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    os.mkfifo(f"{pipe}.hold")
    process = checkout.start("demo", TOY_PIPE=str(pipe))
    with pipe.open() as signals, Path(f"{pipe}.hold").open("w"):
        assert signals.read(5) == "begun"
        yield process
    process.communicate(timeout=60)


posix_only = pytest.mark.skipif(os.name == "nt", reason="pipes and signals are POSIX's")


# -- before anything is set up ------------------------------------------------------------------


def test_until_the_environment_exists_only_the_standard_library_is_imported():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import quetzal.__main__, quetzal._environment, quetzal._installers, quetzal._needs\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(loaded - set(sys.stdlib_module_names) - {'quetzal', '__main__'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == []


@pytest.mark.parametrize("module", ["__init__.py", "__main__.py", "bootstrap.py"])
def test_an_old_python_can_read_far_enough_to_be_told_that_it_is_too_old(module):
    ast.parse((ROOT / "quetzal" / module).read_text(), feature_version=(3, 7))


def test_an_old_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert bootstrap.main(["demo"]) == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_before_the_set_up_names_both_commands_and_makes_nothing(checkout, arguments):
    answer = checkout.run(*arguments)
    assert answer.returncode == 0
    assert "python -m quetzal demo" in answer.stdout
    assert "python -m quetzal test" in answer.stdout
    assert not checkout.venv.exists()


# -- setting up ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_bare_clone_sets_itself_up_once_and_hands_the_command_over(checkout):
    first = checkout.run("demo", "survey file.csv")
    assert first.returncode == 0, first.stderr
    # The command's own output is alone on stdout, fit for a pipe.
    assert json.loads(first.stdout) == {
        "arguments": ["demo", "survey file.csv"],
        "prefix": str(checkout.venv),
    }
    assert "Ready in" in first.stderr

    second = checkout.run("demo", "fail")
    assert (second.returncode, second.stderr) == (7, "")
    # From inside the environment, and where the command needs more than was set up: the same.
    assert checkout.run("demo", python=checkout.python).stderr == ""


@pytest.mark.slow
def test_a_python_without_ensurepip_sets_up_all_the_same(checkout, tmp_path):
    broken = tmp_path / "broken"
    (broken / "ensurepip").mkdir(parents=True)
    (broken / "ensurepip" / "__init__.py").write_text("raise ImportError('packed apart')")
    answer = checkout.run("demo", PYTHONPATH=str(broken))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_an_environment_that_already_serves_is_used_and_left_alone(checkout, tmp_path):
    by_hand = tmp_path / "by hand"
    assert checkout.run("demo", QUETZAL_VENV=str(by_hand)).returncode == 0
    (by_hand / _environment.STATE).unlink()  # now it looks like one that a person made
    before = sorted(path.name for path in by_hand.iterdir())

    active = checkout.run("demo", python=_environment.Environment(by_hand, ROOT).python)
    assert json.loads(active.stdout)["prefix"] == str(by_hand)
    assert not checkout.venv.exists()

    named = checkout.run("demo", QUETZAL_VENV=str(by_hand))  # asked from outside it
    assert json.loads(named.stdout)["prefix"] == str(by_hand)
    assert sorted(path.name for path in by_hand.iterdir()) == before


@pytest.mark.slow
def test_a_changed_list_of_dependencies_is_installed_again(checkout, tmp_path):
    assert checkout.run("demo").returncode == 0
    other = Checkout(tmp_path / "other", name="quetzal-part")
    checkout.require(f"quetzal-part @ {other.folder.as_uri()}")
    again = checkout.run("demo")
    assert (again.returncode, "Ready in" in again.stderr) == (0, True), again.stderr
    installed = subprocess.run(
        [checkout.python, "-c", "from importlib.metadata import version; print(version('quetzal-part'))"],
        capture_output=True,
        text=True,
    )
    assert installed.stdout.strip() == "1"


@pytest.mark.slow
def test_two_set_ups_at_once_are_one(checkout):
    processes = [checkout.start("demo") for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum("Ready in" in text for text in said) == 1


# -- when it goes wrong -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_failed_installation_names_the_command_to_repeat_and_is_not_trusted(checkout):
    checkout.require("a-package-that-nobody-has")
    nowhere = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    answer = checkout.run("demo", **nowhere)
    assert answer.returncode == 1
    assert "a-package-that-nobody-has" in answer.stderr  # pip's own words
    command = answer.stderr.partition("The command was:")[2]
    assert "install" in command
    assert str(checkout.folder) in command
    assert "Traceback" not in answer.stderr

    checkout.require()
    assert checkout.run("demo").returncode == 0


@posix_only
@pytest.mark.slow
@pytest.mark.fault
def test_a_set_up_that_was_killed_is_thrown_away_and_done_again(checkout, under_way):
    os.killpg(under_way.pid, signal.SIGKILL)
    leftover = checkout.venv / "half-written"
    leftover.touch()
    answer = checkout.run("demo")
    assert answer.returncode == 0, answer.stderr
    assert "making the environment" in answer.stderr
    assert not leftover.exists()


@posix_only
@pytest.mark.slow
def test_control_c_stops_the_installer_and_says_how_to_go_on(under_way):
    os.killpg(under_way.pid, signal.SIGINT)
    _, said = under_way.communicate(timeout=60)
    assert under_way.returncode == 130
    assert "Interrupted" in said
    assert "Traceback" not in said


def test_a_folder_that_holds_something_else_is_never_emptied(checkout):
    checkout.venv.mkdir()
    precious = checkout.venv / "thesis.tex"
    precious.write_text("chapter one")
    answer = checkout.run("demo")
    assert answer.returncode == 1
    assert "in the way" in answer.stderr
    assert precious.read_text() == "chapter one"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.ENOSPC, "MB left"),
        (errno.ENOTDIR, "is no folder"),
    ],
)
def test_a_folder_that_cannot_take_it_gets_a_sentence(tmp_path, monkeypatch, number, words):
    environment = _environment.Environment(tmp_path / "venv", ROOT)

    def refuse(*_):
        raise OSError(number, os.strerror(number), str(environment.folder))

    monkeypatch.setattr(_environment, "_fill", refuse)
    with pytest.raises(_installers.SetupError, match=words) as caught:
        _environment.set_up(environment, needed=(), wanted=(), purpose="quetzal demo")
    assert "QUETZAL_VENV" in str(caught.value)


def test_a_path_through_a_file_gets_a_sentence(checkout):
    answer = checkout.run("demo", QUETZAL_VENV=str(checkout.folder / "pyproject.toml"))
    assert answer.returncode == 1
    assert "is no folder" in answer.stderr


def test_a_python_without_any_installer_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(_installers, "run", lambda *_: (1, "No module named pip"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(_installers.SetupError, match="apt-get install python3-pip"):
        _installers.install(tmp_path / "python", str(tmp_path))


def test_an_old_pip_outside_leaves_the_work_to_ensurepip(monkeypatch, tmp_path):
    commands = []

    def run(command, variables=None):
        commands.append(command)
        if command[1:] == ["-m", "pip", "--version"]:
            return (1, "") if command[0] == str(tmp_path) else (0, "pip 22.0.2 from /usr/lib")
        return 0, ""

    monkeypatch.setattr(_installers, "run", run)
    assert _installers._find_pip(tmp_path) == [str(tmp_path), "-m", "pip"]
    assert commands[-1] == [str(tmp_path), "-m", "ensurepip", "--default-pip"]


def test_uv_is_sent_to_the_indexes_that_pip_is_configured_for(monkeypatch):
    listed = (
        "global.index-url='https://example.org/simple'\n"
        "global.extra-index-url='https://a.example/simple https://b.example/simple'\n"
        ":env:.index-url='https://env.example/simple'\n"
        "global.timeout='60'\n"
    )
    for name in _installers.UV_VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_installers, "run", lambda *_: (0, listed))
    assert _installers._uv_settings(["pip"]) == {
        "UV_DEFAULT_INDEX": "https://env.example/simple",  # pip's variables go before its files
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


# -- what is needed -----------------------------------------------------------------------------


def test_requirements_unfold_the_extras_that_name_the_project_itself():
    project = {
        "name": "toy",
        "dependencies": ["dask[distributed,array]>=2026.3", "numpy>=2.0,<4", 'pywin32; os_name == "nt"'],
        "optional-dependencies": {"lab": ["panel>=1.7"], "test": ["toy[lab]", "pytest"]},
    }
    assert _needs.requirements(project, ("test",)) == [
        ("dask", ("distributed", "array"), (2026, 3)),
        ("numpy", (), (2,)),
        ("pytest", (), ()),
        ("panel", (), (1, 7)),
    ]


def test_what_is_absent_too_old_or_half_there_is_lacking(tmp_path):
    pyproject = tmp_path / "pyproject.toml"
    names = ["pytest>=7", "pytest>=999", "no-such-thing", "dask[distributed]", "dask[no-such-extra]"]
    pyproject.write_text(f'[project]\nname = "quetzalcore"\ndependencies = {names}\n')
    assert _needs.lacking(pyproject) == ["pytest", "no-such-thing"]


def test_this_environment_lacks_nothing_that_the_tests_need():
    assert _needs.lacking(ROOT / "pyproject.toml", ("test",)) == []


def test_the_fingerprint_follows_the_dependencies_and_not_the_linters(tmp_path):
    pyproject = tmp_path / "pyproject.toml"
    prints = []
    for dependency, length in [("numpy", 80), ("numpy", 110), ("scipy", 110)]:
        pyproject.write_text(
            f'[project]\nname = "toy"\ndependencies = ["{dependency}"]\n[tool.ruff]\nline-length = {length}\n'
        )
        prints.append(_needs.digest(pyproject))
    assert prints[0] == prints[1] != prints[2]
