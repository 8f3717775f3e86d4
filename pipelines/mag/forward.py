r"""Exact magnetic fields of simple bodies: dipoles, spheres and right rectangular prisms.

Two ways in. Arrays: ``dipole``, ``sphere`` and ``prism`` sum any number of sources of one kind at
any number of points. Scenes: `magnetic_field` and `total_field_anomaly` take a list of `Dipole`,
`Sphere` and `Prism` values. No table of points times sources is ever built, so memory is that of
the output.

Points and sources share one frame: easting, northing and upward in metres, right-handed, any
origin. Declinations are therefore measured from GRID north (see `pipelines.mag.igrf.field_at`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pipelines.errors import ParameterError
from pipelines.mag.dipole import dipole_field, sphere_field
from pipelines.mag.field import Field, FloatArray, direction
from pipelines.mag.prism import prism_field

Coordinates = Sequence[ArrayLike]
Vector = tuple[float, float, float]


def magnetisation(intensity: ArrayLike, inclination: ArrayLike, declination: ArrayLike) -> FloatArray:
    """Return magnetisation vectors (east, north, up) in A/m from intensity and direction.

    Parameters
    ----------
    intensity : array_like
        Magnetisation in A/m (or dipole moment in A m², for a moment).
    inclination, declination : array_like
        Degrees, positive down and positive east of grid north.

    Returns
    -------
    ndarray
        Shape ``(..., 3)``.
    """
    parts = [np.asarray(intensity, dtype=float) * part for part in direction(inclination, declination)]
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


@dataclass(frozen=True, slots=True)
class Dipole:
    """A point dipole at (easting, northing, upward), metres; moment (east, north, up) in A m²."""

    easting: float
    northing: float
    upward: float
    moment: Vector


@dataclass(frozen=True, slots=True)
class Sphere:
    """A sphere of uniform magnetisation (east, north, up) in A/m; position and radius in metres."""

    easting: float
    northing: float
    upward: float
    radius: float
    magnetisation: Vector


@dataclass(frozen=True, slots=True)
class Prism:
    """A right rectangular prism of uniform magnetisation (east, north, up) in A/m; faces in metres."""

    west: float
    east: float
    south: float
    north: float
    bottom: float
    top: float
    magnetisation: Vector


Source = Dipole | Sphere | Prism


def magnetic_field(coordinates: Coordinates, sources: Source | Iterable[Source]) -> Field:
    """Compute the induction of a scene.

    Parameters
    ----------
    coordinates : sequence of three array_like
        Easting, northing and upward of the points in metres; they broadcast together.
    sources : Dipole, Sphere or Prism, or an iterable of them
        The scene; an empty one gives zero.

    Returns
    -------
    Field
        East, north and up components in nT, of the shape of the points.

    Raises
    ------
    ParameterError
        If a coordinate or a source is not finite, or a body has no volume.
    """
    scene = [sources] if isinstance(sources, Dipole | Sphere | Prism) else list(sources)
    dipoles = [s for s in scene if isinstance(s, Dipole)]
    spheres = [s for s in scene if isinstance(s, Sphere)]
    prisms = [s for s in scene if isinstance(s, Prism)]
    if len(dipoles) + len(spheres) + len(prisms) != len(scene):
        kinds = sorted({type(s).__name__ for s in scene} - {"Dipole", "Sphere", "Prism"})
        raise ParameterError("sources", ", ".join(kinds), "must be Dipole, Sphere or Prism")
    parts = [
        dipole(coordinates, [_centre(s) for s in dipoles], [s.moment for s in dipoles]),
        sphere(
            coordinates,
            [_centre(s) for s in spheres],
            [s.radius for s in spheres],
            [s.magnetisation for s in spheres],
        ),
        prism(
            coordinates,
            [(s.west, s.east, s.south, s.north, s.bottom, s.top) for s in prisms],
            [s.magnetisation for s in prisms],
        ),
    ]
    return Field(*(sum(components) for components in zip(*parts, strict=True)))


def total_field_anomaly(
    coordinates: Coordinates,
    sources: Source | Iterable[Source],
    *,
    inclination: float,
    declination: float,
) -> FloatArray:
    r"""Compute the total-field anomaly of a scene in nT.

    The anomaly is the component of the sources' induction along the main field,
    :math:`\Delta T \approx \hat{F} \cdot B`: the linear approximation that every linear filter and
    inversion rests on (Blakely, 1995, eq. 8.2). Its error is about :math:`|B|^2 / 2F`: 1 nT where an
    anomaly reaches 300 nT in a main field of 50,000 nT.

    Parameters
    ----------
    coordinates : sequence of three array_like
        Easting, northing and upward of the points in metres.
    sources : Dipole, Sphere or Prism, or an iterable of them
        The scene.
    inclination, declination : float
        Direction of the main field in degrees, from the horizontal (positive down) and from grid
        north (positive east).

    Returns
    -------
    ndarray
        Total-field anomaly in nT, of the shape of the points.

    Raises
    ------
    ParameterError
        As `magnetic_field`, or if an angle is not finite.
    """
    for name, angle in (("inclination", inclination), ("declination", declination)):
        if not np.isfinite(angle):
            raise ParameterError(name, angle, "must be a finite number of degrees")
    return magnetic_field(coordinates, sources).along(inclination, declination)


def dipole(coordinates: Coordinates, positions: ArrayLike, moments: ArrayLike) -> Field:
    r"""Compute the induction of point dipoles.

    :math:`B = \frac{\mu_0}{4\pi} \frac{3 (m \cdot \hat{r}) \hat{r} - m}{r^3}` (Blakely, 1995, eq. 4.15).

    Parameters
    ----------
    coordinates : sequence of three array_like
        Easting, northing and upward of the points in metres; they broadcast together.
    positions : array_like
        Shape (n, 3): easting, northing and upward of each dipole.
    moments : array_like
        Shape (n, 3) or (3,): moments (east, north, up) in A m².

    Returns
    -------
    Field
        Components in nT. A point that coincides with a dipole gets NaN.

    Raises
    ------
    ParameterError
        If shapes do not fit or a value is not finite.
    """
    centres = _table("positions", positions, 3)
    return _sum(dipole_field, coordinates, centres, _vectors("moments", moments, len(centres)))


def sphere(
    coordinates: Coordinates, centres: ArrayLike, radii: ArrayLike, magnetisations: ArrayLike
) -> Field:
    r"""Compute the induction of uniformly magnetised spheres.

    Outside, a sphere is the dipole of its moment; inside, the induction is uniform,
    :math:`\frac{2}{3} \mu_0 M` (Blakely, 1995, section 5.3). The surface counts as outside.

    Parameters
    ----------
    coordinates : sequence of three array_like
        Easting, northing and upward of the points in metres; they broadcast together.
    centres : array_like
        Shape (n, 3), metres.
    radii : array_like
        Shape (n,) or one number, metres.
    magnetisations : array_like
        Shape (n, 3) or (3,): vectors (east, north, up) in A/m.

    Returns
    -------
    Field
        Components in nT.

    Raises
    ------
    ParameterError
        If shapes do not fit, a value is not finite or a radius is not positive.
    """
    positions = _table("centres", centres, 3)
    sizes = np.broadcast_to(np.asarray(radii, dtype=float).ravel(), len(positions))
    if not np.all(np.isfinite(sizes) & (sizes > 0)):
        raise ParameterError("radii", radii, "must be positive numbers of metres")
    vectors = _vectors("magnetisations", magnetisations, len(positions))
    return _sum(sphere_field, coordinates, np.column_stack([positions, sizes]), vectors)


def prism(coordinates: Coordinates, prisms: ArrayLike, magnetisations: ArrayLike) -> Field:
    """Compute the induction of uniformly magnetised right rectangular prisms.

    Exact inside and outside; a point on a face gets the limit from outside. On an edge or a corner
    the true field is infinite: a finite number stands there and means nothing. Rounding grows as
    the field of a cell fades: the relative error is about 1e-15 (distance / size)³.

    Parameters
    ----------
    coordinates : sequence of three array_like
        Easting, northing and upward of the points in metres; they broadcast together.
    prisms : array_like
        Shape (n, 6): west, east, south, north, bottom, top in metres.
    magnetisations : array_like
        Shape (n, 3) or (3,): vectors (east, north, up) in A/m.

    Returns
    -------
    Field
        Components in nT.

    Raises
    ------
    ParameterError
        If shapes do not fit, a value is not finite or a prism has no volume.

    See Also
    --------
    pipelines.mag.prism : the closed form and its sources.
    """
    bodies = _table("prisms", prisms, 6)
    flat = np.any(bodies[:, 1::2] <= bodies[:, ::2], axis=1)
    if flat.any():
        raise ParameterError(
            "prisms", bodies[flat][0].tolist(), "must have west < east, south < north and bottom < top"
        )
    return _sum(prism_field, coordinates, bodies, _vectors("magnetisations", magnetisations, len(bodies)))


def _sum(kernel: Any, coordinates: Coordinates, bodies: FloatArray, vectors: FloatArray) -> Field:
    """Run *kernel* over flat points and give the result their shape."""
    if len(coordinates) != 3:
        raise ParameterError(
            "coordinates", len(coordinates), "arrays given: must be easting, northing, upward"
        )
    points = np.broadcast_arrays(*(np.asarray(c, dtype=float) for c in coordinates))
    for name, values in zip(("easting", "northing", "upward"), points, strict=True):
        if not np.isfinite(values).all():
            raise ParameterError(name, "NaN or infinite", "must be finite; drop points without a position")
    flat = [np.ascontiguousarray(values).ravel() for values in points]
    components = [np.zeros(flat[0].size) for _ in range(3)]
    kernel(*flat, bodies, vectors, *components)
    return Field(*(component.reshape(points[0].shape) for component in components))


def _table(name: str, values: ArrayLike, columns: int) -> FloatArray:
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        array = array.reshape(0, columns)
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != columns:
        raise ParameterError(name, f"array of shape {array.shape}", f"must have shape (n, {columns})")
    if not np.isfinite(array).all():
        raise ParameterError(name, values, "must be finite")
    return np.ascontiguousarray(array)


def _vectors(name: str, values: ArrayLike, count: int) -> FloatArray:
    array = _table(name, values, 3)
    if len(array) not in (1, count):
        raise ParameterError(
            name, f"{len(array)} vectors", f"must be one vector, or one for each of the {count} sources"
        )
    return np.ascontiguousarray(np.broadcast_to(array, (count, 3)))


def _centre(source: Dipole | Sphere) -> Vector:
    return source.easting, source.northing, source.upward
