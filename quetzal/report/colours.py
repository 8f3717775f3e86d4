"""Colours: perceptually even maps, and the stretch that spreads them over the data.

The maps are built in Oklab (Ottosson, 2020, "A perceptual color space for image processing"): a
smooth curve through a few anchor colours, walked in steps of equal perceived difference, so that
no false edge appears where the data are smooth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator
from scipy.interpolate import PchipInterpolator

from pipelines.errors import ParameterError

LEVELS = 512
QUANTILES = 256
FINEST = 1e-9  # of the range: knots closer than this are one
TINY = 1e-290  # a range below it has no room for a slope in float64
SAMPLE = 1_000_000  # cells the stretch is measured on

# Ottosson (2020): linear sRGB to cone response, and its cube root to Oklab.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

# Anchors, low to high. "survey" is the blue-to-magenta order that exploration maps are read in.
ANCHORS: dict[str, tuple[str, ...]] = {
    "survey": (
        "#1b2a8f", "#1f5fd0", "#1f9bd6", "#2fb9a6", "#58bf5a", "#b5cf3e",
        "#f3d63b", "#f6a32c", "#ea6326", "#d62a3a", "#c93a8c", "#e58fd0",
    ),
    "amplitude": ("#16122e", "#3b1f6b", "#7c2a7e", "#bf3f6b", "#ec6f4a", "#f7b25a", "#fdf3c4"),
    "diverging": ("#17325f", "#2d6ab0", "#7fb2dc", "#f2f2ef", "#eda57f", "#c8503b", "#6d1526"),
}  # fmt: skip

Scale = Literal["quantile", "symmetric", "linear"]


@dataclass(frozen=True, slots=True)
class Style:
    """How a kind of grid is drawn.

    Attributes
    ----------
    colour_map : str
        One of `ANCHORS`, or a matplotlib name.
    scale : str
        ``quantile``: as many cells in each colour; ``symmetric``: zero in the middle, quantiles of
        the absolute value; ``linear``: from *limits*.
    limits : tuple of float, optional
        Fixed range, for ``linear``.
    relief : float
        Strength of the hillshade, 0 to 1; less where noise is already drawn out.
    """

    colour_map: str
    scale: Scale
    limits: tuple[float, float] | None = None
    relief: float = 0.7


# By variable; what is not here is drawn as DEFAULT_STYLE.
STYLES: dict[str, Style] = {
    "derivative_easting": Style("diverging", "symmetric", relief=0.45),
    "derivative_northing": Style("diverging", "symmetric", relief=0.45),
    "derivative_upward": Style("diverging", "symmetric", relief=0.45),
    "band_passed": Style("diverging", "symmetric", relief=0.45),
    "tilt_angle": Style("diverging", "linear", (-np.pi / 2, np.pi / 2), relief=0.35),
    "analytic_signal": Style("amplitude", "quantile", relief=0.5),
    "total_horizontal_derivative": Style("amplitude", "quantile", relief=0.5),
}
DEFAULT_STYLE = Style("survey", "quantile")


@dataclass(frozen=True, eq=False)
class Stretch:
    """A monotonic map from values to [0, 1], the place in a colour map.

    It is global: a part of a grid has the colours it has in the whole.

    Attributes
    ----------
    values, places : ndarray
        Knots, both ascending; linear between them.
    """

    values: np.ndarray
    places: np.ndarray

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """Return places; NaN stays NaN."""
        return np.asarray(np.interp(data, self.values, self.places))

    def inverse(self, places: np.ndarray | float) -> np.ndarray:
        """Return the values at *places*."""
        return np.asarray(np.interp(places, self.places, self.values))

    def ticks(self, count: int = 7) -> np.ndarray:
        """Return about *count* round values whose places are spread over the colour bar."""
        if len(self.values) == 2:  # linear: even steps
            low, high = self.values
            even = np.asarray(MaxNLocator(count - 1, steps=[1, 2, 5, 10]).tick_values(low, high))
            inside = even[(even >= low) & (even <= high)]
            return inside if len(inside) > 1 else self.values
        wanted = self.inverse(np.linspace(0.02, 0.98, count))
        gaps = np.diff(wanted)
        steps = np.concatenate([gaps[:1], np.minimum(gaps[:-1], gaps[1:]), gaps[-1:]])
        rounded = [_round_to(value, step / 2) for value, step in zip(wanted, steps, strict=True)]
        ticks = np.unique([v for v in rounded if self.values[0] <= v <= self.values[-1]])
        if len(ticks) < 2:
            return np.unique(self.values[[0, -1]])
        places = self(ticks)
        keep = [0]
        for i in range(1, len(ticks)):
            if places[i] - places[keep[-1]] >= 0.5 / count:
                keep.append(i)
        return np.asarray(ticks[keep])


def style_of(name: str | None) -> Style:
    """Return the style of the variable *name*."""
    return STYLES.get(str(name), DEFAULT_STYLE)


def stretch_of(
    values: np.ndarray, scale: Scale = "quantile", limits: tuple[float, float] | None = None
) -> Stretch:
    """Measure the stretch of *values*.

    Parameters
    ----------
    values : ndarray
        Any shape; NaN is left out.
    scale : str
        See `Style`.
    limits : tuple of float, optional
        Range for ``linear``; by default that of the data.

    Raises
    ------
    ParameterError
        If there is no finite value or the scale is unknown.
    """
    finite = values[np.isfinite(values)].astype(float)
    if finite.size == 0:
        raise ParameterError("values", "no finite cell", "must hold data; a map of nothing cannot be drawn")
    finite = finite[:: max(1, finite.size // SAMPLE)] if finite.size > 2 * SAMPLE else finite
    places = np.linspace(0, 1, QUANTILES + 1)
    if scale == "linear":
        low, high = limits or (finite.min(), finite.max())
        knots = np.array([low, high])
        places = np.array([0.0, 1.0])
    elif scale == "quantile":
        knots = np.quantile(finite, places)
        knots[[0, -1]] = finite.min(), finite.max()
    elif scale == "symmetric":
        half = np.quantile(np.abs(finite), places)
        half[0] = 0.0
        knots = np.concatenate([-half[:0:-1], half])
        places = np.concatenate([0.5 - places[:0:-1] / 2, 0.5 + places / 2])
    else:
        raise ParameterError("stretch", scale, "must be quantile, symmetric or linear")
    width = knots[-1] - knots[0]
    if width <= 1e-12 * np.abs(knots).max() + TINY:  # a constant grid: one colour, the middle one
        half = 1e-6 * abs(knots[0]) + 1e-9
        return Stretch(np.array([knots[0] - half, knots[0] + half]), np.array([0.0, 1.0]))
    # Equal quantiles (a flat patch) would make the map ambiguous: each value keeps its mean place.
    steps = np.rint((knots - knots[0]) / width / FINEST)
    _, start, count = np.unique(steps, return_index=True, return_counts=True)
    middle = (places[start] + places[start + count - 1]) / 2
    middle[0], middle[-1] = places[0], places[-1]
    unique = knots[start]
    unique[-1] = knots[-1]
    return Stretch(unique, middle)


@cache
def colour_table(name: str) -> np.ndarray:
    """Return `LEVELS` sRGB colours of the map *name*, float32 in [0, 1], shape (LEVELS, 3)."""
    if name in ANCHORS:
        return _even_table([to_rgb(anchor) for anchor in ANCHORS[name]]).astype("float32")
    try:
        colours = matplotlib.colormaps[name](np.linspace(0, 1, LEVELS))[:, :3]
    except KeyError:
        known = ", ".join(ANCHORS)
        raise ParameterError(
            "colour_map", name, f"is unknown; take {known} or a name of matplotlib's"
        ) from None
    return np.asarray(colours, dtype="float32")


def colourise(places: np.ndarray, name: str) -> np.ndarray:
    """Return sRGB in [0, 1] for places in [0, 1], float32, shape ``places.shape + (3,)``; NaN as NaN."""
    table = colour_table(name)
    missing = np.isnan(places)
    index = np.where(missing, 0, np.clip(places, 0, 1)) * (LEVELS - 1)
    colours = table[np.rint(index).astype(np.intp)]
    colours[missing] = np.nan
    return np.asarray(colours)


def to_oklab(srgb: np.ndarray) -> np.ndarray:
    """Turn sRGB in [0, 1], shape (..., 3), into Oklab."""
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_OKLAB.T)


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Turn Oklab into sRGB in [0, 1]; colours outside sRGB are clipped."""
    linear = np.clip((lab @ np.linalg.inv(_TO_OKLAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def _even_table(anchors: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Walk a smooth curve through *anchors* in `LEVELS` equal perceived steps."""
    curve = PchipInterpolator(np.linspace(0, 1, len(anchors)), to_oklab(np.array(anchors)))
    fine = np.linspace(0, 1, 20 * LEVELS)
    # Measured on the colours as shown, after clipping to sRGB.
    path = to_oklab(from_oklab(curve(fine)))
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return from_oklab(curve(np.interp(np.linspace(0, length[-1], LEVELS), length, fine)))


def _round_to(value: float, step: float) -> float:
    """Round *value* to the nearest multiple of the largest 1, 2 or 5 times a power of ten below *step*."""
    if not np.isfinite(step) or step <= 0:
        return float(f"{value:.3g}")
    power = 10.0 ** np.floor(np.log10(step))
    unit = max(u * power for u in (1, 2, 5) if u * power <= step * (1 + 1e-9))
    return float(f"{np.rint(value / unit) * unit:.12g}")
