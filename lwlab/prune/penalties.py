"""Penalties: make weights small while the network trains, so that a threshold can take them.

    L1:           strength * sum over weights of |w|
    L2:           strength * sum over weights of w^2
    group lasso:  strength * sum over output channels c of  sqrt(n_c) ||w_c||
    slimming:     strength * sum over BatchNorm scales of |gamma|

The pull toward zero is the derivative. That of L1 is the same for every weight, however small, so
what the loss does not hold fast drifts all the way to zero. That of L2 is proportional to the
weight and dies out with it: all weights get small, few get to zero. Group lasso is an L1 penalty on
the *lengths* of channels, so whole channels drift to zero. A penalty goes to ``fit``::

    fit(model, dataset, penalty=L1Penalty(1e-4))

It sums over all weights, so its useful strength falls as networks grow. Gradient steps end *near*
zero, hopping around it, and not on it: cut afterwards with a threshold. The sums are over the
effective weights of convolutions and linear layers, a shared one once; biases go free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from lwlab.checks import check_module, check_number
from lwlab.models.layers import compressible_layers
from lwlab.prune.parametrization import original_of
from lwlab.prune.targets import check_masks

__all__ = ["BatchNormScalePenalty", "GroupLassoPenalty", "L1Penalty", "L2Penalty"]


@dataclass(frozen=True)
class _Penalty:
    """A strength, checked."""

    strength: float

    def __post_init__(self) -> None:
        check_number("strength", self.strength, minimum=0)


@dataclass(frozen=True)
class L1Penalty(_Penalty):
    """``strength * sum |w|``: weights that the loss does not need pile up at zero.

    The gradient is ``strength * sign(w)``, and 0 at exactly zero.

    Args:
        strength: at least 0; 0 switches it off.

    Raises:
        TypeError, ValueError: ``strength`` is no such number. When called: the model is no module,
            has no convolution or linear layer, or one that is lazy without values, of whole
            numbers, or under a mask that does not fit.

    Source: Tibshirani 1996, "Regression shrinkage and selection via the lasso", J. R. Stat. Soc. B
    58(1); for pruning: Han et al. 2015, arXiv:1506.02626, section 3.1.
    """

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of ``model``, a differentiable scalar."""
        return float(self.strength) * sum(weight.abs().sum() for weight in _weights(model))


@dataclass(frozen=True)
class L2Penalty(_Penalty):
    """``strength * sum w^2``: all weights get smaller, in proportion; few get near zero.

    The gradient is ``2 * strength * w``. With plain SGD this is ``weight_decay=2 * strength`` on
    the penalized weights; with Adam it is not, since Adam rescales the gradient of each weight
    (Loshchilov & Hutter 2019, arXiv:1711.05101).

    Args:
        strength: at least 0; 0 switches it off.

    Raises:
        TypeError, ValueError: as for ``L1Penalty``.

    Source: Han et al. 2015, arXiv:1506.02626, section 3.1: of the two, the one that leaves the
    better accuracy where pruned networks are trained on.
    """

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of ``model``, a differentiable scalar."""
        return float(self.strength) * sum(weight.square().sum() for weight in _weights(model))


@dataclass(frozen=True)
class GroupLassoPenalty(_Penalty):
    """``strength * sum over output channels of sqrt(n) ||w||``: whole channels drift to zero.

    A group is what makes one output: a filter of a convolution, a row of a linear layer. ``||w||``
    is its Euclidean length and n its number of weights, pruned ones included; the root makes large
    and small groups pay alike. The gradient of a group is ``strength * sqrt(n) * w / ||w||``, and 0
    where the whole group is exactly zero.

    Args:
        strength: at least 0; 0 switches it off.

    Raises:
        TypeError, ValueError: as for ``L1Penalty``.

    Source: Yuan & Lin 2006, "Model selection and estimation in regression with grouped variables",
    J. R. Stat. Soc. B 68(1). On the filters of a network: Wen et al. 2016, arXiv:1608.03665, who
    leave the root out.
    """

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of ``model``, a differentiable scalar."""
        return float(self.strength) * sum(_group_lasso(weight) for weight in _weights(model))


@dataclass(frozen=True)
class BatchNormScalePenalty(_Penalty):
    """``strength * sum |gamma|`` over the scales of BatchNorm: network slimming.

    BatchNorm multiplies each channel by its gamma; a channel whose gamma drifts to zero can go.
    Scales start at 1 in torch (at 0.5 in the paper), and under plain SGD the penalty takes at most
    ``learning_rate * strength`` off in a step: a short training leaves all of them far from zero.

    Args:
        strength: at least 0; 0 switches it off. 1e-5 to 1e-4 in the paper.

    Raises:
        TypeError, ValueError: ``strength`` is no such number. When called: the model is no module,
            or has no BatchNorm layer with a scale, or a lazy one without values.

    Source: Liu et al. 2017, "Learning efficient convolutional networks through network slimming",
    arXiv:1708.06519.
    """

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of ``model``, a differentiable scalar."""
        return float(self.strength) * sum(scale.abs().sum() for scale in _scales(model))


def _group_lasso(weight: Tensor) -> Tensor:
    groups = weight.flatten(start_dim=1)
    # vector_norm has gradient 0 at zero; sqrt of a sum of squares would have NaN.
    return math.sqrt(groups.shape[1]) * torch.linalg.vector_norm(groups, dim=1).sum()


def _weights(model: nn.Module) -> list[Tensor]:
    """Return the effective weights of the compressible layers."""
    layers = {layer.name: layer.module for layer in compressible_layers(model)}
    if not layers:
        raise ValueError(
            f"model must have a convolution or linear layer to penalize, got "
            f"{type(model).__name__} without one."
        )
    check_masks(model)
    return list(_distinct(layers))


def _scales(model: nn.Module) -> list[Tensor]:
    """Return the scales (gamma) of the BatchNorm layers."""
    layers = {
        name or "model": module
        for name, module in check_module("model", model).named_modules()
        if isinstance(module, _BatchNorm) and module.affine
    }
    if not layers:
        raise ValueError(
            f"model must have a BatchNorm layer with a scale to penalize, got "
            f"{type(model).__name__} without one. Try GroupLassoPenalty, which needs none."
        )
    check_masks(model)
    return list(_distinct(layers))


def _distinct(layers: dict[str, nn.Module]) -> Iterator[Tensor]:
    """Yield ``weight`` of each module as the forward pass sees it; a shared parameter once."""
    seen: set[int] = set()
    for name, module in layers.items():
        original = original_of(module, "weight")
        if original is not None and is_lazy(original):
            raise ValueError(
                f"weight of layer {name!r} must have values before it can be penalized, got an "
                f"uninitialized {type(module).__name__}. Run the model once on a batch."
            )
        if original is not None and not original.is_floating_point():
            raise ValueError(
                f"weight of layer {name!r} must be floating point to be penalized, got "
                f"{original.dtype}."
            )
        key = id(module if original is None else original)
        if key not in seen:
            seen.add(key)
            yield module.weight
