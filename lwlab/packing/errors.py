"""What can go wrong with a packed file, in one exception for callers.

The readers further down know what is wrong but not which file they read; they raise ``Damage``
with the reason alone. ``naming`` turns it into the sentence that the user sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Damage", "PackingError", "naming"]


class PackingError(ValueError):
    """A model that cannot be packed, a file that cannot be read, or the two do not fit."""


class Damage(Exception):  # noqa: N818 - never leaves the package: it becomes a PackingError
    """The reason why some bytes are not a packed file, such as ``"its header is cut off"``."""


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Turn a ``Damage`` raised in the block into a ``PackingError`` that names ``source``."""
    try:
        yield
    except Damage as damage:
        raise PackingError(
            f"{source} is damaged: {damage}. Copy the file again, or save the model again."
        ) from None
