"""The tries that PipelineLab shows: those of the journal, or of this lab alone without one."""

from __future__ import annotations

import dataclasses

from lwlab.journal import Entry, Journal, Origin, pareto_front
from lwlab.labs.live_plot import error_text

__all__ = ["Tries"]


class Tries:
    """All tries with one model and data set, whoever made them.

    A journal that fails is said so in ``complaint``, and loses nothing of this lab: its own tries
    are kept in memory too.

    Args:
        journal: where they are kept; None for memory alone.
        origin: of the model and the data set.

    Attributes:
        entries: as they were kept.
        front: those of them that no other one beats, from the smallest file on.
        complaint: what went wrong with the journal the last time; empty where nothing did.
    """

    def __init__(self, journal: Journal | None, origin: Origin) -> None:
        self._journal, self._origin = journal, origin
        self._own: dict[str, Entry] = {}
        self.entries: tuple[Entry, ...] = ()
        self.front: tuple[Entry, ...] = ()
        self.complaint = ""
        self.refresh()

    def refresh(self) -> None:
        """Read the journal: other labs and processes write to it too."""
        found: dict[str, Entry] = {}
        if self._journal is not None:
            try:
                origin = self._origin
                listed = self._journal.entries(model=origin.model, dataset=origin.dataset)
                found = {entry.key: entry for entry in listed}
                self.complaint = ""
            except (OSError, ValueError) as error:
                self.complaint = error_text(error)
        light = {key: dataclasses.replace(e, state=None) for key, e in self._own.items()}
        self.entries = tuple({**light, **found}.values())
        self.front = tuple(pareto_front(self.entries))

    def add(self, entry: Entry) -> None:
        """Keep a try; it is in ``entries`` afterwards."""
        self._own[entry.key] = entry
        complaint = ""
        if self._journal is not None:
            try:
                self._journal.add(entry)
            except (OSError, ValueError) as error:
                complaint = error_text(error)
        self.refresh()
        self.complaint = complaint or self.complaint

    def find(self, key: object) -> Entry | None:
        """Return the try of a key, if there is one."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def state(self, entry: Entry) -> bytes | None:
        """Return the packed file of a try; None where none was kept."""
        own = self._own.get(entry.key)
        if own is not None:
            return own.state
        if self._journal is None or entry.id is None:
            return None
        return self._journal.state(entry.id)
