"""Rules of the house that no linter knows."""

import re
import subprocess
import sys
from inspect import getdoc
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("quetzal", "pipelines", "simulators", "dashboards")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# "About 300", documentation included: far past it a module has two subjects and wants to be two.
MOST_LINES = 400


def modules_loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


def test_importing_the_package_imports_nothing_from_outside_the_standard_library():
    # Counted in modules, not in seconds, which a busy machine would decide.
    before = modules_loaded_by("pass")
    loaded = modules_loaded_by("import quetzal") - before
    assert loaded - set(sys.stdlib_module_names) == {"quetzal"}


def test_the_command_line_starts_without_the_numerical_libraries():
    heavy = {"numpy", "pandas", "xarray", "dask", "distributed", "numba", "scipy", "zarr", "matplotlib"}
    assert modules_loaded_by("import quetzal.cli") & heavy == set()


def test_the_version_is_that_of_the_installed_distribution():
    import quetzal

    assert re.fullmatch(r"\d+\.\d+\.\d+.*", quetzal.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = quetzal.nonsense


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_keeps_to_one_subject(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{lines} lines: it has two subjects, split it"


def test_every_pipeline_documents_every_input_and_parameter():
    from pipelines.registry import all_pipelines

    undocumented = {}
    for name, found in all_pipelines().items():
        lines = re.findall(r"^(\w+(?:, \w+)*) :", getdoc(found.function) or "", flags=re.MULTILINE)
        documented = {part for line in lines for part in line.split(", ")}
        missing = {*found.inputs, *found.parameters.model_fields} - documented
        if missing:
            undocumented[name] = sorted(missing)
    assert not undocumented
