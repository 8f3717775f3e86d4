"""What a manifest says of a Zarr store's arrays, and the check that none has a hole."""

from pathlib import Path
from typing import Any

import zarr

from quetzal.errors import StorageError


def describe_arrays(store: Path) -> dict[str, dict[str, Any]]:
    """Return shape, type and chunks of every array in *store*.

    Raises
    ------
    StorageError
        If a chunk is missing: a store with holes opens as valid and reads fill values. Writers write
        chunks that hold nothing but fill values too, so that this can be told.
    """
    described = {}
    for name, array in sorted(zarr.open_group(store, mode="r").arrays()):
        if array.nchunks_initialized != array.nchunks:
            raise StorageError(
                f"Array '{name}' has {array.nchunks_initialized} of {array.nchunks} chunks.",
                "Run it again; if this repeats, check the disk.",
                code="storage_incomplete",
            )
        described[name] = {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "chunks": list(array.chunks),
            "chunk_count": array.nchunks,
        }
    return described
