"""How images lie in memory, which decides how fast a CPU convolves them.

Convolutions on a CPU are up to three times as fast when the channels of a pixel lie next to each
other (``channels_last``). The layout of the *inputs* decides it, so the model itself stays as it
is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lwlab.measure.evaluating import evaluating

__all__ = ["channels_last", "fastest_layout", "has_image_convolutions"]


def channels_last(batch: Tensor) -> Tensor:
    """Return a copy of (N, C, H, W) whose strides are those of (N, H, W, C).

    ``batch.to(memory_format=torch.channels_last)`` leaves an image of one channel as it is, and the
    convolution after it then computes in the slow layout.
    """
    pixels = batch.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
    return pixels.permute(0, 3, 1, 2)


def has_image_convolutions(model: nn.Module) -> bool:
    """Return whether ``channels_last`` can pay: elsewhere it would only cost a copy."""
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def fastest_layout(model: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what to do to a batch before ``model`` sees it: ``channels_last``, or nothing.

    Args:
        model: is tried once on ``example``; a model that uses ``Tensor.view`` refuses the layout.
        example: a few inputs ``(N, *shape)``.
    """
    if example.ndim != 4 or not has_image_convolutions(model):
        return _unchanged
    try:
        with evaluating(model):
            model(channels_last(example))
    except RuntimeError:
        return _unchanged
    return channels_last


def _unchanged(batch: Tensor) -> Tensor:
    return batch
