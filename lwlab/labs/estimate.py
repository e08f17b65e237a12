"""How a figure from a part of the validation split is labelled, in every lab alike."""

from __future__ import annotations

from lwlab.data import Split
from lwlab.measure import Accuracy
from lwlab.units import format_count

__all__ = ["estimate_label"]


def estimate_label(accuracy: Accuracy, split: Split) -> str:
    """Return how to label an accuracy on a part of ``split``; empty for the whole."""
    if accuracy.total == len(split):
        return ""
    return (
        f"Estimate from {format_count(accuracy.total)} of {format_count(len(split))} validation "
        f"examples; the rest is being scored."
    )
