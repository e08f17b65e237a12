"""Augmentation: training inputs are changed a little at random, so that no image comes twice.

    fit(model, dataset, augment=Shift(2))

``fit`` augments each batch before the model, and so the loss and a teacher, see it. The generator
is seeded from ``fit``'s seed and serves nothing else: two models trained with one seed see the same
augmented inputs, also if one of them has dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lwlab.checks import check_count
from lwlab.train.choices import Augmentation

__all__ = ["Shift", "check_augmentation", "preparation"]


@dataclass(frozen=True)
class Shift:
    """Move each image by up to ``pixels`` in both directions; what comes into sight is 0.

    Row and column shift are drawn for each image on their own, all of ``-pixels .. pixels`` alike
    likely.

    Args:
        pixels: at least 0; must be below the height and width of the images.

    Raises:
        TypeError, ValueError: ``pixels`` is no such number. When called: the inputs are no images,
            or too small.
    """

    pixels: int = 2

    def __post_init__(self) -> None:
        check_count("pixels", self.pixels, minimum=0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return shifted copies of ``images``, ``(B, ..., height, width)``, in the same shape."""
        shape = tuple(images.shape)
        if images.ndim < 3 or min(shape[-2:]) <= self.pixels:
            raise ValueError(
                f"inputs must be images (B, ..., height, width) larger than the shift of "
                f"{self.pixels} pixels, got shape {shape}."
            )
        margin = int(self.pixels)
        count, height, width = shape[0], shape[-2], shape[-1]
        padded = F.pad(images.reshape(count, -1, height, width), [margin] * 4)
        # All windows of the padded image at once, as a view: (B, channels, rows, columns, H, W).
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        rows, columns = torch.randint(2 * margin + 1, (2, count), generator=generator)
        return windows[torch.arange(count), :, rows, columns].reshape(shape)


def check_augmentation(augment: Augmentation | None) -> Augmentation | None:
    """Return ``augment`` if it can be called, or is None.

    Raises:
        TypeError: it is something else.
    """
    if augment is not None and not callable(augment):
        raise TypeError(
            f"augment must be a function (inputs, generator) -> inputs, got {augment!r}. "
            f"Try Shift(2)."
        )
    return augment


def preparation(
    layout: Callable[[Tensor], Tensor], augment: Augmentation | None, seed: int
) -> Callable[[Tensor], Tensor]:
    """Return what is done to a batch of inputs before the model sees it.

    Args:
        layout: brings the inputs into the model's memory layout, last of all.
        augment: as for ``fit``.
        seed: of the augmentation's own random stream.
    """
    if augment is None:
        return layout
    # A seed drawn from the seed: the order of the batches comes from the stream of the seed itself.
    own_seed = int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(seed)))
    generator = torch.Generator().manual_seed(own_seed)
    return lambda inputs: layout(_augmented(augment, inputs, generator))


def _augmented(augment: Augmentation, inputs: Tensor, generator: torch.Generator) -> Tensor:
    changed = augment(inputs, generator)
    if not isinstance(changed, Tensor) or changed.shape != inputs.shape:
        got = tuple(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
        raise ValueError(
            f"augment must return a tensor of shape {tuple(inputs.shape)}, as it was given, got "
            f"{got}."
        )
    return changed
