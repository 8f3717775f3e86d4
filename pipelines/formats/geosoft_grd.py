"""Geosoft ``.grd`` grids (format version 2), both ways.

A file is a header of 512 bytes and the elements, vector by vector, little-endian. Elements have
one of eight encodings (integers of 1, 2 and 4 bytes with and without sign, floating point of 4
and 8 bytes); ``ES`` + 1024 says that the vectors are compressed in blocks. The coordinates are
those of cell centres. The CRS is in a side file, see `pipelines.formats.geosoft_crs`.

The header follows Geosoft's published description of the format; the framing of compressed
blocks, which it leaves out, was read from files that Geosoft's own programs wrote.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr

from pipelines.conventions import Geometry, assign_crs, crs_of, geometry_of, make_grid, parse_crs
from pipelines.errors import DataError, FormatError
from pipelines.formats.exporting import require_plain_grid, row_bands, written_aside
from pipelines.formats.geosoft_crs import read_side_file, write_side_file
from pipelines.formats.geosoft_header import COMPRESSED, HEADER_BYTES, ORDERS, Header, read_header

BLOCK_TARGET = 65_536  # bytes of vectors in a compressed block, as Geosoft's programs choose it

FLOAT_DUMMY = -1e32  # anything at or below is a dummy
# Integer dummies: the highest unsigned value, the lowest signed one plus one.
DUMMIES = {"u1": 255, "i1": -127, "u2": 65_535, "i2": -32_767, "u4": 4_294_967_295, "i4": -2_147_483_647}

# Start of the compressed part: signature, kind of compression, blocks, vectors a block.
DIRECTORY = struct.Struct("<IiII")
DIRECTORY_SIGNATURE = 0xF8E7D8C7
ZLIB = 2
# Each block begins with sixteen bytes that are the same in every file seen.
BLOCK_HEADER = struct.pack("<IIii", 0xFEFF0E0F, 0x78563412, 2, 1)


def read_grd(path: Path | str, *, crs: Any = None) -> xr.DataArray:
    """Read a Geosoft grid.

    Parameters
    ----------
    path : Path or str
        The ``.grd`` file; ``<path>.xml`` beside it, where there is one, gives the CRS.
    crs : Any, optional
        CRS to use instead of the side file's: anything pyproj understands.

    Returns
    -------
    DataArray
        Ascending ``(northing, easting)``, or ``(latitude, longitude)`` where the CRS is
        geographic. Unscaled floating point keeps its dtype and its bits; integers and scaled
        grids become float64, as base + element / multiplier. Dummies are NaN.

    Raises
    ------
    FormatError
        If the file is not a version 2 grid, is cut or damaged, is rotated or holds colours.

    Warns
    -----
    UserWarning
        If the side file's CRS is not understood, or coordinates without a CRS look like degrees.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "there is no such file")
    with path.open("rb") as file:
        header = read_header(path, file)
        raw = np.empty((header.vectors, header.elements), header.dtype)
        if header.compressed:
            _read_blocks(path, file, raw)
        elif file.readinto(raw.data.cast("B")) != raw.nbytes:
            raise FormatError(path, f"is cut: the header promises {raw.nbytes} bytes of elements")
    values = _orient(_decode(raw, header), header.order)
    along_north = ORDERS[header.order][0]
    steps = (header.element_spacing, header.vector_spacing)
    spacing = steps if along_north else steps[::-1]
    geometry = Geometry((header.y_origin, header.x_origin), spacing, (values.shape[0], values.shape[1]))
    return _label(path, values, geometry, header, parse_crs(crs) if crs is not None else read_side_file(path))


def write_grd(grid: xr.DataArray, path: Path | str, *, compress: bool = True) -> Path:
    """Write a grid as a Geosoft grid, with its CRS in ``<path>.xml``.

    Parameters
    ----------
    grid : DataArray
        Grid ``(northing, easting)``. float32 and float64 keep their bits; integers are written
        as float64 (which holds up to 32 bits exactly). NaN becomes the dummy −1e32.
    path : Path or str
        File to write; an existing one is replaced once the new one is complete.
    compress : bool
        Whether to compress the vectors in blocks (lossless).

    Returns
    -------
    Path
        The ``.grd`` file.

    Raises
    ------
    DataError
        If the grid breaks the conventions, or holds values at or below −1e32, which the format
        reserves for no data.
    FormatError
        If the file cannot be written.

    Notes
    -----
    The grid is read by bands of rows. Oasis montaj keeps the CRS in a ``.gi`` file of its own
    making; where it does not take the one in the ``.xml``, set it there by hand.
    """
    require_plain_grid(grid)
    geometry = geometry_of(grid)
    dtype = np.dtype("<f4") if grid.dtype.itemsize == 4 and grid.dtype.kind == "f" else np.dtype("<f8")
    rows, columns = geometry.shape
    header = Header(
        element_size=dtype.itemsize + (COMPRESSED if compress else 0),
        sign=2,
        elements=columns,
        vectors=rows,
        order=1,
        element_spacing=geometry.spacing[1],
        vector_spacing=geometry.spacing[0],
        x_origin=geometry.origin[1],
        y_origin=geometry.origin[0],
        rotation=0.0,
        base=0.0,
        multiplier=1.0,
        label=str(grid.name or ""),
    )
    final = Path(path)
    with written_aside(final) as aside, aside.open("wb") as file:
        file.write(header.pack())
        per_block = max(1, BLOCK_TARGET // (columns * dtype.itemsize))
        vectors = _encoded(grid, dtype, per_block)
        if compress:
            _write_blocks(file, vectors, rows, per_block)
        else:
            for block in vectors:
                file.write(block.tobytes())
        file.flush()
    write_side_file(final, grid, crs_of(grid))
    return final


def _read_blocks(path: Path, file: BinaryIO, raw: np.ndarray) -> None:
    """Fill *raw* from the compressed blocks."""
    start = file.read(DIRECTORY.size)
    if len(start) < DIRECTORY.size:
        raise FormatError(path, "is cut before its first compressed block")
    signature, kind, count, per_block = DIRECTORY.unpack(start)
    if signature != DIRECTORY_SIGNATURE or not 1 <= count <= len(raw) or count * per_block < len(raw):
        raise FormatError(path, "has a damaged directory of compressed blocks")
    table = file.read(12 * count)
    if len(table) < 12 * count:
        raise FormatError(path, "is cut in its directory of compressed blocks")
    end = path.stat().st_size
    offsets, sizes = np.frombuffer(table, "<i8", count), np.frombuffer(table, "<i4", count, 8 * count)
    for number, (offset, size) in enumerate(zip(offsets.tolist(), sizes.tolist(), strict=True)):
        target = raw[number * per_block : (number + 1) * per_block]
        if size < len(BLOCK_HEADER) or not HEADER_BYTES <= offset <= end - size:
            raise FormatError(path, f"is cut, or its entry for block {number + 1} of {count} is damaged")
        file.seek(offset + len(BLOCK_HEADER))
        inflate = zlib.decompressobj()
        try:
            plain = inflate.decompress(file.read(size - len(BLOCK_HEADER)), target.nbytes + 1)
        except zlib.error as error:
            problem = f"block {number + 1} of {count} is damaged or not in zlib form (kind {kind}): {error}"
            raise FormatError(path, problem) from error
        if len(plain) != target.nbytes or not inflate.eof:  # eof: the checksum was there and right
            raise FormatError(
                path,
                f"block {number + 1} of {count} holds {len(plain)} bytes, not {target.nbytes}; it is cut",
            )
        target[...] = np.frombuffer(plain, raw.dtype).reshape(target.shape)


def _write_blocks(file: BinaryIO, vectors: Iterator[np.ndarray], rows: int, per_block: int) -> None:
    """Write the directory with places for its entries, the blocks, then the entries."""
    count = -(-rows // per_block)
    file.write(DIRECTORY.pack(DIRECTORY_SIGNATURE, ZLIB, count, per_block))
    entries = file.tell()
    file.write(bytes(12 * count))
    offsets, sizes = np.zeros(count, "<i8"), np.zeros(count, "<i4")
    for number, block in enumerate(vectors):
        packed = BLOCK_HEADER + zlib.compress(block.tobytes(), level=1)
        offsets[number], sizes[number] = file.tell(), len(packed)
        file.write(packed)
    file.seek(entries)
    file.write(offsets.tobytes() + sizes.tobytes())


def _encoded(grid: xr.DataArray, dtype: np.dtype[Any], per_block: int) -> Iterator[np.ndarray]:
    """Rows from south to north in blocks of *per_block*, dummies for NaN."""
    for _, band in row_bands(grid, multiple=per_block):
        values = band.astype(dtype)  # a copy: dummies are put in below
        if np.any(values <= FLOAT_DUMMY):
            raise DataError(
                str(grid.name), float(np.nanmin(values)), "must be above -1e32, which means no data"
            )
        values[np.isnan(values)] = FLOAT_DUMMY
        for start in range(0, len(values), per_block):
            yield values[start : start + per_block]


def _decode(raw: np.ndarray, header: Header) -> np.ndarray:
    scaled = header.base != 0 or header.multiplier != 1
    if raw.dtype.kind == "f":
        dummy = raw <= np.asarray(FLOAT_DUMMY, raw.dtype)
        values = raw.astype(float) if scaled else raw.astype(raw.dtype.newbyteorder("="), copy=False)
    else:
        dummy = raw == DUMMIES[raw.dtype.str[1:]]
        values = raw.astype(float)
    if scaled:
        values = values / header.multiplier + header.base
    values[dummy] = np.nan
    return values


def _orient(values: np.ndarray, order: int) -> np.ndarray:
    """Turn (vector, element) into ascending (northing, easting)."""
    along_north, east, north = ORDERS[order]
    turned = values.T if along_north else values
    return np.ascontiguousarray(turned[::north, ::east])


def _label(path: Path, values: np.ndarray, geometry: Geometry, header: Header, crs: Any) -> xr.DataArray:
    name = header.label if header.label.isidentifier() else "grid"
    attrs = {"long_name": header.label or path.stem, "source": path.name}
    in_degrees = crs.is_geographic if crs is not None else _looks_like_degrees(geometry)
    if not in_degrees:
        return make_grid(values, geometry, name=name, crs=crs, attrs=attrs)
    if crs is None:
        warnings.warn(
            f"{path} has no CRS and coordinates that look like degrees; taken for latitude and longitude",
            stacklevel=3,
        )
    grid = xr.DataArray(
        values,
        dims=("latitude", "longitude"),
        coords={
            "latitude": ("latitude", geometry.northing, {"units": "degrees_north"}),
            "longitude": ("longitude", geometry.easting, {"units": "degrees_east"}),
        },
        name=name,
        attrs=attrs,
    )
    return assign_crs(grid, crs)


def _looks_like_degrees(geometry: Geometry) -> bool:
    """Tell a grid in degrees: no survey in metres has cells of less than five centimetres."""
    extreme = np.abs([geometry.northing[[0, -1]], geometry.easting[[0, -1]]]).max(axis=1)
    return bool(max(geometry.spacing) < 0.05 and extreme[0] <= 90 and extreme[1] <= 360)
