"""Import of one million points from CSV: what a user waits for, and the memory it takes.

At least: 10 s of wall time and 1 GB of peak memory, with checksums and projection.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness import Measured, main
from quetzal.catalogue.surveys import import_survey

ROWS = 1_000_000
LINES = 500


def write_survey(path: Path, geographic: bool, interleaved: bool) -> None:
    """Write lines of points with the usual columns and noise in every digit."""
    random = np.random.default_rng(7)
    line = np.repeat(np.arange(LINES), ROWS // LINES)
    along = np.tile(np.arange(ROWS // LINES) * 8.0, LINES)
    easting, northing = 450_000 + along + random.normal(0, 1, ROWS), 7_550_000 + line * 200.0
    table = {
        "line": line + 10_010,
        "longitude" if geographic else "easting": 140 + easting / 1e5 - 4 if geographic else easting,
        "latitude" if geographic else "northing": -22 + line * 2e-3 if geographic else northing,
        "altitude": 400 + random.normal(0, 5, ROWS).round(2),
        "tmi": 53_000 + random.normal(0, 100, ROWS).round(3),
        "diurnal": random.normal(0, 10, ROWS).round(3),
    }
    frame = pd.DataFrame(table)
    if interleaved:
        frame = frame.iloc[np.argsort(along, kind="stable")]
    frame.to_csv(path, index=False)


def importing(geographic: bool, interleaved: bool) -> Measured:
    place = tempfile.TemporaryDirectory(prefix="quetzal-importing-")  # goes with the process
    folder = Path(place.name)
    source = folder / "survey.csv"
    write_survey(source, geographic, interleaved)

    def run() -> dict[str, float]:
        shutil.rmtree(Path(place.name) / "surveys", ignore_errors=True)
        crs = None if geographic else "EPSG:32754"
        report = import_survey(source, folder / "surveys", crs=crs)
        stored = sum(f.stat().st_size for f in (folder / "surveys").rglob("*") if f.is_file())
        return {
            "rows": report.rows_kept,
            "source_mb": source.stat().st_size / 2**20,
            "stored_mb": stored / 2**20,
        }

    return run


CASES = {
    "1e6 rows, projected, line by line": partial(importing, geographic=False, interleaved=False),
    "1e6 rows, geographic, line by line": partial(importing, geographic=True, interleaved=False),
    "1e6 rows, projected, lines interleaved": partial(importing, geographic=False, interleaved=True),
}

if __name__ == "__main__":
    main(__spec__.name, CASES, rounds=3, warm=False)
