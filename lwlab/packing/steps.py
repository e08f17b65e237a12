"""A tensor as whole numbers times scales: ``value = step * scale``, ``step = code - zero_point``.

The step is exact in float32. The product is rounded once, to float32, and then to the type of the
tensor: what a model computes that quantizes its weights in float32. Numpy and torch agree on it to
the bit, as all IEEE arithmetic does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lwlab.packing.rows import Rows
from lwlab.packing.stored import ScaledCodes
from lwlab.packing.tensors import StoredType, bits_of

__all__ = ["SMALLEST_SCALE", "Steps", "bits_from_steps", "find_steps"]

SMALLEST_SCALE = np.finfo(np.float32).tiny  # below it, some processors flush products to zero
_FARTHEST = 255  # between two codes of 8 bits


@dataclass(frozen=True, eq=False)
class Steps:
    """A tensor that was found to be whole numbers times scales, to the bit.

    Attributes:
        numbers: int16, (rows, elements of a row), from -255 to 255.
        lowest: whole numbers, (rows,): the least of each row.
        highest: whole numbers, (rows,): the largest of each row.
        scale: float32, (rows,).
        widths: int64, (rows,): bits that each row was meant to have.
        rows: which elements these are.
    """

    numbers: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    scale: np.ndarray
    widths: np.ndarray
    rows: Rows


def find_steps(form: ScaledCodes, bits: np.ndarray, stored: StoredType) -> Steps | None:
    """Return the steps of a tensor, or None if ``form`` does not give its bits.

    Args:
        form: what is said about the tensor.
        bits: its raw bits in its shape.
        stored: its type.
    """
    if tuple(form.codes.shape) != bits.shape or not stored.dtype.is_floating_point:
        return None
    scale = form.scale.detach().cpu().numpy()
    if not (np.isfinite(scale) & (scale >= SMALLEST_SCALE)).all():
        return None
    codes = form.rows.cut(form.codes.detach().cpu().numpy())
    numbers = codes - form.zero_point.detach().cpu().numpy()[:, None]
    lowest, highest = numbers.min(axis=1), numbers.max(axis=1)
    if lowest.min() < -_FARTHEST or highest.max() > _FARTHEST:
        return None
    numbers = numbers.astype(np.int16)
    if not np.array_equal(bits_from_steps(numbers, scale, form.rows, bits.shape, stored), bits):
        return None
    return Steps(numbers, lowest, highest, scale, form.widths, form.rows)


def bits_from_steps(
    numbers: np.ndarray, scale: np.ndarray, rows: Rows, shape: tuple[int, ...], stored: StoredType
) -> np.ndarray:
    """Return the raw bits of ``numbers * scale`` in the tensor's shape, contiguous.

    Args:
        numbers: int16, (rows, elements of a row).
        scale: float32, (rows,).
        rows: which elements these are.
        shape: of the tensor.
        stored: its type, floating point.
    """
    with np.errstate(over="ignore"):  # an infinity is a value like any other
        values = numbers.astype(np.float32) * scale.astype(np.float32)[:, None]
    tensor = torch.from_numpy(rows.join(values, shape))
    return bits_of(tensor.to(stored.dtype), stored)
