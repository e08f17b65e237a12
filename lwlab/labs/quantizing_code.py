"""The lines of Python that put on a float model the quantizers that another model has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from torch import fx, nn

from lwlab.models.layers import compressible_layers
from lwlab.quantize.activations import find_points, quantized_activations
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.fake_channels import FakeQuantizeChannels
from lwlab.quantize.granularity import PerChannel
from lwlab.quantize.learned_activation import LearnedClipActivation, LearnedStepActivation
from lwlab.quantize.learned_step import LearnedStep
from lwlab.quantize.observers import MinMax
from lwlab.quantize.stacking import top_of

__all__ = ["preparation"]

_WIDTH = 100


def preparation(model: nn.Module) -> tuple[list[str], list[str]]:
    """Return imports, and the calls that quantize a float model as ``model`` is; none if it is not.

    The data that activations were calibrated with a model does not know: 500 examples are named.
    """
    weights = {
        layer.name: fake
        for layer in compressible_layers(model)
        if (fake := top_of(layer.module, FakeQuantize)) is not None
    }
    activations = quantized_activations(model)
    calls = [
        *_activation_calls(model, activations),
        *_weight_calls(model, weights),
        *_learning_calls(weights, activations),
    ]
    return _imports(calls, [*weights.values(), *activations.values()]), calls


def _activation_calls(model: nn.Module, activations: Mapping[str, nn.Module]) -> list[str]:
    if not activations:
        return []
    bits = {name: fake.num_bits for name, fake in activations.items()}
    # A point with a quantizer behind it may no longer count as one; one without does.
    graph = isinstance(model, fx.GraphModule)
    every = graph and {point.name for point in find_points(model)} <= set(bits)
    first = next(iter(activations.values()))
    settings = {"num_bits": _shortest(bits, every=every), **_settings(first)}
    return [_call("prepare_activations", settings, "dataset.train.take(500)", changes=False)]


def _weight_calls(model: nn.Module, weights: Mapping[str, FakeQuantize]) -> list[str]:
    """Return one call for each group of layers with the same settings but for the width."""
    groups: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, fake in weights.items():
        groups[repr(_settings(fake))][name] = fake
    count = len(compressible_layers(model))
    calls = []
    for fakes in groups.values():
        bits = {name: _width(fake) for name, fake in fakes.items()}
        first = next(iter(fakes.values()))
        settings = {"num_bits": _shortest(bits, every=len(bits) == count), **_settings(first)}
        calls.append(_call("prepare_", settings))
    return calls


def _learning_calls(
    weights: Mapping[str, FakeQuantize], activations: Mapping[str, nn.Module]
) -> list[str]:
    clips = [n for n, fake in activations.items() if isinstance(fake, LearnedClipActivation)]
    starts: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for at, (fakes, kind) in enumerate(
        ((weights, LearnedStep), (activations, LearnedStepActivation))
    ):
        for name, fake in fakes.items():
            if isinstance(part := _first_part(fake), kind):
                starts[part.start][at].append(name)
    calls = []
    for start, (layers, points) in starts.items():
        chosen = {"start": start} if start != "mean" else {}
        chosen |= {"layers": layers} if layers != list(weights) else {}
        chosen |= {"points": points} if points != list(activations) else {}
        calls.append(_call("learn_steps_", chosen))
    if clips:
        chosen = {"points": clips} if clips != list(activations) else {}
        calls.append(_call("learn_clips_", chosen))
    return calls


def _first_part(fake: nn.Module) -> nn.Module:
    """Return the quantizer itself; of several widths in one layer, that of the widest channels."""
    return fake.parts[-1] if isinstance(fake, FakeQuantizeChannels) else fake


def _settings(fake: nn.Module) -> dict[str, Any]:
    """Return the arguments of a quantizer that are not what they are by default."""
    found: dict[str, Any] = {}
    weight = isinstance(fake, FakeQuantize)
    if weight and fake.granularity != PerChannel():
        found["granularity"] = fake.granularity
    if fake.symmetric != weight:
        found["symmetric"] = fake.symmetric
    if repr(fake.range_rule) != repr(MinMax()):
        found["range_rule"] = fake.range_rule
    learned = (LearnedStep, LearnedStepActivation, LearnedClipActivation)
    if not fake.follow and not isinstance(_first_part(fake), learned):
        found["follow"] = False
    return found


def _width(fake: FakeQuantize) -> Any:
    return list(fake.num_bits) if isinstance(fake.num_bits, tuple) else fake.num_bits


def _shortest(bits: Mapping[str, Any], *, every: bool) -> Any:
    """Return the one width of all layers or points, or the widths by name."""
    first = next(iter(bits.values()))
    same = every and not isinstance(first, list) and all(width == first for width in bits.values())
    return first if same else dict(bits)


def _call(name: str, settings: Mapping[str, Any], *given: str, changes: bool = True) -> str:
    arguments = ["model", *given, *(f"{key}={value!r}" for key, value in settings.items())]
    start = f"{name}(" if changes else f"model = {name}("
    line = f"{start}{', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line
    return start + (",\n" + " " * len(start)).join(arguments) + ")"


def _imports(calls: list[str], fakes: list[nn.Module]) -> list[str]:
    text = "\n".join(calls)
    parts = {type(fake.range_rule).__name__ for fake in fakes}
    parts |= {type(fake.granularity).__name__ for fake in fakes if isinstance(fake, FakeQuantize)}
    named = sorted(part for part in parts if f"={part}(" in text)
    verbs = ("learn_clips_", "learn_steps_", "prepare_", "prepare_activations")
    used = [*named, *(verb for verb in verbs if f"{verb}(" in text)]
    return [f"from lwlab.quantize import {', '.join(used)}"] if used else []
