"""Bodies of known shape and depth: blocks (dykes, sills), zoned intrusions, pipes and ore lenses.

Each body says exactly what it is (the answer that a depth estimate or an inversion should find) and
becomes prisms and dipoles whose fields are exact. A block may strike in any direction: it is a right
prism in a frame turned by its strike, so points and vectors are turned into that frame and back.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipelines.mag.field import MU_0, direction
from pipelines.mag.forward import Dipole, Prism, total_field_anomaly

Vector = tuple[float, float, float]


class MainField(NamedTuple):
    """The main field of a scene: nT, degrees positive down, degrees positive east of grid north."""

    intensity: float
    inclination: float
    declination: float


@dataclass(frozen=True, slots=True)
class Remanence:
    """Permanent magnetisation: A/m, degrees positive down, degrees positive east of grid north."""

    intensity: float
    inclination: float
    declination: float


@dataclass(frozen=True, slots=True)
class Block:
    """A vertical-sided block: a dyke when thin and long, a sill when flat.

    Attributes
    ----------
    name : str
        Unique in its scene.
    kind : str
        What a geologist would call it, for instance "dyke".
    easting, northing : float
        Centre, metres.
    strike : float
        Direction of its length, degrees clockwise from grid north.
    length, width : float
        Along and across strike, metres.
    top, bottom : float
        Elevations, metres upward.
    susceptibility : float
        SI.
    remanence : Remanence, optional
        Added to the induced magnetisation.
    """

    name: str
    kind: str
    easting: float
    northing: float
    strike: float
    length: float
    width: float
    top: float
    bottom: float
    susceptibility: float
    remanence: Remanence | None = None

    def prisms(self, main: MainField) -> list[Prism]:
        """Return the block as a prism about the origin, northing along strike."""
        vector = magnetisation(self.susceptibility, self.remanence, main, self.strike)
        half_width, half_length = self.width / 2, self.length / 2
        return [Prism(-half_width, half_width, -half_length, half_length, self.bottom, self.top, vector)]


@dataclass(frozen=True, slots=True)
class Intrusion:
    """A vertical-sided elliptical intrusion with a rim and a core; a pipe when small and round.

    The ellipse is cut into `slices` across its long axis, each a prism as long as the ellipse is
    wide on average over it, so that the cross-section of the whole is kept.

    Attributes
    ----------
    name, kind : str
        As for `Block`.
    easting, northing : float
        Centre, metres.
    strike : float
        Direction of the long axis, degrees clockwise from grid north.
    major, minor : float
        Half axes, metres.
    core : float
        Size of the core over that of the whole, 0 to 1; 0 for an intrusion without zones.
    top, bottom : float
        Elevations, metres upward.
    susceptibility, core_susceptibility : float
        Of the rim and of the core, SI.
    remanence : Remanence, optional
        Of rim and core.
    slices : int
        Prisms that make up the ellipse.
    """

    name: str
    kind: str
    easting: float
    northing: float
    strike: float
    major: float
    minor: float
    core: float
    top: float
    bottom: float
    susceptibility: float
    core_susceptibility: float
    remanence: Remanence | None = None
    slices: int = 14

    def prisms(self, main: MainField) -> list[Prism]:
        """Return the intrusion as prisms about the origin, northing along strike."""
        rim = magnetisation(self.susceptibility, self.remanence, main, self.strike)
        parts = self._ellipse(1.0, rim)
        if self.core > 0:
            # The rim's prisms fill the core as well: there only the difference is added.
            change = self.core_susceptibility - self.susceptibility
            parts += self._ellipse(self.core, magnetisation(change, None, main, self.strike))
        return parts

    def _ellipse(self, scale: float, vector: Vector) -> list[Prism]:
        edges = np.linspace(-1.0, 1.0, self.slices + 1)
        # Integral of sqrt(1 - t^2): the mean half width of each slice follows from its area.
        area = (edges * np.sqrt(1 - edges**2) + np.arcsin(edges)) / 2
        half_widths = np.diff(area) / np.diff(edges) * self.minor * scale
        along = edges * self.major * scale
        return [
            Prism(-float(w), float(w), float(a), float(b), self.bottom, self.top, vector)
            for w, a, b in zip(half_widths, along[:-1], along[1:], strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Lens:
    """A compact ore lens, seen from the aircraft as the dipole of its volume.

    Attributes
    ----------
    name, kind : str
        As for `Block`.
    easting, northing, upward : float
        Centre, metres.
    volume : float
        Cubic metres.
    susceptibility : float
        SI.
    remanence : Remanence, optional
        Added to the induced magnetisation.
    """

    name: str
    kind: str
    easting: float
    northing: float
    upward: float
    volume: float
    susceptibility: float
    remanence: Remanence | None = None

    def dipole(self, main: MainField) -> Dipole:
        """Return the lens as a dipole in the scene's own frame."""
        m_e, m_n, m_u = magnetisation(self.susceptibility, self.remanence, main, 0.0)
        moment = (m_e * self.volume, m_n * self.volume, m_u * self.volume)
        return Dipole(self.easting, self.northing, self.upward, moment)


Body = Block | Intrusion | Lens


def anomaly_of_bodies(
    bodies: Iterable[Body],
    main: MainField,
    easting: np.ndarray,
    northing: np.ndarray,
    upward: np.ndarray,
) -> np.ndarray:
    """Return the total-field anomaly (nT) of *bodies* at points, exact for their prisms and dipoles."""
    total = np.zeros(np.shape(easting))
    lenses: list[Dipole] = []
    turned: dict[tuple[float, float, float], list[Prism]] = defaultdict(list)
    for body in bodies:
        if isinstance(body, Lens):
            lenses.append(body.dipole(main))
        else:
            turned[body.easting, body.northing, body.strike] += body.prisms(main)
    if lenses:
        total += total_field_anomaly(
            (easting, northing, upward),
            lenses,
            inclination=main.inclination,
            declination=main.declination,
        )
    for (centre_e, centre_n, strike), prisms in turned.items():
        across, along = into_frame(easting - centre_e, northing - centre_n, strike)
        total += total_field_anomaly(
            (across, along, upward),
            prisms,
            inclination=main.inclination,
            declination=main.declination - strike,
        )
    return total


def magnetisation(
    susceptibility: float, remanence: Remanence | None, main: MainField, strike: float
) -> Vector:
    """Return induced plus remanent magnetisation (A/m) in a frame whose north is *strike*."""
    induced = susceptibility * main.intensity / MU_0
    vector = induced * np.array(direction(main.inclination, main.declination - strike))
    if remanence is not None:
        vector += remanence.intensity * np.array(
            direction(remanence.inclination, remanence.declination - strike)
        )
    return float(vector[0]), float(vector[1]), float(vector[2])


def into_frame(easting: np.ndarray, northing: np.ndarray, strike: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn offsets so that the second axis runs along *strike* and the first to its right."""
    s, c = np.sin(np.radians(strike)), np.cos(np.radians(strike))
    return easting * c - northing * s, easting * s + northing * c
