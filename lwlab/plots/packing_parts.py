"""What figures of bytes by purpose are made of: stacked bars, the bytes behind them, the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lwlab.plots.template import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    axis,
    hatch,
    legend,
    plain_text,
)
from lwlab.units import format_bytes, format_count

__all__ = [
    "LONGEST_NAME",
    "PURPOSES",
    "Rung",
    "check_parts",
    "ends",
    "frame",
    "stacks",
]

PURPOSES = ("values", "positions", "codebooks", "header", "other")
"""What a byte of a packed file is for, in the order that bars are stacked."""

_STYLES = {
    "values": (BLUE, ""),
    "positions": (ORANGE, "/"),
    "codebooks": (GREEN, "x"),
    "header": (GREY, "."),
    "other": ("#cc79a7", "-"),
}
_ROW = 26  # pixels of a bar and its gap
LONGEST_NAME = 16


@dataclass(frozen=True)
class Rung:
    """One step of a ladder.

    Attributes:
        name: what is done here, ``+ bitmask``.
        parts: bytes by purpose, names out of ``PURPOSES``; None where nothing is to be shown.
        note: what stands in place of a bar without parts, or behind the bytes of one.
    """

    name: str
    parts: Mapping[str, int] | None
    note: str = ""


def check_parts(parts: Mapping[str, int]) -> None:
    """Check that ``parts`` are bytes by purpose.

    Raises:
        ValueError: one is negative, or of no known purpose.
    """
    if not set(parts) <= set(PURPOSES) or min(parts.values(), default=0) < 0:
        raise ValueError(
            f"parts must be bytes of at least 0 by purpose, out of {', '.join(PURPOSES)}, "
            f"got {dict(parts)!r}."
        )


def stacks(columns: Sequence[tuple[int, Mapping[str, int], str, str]]) -> list[dict[str, Any]]:
    """Return a trace a purpose, so that each has one entry in the legend."""
    return [_stack(purpose, columns) for purpose in PURPOSES]


def _stack(
    purpose: str, columns: Sequence[tuple[int, Mapping[str, int], str, str]]
) -> dict[str, Any]:
    color, pattern = _STYLES[purpose]
    return {
        "type": "bar",
        "orientation": "h",
        "name": purpose,
        "y": [row for row, *_ in columns],
        "x": [parts.get(purpose, 0) for _, parts, *_ in columns],
        "text": [
            _hover(name, purpose, parts.get(purpose, 0), coding)
            for _, parts, name, coding in columns
        ],
        "textposition": "none",
        "marker": {"color": color, "pattern": hatch(pattern), "line": {"width": 0}},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(name: str, purpose: str, size: int, coding: str) -> str:
    text = f"{plain_text(name)}<br>{purpose}: {format_count(size)} bytes"
    return f"{text}<br>{plain_text(coding)}" if coding else text


def ends(
    rungs: Sequence[Rung], totals: Sequence[int | None], present: int | None
) -> dict[str, Any]:
    """Return the bytes behind each bar, and the note where there is none."""
    texts = [
        ", ".join(filter(None, ["" if total is None else format_bytes(total), rung.note]))
        for rung, total in zip(rungs, totals, strict=True)
    ]
    texts = [plain_text(text) for text in texts]
    if present is not None:
        texts[present] = f"<b>{texts[present]}</b>"
    return {
        "type": "scatter",
        "mode": "text",
        "y": list(range(len(rungs))),
        "x": [total or 0 for total in totals],
        "text": [f" {text}" for text in texts],
        "textposition": "middle right",
        "textfont": {"size": 12},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def frame(names: Sequence[str], longest: float, *, noted: bool = False) -> dict[str, Any]:
    """Return the layout of horizontal stacked bars, the first row on top.

    Args:
        names: of the rows.
        longest: bytes of the longest bar that there may be; there is room for text behind it.
        noted: whether a note stands there too.
    """
    rows = list(range(len(names)))
    return {
        "plot_height": max(192, _ROW * len(names)),
        "legend_rows": 2,
        "left": 118,
        "barmode": "stack",
        "bargap": 0.25,
        "xaxis": axis(
            "bytes", range=[0, longest * (1.5 if noted else 1.24)], tickformat="~s", nticks=6
        ),
        "yaxis": axis(
            "",
            range=[len(rows) - 0.5, -0.5],
            tickvals=rows,
            ticktext=list(names),
            showgrid=False,
            zeroline=False,
        ),
        **legend(),
    }
