import contextlib
import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lwlab.data.files import DataFileError
from lwlab.data.idx import read_idx

REPLACE = "Delete it and load again, or put the original file in its place."
# Two images of two by three pixels, byte by byte as the format's page describes them.
BY_HAND = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(12)])


def raises(sentence):
    return pytest.raises(DataFileError, match=f"^{re.escape(sentence)}$")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images"


def test_a_file_by_hand_is_read(path):
    path.write_bytes(BY_HAND)
    array = read_idx(path, (2, 2, 3), hashlib.sha256(BY_HAND).hexdigest())
    assert array.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert array.dtype == np.uint8


@given(array=arrays.arrays(np.uint8, arrays.array_shapes(max_dims=4, max_side=5)))
def test_what_is_written_is_read_back(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    assert np.array_equal(read_idx(path, array.shape), array)


@given(content=st.binary(max_size=40))
def test_other_bytes_give_an_array_of_the_right_shape_or_the_one_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("idx") / "a"
    for prefix in (b"", BY_HAND[:4], BY_HAND[:16]):
        path.write_bytes(prefix + content)
        with contextlib.suppress(DataFileError):
            assert read_idx(path, (2, 2, 3)).shape == (2, 2, 3)


def test_another_kind_of_file_is_refused(path):
    intro = f"{path} must be an IDX file of bytes in 1 dimensions, which starts with 00 00 08 01"
    for content, found in [
        (BY_HAND, "00 00 08 03"),
        (b"<htm", "3c 68 74 6d"),
        (b"", "an empty file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 2]), "00 00 0d 01"),
    ]:
        path.write_bytes(content)
        with raises(f"{intro}, got {found}. {REPLACE}"):
            read_idx(path, (12,))


def test_another_shape_is_refused_before_anything_is_read(path):
    # It declares 4 billion images of 4 billion pixels: nothing of that may be allocated.
    path.write_bytes(BY_HAND[:4] + b"\xff" * 12)
    largest = 2**32 - 1
    with raises(
        f"{path} must hold an array of shape (2, 2, 3), got one of shape "
        f"({largest}, {largest}, {largest}). {REPLACE}"
    ):
        read_idx(path, (2, 2, 3))


def test_a_cut_longer_or_altered_file_is_refused(path):
    sha256 = hashlib.sha256(BY_HAND).hexdigest()
    path.write_bytes(BY_HAND[:10])
    with raises(f"{path} must be an IDX file, got one cut off in its header. {REPLACE}"):
        read_idx(path, (2, 2, 3))
    path.write_bytes(BY_HAND[:-1])
    with raises(f"{path} must hold 12 bytes of data, got only 11. {REPLACE}"):
        read_idx(path, (2, 2, 3))
    path.write_bytes(BY_HAND + b"x")
    with raises(f"{path} must hold 12 bytes of data, got more. {REPLACE}"):
        read_idx(path, (2, 2, 3))
    altered = BY_HAND[:-1] + b"x"
    path.write_bytes(altered)
    got = hashlib.sha256(altered).hexdigest()[:8]
    with raises(
        f"{path} must have content of SHA-256 {sha256[:8]}..., got {got}...: it was altered. "
        f"{REPLACE}"
    ):
        read_idx(path, (2, 2, 3), sha256)
