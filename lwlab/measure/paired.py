"""Is one better than the other? Pairs of measurements, and a difference that was seen or not.

Two methods are tried on the same networks, one pair for each seed. What a seed gives both (lucky
weights, a lucky order of batches) drops out of the difference of a pair, so that far fewer seeds
are needed than for two means.

    difference = mean of the gaps g_1 .. g_n,   interval: difference +- t * stdev(g) / sqrt(n)

with t the 97.5 % point of Student's distribution at n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lwlab.checks import check_number
from lwlab.units import format_points

__all__ = ["PairedDifference", "paired_difference", "spread", "verdict"]


@dataclass(frozen=True)
class PairedDifference:
    """The mean of differences, pair by pair, and what may be said of it.

    Attributes:
        mean: mean difference.
        low, high: 95 % interval of the mean, by Student's t; NaN for a single pair.
        pairs: how many.
    """

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_difference(values: Iterable[float], reference: Iterable[float]) -> PairedDifference:
    """Return the mean of ``value - reference``, pair by pair, with its 95 % interval.

    It is the interval of the paired t test (Student 1908, "The probable error of a mean"). It
    supposes gaps that are about normal; for a few seeds it is wide, and rightly so.

    Args:
        values: one number a pair.
        reference: as many, in the same order.

    Raises:
        TypeError, ValueError: a value is no finite number, the counts differ, or there is none.
    """
    ours = [check_number("values", value) for value in values]
    theirs = [check_number("reference", value) for value in reference]
    if not ours or len(ours) != len(theirs):
        raise ValueError(
            f"values and reference must be pairs, at least one, got {len(ours)} and {len(theirs)} "
            f"numbers."
        )
    gaps = [one - other for one, other in zip(ours, theirs, strict=True)]
    mean = statistics.mean(gaps)
    half = _half_interval(gaps)
    return PairedDifference(mean, mean - half, mean + half, len(gaps))


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation over seeds, n - 1 in the denominator; 0 for a single value.

    Raises:
        ValueError: there is no value.
    """
    if not len(values):
        raise ValueError("values must hold at least one number, got none.")
    return statistics.stdev(values) if len(values) > 1 else 0.0


def verdict(difference: PairedDifference) -> str:
    """Return a difference of fractions in words: ``+4.0 points``, or that none was seen."""
    text = format_points(difference.mean)
    if math.isnan(difference.low):
        return f"{text} (one seed)"
    return text if difference.differs else f"{text}, no difference seen"


def _half_interval(gaps: Sequence[float]) -> float:
    """Return half the 95 % interval of the mean of paired differences."""
    # scikit-learn brings it; imported here, so that lwlab.measure itself stays quick to import.
    from scipy.stats import t as student  # noqa: PLC0415

    if len(gaps) < 2:
        return math.nan
    return float(student.ppf(0.975, len(gaps) - 1)) * statistics.stdev(gaps) / len(gaps) ** 0.5
