"""Horizontal bars in plain HTML: for numbers that want a bar and a label, and no axis.

Plotly needs 7 to 10 ms to redraw a figure, however little is on it; a slider that redraws four of
them is no longer live. These bars cost nothing, wrap on a narrow page and can be read aloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lwlab.units import format_bytes, format_count, format_percent

__all__ = ["file_bars", "layer_rows", "panel"]


def panel(title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    """Return a titled table of (name, bar, text) rows; ``bar`` is HTML, the others plain text."""
    body = "".join(
        f'<tr><th>{escape(name)}</th><td class="lwlab-track">{bar}</td><td>{escape(text)}</td></tr>'
        for name, bar, text in rows
    )
    return f'<div class="lwlab-panel"><h4>{escape(title)}</h4><table>{body}</table></div>'


def layer_rows(
    names: Sequence[str], fractions: Sequence[float], counts: Sequence[int]
) -> list[tuple[str, str, str]]:
    """Return a row a layer: its share in [0, 1] as a bar, and ``12.0 % of 288``."""
    return [
        (
            name,
            _bar([("lwlab-part-0", fraction)], "lwlab-frame"),
            f"{format_percent(fraction)} of {format_count(count)}",
        )
        for name, fraction, count in zip(names, fractions, counts, strict=True)
    ]


def file_bars(parts: Mapping[str, int], *, baseline_bytes: int) -> list[tuple[str, str, str]]:
    """Return the bytes of a file by part, all of one scale, over those of the file before."""
    total = sum(parts.values())
    longest = max(total, baseline_bytes, 1)
    segments = [(f"lwlab-part-{i % 4}", size / longest) for i, size in enumerate(parts.values())]
    rows = [("now", _bar(segments, ""), format_bytes(total))]
    rows += [
        ("", _bar([(kind, share)], ""), f"{format_bytes(size)} {name}")
        for (kind, share), (name, size) in zip(segments, parts.items(), strict=True)
    ]
    before = _bar([("lwlab-ghost", baseline_bytes / longest)], "")
    return [*rows, ("before", before, format_bytes(baseline_bytes))]


def _bar(segments: Sequence[tuple[str, float]], frame: str) -> str:
    inner = "".join(
        f'<i class="{kind}" style="width:{100 * share:.2f}%"></i>' for kind, share in segments
    )
    return f'<span class="lwlab-bar {frame}">{inner}</span>'
