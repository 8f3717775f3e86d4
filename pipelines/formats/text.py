"""Text files as a stream of whole lines: decompressed, counted, checked for being text at all.

Readers of line data never hold a file: they take blocks of a few megabytes that end at a line's
end, each with the number of its first line, so that every refusal can name its place.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from pipelines.errors import FormatError

BLOCK_BYTES = 4 << 20
LONGEST_LINE = 1 << 20
NEWLINE = 10
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
# What may stand in a text file below the space: tab, line feed, form feed, carriage return, and the
# end-of-file mark (0x1a) of old systems.
_CONTROLS = bytes(sorted(set(range(32)) - {9, 10, 12, 13, 26}))


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines of a file.

    Attributes
    ----------
    data : bytes
        The lines; every one ends with a line feed, also the file's last.
    first : int
        Number of the first line, counted from one.
    unfinished : bool
        Whether the file ended without a line feed, so that the last line may have been cut. Such a line
        comes with the lines before it, which show what a whole one looks like.
    """

    data: bytes
    first: int
    unfinished: bool = False

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Begin and end (before the line feed) of each line, as positions in ``data``."""
        ends = np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8) == NEWLINE)
        begins = np.empty_like(ends)
        begins[:1] = 0
        begins[1:] = ends[:-1] + 1
        return begins, ends

    def lines(self) -> list[str]:
        """Return the lines as text without their ends."""
        return [line.rstrip("\r") for line in decode(self.data).split("\n")[:-1]]


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed if its first bytes say gzip, xz or bzip2."""
    try:
        if path.is_dir():
            raise FormatError(path, "is a folder, not a file; give a survey file")
        with path.open("rb") as file:
            magic = file.read(6)
        if magic.startswith(b"\x1f\x8b"):
            return cast(IO[bytes], gzip.open(path, "rb"))
        if magic.startswith(b"\xfd7zXZ\0"):
            return lzma.open(path, "rb")
        if magic.startswith(b"BZh"):
            return bz2.open(path, "rb")
        return path.open("rb")
    except FileNotFoundError as error:
        raise FormatError(path, "does not exist; check the path") from error
    except OSError as error:
        raise FormatError(path, f"cannot be opened: {error.strerror or error}") from error


def line_blocks(path: Path, size: int = BLOCK_BYTES) -> Iterator[LineBlock]:
    """Yield the lines of a text file, a block of about *size* bytes at a time.

    Line ends may be those of Unix, Windows or the old Macintosh; a UTF-8 byte-order mark is taken off.

    Raises
    ------
    FormatError
        If the file cannot be opened, is cut or damaged inside its compression, is UTF-16, holds
        binary data or has a line longer than a megabyte.
    """
    first, waiting, rest, begun, lone_returns = 1, b"", b"", False, False
    with open_bytes(path) as stream:
        while chunk := _read(path, stream, size, first):
            if not begun:
                begun, chunk = True, _check_beginning(path, chunk)
                lone_returns = b"\n" not in chunk and b"\r" in chunk
            if lone_returns:
                chunk = chunk.replace(b"\r", b"\n")
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                if waiting:
                    yield LineBlock(waiting, first)
                    first += waiting.count(b"\n")
                waiting = whole + newline
            if len(rest) > LONGEST_LINE:
                problem = f"is longer than {LONGEST_LINE:,} bytes; this is not a table of points"
                raise FormatError(path, f"the line {problem}", line=first + waiting.count(b"\n"))
        if rest:
            yield LineBlock(waiting + rest + b"\n", first, unfinished=True)
        elif waiting:
            yield LineBlock(waiting, first)


def decode(data: bytes) -> str:
    """Decode text, see `encoding_of`."""
    return data.decode(encoding_of(data))


def encoding_of(data: bytes) -> str:
    """UTF-8, or Latin-1 where that fails: numbers are ASCII in both, only names can differ."""
    if data.isascii():
        return "utf-8"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _read(path: Path, stream: IO[bytes], size: int, line: int) -> bytes:
    """Read on; *line* is the last one known to be reached."""
    try:
        return stream.read(size)
    except EOFError as error:
        problem = "the compressed file ends in the middle: the download or copy was cut; fetch it again"
        raise FormatError(path, problem, line=line) from error
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        problem = f"the compressed data are damaged ({error}); fetch the file again"
        raise FormatError(path, problem, line=line) from error
    except OSError as error:
        raise FormatError(path, f"cannot be read on: {error}", line=line) from error


def _check_beginning(path: Path, chunk: bytes) -> bytes:
    if chunk.startswith(_WIDE_MARKS):
        raise FormatError(path, "is text in UTF-16; save it as UTF-8 (or plain ASCII)", line=1)
    chunk = chunk.removeprefix(_UTF8_MARK)
    beginning = chunk[:65536]
    controls = len(beginning) - len(beginning.translate(None, _CONTROLS))
    # One odd byte is a bad row, and refused as such; one in fifty is no text.
    if controls * 50 > len(beginning):
        raise FormatError(
            path, "holds binary data, not text; give CSV, Geosoft XYZ or netCDF (or unpack the archive first)"
        )
    return chunk
