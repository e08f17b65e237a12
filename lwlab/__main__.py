"""``python -m lwlab``: the command ``lwlab`` where the console script is not on the PATH."""

from __future__ import annotations

import sys

from lwlab.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
