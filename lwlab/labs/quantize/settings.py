"""From the parameters of QuantizeLab to what ``prepare_`` is called with, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lwlab.labs.quantize.groups import fitting_group
from lwlab.labs.quantize.params import BY_HAND, FLOAT, TERNARY, Clip, QuantizeParams, Width
from lwlab.quantize import (
    Clipped,
    Entropy,
    Granularity,
    MeanSquared,
    MinMax,
    Observer,
    Percentile,
    PerChannel,
    PerTensor,
)

__all__ = ["RULES_BY_NAME", "LayerSetting", "Rule", "observer_of", "setting_of"]


@dataclass(frozen=True)
class Rule:
    """A way to choose a range, as a learner sees it.

    Attributes:
        label: its name in the list.
        note: what it does, in one sentence.
        make: (percent, ends by hand) -> observer.
        code: the same, to the expression in the shown code.
    """

    label: str
    note: str
    make: Callable[[float, Clip | None], Observer]
    code: Callable[[float, Clip | None], str]


@dataclass(frozen=True)
class LayerSetting:
    """How one layer is quantized; equal settings give equal scales for equal weights.

    Attributes:
        width: 1 to 8, ``"ternary"`` or ``"float"``.
        granularity: which of its weights share a scale.
        symmetric: whether the zero point is fixed in the middle.
        rule: name of the range rule; empty where none counts, so that it makes no difference.
        percent: of the percentile; 0 where it does not count.
        clip: ends of the range by hand; None elsewhere.
        rounding: ``nearest`` or ``stochastic``; nearest where none counts.
    """

    width: Width
    granularity: Granularity
    symmetric: bool
    rule: str
    percent: float
    clip: Clip | None
    rounding: str

    @property
    def low_bit(self) -> bool:
        """Whether two or three values by a rule of their own are taken, without a range."""
        return self.width == TERNARY or (self.width == 1 and self.symmetric)

    @property
    def num_bits(self) -> int | str | None:
        """The width as ``prepare_`` takes it."""
        return None if self.width == FLOAT else self.width

    def observer(self) -> Observer:
        """Return the range rule as ``prepare_`` takes it."""
        return observer_of(self.rule, self.percent, self.clip) if self.rule else MinMax()


RULES_BY_NAME = {
    "min_max": Rule(
        "min-max",
        "Each scale spans its weights from the smallest to the largest.",
        lambda percent, clip: MinMax(),
        lambda percent, clip: "quantize.MinMax()",
    ),
    "percentile": Rule(
        "percentile",
        "The outermost share of the weights is clipped, whatever it costs.",
        lambda percent, clip: Percentile(percent),
        lambda percent, clip: f"quantize.Percentile({percent!r})",
    ),
    "mean_squared": Rule(
        "least squared error",
        "Of 100 ranges the one that moves the weights least.",
        lambda percent, clip: MeanSquared(),
        lambda percent, clip: "quantize.MeanSquared()",
    ),
    "entropy": Rule(
        "entropy (KL)",
        "The range whose codes tell most of the histogram; min-max where a scale has few weights.",
        lambda percent, clip: Entropy(),
        lambda percent, clip: "quantize.Entropy()",
    ),
    BY_HAND: Rule(
        "by hand",
        "Each scale spans its weights up to the two lines, which you can drag.",
        lambda percent, clip: Clipped(*clip),
        lambda percent, clip: f"quantize.Clipped({clip[0]!r}, {clip[1]!r})",
    ),
}
"""The range rules by name, in the order they are offered."""


def observer_of(rule: str, percent: float, clip: Clip | None = None) -> Observer:
    """Return the observer of a range rule by its name."""
    return RULES_BY_NAME[rule].make(percent, clip)


def setting_of(params: QuantizeParams, layer: str, weight: Tensor) -> LayerSetting:
    """Return how ``layer`` is quantized; what makes no difference to it is left out."""
    width, rule = params.width_of(layer), params.rule_of(layer)
    low_bit = width == TERNARY or (width == 1 and params.symmetric)
    ranged = width != FLOAT and not low_bit
    clip = params.clips.get(layer) if ranged and rule == BY_HAND else None
    return LayerSetting(
        width=width,
        granularity=PerTensor() if width == FLOAT else _granularity(params, weight),
        symmetric=params.symmetric or not (ranged or width == 1),
        rule=rule if ranged else "",
        percent=params.percent if ranged and rule == "percentile" else 0.0,
        clip=None if clip is None else (float(clip[0]), float(clip[1])),
        rounding=params.rounding if ranged else "nearest",
    )


def _granularity(params: QuantizeParams, weight: Tensor) -> Granularity:
    if params.granularity == "tensor":
        return PerTensor()
    if params.granularity == "channel":
        return PerChannel()
    return fitting_group(tuple(weight.shape), params.group_size)
