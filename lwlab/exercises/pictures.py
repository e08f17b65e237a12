"""Values as small pictures: tensors as tables, with marks where something differs.

A mark is a ``!`` behind the value and, in a notebook, a frame around it: never colour alone.
"""

from __future__ import annotations

from html import escape
from typing import Any

import torch
from torch import Tensor, nn

from lwlab.exercises.compare import short_text

__all__ = ["html_of", "text_of"]

_MOST_ROWS, _MOST_COLUMNS = 8, 12


def text_of(value: Any, marks: Tensor | None = None) -> str:
    """Return ``value`` on one line, or as aligned rows if it is a matrix.

    Args:
        value: a tensor, a list of tensors, or anything.
        marks: bool tensor of the same shape; True puts a ``!`` behind a value.
    """
    if _is_tensor_list(value):
        return f"[{', '.join(_shape_text(tensor) for tensor in value)}]"
    if not _is_drawable(value):
        return _plain_text(value)
    rows = _cells(value, marks)
    width = max((len(cell) for row in rows for cell in row), default=0)
    lines = ["[" + "  ".join(cell.rjust(width) for cell in row) + "]" for row in rows]
    return "\n".join(lines)


def html_of(value: Any, marks: Tensor | None = None) -> str:
    """Return ``value`` as escaped HTML, a tensor as a table.

    Args:
        value: a tensor, a list of tensors, or anything.
        marks: bool tensor of the same shape; True frames a value.
    """
    if _is_tensor_list(value) or not _is_drawable(value):
        return f"<code>{escape(text_of(value))}</code>"
    rows = "".join(
        f"<tr>{''.join(_cell_html(cell) for cell in row)}</tr>" for row in _cells(value, marks)
    )
    return f'<table style="border-collapse:collapse;margin:0"><tbody>{rows}</tbody></table>'


def _cell_html(cell: str) -> str:
    marked = cell.endswith("!")
    frame = "2px solid currentColor;font-weight:bold" if marked else "1px solid #8886"
    return (
        f'<td style="border:{frame};padding:1px 6px;text-align:right;'
        f'font-family:monospace">{escape(cell)}</td>'
    )


def _is_drawable(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        and value.ndim > 0
    )


def _is_tensor_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Tensor) for v in value)


def _plain_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, nn.Module):
        return type(value).__name__
    return short_text(value)


def _shape_text(tensor: Tensor) -> str:
    return f"tensor of shape {tuple(tensor.shape)}"


def _cells(tensor: Tensor, marks: Tensor | None) -> list[list[str]]:
    """Return the values as rows of text; more than two dimensions become rows of the last one."""
    columns = tensor.shape[-1]
    values = tensor.detach().reshape(-1, columns) if columns else tensor.detach().reshape(0, 0)
    if marks is None or marks.shape != tensor.shape:
        marks = torch.zeros(tensor.shape, dtype=torch.bool)
    marks = marks.reshape(values.shape)
    rows = [
        _row(value_row, mark_row)
        for value_row, mark_row in zip(values[:_MOST_ROWS], marks[:_MOST_ROWS], strict=True)
    ]
    return rows if len(values) <= _MOST_ROWS else [*rows, ["..."]]


def _row(values: Tensor, marks: Tensor) -> list[str]:
    cells = [
        _number_text(value) + ("!" if mark else "")
        for value, mark in zip(
            values[:_MOST_COLUMNS].tolist(), marks[:_MOST_COLUMNS].tolist(), strict=True
        )
    ]
    return cells if len(values) <= _MOST_COLUMNS else [*cells, "..."]


def _number_text(value: Any) -> str:
    # Adding 0.0 turns -0.0 into 0.0: they are equal, and a sign would look like a difference.
    return f"{value + 0.0:.4g}" if isinstance(value, float) else str(value)
