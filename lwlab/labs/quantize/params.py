"""What QuantizeLab is asked for: how many bits, which values share a scale, where a range ends."""

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

__all__ = [
    "ACTIVATION_WIDTHS",
    "BY_HAND",
    "BY_LAYER",
    "FLOAT",
    "GRANULARITIES",
    "RULES",
    "WIDTHS",
    "Clip",
    "QuantizeParams",
    "Width",
]

Width = int | str
Clip = tuple[float, float]

FLOAT, TERNARY, BY_LAYER, BY_HAND = "float", "ternary", "by layer", "by_hand"
WIDTHS: tuple[Width, ...] = (1, TERNARY, 2, 3, 4, 5, 6, 7, 8, FLOAT)
ACTIVATION_WIDTHS: tuple[Width, ...] = (2, 3, 4, 5, 6, 7, 8, FLOAT)
GRANULARITIES = ("tensor", "channel", "group")
RULES = ("min_max", "percentile", "mean_squared", "entropy", BY_HAND)
ROUNDINGS = ("nearest", "stochastic")
VIEWS = ("layers", "classes", "flips")


@dataclass(frozen=True)
class QuantizeParams:
    """How the weights are quantized, and what is shown of it.

    Attributes:
        num_bits: of every weight: 1 to 8, ``"ternary"`` or ``"float"``; ``"by layer"`` takes
            ``layer_bits``.
        granularity: what has one scale: the ``tensor`` of a layer (global), each output
            ``channel`` (local), or each ``group`` of weights in a channel.
        group_size: weights in a group, at the most: a layer takes the largest size up to it that
            divides its channels.
        rule: where the range of a scale ends: ``min_max``, ``percentile``, ``mean_squared`` (the
            least squared error), ``entropy`` or ``by_hand``.
        percent: share of the values inside, by ``percentile``.
        clips: ends of the range by layer name, by ``by_hand``.
        rest: the rule of the layers that have no ends of their own, by ``by_hand``.
        layer_bits: width by layer name, as ``num_bits``; a layer that is not named is in float.
        symmetric: whether the zero point of the weights is fixed in the middle.
        activations: bits of the activations, 2 to 8, or ``"float"``.
        rounding: ``nearest`` or ``stochastic``.
        layer: whose weights are shown; empty for the largest one.
        show: ``layers``, ``classes`` or ``flips``, below the plots.
        budget: the file that the learner aims at, as a share of the file in float, above 0.
    """

    num_bits: Width = 4
    granularity: str = "channel"
    group_size: int = 32
    rule: str = "min_max"
    percent: float = 99.9
    clips: Mapping[str, Clip] = field(default_factory=dict)
    rest: str = "min_max"
    layer_bits: Mapping[str, Width] = field(default_factory=dict)
    symmetric: bool = True
    activations: Width = FLOAT
    rounding: str = "nearest"
    layer: str = ""
    show: str = "layers"
    budget: float = 0.15

    def __post_init__(self) -> None:
        """Check every field."""
        _check_width("num_bits", self.num_bits, (*WIDTHS, BY_LAYER))
        check_choice("granularity", self.granularity, GRANULARITIES)
        check_count("group_size", self.group_size)
        check_choice("rule", self.rule, RULES)
        if check_number("percent", self.percent, above=0, maximum=100) < 50:
            raise ValueError(f"percent must be at least 50, got {self.percent!r}.")
        for name, clip in self.clips.items():
            _check_clip(name, clip)
        check_choice("rest", self.rest, RULES[:-1])
        for name, width in self.layer_bits.items():
            _check_width(f"num_bits of layer {name!r}", width, WIDTHS)
        if not isinstance(self.symmetric, bool):
            raise TypeError(f"symmetric must be True or False, got {self.symmetric!r}.")
        _check_width("activations", self.activations, ACTIVATION_WIDTHS)
        check_choice("rounding", self.rounding, ROUNDINGS)
        check_choice("show", self.show, VIEWS)
        check_fraction("budget", check_number("budget", self.budget, above=0), allow_one=True)

    def width_of(self, layer: str) -> Width:
        """Return the bits of a layer's weights."""
        return self.layer_bits.get(layer, FLOAT) if self.num_bits == BY_LAYER else self.num_bits

    def rule_of(self, layer: str) -> str:
        """Return the range rule of a layer: by hand only where its ends are given."""
        if self.rule != BY_HAND:
            return self.rule
        return BY_HAND if layer in self.clips else self.rest

    def by_rest(self) -> QuantizeParams:
        """Return these parameters with no range by hand."""
        rule = self.rest if self.rule == BY_HAND else self.rule
        return dataclasses.replace(self, rule=rule, clips={})


def _check_width(name: str, value: Any, allowed: tuple[Width, ...]) -> None:
    # 4.0 == 4 and True == 1, but neither is a number of bits.
    if not isinstance(value, int | str) or isinstance(value, bool) or value not in allowed:
        listed = ", ".join(repr(width) for width in allowed)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}.")


def _check_clip(name: str, clip: Any) -> None:
    if not isinstance(clip, tuple | list) or len(clip) != 2:
        raise ValueError(f"clip of layer {name!r} must be two numbers (low, high), got {clip!r}.")
    low = check_number(f"low end of layer {name!r}", clip[0], maximum=0)
    high = check_number(f"high end of layer {name!r}", clip[1], minimum=0)
    if low == high:
        raise ValueError(f"clip of layer {name!r} must leave a range, got (0.0, 0.0).")
