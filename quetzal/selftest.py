"""``quetzal test``: run the checkout's tests as they are meant to be run, browser tests included."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSER_VARIABLE = "QUETZAL_CHROMIUM"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_PLACES = (  # where installers put them without telling the path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PLAYWRIGHT_FOLDERS = (
    "~/.cache/ms-playwright",
    "~/Library/Caches/ms-playwright",
    "~/AppData/Local/ms-playwright",
)
PLAYWRIGHT_PROGRAMS = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
    "chromium-*/chrome-win*/chrome.exe",
)
HOW_TO_GET_A_BROWSER = (
    "No Chromium or Chrome was found, so the browser tests are skipped. To run them too:\n"
    "  Debian, Ubuntu   apt-get install chromium\n"
    "  macOS, Windows   install Google Chrome\n"
    f"  anywhere else    playwright install chromium, or set {BROWSER_VARIABLE} to a browser's program\n"
)
MOST_PROCESSES = 8  # each holds a copy of the libraries, and a Dask cluster now and then


def run_tests(arguments: Sequence[str] = ()) -> int:
    """Run the tests and return pytest's exit status.

    Parameters
    ----------
    arguments : sequence of str
        Further arguments for pytest, for instance ``["-k", "igrf"]``.

    Returns
    -------
    int
        0 if every test passed; 1 also where there are no tests to run, after a sentence about it.
    """
    if not (ROOT / "tests").is_dir() or not (ROOT / "pyproject.toml").is_file():
        sys.stderr.write(
            f"The tests are not part of the installed package ({ROOT}).\n"
            "Clone the repository and run `python -m quetzal test` in it.\n"
        )
        return 1
    if find_spec("pytest") is None:
        sys.stderr.write(
            "This environment lacks what the tests need. Run `python -m quetzal test` in the checkout,\n"
            "which sets that up, or install the extra here: pip install --editable '.[test]'\n"
        )
        return 1
    if find_browser() is None:
        sys.stderr.write(HOW_TO_GET_A_BROWSER)
    command = [sys.executable, "-m", "pytest", *_in_parallel(arguments), *arguments]
    # One thread for each library in each process: the processes already share out the cores.
    variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **os.environ}
    process = subprocess.Popen(command, cwd=ROOT, env=variables)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # pytest has heard it too and closes with its summary
            continue


def find_browser() -> Path | None:
    """Return the Chromium or Chrome that the browser tests drive, or None.

    ``QUETZAL_CHROMIUM`` goes first, then the path, the usual places and Playwright's own download.
    """
    named = os.environ.get(BROWSER_VARIABLE)
    if named:
        return Path(named)
    candidates = [path for name in BROWSERS if (path := shutil.which(name))]
    candidates += [place for place in BROWSER_PLACES if Path(place).is_file()]
    if candidates:
        return Path(candidates[0])
    folders = [os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or "", *PLAYWRIGHT_FOLDERS]
    downloads = (Path(folder).expanduser() for folder in folders if folder)
    return next(
        (path for d in downloads for program in PLAYWRIGHT_PROGRAMS for path in d.glob(program)), None
    )


def _in_parallel(arguments: Sequence[str]) -> list[str]:
    """Return pytest-xdist's options: one process a core, unless the user steers that or debugs."""
    chosen = (
        "-n",
        "--numprocesses",
        "--dist",
        "no:xdist",
        "--pdb",
        "--trace",
        "-h",
        "--help",
        "--version",
        "--collect-only",
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1 or find_spec("xdist") is None or any(word.startswith(chosen) for word in arguments):
        return []
    # Whole files go to one process, since a file's tests share what its fixtures made. Browser and
    # cluster tests would otherwise start everything once a process.
    return ["--numprocesses", str(min(cores, MOST_PROCESSES)), "--dist", "loadfile"]
