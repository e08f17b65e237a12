"""One example as a small picture."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.image import imsave
from torch import Tensor

__all__ = ["is_picture", "thumbnail_png"]


def is_picture(shape: tuple[int, ...]) -> bool:
    """Return whether an example of this shape is a picture: ``(1 or 3, height, width)``."""
    return len(shape) == 3 and shape[0] in (1, 3)


def thumbnail_png(image: Tensor) -> bytes:
    """Return a PNG of one example, a pixel a value, its smallest value black, its largest white.

    Args:
        image: ``(1, height, width)`` grey or ``(3, height, width)`` red, green, blue; NaN is black.

    Raises:
        TypeError: ``image`` is not a tensor.
        ValueError: it has another shape.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"image must be a tensor, got {type(image).__name__}.")
    if not is_picture(tuple(image.shape)):
        raise ValueError(
            f"image must have shape (1 or 3, height, width), got {tuple(image.shape)}."
        )
    values = np.nan_to_num(image.detach().cpu().double().numpy())
    spread = values.max() - values.min()
    shades = (values - values.min()) / (spread or 1.0)
    pixels = np.broadcast_to(shades.transpose(1, 2, 0), (*shades.shape[1:], 3))
    file = io.BytesIO()
    imsave(file, np.ascontiguousarray(pixels), format="png")
    return file.getvalue()
