"""The manifest of a dataset: what it is, and every file of it with its size and SHA-256.

Written last, by `quetzal.catalogue.sealed`; what it says is checked when it is read, so that whoever
holds a manifest need not ask again.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from quetzal.errors import InputError, NotFoundError, StorageError

MANIFEST = "manifest.json"
LOCK = ".lock"
SCHEMA_VERSION = 1
_OWN_FILES = {MANIFEST, LOCK}


class _Part(BaseModel):
    """Part of a manifest: what must be there, of these very types; more may be."""

    model_config = ConfigDict(strict=True)


class _File(_Part):
    size: int
    sha256: str


class _Array(_Part):
    shape: list[int]


class _Manifest(_Part):
    schema_version: int
    kind: str
    id: str
    created: str
    files: dict[str, _File]


class _Survey(_Manifest):
    points: int
    lines: int
    ties: int
    arrays: dict[str, _Array]


class _Result(_Manifest):
    fingerprint: str
    inputs: dict[str, str]
    arrays: dict[str, _Array]
    figures: dict[str, Any]


_MODELS: Mapping[str, type[_Manifest]] = {"survey": _Survey, "result": _Result}


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found, as paths relative to the dataset's folder."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unlisted: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every file is there, unchanged, and nothing was added."""
        return not (self.missing or self.changed or self.unlisted)


def write_manifest(partial: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest that closes a dataset, and return it.

    To *content* are added ``schema_version``, ``created`` (UTC), ``files`` (size and SHA-256 of
    each) and ``id``, the SHA-256 over the sorted names and digests of the files: equal data have
    equal ids, wherever and whenever they were written.

    Parameters
    ----------
    partial : Path
        The folder given by `sealed.sealed_directory`, complete but for the manifest.
    content : mapping
        What else the manifest says, ``kind`` first of all; must be JSON without NaN.
    """
    files = {
        name: {"size": (partial / name).stat().st_size, "sha256": digest(partial / name)}
        for name in _files(partial)
    }
    whole = hashlib.sha256()
    for name, entry in files.items():
        whole.update(f"{name}\0{entry['sha256']}\n".encode())
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **content,
        "id": whole.hexdigest(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": files,
    }
    text = json.dumps(manifest, indent=1, allow_nan=False)
    (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path, kind: str | None = None) -> dict[str, Any]:
    """Return the manifest of the dataset in *folder*, with all that its kind must have.

    Parameters
    ----------
    folder : Path
        A dataset's folder.
    kind : str, optional
        The kind of dataset wanted; any by default.

    Raises
    ------
    NotFoundError
        If there is no such folder, or no manifest in it: then it was never finished.
    StorageError
        If the manifest may not be read (``storage_denied``), cannot be or lacks something
        (``storage_damaged``), or was written by a newer version (``storage_too_new``).
    InputError
        If the dataset is of another kind than *kind*.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        if not folder.is_dir():
            raise NotFoundError(
                f"There is no dataset at {folder}.", "Check the path, or import the data first."
            )
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = int(manifest["schema_version"])
    except FileNotFoundError:
        raise NotFoundError(
            f"{folder} has no {MANIFEST}: it is not a finished dataset.",
            "Import the data again; an unfinished folder is never read.",
            code="not_sealed",
        ) from None
    except PermissionError as error:
        raise StorageError(
            f"{path} may not be read ({error.strerror}).",
            "Ask for the permission to read it.",
            code="storage_denied",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{folder} has manifest version {version}; this Quetzal reads up to {SCHEMA_VERSION}.",
            "Use a newer Quetzal.",
            code="storage_too_new",
        )
    found = manifest.get("kind")
    if kind is not None and found not in (kind, None):
        raise InputError(f"{folder} holds a {found}, not a {kind}.", f"Give the folder of a {kind}.")
    try:
        _MODELS.get(str(found), _Manifest).model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(path, f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    return dict(manifest)


def verify(folder: Path) -> Verification:
    """Compare every file of a dataset with the size and digest in its manifest."""
    folder = Path(folder)
    listed: dict[str, dict[str, Any]] = read_manifest(folder)["files"]
    present = set(_files(folder))
    changed = [
        name
        for name, entry in listed.items()
        if name in present
        and ((folder / name).stat().st_size != entry["size"] or digest(folder / name) != entry["sha256"])
    ]
    return Verification(
        missing=tuple(sorted(set(listed) - present)),
        changed=tuple(sorted(changed)),
        unlisted=tuple(sorted(present - set(listed))),
    )


def find_wrong_sizes(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return the files that are missing or of another size than their manifest says.

    Cheap enough for every opening. A missing chunk must be found there: read, it is no data.
    """
    return [name for name, entry in manifest["files"].items() if _size(folder / name) != entry["size"]]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, problem: str) -> StorageError:
    return StorageError(
        f"{path} is damaged ({problem}).",
        "Restore it from a copy; or remove the folder, and import or run again.",
        code="storage_damaged",
    )


def _files(folder: Path) -> list[str]:
    """Every file below *folder* but the manifest and the lock, as sorted relative paths."""
    return sorted(
        name
        for path in folder.rglob("*")
        if path.is_file() and (name := path.relative_to(folder).as_posix()) not in _OWN_FILES
    )


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half the time of Path.stat, a thousand times over
    except (FileNotFoundError, NotADirectoryError):
        return None
