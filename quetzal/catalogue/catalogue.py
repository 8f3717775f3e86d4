"""The catalogue of a workspace: every survey and result in it, found by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from quetzal.catalogue import results, surveys
from quetzal.catalogue.sealed import MANIFEST, read_manifest
from quetzal.errors import InputError, NotFoundError


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed dataset: its kind (survey or result), name, folder and manifest."""

    kind: str
    name: str
    folder: Path
    manifest: dict[str, Any]


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
        """Every sealed survey and result, oldest first."""
        found = []
        for kind, parent in (("survey", self.surveys), ("result", self.results)):
            for manifest in parent.glob(f"[!.]*/{MANIFEST}"):
                content = read_manifest(manifest.parent)
                found.append(Entry(kind, manifest.parent.name, manifest.parent, content))
        return sorted(found, key=lambda entry: (entry.manifest["created"], entry.name))

    def find(self, name: str) -> Entry:
        """Find a survey or result by its name, an unambiguous beginning of it, or its folder.

        Raises
        ------
        NotFoundError
            If nothing matches; the message lists what there is.
        InputError
            If several match.
        """
        entries = self.entries()
        exact = [e for e in entries if e.name == name or e.folder.resolve() == Path(name).resolve()]
        matching = exact or [e for e in entries if e.name.startswith(name)]
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
        return matching[0]

    def open_input(self, reference: str) -> tuple[str, xr.Dataset | xr.DataArray]:
        """Open what a job takes: ``NAME``, or ``NAME:VARIABLE`` for one variable of it.

        Returns
        -------
        tuple of str and Dataset or DataArray
            The snapshot id that a fingerprint holds, and the data, lazily indexed.
        """
        name, _, variable = reference.partition(":")
        entry = self.find(name)
        opened = surveys.open_survey if entry.kind == "survey" else results.open_result
        data = opened(entry.folder)
        if not variable:
            return entry.manifest["id"], data
        if variable not in data.data_vars:
            raise NotFoundError(
                f"{entry.name} has no variable '{variable}'.",
                f"It has: {', '.join(map(str, data.data_vars))}.",
            )
        return f"{entry.manifest['id']}:{variable}", data[variable]
