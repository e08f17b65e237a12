"""What a search may vary, and the steps that a choice means."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lwlab.checks import check_count, check_fraction, check_number
from lwlab.pipeline import FineTune, Pack, Prune, Quantize, RemoveChannels, Step, TrainQuantized

__all__ = ["DIGITS", "SearchSpace", "Suggesting"]

DIGITS = 3
"""Of a share that is chosen, so that a recipe can be read."""

Range = tuple[float, float]


class Suggesting(Protocol):
    """What chooses: a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float) -> float:
        """Choose one of low, low + step, ... high."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Choose one of ``choices``."""


@dataclass(frozen=True)
class SearchSpace:
    """Which recipes a search tries: channels out, weights to zero, then few bits.

    Each of the three is mended by training, and each can be left out. Shares have three digits.

    Attributes:
        pruning_ratio: (lowest, highest) share of the channels to remove, in [0, 1); None: no such
            step.
        sparsity: (lowest, highest) share of the weights to set to zero, in [0, 1); None: no such
            step.
        bits: widths to choose from, as ``pipeline.Quantize`` takes them; None among them is float.
        granularity: what shares a scale, to choose from: ``"tensor"``, ``"channel"`` or the size of
            a group.
        epochs: of the training after each of the three, to choose from; 0 is none.
        learning_rate: of that training.

    Raises:
        TypeError, ValueError: a field is out of range, or nothing is left to choose.
    """

    pruning_ratio: Range | None = (0.0, 0.6)
    sparsity: Range | None = (0.0, 0.95)
    bits: tuple[int | str | None, ...] = (2, 3, 4, 5, 6, 8)
    granularity: tuple[str | int, ...] = ("tensor", "channel")
    epochs: tuple[int, ...] = (1,)
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Check every field; lists become tuples."""
        for name in ("pruning_ratio", "sparsity"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _checked_range(name, getattr(self, name)))
        for name in ("bits", "granularity", "epochs"):
            object.__setattr__(self, name, _checked_choices(name, getattr(self, name)))
        for epochs in self.epochs:
            check_count("epochs", epochs, minimum=0)
        check_number("learning_rate", self.learning_rate, above=0)
        for bits in self.bits:
            for granularity in self.granularity:
                if bits is not None:
                    Quantize(bits, granularity)  # checks both
        if self.pruning_ratio is None and self.sparsity is None and self.bits == (None,):
            raise ValueError("a search space must leave something to choose, got no step at all.")

    def steps(self, trial: Suggesting) -> tuple[Step, ...]:
        """Return the steps that ``trial`` chooses; the last one is ``Pack``."""
        epochs = _choice(trial, "epochs", self.epochs)
        ratio = _share(trial, "pruning_ratio", self.pruning_ratio)
        sparsity = _share(trial, "sparsity", self.sparsity)
        bits = _choice(trial, "bits", self.bits)
        mended = [FineTune(epochs, self.learning_rate)] if epochs else []
        steps: list[Step] = []
        if ratio:
            steps += [RemoveChannels(ratio), *mended]
        if sparsity:
            steps += [Prune(sparsity), *mended]
        if bits is not None:
            steps.append(Quantize(bits, _choice(trial, "granularity", self.granularity)))
            steps += [TrainQuantized(epochs, self.learning_rate)] if epochs else []
        return (*steps, Pack())

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON holds them, for the file of a study."""
        fields = dataclasses.asdict(self)
        return {n: list(v) if isinstance(v, tuple) else v for n, v in fields.items()}


def _share(trial: Suggesting, name: str, limits: Range | None) -> float:
    if limits is None:
        return 0.0
    low, high = limits
    if low == high:
        return low
    return round(trial.suggest_float(name, low, high, step=10**-DIGITS), DIGITS)


def _choice(trial: Suggesting, name: str, choices: tuple[Any, ...]) -> Any:
    return choices[0] if len(choices) == 1 else trial.suggest_categorical(name, choices)


def _checked_range(name: str, value: Any) -> Range:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name} must be (lowest, highest) or None, got {value!r}.")
    low, high = (round(check_fraction(name, end), DIGITS) for end in value)
    if low > high or high == 1:
        raise ValueError(
            f"{name} must be (lowest, highest) in this order and at most 0.999, got {value!r}."
        )
    return low, high


def _checked_choices(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list) or not value:
        raise ValueError(f"{name} must be a tuple of at least one choice, got {value!r}.")
    if len(set(map(repr, value))) < len(value):
        raise ValueError(f"{name} must be a tuple of different choices, got {value!r}.")
    return tuple(value)
