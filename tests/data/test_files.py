import contextlib
import gzip
import hashlib
import io
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwlab.data.files import (
    DataFileError,
    check_labels,
    check_sha256,
    content_path,
    open_content,
    read_body,
)

CONTENT = bytes(range(100))
REPLACE = "Delete it and load again, or put the original file in its place."


def raises(sentence):
    return pytest.raises(DataFileError, match=f"^{re.escape(sentence)}$")


def read(path, num_bytes):
    with open_content(path) as stream:
        return read_body(stream, path, num_bytes)


def test_a_plain_and_a_gzipped_file_give_the_same_content_whatever_their_names(tmp_path):
    (tmp_path / "a.gz").write_bytes(CONTENT)
    (tmp_path / "b").write_bytes(gzip.compress(CONTENT))
    assert read(tmp_path / "a.gz", 100) == read(tmp_path / "b", 100) == CONTENT


def test_the_gzipped_file_is_preferred(tmp_path):
    assert content_path(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").touch()
    assert content_path(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a.gz").touch()
    assert content_path(tmp_path, "a") == tmp_path / "a.gz"


def test_a_file_of_another_length_is_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    with raises(f"{path} must hold 101 bytes of data, got only 100. {REPLACE}"):
        read(path, 101)
    with raises(f"{path} must hold 99 bytes of data, got more. {REPLACE}"):
        read(path, 99)


@pytest.mark.parametrize("cut", [3, 15, 50, -8, -1])
def test_a_cut_gzip_file_is_refused(tmp_path, cut):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(CONTENT)[:cut])
    with raises(f"{path} must be a whole gzip file, got one that is cut off or altered. {REPLACE}"):
        read(path, 100)


@given(position=st.integers(10, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_gzip_stream_alters_the_content_unnoticed(
    tmp_path_factory, position, bit
):
    packed = bytearray(gzip.compress(CONTENT))
    position = 10 + position % (len(packed) - 10)  # The first ten bytes are the header.
    packed[position] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "a.gz"
    path.write_bytes(packed)
    # A few bits are padding, which no reader sees: then the content is still the right one.
    with contextlib.suppress(DataFileError):
        assert read(path, 100) == CONTENT


def test_a_gzip_bomb_is_not_inflated(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    with raises(f"{path} must hold 1,000 bytes of data, got more. {REPLACE}"):
        read(path, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"), open_content(tmp_path / "nowhere"):
        pass


def test_the_sha256_of_the_joined_parts_is_compared():
    digest = hashlib.sha256(CONTENT).hexdigest()
    check_sha256("a", digest, CONTENT[:4], CONTENT[4:])
    check_sha256("a", None, b"anything")
    with raises(
        f"a must have content of SHA-256 {digest[:8]}..., got e3b0c442...: it was altered. "
        f"{REPLACE}"
    ):
        check_sha256("a", digest)


def test_labels_must_be_classes():
    check_labels("a", np.array([0, 9], np.uint8))
    with raises(f"a must hold labels from 0 to 9, got 10 at record 1. {REPLACE}"):
        check_labels("a", np.array([0, 10, 11], np.uint8))


def test_read_body_works_on_any_stream():
    assert read_body(io.BytesIO(b"abc"), "a", 3) == b"abc"
