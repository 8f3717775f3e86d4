"""Files are cut into whole lines whatever compresses them, and broken files say how they are broken."""

import bz2
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import FormatError
from pipelines.formats.text import line_blocks

TEXT = b"x,y\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(3000))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
@pytest.mark.parametrize("size", [7, 1000, 1 << 22])
def test_blocks_put_together_are_the_file_and_know_their_lines(tmp_path, pack, size):
    path = tmp_path / "points.csv"  # the content says how it is packed, not the name
    path.write_bytes(pack(TEXT))
    blocks = list(line_blocks(path, size))
    assert b"".join(block.data for block in blocks) == TEXT
    counted = 1
    for block in blocks:
        assert block.first == counted
        counted += len(block.lines())
    assert counted == 3002


@given(data=st.binary(max_size=60).filter(lambda d: not d.startswith((b"\xff\xfe", b"\xfe\xff", b"BZh"))))
def test_no_byte_is_lost_between_blocks_and_other_files_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "f"
    path.write_bytes(data)
    try:
        whole = b"".join(block.data for block in line_blocks(path, 5))
    except FormatError:
        return
    expected = data.removeprefix(b"\xef\xbb\xbf")
    if b"\n" in data[:5] or b"\r" not in data[:5]:
        assert whole in (expected, expected + b"\n")


@pytest.mark.parametrize(
    ("pack", "cut"), [(gzip.compress, 100), (gzip.compress, 12), (lzma.compress, 100), (bz2.compress, 100)]
)
def test_a_packed_file_cut_in_the_middle_is_refused_and_never_read_as_shorter(tmp_path, pack, cut):
    path = tmp_path / "points.csv.gz"
    path.write_bytes(pack(TEXT)[:-cut])
    with pytest.raises(FormatError, match=r"ends in the middle.*fetch it again"):
        list(line_blocks(path))


def test_a_packed_file_with_a_wrong_byte_is_refused(tmp_path):
    packed = bytearray(gzip.compress(TEXT))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "points.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(FormatError, match="damaged"):
        list(line_blocks(path))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(range(256)) * 300, "binary data"),
        ("x,y\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"1" * (3 << 20), "longer than"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path, data, words):
    path = tmp_path / "points.csv"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=words):
        list(line_blocks(path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        list(line_blocks(tmp_path / "nothing.csv"))
    with pytest.raises(FormatError, match="is a folder"):
        list(line_blocks(tmp_path))


def test_line_ends_of_windows_and_of_old_macintoshes_are_lines(tmp_path):
    for text in (b"a\r\nb\r\n", b"a\rb\r", b"\xef\xbb\xbfa\nb"):
        (tmp_path / "f").write_bytes(text)
        blocks = list(line_blocks(tmp_path / "f"))
        assert [line for block in blocks for line in block.lines()] == ["a", "b"]
        assert blocks[-1].unfinished == text.endswith(b"b")
