"""What a lab and its surroundings say to each other: a gate before it, parts of a result in it."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Gate", "Part"]

Result = TypeVar("Result")


class Gate(Protocol):
    """What a lab can stay locked behind; ``exercises.predict`` makes one."""

    @property
    def answered(self) -> bool:
        """Whether the guess was made or skipped."""

    def on_answer(self, callback: Any) -> None:
        """Call ``callback()`` once the guess is made or skipped."""


@dataclasses.dataclass(frozen=True)
class Part(Generic[Result]):
    """One step towards a result: an estimate with a sentence, or the whole.

    Attributes:
        result: what to show.
        estimate: how to label it while it is not the whole; empty for the whole.
    """

    result: Result
    estimate: str = ""
