"""The one way in which a model is looked at here: nothing of it is different afterwards.

Every function of ``measure`` runs the model, or reads its weights, inside ``evaluating``. Reading
alone can change a model: some parametrizations (spectral norm, observers) update their state each
time a weight is looked at in training mode.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lwlab.checks import check_module, one_line

__all__ = ["evaluating", "forward"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Run a block with ``model`` in evaluation mode and without gradients.

    Afterwards, also after an error, every submodule has the training flag it had before, so a layer
    that was frozen in evaluation mode stays so. Tensors made inside are inference tensors; clone
    what should later take part in training.

    Yields:
        The model itself.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
        ValueError: it has lazy layers that have seen no input yet: running would change them.
    """
    check_module("model", model)
    if any(is_lazy(tensor) for tensor in itertools.chain(model.parameters(), model.buffers())):
        raise ValueError(
            "model must know the shapes of its parameters, got lazy layers that have seen no "
            "input. Run one batch through it first."
        )
    flags = [(module, module.training) for module in model.modules()]
    try:
        # The flags are set one by one: train() and eval() may be overridden and do more than that.
        for module, _ in flags:
            module.training = False
        with torch.inference_mode():
            yield model
    finally:
        for module, flag in flags:
            module.training = flag


def forward(model: nn.Module, batch: Tensor) -> object:
    """Return ``model(batch)``; whatever goes wrong inside becomes one sentence.

    Raises:
        ValueError: from the model's own error, with the shape and dtype that it was given.
    """
    try:
        return model(batch)
    except Exception as error:
        raise ValueError(
            f"model must accept inputs of shape {tuple(batch.shape)} and {batch.dtype}, got "
            f"{one_line(error)}"
        ) from error
