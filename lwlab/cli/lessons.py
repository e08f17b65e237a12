"""Lessons brought to a folder of the user's, and brought up to date without losing their work.

What we copied is remembered in a small manifest in the folder: the SHA-256 of each lesson as we
last offered it. A file that still has that content is ours to replace; any other file is the user's
and stays as it is. Where a lesson that the user changed has a newer version, that goes beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import lwlab

__all__ = ["MANIFEST", "CopiedLessons", "copy_lessons", "lessons_source"]

MANIFEST = ".lwlab-lessons.json"
_IGNORED = ("__pycache__",)


@dataclass(frozen=True)
class CopiedLessons:
    """What ``copy_lessons`` did, as paths relative to the folder, in order.

    Attributes:
        folder: the folder of the lessons.
        added: lessons that were not there.
        updated: lessons replaced by a newer version; the user had not changed them.
        kept: lessons that the user changed; not touched.
        beside: newer versions of changed lessons, put beside them under another name.
        unchanged: lessons that were up to date.
    """

    folder: Path
    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line for each kind of change."""
        total = len(self.added) + len(self.updated) + len(self.kept) + len(self.unchanged)
        lines = [f"{total} lesson files in {self.folder}"]
        texts = {
            "new": self.added,
            "brought up to date": self.updated,
            "yours, kept as they are": self.kept,
            "new version put beside yours": self.beside,
        }
        lines += [f"  {text}: {', '.join(names)}" for text, names in texts.items() if names]
        return "\n".join(lines)


def lessons_source() -> Path:
    """Return the folder of the lessons: inside an installed package, or a checkout's ``notebooks``.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(str(resources.files("lwlab")))
    for folder in (package / "lessons", package.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"The lessons of lwlab must be in {package / 'lessons'}, got nothing there. "
        'Reinstall it: pip install --force-reinstall --no-deps "lwlab"'
    )


def copy_lessons(folder: Path, source: Path | None = None) -> CopiedLessons:
    """Copy the lessons into ``folder``, or bring them up to date; never over a changed file.

    A lesson that was deleted or renamed comes back: that is how to start it afresh.

    Args:
        folder: made if it is not there.
        source: where the lessons are; by default those of this installation.

    Raises:
        FileNotFoundError: the installation has no lessons.
        NotADirectoryError: ``folder`` is a file.
        OSError: it cannot be written.
    """
    source = lessons_source() if source is None else source
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"The folder for the lessons must be a folder, got the file {str(folder)!r}. "
            "Name another one: lwlab lab my-lessons"
        )
    folder.mkdir(parents=True, exist_ok=True)
    offered = _read_manifest(folder)
    done: dict[str, list[str]] = {}
    for name, content in _files(source):
        kind = _place(folder, name, content, offered)
        done.setdefault(kind, []).append(name)
        news = offered.get(name) != _sha256(content)
        offered[name] = _sha256(content)
        if kind == "kept" and news:
            other = _name_beside(name)
            if _place(folder, other, content, offered) in ("added", "updated"):
                done.setdefault("beside", []).append(other)
            offered[other] = _sha256(content)
    _write(folder / MANIFEST, json.dumps({"lwlab": lwlab.__version__, "files": offered}, indent=1))
    return CopiedLessons(folder, **{kind: tuple(names) for kind, names in done.items()})


def _place(folder: Path, name: str, content: bytes, offered: dict[str, str]) -> str:
    """Write one file unless the user has changed it, and return which field of the report it is."""
    path = folder / name
    if not path.exists():
        _write(path, content)
        return "added"
    # A folder of that name is the user's as well.
    found = _sha256(path.read_bytes()) if path.is_file() else None
    if found == _sha256(content):
        return "unchanged"
    if found is None or found != offered.get(name):
        return "kept"
    _write(path, content)
    return "updated"


def _name_beside(name: str) -> str:
    path = Path(name)
    return path.with_name(f"{path.stem}.new{path.suffix}").as_posix()


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(source.rglob("*")):
        parts = path.relative_to(source).parts
        if path.is_file() and not any(p.startswith(".") or p in _IGNORED for p in parts):
            yield "/".join(parts), path.read_bytes()


def _read_manifest(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256; without a readable manifest every file counts as the user's."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
