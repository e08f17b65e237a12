"""The Mask parametrization: how a model holds a mask while it trains on.

    effective weight = where(mask, original, 0)

The optimizer moves ``original``; the forward pass sees the effective weight. A pruned weight gets
no gradient and stays exactly 0 whatever momentum or weight decay do to its original, which is kept
so that a later mask can bring it back.

torch keeps the parts at ``module.parametrizations.weight.original`` and
``module.parametrizations.weight[0].mask``; ``module.weight`` is computed from them at each use.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.models.parametrized import give_own_class_

__all__ = ["Mask", "fold_mask_", "mask_of", "original_of", "set_mask_"]


class Mask(nn.Module):
    """Zero the weights where ``mask`` is False.

    Args:
        mask: bool tensor of the weight's shape; True keeps. It is copied.

    Raises:
        TypeError: ``mask`` is not a bool tensor.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise TypeError(f"mask must be a bool tensor, got {kind}. Try mask.bool().")
        self.register_buffer("mask", mask.clone(memory_format=torch.contiguous_format))

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``weight`` with exact zeros where ``mask`` is False."""
        # where() and not weight * mask: a negative weight times False is -0.0, and NaN stays NaN.
        return torch.where(self.mask, weight, 0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the original to store when a value is assigned to the masked weight."""
        return weight

    def extra_repr(self) -> str:
        """Show what is kept when the model is printed."""
        return f"keeps {int(self.mask.sum()):,} of {self.mask.numel():,}"


def mask_of(module: nn.Module, tensor_name: str) -> Mask | None:
    """Return the Mask on a tensor of ``module``, or None. It is the first one where several are."""
    if not parametrize.is_parametrized(module, tensor_name):
        return None
    first = module.parametrizations[tensor_name][0]
    return first if isinstance(first, Mask) else None


def original_of(module: nn.Module, tensor_name: str) -> Tensor | None:
    """Return the parameter behind a tensor, unmasked; None where no single parameter is behind."""
    if parametrize.is_parametrized(module, tensor_name):
        return module.parametrizations[tensor_name]._parameters.get("original")
    return module._parameters.get(tensor_name)


def set_mask_(module: nn.Module, tensor_name: str, mask: Tensor) -> None:
    """Put ``mask`` on a tensor of ``module``, in place of the one it has.

    Args:
        module: owner of the tensor.
        tensor_name: ``"weight"`` or ``"bias"``.
        mask: bool tensor of the tensor's shape. It is copied.
    """
    fresh = Mask(mask.to(original_of(module, tensor_name).device))
    present = mask_of(module, tensor_name)
    if present is not None:
        # A new buffer, not new values in the old one: a backward pass under way keeps its own.
        present.mask = fresh.mask
        return
    give_own_class_(module)
    parametrize.register_parametrization(module, tensor_name, fresh)


def fold_mask_(module: nn.Module, tensor_name: str) -> None:
    """Make the mask permanent: the parameter takes the effective values, the Mask goes.

    The parameter stays the same object, so an optimizer made before still moves it.
    """
    give_own_class_(module)
    parametrize.remove_parametrizations(module, tensor_name, leave_parametrized=True)
