"""Folders that appear whole or not at all.

A dataset is written aside, in a ``.partial-…`` folder beside its final place; its manifest (what
it is, every file's size and SHA-256) is written last; everything is flushed to the disk; then one
rename makes it visible. Existence of data is never success: a store that hit a full disk opens as
valid and reads zeros. Only a folder with a manifest is a dataset.

While its writer lives, a partial folder holds a locked file. The lock goes with the process, however
it ends, so the next writer beside it knows an orphan from a neighbour at work and sweeps it away.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quetzal.errors import ConflictError, NotFoundError, QuetzalError, StorageError

MANIFEST = "manifest.json"
PARTIAL_PREFIX = ".partial-"
LOCK = ".lock"
SCHEMA_VERSION = 1
_OWN_FILES = {MANIFEST, LOCK}
_BLOCK = 1 << 20


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


@contextmanager
def sealed_directory(final: Path) -> Iterator[Path]:
    """Write a dataset aside and make it appear at *final* in one step.

    Yields the folder to write into. The body ends with `write_manifest`; when it returns, files and
    folders are flushed and the folder is renamed to *final*. When it raises, everything it wrote is
    removed.

    Parameters
    ----------
    final : Path
        Where the dataset is to be. Its parent is created if need be.

    Raises
    ------
    ConflictError
        If something is at *final* already: finished data are immutable.
    StorageError
        If the place cannot be written (``storage_denied``) or is full (``storage_full``).
    """
    final = Path(final)
    with storage_in_words(final):
        _refuse_existing(final)
        _make_folder(final.parent)
        sweep_orphans(final.parent)
        partial, lock = _begin(final.parent)
    try:
        with storage_in_words(final):
            yield partial
            if not (partial / MANIFEST).is_file():
                raise RuntimeError("a sealed directory needs write_manifest() at the end of its body")
            _flush(partial)
            _publish(partial, final)
    except BaseException:
        _remove(partial)
        raise
    finally:
        os.close(lock)


def write_manifest(partial: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest that closes a dataset, and return it.

    To *content* are added ``schema_version``, ``created`` (UTC), ``files`` (size and SHA-256 of
    each) and ``id``, the SHA-256 over the sorted names and digests of the files: equal data have
    equal ids, wherever and whenever they were written.

    Parameters
    ----------
    partial : Path
        The folder given by `sealed_directory`, complete but for the manifest.
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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the dataset in *folder*.

    Raises
    ------
    NotFoundError
        If there is no such folder, or no manifest in it: then it was never finished.
    StorageError
        If the manifest cannot be read (``storage_damaged``) or was written by a newer version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFoundError(f"There is no dataset at {folder}.", "Check the path, or import the data first.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["schema_version"]
    except FileNotFoundError:
        raise NotFoundError(
            f"{folder} has no {MANIFEST}: it is not a finished dataset.",
            "Import the data again; an unfinished folder is never read.",
            code="not_sealed",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{folder / MANIFEST} is damaged ({error}).", "Import the data again.", code="storage_damaged"
        ) from error
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{folder} has manifest version {version}; this Quetzal reads up to {SCHEMA_VERSION}.",
            "Use a newer Quetzal.",
            code="storage_too_new",
        )
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


def sweep_orphans(parent: Path) -> list[Path]:
    """Remove the partial folders in *parent* whose writers are gone; return what was removed."""
    swept = []
    for partial in sorted(parent.glob(PARTIAL_PREFIX + "*")):
        try:
            lock = os.open(partial / LOCK, os.O_RDWR | os.O_CREAT)
        except OSError:  # sealed and renamed just now, or somebody else's
            continue
        try:
            if _lock(lock):
                _remove(partial)
                swept.append(partial)
        except BlockingIOError:  # its writer lives
            continue
        finally:
            os.close(lock)
    return swept


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _begin(parent: Path) -> tuple[Path, int]:
    """Create a locked partial folder.

    A sweeper may look between the making of the folder and the locking of its file, take the lock and
    remove both; the loser sees that the file it locked is not the one at that path, and starts over.
    """
    while True:
        partial = parent / f"{PARTIAL_PREFIX}{secrets.token_hex(8)}"
        partial.mkdir()
        try:
            lock = os.open(partial / LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            continue
        try:
            _lock(lock)
            if os.fstat(lock).st_ino == (partial / LOCK).stat().st_ino:
                return partial, lock
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(lock)


def _lock(handle: int) -> bool:
    """Lock an open file; False where the file system knows no locks (orphans then stay).

    Raises BlockingIOError when somebody else holds the lock.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _publish(partial: Path, final: Path) -> None:
    """Rename, with the lock still held: a sweeper that looks now must not find an orphan."""
    try:
        partial.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            _refuse_existing(final)
        raise
    (final / LOCK).unlink(missing_ok=True)
    _flush_one(final)
    _flush_one(final.parent)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise StorageError(
            f"{folder} cannot be a folder: {error.filename} is in its way, or cannot be created there.",
            "Choose a folder to write into.",
            code="storage_denied",
        ) from error


def _refuse_existing(final: Path) -> None:
    empty = final.is_dir() and not any(final.iterdir())
    if (final.exists() or final.is_symlink()) and not empty:
        raise ConflictError(
            f"{final} exists already, and finished data are never replaced.",
            "Choose another name, or remove it first.",
        )


def _files(folder: Path) -> list[str]:
    """Every file below *folder* but the manifest and the lock, as sorted relative paths."""
    return sorted(
        name
        for path in folder.rglob("*")
        if path.is_file() and (name := path.relative_to(folder).as_posix()) not in _OWN_FILES
    )


def _flush(folder: Path) -> None:
    """Bring every file, then every folder, to the disk: a rename must not outrun its content."""
    for where, _, names in os.walk(folder, topdown=False):
        for name in names:
            _flush_one(Path(where, name))
        _flush_one(Path(where))


def _flush_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(partial: Path) -> None:
    """Remove a partial folder; writers in other threads may still be adding files for a moment."""
    for _ in range(20):
        shutil.rmtree(partial, ignore_errors=True)
        if not partial.exists():
            return
        time.sleep(0.01)


@contextmanager
def storage_in_words(final: Path) -> Iterator[None]:
    """Say what a file system means that fails while *final* is written, and what to do."""
    try:
        yield
    except QuetzalError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk under {final.parent} is full; nothing was kept.",
                "Free some space or choose another folder, then try again.",
                code="storage_full",
            ) from error
        here = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(final.parent)
        if here and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"{error.filename or final.parent} may not be written ({error.strerror}).",
                "Choose a folder that you may write to, or ask for the permission.",
                code="storage_denied",
            ) from error
        raise
