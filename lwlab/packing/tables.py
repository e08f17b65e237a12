"""Rows of text as a table: aligned for a terminal, or as HTML for a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["html_table", "printable", "text_table"]


def text_table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Return rows of texts, the first of them the headings, with columns as wide as they need.

    Args:
        rows: of equal length.
        right: for each column, whether it is aligned to the right, as numbers are.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        texts = [text.rjust(width) if last else text.ljust(width) for text, width, last in cells]
        lines.append("  ".join(texts).rstrip())
    return "\n".join(lines)


def html_table(caption: str, rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Return the same as an HTML table; all texts are escaped."""
    head, *body = [
        "".join(
            f'<{tag} style="text-align:{"right" if last else "left"}">{html.escape(text)}</{tag}>'
            for text, last in zip(row, right, strict=True)
        )
        for tag, row in zip(["th"] + ["td"] * (len(rows) - 1), rows, strict=True)
    ]
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(f'<tr>{cells}</tr>' for cells in body)}</tbody></table>"
    )


def printable(name: str) -> str:
    """Return a name that cannot move the cursor or break the line: files come from anywhere."""
    return name if name.isprintable() else repr(name)
