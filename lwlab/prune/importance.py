"""Importance: one number per weight; a higher one keeps its weight longer.

    magnitude:  importance[i] = |weight[i]|
    random:     importance[i] ~ uniform in (0, 1], whatever the weight

Magnitude rests on a plain thought: a small weight changes the output little. Random is the
baseline that every cleverer criterion has to beat. Next: ``masks``, which cuts by importance.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from lwlab.checks import check_count, did_you_mean

__all__ = ["Importance", "RandomImportance", "layer_importances", "magnitude", "random_importance"]


def magnitude(weight: Tensor) -> Tensor:
    """Return ``|weight|``, of the weight's shape.

    Source: Han et al. 2015, "Learning both weights and connections", arXiv:1506.02626.
    """
    return weight.abs()


def random_importance(weight: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Return uniform noise in (0, 1] of the weight's shape, dtype and device.

    Args:
        weight: only its shape, dtype and device matter.
        generator: where the noise comes from; each call draws the next numbers of it. None draws
            from torch's global stream.
    """
    noise = torch.rand(weight.shape, generator=generator, dtype=weight.dtype, device=weight.device)
    # torch.nn.utils.prune.random_unstructured prunes where its noise is highest. Turned round, the
    # same generator prunes the same weights here.
    return 1 - noise


@dataclass(frozen=True)
class RandomImportance:
    """Random importance that is the same at each call and different in each layer.

    ``mask_model_(model, sparsity=0.9, importance=RandomImportance(seed=1))`` prunes the same random
    weights whenever it is called; at a higher sparsity the same ones and more. The noise of a layer
    follows from the seed and the layer's name.

    Args:
        seed: whole number of at least 0.

    Raises:
        TypeError, ValueError: ``seed`` is not such a number.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        check_count("seed", self.seed, minimum=0)

    def of_layer(self, name: str, weight: Tensor) -> Tensor:
        """Return the noise of the layer ``name``, of the weight's shape."""
        # crc32 rather than hash(): Python salts the hash of a text anew in each process.
        seed = zlib.crc32(f"{self.seed}:{name}".encode())
        generator = torch.Generator(weight.device).manual_seed(seed)
        return random_importance(weight, generator=generator)


Importance: TypeAlias = Callable[[Tensor], Tensor] | RandomImportance | Mapping[str, Tensor]
"""A function of one weight, or random noise, or ready tensors by layer name."""


def layer_importances(weights: Mapping[str, Tensor], importance: Importance) -> dict[str, Tensor]:
    """Return the importance of each weight tensor, checked.

    Args:
        weights: weight tensors by layer name.
        importance: a function from a weight to its importance, such as ``magnitude``;
            ``RandomImportance(seed)``; or ready tensors by layer name, for criteria that need the
            whole model and data. Layers that are not in ``weights`` are passed over.

    Raises:
        TypeError: an importance is not a tensor of numbers, or ``importance`` is none of these.
        ValueError: a layer is missing, a shape differs from the weight's, or a value is NaN.
    """
    return {
        name: _check_importance(name, weight, _importance_of(name, weight, importance))
        for name, weight in weights.items()
    }


@torch.no_grad()
def _importance_of(name: str, weight: Tensor, importance: Importance) -> Tensor:
    if isinstance(importance, RandomImportance):
        return importance.of_layer(name, weight)
    if isinstance(importance, Mapping):
        if name not in importance:
            hint = did_you_mean(name, importance)
            raise ValueError(f"importance must hold each layer, got none for {name!r}.{hint}")
        return importance[name]
    if callable(importance):
        return importance(weight.detach())
    raise TypeError(
        "importance must be a function of a weight, RandomImportance(seed) or a dict of tensors "
        f"by layer name, got {type(importance).__name__}. Try lwlab.prune.magnitude."
    )


def _check_importance(name: str, weight: Tensor, importance: Tensor) -> Tensor:
    if not isinstance(importance, Tensor):
        raise TypeError(
            f"importance of layer {name!r} must be a tensor, got {type(importance).__name__}."
        )
    if importance.shape != weight.shape:
        raise ValueError(
            f"importance of layer {name!r} must have the shape of its weight, "
            f"{tuple(weight.shape)}, got {tuple(importance.shape)}."
        )
    return importance.detach()
