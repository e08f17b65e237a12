"""Is this what was expected? If not, in one sentence, why."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "as_number",
    "described",
    "differing",
    "form_mismatch",
    "mismatch",
    "short_text",
    "value_mismatch",
]


def mismatch(expected: Any, got: Any) -> str:
    """Return how ``got`` differs from ``expected`` in one sentence, or an empty text.

    A tensor must have the expected dtype and shape; floats may differ in the last digits. A number
    may come as int, float or a tensor with a single number.

    Args:
        expected: a tensor or a number.
        got: anything.
    """
    return form_mismatch(expected, got) or value_mismatch(expected, got)


def form_mismatch(expected: Any, got: Any) -> str:
    """Return how the kind of ``got`` is wrong: its type, shape or dtype, or that it is NaN."""
    if isinstance(expected, Tensor):
        return _tensor_form_mismatch(expected, got)
    number = as_number(got)
    if number is None:
        return f"The result must be a number, got {described(got)}."
    return "The result is NaN (not a number)." if math.isnan(number) else ""


def value_mismatch(expected: Any, got: Any) -> str:
    """Return how the values differ, of two answers of the same form."""
    if isinstance(expected, Tensor):
        count = int(differing(expected, got).sum())
        return f"{count} of {expected.numel()} values differ." if count else ""
    close = math.isclose(as_number(got), as_number(expected), rel_tol=1e-5, abs_tol=1e-9)
    return "" if close else "The result is another number."


def _tensor_form_mismatch(expected: Tensor, got: Any) -> str:
    if not isinstance(got, Tensor):
        return f"The result must be a torch tensor, got {described(got)}."
    if not _is_ordinary(got):
        return "The result must be an ordinary tensor with its values in it."
    if got.shape != expected.shape:
        return f"The result must have the shape {tuple(expected.shape)}, got {tuple(got.shape)}."
    if got.dtype != expected.dtype:
        return f"The result must be of dtype {expected.dtype}, got {got.dtype}."
    if got.is_floating_point() and bool(got.isnan().any()):
        return "The result holds NaN (not a number)."
    return ""


def _is_ordinary(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


def differing(expected: Tensor, got: Tensor) -> Tensor:
    """Return a bool tensor that is True where two tensors of one shape and dtype differ."""
    if expected.is_floating_point():
        return ~torch.isclose(got.detach(), expected, rtol=1e-5, atol=1e-8)
    return got != expected


def as_number(value: Any) -> float | None:
    """Return ``value`` as a float if it is a number or a tensor with one number, else None."""
    if isinstance(value, Tensor) and value.numel() == 1 and _is_ordinary(value):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value)


def described(value: Any) -> str:
    """Return what ``value`` is, in a few words."""
    if value is None:
        return "None"
    kind = type(value).__name__
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if kind == "ndarray":
        return "a numpy array (try torch.from_numpy)"
    if callable(value):
        return f"a {kind} (are the brackets of a call missing?)"
    return f"{kind} {short_text(value)}"


def short_text(value: Any, limit: int = 80, show: Callable[[Any], str] = repr) -> str:
    """Return ``show(value)``, cut to ``limit`` characters, also of what cannot be shown."""
    try:
        text = show(value)
    except Exception as error:  # a learner's own class may fail here
        return f"<no text: {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
