"""Whatever a disk does, whoever reads or writes is told in words."""

import errno
import json
import os
import shutil
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from pipelines.errors import DataError
from quetzal.catalogue.catalogue import Catalogue
from quetzal.catalogue.manifest import MANIFEST, read_manifest
from quetzal.catalogue.sealed import sealed_directory
from quetzal.catalogue.storage import exclusively, make_folder, reading_in_words, storage_in_words
from quetzal.catalogue.surveys import import_survey, open_survey
from quetzal.catalogue.tiles import read_window
from quetzal.errors import NotFoundError, StorageError

EVERYWHERE = (0.0, 0.0, 1e7, 1e8)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    table = pd.DataFrame({"line": "L1", "easting": 5e5, "northing": 7.5e6 + 10.0 * pd.RangeIndex(200)})
    table.assign(tmi=53_000.0).to_csv(root / "points.csv", index=False)
    for name in ("first", "second"):
        import_survey(root / "points.csv", root / "surveys", name=name, crs="EPSG:32754")
    return root


@pytest.fixture
def catalogue(original, tmp_path):
    shutil.copytree(original / "surveys", tmp_path / "w" / "surveys")
    return Catalogue(tmp_path / "w")


@contextmanager
def closed_folder(mode=0o000):
    """Yield a folder that may not be used; root, who may anything, becomes nobody meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="quetzal-closed-"))
    folder.chmod(mode)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def first_chunk(folder):
    return folder / "data.zarr" / "total_field" / "c" / "0"


def overwrite(folder):
    first_chunk(folder).write_bytes(b"xx")


def overwrite_in_length(folder):
    first_chunk(folder).write_bytes(b"x" * first_chunk(folder).stat().st_size)


def remove_chunk(folder):
    first_chunk(folder).unlink()


def remove_data(folder):
    shutil.rmtree(folder / "data.zarr")


def garble_metadata(folder):
    metadata = folder / "data.zarr" / "zarr.json"
    metadata.write_bytes(b"{" * metadata.stat().st_size)


@pytest.mark.fault
@pytest.mark.parametrize("harm", [overwrite, overwrite_in_length, remove_chunk, remove_data, garble_metadata])
def test_reading_damaged_data_names_the_dataset_and_what_finds_the_files(catalogue, harm):
    folder = catalogue.surveys / "first"
    harm(folder)
    for read in (
        lambda: open_survey(folder)["total_field"].values.sum(),
        lambda: read_window(folder, *EVERYWHERE)["total_field"],
    ):
        with (
            pytest.raises(StorageError, match="first is damaged") as caught,
            reading_in_words("first", folder),
        ):
            read()
        assert caught.value.code == "storage_damaged"
        assert "`quetzal verify first`" in caught.value.remedy


def test_an_error_while_whole_data_are_read_stays_what_it_is(catalogue):
    folder = catalogue.surveys / "first"
    for error in (RuntimeError("decompress"), DataError("grid", 1, "must not"), FileNotFoundError()):
        with pytest.raises(type(error)), reading_in_words("first", folder):
            raise error


def test_a_refusal_of_the_library_passes_even_where_data_are_damaged(catalogue):
    folder = catalogue.surveys / "first"
    remove_chunk(folder)
    with pytest.raises(DataError), reading_in_words("first", folder):
        raise DataError("grid", 1, "must not")


@pytest.mark.fault
def test_a_chunk_that_may_not_be_read_is_said():
    with (
        closed_folder() as folder,
        pytest.raises(StorageError, match="may not be read") as caught,
        reading_in_words("first", folder),
    ):
        (folder / "data.zarr").stat()
    assert caught.value.code == "storage_denied"


def without(*keys):
    def change(manifest):
        for key in keys:
            del manifest[key]

    return change


def with_(**values):
    return lambda manifest: manifest.update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *((without(key), key) for key in ("id", "created", "files", "points", "lines", "ties", "arrays")),
        (without("schema_version"), "schema_version"),
        (with_(schema_version="one"), "one"),
        (with_(points="many"), "points: input should be a valid integer"),
        (with_(files={"a": 1}), "files.a"),
        (with_(arrays={"easting": {}}), "arrays.easting.shape"),
        (with_(kind="result"), "holds a result"),
    ],
)
def test_one_bad_manifest_is_told_and_hides_no_other_dataset(catalogue, change, said):
    path = catalogue.surveys / "first" / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    assert [entry.name for entry in catalogue.entries()] == ["second"]
    (bad,) = catalogue.damaged()
    assert (bad.kind, bad.name) == ("survey", "first")
    assert said in bad.problem.message
    assert catalogue.find("second").name == "second"
    with pytest.raises(type(bad.problem), match="damaged|holds a result"):
        catalogue.find("first")


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_none_is_damaged(catalogue, text):
    (catalogue.surveys / "first" / MANIFEST).write_bytes(text)
    with pytest.raises(StorageError, match="is damaged"):
        read_manifest(catalogue.surveys / "first")
    assert [entry.name for entry in catalogue.entries()] == ["second"]


def test_a_folder_in_place_of_a_manifest_is_damaged(catalogue):
    path = catalogue.surveys / "first" / MANIFEST
    path.unlink()
    path.mkdir()
    assert [found.name for found in catalogue.damaged()] == ["first"]


def test_what_is_no_dataset_and_hidden_files_are_not_listed(catalogue):
    (catalogue.surveys / ".second.lock").touch()
    (catalogue.surveys / "notes.txt").touch()
    (catalogue.surveys / "empty").mkdir()
    assert [entry.name for entry in catalogue.entries()] == ["first", "second"]
    assert catalogue.damaged() == []


def test_a_workspace_that_is_not_there_yet_is_empty_and_one_that_is_a_file_is_refused(tmp_path):
    assert Catalogue(tmp_path / "new").entries() == []
    with pytest.raises(NotFoundError, match="no survey or result"):
        Catalogue(tmp_path / "new").find("first")
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(StorageError, match="file is a file, not a folder"):
            Catalogue(root).entries()
    (tmp_path / "surveys").touch()
    with pytest.raises(StorageError, match="surveys is a file, not a folder"):
        Catalogue(tmp_path).entries()


@pytest.mark.fault
def test_a_workspace_that_may_not_be_read_does_not_look_empty():
    with closed_folder() as root, pytest.raises(StorageError, match="may not be read") as caught:
        Catalogue(root).entries()
    assert caught.value.code == "storage_denied"


@pytest.mark.fault
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_cannot_be_made_below_a_closed_one_is_refused(mode):
    with closed_folder(mode) as closed:
        for use in (
            lambda: make_folder(closed / "a" / "b" / "c"),
            lambda: sealed_directory(closed / "a" / "surveys" / "x").__enter__(),
        ):
            with pytest.raises(StorageError, match="may not be written") as caught:
                use()
            assert caught.value.code == "storage_denied"


def test_a_file_in_place_of_a_folder_to_make_is_refused(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(StorageError, match="cannot be a folder"):
            make_folder(folder)


def test_a_failure_elsewhere_is_not_blamed_on_the_folder_written(tmp_path):
    with pytest.raises(PermissionError), storage_in_words(tmp_path / "a" / "b"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "other" / "file"))


def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(tmp_path):
    path, inside, most = tmp_path / ".lock", [], []

    def work():
        for _ in range(50):
            with exclusively(path):
                inside.append(None)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (200, 1)
    assert not path.exists()


def test_a_lock_file_left_by_a_killed_process_stops_nobody(tmp_path):
    (tmp_path / ".lock").touch()
    with exclusively(tmp_path / ".lock"):
        pass
    assert list(tmp_path.iterdir()) == []
