"""The journal: tries in one file; labs, pipelines and searches write to it at the same time."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lwlab.checks import check_count
from lwlab.journal.database import COLUMNS, opened
from lwlab.journal.entry import LARGEST, Entry
from lwlab.journal.exchange import read_json, write_entries
from lwlab.journal.front import pareto_front

__all__ = ["Journal"]

_INSERT = (
    f"INSERT INTO entries ({', '.join(COLUMNS[1:])}, state) "
    f"VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (key) DO NOTHING"
)


class Journal:
    """Keeps tries in a file; any number of threads and processes may use it at once.

    The file is made by the first ``add``. It travels to another process by its path alone.

    Args:
        path: of the file; its folder exists.

    Raises:
        ValueError: the file is no journal, damaged, or of a newer version; it stays as it is.
        OSError: there is no such folder, or the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        if self._begun():
            with opened(self.path, whole=True):
                pass

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def add(self, entry: Entry) -> int:
        """Keep ``entry`` and return its id; one whose key is there already is not kept twice.

        Raises:
            ValueError, OSError: see ``Journal``.
        """
        if not isinstance(entry, Entry):
            raise TypeError(f"entry must be an Entry, got {type(entry).__name__}.")
        with opened(self.path, write=True) as connection:
            _insert(connection, entry)
            found = connection.execute("SELECT id FROM entries WHERE key = ?", (entry.key,))
            return found.fetchone()[0]

    def entries(
        self,
        source: str | None = None,
        *,
        model: str | None = None,
        dataset: str | None = None,
        newest_first: bool = False,
    ) -> list[Entry]:
        """Return the tries in the order they were kept, without their states.

        Args:
            source: only those of this source.
            model: only those that began with the model of this fingerprint.
            dataset: only those on the data set of this name.
            newest_first: the other way round.

        Raises:
            ValueError, OSError: see ``Journal``.
        """
        wanted = {"source": source, "model": model, "dataset": dataset}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        order = "DESC" if newest_first else "ASC"
        command = f"SELECT {', '.join(COLUMNS)} FROM entries WHERE {where} ORDER BY id {order}"
        if not self._begun():
            return []
        with opened(self.path) as connection:
            rows = connection.execute(command, tuple(wanted.values())).fetchall()
        return [self._entry(row) for row in rows]

    def front(
        self,
        x: str = "size_bytes",
        y: str = "accuracy",
        source: str | None = None,
        *,
        model: str | None = None,
        dataset: str | None = None,
    ) -> list[Entry]:
        """Return the tries that no other one beats in ``x`` (least) and ``y`` (most).

        Tries of different models or data sets are not compared: see ``pareto_front``.

        Raises:
            ValueError, OSError: see ``pareto_front`` and ``Journal``.
        """
        return pareto_front(self.entries(source, model=model, dataset=dataset), x, y)

    def state(self, id: int) -> bytes | None:
        """Return the packed file of a try, ready for ``packing.from_bytes_``; None without one.

        Raises:
            ValueError: there is no try with this id.
            OSError: see ``Journal``.
        """
        return self._states([id])[id]

    def delete(self, ids: Iterable[int]) -> None:
        """Delete the tries with these ids, all or none.

        Raises:
            ValueError: there is no try with one of them; nothing is deleted.
            OSError: see ``Journal``.
        """
        ids = self._checked(ids)
        if not ids:
            return
        with opened(self.path, write=True) as connection:
            for id in ids:
                if not connection.execute("DELETE FROM entries WHERE id = ?", (id,)).rowcount:
                    raise self._unknown(id)

    def export(self, path: str | os.PathLike[str], *, states: bool = False) -> None:
        """Write all tries to a file, as its name ends: ``.csv`` for tables, ``.json`` to move them.

        Args:
            path: the file; one that is there is replaced, whole or not at all.
            states: put the packed files into the ``.json`` too.

        Raises:
            ValueError: the name ends otherwise; or see ``Journal``.
            OSError: the file cannot be written.
        """
        entries = self.entries()
        if states:
            found = self._states([entry.id for entry in entries])
            entries = [dataclasses.replace(entry, state=found[entry.id]) for entry in entries]
        write_entries(Path(path), entries)

    def import_(self, path: str | os.PathLike[str]) -> int:
        """Add the tries of a ``.json`` file of ``export``, all or none; return how many were new.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no such file, or one of its tries is not sound; nothing is added.
            OSError: see ``Journal``.
        """
        entries = read_json(Path(path))
        with opened(self.path, write=True) as connection:
            return sum(_insert(connection, entry) for entry in entries)

    def _begun(self) -> bool:
        """Whether there is something to read; a missing folder is for ``opened`` to complain of."""
        return not self.path.parent.is_dir() or (
            self.path.exists() and (self.path.is_dir() or self.path.stat().st_size > 0)
        )

    def _states(self, ids: Iterable[int]) -> dict[int, bytes | None]:
        ids = self._checked(ids)
        found: dict[int, bytes | None] = {}
        if not ids:
            return found
        if not self._begun():
            raise self._unknown(ids[0])
        with opened(self.path) as connection:
            for id in ids:
                row = connection.execute("SELECT state FROM entries WHERE id = ?", (id,)).fetchone()
                if row is None:
                    raise self._unknown(id)
                [found[id]] = row
        return found

    @staticmethod
    def _checked(ids: Iterable[int]) -> list[int]:
        return [check_count("id", id, minimum=0, maximum=LARGEST) for id in ids]

    def _unknown(self, id: int) -> ValueError:
        return ValueError(f"id must be of a try in the journal {str(self.path)!r}, got {id}.")

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        fields = dict(zip(COLUMNS, row, strict=True))
        try:
            return Entry(**{**fields, "params": json.loads(fields["params"])})
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"the journal {str(self.path)!r} is damaged: try {fields['id']!r} is not sound "
                f"({error}) Keep it, and name another file."
            ) from None


def _insert(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Add a row; return whether its key was new."""
    fields = {name: getattr(entry, name) for name in (*COLUMNS[1:], "state")}
    fields["params"] = json.dumps(entry.params)
    return connection.execute(_INSERT, tuple(fields.values())).rowcount == 1
