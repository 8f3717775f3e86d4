"""environment.yml and pyproject.toml name the same packages with the same lower bounds."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("lab", "service", "test")
# Names that differ: conda-forge's matplotlib without the suffix also brings a Qt.
NAME_ON_THE_INDEX = {"matplotlib-base": "matplotlib"}
CONDA_ONLY = {"pip"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def conda_lines():
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


@pytest.fixture(scope="module")
def conda(conda_lines):
    """Bounds by name, of conda's packages and of the pip section."""
    (pip_section,) = (line["pip"] for line in conda_lines if isinstance(line, dict))
    lines = [line for line in conda_lines if isinstance(line, str)]
    lines += [line for line in pip_section if not line.startswith("-")]
    found = (Requirement(line) for line in lines)
    bounds = {canonicalize_name(NAME_ON_THE_INDEX.get(r.name, r.name)): str(r.specifier) for r in found}
    return {name: bound for name, bound in bounds.items() if name not in CONDA_ONLY | {"python"}}


@pytest.fixture(scope="module")
def index(project):
    """Bounds by name, of the base and the extras."""
    lines = [
        *project["dependencies"],
        *(line for e in EXTRAS for line in project["optional-dependencies"][e]),
    ]
    bounds = {}
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            continue  # an extra that names another extra
        bounds[canonicalize_name(requirement.name)] = str(requirement.specifier)
        # conda has no extras: dask[distributed] is two packages there, released together.
        bounds |= {canonicalize_name(extra): str(requirement.specifier) for extra in requirement.extras}
    return bounds


def test_conda_and_pip_install_the_same_packages(conda, index):
    assert sorted(conda) == sorted(index)


def test_conda_and_pip_ask_for_the_same_lower_bounds(conda, index):
    assert conda == index


def test_conda_and_pip_ask_for_the_same_python(conda_lines, project):
    (python,) = (line for line in conda_lines if isinstance(line, str) and re.match(r"python\b", line))
    assert python == f"python{project['requires-python']}"


def test_the_conda_environment_installs_the_checkout_itself(conda_lines):
    assert any("--editable ." in line["pip"] for line in conda_lines if isinstance(line, dict))


def test_every_dependency_has_a_lower_bound_and_no_other(project):
    lines = [
        *project["dependencies"],
        *(x for lines in project["optional-dependencies"].values() for x in lines),
    ]
    for requirement in map(Requirement, lines):
        if requirement.name != project["name"]:
            operators = [specifier.operator for specifier in requirement.specifier]
            assert operators == [">="], f"{requirement}: caps keep users from fixes, and none was needed"


def imported_packages(folders):
    """Top-level names that the modules in *folders* import, wherever in the module."""
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).partition(".")[0])
    return names - set(sys.stdlib_module_names) - {path.name for path in ROOT.iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (("pipelines", "simulators", "quetzal"), ()),
        (("tests",), ("lab", "test", "peers")),
        (("notebooks", "dashboards"), ("lab",)),
    ],
)
def test_what_is_imported_is_asked_for(project, folders, extras):
    lines = [
        *project["dependencies"],
        *(line for e in extras for line in project["optional-dependencies"][e]),
    ]
    declared = {
        canonicalize_name(name)
        for line in lines
        for name in (Requirement(line).name, *Requirement(line).extras)
    }
    owners = packages_distributions()
    unasked = {
        name: owners.get(name, ["nothing installed"])
        for name in imported_packages(folders)
        if not declared & {canonicalize_name(owner) for owner in owners.get(name, [name])}
    }
    assert not unasked
