"""Results: what a job committed. Immutable Zarr datasets, whole or absent.

``results/<pipeline>-<fingerprint>/`` holds ``data.zarr`` and the manifest that seals it. Two
requests with the same fingerprint name the same folder, so the second finds what the first made.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from quetzal.catalogue.arrays import describe_arrays
from quetzal.catalogue.manifest import find_wrong_sizes, read_manifest, write_manifest
from quetzal.catalogue.sealed import sealed_directory
from quetzal.catalogue.storage import damaged, exclusively, make_folder, reading_in_words, storage_in_words

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
def claim(folder: Path) -> Iterator[None]:
    """Be the only one who makes the result at *folder*; wait while another process or thread does.

    Whoever waited finds the result made, unless the other one failed.

    Raises
    ------
    StorageError
        If the place cannot be written or is full.
    """
    with ExitStack() as held:
        with storage_in_words(folder):
            make_folder(folder.parent)
            held.enter_context(exclusively(folder.with_name(f".{folder.name}.lock")))
        yield


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
    """Open a committed result lazily.

    Raises
    ------
    NotFoundError
        If there is no result, or one that was never finished.
    InputError
        If the folder holds something else.
    StorageError
        If a file of it is missing or damaged, or may not be read.
    """
    with reading_in_words(folder.name, folder):
        manifest = read_manifest(folder, KIND)
        if wrong := find_wrong_sizes(folder, manifest):
            raise damaged(folder.name, wrong)
        data: xr.Dataset = xr.open_zarr(folder / DATA, chunks=None, consolidated=False, decode_coords="all")
    return data.assign_attrs(result_id=manifest["id"], fingerprint=manifest["fingerprint"])
