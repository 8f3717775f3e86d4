"""Columns on disk in the order of a file, between reading it and knowing the order of its lines.

One flat binary file a column: appended to while reading, memory-mapped while writing. A survey of any
size so passes through a few megabytes of memory.
"""

from pathlib import Path
from typing import IO

import numpy as np


class Spool:
    """Columns of equal length that grow by blocks.

    Parameters
    ----------
    folder : Path
        An existing folder that is the spool's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.length = 0
        self._types: dict[str, np.dtype] = {}
        self._files: dict[str, IO[bytes]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Columns spooled."""
        return tuple(self._types)

    def append(self, columns: dict[str, np.ndarray]) -> None:
        """Add a block of points; every block has the same columns."""
        for name, values in columns.items():
            if name not in self._files:
                # Numbered, since a channel's name need not be a file's.
                path = self.folder / f"{len(self._files)}.bin"
                self._files[name] = path.open("wb")
                self._types[name] = values.dtype
            self._files[name].write(np.ascontiguousarray(values).data)
        self.length += len(next(iter(columns.values())))

    def map(self, name: str) -> np.ndarray:
        """Return a column as a writable memory map."""
        self._files[name].flush()
        if self.length == 0:
            return np.empty(0, dtype=self._types[name])
        return np.memmap(self._files[name].name, dtype=self._types[name], mode="r+", shape=(self.length,))

    def remove(self) -> None:
        """Close and remove the files."""
        for file in self._files.values():
            file.close()
            Path(file.name).unlink()
        self._files.clear()
        self.folder.rmdir()

    def close(self) -> None:
        """Close the files and leave them."""
        for file in self._files.values():
            file.close()
