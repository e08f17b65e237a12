"""The file of a journal: an SQLite database that several processes write to at once.

The mode is SQLite's default, a rollback journal, with a long wait for the others. Write-ahead
logging (WAL) would be quicker, but it shares memory between the processes: it cannot work where two
machines share a network folder, and its two extra files are lost when somebody copies the one. A
journal takes a row a second; the default is quick enough. (Over a network SQLite is as safe as the
locks of that file system are.)

Each action opens the file, does one transaction and closes it: no lock outlives an action, any
thread may act, and a process may fork. A file that is no journal is never written to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["COLUMNS", "opened"]

COLUMNS = (
    "id",
    "key",
    "source",
    "params",
    "accuracy",
    "size_bytes",
    "latency_ms",
    "seed",
    "seconds",
    "note",
    "recipe",
    "model",
    "dataset",
    "created",
)
"""What ``entries`` holds of a try, beside its ``state``."""

_START = b"SQLite format 3\0"
_APPLICATION = int.from_bytes(b"lwlj", "big")  # tells the file from other databases
_VERSION = 1
_BUSY_SECONDS = 30.0
_TABLE = """CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    params TEXT NOT NULL,
    accuracy REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    latency_ms REAL,
    seed INTEGER,
    seconds REAL,
    note TEXT NOT NULL,
    recipe TEXT,
    model TEXT NOT NULL,
    dataset TEXT NOT NULL,
    created TEXT NOT NULL,
    state BLOB
)"""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SYSTEM = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
}


@contextmanager
def opened(path: Path, *, write: bool = False, whole: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the journal at ``path`` for one transaction; an error in the block undoes all of it.

    Args:
        path: the file; ``write`` makes it where there is none (or an empty one).
        write: whether the block changes something.
        whole: read all of it, to see that it is sound.

    Raises:
        ValueError: the file is no journal, damaged, or of a newer version; it stays as it is.
        TimeoutError: others kept it busy for 30 seconds.
        OSError: the system does not let us.
    """
    if not path.parent.is_dir() or path.is_dir():
        raise FileNotFoundError(
            f"a journal must be a file in a folder that exists, got {str(path)!r}."
        )
    _check_start(path)
    mode = "rwc" if write else "rw"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with _our_sentences(path):
        connect = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        with closing(connect) as connection:
            # What a foreign file defines (functions in triggers or views) is not to be run.
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                _check(connection, path, write=write, whole=whole)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _check_start(path: Path) -> None:
    """See that a file is empty or starts as databases do: SQLite takes one byte for nothing."""
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(_START)) not in (b"", _START):
                raise _foreign(path)


def _check(connection: sqlite3.Connection, path: Path, *, write: bool, whole: bool) -> None:
    """See that it is a journal of ours; make one of an empty file."""
    schema = connection.execute("SELECT name, sql FROM sqlite_schema").fetchall()
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not schema and application == 0 and version == 0:
        if write:
            _create(connection)
        return
    if application != _APPLICATION:
        raise ValueError(
            f"{str(path)!r} must be a journal of lwlab, got another database. Name another file."
        )
    if version > _VERSION:
        raise ValueError(
            f"{str(path)!r} must be a journal of version {_VERSION} or older, got version "
            f"{version}. Update lwlab to read it."
        )
    texts = {sql for name, sql in schema if not name.startswith("sqlite_")}
    if version != _VERSION or texts != {_TABLE}:
        raise _damaged(path, "its table is not as it was made")
    if whole:
        [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _damaged(path, found)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA application_id={_APPLICATION}")
    connection.execute(f"PRAGMA user_version={_VERSION}")


@contextmanager
def _our_sentences(path: Path) -> Iterator[None]:
    """Say what went wrong with the file in one sentence, by a built-in kind of error."""
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the kind; what is above it only refines.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _BUSY:
            raise TimeoutError(
                f"the journal {str(path)!r} was kept busy by others for {_BUSY_SECONDS:g} s. "
                f"Try again."
            ) from None
        if code in _SYSTEM:
            raise OSError(f"the journal {str(path)!r} cannot be used: {error}.") from None
        if code == sqlite3.SQLITE_NOTADB:
            raise _foreign(path) from None
        raise _damaged(path, str(error)) from None


def _foreign(path: Path) -> ValueError:
    return ValueError(
        f"{str(path)!r} must be a journal of lwlab, got another kind of file. Name another file."
    )


def _damaged(path: Path, reason: str) -> ValueError:
    reason = " ".join(reason.split())
    return ValueError(
        f"the journal {str(path)!r} is damaged: {reason}. Keep it, and name another file."
    )
