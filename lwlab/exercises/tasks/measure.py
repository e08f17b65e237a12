"""Exercises of lesson 01: what a network costs, counted and timed by hand."""

from __future__ import annotations

import statistics

from lwlab.exercises.task import Case, Mistake, Task

__all__ = ["MEASURE_TASKS"]


def parameters_of_conv(channels_in: int, channels_out: int, kernel_size: int) -> int:
    """Return the parameters of a convolution with a square kernel and a bias."""
    weights_of_one_filter = channels_in * kernel_size * kernel_size
    return channels_out * (weights_of_one_filter + 1)


def macs_of_conv(
    channels_in: int, channels_out: int, kernel_size: int, height_out: int, width_out: int
) -> int:
    """Return the multiply-accumulates of a convolution for one image; biases not counted."""
    macs_of_one_output = channels_in * kernel_size * kernel_size
    return channels_out * height_out * width_out * macs_of_one_output


def median_latency(milliseconds: list[float], warmup: int) -> float:
    """Return the median of the measured times without the first ``warmup``."""
    return statistics.median(milliseconds[warmup:])


_PARAMETERS_OF_CONV = Task(
    name="measure.parameters_of_conv",
    statement=(
        "parameters_of_conv(channels_in, channels_out, kernel_size) returns how many parameters a "
        "convolution with a square kernel and a bias has."
    ),
    reference=parameters_of_conv,
    cases=(
        Case("the first convolution of SimpleCNN", (1, 32, 3)),
        Case("the second convolution of SimpleCNN", (32, 64, 3)),
        Case("a 1x1 kernel", (3, 8, 1)),
        Case("a 5x5 kernel", (20, 50, 5)),
    ),
    mistakes=(
        Mistake(
            "The weights are right. The biases are parameters, too: how many are there?",
            lambda i, o, k: i * o * k * k,
        ),
        Mistake(
            "A square kernel of size 3 has 3 rows and 3 columns.",
            lambda i, o, k: o * (i * k + 1),
        ),
        Mistake(
            "There is one bias per output channel, not one per kernel.",
            lambda i, o, k: o * i * (k * k + 1),
        ),
        Mistake(
            "There is one bias per output channel, not per input channel.",
            lambda i, o, k: i * o * k * k + i,
        ),
        Mistake(
            "There is one bias per output channel, not one for the whole layer.",
            lambda i, o, k: i * o * k * k + 1,
        ),
        Mistake(
            "Each filter looks at all input channels: where do they come in?",
            lambda i, o, k: o * (k * k + 1),
        ),
    ),
    hints=(
        "Take one filter first. It makes one output channel: which numbers does it need?",
        "parameters = channels_out * (channels_in * kernel_size * kernel_size + 1 bias)",
        (
            "def parameters_of_conv(channels_in, channels_out, kernel_size):\n"
            "    return channels_out * (channels_in * kernel_size * kernel_size + 1)"
        ),
    ),
)

_MACS_OF_CONV = Task(
    name="measure.macs_of_conv",
    statement=(
        "macs_of_conv(channels_in, channels_out, kernel_size, height_out, width_out) returns how "
        "many multiply-accumulates a convolution does for one image whose output has that height "
        "and width. One multiplication with its addition counts once; biases are not counted."
    ),
    reference=macs_of_conv,
    cases=(
        Case("the first convolution of SimpleCNN on digits", (1, 32, 3, 8, 8)),
        Case("the second convolution of SimpleCNN on digits", (32, 64, 3, 4, 4)),
        Case("an output that is not square", (3, 8, 1, 2, 5)),
        Case("an output of one pixel", (4, 2, 5, 1, 1)),
    ),
    mistakes=(
        Mistake(
            "This is the number of weights. Each is used once per output pixel.",
            lambda i, o, k, h, w: i * o * k * k,
        ),
        Mistake(
            "Multiplications and additions were counted apart (FLOPs). A MAC is both in one.",
            lambda i, o, k, h, w: 2 * i * o * k * k * h * w,
        ),
        Mistake(
            "The biases were counted; they are additions without a multiplication.",
            lambda i, o, k, h, w: o * (i * k * k + 1) * h * w,
        ),
        Mistake(
            "Each output value sums over all input channels: where do they come in?",
            lambda i, o, k, h, w: o * k * k * h * w,
        ),
        Mistake(
            "There is an output image for each output channel.",
            lambda i, o, k, h, w: i * k * k * h * w,
        ),
        Mistake(
            "A square kernel of size 3 has 3 rows and 3 columns.",
            lambda i, o, k, h, w: i * o * k * h * w,
        ),
        Mistake(
            "The height was used twice. An image may be wider than it is high.",
            lambda i, o, k, h, w: i * o * k * k * h * h,
        ),
    ),
    hints=(
        (
            "Take one output value first: how many multiplications make it? Then count the output "
            "values."
        ),
        "macs = (channels_out * height_out * width_out) * (channels_in * kernel_size^2)",
        (
            "def macs_of_conv(channels_in, channels_out, kernel_size, height_out, width_out):\n"
            "    values = channels_out * height_out * width_out\n"
            "    return values * channels_in * kernel_size * kernel_size"
        ),
    ),
)

_MEDIAN_LATENCY = Task(
    name="measure.median_latency",
    statement=(
        "median_latency(milliseconds, warmup) takes measured times in the order they came, leaves "
        "out the first warmup of them and returns the median of the rest: the middle one by "
        "size, or the mean of the two in the middle."
    ),
    reference=median_latency,
    cases=(
        Case("one slow first run", ([9.0, 1.0, 2.0, 4.0], 1)),
        Case("an even number of times", ([50.0, 40.0, 3.0, 1.0, 2.0, 5.0], 2)),
        Case("one of the later runs was disturbed", ([8.0, 2.0, 30.0, 1.0], 1)),
        Case("no warm-up", ([3.0, 1.0, 7.0], 0)),
    ),
    mistakes=(
        Mistake(
            "This is the mean: one disturbed run pulls it away.",
            lambda times, warmup: statistics.mean(times[warmup:]),
        ),
        Mistake(
            "The warm-up runs were counted.",
            lambda times, warmup: statistics.median(times),
        ),
        Mistake(
            "The times were sorted before the warm-up was left out, so the fastest were lost.",
            lambda times, warmup: statistics.median(sorted(times)[warmup:]),
        ),
        Mistake(
            "The middle one in order of arrival was taken. The median is the middle one by size.",
            lambda times, warmup: times[warmup:][len(times[warmup:]) // 2],
        ),
        Mistake(
            "Of an even number of times, the upper of the two in the middle was taken.",
            lambda times, warmup: statistics.median_high(times[warmup:]),
        ),
        Mistake(
            "Of an even number of times, the lower of the two in the middle was taken.",
            lambda times, warmup: statistics.median_low(times[warmup:]),
        ),
        Mistake(
            "This is the fastest run. It hides how long a run usually takes.",
            lambda times, warmup: min(times[warmup:]),
        ),
        Mistake(
            "The last runs were left out, not the first.",
            lambda times, warmup: statistics.median(times[: len(times) - warmup]),
        ),
    ),
    hints=(
        "Two steps, and their order matters. Python's `statistics` module knows the median.",
        "median( times[warmup], times[warmup + 1], ... )",
        (
            "import statistics\n\n"
            "def median_latency(milliseconds, warmup):\n"
            "    return statistics.median(milliseconds[warmup:])"
        ),
    ),
)

MEASURE_TASKS = (_PARAMETERS_OF_CONV, _MACS_OF_CONV, _MEDIAN_LATENCY)
