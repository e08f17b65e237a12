"""Colours between the stops of a scale, and the ink that reads on them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

__all__ = ["color_at", "ink_on"]


def color_at(scale: Sequence[Sequence[Any]], share: float) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, between the two stops around ``share``.

    Args:
        scale: (place in [0, 1], ``"#rrggbb"``) of each stop, from 0 to 1.
        share: where to look; beyond the ends it is the end.
    """
    share = min(max(share, 0.0), 1.0)
    for (low, dark), (high, light) in pairwise(scale):
        if share <= high:
            part = (share - low) / (high - low)
            pairs = zip(_channels(dark), _channels(light), strict=True)
            red, green, blue = (round(a + part * (b - a)) for a, b in pairs)
            break
    return red, green, blue


def ink_on(color: tuple[int, int, int]) -> str:
    """Return the one of ``black`` and ``white`` that contrasts more with a colour.

    By the contrast ratio of WCAG 2: (L1 + 0.05) / (L2 + 0.05) of the relative luminances.
    """
    red, green, blue = (
        (c / 255 / 12.92) if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in color
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _channels(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color.removeprefix("#")))
