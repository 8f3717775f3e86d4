"""From a bare clone to a running command, with nothing but Python 3.11 and pip.

``python -m quetzal COMMAND`` comes here first. Where the running interpreter already has what the
command needs (conda, uv, an environment made by hand, an installed wheel), the command runs there
and nothing is touched. Otherwise the checkout's own environment is made once and the command runs
in that. Everything on the way is standard library, and this module even reads on older Pythons,
so that those get a sentence.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quetzal._environment import Environment

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)

# Extras that a command cannot run without, and those that are installed for it; a command that is
# not named runs on the base dependencies. Tests that compare with independent programs skip
# themselves where those are not installed.
NEEDED = {"test": ("test",)}
WANTED = {"test": ("test", "peers")}

HELP = """\
Quetzal: from raw flight lines to maps.

It is not set up for this Python yet. Each of these sets it up first, in {venv},
and leaves the rest of the machine alone:

  python -m quetzal demo      process a survey from end to end and open the pictures
  python -m quetzal test      run the tests
  python -m quetzal COMMAND   any other command; after the set-up, --help lists them all

Variables: QUETZAL_VENV      another folder for the environment
           QUETZAL_INSTALLER pip or uv (by default uv where it can be had, else pip)
"""


def main(argv: list[str]) -> int:
    """Run a command line, after setting up an environment for it where that is needed.

    Parameters
    ----------
    argv : list of str
        The arguments after ``python -m quetzal``.

    Returns
    -------
    int
        Exit status: the command's own, 1 if the set-up failed, 130 if it was interrupted.
    """
    if sys.version_info < OLDEST_PYTHON:
        return _complain(
            f"Quetzal needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer; "
            f"this is {sys.version.split()[0]} ({sys.executable})."
        )
    from quetzal._environment import Environment, set_up
    from quetzal._installers import SetupError

    folder = Path(os.environ.get("QUETZAL_VENV") or ROOT / ".venv").expanduser().absolute()
    environment = Environment(folder, ROOT)
    command = argv[0] if argv else "--help"
    needed = NEEDED.get(command, ())
    if _serves_here(environment, needed):
        return _run_here(argv)
    try:
        if not environment.serves(needed):
            if command in ("--help", "-h", "help"):
                sys.stdout.write(HELP.format(venv=folder))
                return 0
            wanted = WANTED.get(command, ())
            set_up(environment, needed=needed, wanted=wanted, purpose=f"quetzal {command}")
        return _run_in(environment, argv)
    except SetupError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. Repeat the command, and what was begun is done again.\n")
        return 130


def _serves_here(environment: Environment, extras: tuple[str, ...]) -> bool:
    """Whether the interpreter that runs now can do the work."""
    from quetzal._needs import lacking

    if os.environ.get("QUETZAL_NO_BOOTSTRAP") or not environment.pyproject.exists():
        return True  # asked to keep out, or installed as a package: pip saw to the dependencies
    if environment.is_running:
        return environment.serves(extras)
    return not lacking(environment.pyproject, extras)


def _run_here(argv: list[str]) -> int:
    from quetzal.cli import main as run

    sys.argv = ["quetzal", *argv]
    run()
    return 0


def _run_in(environment: Environment, argv: list[str]) -> int:
    """Run the command in *environment*, which is activated for the programs that it starts."""
    path = os.pathsep.join([str(environment.scripts), os.environ.get("PATH", os.defpath)])
    variables = {
        **os.environ,
        "PATH": path,
        "VIRTUAL_ENV": str(environment.folder),
        "QUETZAL_NO_BOOTSTRAP": "1",
    }
    variables.pop("PYTHONHOME", None)
    command = [str(environment.python), "-m", "quetzal", *argv]
    sys.stdout.flush()
    if os.name != "nt":
        # The command takes this process's place, so that signals and exit status are its own.
        os.execve(command[0], command, variables)
    return subprocess.call(command, env=variables)


def _complain(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1
