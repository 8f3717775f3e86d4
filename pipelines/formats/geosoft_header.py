"""The header of a Geosoft grid: its fields, its encodings and what makes it unreadable."""

import struct
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn

import numpy as np

from pipelines.errors import FormatError

HEADER_BYTES = 512
COMPRESSED = 1024  # added to the element size
# ES (bytes), SF (0 unsigned, 1 signed, 2 floating point) -> dtype; 8 bytes are always a double.
ENCODINGS: dict[tuple[int, int], np.dtype[Any]] = {
    (1, 0): np.dtype("u1"),
    (1, 1): np.dtype("i1"),
    (2, 0): np.dtype("<u2"),
    (2, 1): np.dtype("<i2"),
    (4, 0): np.dtype("<u4"),
    (4, 1): np.dtype("<i4"),
    (4, 2): np.dtype("<f4"),
    (8, 0): np.dtype("<f8"),
    (8, 1): np.dtype("<f8"),
    (8, 2): np.dtype("<f8"),
}
# zlib cannot shrink further than this, so a header that promises more is wrong.
HIGHEST_RATIO = 1032

# KX: the corner of the first element and the sense of the vectors. Value: whether vectors run
# along northing, and the directions of easting and northing. Positive is right-handed: from the
# direction of the elements a quarter turn to the left gives the direction of the vectors.
ORDERS = {
    1: (False, 1, 1),
    -1: (True, 1, 1),
    2: (True, 1, -1),
    -2: (False, 1, -1),
    3: (False, -1, -1),
    -3: (True, -1, -1),
    4: (True, -1, 1),
    -4: (False, -1, 1),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 512 bytes say, in Geosoft's own terms."""

    element_size: int
    sign: int
    elements: int
    vectors: int
    order: int
    element_spacing: float
    vector_spacing: float
    x_origin: float
    y_origin: float
    rotation: float
    base: float
    multiplier: float
    label: str = ""

    # ES SF NE NV KX · DE DV X0 Y0 ROT · ZBASE ZMULT · LABEL
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<5i5d2d48s")

    @property
    def compressed(self) -> bool:
        """Whether the elements are in compressed blocks."""
        return self.element_size >= COMPRESSED

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Encoding of an element, or None if the format has no such one."""
        size = self.element_size - COMPRESSED if self.compressed else self.element_size
        return ENCODINGS.get((size, self.sign))

    @classmethod
    def unpack(cls, raw: bytes) -> "Header":
        """Read the fields from the start of a file."""
        fields: list[Any] = list(cls.LAYOUT.unpack(raw[: cls.LAYOUT.size]))
        fields[-1] = fields[-1].partition(b"\0")[0].decode("latin-1").strip()
        return cls(*fields)

    def pack(self) -> bytes:
        """Return the 512 bytes, the optional fields empty."""
        *numbers, label = astuple(self)
        return self.LAYOUT.pack(*numbers, label.encode("latin-1", "replace")[:48]).ljust(HEADER_BYTES, b"\0")


def read_header(path: Path, file: BinaryIO) -> Header:
    """Read and check the header at the start of *file*.

    Raises
    ------
    FormatError
        If this is no grid of numbers that can be put on a north-up regular grid, or the file is
        too short for what its header promises.
    """
    raw = file.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise FormatError(path, f"has {len(raw)} bytes; a Geosoft grid has a header of {HEADER_BYTES}")
    header = Header.unpack(raw)
    if raw[:4] == b"DSRB" or raw[:4] in {b"DSAA", b"DSBB"}:
        raise FormatError(path, "is a Surfer grid, not a Geosoft one")
    if header.dtype is None:
        _refuse_encoding(path, header)
    if header.elements < 1 or header.vectors < 1:
        raise FormatError(path, f"has {header.vectors} vectors of {header.elements} elements", field="NE, NV")
    if header.order not in ORDERS:
        raise FormatError(path, f"has storage order {header.order}; known are ±1 to ±4", field="KX")
    if header.rotation != 0:
        raise FormatError(path, f"is rotated by {header.rotation}°; regrid it without rotation", field="ROT")
    positive = (header.element_spacing, header.vector_spacing)
    if not all(np.isfinite(s) and s > 0 for s in positive):
        raise FormatError(path, f"has spacings {positive}", field="DE, DV")
    if not np.isfinite([header.x_origin, header.y_origin, header.base, header.multiplier]).all():
        raise FormatError(path, "has an origin or a scale that is no number", field="X0, Y0, ZBASE, ZMULT")
    if header.multiplier == 0:
        raise FormatError(path, "has the multiplier 0", field="ZMULT")
    stored = path.stat().st_size - HEADER_BYTES
    size = header.elements * header.vectors * (header.element_size % COMPRESSED)
    if size > stored * (HIGHEST_RATIO if header.compressed else 1):
        raise FormatError(path, f"is cut: {stored} bytes cannot hold the {size} that the header promises")
    return header


def _refuse_encoding(path: Path, header: Header) -> NoReturn:
    kind = (
        "a colour grid"
        if header.sign == 3
        else f"element size {header.element_size} and sign flag {header.sign}"
    )
    raise FormatError(path, f"has {kind}; this is no version 2 grid of numbers", field="ES, SF")
