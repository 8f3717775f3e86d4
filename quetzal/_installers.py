"""Who puts packages into an environment: uv where it can be had, else pip; standard library only.

A machine may have any of these and lack any: pip outside the environment (new enough to work on
another one), pip inside it, ensurepip (Debian packs it apart), uv on the path, uv in the package
index. The first that works is used, and when uv fails, pip has its turn.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PIP_THAT_WORKS_ON_OTHERS = (22, 3)  # the first with ``--python``
UV_VARIABLES = {  # by pip's own option
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
}
MOST_LINES_SHOWN = 20  # of a failed installer, which says why at its end
QUIET_PIP = ("--quiet", "--no-input", "--disable-pip-version-check")


class SetupError(Exception):
    """The environment cannot be set up; the text says why and what to do."""


def install(python: Path, target: str, *, again: bool = False) -> None:
    """Install *target*, editable, for the interpreter *python*.

    Parameters
    ----------
    python : Path
        Interpreter of the environment to fill.
    target : str
        Project folder, with extras in brackets.
    again : bool
        Whether packages that look installed are installed over.

    Raises
    ------
    SetupError
        If nothing installs packages, or every installer failed; the text ends in the command.
    """
    choice = os.environ.get("QUETZAL_INSTALLER", "")
    if choice not in ("", "pip", "uv"):
        raise SetupError(f"QUETZAL_INSTALLER is {choice!r}; set it to pip or uv, or leave it out.")
    pip = _find_pip(python)
    uv = None if choice == "pip" else _find_uv(python, pip)
    attempts: list[tuple[str, list[str], dict[str, str]]] = []
    if uv:
        # pip goes in as well, since people expect it in an environment.
        options = ["--quiet", "--python", str(python), *(["--reinstall"] if again else [])]
        command = [*uv, "pip", "install", *options, "pip", "--editable", target]
        attempts.append(("uv", command, _uv_settings(pip)))
    if pip and choice != "uv":
        options = [*QUIET_PIP, *(["--force-reinstall"] if again else [])]
        attempts.append(("pip", [*pip, "install", *options, "--editable", target], {"PIP_USER": "0"}))
    if not attempts:
        raise SetupError(
            f"This Python ({sys.executable}) has neither pip nor ensurepip, and there is no uv.\n"
            "Install pip (Debian, Ubuntu: apt-get install python3-pip python3-venv) and repeat the command."
        )
    failures = []
    for name, command, variables in attempts:
        with step(f"installing the packages with {name}"):
            code, output = run(command, variables)
        if code == 0:
            if name == "pip":  # a convenience that must not fail the rest, without an index for instance
                run([*command[:-2], "pip"], variables)
            return
        last = "\n".join(output.rstrip().splitlines()[-MOST_LINES_SHOWN:])
        failures.append(f"{last}\n\nThat step failed. The command was:\n  {_in_shell(command)}\n")
    failures.append("Run it by hand to see why; then repeat what you typed, and the set-up is done again.")
    raise SetupError("\n".join(failures))


def run(command: Sequence[str], variables: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a step without input; return its exit status and what it printed."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(variables or {})},
            )
        except FileNotFoundError as error:
            return 127, str(error)
        try:
            code = process.wait()
        except BaseException:  # Ctrl-C: the step must not go on behind the user's back
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        return code, output.read().decode(errors="replace")


def say(text: str, end: str = "\n") -> None:
    """Speak on the error stream: what the command itself prints stays clean for a pipe."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Name a step, then its duration."""
    begun = time.monotonic()
    say(f"  {what:<44}", end="")
    try:
        yield
    finally:
        say(f"{time.monotonic() - begun:6.1f} s")


def _find_pip(python: Path) -> list[str] | None:
    """Return a pip that installs for *python*: one outside, the one inside, or ensurepip's."""
    # The base too: this process may run in an environment without pip, or in the very one being made.
    for outside in dict.fromkeys([sys.executable, getattr(sys, "_base_executable", sys.executable)]):
        code, output = run([outside, "-m", "pip", "--version"])
        found = re.match(r"pip (\d+)\.(\d+)", output)
        if code == 0 and found and (int(found[1]), int(found[2])) >= PIP_THAT_WORKS_ON_OTHERS:
            return [outside, "-m", "pip", "--python", str(python)]
    inside = [str(python), "-m", "pip"]
    if run([*inside, "--version"])[0] == 0 or run([str(python), "-m", "ensurepip", "--default-pip"])[0] == 0:
        return inside
    return None


def _find_uv(python: Path, pip: list[str] | None) -> list[str] | None:
    """Return the uv on the path or inside the environment, where pip puts it if it can."""
    outside = shutil.which("uv")
    if outside:
        return [outside]
    inside = [str(python), "-m", "uv"]
    if run([*inside, "--version"])[0] == 0:
        return inside
    if pip:
        with step("fetching uv, the faster installer"):
            code, _ = run([*pip, "install", *QUIET_PIP, "--retries", "1", "uv"], {"PIP_USER": "0"})
        if code == 0:
            return inside
    return None


def _uv_settings(pip: list[str] | None) -> dict[str, str]:
    """Return variables that send uv to the indexes of pip's configuration, which it does not read."""
    lines = run([*pip, "config", "list"])[1].splitlines() if pip else []
    settings: dict[str, str] = {}
    # pip's sections by precedence are ":env:", "install", "global": here the strongest comes first.
    order = (":env:", "install", "global")
    for line in sorted(
        lines, key=lambda text: order.index(s) if (s := text.partition(".")[0]) in order else 3
    ):
        key, separator, value = line.partition("=")
        variable = UV_VARIABLES.get(key.rpartition(".")[2])
        if not separator or variable is None or variable in os.environ:
            continue
        with contextlib.suppress(ValueError, SyntaxError):
            words = str(ast.literal_eval(value)).split()
            settings.setdefault(variable, ("," if variable == "UV_FIND_LINKS" else " ").join(words))
    if "UV_INDEX" in settings:  # pip takes the best version of all indexes, uv by itself the first index's
        settings.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return settings


def _in_shell(command: Sequence[str]) -> str:
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)
