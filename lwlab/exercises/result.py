"""What a check found: a text for scripts, a small panel for notebooks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from torch import Tensor

from lwlab.exercises.compare import differing, form_mismatch
from lwlab.exercises.pictures import html_of, text_of

__all__ = ["CheckResult", "Difference", "panel"]

_SIGNS = {"not yet": "\N{HORIZONTAL ELLIPSIS}", "wrong": "\N{BALLOT X}", "passed": "\N{CHECK MARK}"}
_COLOURS = {"not yet": "#888888", "wrong": "#b35900", "passed": "#00796b"}


@dataclass(frozen=True, eq=False)
class Difference:
    """The first input on which an answer is not the expected one.

    Attributes:
        label: what is special about the input.
        arguments: the input by name.
        expected: the right answer, or one of several.
        got: the learner's answer.
        has_answer: False where the function gave none (it raised, or took too long).
    """

    label: str
    arguments: Mapping[str, Any]
    expected: Any
    got: Any = None
    has_answer: bool = True

    def rows(self) -> list[tuple[str, Any, Tensor | None]]:
        """Return (name, value, marks) for each line of the picture."""
        marks = _marks(self.expected, self.got) if self.has_answer else None
        rows = [(name, value, None) for name, value in self.arguments.items()]
        rows.append(("expected", self.expected, None))
        if self.has_answer:
            rows.append(("got", self.got, marks))
        return rows


def _marks(expected: Any, got: Any) -> Tensor | None:
    comparable = isinstance(expected, Tensor) and not form_mismatch(expected, got)
    return differing(expected, got) if comparable else None


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What a check found. The last line of a notebook cell shows it.

    Attributes:
        task: name of the exercise.
        status: ``"not yet"``, ``"wrong"`` or ``"passed"``.
        message: what happened, in a sentence.
        mistake: the likely mistake, where the answers are those of a known one; else empty.
        difference: the first input with another answer, where there is one.
    """

    task: str
    status: str
    message: str
    mistake: str = ""
    difference: Difference | None = field(default=None, repr=False)

    @property
    def passed(self) -> bool:
        """Whether every case gave the expected answer."""
        return self.status == "passed"

    def __str__(self) -> str:
        lines = [f"{_SIGNS[self.status]} {self.task}: {self.status}. {self.message}"]
        if self.difference is not None:
            lines.append(f"  Input: {self.difference.label}")
            rows = self.difference.rows()
            width = max(len(name) for name, _, _ in rows)
            lines += [_labelled(name.ljust(width), *rest) for name, *rest in rows]
        if self.mistake:
            lines.append(f"  Likely mistake: {self.mistake}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        body = f"<div>{escape(self.message)}</div>"
        if self.difference is not None:
            rows = "".join(
                f'<tr><th scope="row" style="text-align:right;padding:2px 8px">{escape(name)}</th>'
                f'<td style="text-align:left;padding:2px">{html_of(value, marks)}</td></tr>'
                for name, value, marks in self.difference.rows()
            )
            body += f"<div>Input: {escape(self.difference.label)}</div><table>{rows}</table>"
        if self.mistake:
            body += f"<div><b>Likely mistake:</b> {escape(self.mistake)}</div>"
        title = f"{_SIGNS[self.status]} {self.task}: {self.status}"
        return panel(title, body, _COLOURS[self.status])


def _labelled(name: str, value: Any, marks: Tensor | None) -> str:
    head = f"    {name}  "
    return head + textwrap.indent(text_of(value, marks), " " * len(head)).lstrip()


def panel(title: str, body: str, colour: str) -> str:
    """Return a framed panel of HTML.

    Args:
        title: plain text; it is escaped.
        body: HTML; its texts are escaped already.
        colour: of the bar at the left edge, a decoration only.
    """
    return (
        f'<div style="border-left:4px solid {colour};padding:4px 12px;margin:4px 0">'
        f"<div><b>{escape(title)}</b></div>{body}</div>"
    )
