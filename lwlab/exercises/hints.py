"""Hints in three steps: a nudge, the formula, the code."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from lwlab.checks import check_count, did_you_mean, quoted_list
from lwlab.exercises.compare import short_text
from lwlab.exercises.display import print_outside_notebooks
from lwlab.exercises.result import panel
from lwlab.exercises.tasks import TASKS

__all__ = ["Hint", "hint"]

_KINDS = ("a nudge", "the formula", "the code")

# How many hints were given, by exercise: what "the next hint" means in one session.
_given: dict[str, int] = {}


@dataclass(frozen=True)
class Hint:
    """One hint. The last line of a notebook cell shows it.

    Attributes:
        task: name of the exercise.
        level: 1, 2 or 3; 0 where there is no such exercise.
        text: the hint; at level 3 Python code.
    """

    task: str
    level: int
    text: str

    @property
    def title(self) -> str:
        """What stands above it."""
        if self.level == 0:
            return f"Hint for {self.task}"
        return f"Hint {self.level} of {len(_KINDS)} for {self.task}: {_KINDS[self.level - 1]}"

    def __str__(self) -> str:
        return f"{self.title}\n{self.text}"

    def _repr_html_(self) -> str:
        text = escape(self.text)
        is_code = self.level == len(_KINDS)
        return panel(self.title, f"<pre>{text}</pre>" if is_code else f"<div>{text}</div>", "#888")


def hint(name: str, level: int | None = None) -> Hint:
    """Return the next hint for an exercise: a nudge, then the formula, then the code.

    Args:
        name: the exercise, such as ``"prune.topk_mask"``. An unknown name gets a sentence as hint.
        level: 1, 2 or 3 for a certain one; None for the next, and the last again after that.

    Raises:
        TypeError, ValueError: ``level`` is not 1, 2 or 3.
    """
    result = _hint(name, level)
    print_outside_notebooks(result)
    return result


def _hint(name: str, level: int | None) -> Hint:
    if level is not None:
        level = check_count("level", level, maximum=len(_KINDS))
    if not isinstance(name, str) or name not in TASKS:
        text = f"There is no such exercise; there are {quoted_list(TASKS)}."
        return Hint(short_text(name), 0, text + did_you_mean(name, TASKS))
    if level is None:
        level = min(_given.get(name, 0) + 1, len(_KINDS))
        _given[name] = level
    return Hint(name, level, TASKS[name].hints[level - 1])
