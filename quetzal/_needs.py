"""What the project requires, and what an interpreter lacks of it; standard library only.

Also a program: ``python _needs.py pyproject.toml EXTRA …`` prints what *that* interpreter lacks as
a JSON list, which is how the bootstrap asks an environment that it does not run in.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple


class Requirement(NamedTuple):
    """One requirement of pyproject.toml: the parts that can be checked without a resolver."""

    name: str
    extras: tuple[str, ...]
    minimum: tuple[int, ...]


def lacking(pyproject: Path, extras: tuple[str, ...] = ()) -> list[str]:
    """Names of required distributions that this interpreter has not, or has too old.

    Parameters
    ----------
    pyproject : Path
        The project's file.
    extras : tuple of str
        Optional dependencies that are needed besides the base.
    """
    project = _project(pyproject)
    missing = [] if _installed(project["name"]) else [project["name"]]
    for requirement in requirements(project, extras):
        found = _installed(requirement.name)
        if found is None or _release(found.version) < requirement.minimum:
            missing.append(requirement.name)
            continue
        for extra in requirement.extras:
            asked = (found.metadata.get_all("Requires-Dist") or []) if found.metadata else []
            wanted = (line.partition(";") for line in asked)
            parts = [parse(line).name for line, _, marker in wanted if _is_extra(marker, extra)]
            missing += [part for part in parts if not _installed(part)]
    return missing


def requirements(project: dict[str, Any], extras: tuple[str, ...] = ()) -> list[Requirement]:
    """Every requirement of a ``[project]`` table, its references to itself unfolded."""
    lines = list(project.get("dependencies", []))
    optional = project.get("optional-dependencies", {})
    waiting, seen = list(extras), set()
    while waiting:
        extra = waiting.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for line in optional[extra]:
            if parse(line).name == project["name"]:
                waiting += parse(line).extras
            else:
                lines.append(line)
    # A line with an environment marker may not hold here, and only a resolver could tell.
    return [parse(line) for line in lines if ";" not in line]


def parse(line: str) -> Requirement:
    """Read a requirement such as ``dask[distributed]>=2026.3``; of its bounds only the lower one."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?", line)
    if match is None:
        raise ValueError(f"not a requirement: {line!r}")
    extras = tuple(part.strip() for part in (match[2] or "").split(",") if part.strip())
    bound = re.search(r">=\s*([^\s,;)]+)", line)
    return Requirement(match[1], extras, _release(bound[1]) if bound else ())


def digest(pyproject: Path) -> str:
    """Fingerprint of what an installation depends on: the project's tables and its folder.

    The folder counts, since an editable installation points at it; the settings of linters do not.
    """
    import tomllib

    tables = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    text = json.dumps([tables.get("project"), tables.get("build-system"), str(pyproject.resolve())])
    return hashlib.sha256(text.encode()).hexdigest()


def _project(pyproject: Path) -> dict[str, Any]:
    import tomllib  # from Python 3.11 on; an older interpreter is told so before it comes here

    table: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return table


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """Leading numbers of a version, trailing zeros dropped: enough to compare with a lower bound."""
    match = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in match[1].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _is_extra(marker: str, extra: str) -> bool:
    return re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", marker) is not None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(lacking(Path(sys.argv[1]), tuple(sys.argv[2:]))))
