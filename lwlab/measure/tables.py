"""Small tables as text and as HTML that takes its colours from the notebook's theme."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["html_table", "text_table"]

_CELL = "padding:0.25em 0.9em;text-align:left;color:inherit;background:none"
_RULE = "border:0;border-bottom:1px solid rgba(128,128,128,0.4)"


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines of text, columns aligned to the left by two spaces."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as an HTML table; the first row and the first column are its headings.

    Every cell is escaped. No colour is fixed but a half-transparent grey line, so that the table
    reads on a light and on a dark ground.
    """
    head, *body = rows
    lines = [_row([_cell("th", text, "col") for text in head])]
    for first, *rest in body:
        lines.append(_row([_cell("th", first, "row"), *(_cell("td", text) for text in rest)]))
    return f'<table style="border-collapse:collapse">{"".join(lines)}</table>'


def _row(cells: Sequence[str]) -> str:
    return f'<tr style="background:none">{"".join(cells)}</tr>'


def _cell(tag: str, text: str, scope: str = "") -> str:
    scoped = f' scope="{scope}"' if scope else ""
    return f'<{tag}{scoped} style="{_CELL};{_RULE}">{html.escape(text)}</{tag}>'
