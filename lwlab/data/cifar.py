"""The binary version of CIFAR-10: six files of records, in a folder or in the public ``.tar.gz``.

A record is 3,073 bytes: the label, then 1,024 red, 1,024 green and 1,024 blue values, row by row.
An archive is read in passing; nothing is ever extracted to the disk.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lwlab.data.files import (
    REPLACE,
    DataFileError,
    check_labels,
    check_sha256,
    content_path,
    open_content,
    read_body,
)

__all__ = ["CIFAR10_FOLDER", "TEST_FILES", "TRAIN_FILES", "read_cifar10"]

CIFAR10_FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
_IMAGE_SHAPE = (3, 32, 32)
_RECORD_BYTES = 1 + 3 * 32 * 32
# Room for what an archive holds beside the records: headers and two small texts.
_ARCHIVE_EXTRA_BYTES = 1 << 20

Examples = tuple[np.ndarray, np.ndarray]


def read_cifar10(
    place: Path, records_per_file: int = 10_000, sha256: Mapping[str, str] | None = None
) -> tuple[Examples, Examples]:
    """Return ``((train images, train labels), (test images, test labels))``.

    Args:
        place: a folder with the six ``.bin`` files, or the archive that holds them.
        records_per_file: how many records each of the six files must hold.
        sha256: of each file's content, by file name; ``None``: not checked.

    Returns:
        Images as uint8 (N, 3, 32, 32) and labels as uint8 (N,), in the order of the files.

    Raises:
        DataFileError: a file is missing in the archive, of another length, altered, or has a label
            above 9.
        OSError: a file cannot be opened.
    """
    num_bytes = records_per_file * _RECORD_BYTES
    read = _read_folder if place.is_dir() else _read_archive
    contents = read(place, num_bytes)
    records = {}
    for name, content in contents.items():
        source = content_path(place, name) if place.is_dir() else f"{place}: {name}"
        records[name] = np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD_BYTES)
        check_labels(source, records[name][:, 0])
        check_sha256(source, (sha256 or {}).get(name), content)
    return _examples(records, TRAIN_FILES), _examples(records, TEST_FILES)


def _examples(records: Mapping[str, np.ndarray], names: tuple[str, ...]) -> Examples:
    joined = np.concatenate([records[name] for name in names])
    return joined[:, 1:].reshape(-1, *_IMAGE_SHAPE), joined[:, 0]


def _read_folder(folder: Path, num_bytes: int) -> dict[str, bytes]:
    contents = {}
    for name in TRAIN_FILES + TEST_FILES:
        path = content_path(folder, name)
        with open_content(path) as stream:
            contents[name] = read_body(stream, path, num_bytes)
    return contents


def _read_archive(path: Path, num_bytes: int) -> dict[str, bytes]:
    wanted = {f"{CIFAR10_FOLDER}/{name}": name for name in TRAIN_FILES + TEST_FILES}
    contents = {}
    limit = len(wanted) * num_bytes + _ARCHIVE_EXTRA_BYTES
    try:
        with (
            open_content(path) as stream,
            tarfile.open(fileobj=_Limited(stream, path, limit), mode="r|") as archive,
        ):
            for member in archive:
                name = wanted.get(member.name.removeprefix("./"))
                if name and member.isreg():
                    body = archive.extractfile(member)
                    contents[name] = read_body(body, f"{path}: {name}", num_bytes)
    except DataFileError:
        raise
    # Besides its own errors, tarfile lets those of parsing numbers and texts in a header through.
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise DataFileError(
            f"{path} must be a whole tar archive, got one that is cut off or altered. {REPLACE}"
        ) from error
    missing = [name for name in wanted.values() if name not in contents]
    if missing:
        raise DataFileError(
            f"{path} must hold {CIFAR10_FOLDER}/{missing[0]}, got no such file in it. {REPLACE}"
        )
    return contents


class _Limited:
    """A stream that refuses to give more than ``limit`` bytes, whatever an archive declares."""

    def __init__(self, stream: BinaryIO, path: Path, limit: int) -> None:
        self._stream, self._path, self._limit, self._left = stream, path, limit, limit

    def read(self, num_bytes: int) -> bytes:
        data = self._stream.read(min(num_bytes, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise DataFileError(
                f"{self._path} must hold at most {self._limit:,} bytes, got more. {REPLACE}"
            )
        return data
