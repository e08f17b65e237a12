"""Horizontal bars in plain HTML: for numbers that want a bar and a label, and no axis.

Plotly needs 7 to 10 ms to redraw a figure, however little is on it; a slider that redraws four of
them is no longer live. These bars cost nothing, wrap on a narrow page and can be read aloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lwlab.packing import Breakdown
from lwlab.units import format_bytes, format_count, format_percent, format_points

__all__ = ["bar", "class_rows", "file_bars", "file_parts", "layer_rows", "panel"]

_RARE = ("codebook", "other")


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
            bar([("lwlab-part-0", fraction)], "lwlab-frame"),
            f"{format_percent(fraction)} of {format_count(count)}",
        )
        for name, fraction, count in zip(names, fractions, counts, strict=True)
    ]


def class_rows(
    names: Sequence[str], before: Sequence[float | None], after: Sequence[float | None]
) -> list[tuple[str, str, str]]:
    """Return a row a class: its share right as a bar, a line where it was before, both in words.

    A class without examples, ``None``, has an empty bar.
    """
    rows = []
    for name, was, now in zip(names, before, after, strict=True):
        if was is None or now is None:
            rows.append((name, bar([], "lwlab-frame"), "no examples"))
            continue
        drawn = bar([("lwlab-part-0", now)], "lwlab-frame", mark=was)
        rows.append((name, drawn, f"{format_percent(now)}, {format_points(now - was)}"))
    return rows


def file_parts(breakdown: Breakdown) -> dict[str, int]:
    """Return the bytes of a file by part, for ``file_bars``.

    ``codebook`` and ``other`` only where there is some.
    """
    parts = {
        "values": breakdown.values,
        "positions": breakdown.positions,
        "codebook": breakdown.codebook,
        "other": breakdown.other,
        "header": breakdown.header,
    }
    return {name: size for name, size in parts.items() if size or name not in _RARE}


def file_bars(parts: Mapping[str, int], *, baseline_bytes: int) -> list[tuple[str, str, str]]:
    """Return the bytes of a file by part, all of one scale, over those of the file before."""
    total = sum(parts.values())
    longest = max(total, baseline_bytes, 1)
    segments = [(f"lwlab-part-{i % 5}", size / longest) for i, size in enumerate(parts.values())]
    rows = [("now", bar(segments), format_bytes(total))]
    rows += [
        ("", bar([(kind, share)]), f"{format_bytes(size)} {name}")
        for (kind, share), (name, size) in zip(segments, parts.items(), strict=True)
    ]
    before = bar([("lwlab-ghost", baseline_bytes / longest)])
    return [*rows, ("before", before, format_bytes(baseline_bytes))]


def bar(
    segments: Sequence[tuple[str, float]], frame: str = "", *, mark: float | None = None
) -> str:
    """Return a bar of (class of the style sheet, share in [0, 1]) segments, one after the other.

    Args:
        segments: they start at the left.
        frame: ``lwlab-frame`` draws the outline of the whole.
        mark: a share at which a line crosses the bar, for what it is compared with.
    """
    inner = "".join(
        f'<i class="{kind}" style="width:{100 * share:.2f}%"></i>' for kind, share in segments
    )
    if mark is None:
        return f'<span class="lwlab-bar {frame}">{inner}</span>'
    return f'<span class="lwlab-bar {frame}" style="position:relative">{inner}{_mark(mark)}</span>'


def _mark(place: float) -> str:
    """Return a line across a bar, readable on the bar and beside it, in light and dark."""
    place = min(1.0, max(0.0, place))
    return (
        f'<b style="position:absolute;left:calc({100 * place:.2f}% - 2px);top:-2px;width:2px;'
        'height:19px;background:#d55e00;outline:1px solid rgba(255,255,255,0.8)"></b>'
    )
