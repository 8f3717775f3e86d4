"""What the file system's refusals mean in words, and the locks that files give.

A disk is full, a folder may not be written, a chunk was overwritten: each has a sentence and a next
step, whichever library met it first.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import PipelineError
from quetzal.catalogue.manifest import verify
from quetzal.errors import QuetzalError, StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_SHOWN = 3  # damaged files named in a sentence


@contextmanager
def storage_in_words(final: Path) -> Iterator[None]:
    """Say what a file system means that fails while *final* is written, and what to do.

    Raises
    ------
    StorageError
        If the disk is full (``storage_full``), or the folder of *final*, one above it or something in it
        may not be written (``storage_denied``).
    """
    try:
        yield
    except QuetzalError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                f"The disk under {final.parent} is full; nothing was kept.",
                "Free some space or choose another folder, then try again.",
                code="storage_full",
            ) from error
        # The folders above count too: it is there that a missing parent could not be made.
        here = _is_below(error, final.parent) or _is_above(error, final.parent)
        if error.errno in _DENIED and here:
            raise StorageError(
                f"{error.filename or final.parent} may not be written ({error.strerror}).",
                "Choose a folder that you may write to, or ask for the permission.",
                code="storage_denied",
            ) from error
        raise


@contextmanager
def reading_in_words(name: str, folder: Path) -> Iterator[None]:
    """Say so if what fails inside fails because the dataset read is damaged or may not be read.

    A codec that meets a damaged chunk, Zarr that misses an array, JSON that ends early: each library says
    it in its own way, and some say nothing of the file. So an unexpected error is taken for damage if the
    checksums say so, and passed on unchanged if every file is whole. Refusals of the library and of the
    service pass unchanged, at once.

    Parameters
    ----------
    name : str
        Name of the dataset, for the sentence.
    folder : Path
        Its folder.

    Raises
    ------
    StorageError
        If a file of the dataset is missing or changed (``storage_damaged``), or may not be read
        (``storage_denied``).
    """
    try:
        yield
    except (QuetzalError, PipelineError):
        raise
    except PermissionError as error:
        if error.filename is None or not _is_below(error, folder):
            raise
        raise unreadable(error) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:  # what is written fails, not what is read
            raise
        try:
            found = verify(folder)
        except OSError as failed:
            raise unreadable(failed) from error
        if files := [*found.missing, *found.changed]:
            raise damaged(name, files) from error
        raise


def damaged(name: str, files: list[str]) -> StorageError:
    """Return the refusal to read a dataset of which *files* are missing or changed."""
    shown = ", ".join(files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
    return StorageError(
        f"{name} is damaged: {shown} missing or changed.",
        f"`quetzal verify {name}` names the files. Restore them from a copy, or remove the dataset and make "
        "it again.",
        code="storage_damaged",
    )


def unreadable(error: OSError) -> StorageError:
    """Return what a failure to read a file or folder means."""
    if error.errno in _DENIED:
        return StorageError(
            f"{error.filename} may not be read ({error.strerror}).",
            "Ask for the permission to read it, or choose another workspace.",
            code="storage_denied",
        )
    return StorageError(f"{error.filename} cannot be read ({error.strerror}).", "Check the disk.")


def make_folder(folder: Path) -> None:
    """Create *folder* and those above it, if they are not there.

    Raises
    ------
    StorageError
        If a file is in the way, it may not be created, or the disk is full.
    """
    try:
        with storage_in_words(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise StorageError(
            f"{folder} cannot be a folder: {error.filename} is in its way, or cannot be created there.",
            "Choose a folder to write into.",
            code="storage_denied",
        ) from error


def try_lock(handle: int) -> bool:
    """Lock an open file; False where the file system knows no locks.

    Raises BlockingIOError when somebody else holds the lock.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Hold the lock file at *path*, waiting for whoever holds it; it is removed at the end.

    The lock goes with its process, however that ends; a file it leaves is taken over by the next. Where
    the file system knows no locks, nobody waits.
    """
    handle = _open_locked(path)
    try:
        yield
    finally:
        # Removed while held: whoever waits for it finds that it locked a file gone, and starts over.
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _open_locked(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                return handle
            if os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_below(error: OSError, folder: Path) -> bool:
    """Whether the file of *error* is *folder* or in it; true if the error names none."""
    return error.filename is None or _path(error).is_relative_to(folder.absolute())


def _is_above(error: OSError, folder: Path) -> bool:
    return error.filename is not None and folder.absolute().is_relative_to(_path(error))


def _path(error: OSError) -> Path:
    return Path(os.fsdecode(error.filename)).absolute()
