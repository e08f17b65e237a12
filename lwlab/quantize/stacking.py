"""What lies over a weight: parametrizations in a stack, ours on top.

    weight = FakeQuantize(Mask(original))

A quantizer or a codebook comes last, whatever lies below: it must see the weight as it would be
without it, and be replaced or taken off without touching the rest.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.models.parametrized import give_own_class_

__all__ = ["put_on_top_", "stack_of", "take_off_top_", "top_of", "weight_below"]

Part = TypeVar("Part", bound=nn.Module)


def stack_of(module: nn.Module) -> list[nn.Module]:
    """Return the parametrizations of the weight of ``module``, the lowest first."""
    if not parametrize.is_parametrized(module, "weight"):
        return []
    return list(module.parametrizations["weight"])


def top_of(module: nn.Module, kind: type[Part]) -> Part | None:
    """Return the last parametrization of the weight if it is of ``kind``, or None."""
    stack = stack_of(module)
    return stack[-1] if stack and isinstance(stack[-1], kind) else None


@torch.no_grad()
def weight_below(module: nn.Module, kind: type[nn.Module]) -> Tensor:
    """Return the weight as a top of ``kind`` sees it; the whole weight where there is none.

    It is detached, and nothing is changed.
    """
    if top_of(module, kind) is None:
        return module.weight.detach()
    originals = list(module.parametrizations["weight"]._parameters.values())
    below = stack_of(module)[:-1]
    if not below:
        return originals[0].detach()
    # The first may take several tensors: weight_norm takes a direction and a length.
    weight = below[0](*originals)
    for part in below[1:]:
        weight = part(weight)
    return weight.detach()


def put_on_top_(module: nn.Module, part: nn.Module, kind: type[nn.Module]) -> None:
    """Put ``part`` on the weight, above all others, in place of a top of ``kind``."""
    part.train(module.training)
    if top_of(module, kind) is not None:
        module.parametrizations["weight"][-1] = part
        return
    give_own_class_(module)
    # unsafe: the checks of torch would run the forward pass, and so find the scales once more.
    parametrize.register_parametrization(module, "weight", part, unsafe=True)


def take_off_top_(module: nn.Module, kind: type[nn.Module]) -> None:
    """Take off a top of ``kind``; what lies below is as it was."""
    if top_of(module, kind) is None:
        return
    if len(stack_of(module)) > 1:
        del module.parametrizations["weight"][-1]
        return
    give_own_class_(module)
    parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
