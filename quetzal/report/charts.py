"""Charts as PNG: the radially averaged power spectrum with its depths."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.errors import DataError
from quetzal.report.layout import HAIR, INK, PAPER, QUIET, save

SIZE = (6.6, 4.3)
SEGMENT_COLOURS = ("#d62a3a", "#1f5fd0", "#2f8f5b", "#b3661a")
SPECTRUM_NAMES = ("log_power", "ln_power", "power")


@dataclass(frozen=True, slots=True)
class DepthSegment:
    """A straight part of the spectrum: ln power falls by twice the depth per unit of wavenumber.

    Attributes
    ----------
    start, stop : float
        Wavenumbers between which it holds [rad/m].
    depth : float
        Depth of the sources below the observation surface [m] (Spector & Grant, 1970).
    uncertainty : float, optional
        Standard error of *depth* [m].
    """

    start: float
    stop: float
    depth: float
    uncertainty: float | None = None


def log_power_of(spectrum: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """Return ln power against ``wavenumber`` from a spectrum in either form.

    Raises
    ------
    DataError
        If there is no spectrum in it.
    """
    if isinstance(spectrum, xr.Dataset):
        name = next((n for n in SPECTRUM_NAMES if n in spectrum), None)
        if name is None:
            raise DataError(
                "spectrum", list(spectrum.data_vars), f"must hold one of {', '.join(SPECTRUM_NAMES)}"
            )
        spectrum = spectrum[name]
    if spectrum.dims != ("wavenumber",):
        raise DataError("dimensions of the spectrum", spectrum.dims, "must be ('wavenumber',)")
    if str(spectrum.name).startswith(("log", "ln")):
        return spectrum
    positive = spectrum.where(spectrum > 0)
    return positive.copy(data=np.log(positive.values)).rename("log_power")


def draw_spectrum(
    spectrum: xr.Dataset | xr.DataArray,
    path: Path | str,
    *,
    title: str,
    segments: Sequence[DepthSegment] = (),
    dpi: int = 150,
) -> Path:
    """Draw ln power against radial wavenumber, with depth segments and wavelengths.

    Parameters
    ----------
    spectrum : Dataset or DataArray
        ``power`` or ``log_power`` over ``wavenumber`` [rad/m].
    path : Path or str
        PNG to write.
    title : str
        Heading.
    segments : sequence of DepthSegment
        Straight parts, each drawn through the spectrum's mean over its range.
    dpi : int
        Pixels an inch.
    """
    power = log_power_of(spectrum)
    wavenumber = power["wavenumber"].values * 1000.0  # rad/km: numbers people can read
    values = power.values
    shown = np.isfinite(values) & (wavenumber > 0)
    if not shown.any():
        raise DataError("spectrum", "no finite value", "must hold power at some wavenumber above zero")
    figure = Figure(figsize=SIZE, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.13, 0.87, 0.66))
    figure.text(0.1, 0.965, title, size=12, weight="bold", color=INK, va="top", parse_math=False)
    axes.plot(wavenumber[shown], values[shown], color=HAIR, lw=1.0, zorder=2)
    axes.plot(wavenumber[shown], values[shown], ".", color=INK, ms=3.2, zorder=3)
    for number, segment in enumerate(segments):
        _draw_segment(axes, segment, wavenumber, values, SEGMENT_COLOURS[number % len(SEGMENT_COLOURS)])
    axes.set_xlim(0, wavenumber[shown].max() * 1.02)
    axes.set_xlabel("Radial wavenumber (rad/km)", size=8.5, color=QUIET)
    axes.set_ylabel("ln power", size=8.5, color=QUIET)
    axes.grid(color="#e6e8ea", lw=0.6)
    _label_wavelengths(axes)
    for name, spine in axes.spines.items():
        spine.set(linewidth=0.6, color=INK, visible=name in {"left", "bottom", "top"})
    axes.tick_params(labelsize=8, width=0.6, length=3, color=INK, labelcolor=INK)
    if segments:
        axes.legend(frameon=False, fontsize=8, loc="upper right", labelcolor=INK)
    return save(figure, path, dpi)


def _draw_segment(
    axes: Axes, segment: DepthSegment, wavenumber: np.ndarray, values: np.ndarray, colour: str
) -> None:
    low, high = segment.start * 1000, segment.stop * 1000
    inside = np.isfinite(values) & (wavenumber >= low) & (wavenumber <= high)
    if not inside.any():
        return
    slope = -2 * segment.depth / 1000  # per rad/km
    level = values[inside].mean() - slope * wavenumber[inside].mean()
    error = f" ± {segment.uncertainty:.0f}" if segment.uncertainty is not None else ""
    ends = np.array([low, high])
    axes.plot(
        ends,
        level + slope * ends,
        color=colour,
        lw=2.2,
        zorder=4,
        label=f"depth {segment.depth:.0f}{error} m",
    )


def _label_wavelengths(axes: Axes) -> None:
    """Put round wavelengths on the upper edge; a second axis, since they are not even in wavenumber."""
    high = axes.get_xlim()[1]
    shortest = 2 * np.pi / high  # km
    upper = axes.twiny()
    upper.set_xlim(axes.get_xlim())
    powers = 10.0 ** np.arange(np.floor(np.log10(shortest)), 6)
    round_values = (powers[:, None] * np.array([1, 2, 5])).ravel()
    places = 2 * np.pi / round_values
    kept: list[int] = []
    for i in np.argsort(places)[::-1]:
        far = not kept or places[kept[-1]] - places[i] > 0.075 * high
        if places[i] <= high and places[i] > 0.03 * high and far:
            kept.append(int(i))
    labels = [f"{1000 * w:g} m" if w < 1 else f"{w:g} km" for w in round_values[kept]]
    upper.set_xticks(places[kept], labels=labels)
    upper.tick_params(labelsize=7.5, width=0.6, length=3, color=QUIET, labelcolor=QUIET)
    upper.set_xlabel("Wavelength", size=8, color=QUIET, labelpad=4)
    for spine in upper.spines.values():
        spine.set_visible(False)
