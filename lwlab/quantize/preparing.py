"""Prepare a model: its weights seen through FakeQuantize, everything else as it was.

    prepare_            puts the quantizers on
    current_bits        reads which layers have how many bits
    quantized_weights   reads the codes and scales
    unprepare_          takes the quantizers off

A prepared model still trains (quantization-aware training), can be deep-copied, and its
``state_dict`` loads into a model that was prepared alike. Biases stay in float: they are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from lwlab.checks import check_module
from lwlab.models.layers import compressible_layers
from lwlab.quantize.fake import FakeQuantize, make_fake
from lwlab.quantize.fake_channels import FakeQuantizeChannels, check_channel_bits
from lwlab.quantize.granularity import Granularity, PerChannel, check_granularity
from lwlab.quantize.observers import MinMax, Observer, check_observer
from lwlab.quantize.stacking import put_on_top_, take_off_top_, top_of, weight_below
from lwlab.quantize.targets import check_layer, select_layers
from lwlab.quantize.tensor import QuantizedTensor, check_bits

__all__ = ["current_bits", "prepare_", "quantized_weights", "unprepare_"]

Bits = int | str | Sequence[int] | None


def prepare_(
    model: nn.Module,
    *,
    num_bits: Bits | Mapping[str, Bits],
    granularity: Granularity | None = None,
    symmetric: bool = True,
    range_rule: Observer | None = None,
    layers: Iterable[str] | None = None,
    follow: bool = True,
) -> dict[str, FakeQuantize]:
    """Quantize the weights of ``model`` as it computes, and return the quantizers by layer name.

    A layer that is prepared already gets the new quantizer in place of the old one, with scales
    found for the weight behind it, so a higher width brings back what a lower one lost. A pruning
    mask stays on, under the quantizer: prune first.

    Args:
        model: any module with convolutions or linear layers.
        num_bits: 1 to 8, or ``"ternary"``, for all layers. A dict gives each layer its own (mixed
            precision), and leaves the layers that are not in it as they are; a list there gives
            each output channel of the layer its own (see ``fake_channels``). None, for a layer or
            for all, means float: a quantizer that is there goes.
        granularity: ``PerChannel()`` if None. For another one on some layers call again with
            ``layers``.
        symmetric: fix the zero point in the middle.
        range_rule: an observer such as ``MeanSquared()``; ``MinMax()`` if None.
        layers: names of the layers; None takes all convolutions and linear layers.
        follow: in training the scales follow the weights (see ``FakeQuantize``).

    Raises:
        TypeError: ``model`` is no module, or an argument has the wrong type.
        ValueError: ``num_bits`` is out of range, or a list of another length than a layer has
            channels; a layer does not exist or cannot be quantized (lazy, tied to another, NaN or
            infinite weights, another parametrization on top); groups do not divide its weight.
            The model is as it was.
    """
    granularity = check_granularity(PerChannel() if granularity is None else granularity)
    settings = {
        "symmetric": bool(symmetric),
        "granularity": granularity,
        "range_rule": check_observer(MinMax() if range_rule is None else range_rule),
        "follow": bool(follow),
    }
    bits = _bits_by_layer(model, num_bits, layers)
    modules = {layer.name: layer.module for layer in compressible_layers(model)}
    for name in bits:
        check_layer(model, name, modules[name], FakeQuantize)
    fakes = {
        name: _fake_for(name, modules[name], width, settings)
        for name, width in bits.items()
        if width is not None
    }
    for name in bits:
        if name in fakes:
            put_on_top_(modules[name], fakes[name], FakeQuantize)
        else:
            take_off_top_(modules[name], FakeQuantize)
    return fakes


def _fake_for(name: str, module: nn.Module, width: Bits, settings: dict) -> FakeQuantize:
    """Make a quantizer; an error of its granularity names the layer."""
    weight = weight_below(module, FakeQuantize)
    try:
        settings["granularity"].rows(weight)
    except ValueError as error:
        raise ValueError(f"granularity does not fit layer {name!r}: {error}") from error
    if isinstance(width, tuple):
        check_channel_bits(width, f"num_bits of layer {name!r}", channels=len(weight))
        return FakeQuantizeChannels(weight, num_bits=width, **settings)
    return make_fake(weight, width, **settings)


def _bits_by_layer(model: nn.Module, num_bits: Any, layers: Any) -> dict[str, Bits]:
    """Return the checked widths by layer name, in the model's order."""
    if not isinstance(num_bits, Mapping):
        width = None if num_bits is None else check_bits(num_bits)
        return dict.fromkeys(select_layers(model, layers), width)
    if layers is not None:
        raise ValueError("layers must be left out with a dict as num_bits, which names them.")
    return {
        name: _check_width(num_bits[name], f"num_bits of layer {name!r}")
        for name in select_layers(model, list(num_bits))
    }


def _check_width(width: Any, name: str) -> Bits:
    if width is None:
        return None
    by_channel = isinstance(width, list | tuple)
    return check_channel_bits(width, name) if by_channel else check_bits(width, name)


def current_bits(model: nn.Module) -> dict[str, int | str | tuple[int, ...]]:
    """Return the width of each quantized layer by its name; layers in float are left out.

    A tuple holds the widths of the output channels. It is what ``prepare_`` takes as ``num_bits``.

    Raises:
        TypeError: ``model`` is no module.
    """
    return {name: fake.num_bits for name, (_, fake) in _prepared(model).items()}


def quantized_weights(model: nn.Module) -> dict[str, QuantizedTensor]:
    """Return the codes and scales of each quantized layer by its name.

    Dequantized they are, to the bit, the weights that the model computes with in evaluation mode.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: a weight became NaN.
    """
    return {
        name: fake.quantized(weight_below(module, FakeQuantize))
        for name, (module, fake) in _prepared(model).items()
    }


def unprepare_(model: nn.Module) -> None:
    """Take all quantizers off: ``model`` computes in float again, with the weights behind them.

    Raises:
        TypeError: ``model`` is no module.
    """
    for module, _ in _prepared(model).values():
        take_off_top_(module, FakeQuantize)


def _prepared(model: nn.Module) -> dict[str, tuple[nn.Module, FakeQuantize]]:
    check_module("model", model)
    return {
        layer.name: (layer.module, fake)
        for layer in compressible_layers(model)
        if (fake := top_of(layer.module, FakeQuantize)) is not None
    }
