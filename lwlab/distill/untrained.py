"""A network of the same form that has learned nothing: the teacher of a control."""

from __future__ import annotations

import copy

from torch import nn

from lwlab.checks import check_module
from lwlab.models.layers import seeded

__all__ = ["untrained"]


def untrained(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy of ``model`` with fresh random weights, each layer as torch makes it.

    ``Teacher(untrained(model))`` has the architecture of the teacher and none of its knowledge.
    Layers start anew with their ``reset_parameters``.

    Args:
        model: left as it is.
        seed: of the weights; the caller's random stream is left alone.

    Raises:
        TypeError: ``model`` is no ``nn.Module``, or ``seed`` no number.
        ValueError: ``seed`` is out of range, or a module has parameters of its own and no
            ``reset_parameters``.
    """
    fresh = copy.deepcopy(check_module("model", model))
    with seeded(seed):
        for name, module in fresh.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            elif next(module.parameters(recurse=False), None) is not None:
                raise ValueError(
                    f"every layer with parameters must have reset_parameters to start anew, got "
                    f"{name or 'model'!r}, a {type(module).__name__} without it. Build the network "
                    f"afresh instead."
                )
    return fresh
