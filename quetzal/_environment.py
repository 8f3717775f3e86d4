"""The checkout's own virtual environment: made, filled, and trusted only when it was finished.

Standard library only. The environment carries a small state file. It says ``incomplete`` from
before the first byte until after the last, so that a set-up which was killed is done again and
never taken for a whole one; and it holds a digest of the project's dependencies, so that a changed
list is installed again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quetzal import _needs
from quetzal._installers import SetupError, install, say, step

STATE = "quetzal-setup.json"
LOCK = "quetzal-setup.lock"
SPACE_NEEDED = 1_600_000_000  # bytes; measured: 1.3 GB with everything the tests need


class Environment(NamedTuple):
    """A virtual environment at *folder* for the project at *root*."""

    folder: Path
    root: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def scripts(self) -> Path:
        """Folder of its programs."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def pyproject(self) -> Path:
        """The file that names what must be in it."""
        return self.root / "pyproject.toml"

    @property
    def is_running(self) -> bool:
        """Whether this very process runs in it."""
        return Path(sys.prefix).resolve() == self.folder.resolve()

    def state(self) -> dict[str, Any]:
        """Return what the last set-up left behind; empty where there was none."""
        try:
            found = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_state(self, **state: Any) -> None:
        """Replace the state in one step."""
        aside = self.folder / f"{STATE}.new"
        aside.write_text(json.dumps(state), encoding="utf-8")
        aside.replace(self.folder / STATE)

    def serves(self, extras: Sequence[str]) -> bool:
        """Whether it holds what is needed: set up to the end and in step, or someone else's and whole."""
        state = self.state()
        if state and (
            state.get("finished") is not True or state.get("digest") != _needs.digest(self.pyproject)
        ):
            return False
        return self.python.exists() and self.lacking(extras) == []

    def lacking(self, extras: Sequence[str]) -> list[str] | None:
        """Return what it lacks; None if its interpreter does not run (its base was moved or replaced)."""
        command = [str(self.python), "-I", _needs.__file__, str(self.pyproject), *extras]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            missing: list[str] = json.loads(answer.stdout)
        except (OSError, subprocess.CalledProcessError, ValueError):
            return None
        return missing


def set_up(environment: Environment, *, needed: Sequence[str], wanted: Sequence[str], purpose: str) -> None:
    """Make *environment* serve.

    Parameters
    ----------
    environment : Environment
        Where, and for which checkout.
    needed : sequence of str
        Extras without which the command cannot run.
    wanted : sequence of str
        Extras to install.
    purpose : str
        What it is for, as people type it.

    Raises
    ------
    SetupError
        If a folder cannot be written, nothing installs packages, or an installation fails.
    """
    begun = time.monotonic()
    try:
        environment.folder.mkdir(parents=True, exist_ok=True)
        with _locked(environment.folder / LOCK):
            if environment.serves(needed):  # another process did it while this one waited
                return
            say(f"Setting up {environment.folder} for {purpose} (once; takes a package index and 1.5 GB).")
            _fill(environment, wanted)
    except OSError as error:
        raise SetupError(_explain(error, environment)) from error
    except SetupError as error:
        if shutil.disk_usage(environment.folder).free < SPACE_NEEDED // 8:
            raise SetupError(f"{error}\n{_space(environment)}") from error
        raise
    say(f"Ready in {time.monotonic() - begun:.0f} s.\n")


def _fill(environment: Environment, wanted: Sequence[str]) -> None:
    """Make the environment where there is none and install into it, between two marks in its state.

    One that was interrupted while it was made here is thrown away whole. One that somebody else
    made is never thrown away: if it was interrupted, its packages are installed over instead.
    """
    state = environment.state()
    foreign = (environment.folder / "pyvenv.cfg").exists() and not state.get("made_here", False)
    works = environment.python.exists() and environment.lacking(()) is not None
    interrupted = bool(state) and state.get("finished") is not True
    if not works and (foreign or (not state and _contents(environment.folder))):
        raise SetupError(
            f"{environment.folder} is in the way: it exists, and no working Python is in it.\n"
            "Remove it, or set QUETZAL_VENV to another folder, and repeat the command."
        )
    extras = sorted({*wanted, *state.get("extras", [])})
    mark = {
        "made_here": not foreign,
        "extras": extras,
        "digest": _needs.digest(environment.pyproject),
    }
    environment.write_state(finished=False, **mark)
    if not works or (interrupted and not foreign):
        for path in _contents(environment.folder):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        with step("making the environment"):
            # Without pip: bringing that takes ensurepip, which is only one of the ways to get it.
            venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(environment.folder)
    target = f"{environment.root}[{','.join(extras)}]" if extras else str(environment.root)
    install(environment.python, target, again=foreign and interrupted)
    environment.write_state(finished=True, **mark)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold *path* locked; the system lets go of it when the process ends, however it ends."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # it gives up after ten seconds
                    continue
        else:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another process is setting up this environment; waiting for it.")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _contents(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name not in (LOCK, STATE)]


def _explain(error: OSError, environment: Environment) -> str:
    elsewhere = "Set QUETZAL_VENV to a folder that can hold it, and repeat the command."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{environment.folder} cannot be written ({error.strerror}: {error.filename}).\n{elsewhere}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{_space(environment)}\n{elsewhere}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{environment.folder} is no folder, and one is needed there.\n{elsewhere}"
    return f"Setting up {environment.folder} failed: {error}.\n{elsewhere}"


def _space(environment: Environment) -> str:
    free = shutil.disk_usage(environment.folder if environment.folder.exists() else environment.root).free
    return (
        f"The disk that holds {environment.folder} has {free / 1e6:.0f} MB left; "
        f"about {SPACE_NEEDED / 1e6:.0f} MB are needed."
    )
