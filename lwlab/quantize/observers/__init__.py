"""Observers: look at values, then say which range the grid should span.

    min_max          the smallest and the largest value          nothing is clipped
    moving_average   the same, averaged over batches              one odd batch counts little
    percentile       all but the outermost 0.01 %                 outliers are clipped
    mean_squared     the range with the smallest squared error    clipping against resolution
    entropy          the range that loses least information       the TensorRT recipe
    clipped          min-max, cut off at two values               a range by hand

The step of the grid is range / number of codes: a wide range makes every value coarse for the sake
of a few, a narrow one clips those. That choice is worth more than a bit. ``observer`` says what all
have in common.
"""

from lwlab.quantize.observers.clipped import Clipped
from lwlab.quantize.observers.entropy import Entropy
from lwlab.quantize.observers.mean_squared import MeanSquared
from lwlab.quantize.observers.min_max import MinMax
from lwlab.quantize.observers.moving_average import MovingAverage
from lwlab.quantize.observers.observer import Observer, check_observer, observed_range
from lwlab.quantize.observers.percentile import Percentile

__all__ = [
    "Clipped",
    "Entropy",
    "MeanSquared",
    "MinMax",
    "MovingAverage",
    "Observer",
    "Percentile",
    "check_observer",
    "observed_range",
]
