"""The furniture of a map sheet: frame, coordinates, scale bar, north arrow, colour bar, caption.

Everything is placed in inches from the lower left corner, so that nothing collides whatever the
survey's shape. matplotlib's object interface alone is used: no global state, safe in threads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Polygon, Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from pipelines.formats.exporting import written_aside
from quetzal.report.colours import Stretch, colour_table

INK, QUIET, HAIR = "#1d1f21", "#5b6066", "#9aa0a6"
PAPER = "#ffffff"
MAP_WIDTH, MAP_HEIGHT = 6.1, 6.6  # inches: the largest map
LEFT, RIGHT, TOP, BOTTOM = 0.72, 1.18, 0.78, 1.18
MINIMUM_WIDTH = 4.2  # inches of map, so that a title and a scale bar fit
LOW = 2.0  # inches of map below which the furniture on its side does not fit
KILOMETRES_FROM = 4000.0  # metres of extent


@dataclass(frozen=True, slots=True)
class Extent:
    """Outline of what is drawn [m]: outer edges of the cells."""

    west: float
    east: float
    south: float
    north: float

    @property
    def width(self) -> float:
        """Metres from west to east."""
        return self.east - self.west

    @property
    def height(self) -> float:
        """Metres from south to north."""
        return self.north - self.south

    @property
    def image(self) -> tuple[float, float, float, float]:
        """As `imshow` wants it."""
        return self.west, self.east, self.south, self.north

    def padded(self, share: float) -> "Extent":
        """Return the extent with *share* of its longer side around it."""
        edge = share * max(self.width, self.height, 1.0)
        return Extent(self.west - edge, self.east + edge, self.south - edge, self.north + edge)


@dataclass(frozen=True, eq=False)
class Sheet:
    """A figure with a map frame, and where its furniture goes [inches]."""

    figure: Figure
    axes: Axes
    size: tuple[float, float]
    frame: tuple[float, float, float, float]

    def add_axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes placed in inches."""
        w, h = self.size
        return self.figure.add_axes((left / w, bottom / h, width / w, height / h))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write at a place in inches."""
        # A dollar sign in a name is a dollar sign, not the start of a formula.
        self.figure.text(x / self.size[0], y / self.size[1], text, parse_math=False, **style)


def open_sheet(extent: Extent, title: str, subtitle: str = "", *, right: float = RIGHT) -> Sheet:
    """Start a sheet whose map has the shape of *extent*, with title and coordinates."""
    scale = min(MAP_WIDTH / extent.width, MAP_HEIGHT / extent.height)
    width, height = extent.width * scale, extent.height * scale
    outer = max(width, MINIMUM_WIDTH)
    left = LEFT + (outer - width) / 2
    lines = wrapped(title, 13, outer + right - 0.15, "bold")
    top = TOP + 0.21 * (len(lines) - 1)
    size = (LEFT + outer + right, BOTTOM + height + top)
    figure = Figure(figsize=size, facecolor=PAPER)
    FigureCanvasAgg(figure)
    sheet = Sheet(
        figure,
        figure.add_axes((left / size[0], BOTTOM / size[1], width / size[0], height / size[1])),
        size,
        (left, BOTTOM, width, height),
    )
    y = BOTTOM + height + top - 0.2
    for number, line in enumerate(lines):
        sheet.text(LEFT, y - 0.21 * number, line, size=13, weight="bold", color=INK, va="top")
    sheet.text(LEFT, BOTTOM + height + 0.14, subtitle, size=8.5, color=QUIET, va="bottom")
    label_coordinates(sheet.axes, extent)
    return sheet


def label_coordinates(axes: Axes, extent: Extent, *, size: float = 7.5, names: bool = True) -> None:
    """Label the frame with coordinates in km or m, and mark their crossings by small crosses."""
    unit, divisor = ("km", 1000.0) if max(extent.width, extent.height) >= KILOMETRES_FROM else ("m", 1.0)
    axes.set_xlim(extent.west, extent.east)
    axes.set_ylim(extent.south, extent.north)
    longest = max(extent.width, extent.height)
    for axis, length, low, high in (
        (axes.xaxis, extent.width, extent.west, extent.east),
        (axes.yaxis, extent.height, extent.south, extent.north),
    ):
        bins = max(2, round((6 if names else 4) * length / longest))
        locator = MaxNLocator(bins, steps=[1, 2, 5, 10])
        ticks = np.asarray(locator.tick_values(low / divisor, high / divisor)) * divisor
        # Labels too near a corner would run into those of the other axis.
        inset = 0.03 * longest
        ticks = ticks[(ticks >= low + inset) & (ticks <= high - inset)]
        axis.set_major_locator(FixedLocator(ticks.tolist()))
        decimals = _decimals(ticks / divisor)
        axis.set_major_formatter(FuncFormatter(lambda v, _, d=divisor, n=decimals: f"{v / d:.{n}f}"))
    axes.tick_params(length=3, width=0.6, color=INK, labelsize=size, labelcolor=INK, top=True, right=True)
    for label in axes.get_yticklabels():
        label.set(rotation=90, va="center")
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=INK)
    x, y = np.meshgrid(axes.get_xticks(), axes.get_yticks())
    axes.plot(x.ravel(), y.ravel(), "+", color=INK, ms=5, mew=0.45, alpha=0.55, zorder=5)
    if names:
        axes.set_xlabel(f"Easting ({unit})", size=8, color=QUIET, labelpad=3)
        axes.set_ylabel(f"Northing ({unit})", size=8, color=QUIET, labelpad=3)


def add_colour_bar(sheet: Sheet, stretch: Stretch, colour_map: str, units: str) -> None:
    """Draw the colour bar right of the map; ticks are values, at their places in the stretch."""
    left, bottom, width, height = sheet.frame
    # A low map gives its whole side to the bar, others leave the top to the north arrow.
    length = max(height, 0.5) if _is_low(sheet) else min(0.62 * height, 3.2)
    bar = sheet.add_axes(left + width + 0.2, bottom, 0.17, length)
    ticks = stretch.ticks(int(np.clip(length / 0.3, 3, 9)))
    fill_colour_bar(bar, stretch, colour_map, ticks, size=7.5)
    bar.set_title(units, size=8, color=QUIET, loc="left", pad=5, parse_math=False)


def fill_colour_bar(bar: Axes, stretch: Stretch, colour_map: str, ticks: np.ndarray, *, size: float) -> None:
    """Draw the colours from low to high and label *ticks* in real units."""
    bar.imshow(
        colour_table(colour_map)[:, None, :], origin="lower", aspect="auto", extent=(0, 1, 0, 1),
        interpolation="nearest",
    )  # fmt: skip
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.set_yticks(stretch(ticks), labels=tick_labels(ticks))
    bar.tick_params(length=2.5, width=0.5, color=INK, labelsize=size, labelcolor=INK, pad=2)
    for spine in bar.spines.values():
        spine.set(linewidth=0.5, color=INK)


def add_north_arrow(sheet: Sheet) -> None:
    """Draw an arrow to grid north: right of the map at its top, or of the foot under a low map."""
    left, bottom, width, height = sheet.frame
    if _is_low(sheet):
        arrow = sheet.add_axes(sheet.size[0] - 0.45, 0.1, 0.3, 0.55)
    else:
        arrow = sheet.add_axes(left + width + 0.14, bottom + height - 0.55, 0.3, 0.55)
    arrow.set(xlim=(-1, 1), ylim=(0, 3.67))
    arrow.set_axis_off()
    arrow.add_patch(Polygon([(0, 2.5), (-0.62, 0), (0, 0.6)], facecolor=INK, edgecolor=INK, lw=0.6))
    arrow.add_patch(Polygon([(0, 2.5), (0.62, 0), (0, 0.6)], facecolor=PAPER, edgecolor=INK, lw=0.6))
    arrow.text(0, 2.72, "N", ha="center", va="bottom", size=8.5, weight="bold", color=INK)


def add_foot(sheet: Sheet, extent: Extent, crs_name: str, caption: str) -> None:
    """Draw the scale bar, and beside it the CRS and a caption in at most four lines."""
    width = sheet.frame[2]
    metres_per_inch = extent.width / width
    length = round_length(0.3 * max(width, MINIMUM_WIDTH) * metres_per_inch)
    inches = length / metres_per_inch
    bar = sheet.add_axes(LEFT, 0.4, inches, 0.065)
    bar.set(xlim=(0, 4), ylim=(0, 1), xticks=[], yticks=[])
    for part in range(4):
        bar.add_patch(Rectangle((part, 0), 1, 1, facecolor=INK if part % 2 == 0 else PAPER, lw=0))
    for spine in bar.spines.values():
        spine.set(linewidth=0.6, color=INK)
    unit, divisor = ("km", 1000.0) if length >= 1000 else ("m", 1.0)
    for share, label in ((0, "0"), (0.5, f"{length / divisor / 2:g}"), (1, f"{length / divisor:g} {unit}")):
        sheet.text(LEFT + share * inches, 0.37, label, ha="center", va="top", size=7.5, color=INK)
    room = sheet.size[0] - LEFT - inches - 0.9 - (0.4 if _is_low(sheet) else 0.0)
    lines = [line for text in (crs_name, caption) if text for line in wrapped(text, 7, room)][:5]
    sheet.text(LEFT + inches + 0.55, 0.6, "\n".join(lines), va="top", size=7, color=QUIET, linespacing=1.35)


def _is_low(sheet: Sheet) -> bool:
    """Whether the map is too low for a north arrow above the colour bar."""
    return sheet.frame[3] < LOW


def save(figure: Figure, path: Path | str, dpi: int) -> Path:
    """Write *figure* as PNG, aside first, so that a picture is whole or not there."""
    final = Path(path)
    with written_aside(final) as aside:
        figure.savefig(aside, dpi=dpi, format="png", metadata={"Software": "Quetzal"})
    return final


def wrapped(text: str, size: float, inches: float, weight: str = "normal") -> list[str]:
    """Break *text* into lines that fit *inches*, by the true width of its letters at *size* points."""
    font = FontProperties(size=size, weight=weight)
    room = inches * 72
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, font) <= room:
            lines[-1] = longer
            continue
        while len(word) > 1 and _width(word, font) > room:  # no place to break: cut
            fits = next((n for n in range(len(word) - 1, 1, -1) if _width(word[:n], font) <= room), 1)
            lines.append(word[:fits])
            word = word[fits:]
        lines.append(word)
    return lines or [""]


def _width(text: str, font: FontProperties) -> float:
    """Width in points."""
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def round_length(metres: float) -> float:
    """Return the largest 1, 2, 3 or 5 times a power of ten not above *metres*."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(max(u * power for u in (1, 2, 3, 5) if u * power <= metres * (1 + 1e-9)))


def tick_labels(ticks: np.ndarray) -> list[str]:
    """Label values with the fewest decimals that tell them apart, a true minus, thin thousands."""
    ticks = np.asarray(ticks) + 0.0  # no minus before a zero
    decimals = _decimals(ticks)
    largest = float(np.max(np.abs(ticks), initial=0))
    if decimals > 5 or largest >= 1e7:
        return [f"{v:.2g}".replace("-", "\N{MINUS SIGN}") for v in ticks]
    # U+2009 THIN SPACE groups thousands from 10,000 on.
    group = "," if largest >= 1e4 else ""
    return [
        f"{v:{group}.{decimals}f}".replace(",", "\N{THIN SPACE}").replace("-", "\N{MINUS SIGN}")
        for v in ticks
    ]


def _decimals(values: np.ndarray) -> int:
    """Fewest decimals that write every value exactly (to rounding), at most eight."""
    for decimals in range(8):
        if np.allclose(values, np.round(values, decimals), rtol=1e-9, atol=1e-12):
            return decimals
    return 8
