"""The demo on a real survey, as a user waits for it: `python -m benchmarks.demo SURVEY.csv.xz`.

The whole command in a process of its own, start of Python and of the local cluster included, into an
empty workspace each time.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import describe_machine

MiB = 1 << 20


def run_once(survey: Path, date: str) -> tuple[float, float]:
    """Return wall and CPU seconds of one demo."""
    with tempfile.TemporaryDirectory() as workspace:
        command = [sys.executable, "-m", "quetzal", "demo", str(survey), "--date", date, "--no-open"]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [*command, "--workspace", workspace],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "QUETZAL_NO_BOOTSTRAP": "1"},
        )
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo")
    parser.add_argument("survey", type=Path)
    parser.add_argument("--date", default="1990-07-01")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    runs = [run_once(options.survey, options.date) for _ in range(options.rounds)]
    wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MiB
    print(describe_machine())
    print(
        "| case | wall_s | cpu_s | peak_mb of the largest process | runs |\n| --- | --- | --- | --- | --- |"
    )
    print(f"| quetzal demo, {options.survey.name} | {wall:.3g} | {cpu:.3g} | {peak:.0f} | {len(runs)} |")


if __name__ == "__main__":
    main()
