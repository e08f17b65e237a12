"""Tries in files for other programs: CSV for tables, JSON to move tries to another journal."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lwlab.journal.database import COLUMNS
from lwlab.journal.entry import Entry

__all__ = ["read_json", "write_entries"]

_FORMAT, _VERSION = "lwlab journal", 1
_LARGEST_FILE = 1 << 30
# A cell that begins so is a formula for a spreadsheet, and a note may be anybody's.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_entries(path: Path, entries: Sequence[Entry]) -> None:
    """Write ``entries`` to ``path``, as its name ends; whole or not at all.

    Raises:
        ValueError: the name does not end in ``.csv`` or ``.json``.
        OSError: the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".json"):
        raise ValueError(f"path must end in '.csv' or '.json', got {str(path)!r}.")
    text = _csv(entries) if ending == ".csv" else _json(entries)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _csv(entries: Sequence[Entry]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        cells = {name: getattr(entry, name) for name in COLUMNS}
        cells["params"] = json.dumps(entry.params)
        writer.writerow([_harmless(cell) for cell in cells.values()])
    return file.getvalue()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _json(entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries:
        row = {name: getattr(entry, name) for name in COLUMNS if name != "id"}
        if entry.state is not None:
            row["state"] = base64.b64encode(entry.state).decode("ascii")
        rows.append(row)
    return json.dumps({"format": _FORMAT, "version": _VERSION, "entries": rows}, indent=1)


def read_json(path: Path) -> list[Entry]:
    """Return the tries in a file that ``write_entries`` wrote as JSON; they have no id yet.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is too large, no such file, of a newer version, or holds a try that is not
            sound.
    """
    if not path.is_file():
        raise FileNotFoundError(f"path must be a .json file of a journal, got {str(path)!r}.")
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError(f"{str(path)!r} must be at most 1 GiB long. Export without states.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError too
        raise _foreign(path) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise _foreign(path)
    if content.get("version") != _VERSION or not isinstance(content.get("entries"), list):
        raise ValueError(
            f"{str(path)!r} must hold tries in version {_VERSION}, got version "
            f"{content.get('version')!r}. Update lwlab to read a newer one."
        )
    return [_entry(row, f"try {n} of {str(path)!r}") for n, row in enumerate(content["entries"])]


def _foreign(path: Path) -> ValueError:
    return ValueError(f"{str(path)!r} must be a .json file of Journal.export, got something else.")


def _entry(row: Any, place: str) -> Entry:
    allowed = {*COLUMNS, "state"} - {"id"}
    try:
        if not isinstance(row, dict) or not set(row) <= allowed:
            raise ValueError("it has other fields.")
        state = row.get("state")
        if state is not None:
            state = base64.b64decode(state, validate=True)
        return Entry(**{**row, "state": state})
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"{place} is not sound: {' '.join(str(error).split())}") from None
