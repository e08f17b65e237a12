"""What every criterion that needs data stands on: a copy to score on, batches, checked gradients.

Scores are computed on a copy of the model whose weights are the *effective* ones: masks and other
parametrizations are folded into plain parameters first. So the model itself is never touched, a
frozen weight gets a score like any other, and a pruned weight counts as the 0 that it is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lwlab.checks import check_finite, one_line
from lwlab.data import Split
from lwlab.measure.evaluating import forward
from lwlab.measure.latency import folded
from lwlab.measure.predicting import check_split
from lwlab.prune.targets import check_masks, check_targets, select_targets
from lwlab.train import Batch

__all__ = ["ScoringCopy", "batches", "scoring_copy"]


@dataclass(frozen=True)
class ScoringCopy:
    """A plain copy of a model, in evaluation mode, that wants gradients of some weights only.

    Attributes:
        model: the copy.
        weights: its weights to score by layer name, as the forward pass sees them.
    """

    model: nn.Module
    weights: dict[str, nn.Parameter]

    def outputs(self, batch: Batch) -> Any:
        """Return what the model makes of a batch; a failure becomes one sentence."""
        return forward(self.model, batch.inputs)

    def loss(self, batch: Batch, loss: Callable[[Any, Batch], Tensor]) -> Tensor:
        """Return the loss of a batch, checked: one finite number with a gradient.

        Raises:
            ValueError: the model or the loss fails on the batch, or the loss is something else.
        """
        outputs = self.outputs(batch)
        try:
            value = loss(outputs, batch)
        except Exception as error:
            raise ValueError(
                f"loss must accept the model's outputs and the split's targets, got "
                f"{one_line(error)}"
            ) from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            kind = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"loss must be a tensor of one number, got {kind}. Try its mean.")
        if not math.isfinite(value.item()):
            raise ValueError(
                f"loss must be finite, got {value.item()}. Check the weights and the inputs."
            )
        return value

    def gradients(self, scalar: Tensor, *, keep: bool = False) -> dict[str, Tensor]:
        """Return the gradient of ``scalar`` by layer name; zeros where it does not depend on it.

        Args:
            scalar: tensor of one number, computed with ``model``.
            keep: leave the graph for another call.

        Raises:
            ValueError: no gradient reaches any weight, or one is NaN or infinite.
        """
        if not scalar.requires_grad:
            raise ValueError(
                f"model must let gradients through to its weights, got "
                f"{type(self.model).__name__}, whose loss depends on none of "
                f"{', '.join(self.weights)}. Look for no_grad, detach, argmax or round in forward."
            )
        found = torch.autograd.grad(
            scalar, list(self.weights.values()), retain_graph=keep, materialize_grads=True
        )
        return {
            name: check_finite(f"gradient of layer {name!r}", gradient)
            for name, gradient in zip(self.weights, found, strict=True)
        }


@contextmanager
def scoring_copy(
    model: nn.Module,
    split: Split,
    layers: Iterable[str] | None = None,
    *,
    batch_statistics: bool = False,
) -> Iterator[ScoringCopy]:
    """Check the arguments of a criterion and run a block with a copy of ``model``.

    Gradients are on inside, whatever the caller has switched off. Dropout is off.

    Args:
        model: any module that masks can be put on.
        split: examples to score on.
        layers: names of layers; None takes all convolutions and linear layers.
        batch_statistics: let BatchNorm normalize by the batch, as in training.

    Raises:
        TypeError: ``model`` is no module, or ``split`` no Split.
        ValueError: the split is empty, or a layer does not exist or could not be masked.
    """
    targets = select_targets(model, layers)
    check_targets(model, targets)
    check_masks(model)
    check_split(split)
    with torch.inference_mode(False), torch.enable_grad():
        plain = folded(model)
        plain = copy.deepcopy(model) if plain is model else plain
        for module in plain.modules():
            normalizes = isinstance(module, nn.modules.batchnorm._BatchNorm)
            module.training = batch_statistics and normalizes
        plain.requires_grad_(False)
        weights = {
            name: plain.get_submodule("" if target.module is model else name).weight
            for name, target in targets.items()
        }
        for weight in weights.values():
            weight.requires_grad_(True)
        yield ScoringCopy(plain, weights)


def batches(split: Split, batch_size: int) -> Iterator[Batch]:
    """Yield ``split`` in order, in batches of nearly equal size and at most ``batch_size``."""
    count = math.ceil(len(split) / batch_size)
    for indices in torch.arange(len(split)).tensor_split(count):
        # Indexing copies, so that a model which works in place leaves the split alone.
        yield Batch(split.inputs[indices], split.targets[indices], indices)
