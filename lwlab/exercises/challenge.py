"""A challenge: the smallest file that is accurate enough. Every byte counts, every claim is run.

    challenge = Challenge(fresh_model, dataset, floor=0.95)
    challenge.score(data)          # data: the bytes of a packed file

The file is loaded into a fresh model and scored on the validation split, so a score is what a
stranger would measure who has nothing but the file and the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from torch import nn

from lwlab.checks import check_fraction, check_module
from lwlab.data import Dataset
from lwlab.exercises.display import print_outside_notebooks
from lwlab.exercises.result import panel
from lwlab.measure import Accuracy, accuracy
from lwlab.packing import PackingError, from_bytes_
from lwlab.units import format_bytes, format_percent

__all__ = ["Challenge", "ChallengeScore"]

_COLOURS = {"not yet": "#888888", "refused": "#b35900", "below the floor": "#b35900"}
_REACHED = "#00796b"


@dataclass(frozen=True)
class ChallengeScore:
    """What a challenge says about one file. The last line of a notebook cell shows it.

    Attributes:
        status: ``"not yet"``, ``"refused"``, ``"below the floor"`` or ``"counts"``.
        message: what happened, in a sentence.
        size_bytes: length of the file; None where there was none to load.
        accuracy: of the model that was loaded from it; None likewise.
    """

    status: str
    message: str
    size_bytes: int | None = None
    accuracy: Accuracy | None = None

    def __str__(self) -> str:
        return f"Challenge: {self.status}. {self.message}"

    def _repr_html_(self) -> str:
        colour = _COLOURS.get(self.status, _REACHED)
        return panel(f"Challenge: {self.status}", f"<div>{escape(self.message)}</div>", colour)


class Challenge:
    """The smallest file whose model is right often enough on the validation split.

    Args:
        fresh: makes an untrained model of the class that files are loaded into. Its widths may
            differ from those of a file: layers are resized to what the file holds.
        dataset: its validation split scores.
        floor: the least accuracy that counts, a fraction.

    Attributes:
        best: the smallest file so far that counted; None before.

    Raises:
        TypeError: ``fresh`` cannot be called, or makes no module.
        ValueError: ``floor`` is no fraction.
    """

    def __init__(self, fresh: Callable[[], nn.Module], dataset: Dataset, *, floor: float) -> None:
        if not callable(fresh):
            raise TypeError(
                f"fresh must be a function that makes a model, got {type(fresh).__name__}. "
                f"Try lambda: SimpleCNN(...)."
            )
        check_module("what fresh() returns", fresh())
        self._fresh, self._dataset = fresh, dataset
        self._floor = check_fraction("floor", floor)
        self.best: ChallengeScore | None = None

    def score(self, data: bytes | None) -> ChallengeScore:
        """Load a packed file and score it; never raises on account of the file.

        Args:
            data: the file; None stands for one that is not made yet.
        """
        result = self._score(data)
        if result.status == "counts":
            if self.best is None or result.size_bytes < self.best.size_bytes:
                self.best = result
        print_outside_notebooks(result)
        return result

    def _score(self, data: bytes | None) -> ChallengeScore:
        floor = format_percent(self._floor)
        if data is None:
            text = f"Make the smallest file with at least {floor} right on the validation split."
            return ChallengeScore("not yet", text)
        model = self._fresh()
        try:
            from_bytes_(model, data, resize=True)
        except (PackingError, TypeError) as error:
            return ChallengeScore("refused", str(error))
        found = accuracy(model, self._dataset.validation)
        size = len(data)
        text = f"{format_bytes(size)} ({size:,} bytes), {found} right"
        if found.value < self._floor:
            return ChallengeScore("below the floor", f"{text}; {floor} is wanted.", size, found)
        return ChallengeScore("counts", f"{text}. {self._standing(size)}", size, found)

    def _standing(self, size: int) -> str:
        if self.best is None:
            return "The first that counts."
        gain = self.best.size_bytes - size
        if gain > 0:
            return f"{gain:,} bytes less than your best so far."
        return f"Your best so far is {self.best.size_bytes:,} bytes."
