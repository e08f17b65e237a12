"""The IDX format of MNIST and its relatives.

Two zero bytes, a type code (8: unsigned bytes, the only one used by these sets), the number of
dimensions, each dimension as a big-endian 32-bit number, then the values, the last index fastest.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from lwlab.data.files import REPLACE, DataFileError, check_sha256, open_content, read_body

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 8


def read_idx(path: Path, shape: tuple[int, ...], sha256: str | None = None) -> np.ndarray:
    """Return the bytes of an IDX file, plain or gzipped, as a read-only uint8 array of ``shape``.

    The header must declare exactly ``shape``, so the memory needed is known before any value is
    read.

    Args:
        path: the file.
        shape: what it must hold, such as (60000, 28, 28).
        sha256: of the whole decompressed content; ``None``: not checked.

    Raises:
        DataFileError: it is of another kind or shape, cut off, too long or altered.
        OSError: it cannot be opened.
    """
    with open_content(path) as stream:
        header = stream.read(4 + 4 * len(shape))
        _check_header(path, header, shape)
        body = read_body(stream, path, math.prod(shape))
    check_sha256(path, sha256, header, body)
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _check_header(path: Path, header: bytes, shape: tuple[int, ...]) -> None:
    magic = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    if header[:4] != magic:
        found = header[:4].hex(" ") or "an empty file"
        raise DataFileError(
            f"{path} must be an IDX file of bytes in {len(shape)} dimensions, which starts with "
            f"{magic.hex(' ')}, got {found}. {REPLACE}"
        )
    if len(header) < 4 + 4 * len(shape):
        raise DataFileError(f"{path} must be an IDX file, got one cut off in its header. {REPLACE}")
    declared = struct.unpack(f">{len(shape)}I", header[4:])
    if declared != shape:
        raise DataFileError(
            f"{path} must hold an array of shape {shape}, got one of shape {declared}. {REPLACE}"
        )
