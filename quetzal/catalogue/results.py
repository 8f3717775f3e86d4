"""Results: what a job committed. Immutable Zarr datasets, whole or absent.

``results/<pipeline>-<fingerprint>/`` holds ``data.zarr`` and the manifest that seals it. Two
requests with the same fingerprint name the same folder, so the second finds what the first made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from quetzal.catalogue.arrays import describe_arrays
from quetzal.catalogue.sealed import read_manifest, sealed_directory, write_manifest

KIND = "result"
DATA = "data.zarr"
SHORT = 12  # digits of the fingerprint in a folder's name: 2**48 values, ample for one catalogue


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a result came from."""

    pipeline: str
    code_version: str
    fingerprint: str
    inputs: dict[str, str]
    parameters: dict[str, Any]


def folder_of(root: Path, pipeline: str, fingerprint: str) -> Path:
    """Where the result of that request is, or will be."""
    return root / f"{pipeline}-{fingerprint[:SHORT]}"


@contextmanager
def begin(folder: Path) -> Iterator[Path]:
    """Yield a place to write a result's Zarr store; `commit` inside the block seals it."""
    with sealed_directory(folder) as partial:
        yield partial / DATA


def commit(store: Path, lineage: Lineage, figures: dict[str, Any]) -> dict[str, Any]:
    """Check that every chunk was written and close the result with its manifest.

    Parameters
    ----------
    store : Path
        The Zarr store that `begin` yielded, complete.
    lineage : Lineage
        What the result came from.
    figures : dict
        What was measured while it was made (seconds, tasks), for the report.

    Raises
    ------
    StorageError
        If a chunk is missing, see `arrays.describe_arrays`.
    """
    return write_manifest(
        store.parent,
        {
            "kind": KIND,
            "pipeline": lineage.pipeline,
            "code_version": lineage.code_version,
            "fingerprint": lineage.fingerprint,
            "inputs": lineage.inputs,
            "parameters": lineage.parameters,
            "figures": figures,
            "arrays": describe_arrays(store),
        },
    )


def open_result(folder: Path) -> xr.Dataset:
    """Open a committed result lazily; an unsealed folder is refused in words."""
    manifest = read_manifest(folder)
    data: xr.Dataset = xr.open_zarr(folder / DATA, chunks=None, consolidated=False, decode_coords="all")
    return data.assign_attrs(result_id=manifest["id"], fingerprint=manifest["fingerprint"])
