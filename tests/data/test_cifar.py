import contextlib
import gzip
import hashlib
import io
import re
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwlab.data.cifar import CIFAR10_FOLDER, TEST_FILES, TRAIN_FILES, read_cifar10
from lwlab.data.files import DataFileError

REPLACE = "Delete it and load again, or put the original file in its place."
RECORDS = 3


def raises(sentence):
    return pytest.raises(DataFileError, match=f"^{re.escape(sentence)}$")


def contents(records=RECORDS):
    """File name -> bytes; record r of file f has label (f + r) % 10 and pixels of f, r and 200."""
    files = {}
    for number, name in enumerate(TRAIN_FILES + TEST_FILES):
        planes = [[number] * 1024 + [record] * 1024 + [200] * 1024 for record in range(records)]
        files[name] = b"".join(
            bytes([(number + record) % 10, *plane]) for record, plane in enumerate(planes)
        )
    return files


def write_folder(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive_bytes(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1)


def write_archive(path, files, **more):
    members = {f"{CIFAR10_FOLDER}/{name}": content for name, content in files.items()}
    path.write_bytes(archive_bytes(members | more))
    return path


@pytest.fixture(params=["folder", "archive"])
def write(request, tmp_path):
    """Write the files as a folder or an archive; returns it and how a file in it is named."""

    def write(files):
        if request.param == "folder":
            folder = write_folder(tmp_path / CIFAR10_FOLDER, files)
            return folder, lambda name: str(folder / name)
        path = write_archive(tmp_path / "cifar-10-binary.tar.gz", files)
        return path, lambda name: f"{path}: {name}"

    return write


def test_records_are_read_in_the_order_of_the_files(write):
    place, _ = write(contents())
    (images, labels), (test_images, test_labels) = read_cifar10(place, RECORDS)
    assert images.shape == (15, 3, 32, 32)
    assert labels.tolist() == [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]
    assert test_images.shape == (3, 3, 32, 32)
    assert test_labels.tolist() == [5, 6, 7]
    # Record 1 of file 2: red is the file, green the record, blue 200.
    assert np.array_equal(images[7], np.broadcast_to([[[2]], [[1]], [[200]]], (3, 32, 32)))


def test_pixels_lie_row_by_row(tmp_path):
    files = contents(1)
    files["test_batch.bin"] = bytes([9]) + bytes(i % 251 for i in range(3072))
    _, (images, labels) = read_cifar10(write_folder(tmp_path / "a", files), 1)
    for channel, row, column in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 31, 31)]:
        assert images[0, channel, row, column] == (1024 * channel + 32 * row + column) % 251
    assert labels.tolist() == [9]


def test_gzipped_files_in_a_folder_are_read_too(tmp_path):
    files = contents(1)
    packed = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    (images, _), _ = read_cifar10(write_folder(tmp_path / "a", packed), 1)
    (expected, _), _ = read_cifar10(write_folder(tmp_path / "b", files), 1)
    assert np.array_equal(images, expected)


def test_the_content_is_checked(write):
    files = contents()
    place, source = write(files)
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    read_cifar10(place, RECORDS, sha256)
    got = sha256["test_batch.bin"][:8]
    sha256["test_batch.bin"] = "0" * 64
    with raises(
        f"{source('test_batch.bin')} must have content of SHA-256 00000000..., got {got}...: "
        f"it was altered. {REPLACE}"
    ):
        read_cifar10(place, RECORDS, sha256)


def test_another_length_is_refused(write):
    files = contents()
    files["data_batch_2.bin"] = files["data_batch_2.bin"][:-1]
    place, source = write(files)
    expected = f"{source('data_batch_2.bin')} must hold 9,219 bytes of data"
    with raises(f"{expected}, got only 9,218. {REPLACE}"):
        read_cifar10(place, RECORDS)
    first = f"{source('data_batch_1.bin')} must hold 6,146 bytes of data"
    with raises(f"{first}, got more. {REPLACE}"):
        read_cifar10(place, 2)


def test_a_label_above_nine_is_refused(write):
    files = contents()
    files["data_batch_3.bin"] = b"\x0a" + files["data_batch_3.bin"][1:]
    place, source = write(files)
    with raises(
        f"{source('data_batch_3.bin')} must hold labels from 0 to 9, got 10 at record 0. {REPLACE}"
    ):
        read_cifar10(place, RECORDS)


def test_a_missing_file_is_named(tmp_path):
    files = contents()
    del files["data_batch_4.bin"]
    path = write_archive(tmp_path / "a.tar.gz", files)
    with raises(
        f"{path} must hold {CIFAR10_FOLDER}/data_batch_4.bin, got no such file in it. {REPLACE}"
    ):
        read_cifar10(path, RECORDS)
    with pytest.raises(FileNotFoundError, match="data_batch_4"):
        read_cifar10(write_folder(tmp_path / "b", files), RECORDS)


def test_what_is_no_tar_archive_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    sentence = f"{path} must be a whole tar archive, got one that is cut off or altered. {REPLACE}"
    for content in (b"", b"<html>", gzip.compress(b"<html>" * 200)):
        path.write_bytes(content)
        with raises(sentence):
            read_cifar10(path, RECORDS)


def test_nothing_is_written_wherever_a_member_points(tmp_path):
    outside = tmp_path / "outside"
    path = write_archive(
        tmp_path / "a.tar.gz", contents(), **{str(outside): b"x", "../outside": b"x"}
    )
    before = sorted(tmp_path.iterdir())
    read_cifar10(path, RECORDS)
    assert sorted(tmp_path.iterdir()) == before


def test_a_link_does_not_stand_in_for_a_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(contents()["test_batch.bin"])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in contents().items():
            member = tarfile.TarInfo(f"{CIFAR10_FOLDER}/{name}")
            if name == "test_batch.bin":
                member.type, member.linkname = tarfile.SYMTYPE, str(secret)
                content = b""  # noqa: PLW2901 (a link has none)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path = tmp_path / "a.tar"
    path.write_bytes(buffer.getvalue())
    with raises(
        f"{path} must hold {CIFAR10_FOLDER}/test_batch.bin, got no such file in it. {REPLACE}"
    ):
        read_cifar10(path, RECORDS)


def test_an_archive_that_inflates_beyond_its_records_is_refused(tmp_path):
    path = write_archive(tmp_path / "a.tar.gz", contents(), bomb=bytes(3_000_000))
    limit = 6 * RECORDS * 3073 + 2**20
    with raises(f"{path} must hold at most {limit:,} bytes, got more. {REPLACE}"):
        read_cifar10(path, RECORDS)


@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 2**20),
    header_only=st.booleans(),
)
def test_an_altered_archive_is_read_or_gives_the_one_error(
    tmp_path_factory, changes, cut, header_only
):
    folder = tmp_path_factory.mktemp("tar")
    plain = bytearray(gzip.decompress(write_archive(folder / "a", contents(1)).read_bytes()))
    for position, value in changes:
        plain[position % (512 if header_only else len(plain))] = value
    path = folder / "b.tar"
    path.write_bytes(plain[: max(len(plain) - cut % 4096, 0)])
    with contextlib.suppress(DataFileError):
        (images, _), _ = read_cifar10(path, 1)
        assert images.shape == (5, 3, 32, 32)
