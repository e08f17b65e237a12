"""Which processes of this machine still live: what a worker writes of itself, and how to ask."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

__all__ = ["is_known_dead", "this_process"]


def this_process() -> str:
    """Return a text that names this process, its machine and its container."""
    return json.dumps({"place": _place(), "process": _process(os.getpid())})


def is_known_dead(text: str) -> bool:
    """Whether ``text``, from ``this_process``, names one of this machine that is no more.

    A process elsewhere may have ended too: nobody here can know.
    """
    try:
        found: Any = json.loads(text)
        place, [pid, born] = found["place"], found["process"]
        return bool(place) and place == _place() and _process(int(pid)) != [pid, born]
    except (ValueError, TypeError, KeyError):
        return False  # it is being written at this moment


def _place() -> str:
    """Name this machine and, in it, this container; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _process(pid: int) -> list[Any]:
    """Return a process's number with the time it began (numbers come again), None if it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return [pid, None]
    return [pid, None if fields[0] in "ZX" else fields[19]]
