"""Training for a short file: each code costs what the file will spend on it.

What ``records.py`` and ``packed.py`` share, with ``_lessons.py``. The weights and biases of a
network are seen through learned steps (LSQ), and so are whole numbers times a step;
``quantize.CodeLength`` adds the bits that an entropy coder will need for them to the loss. Nothing
is pruned by hand. What this file adds are codes for biases, and units taken out once they are dead.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from _lessons import Lessons
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab import packing
from lwlab.models import compressible_layers
from lwlab.models.resize import resize_
from lwlab.quantize import (
    CodeLength,
    FakeQuantize,
    LearnedStep,
    MinMax,
    PerTensor,
    learn_steps_,
    prepare_,
)
from lwlab.quantize.fake import make_fake
from lwlab.train import constant, cosine, fit

__all__ = [
    "Recipe",
    "code_",
    "from_file",
    "shortened",
    "without_dead_units",
]


def code_(model: nn.Module, num_bits: int) -> None:
    """Let ``model`` compute with codes of ``num_bits`` bits, a learned step for each tensor.

    Weights and biases alike: each tensor costs the file one scale of 4 bytes.
    """
    prepare_(model, num_bits=num_bits, granularity=PerTensor())
    learn_steps_(model)
    for layer in compressible_layers(model):
        bias = layer.module.bias.detach()
        rounded = make_fake(
            bias, num_bits, symmetric=True, granularity=PerTensor(), range_rule=MinMax()
        )
        learned = LearnedStep(rounded, bias, start="current")
        # unsafe: the checks of torch would run the forward pass.
        parametrize.register_parametrization(layer.module, "bias", learned, unsafe=True)


def _coded(model: nn.Module) -> Iterator[tuple[str, FakeQuantize, Tensor]]:
    """Yield name, quantizer and the float tensor behind it for each coded tensor."""
    for layer in compressible_layers(model):
        for name in ("weight", "bias"):
            chain = layer.module.parametrizations[name]
            yield f"{layer.name}.{name}", chain[-1], chain.original


@torch.no_grad()
def without_dead_units(model: nn.Module, empty: Callable[[], nn.Module]) -> nn.Module:
    """Return a narrower copy of a coded ``model``, in which no unit is without effect.

    A unit is taken out if nothing reaches the next layer from it, or if all of its weights and its
    bias are 0, so that its output is 0 after max-pooling and ReLU. The layers of ``model`` follow
    one another; a flattened channel is several columns of the next layer.

    Args:
        model: from ``code_``.
        empty: makes a network of its class.
    """
    layers = [layer.module for layer in compressible_layers(model)]
    alive = [torch.ones(layers[0].weight.shape[1], dtype=torch.bool)]
    alive += [torch.ones(len(layer.weight), dtype=torch.bool) for layer in layers]
    while True:
        before = sum(int(units.sum()) for units in alive)
        for at, (layer, following) in enumerate(pairwise(layers), start=1):
            incoming = _by_unit(layer.weight, alive[at - 1])[:, alive[at - 1]]
            outgoing = _by_unit(following.weight, alive[at])[alive[at + 1]]
            reached = incoming.flatten(1).any(dim=1) | (layer.bias != 0)
            alive[at] &= reached & outgoing.transpose(0, 1).flatten(1).any(dim=1)
        if sum(int(units.sum()) for units in alive) == before:
            return _narrowed(model, empty(), alive)


def _by_unit(weight: Tensor, units: Tensor) -> Tensor:
    """Return a weight as (out, units of the layer before, weights between the two)."""
    return weight.reshape(len(weight), len(units), -1)


def _narrowed(model: nn.Module, copy: nn.Module, alive: list[Tensor]) -> nn.Module:
    """Give ``copy`` the codes of ``model`` for the units that are alive."""
    pairs = list(zip(compressible_layers(model), alive, alive[1:], strict=False))
    tensors = {}
    for layer, before, units in pairs:
        weight = layer.module.parametrizations["weight"].original
        kept = _by_unit(weight, before)[units][:, before]
        tensors[f"{layer.name}.weight"] = kept.reshape(len(kept), -1, *weight.shape[2:])
        tensors[f"{layer.name}.bias"] = layer.module.parametrizations["bias"].original[units]
    resize_(copy, {name: tensor.shape for name, tensor in tensors.items()})
    code_(copy, next(fake.num_bits for _, fake, _ in _coded(model)))
    steps = {name: fake.log_step for name, fake, _ in _coded(model)}
    for name, fake, original in _coded(copy):
        original.copy_(tensors[name])
        fake.log_step.copy_(steps[name])
    return copy.train(model.training)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained for a short file.

    Args:
        strength: loss per bit of the codes.
        wide_passes: passes over the lessons at full learning rate; the price of a bit rises from 0
            during the first half of them, and dead units are taken out at the end.
        narrow_passes: passes that follow, with a learning rate that falls to 0.
        num_bits: of a code.
        learning_rate: of Adam.
        batch_size: images a step.
        temperature: of the distillation.
        alpha: weight of the teacher against the labels.
        every: steps between two looks at the price of the codes.
    """

    strength: float
    wide_passes: int
    narrow_passes: int
    num_bits: int = 4
    learning_rate: float = 2e-3
    batch_size: int = 128
    temperature: float = 3.0
    alpha: float = 0.9
    every: int = 2


def shortened(
    model: nn.Module, empty: Callable[[], nn.Module], lessons: Lessons, recipe: Recipe, seed: int
) -> nn.Module:
    """Return a narrower, coded network made of ``model``, a trained one, which changes as well.

    Args:
        model: a plain network.
        empty: makes another of its class and size.
        lessons: what is learned.
        recipe: how.
        seed: of the order of the images.
    """
    code_(model, recipe.num_bits)
    steps = recipe.wide_passes * math.ceil(len(lessons.dataset.train) / recipe.batch_size)
    penalty = CodeLength(recipe.strength, warm_up=steps // 2, every=recipe.every)
    for passes, schedule in ((recipe.wide_passes, constant), (recipe.narrow_passes, cosine)):
        records = fit(
            model,
            lessons.dataset,
            epochs=passes,
            learning_rate=recipe.learning_rate,
            batch_size=recipe.batch_size,
            loss=lessons.loss(recipe.temperature, recipe.alpha),
            penalty=penalty,
            seed=seed,
            schedule=schedule,
        )
        for record in records:
            size = len(packing.to_bytes(without_dead_units(model, empty)))
            print(
                f"  seed {seed}, {schedule.__name__} pass {record.epoch}: validation error "
                f"{100 * (1 - record.validation_accuracy):.2f} %, {size:,} B, "
                f"{record.seconds:.0f} s",
                flush=True,
            )
        model = without_dead_units(model, empty)
    return model


def from_file(model: nn.Module, empty: Callable[[], nn.Module]) -> tuple[nn.Module, int]:
    """Write ``model`` to a file; return the network loaded back and the length of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.lwlab"
        size = packing.save(model, path)
        loaded = empty()
        packing.load_(loaded, path, resize=True)
    return loaded, size
