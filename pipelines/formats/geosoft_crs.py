"""The CRS of a Geosoft grid: the ``<name>.grd.xml`` file beside it.

Geosoft's programs keep the CRS in a ``.gi`` file, an undocumented compound document, and repeat it
in the ``.xml`` metadata as a ``projection`` element: an EPSG code where there is one, a datum and
the parameters of the projection in any case. Only the ``.xml`` is read and written here.
"""

import math
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import xarray as xr
from pyproj import CRS
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import TransverseMercatorConversion
from pyproj.exceptions import CRSError

from pipelines.conventions import geometry_of
from pipelines.formats.exporting import written_aside

NAMESPACE = "http://www.geosoft.com/schema/geo"
OGC_WKT = "ogc_wkt"  # our own attribute, for a CRS without an EPSG code


def side_file(path: Path) -> Path:
    """Return the name of the metadata file beside the grid *path*."""
    return path.with_name(path.name + ".xml")


def read_side_file(path: Path) -> CRS | None:
    """Return the CRS that the metadata beside the grid *path* give, or None.

    Warns
    -----
    UserWarning
        If there is a projection that is not understood.
    """
    beside = side_file(path)
    if not beside.is_file():
        return None
    try:
        projection = ElementTree.parse(beside).getroot().find(f".//{{{NAMESPACE}}}projection")
        if projection is None:
            return None
        return _crs(projection)
    except (ElementTree.ParseError, CRSError, KeyError, ValueError) as error:
        warnings.warn(f"{beside}: the CRS is not understood ({error}); give it with crs=", stacklevel=3)
        return None


def write_side_file(path: Path, grid: xr.DataArray, crs: CRS | None) -> None:
    """Write extent, units and CRS of *grid* beside the grid file *path*."""
    geometry = geometry_of(grid)
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.Element("metadata")
    dataset = _child(_child(root, "geosoft"), "dataset", version="1")
    _child(dataset, "title").text = str(grid.attrs.get("long_name", grid.name or path.stem))
    _child(dataset, "unitofmeasurement").text = str(grid.attrs.get("units", ""))
    place = _child(dataset, "georeference")
    south, north = geometry.northing[[0, -1]]
    west, east = geometry.easting[[0, -1]]
    extents = {"minx": west, "miny": south, "maxx": east, "maxy": north}
    _child(_child(place, "dataextents"), "extent2d", **{k: repr(float(v)) for k, v in extents.items()})
    if crs is not None:
        _add_projection(place, crs)
    with written_aside(side_file(path)) as aside:
        ElementTree.ElementTree(root).write(aside, encoding="UTF-8", xml_declaration=True)


def _crs(projection: ElementTree.Element) -> CRS:
    """Build the CRS: by EPSG code, else by WKT, else from datum and parameters."""
    if epsg := projection.get("wellknown_epsg"):
        return CRS.from_epsg(int(epsg))
    if wkt := projection.get(OGC_WKT):
        return CRS.from_wkt(wkt)
    base = CRS.from_user_input(projection.attrib["datum"]).geodetic_crs
    kind = projection.get("type", "")
    if kind == "GEOGRAPHIC" and base is not None:
        return base
    parameters = projection.find(f"{{{NAMESPACE}}}parameters")
    units = projection.find(f"{{{NAMESPACE}}}units")
    if kind != "TRANSVERSE_MERCATOR" or parameters is None:
        raise ValueError(f"projections of type {kind or 'unknown'} without an EPSG code are not built")
    if units is not None and float(units.get("unit_scale", 1)) != 1:
        raise ValueError(f"its axes are in {units.get('name')}, not metres")
    value = {name: float(text) for name, text in parameters.attrib.items()}
    conversion = TransverseMercatorConversion(
        latitude_natural_origin=value["lat_origin"],
        longitude_natural_origin=value["lon_origin"],
        false_easting=value["false_east"],
        false_northing=value["false_north"],
        scale_factor_natural_origin=value["scale"],
    )
    built = ProjectedCRS(conversion, name=projection.get("name", "unnamed"), geodetic_crs=base)
    code = built.to_epsg(min_confidence=70)
    return CRS.from_epsg(code) if code else built


def _add_projection(place: ElementTree.Element, crs: CRS) -> None:
    attributes = {"name": crs.name}
    epsg = crs.to_epsg()
    if epsg:
        attributes["wellknown_epsg"] = str(epsg)
    else:
        attributes[OGC_WKT] = crs.to_wkt()
    values = crs.to_cf()
    is_mercator = values.get("grid_mapping_name") == "transverse_mercator"
    if is_mercator:
        attributes["type"] = "TRANSVERSE_MERCATOR"
    if crs.geodetic_crs is not None:
        attributes["datum"] = crs.geodetic_crs.name
    if ellipsoid := crs.ellipsoid:
        flattening = 1 / ellipsoid.inverse_flattening if ellipsoid.inverse_flattening else 0.0
        attributes["ellipsoid"] = ellipsoid.name
        attributes["radius"] = repr(ellipsoid.semi_major_metre)
        attributes["eccentricity"] = repr(math.sqrt(flattening * (2 - flattening)))
    projection = _child(place, "projection", **attributes)
    if is_mercator:
        parameters = {
            "scale": values["scale_factor_at_central_meridian"],
            "false_east": values["false_easting"],
            "false_north": values["false_northing"],
            "lat_origin": values["latitude_of_projection_origin"],
            "lon_origin": values["longitude_of_central_meridian"],
        }
        _child(projection, "parameters", **{k: repr(float(v)) for k, v in parameters.items()})
    _child(projection, "units", name="m", unit_scale="1")


def _child(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)
