"""The command ``lwlab``: bring the lessons to a folder and open them, and say what is installed."""

from lwlab.cli.browser import find_chromium
from lwlab.cli.commands import main
from lwlab.cli.doctor import Finding, examine, report
from lwlab.cli.lessons import MANIFEST, CopiedLessons, copy_lessons, lessons_source

__all__ = [
    "MANIFEST",
    "CopiedLessons",
    "Finding",
    "copy_lessons",
    "examine",
    "find_chromium",
    "lessons_source",
    "main",
    "report",
]
