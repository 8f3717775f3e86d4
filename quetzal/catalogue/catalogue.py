"""The catalogue of a workspace: every survey and result in it, found by name."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from quetzal.catalogue import results, surveys
from quetzal.catalogue.manifest import MANIFEST, read_manifest
from quetzal.catalogue.storage import unreadable
from quetzal.errors import InputError, NotFoundError, QuetzalError, StorageError


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed dataset: its kind (survey or result), name, folder and manifest."""

    kind: str
    name: str
    folder: Path
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A dataset whose manifest cannot be read: what `Entry` says but the manifest, and what is wrong."""

    kind: str
    name: str
    folder: Path
    problem: QuetzalError


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """What a reference names: a dataset, or one variable of it, lazily indexed."""

    reference: str
    entry: Entry
    variable: str | None
    data: xr.Dataset | xr.DataArray

    @property
    def snapshot(self) -> str:
        """What a fingerprint knows it by: the dataset's id, and the variable if there is one."""
        return ":".join(part for part in (self.entry.manifest["id"], self.variable) if part)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Surveys and results below one folder.

    Attributes
    ----------
    root : Path
        The workspace; ``surveys/``, ``results/`` and ``reports/`` are below it.
    """

    root: Path

    @property
    def surveys(self) -> Path:
        """Folder of the imported surveys."""
        return self.root / "surveys"

    @property
    def results(self) -> Path:
        """Folder of the committed results."""
        return self.root / "results"

    @property
    def reports(self) -> Path:
        """Folder of what was drawn and exported from results; nothing in it is a source."""
        return self.root / "reports"

    def entries(self) -> list[Entry]:
        """Every sealed survey and result, oldest first; `damaged` has those that cannot be read.

        Raises
        ------
        StorageError
            If the workspace is no folder, or may not be read.
        """
        return self._read()[0]

    def damaged(self) -> list[Damaged]:
        """Every survey and result whose manifest cannot be read, by name; raises as `entries` does."""
        return self._read()[1]

    def find(self, name: str) -> Entry:
        """Find a survey or result by its name, an unambiguous beginning of it, or its folder.

        Raises
        ------
        NotFoundError
            If nothing matches; the message lists what there is.
        InputError
            If several match.
        StorageError
            If the one that matches is damaged, or the workspace cannot be read.
        """
        entries, damaged = self._read()
        known: list[Entry | Damaged] = [*entries, *damaged]
        exact = [e for e in known if e.name == name or e.folder.resolve() == Path(name).resolve()]
        matching = exact or [e for e in known if e.name.startswith(name)]
        if len(matching) > 1:
            raise InputError(
                f"'{name}' names several datasets: {', '.join(e.name for e in matching)}.",
                "Give the whole name.",
            )
        if not matching:
            there = (
                ", ".join(e.name for e in entries) or "nothing yet; `quetzal import FILE` brings a survey in"
            )
            raise NotFoundError(
                f"There is no survey or result '{name}' in {self.root}.", f"There is: {there}."
            )
        if isinstance(matching[0], Damaged):
            raise matching[0].problem
        return matching[0]

    def open_input(self, reference: str) -> tuple[str, xr.Dataset | xr.DataArray]:
        """Open what a job takes: ``NAME``, or ``NAME:VARIABLE`` for one variable of it.

        Returns
        -------
        tuple of str and Dataset or DataArray
            The snapshot id that a fingerprint holds, and the data, lazily indexed.
        """
        found = self.find_input(reference)
        return found.snapshot, found.data

    def find_input(self, reference: str) -> Input:
        """Find and open what a job takes, as `open_input` does, and say where it is from."""
        name, _, variable = reference.partition(":")
        entry = self.find(name)
        opened = surveys.open_survey if entry.kind == "survey" else results.open_result
        data = opened(entry.folder)
        if not variable:
            return Input(reference, entry, None, data)
        if variable not in data.data_vars:
            raise NotFoundError(
                f"{entry.name} has no variable '{variable}'.",
                f"It has: {', '.join(map(str, data.data_vars))}.",
            )
        return Input(reference, entry, variable, data[variable])

    def _read(self) -> tuple[list[Entry], list[Damaged]]:
        """Read every manifest: one that is damaged must not hide the others."""
        entries, damaged = [], []
        for kind, parent in ((surveys.KIND, self.surveys), (results.KIND, self.results)):
            for folder in _visible(parent):
                try:
                    if (folder / MANIFEST).exists():
                        manifest = read_manifest(folder, kind)
                        entries.append(Entry(kind, folder.name, folder, manifest))
                except PermissionError as error:
                    damaged.append(Damaged(kind, folder.name, folder, unreadable(error)))
                except NotFoundError:  # removed just now
                    continue
                except QuetzalError as problem:
                    damaged.append(Damaged(kind, folder.name, folder, problem))
        return sorted(entries, key=lambda e: (e.manifest["created"], e.name)), damaged


def _visible(parent: Path) -> list[Path]:
    """Folders in *parent* that are not hidden, by name; none if it is not there yet.

    A folder that cannot be read must not look like an empty one, as it does to a glob.
    """
    try:
        with os.scandir(parent) as there:
            return sorted(Path(entry.path) for entry in there if not entry.name.startswith("."))
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        way = next(path for path in [*reversed(parent.parents), parent] if path.is_file())
        raise StorageError(
            f"{way} is a file, not a folder.", "Choose a folder as the workspace.", code="storage_unusable"
        ) from error
    except OSError as error:
        raise unreadable(error) from error
