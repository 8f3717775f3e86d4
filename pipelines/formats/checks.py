"""What looks wrong in a survey that was read without fault: told, never changed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipelines.formats.columns import MAGNETIC, TOTAL_FIELD_RANGE

# Larger anomalies exist only on the ground over iron ore (Kursk: some 150 000 nT); diurnal variation
# reaches 2 000 nT in the greatest storms.
PLAUSIBLE = {
    "total_field": TOTAL_FIELD_RANGE,
    "base_field": TOTAL_FIELD_RANGE,
    "reference_field": TOTAL_FIELD_RANGE,
    "total_field_anomaly": (-50_000.0, 50_000.0),
    "diurnal": (-3_000.0, 3_000.0),
}
SPIKE = 50.0  # times the median of the fourth differences: five times what Gaussian noise reaches in 1e6
JUMP = 50.0  # times the median step along lines
SHORTEST_JUMP = 500.0  # metres; gaps are ordinary, another place is not
# Neighbouring UTM zones lie 667 km apart on the equator and 120 km at 80 degrees of latitude; blocks of one
# survey lie closer together.
APART = 50_000.0  # metres
BINS = 1024  # of the extent, to find what is empty; a gap to be told of is many of them wide
REVERSALS = 0.01  # share of points; a line turns back where it was flown again, not on its way


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something to look at: the field, what it is, how often, and the first place (point index)."""

    field: str
    problem: str
    count: int
    first_point: int | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def find_suspicions(survey: xr.Dataset) -> list[Suspicion]:
    """Look through a survey for what a person should look at before trusting it.

    Checked are, for channels: only nulls, constant, outside what the Earth gives, spikes; for positions:
    repeated points, jumps and places far from each other; for lines: of one point, and time running
    backwards.

    Parameters
    ----------
    survey : Dataset
        A survey; channels are read one after the other, so memory stays that of a few columns.
    """
    found: list[Suspicion] = []
    line = np.asarray(survey["line_index"].values)
    found += _positions(np.asarray(survey["easting"].values), np.asarray(survey["northing"].values), line)
    if "time" in survey:
        found += _times(np.asarray(survey["time"].values), line)
    size = np.asarray(survey["line_size"].values)
    single = np.flatnonzero(size == 1)
    if single.size and size.size > 1:
        names = ", ".join(str(n) for n in survey["line_name"].values[single[:5]])
        more = ", …" if single.size > 5 else ""
        found.append(
            Suspicion(
                "line",
                f"{single.size} lines have one point ({names}{more})",
                int(single.size),
                int(survey["line_start"].values[single[0]]),
            )
        )
    for name in [*survey.data_vars, *(["upward"] if "upward" in survey.coords else [])]:
        if survey[name].dims == ("point",) and survey[name].dtype.kind == "f":
            found += _channel(str(name), np.asarray(survey[name].values), line)
    return found


def _channel(name: str, values: np.ndarray, line: np.ndarray) -> list[Suspicion]:
    known = ~np.isnan(values)
    count = int(known.sum())
    if count == 0:
        return [Suspicion(name, "holds nothing but nulls", values.size, 0)]
    found = []
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low == high and count > 1:
        found.append(Suspicion(name, f"is {low:g} everywhere", count, int(np.argmax(known))))
    if name in PLAUSIBLE:
        least, most = PLAUSIBLE[name]
        outside = known & ((values < least) | (values > most))
        if outside.any():
            problem = f"{outside.sum():,} values lie outside {least:,.0f} to {most:,.0f} nT"
            found.append(Suspicion(name, problem, int(outside.sum()), int(np.argmax(outside))))
    if name in MAGNETIC and values.size > 5:
        fourth = np.abs(values[:-4] - 4 * values[1:-3] + 6 * values[2:-2] - 4 * values[3:-1] + values[4:])
        fourth[line[:-4] != line[4:]] = np.nan
        usual = fourth[~np.isnan(fourth)]
        # The median of the positive ones: rounded data have mostly zeros.
        middle = float(np.median(usual[usual > 0])) if (usual > 0).any() else 0.0
        spikes = np.flatnonzero(fourth > SPIKE * middle) if middle > 0 else np.empty(0, dtype=int)
        if spikes.size:
            share = spikes.size / values.size
            problem = (
                f"{spikes.size:,} points ({share:.2%}) stand out in the fourth difference: spikes or steps"
            )
            found.append(Suspicion(name, problem, int(spikes.size), int(spikes[0]) + 2))
    return found


def _positions(easting: np.ndarray, northing: np.ndarray, line: np.ndarray) -> list[Suspicion]:
    found = []
    # Equal positions have equal sums of bits; sorting one integer a point is quick and small.
    bits = easting.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ northing.view(np.uint64)
    order = np.argsort(bits, kind="stable")
    same = bits[order[1:]] == bits[order[:-1]]
    same &= (easting[order[1:]] == easting[order[:-1]]) & (northing[order[1:]] == northing[order[:-1]])
    if same.any():
        problem = f"{same.sum():,} points lie exactly where another one lies"
        found.append(Suspicion("position", problem, int(same.sum()), int(order[1:][same].min())))
    step = np.hypot(np.diff(easting), np.diff(northing))
    step[np.diff(line) != 0] = np.nan
    moved = step[step > 0]
    if moved.size:
        jumps = np.flatnonzero(step > max(JUMP * float(np.median(moved)), SHORTEST_JUMP))
        if jumps.size:
            largest = float(np.nanmax(step)) / 1000
            problem = f"{jumps.size:,} jumps within lines, the largest of {largest:,.1f} km"
            found.append(Suspicion("position", problem, int(jumps.size), int(jumps[0]) + 1))
    found += _places(easting, northing)
    east, north = np.diff(easting), np.diff(northing)
    back = (east[1:] * east[:-1] + north[1:] * north[:-1] < 0) & (line[2:] == line[:-2])
    if back.sum() > REVERSALS * easting.size:
        share = back.sum() / easting.size
        problem = f"the way along lines turns back at {back.sum():,} points ({share:.1%}): are rows in order?"
        found.append(Suspicion("position", problem, int(back.sum()), int(np.argmax(back)) + 1))
    return found


def _places(easting: np.ndarray, northing: np.ndarray) -> list[Suspicion]:
    """Find points in places that lie further apart than any of them is wide.

    What one projection draws in one place, two zones or two CRSs in one file draw in two, and where the
    change comes between lines no line has a jump.
    """
    found: list[tuple[float, Suspicion]] = []
    for name, along in (("easting", easting), ("northing", northing)):
        if along.size < 2 or np.ptp(along) < APART:
            continue
        filled, edges = np.histogram(along, BINS)
        inside = np.flatnonzero(filled)
        begins, ends = edges[inside], edges[inside + 1]
        empty = begins[1:] - ends[:-1]
        breaks = np.flatnonzero(empty > APART)
        if not breaks.size:
            continue
        widths = ends[np.append(breaks, -1)] - begins[np.insert(breaks + 1, 0, 0)]
        widest = breaks[np.argmax(empty[breaks])]
        below = along < (ends[widest] + begins[widest + 1]) / 2
        gap = float(along[~below].min() - along[below].max())
        if gap <= widths.max():
            continue
        other = below != below[0]  # the places on the far side of the gap, seen from the first point
        problem = (
            f"points lie in {breaks.size + 1} places {gap / 1000:,.0f} km apart in {name} "
            f"({(~other).sum():,} and {other.sum():,} points): two zones or CRSs in one file?"
        )
        found.append((gap, Suspicion("position", problem, int(other.sum()), int(np.argmax(other)))))
    return [max(found, key=lambda entry: entry[0])[1]] if found else []


def _times(time: np.ndarray, line: np.ndarray) -> list[Suspicion]:
    missing = np.isnat(time)
    found = []
    if missing.any():
        problem = f"{missing.sum():,} points have no time"
        found.append(Suspicion("time", problem, int(missing.sum()), int(np.argmax(missing))))
    back = np.flatnonzero((np.diff(time) < np.timedelta64(0)) & (np.diff(line) == 0))
    if back.size:
        lines = np.unique(line[back]).size
        problem = f"runs backwards {back.size:,} times, in {lines:,} lines"
        found.append(Suspicion("time", problem, int(back.size), int(back[0]) + 1))
    return found
