"""Let the quantizers of a prepared model learn: their steps (LSQ), or where they clip (PACT).

    prepare_(model, num_bits=2)                       weights, then perhaps
    model = prepare_activations(model, calibration)   activations
    learn_steps_(model)                               and any training trains the steps too

Learned quantizers stand where the others stood and are read as they are, by ``current_bits``,
``quantized_weights`` and ``quantized_activations``; ``unprepare_`` takes those of weights off.
Call these functions before the training begins: an optimizer trains the parameters it was made for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import nn

from lwlab.checks import check_choice, check_module
from lwlab.models.layers import compressible_layers
from lwlab.quantize.activations.activation import FakeQuantizeActivation
from lwlab.quantize.activations.preparing import quantized_activations
from lwlab.quantize.fake import FakeLowBit, FakeQuantize
from lwlab.quantize.fake_channels import FakeQuantizeChannels
from lwlab.quantize.learned_activation import LearnedClipActivation, LearnedStepActivation
from lwlab.quantize.learned_step import STARTS, LearnedStep
from lwlab.quantize.stacking import put_on_top_, top_of, weight_below
from lwlab.quantize.targets import check_layer

__all__ = ["learn_clips_", "learn_steps_"]


def learn_steps_(
    model: nn.Module,
    *,
    start: str = "mean",
    layers: Iterable[str] | None = None,
    points: Iterable[str] | None = None,
) -> None:
    """Make the scales of the quantizers of ``model`` parameters that are trained (LSQ).

    Widths, granularity and zero points stay. A quantizer that learned already starts anew.

    Args:
        model: prepared by ``prepare_``, ``prepare_activations`` or both.
        start: ``"mean"``: steps of 2 mean|x| / sqrt(Qp) as in the paper, which for activations the
            first batch in training sets; ``"current"``: from the scales that are there. The first
            spans 2 sqrt(Qp) times the mean: right for 2 to 4 bits, and at 8, where that is 32
            times, wider than what most tensors hold.
        layers: names of prepared layers; None takes all. Channels of 1 bit among wider ones keep
            their rule.
        points: names of activation quantizers; None takes all.

    Raises:
        TypeError: ``model`` is no module, or a single text stands for a list of names.
        ValueError: there is no quantizer, or none of a name; a layer has 1 bit; a weight became
            NaN; ``start`` is neither. The model is as it was.

    Source: Esser et al. 2020, "Learned step size quantization", arXiv:1902.08153.
    """
    modules, activations = _prepared_layers(model), quantized_activations(model)
    check_choice("start", start, STARTS)
    if not modules and not activations:
        raise ValueError(
            "model must have quantizers for their steps to be learned, got none. Try "
            "prepare_(model, num_bits=4) first."
        )
    names = _chosen("layers", layers, list(modules))
    point_names = _chosen("points", points, list(activations))
    for name in names:
        check_layer(model, name, modules[name], FakeQuantize)
        _check_spaced(name, top_of(modules[name], FakeQuantize))
    learned = {name: _learned(modules[name], start) for name in names}
    for name, fake in learned.items():
        put_on_top_(modules[name], fake, FakeQuantize)
    for name in point_names:
        old = activations[name]
        _replace_(model, old, LearnedStepActivation(old, start=start))


def learn_clips_(model: nn.Module, *, points: Iterable[str] | None = None) -> None:
    """Make the value that each activation quantizer of ``model`` clips at a parameter (PACT).

    It starts where the grid ends now. Train with ``penalty=ClipPenalty(strength)``, which draws
    the clips inwards. Weights are left as they are.

    Args:
        model: from ``prepare_activations``.
        points: names of activation quantizers; None takes all.

    Raises:
        TypeError: ``model`` is no module, or a single text stands for a list of names.
        ValueError: there is no activation quantizer, or none of a name. The model is as it was.

    Source: Choi et al. 2018, "PACT: Parameterized clipping activation for quantized neural
    networks", arXiv:1805.06085.
    """
    activations = quantized_activations(check_module("model", model))
    if not activations:
        raise ValueError(
            "model must have activation quantizers for their clips to be learned, got none. Try "
            "prepare_activations(model, calibration) first."
        )
    for name in _chosen("points", points, list(activations)):
        old = activations[name]
        _replace_(model, old, LearnedClipActivation(old))


def _prepared_layers(model: nn.Module) -> dict[str, nn.Module]:
    check_module("model", model)
    return {
        layer.name: layer.module
        for layer in compressible_layers(model)
        if top_of(layer.module, FakeQuantize) is not None
    }


def _chosen(title: str, names: Iterable[str] | None, allowed: list[str]) -> list[str]:
    """Return the checked names in the order of the model."""
    if names is None:
        return allowed
    if isinstance(names, str):
        raise TypeError(f"{title} must be a list of names, got {names!r}. Try [{names!r}].")
    wanted = list(names)
    if wanted and not allowed:
        raise ValueError(f"{title} must name quantizers of the model, got {wanted!r}; it has none.")
    wanted = {check_choice(title, name, allowed) for name in wanted}
    return [name for name in allowed if name in wanted]


def _check_spaced(name: str, fake: FakeQuantize) -> None:
    if fake.num_bits == 1 and fake.symmetric:
        raise ValueError(
            f"weight of layer {name!r} must have 2 bits or more, or 'ternary', for its step to be "
            f"learned, got 1 bit, whose scale is the mean |w| at all times. Leave the layer out: "
            f"name the others in layers=[...]."
        )


def _learned(module: nn.Module, start: str) -> FakeQuantize:
    """Return the learned quantizer for a layer; the layer stays as it is."""
    fake, weight = top_of(module, FakeQuantize), weight_below(module, FakeQuantize)
    if not isinstance(fake, FakeQuantizeChannels):
        return LearnedStep(fake, weight, start=start)
    learned = copy.deepcopy(fake)
    for at, part in enumerate(fake.parts):
        if not isinstance(part, FakeLowBit):
            learned.parts[at] = LearnedStep(part, weight, start="current")
    for part in learned.parts:
        part.start = start
    if start == "mean":
        learned.update_(weight)  # gives each part its channels
    return learned


def _replace_(model: nn.Module, old: FakeQuantizeActivation, new: FakeQuantizeActivation) -> None:
    """Put ``new`` where ``old`` is."""
    for path, module in list(model.named_modules()):
        if module is old:
            model.set_submodule(path, new)
