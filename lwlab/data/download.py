"""Fetching a public file once, with a progress bar, from the first home that serves it whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch

__all__ = ["PublicFile", "download"]


@dataclass(frozen=True)
class PublicFile:
    """A file and its public homes.

    Attributes:
        name: what the file is called, at each home and here.
        homes: addresses of the folders that serve it, each ending in ``/``; tried in this order.
        sha256: of the file as served, still compressed.
    """

    name: str
    homes: tuple[str, ...]
    sha256: str


def download(file: PublicFile, folder: Path) -> Path:
    """Return the path of ``file`` in ``folder``, downloading it if it is not there yet.

    A file there with another SHA-256 is downloaded anew. A download that breaks off leaves nothing
    behind.

    Raises:
        ConnectionError: no home served the file; names each home and why.
    """
    failures = []
    for home in file.homes:
        try:
            path = pooch.retrieve(
                home + file.name,
                known_hash=f"sha256:{file.sha256}",
                fname=file.name,
                path=folder,
                progressbar=True,
            )
        # ValueError: served, but with another SHA-256. OSError: all that network and disk can do
        # (the exceptions of requests are among them).
        except (OSError, ValueError) as error:
            reason = _reason(error) if isinstance(error, OSError) else "another SHA-256"
            failures.append(f"{urlsplit(home).netloc} ({reason})")
        else:
            return Path(path)
    raise ConnectionError(f"{file.name} could not be downloaded from {' or '.join(failures)}")


def _reason(error: OSError) -> str:
    """What the disk or the server said, else the name of the error."""
    if error.strerror:  # A full or read-only disk, not the network.
        return error.strerror
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"HTTP status {status}" if status else type(error).__name__
