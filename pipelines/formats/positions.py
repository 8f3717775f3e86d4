"""Where points are: which coordinates of a file are used, in which CRS, projected to which.

Nothing is assumed in silence. Longitude and latitude without a CRS are taken for WGS 84, and said to
be; easting and northing without one are refused, since a guess there moves a survey to another country.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from pyproj import CRS, Transformer

from pipelines.conventions import parse_crs, require_projected
from pipelines.errors import DataError, FormatError, ParameterError, Remedy
from pipelines.formats.columns import ColumnMap
from pipelines.formats.refusals import Reason

WGS84 = "EPSG:4326"
# Datums differ by up to a few hundred metres on the ground (NAD27, AGD66 to WGS 84); positions given
# twice in a file that differ by more are in two places.
DATUM_SHIFT = 1_000.0
# A lost decimal point makes a longitude larger than this, but not the latitude beside it as well.
LEAST_METRES = 1_000.0
_MENTION = re.compile(
    r"\b(epsg|utm|zone|datum|nad|wgs|gda|agd|mga|etrs|projection|coordinate)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PositionPlan:
    """How positions are read and projected.

    Attributes
    ----------
    x, y : str
        Channels that hold the positions: longitude and latitude, or easting and northing.
    source, target : str or None
        CRS of the file and of the survey, as WKT; *target* is None until `settle` has seen where the
        points are.
    notes : tuple of str
        What was assumed or left aside, in sentences.
    """

    x: str
    y: str
    source: str
    target: str | None
    notes: tuple[str, ...]

    @property
    def geographic(self) -> bool:
        """Whether the file's positions are longitude and latitude."""
        return self.x == "longitude"

    def check(self, x: np.ndarray, y: np.ndarray, metres: bool) -> list[tuple[np.ndarray, Reason, str]]:
        """Find the rows whose position cannot be one; return masks with reason and field.

        A pair in degrees that could only be metres is a row in another CRS. So is one that could be
        degrees, if *metres* says that the survey's coordinates are far from anything that could be.
        """
        found = [
            (np.isnan(x), Reason.NO_POSITION, self.x),
            (np.isnan(y), Reason.NO_POSITION, self.y),
        ]
        if self.geographic:
            found += [
                (metres_like(x, y), Reason.METRES, self.x),
                (np.abs(y) > 90.0, Reason.LATITUDE, self.y),
                ((x < -180.0) | (x > 360.0), Reason.LONGITUDE, self.x),
            ]
        elif metres:
            found.append((degrees_like(x, y), Reason.MIXED, self.x))
        return found

    def settle(self, x: np.ndarray, y: np.ndarray) -> "PositionPlan":
        """Choose the target CRS from a sample of positions, if it was not given: UTM at their median."""
        if self.target is not None:
            return self
        longitude, latitude = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if not self.geographic:
            longitude, latitude = _transformer(self.source, WGS84).transform(longitude, latitude)
        zone = utm_zone(float(np.median(longitude)), float(np.median(latitude)))
        name = CRS.from_user_input(zone).name
        note = f"Projected to {name} ({zone}), the zone of the points' median position."
        return replace(self, target=CRS.from_user_input(zone).to_wkt(), notes=(*self.notes, note))

    def project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return eastings and northings, metres; infinite where the projection cannot reach."""
        if self.target is None:
            raise RuntimeError("settle() comes before project()")
        if CRS.from_wkt(self.source) == CRS.from_wkt(self.target):
            return x, y
        easting, northing = _transformer(self.source, self.target).transform(x, y)
        return np.asarray(easting), np.asarray(northing)


def plan_positions(
    path: str,
    columns: ColumnMap,
    *,
    crs: str | None,
    target_crs: str | None,
    comments: Sequence[str] = (),
    sample: dict[str, np.ndarray] | None = None,
) -> tuple[PositionPlan, ColumnMap]:
    """Decide which coordinates of a file are used and how they are projected.

    Parameters
    ----------
    path : str
        The file, for messages.
    columns : ColumnMap
        Channels of the file; the positions not used are left out of the map returned.
    crs, target_crs : str or None
        CRS of the file's positions and of the survey, as anything pyproj understands.
    comments : sequence of str
        Comment lines; those that speak of a CRS are quoted where one is missing.
    sample : dict, optional
        First positions by channel, to see whether bare x and y are degrees and whether two kinds of
        positions agree.

    Raises
    ------
    FormatError
        If the file has no positions, or easting and northing without a CRS.
    ParameterError
        If a CRS is not one, contradicts the columns, or is not in metres (the target).
    """
    target = _target(target_crs)
    source = parse_crs(crs) if crs is not None else None
    sample = sample or {}
    grid = columns.of("easting") is not None and columns.of("northing") is not None
    degrees = columns.of("longitude") is not None and columns.of("latitude") is not None
    if not grid and not degrees:
        raise FormatError(
            path,
            "no columns could be taken for positions; name the two that hold them "
            f"(columns of numbers: {', '.join(m.column for m in columns.matches) or 'none'})",
            remedies=[
                Remedy("columns", {"easting": "COLUMN", "northing": "COLUMN"}),
                Remedy("columns", {"longitude": "COLUMN", "latitude": "COLUMN"}),
            ],
        )
    if grid and degrees:
        return _of_two(path, columns, source, target, sample)
    if degrees:
        return _geographic(source, target), columns
    if source is not None and source.is_geographic:
        x, y = (sample.get(c, np.empty(0)) for c in ("easting", "northing"))
        if not degrees_like(x, y).all():
            raise ParameterError(
                "crs", crs, "is geographic, but the positions are eastings and northings; give their CRS"
            )
        note = "The CRS is geographic, so x is taken for longitude and y for latitude."
        return replace(_geographic(source, target), notes=(note,)), _as_degrees(columns)
    if source is None:
        said = next((c.strip("/#%! ") for c in comments if _MENTION.search(c)), None)
        hint = f' (a comment says: "{said}")' if said else ""
        raise FormatError(
            path,
            f"the positions are eastings and northings without a coordinate reference system{hint}",
            remedies=[Remedy("crs", "EPSG:32615")],
        )
    return _projected(source, target), columns


def degrees_like(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each position could be a longitude and a latitude."""
    return (np.abs(x) <= 360.0) & (np.abs(y) <= 90.0)


def metres_like(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each position is too far from any longitude and latitude to be a slip in one.

    Equal numbers are left aside: they are a marker of "no value" written twice.
    """
    return (np.abs(x) > LEAST_METRES) & (np.abs(y) > LEAST_METRES) & (x != y)


def utm_zone(longitude: float, latitude: float) -> str:
    """Return the EPSG code of the UTM zone (WGS 84) of a position, by six degrees of longitude alone.

    The exceptions of Norway and Svalbard are left aside: they make maps tidy, not surveys straighter.
    """
    zone = int((longitude + 180.0) % 360.0 // 6.0) + 1
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def _of_two(
    path: str, columns: ColumnMap, source: CRS | None, target: CRS | None, sample: dict[str, np.ndarray]
) -> tuple[PositionPlan, ColumnMap]:
    """Choose between positions that a file gives both in metres and in degrees."""
    if source is None or source.is_geographic:
        why = "longitude and latitude are used, and these carry no CRS of their own"
        plan = _geographic(source, target)
        note = (
            "The file gives positions twice; longitude and latitude are used. "
            "Give the CRS of the eastings and northings to use those instead."
        )
        return replace(plan, notes=(note, *plan.notes)), columns.without(("easting", "northing"), why)
    if {"easting", "northing", "longitude", "latitude"} <= set(sample):
        _refuse_two_places(path, source, sample)
    plan = _projected(source, target)
    note = f"The file gives positions twice; eastings and northings are used, in {source.name}."
    why = "easting and northing are used"
    return replace(plan, notes=(note, *plan.notes)), columns.without(("longitude", "latitude"), why)


def _refuse_two_places(path: str, source: CRS, sample: dict[str, np.ndarray]) -> None:
    easting, northing = _transformer(WGS84, source.to_wkt()).transform(
        sample["longitude"], sample["latitude"]
    )
    apart = np.hypot(np.asarray(easting) - sample["easting"], np.asarray(northing) - sample["northing"])
    known = apart[~np.isnan(apart)]
    if known.size and not np.median(known) <= DATUM_SHIFT * _metres_to(source):
        raise FormatError(
            path,
            f"its two kinds of positions are in different places: in {source.name}, eastings and northings "
            f"lie {np.median(known) / 1000:,.0f} km (median) from the longitudes and latitudes; give the CRS "
            "that belongs to them, or none to use longitude and latitude",
        )


def _metres_to(crs: CRS) -> float:
    """How many units of the CRS's axes one metre is."""
    return 1.0 / float(crs.axis_info[0].unit_conversion_factor or 1.0)


def _geographic(source: CRS | None, target: CRS | None) -> PositionPlan:
    notes: tuple[str, ...] = ()
    if source is None:
        source = parse_crs(WGS84)
        notes = ("Longitude and latitude carry no CRS; WGS 84 (EPSG:4326) is assumed.",)
    elif not source.is_geographic:
        raise ParameterError(
            "crs",
            source.name,
            "is projected, but the positions are longitudes and latitudes; "
            "what they are to be projected to is the target CRS",
            remedies=[Remedy("target_crs", _code(source))],
        )
    return PositionPlan("longitude", "latitude", source.to_wkt(), _wkt(target), notes)


def _projected(source: CRS, target: CRS | None) -> PositionPlan:
    if not source.is_projected:
        raise ParameterError("crs", source.name, "is neither projected nor geographic")
    notes: tuple[str, ...] = ()
    if target is None:
        try:
            require_projected(source)
            target = source
        except DataError:
            notes = (f"{source.name} is not in metres, so positions are projected again.",)
    return PositionPlan("easting", "northing", source.to_wkt(), _wkt(target), notes)


def _code(crs: CRS) -> str:
    """Return the shortest text that names a CRS: its authority's code, if it has one."""
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def _target(target_crs: str | None) -> CRS | None:
    if target_crs is None:
        return None
    target = parse_crs(target_crs)
    try:
        require_projected(target)
    except DataError as error:
        raise ParameterError("target_crs", target_crs, error.rule) from error
    return target


def _as_degrees(columns: ColumnMap) -> ColumnMap:
    renamed = {"easting": "longitude", "northing": "latitude"}
    return replace(
        columns,
        matches=tuple(replace(m, channel=renamed.get(m.channel, m.channel)) for m in columns.matches),
    )


def _wkt(crs: CRS | None) -> str | None:
    return None if crs is None else str(crs.to_wkt())


@lru_cache(maxsize=8)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
