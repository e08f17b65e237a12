"""Where tries go when nobody names a file."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from lwlab.data.places import cache_folder
from lwlab.journal.journal import Journal

__all__ = ["VARIABLE", "default_journal"]

VARIABLE = "LWLAB_JOURNAL"
_OFF = "off"


def default_journal() -> Journal | None:
    """Return the journal that labs and searches write to; None where ``LWLAB_JOURNAL=off``.

    The file named by ``LWLAB_JOURNAL``; else ``journal.sqlite`` in the user's folder of lwlab,
    which is made if it is not there.

    Raises:
        ValueError, OSError: the file is no journal, or cannot be opened: see ``Journal``.
    """
    named = os.environ.get(VARIABLE, "")
    if named.strip().lower() == _OFF:
        return None
    if named:
        return _opened(Path(named).expanduser().absolute())
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return _opened(folder.absolute() / "journal.sqlite")


@cache
def _opened(path: Path) -> Journal:
    # Once a process: opening a journal reads it whole, to see that it is sound.
    return Journal(path)
