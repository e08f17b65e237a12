"""What PruneLab is asked for: where the cut is, how it is trained afterwards, what is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lwlab.checks import (
    check_choice,
    check_count,
    check_fraction,
    check_number,
)
from lwlab.labs.prune.criteria import CRITERIA

__all__ = ["PATTERNS", "SCHEDULES", "VIEWS", "WAYS", "PruneParams"]

WAYS = ("sparsity", "threshold", "deviations", "n_of_m", "layers")
PATTERNS = ("1:2", "2:4", "1:4", "4:8", "2:8", "1:8")
SCHEDULES = ("one_shot", "linear", "cubic")
VIEWS = ("layers", "classes", "flips")
_SCOPES = ("global", "layer")
_TUNING = ("epochs", "learning_rate", "schedule")


@dataclass(frozen=True)
class PruneParams:
    """Where the cut is, and what comes after it.

    Attributes:
        by: which of the next five is meant.
        sparsity: share of all weights to prune, in [0, 1).
        threshold: prune ``|w|`` below this number, in every layer.
        deviations: prune ``|w|`` below this many standard deviations of its layer.
        pattern: ``"2:4"`` keeps 2 of every 4 neighbouring input channels, by ``n_of_m``.
        layer_sparsities: share to prune of each layer by its name, by ``layers``.
        scope: ``global`` or ``layer``, the ranking that ``sparsity`` counts in.
        criterion: which weights go first, a name in ``CRITERIA``; threshold and deviations go by
            magnitude alone.
        epochs, learning_rate: of the fine-tuning, which a button starts.
        schedule: ``one_shot`` cuts, then trains; ``linear`` and ``cubic`` raise the sparsity from
            epoch to epoch.
        show: ``layers``, ``classes`` or ``flips``, below the plots.
        budget: the file that the learner aims at, as a share of the file before, above 0.
    """

    by: str = "sparsity"
    sparsity: float = 0.5
    threshold: float = 0.0
    deviations: float = 0.0
    pattern: str = "2:4"
    layer_sparsities: Mapping[str, float] = field(default_factory=dict)
    scope: str = "global"
    criterion: str = "magnitude"
    epochs: int = 5
    learning_rate: float = 2e-3
    schedule: str = "one_shot"
    show: str = "layers"
    budget: float = 0.25

    def __post_init__(self) -> None:
        """Check every field, and what they mean together."""
        check_choice("by", self.by, WAYS)
        check_fraction("sparsity", self.sparsity)
        check_number("threshold", self.threshold, minimum=0)
        check_number("deviations", self.deviations, minimum=0)
        check_choice("pattern", self.pattern, PATTERNS)
        for name, value in self.layer_sparsities.items():
            check_fraction(f"sparsity of layer {name!r}", value)
        check_choice("scope", self.scope, _SCOPES)
        check_choice("criterion", self.criterion, CRITERIA)
        check_count("epochs", self.epochs)
        check_number("learning_rate", self.learning_rate, above=0)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("show", self.show, VIEWS)
        check_fraction("budget", check_number("budget", self.budget, above=0), allow_one=True)
        if self.by == "n_of_m" and CRITERIA[self.criterion].channels:
            raise ValueError(
                f"criterion must score single weights where N of M are kept, got "
                f"{self.criterion!r}, which scores whole channels. Try 'magnitude'."
            )

    @property
    def ranked(self) -> bool:
        """Whether the criterion counts: thresholds look at the magnitude alone."""
        return self.by not in ("threshold", "deviations")

    @property
    def kept_of_group(self) -> tuple[int, int]:
        """How many of how many neighbours the pattern keeps."""
        kept, group = self.pattern.split(":")
        return int(kept), int(group)

    @property
    def chosen_layers(self) -> dict[str, float]:
        """The layers that the desk prunes, with their sparsities above 0."""
        return {name: value for name, value in self.layer_sparsities.items() if value > 0}

    def cut(self) -> tuple[Any, ...]:
        """Return what decides the masks, and nothing else: equal cuts prune the same weights."""
        parts = {
            "sparsity": (self.sparsity, self.scope),
            "n_of_m": (self.pattern,),
            "layers": (self.chosen_layers,),
        }.get(self.by, (getattr(self, self.by, None),))
        return (self.by, *parts, *((self.criterion,) if self.ranked else ()))

    def tuned_as(self, other: PruneParams) -> PruneParams:
        """Return these parameters with the fine-tuning of ``other``."""
        return dataclasses.replace(self, **{name: getattr(other, name) for name in _TUNING})

    def check_schedule(self) -> None:
        """Check that the schedule can be followed from this cut.

        Raises:
            ValueError: a rising schedule, and a cut that has no sparsity to raise.
        """
        if self.schedule != "one_shot" and self.by not in ("sparsity", "layers"):
            raise ValueError(
                f"schedule must be 'one_shot' unless the cut is a sparsity, which can rise, got "
                f"{self.schedule!r} for {self.by!r}. Try to prune by sparsity."
            )
