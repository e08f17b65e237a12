"""Arguments in, exit code out: ``lwlab lab``, ``lwlab doctor`` and ``lwlab --version``."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import lwlab
from lwlab.cli.doctor import examine, report
from lwlab.cli.lessons import copy_lessons

__all__ = ["main"]

FIRST_LESSON = "00_start_here.ipynb"
DEFAULT_FOLDER = "lwlab-lessons"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``lwlab``.

    Args:
        arguments: what follows the name of the program; ``sys.argv[1:]`` by default.

    Returns:
        The exit code: 0, JupyterLab's own, or 2 after a sentence on stderr that says what to mend.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    ours, jupyter = words, []
    if "--" in words:
        ours, jupyter = words[: words.index("--")], words[words.index("--") + 1 :]
    options = _parser().parse_args(ours)
    if options.command == "doctor":
        print(report(examine()))
        return 0
    try:
        return _lab(options, jupyter)
    except OSError as error:
        print(f"lwlab: {_sentence(error, options.folder)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lwlab", description="A lab bench for making neural networks lightweight."
    )
    parser.add_argument("--version", action="version", version=f"lwlab {lwlab.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    lab = commands.add_parser(
        "lab",
        help="copy the lessons into a folder and open JupyterLab there",
        description="Copy the lessons into FOLDER, or bring them up to date, and open JupyterLab "
        "there. A file that you changed is never touched: its new version goes beside it, as "
        "NAME.new.ipynb. Delete or rename a lesson to get it afresh.",
        epilog="What follows -- goes to JupyterLab: lwlab lab my-lessons -- --no-browser",
    )
    lab.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", default=DEFAULT_FOLDER)
    lab.add_argument("--no-open", action="store_true", help="copy only")
    commands.add_parser("doctor", help="print versions, data and widgets found, for a bug report")
    return parser


def _lab(options: argparse.Namespace, jupyter: Sequence[str]) -> int:
    folder = options.folder.expanduser().resolve()
    # Asked first: nothing should be copied by a command that then does not do what it says.
    if not options.no_open and find_spec("jupyterlab") is None:
        raise FileNotFoundError(
            'JupyterLab is not installed here. Install it: pip install "lwlab[lab]" '
            "(or copy the lessons only: lwlab lab --no-open)"
        )
    print(copy_lessons(folder), flush=True)
    return 0 if options.no_open else _open_jupyterlab(folder, jupyter)


def _open_jupyterlab(folder: Path, extra: Sequence[str]) -> int:
    """Become JupyterLab: no second process, so Ctrl-C and kill reach it as usual."""
    # As default_url rather than as a file, so that the address it prints leads to the lesson too.
    words = ["jupyter-lab", f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}", *extra]
    # Jupyter refuses root unless told; in a container there is often nobody else, and the server
    # listens on loopback only, behind its token.
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in extra:
        words.append("--allow-root")
    os.chdir(folder)
    sys.argv = words
    runpy.run_module("jupyterlab", run_name="__main__")
    return 0


def _sentence(error: OSError, folder: Path) -> str:
    """Return our own sentences as they are, the system's with what was being done."""
    if error.errno is None:
        return str(error)
    return (
        f"the lessons cannot be written to {str(folder)!r}: {error.strerror}. Name another folder."
    )
