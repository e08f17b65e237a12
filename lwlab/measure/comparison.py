"""Two scorecards side by side, with only those differences called so that were seen.

Accuracy: where both models answered the same examples, the exact test of McNemar on the answers
that flipped; else the interval of Newcombe for the difference of two independent fractions. Time: a
gain is only claimed when the ranges of the repeats do not overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lwlab.measure.accuracy import Accuracy
from lwlab.measure.damage import Flips, flips_of
from lwlab.measure.latency import Latency
from lwlab.measure.scorecard import Scorecard
from lwlab.measure.tables import html_table, text_table
from lwlab.units import format_count, format_points, format_ratio

__all__ = ["Comparison", "compare"]

_SIGNIFICANT = 0.05  # the same 5 % that the 95 % intervals leave out


@dataclass(frozen=True)
class Comparison:
    """Two scorecards and what changed from one to the other; ``print`` it, or show it in a cell.

    Attributes:
        before: the model compared with.
        after: the model compared.
    """

    before: Scorecard
    after: Scorecard

    @property
    def flips(self) -> Flips | None:
        """The examples that changed sides; None where the two did not answer the same examples."""
        before, after = self.before, self.after
        if any(part is None for part in (before.predicted, before.targets, after.predicted)):
            return None
        if after.targets is None or not _same(before.targets, after.targets):
            return None
        return flips_of(before.predicted, after.predicted, before.targets)

    @property
    def accuracy_differs(self) -> bool:
        """Whether the accuracies differ by more than chance explains (5 % level)."""
        flips = self.flips
        if flips is not None:
            return flips.p_value < _SIGNIFICANT
        return _intervals_differ(self.before.accuracy, self.after.accuracy)

    @property
    def changes(self) -> dict[str, str]:
        """What changed, as text, by what it is."""
        before, after = self.before, self.after
        return {
            "accuracy": self._accuracy_change(),
            "file size": _ratio(before.size_bytes, after.size_bytes, "smaller", "larger"),
            "parameters": _ratio(before.parameters, after.parameters, "fewer", "more"),
            "non-zero": _ratio(before.nonzero, after.nonzero, "fewer", "more"),
            "MACs": _ratio(before.macs, after.macs, "fewer", "more"),
            "latency": _latency_change(before.latency, after.latency),
        }

    def _accuracy_change(self) -> str:
        before, after, flips = self.before.accuracy, self.after.accuracy, self.flips
        text = format_points(after.value - before.value)
        if not self.accuracy_differs:
            examples = format_count(min(before.total, after.total))
            text += f", no difference seen in {examples} examples"
        return text if flips is None else f"{text} ({flips})"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        before, after, changes = self.before.cells(), self.after.cells(), self.changes
        head = ("", self.before.name, self.after.name, "change")
        return [head, *((name, before[name], after[name], changes[name]) for name in changes)]

    def __str__(self) -> str:
        return text_table(self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._rows())


def compare(before: Scorecard, after: Scorecard) -> Comparison:
    """Return what changed from one scorecard to the other.

    Raises:
        TypeError: an argument is not a ``Scorecard``.
    """
    for name, card in (("before", before), ("after", after)):
        if not isinstance(card, Scorecard):
            raise TypeError(
                f"{name} must be a Scorecard, got {type(card).__name__}. "
                f"Try measure.scorecard(model, split)."
            )
    return Comparison(before, after)


def _same(targets: object, others: object) -> bool:
    return targets.shape == others.shape and bool((targets == others).all())


def _intervals_differ(before: Accuracy, after: Accuracy) -> bool:
    """Return whether the 95 % interval of the difference leaves out zero.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions",
    method 10: Wilson's limits of the two, combined.
    """
    less, more = sorted((before, after), key=lambda accuracy: accuracy.value)
    margin = math.hypot(more.value - more.low, less.high - less.value)
    return more.value - less.value > margin


def _ratio(before: int, after: int, smaller: str, larger: str) -> str:
    if before == after:
        return "the same"
    if not before or not after:
        return f"{larger} (from 0)" if after else f"{smaller} (to 0)"
    if after < before:
        return f"{format_ratio(before / after)} {smaller}"
    return f"{format_ratio(after / before)} {larger}"


def _latency_change(before: Latency, after: Latency) -> str:
    if (before.threads, before.batch_size) != (after.threads, after.batch_size):
        return "not comparable: other threads or batch"
    if before.overlaps(after):
        return "no gain seen (the ranges overlap)"
    if after.median_ms < before.median_ms:
        return f"{format_ratio(before.median_ms / after.median_ms)} faster"
    return f"{format_ratio(after.median_ms / before.median_ms)} slower"
