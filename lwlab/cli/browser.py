"""Where a Chromium is: the browser that the tests and benchmarks drive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["CHROMIUM_NAMES", "CHROMIUM_VARIABLE", "find_chromium"]

CHROMIUM_VARIABLE = "LWLAB_CHROMIUM"
CHROMIUM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    # macOS puts no browser on the PATH.
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_chromium() -> Path | None:
    """Return the program that ``LWLAB_CHROMIUM`` names, else the first Chromium found, else None.

    Raises:
        FileNotFoundError: ``LWLAB_CHROMIUM`` is set to what is no program. Another browser is not
            taken in its place: whoever sets the variable means that one.
    """
    chosen = os.environ.get(CHROMIUM_VARIABLE, "").strip()
    if not chosen:
        found = (shutil.which(name) for name in CHROMIUM_NAMES)
        return next((Path(path) for path in found if path), None)
    path = shutil.which(chosen)
    if path is None:
        raise FileNotFoundError(
            f"{CHROMIUM_VARIABLE} must name a Chromium program, got {chosen!r}. "
            "Correct it, or unset it to search the PATH."
        )
    return Path(path)
