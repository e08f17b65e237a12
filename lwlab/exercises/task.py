"""What an exercise is: a statement, a reference, small cases, known mistakes and three hints."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Case", "Mistake", "Task"]


@dataclass(frozen=True, eq=False)
class Case:
    """One input, small enough to read.

    Attributes:
        label: what is special about it, ``"a weight exactly on the threshold"``.
        arguments: positional arguments; each run gets a deep copy.
    """

    label: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Mistake:
    """A wrong solution that learners really write, and what to tell them.

    Attributes:
        diagnosis: a sentence that names the mistake and not the answer.
        solution: the wrong solution; it differs from the reference in at least one case.
    """

    diagnosis: str
    solution: Callable[..., Any]


@dataclass(frozen=True)
class Task:
    """An exercise.

    Attributes:
        name: ``"prune.topk_mask"``: the lesson's subject and the function.
        statement: what the function must do, in one or two sentences.
        reference: a right solution.
        cases: inputs on which it is compared.
        mistakes: known wrong solutions, the most common first.
        hints: a nudge, a formula, the code.
        canonical: where several answers are equally right, ``canonical(arguments, answer)`` is
            what they have in common, a tensor; None where only the reference's answer is right.
            Type and shape are compared before.
    """

    name: str
    statement: str
    reference: Callable[..., Any]
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, str, str]
    canonical: Callable[[tuple[Any, ...], Any], Tensor] | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        return tuple(inspect.signature(self.reference).parameters)
