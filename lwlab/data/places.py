"""Where a public data set may lie on this machine, and in which order we look."""

from __future__ import annotations

import os
from pathlib import Path

import pooch

from lwlab.data.catalogue import PublicSet
from lwlab.data.files import content_path

__all__ = [
    "SYSTEM_FOLDER",
    "VARIABLE",
    "cache_folder",
    "describe_search",
    "find_place",
    "search_roots",
]

VARIABLE = "LWLAB_DATA"
# Where Debian's dataset-* packages install.
SYSTEM_FOLDER = Path("/usr/share/datasets")


def cache_folder() -> Path:
    """Return the user's cache folder of lwlab, where downloads go; it need not exist yet."""
    return Path(pooch.os_cache("lwlab"))


def search_roots() -> list[Path]:
    """Return the folders to search, in order: ``LWLAB_DATA`` (if set), the system's, the cache.

    Raises:
        FileNotFoundError: ``LWLAB_DATA`` is set to what does not exist.
        NotADirectoryError: ``LWLAB_DATA`` is set to something else than a folder.
    """
    roots = [SYSTEM_FOLDER, cache_folder()]
    wish = os.environ.get(VARIABLE, "").strip()
    if not wish:
        return roots
    folder = Path(wish).expanduser()
    if not folder.is_dir():
        error, what = FileNotFoundError, "nothing is there"
        if folder.exists():
            error, what = NotADirectoryError, "it is a file"
        raise error(
            f"{VARIABLE} must name an existing folder, got {wish!r}: {what}. "
            "Correct it, or unset it to use the user cache."
        )
    return [folder, *roots]


def find_place(known: PublicSet, roots: list[Path]) -> Path | None:
    """Return the first place under ``roots`` that holds all of ``known``'s files, if any.

    Only presence is looked at; reading checks the content.
    """
    for root in roots:
        for place in known.places:
            if _is_complete(root / place, known):
                return root / place
    return None


def describe_search(known: PublicSet, roots: list[Path]) -> list[str]:
    """Return each root in words, with the first file that is missing in a place begun there."""
    texts = []
    for root in roots:
        missing = {root / place: _missing(root / place, known) for place in known.places}
        lacks = [
            f"{place} lacks {names[0]}"
            for place, names in missing.items()
            if 0 < len(names) < len(known.files)
        ]
        texts.append(f"{root} ({', '.join(lacks)})" if lacks else str(root))
    return texts


def _is_complete(place: Path, known: PublicSet) -> bool:
    if place.name.endswith(".tar.gz"):
        return place.is_file()
    return not _missing(place, known)


def _missing(folder: Path, known: PublicSet) -> list[str]:
    return [name for name in known.files if not content_path(folder, name).is_file()]
