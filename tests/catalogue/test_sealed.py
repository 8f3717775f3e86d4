"""A dataset appears whole or not at all, whatever happens to its writer."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from quetzal.catalogue.manifest import LOCK, MANIFEST, read_manifest, verify, write_manifest
from quetzal.catalogue.sealed import PARTIAL_PREFIX, sealed_directory, sweep_orphans
from quetzal.errors import ConflictError, NotFoundError, StorageError


def write_dataset(final: Path, text: str = "numbers") -> None:
    with sealed_directory(final) as partial:
        (partial / "data.zarr" / "c").mkdir(parents=True)
        (partial / "data.zarr" / "c" / "0").write_text(text)
        (partial / "data.zarr" / "zarr.json").write_text("{}")
        write_manifest(partial, {"kind": "numbers"})


def fail_half_way(final: Path, error: Exception) -> None:
    with sealed_directory(final) as partial:
        (partial / "half").write_text("of it")
        raise error


def leftovers(parent: Path) -> list[Path]:
    return list(parent.glob(PARTIAL_PREFIX + "*"))


def test_a_dataset_is_invisible_until_it_is_sealed(tmp_path):
    final = tmp_path / "line-data"
    with sealed_directory(final) as partial:
        (partial / "numbers").write_text("1 2 3")
        assert not final.exists()
        assert partial.parent == final.parent  # the same file system, so that rename is atomic
        write_manifest(partial, {"kind": "numbers"})
    assert sorted(p.name for p in final.iterdir()) == [MANIFEST, "numbers"]
    assert not leftovers(tmp_path)


def test_the_manifest_lists_every_file_with_its_digest_and_names_what_is_wrong_later(tmp_path):
    final = tmp_path / "d"
    write_dataset(final)
    manifest = read_manifest(final)
    assert set(manifest["files"]) == {"data.zarr/c/0", "data.zarr/zarr.json"}
    # FIPS 180-4 digest of "{}", from sha256sum(1)
    assert manifest["files"]["data.zarr/zarr.json"] == {
        "size": 2,
        "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    }
    assert verify(final).ok
    (final / "data.zarr" / "c" / "0").write_text("numbery")
    (final / "data.zarr" / "c" / "1").write_text("new")
    (final / "data.zarr" / "zarr.json").unlink()
    found = verify(final)
    assert (found.changed, found.unlisted, found.missing) == (
        ("data.zarr/c/0",),
        ("data.zarr/c/1",),
        ("data.zarr/zarr.json",),
    )
    assert not found.ok


def test_equal_data_have_equal_ids_and_different_data_do_not(tmp_path):
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        write_dataset(tmp_path / name, text)
    a, b, c = (read_manifest(tmp_path / name)["id"] for name in "abc")
    assert a == b != c


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fail_half_way(tmp_path / "d", ZeroDivisionError())
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_forgets_the_manifest_seals_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="write_manifest"), sealed_directory(tmp_path / "d"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_finished_data_are_never_replaced(tmp_path):
    final = tmp_path / "d"
    write_dataset(final, "first")
    with pytest.raises(ConflictError, match="exists already"):
        write_dataset(final, "second")
    assert (final / "data.zarr" / "c" / "0").read_text() == "first"


def test_of_two_writers_at_once_one_wins_and_the_other_is_told(tmp_path):
    final = tmp_path / "d"

    def overtaken() -> None:
        with sealed_directory(final) as slow:
            (slow / "n").write_text("slow")
            write_dataset(final, "fast")
            assert slow.exists()  # a living neighbour is not swept
            write_manifest(slow, {"kind": "numbers"})

    with pytest.raises(ConflictError):
        overtaken()
    assert (final / "data.zarr" / "c" / "0").read_text() == "fast"
    assert not leftovers(tmp_path)


def test_a_folder_without_a_manifest_is_refused_with_words(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(NotFoundError, match="not a finished dataset") as caught:
        read_manifest(tmp_path / "d")
    assert caught.value.code == "not_sealed"
    with pytest.raises(NotFoundError, match="no dataset"):
        read_manifest(tmp_path / "e")
    (tmp_path / "d" / MANIFEST).write_text('{"schema_version": 1,')
    with pytest.raises(StorageError, match="damaged"):
        read_manifest(tmp_path / "d")
    (tmp_path / "d" / MANIFEST).write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(StorageError, match="newer Quetzal"):
        read_manifest(tmp_path / "d")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage_full"),
        (errno.EDQUOT, "storage_full"),
        (errno.EROFS, "storage_denied"),
        (errno.EACCES, "storage_denied"),
    ],
)
def test_a_failing_disk_is_said_in_words_and_leaves_nothing(tmp_path, number, code):
    with pytest.raises(StorageError) as caught:
        fail_half_way(tmp_path / "d", OSError(number, os.strerror(number)))
    assert caught.value.code == code
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for final in (tmp_path / "file" / "d", tmp_path / "file" / "deeper" / "d"):
        with pytest.raises(StorageError, match="cannot be a folder"), sealed_directory(final):
            pass


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is where even root may not write")
def test_a_place_where_nobody_may_write_is_refused():
    # /proc answers ENOENT rather than EACCES to mkdir; either way no traceback of ours may stand for it.
    with pytest.raises(StorageError), sealed_directory(Path("/proc/quetzal/d")):
        pass


@pytest.mark.fault
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_without_write_permission_is_refused(tmp_path, mode):
    # Root may write anywhere, so root becomes nobody for a moment; pytest's own folders are closed to nobody.
    parent = Path(tempfile.mkdtemp(prefix="quetzal-closed-"))
    parent.chmod(mode)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        with (
            pytest.raises(StorageError, match="may not be written") as caught,
            sealed_directory(parent / "d"),
        ):
            pass
    finally:
        if root:
            os.seteuid(0)
        parent.chmod(0o700)
        parent.rmdir()
    assert caught.value.code == "storage_denied"


HANGING_WRITER = """
import sys
import tempfile
from pathlib import Path
from quetzal.catalogue.sealed import sealed_directory
with sealed_directory(Path(sys.argv[1])) as partial:
    (partial / "half").write_text("of it")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.fault
def test_the_orphan_of_a_killed_writer_is_swept_and_a_living_writer_is_not(tmp_path):
    final = tmp_path / "d"
    writer = subprocess.Popen(
        [sys.executable, "-c", HANGING_WRITER, str(final)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    with writer:
        assert writer.stdout.readline() == b"writing\n"
        assert sweep_orphans(tmp_path) == []
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    (orphan,) = leftovers(tmp_path)
    assert (orphan / LOCK).exists()
    assert not final.exists()
    write_dataset(final)
    assert verify(final).ok
    assert not leftovers(tmp_path)
