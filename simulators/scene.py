"""A geological scene: terrain, layers and bodies with known depths, and the field they make.

A `Scene` is a plain value: it compares, hashes and goes through JSON, so a test or an inversion can
read from it what it should find. `scene` draws one from a seed.
"""

import json
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pipelines.conventions import parse_crs, require_projected
from pipelines.errors import ParameterError
from pipelines.mag.igrf import field_at
from simulators.bodies import Block, Body, Intrusion, Lens, MainField, Remanence, anomaly_of_bodies
from simulators.layer import Layer, LayerField, layer_field
from simulators.patterns import Fault, FoldedBeds, Texture
from simulators.recipe import draw_beds, draw_bodies, draw_faults
from simulators.relief import Extent, Terrain

# Western Queensland in zone 54 south: a place with such rocks and such a field; the scene is invented.
EXTENT: Extent = (470_000.0, 7_560_000.0, 490_000.0, 7_575_000.0)
CRS = "EPSG:32754"
DATE = "2024-05-14"

_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Terrain, Layer, Texture, FoldedBeds, Fault, Block, Intrusion, Lens, Remanence)
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is under and around a simulated survey.

    Attributes
    ----------
    seed : int
        Seed of everything drawn.
    extent : tuple of float
        West, south, east, north, metres.
    crs : str
        Projected coordinate reference system.
    main : MainField
        Inducing field, constant over the scene.
    terrain : Terrain
        Ground surface.
    layers : tuple of Layer
        Level layers below the lowest ground.
    bodies : tuple of Body
        Bodies of known shape.
    """

    seed: int
    extent: Extent
    crs: str
    main: MainField
    terrain: Terrain
    layers: tuple[Layer, ...]
    bodies: tuple[Body, ...]

    def anomaly(self, easting: np.ndarray, northing: np.ndarray, upward: np.ndarray) -> np.ndarray:
        """Return the total-field anomaly (nT) of everything in the scene.

        Parameters
        ----------
        easting, northing, upward : ndarray
            Positions in metres, one-dimensional, above the layers.
        """
        points = [np.asarray(values, dtype=float) for values in (easting, northing, upward)]
        return _layer_field(self).anomaly(*points) + anomaly_of_bodies(self.bodies, self.main, *points)

    def body(self, name: str) -> Body:
        """Return the body called *name*, or raise `ParameterError`."""
        for body in self.bodies:
            if body.name == name:
                return body
        raise ParameterError(
            "name", name, f"is not a body; there are {', '.join(b.name for b in self.bodies)}"
        )

    def to_json(self) -> str:
        """Return the scene as JSON: every value that makes it, depths as elevations in metres."""
        plain = _plain(self)
        del plain["type"]
        return json.dumps(plain, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Scene":
        """Return the scene that `to_json` wrote."""
        values = {name: _revived(value) for name, value in json.loads(text).items()}
        return cls(**{**values, "main": MainField(*values["main"])})


def scene(
    seed: int = 12,
    *,
    extent: Extent = EXTENT,
    crs: str = CRS,
    main: MainField | None = None,
    lowest: float = 210.0,
    highest: float = 330.0,
    cover: float = 60.0,
) -> Scene:
    """Draw a scene: folded and faulted basement, dyke swarms, intrusions, pipes, ore, regolith.

    Parameters
    ----------
    seed : int
        The same seed gives the same scene.
    extent : tuple of float
        West, south, east, north, metres; at least 2 km each way.
    crs : str
        Projected coordinate reference system.
    main : MainField, optional
        Inducing field; by default that of the IGRF at the centre of the extent on `DATE`.
    lowest, highest : float
        Elevations of the ground's lowest and highest point, metres.
    cover : float
        Thickness of the unmagnetic cover over the basement where the ground is lowest, metres.

    Returns
    -------
    Scene
        Bodies are named by kind and number; the number of bodies grows with the area.

    Raises
    ------
    ParameterError
        If the extent is empty or too small, the cover is not positive, or the seed is not a whole
        number.
    DataError
        If the CRS is not projected in metres.
    """
    west, south, east, north = extent
    if min(east - west, north - south) < 2000.0:
        raise ParameterError("extent", extent, "must be west, south, east, north, at least 2 km each way")
    if not cover > 25.0:
        raise ParameterError("cover", cover, "must be more than 25 m: the regolith needs that much")
    require_projected(parse_crs(crs))
    extent = (float(west), float(south), float(east), float(north))
    terrain = Terrain(seed, extent, float(lowest), float(highest))
    faults = draw_faults(seed, extent)
    layers = (
        Layer("regional", -4000.0, -9000.0, Texture(0.03, 0.013, 1.0, 6000.0, 20_000.0)),
        Layer("basement", lowest - cover, -2500.0, draw_beds(seed, faults)),
        Layer("regolith", lowest - 5.0, lowest - 25.0, Texture(0.012, 0.012, 0.1, 150.0, 1800.0)),
    )
    main = main or _igrf_at_centre(extent, crs)
    return Scene(seed, extent, crs, main, terrain, layers, draw_bodies(seed, terrain, faults, cover))


def _igrf_at_centre(extent: Extent, crs: str) -> MainField:
    west, south, east, north = extent
    field = field_at(crs, (west + east) / 2, (south + north) / 2, DATE)
    # Rounded, so that the scene's JSON reads well and does not hang on the last bit of a synthesis.
    return MainField(round(field.intensity, 1), round(field.inclination, 3), round(field.grid_declination, 3))


@lru_cache(maxsize=4)
def _layer_field(drawn: Scene) -> LayerField:
    return layer_field(drawn.layers, extent=drawn.extent, seed=drawn.seed, **drawn.main._asdict())


def _plain(value: Any) -> Any:
    """Turn dataclasses into dictionaries that name their type."""
    if is_dataclass(value):
        return {"type": type(value).__name__} | {
            f.name: _plain(getattr(value, f.name)) for f in fields(value)
        }
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _revived(value: Any) -> Any:
    """Undo `_plain`."""
    if isinstance(value, dict):
        kind = _KINDS[value["type"]]
        return kind(**{name: _revived(item) for name, item in value.items() if name != "type"})
    return tuple(_revived(item) for item in value) if isinstance(value, list) else value
