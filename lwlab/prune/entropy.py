"""Importance by information: how much a channel has to say.

    H = - sum over bins k of  p_k log2(p_k),  p_k the share of the values that fall into bin k

Of *activations*: a channel whose answer is the same for every image tells the next layer nothing,
0 bits, and can go. Of *weights*: see ``weight_entropy`` for what such a number cannot mean.

Both give one number per channel (output channel, or unit). ``spread_channels`` turns these into
importances of the weights' shapes, for ``mask_model_(model, sparsity=..., importance=...)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_count, check_finite
from lwlab.data import Split
from lwlab.measure.predicting import check_split
from lwlab.models.layers import compressible_layers
from lwlab.prune.responses import pooled_responses
from lwlab.prune.targets import check_masks

__all__ = [
    "activation_entropy",
    "histogram_entropy",
    "spread_channels",
    "spread_over_weight",
    "weight_entropy",
]

# What float32 sums leave of a constant when they are taken in another order.
_ROUNDING = 1e-6


def histogram_entropy(values: Tensor, bins: int) -> Tensor:
    """Return the entropy of each row's histogram, in bits.

    Each row has its own ``bins`` equal bins between its smallest and its largest value. A row whose
    range is within rounding of its values (a millionth of the largest) is constant: 0 bits.

    >>> histogram_entropy(torch.tensor([[0.0, 1.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0]]), bins=4)
    tensor([2., 0.], dtype=torch.float64)

    Args:
        values: ``(rows, n)``, finite.
        bins: at least 2.

    Returns:
        float64 tensor ``(rows,)``, from 0 to ``log2(min(bins, n))``.

    Raises:
        TypeError, ValueError: ``values`` are not such a tensor, or ``bins`` is out of range.
    """
    bins = check_count("bins", bins, minimum=2)
    if not isinstance(values, Tensor):
        raise TypeError(f"values must be a tensor of shape (rows, n), got {type(values).__name__}.")
    if values.ndim != 2 or values.numel() == 0:
        raise ValueError(f"values must have shape (rows, n), got {tuple(values.shape)}.")
    values = check_finite("values", values.detach()).double()
    low, high = values.amin(dim=1, keepdim=True), values.amax(dim=1, keepdim=True)
    constant = high - low <= _ROUNDING * torch.maximum(high.abs(), low.abs())
    width = torch.where(constant, 1.0, high - low)
    # The largest value would fall just above the last bin; it belongs to it.
    places = ((values - low) / width * bins).long().clamp(max=bins - 1)
    places = places.masked_fill(constant, 0)
    counts = torch.zeros(len(values), bins, dtype=torch.float64, device=values.device)
    counts.scatter_add_(1, places, torch.ones_like(values))
    return torch.special.entr(counts / values.shape[1]).sum(dim=1) / math.log(2)


def activation_entropy(
    model: nn.Module,
    split: Split,
    *,
    bins: int = 100,
    batch_size: int = 250,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    layers: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Return the entropy of each channel's responses to the examples, by layer name.

    A response is one number per example: the mean of ``activation(output)`` over all positions of
    the channel, the output being that of the layer, or of the BatchNorm that directly takes it.
    Their histogram over the examples gives the entropy, at most ``log2(min(bins, N))`` bits; few
    examples in many bins give less than many would.

    The bins of a channel span its own range, so that the entropy does not change with its scale: a
    channel that varies by a hair can score as high as one that carries the decision, and two
    channels with the same answer score the same. What stands between the layer and the next one
    besides ``activation`` (pooling, a residual added) is not seen.

    Args:
        model: takes inputs ``(B, ...)``; run in evaluation mode, and left as it is.
        split: calibration examples, at least 2; the targets are not used.
        bins: of the histogram; 100 in the paper.
        batch_size: examples in one pass, at the most.
        activation: what follows the layers, elementwise. A channel that ReLU silences for all
            examples scores 0, whatever it does below 0. ``torch.nn.Identity()`` for none.
        layers: names of convolutions and linear layers; None takes all. The entropy of the last
            layer's logits says nothing about what to prune: every class is needed.

    Returns:
        float64 tensors ``(channels,)`` in bits; ``(features,)`` for a linear layer.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a layer does not exist or is never called; the split has fewer than 2 examples
            or does not fit the model; a response is NaN or infinite.

    Source: Luo & Wu 2017, "An Entropy-based Pruning Method for CNN Compression", arXiv:1706.05791.
    """
    bins = check_count("bins", bins, minimum=2)
    batch_size = check_count("batch_size", batch_size)
    modules = _modules(model, layers)
    if len(check_split(split)) < 2:
        raise ValueError("split must hold at least 2 examples, got 1: one response has no spread.")
    responses = pooled_responses(model, split.inputs, modules, activation, batch_size)
    return {name: histogram_entropy(values.T, bins) for name, values in responses.items()}


def _modules(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    modules = {layer.name: layer.module for layer in compressible_layers(model)}
    check_masks(model)
    if not modules:
        raise ValueError(
            f"model must have a convolution or linear layer, got {type(model).__name__} without "
            f"one."
        )
    if layers is None:
        return modules
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got {layers!r}. Try [{layers!r}].")
    wanted = {check_choice("layers", name, modules) for name in layers}
    if not wanted:
        raise ValueError("layers must name at least one layer, got none.")
    return {name: module for name, module in modules.items() if name in wanted}


def weight_entropy(weight: Tensor, *, bins: int = 16) -> Tensor:
    """Return the entropy of the histogram of each filter's own weights, in bits.

    What it can mean: how evenly the weights of one filter are spread over their range, that is, how
    many bits one weight would cost if the filter were stored on ``bins`` levels.

    What it cannot mean: how much the filter matters. A weight is one fixed number and has no
    entropy; the histogram makes a distribution up by treating the weights of a filter as draws.
    The result hangs on ``bins``; it is the same after any shuffling of the weights, and after any
    scaling, even towards 0; it knows neither the data nor the function that the network computes.
    A filter of n weights reaches ``log2(min(bins, n))`` bits at the most, so that layers of
    different sizes cannot be compared: use ``scope="layer"``.

    Args:
        weight: ``(filters, ...)``: one filter for each output channel.
        bins: equal bins between the smallest and the largest weight of each filter, at least 2.

    Returns:
        float64 tensor ``(filters,)``; 0 where all weights of a filter are equal.

    Raises:
        TypeError, ValueError: ``weight`` is not such a tensor or not finite, or ``bins`` below 2.
    """
    if not isinstance(weight, Tensor):
        raise TypeError(f"weight must be a tensor, got {type(weight).__name__}.")
    if weight.ndim < 2 or weight.numel() == 0:
        raise ValueError(f"weight must have shape (filters, ...), got {tuple(weight.shape)}.")
    return histogram_entropy(check_finite("weight", weight.detach()).flatten(1), bins)


def spread_over_weight(scores: Tensor, weight: Tensor) -> Tensor:
    """Return an importance of the weight's shape: each weight gets the score of its channel.

    >>> spread_over_weight(torch.tensor([1.0, 2.0]), torch.zeros(2, 3))
    tensor([[1., 1., 1.],
            [2., 2., 2.]])

    All weights of a channel tie, so that masks go channel by channel; one channel, where the count
    falls, is cut in part. The biases stay.

    Args:
        scores: ``(channels,)``.
        weight: ``(channels, ...)``.

    Raises:
        TypeError, ValueError: ``scores`` is not a tensor of one number per channel.
    """
    return _spread("scores", scores, weight)


def spread_channels(scores: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return ``spread_over_weight`` for each layer in ``scores``, ready as an ``importance``.

        scores = activation_entropy(model, dataset.validation)
        mask_model_(model, sparsity=0.5, importance=spread_channels(scores, model))

    Args:
        scores: ``(channels,)`` by layer name, such as ``activation_entropy`` returns.
        model: where the layers are; it is left as it is.

    Raises:
        TypeError: ``model`` is no module, or a score no tensor.
        ValueError: a layer does not exist, or has another number of channels.
    """
    modules = _modules(model, list(scores))
    return {
        name: _spread(f"scores of layer {name!r}", scores[name], module.weight)
        for name, module in modules.items()
    }


def _spread(name: str, scores: Tensor, weight: Tensor) -> Tensor:
    if not isinstance(scores, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(scores).__name__}.")
    if scores.shape != weight.shape[:1]:
        raise ValueError(
            f"{name} must have shape {tuple(weight.shape[:1])}, one per output channel, got "
            f"{tuple(scores.shape)}."
        )
    return scores.reshape(-1, *[1] * (weight.ndim - 1)).expand(weight.shape).clone()
