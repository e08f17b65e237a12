"""The quantizers on a model's weights: which are there, and which of them learn their steps."""

from __future__ import annotations

from torch import nn

from lwlab.models.layers import compressible_layers
from lwlab.quantize import TERNARY, FakeQuantize, FakeQuantizeChannels, LearnedStep, learn_steps_
from lwlab.quantize.stacking import top_of

__all__ = ["learn_new_steps_", "learns", "quantizers_of"]

_WIDEST_FROM_MEAN = 4  # bits


def quantizers_of(model: nn.Module) -> dict[str, FakeQuantize]:
    """Return the quantizer on each quantized layer, by the layer's name."""
    return {
        layer.name: fake
        for layer in compressible_layers(model)
        if (fake := top_of(layer.module, FakeQuantize)) is not None
    }


def learns(fake: FakeQuantize) -> bool:
    """Return whether a quantizer's steps are parameters, of all channels or of some."""
    parts = fake.parts if isinstance(fake, FakeQuantizeChannels) else [fake]
    return any(isinstance(part, LearnedStep) for part in parts)


def learn_new_steps_(model: nn.Module) -> None:
    """Let quantizers learn their steps that do not yet; those of 1 bit keep their rule.

    Steps of few bits start from the mean |w|, as LSQ does; wider ones from the scales they have,
    since that mean gives 8 bits a range far beyond the largest weight.
    """
    fresh = {name: fake for name, fake in quantizers_of(model).items() if not learns(fake)}
    starts = {name: _start(fake) for name, fake in fresh.items() if _can_learn(fake)}
    for start in ("mean", "current"):
        layers = [name for name, its in starts.items() if its == start]
        if layers:
            learn_steps_(model, start=start, layers=layers)


def _can_learn(fake: FakeQuantize) -> bool:
    return not (fake.num_bits == 1 and fake.symmetric)


def _start(fake: FakeQuantize) -> str:
    few = fake.num_bits == TERNARY or (
        isinstance(fake.num_bits, int) and fake.num_bits <= _WIDEST_FROM_MEAN
    )
    return "mean" if few else "current"
