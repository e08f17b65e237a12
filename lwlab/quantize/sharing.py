"""Weight sharing on a model: each weight is one of k centroids, and training moves the centroids.

    weight = centroids[codes]        d loss / d centroid = sum of d loss / d weight over its weights

The codes stay as k-means found them. The float weights behind stay too, untouched, until the
sharing is taken off. On a pruning mask, ``weight = SharedWeights(Mask(original))``, the zeros have
a code of their own and stay exactly 0.

Source: Han et al. 2016, "Deep compression", arXiv:1510.00149, section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_count, check_module
from lwlab.models.layers import compressible_layers
from lwlab.quantize.codebook import INITIALIZATIONS, MOST_CLUSTERS, Codebook, find_codebook
from lwlab.quantize.fake import FakeQuantize
from lwlab.quantize.stacking import put_on_top_, stack_of, take_off_top_, top_of, weight_below
from lwlab.quantize.targets import check_layer, select_layers

__all__ = ["SharedWeights", "current_codebooks", "share_weights_", "unshare_weights_"]


class SharedWeights(nn.Module):
    """Give each weight the value of its centroid.

    Args:
        codebook: codes and first centroids.

    Attributes:
        codes: int64, of the weight's shape.
        centroids: parameter, (k,): what an optimizer made after this trains. That of zeros gets no
            gradient.
    """

    codes: Tensor

    def __init__(self, codebook: Codebook) -> None:
        super().__init__()
        self.keep_zeros = codebook.keep_zeros
        self.register_buffer("codes", codebook.codes.clone())
        self.centroids = nn.Parameter(codebook.centroids.to(codebook.dtype).clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``centroids[codes]``; ``weight`` has no part in it."""
        shared = self.centroids[self.codes]
        # where() stops the gradient too, so that neither momentum nor decay can move a zero.
        return torch.where(self.codes == 0, 0, shared) if self.keep_zeros else shared

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the original to store when a value is assigned to the shared weight."""
        return weight

    def codebook(self) -> Codebook:
        """Return the codes and the present centroids."""
        centroids = self.centroids.detach().float().clone()
        if self.keep_zeros:
            centroids[0] = 0.0
        return Codebook(self.codes.clone(), centroids, self.keep_zeros, self.centroids.dtype)

    def extra_repr(self) -> str:
        """Show the number of values when the model is printed."""
        return f"{len(self.centroids)} values for {self.codes.numel():,} weights"


def share_weights_(
    model: nn.Module,
    *,
    num_clusters: int | Mapping[str, int],
    initialization: str = "linear",
    layers: Iterable[str] | None = None,
    seed: int = 0,
) -> dict[str, SharedWeights]:
    """Share the weights of each layer by a codebook of its own, and return these by layer name.

    A layer that shares weights already gets a new codebook for the float weights behind it. Exact
    zeros (pruned weights) keep a code of their own, out of ``num_clusters``.

    Args:
        model: any module with convolutions or linear layers.
        num_clusters: 2 to 256 values per layer. A dict gives each layer its own and leaves the
            layers that are not in it as they are.
        initialization: ``"linear"`` as in Deep Compression, ``"density"``, ``"random"`` or
            ``"optimal"``; see ``codebook``.
        layers: names of the layers; None takes all convolutions and linear layers.
        seed: for ``"random"``.

    Raises:
        TypeError: ``model`` is no module, or an argument has the wrong type.
        ValueError: an argument is out of range; a layer does not exist or cannot share weights, as
            in ``prepare_``, or is quantized. The model is as it was.
    """
    clusters = _clusters_by_layer(model, num_clusters, layers)
    check_choice("initialization", initialization, INITIALIZATIONS)
    modules = {layer.name: layer.module for layer in compressible_layers(model)}
    for name in clusters:
        _check_float(name, modules[name])
        check_layer(model, name, modules[name], SharedWeights)
    shared = {
        name: SharedWeights(
            find_codebook(
                weight_below(modules[name], SharedWeights),
                count,
                initialization=initialization,
                keep_zeros=True,
                seed=seed,
            )
        )
        for name, count in clusters.items()
    }
    for name, sharing in shared.items():
        put_on_top_(modules[name], sharing, SharedWeights)
    return shared


def current_codebooks(model: nn.Module) -> dict[str, Codebook]:
    """Return the codes and present centroids of each layer that shares weights, by its name.

    Raises:
        TypeError: ``model`` is no module.
    """
    check_module("model", model)
    return {
        layer.name: sharing.codebook()
        for layer in compressible_layers(model)
        if (sharing := top_of(layer.module, SharedWeights)) is not None
    }


def unshare_weights_(model: nn.Module) -> None:
    """Take all codebooks off: ``model`` has the float weights of before the sharing.

    Raises:
        TypeError: ``model`` is no module.
    """
    for layer in compressible_layers(check_module("model", model)):
        take_off_top_(layer.module, SharedWeights)


def _clusters_by_layer(model: nn.Module, num_clusters: Any, layers: Any) -> dict[str, int]:
    if not isinstance(num_clusters, Mapping):
        count = check_count("num_clusters", num_clusters, minimum=2, maximum=MOST_CLUSTERS)
        return dict.fromkeys(select_layers(model, layers), count)
    if layers is not None:
        raise ValueError("layers must be left out with a dict as num_clusters, which names them.")
    return {
        name: check_count(
            f"num_clusters of layer {name!r}", num_clusters[name], minimum=2, maximum=MOST_CLUSTERS
        )
        for name in select_layers(model, list(num_clusters))
    }


def _check_float(name: str, module: nn.Module) -> None:
    if any(isinstance(part, FakeQuantize) for part in stack_of(module)):
        raise ValueError(
            f"weight of layer {name!r} must be float to be shared, got a FakeQuantize on it. Try "
            f"unprepare_(model) first."
        )
