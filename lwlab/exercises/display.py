"""Results show themselves in a notebook; in a script they are printed."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["in_notebook", "print_outside_notebooks"]


def in_notebook() -> bool:
    """Return whether a front end shows the last value of a cell."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def print_outside_notebooks(result: Any) -> None:
    """Print ``result`` unless a notebook is going to show it."""
    if not in_notebook():
        print(result)
