"""Reading files that others made: never more than expected, never a byte that was altered.

A data file comes plain or gzipped, and gzip headers differ between homes of the same file (Debian's
package of Fashion-MNIST has other ``.gz`` bytes than the original). So what is pinned and checked
is always the *content* after decompression: its length and its SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lwlab.units import format_count

__all__ = [
    "REPLACE",
    "DataFileError",
    "check_labels",
    "check_sha256",
    "content_path",
    "open_content",
    "read_body",
]

REPLACE = "Delete it and load again, or put the original file in its place."


class DataFileError(ValueError):
    """A data file is cut off, altered or of another kind; the message says which and what to do."""


def content_path(folder: Path, name: str) -> Path:
    """Return where the content ``name`` lies: in ``name.gz`` if there is one, else in ``name``."""
    gzipped = folder / f"{name}.gz"
    return gzipped if gzipped.is_file() else folder / name


@contextmanager
def open_content(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; gzipped or not is told by its first bytes, not by its name.

    Nothing is decompressed beyond what is read, so that a small file cannot fill the memory.

    Raises:
        DataFileError: while reading, if the gzip stream is cut off or altered.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not is_gzip:
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataFileError(
                f"{path} must be a whole gzip file, got one that is cut off or altered. {REPLACE}"
            ) from error


def read_body(stream: BinaryIO, path: Path | str, num_bytes: int) -> bytes:
    """Return the rest of ``stream``, which must be exactly ``num_bytes`` long.

    At most one byte more is read, so neither the memory nor the time depends on the file.

    Raises:
        DataFileError: it is shorter or longer.
    """
    body = stream.read(num_bytes)
    expected = f"{path} must hold {format_count(num_bytes)} bytes of data"
    if len(body) < num_bytes:
        raise DataFileError(f"{expected}, got only {format_count(len(body))}. {REPLACE}")
    # This also makes gzip compare its checksum, which it does at the end of the stream only.
    if stream.read(1):
        raise DataFileError(f"{expected}, got more. {REPLACE}")
    return body


def check_sha256(path: Path | str, expected: str | None, *parts: bytes) -> None:
    """Compare the SHA-256 of the joined ``parts`` of a content; ``None`` is not checked.

    Raises:
        DataFileError: the content is not the pinned one.
    """
    if expected is None:
        return
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    if digest.hexdigest() != expected:
        raise DataFileError(
            f"{path} must have content of SHA-256 {expected[:8]}..., got "
            f"{digest.hexdigest()[:8]}...: it was altered. {REPLACE}"
        )


def check_labels(path: Path | str, labels: np.ndarray, num_classes: int = 10) -> None:
    """Check that (N,) ``labels`` are classes from 0 to ``num_classes - 1``.

    Raises:
        DataFileError: a label is larger.
    """
    wrong = np.flatnonzero(labels >= num_classes)
    if len(wrong):
        raise DataFileError(
            f"{path} must hold labels from 0 to {num_classes - 1}, got {labels[wrong[0]]} "
            f"at record {wrong[0]}. {REPLACE}"
        )
