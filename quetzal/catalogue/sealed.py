"""Folders that appear whole or not at all.

A dataset is written aside, in a ``.partial-…`` folder beside its final place; its manifest (what
it is, every file's size and SHA-256) is written last; everything is flushed to the disk; then one
rename makes it visible. Existence of data is never success: a store that hit a full disk opens as
valid and reads zeros. Only a folder with a manifest is a dataset.

While its writer lives, a partial folder holds a locked file. The lock goes with the process, however
it ends, so the next writer beside it knows an orphan from a neighbour at work and sweeps it away.
"""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quetzal.catalogue.manifest import LOCK, MANIFEST
from quetzal.catalogue.storage import make_folder, storage_in_words, try_lock
from quetzal.errors import ConflictError

PARTIAL_PREFIX = ".partial-"


@contextmanager
def sealed_directory(final: Path) -> Iterator[Path]:
    """Write a dataset aside and make it appear at *final* in one step.

    Yields the folder to write into. The body ends with `manifest.write_manifest`; when it returns, files
    and folders are flushed and the folder is renamed to *final*. When it raises, everything it wrote is
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
        make_folder(final.parent)
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


def sweep_orphans(parent: Path) -> list[Path]:
    """Remove the partial folders in *parent* whose writers are gone; return what was removed."""
    swept = []
    for partial in sorted(parent.glob(PARTIAL_PREFIX + "*")):
        try:
            lock = os.open(partial / LOCK, os.O_RDWR | os.O_CREAT)
        except OSError:  # sealed and renamed just now, or somebody else's
            continue
        try:
            if try_lock(lock):
                _remove(partial)
                swept.append(partial)
        except BlockingIOError:  # its writer lives
            continue
        finally:
            os.close(lock)
    return swept


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
            try_lock(lock)
            if os.fstat(lock).st_ino == (partial / LOCK).stat().st_ino:
                return partial, lock
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(lock)


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


def _refuse_existing(final: Path) -> None:
    empty = final.is_dir() and not any(final.iterdir())
    if (final.exists() or final.is_symlink()) and not empty:
        raise ConflictError(
            f"{final} exists already, and finished data are never replaced.",
            "Choose another name, or remove it first.",
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
