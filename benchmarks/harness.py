"""Measure named cases in turn, each in a process of its own, and print one table of medians.

A case is a function without arguments that prepares its data and returns the callable to measure;
that callable may return a mapping of further figures (an error, a count), which become columns.
Cases run A B C A B C …, so that a drift of the machine falls on all of them alike. CPU seconds
count every thread; memory is the growth of the resident peak over the prepared state.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Measured = Callable[[], Mapping[str, float] | None]
Cases = Mapping[str, Callable[[], Measured]]

PACKAGES = (
    "quetzalcore",
    "numpy",
    "scipy",
    "numba",
    "xarray",
    "dask",
    "zarr",
    "harmonica",
    "verde",
    "ppigrf",
)
SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure(prepare: Callable[[], Measured], warm: bool = True) -> dict[str, float]:
    """Run one case in this process and return its figures."""
    run = prepare()
    if warm:
        run()
    base = _resident("VmRSS")
    _reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    extra = run() or {}
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": (_resident("VmHWM") - base) / 2**20,
        **{k: float(v) for k, v in extra.items()},
    }


def main(
    module: str, cases: Cases, *, baseline: str | None = None, rounds: int = 5, warm: bool = True
) -> None:
    """Command line of a benchmark module: ``main(__spec__.name, CASES)`` at its end.

    Parameters
    ----------
    module : str
        Name of the module, for the child processes.
    cases : mapping
        Cases by name, in the order of the table.
    baseline : str, optional
        The case whose CPU the others are divided by, round by round.
    rounds : int
        Measured runs of each case.
    warm : bool
        Whether a run that is not counted goes first in each process.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--case", help="run this case alone in this process and print JSON")
    parser.add_argument("--only", nargs="*", default=list(cases), help="cases to run")
    parser.add_argument("--rounds", type=int, default=rounds)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(cases[options.case], warm)))
        return
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in options.only}
    for _ in range(options.rounds):
        for name in options.only:
            figures = _child(module, name)
            if figures is not None:
                runs[name].append(figures)
    print(describe_machine())
    print(table(runs, baseline))


def table(runs: Mapping[str, list[dict[str, float]]], baseline: str | None) -> str:
    """Render medians as a Markdown table."""
    keys = list(dict.fromkeys(k for rs in runs.values() for r in rs for k in r))
    head = ["case", *keys, *([f"CPU / {baseline}"] if baseline else []), "runs"]
    rows = [head, ["---"] * len(head)]
    for name, figures in runs.items():
        cells = [name] + [_median(figures, k) for k in keys]
        if baseline:
            pairs = zip(figures, runs.get(baseline, []), strict=False)
            ratios = [f["cpu_s"] / b["cpu_s"] for f, b in pairs if b["cpu_s"] > 0]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
        rows.append([*cells, str(len(figures))])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def describe_machine() -> str:
    """Name the processor, its cores, the date and the versions measured."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {', '.join(found)}\n"
    )


def _child(module: str, name: str) -> dict[str, float] | None:
    command = [sys.executable, "-m", module, "--case", name]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**SINGLE_THREAD, **os.environ}, check=False
    )
    if done.returncode:
        print(f"{name}: left out, it ended with {done.returncode}\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _median(figures: list[dict[str, float]], key: str) -> str:
    values = [f[key] for f in figures if key in f]
    return f"{statistics.median(values):.4g}" if values else "-"


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def _reset_peak() -> None:
    """Set the kernel's high-water mark back to the present size (Linux, see proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
