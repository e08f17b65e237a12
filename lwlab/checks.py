"""Argument checks, one sentence form.

Every mistake of a caller is answered by one sentence: what was wrong, which value came, what is
allowed and, where we can guess it, what to try:

    sparsity must be a fraction in [0, 1), got 30.0. Did you mean 0.3?

Functions here return the checked value, so that a check and an assignment share one line.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "check_choice",
    "check_count",
    "check_finite",
    "check_fraction",
    "check_module",
    "check_number",
    "did_you_mean",
    "one_line",
    "quoted_list",
]


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_fraction(name: str, value: Any, *, allow_one: bool = False) -> float:
    """Return ``value`` as a float in [0, 1), or in [0, 1] with ``allow_one``.

    Raises:
        TypeError: ``value`` is not a real number.
        ValueError: it lies outside the range; a percentage gets a "did you mean".
    """
    allowed = f"a fraction in [0, 1{']' if allow_one else ')'}"
    if not _is_number(value):
        raise TypeError(f"{name} must be {allowed}, got {value!r}.")
    number = float(value)
    if 0 <= number < 1 or (allow_one and number == 1):
        return number
    hint = f" Did you mean {number / 100:g}?" if 2 <= number < 100 else ""
    raise ValueError(f"{name} must be {allowed}, got {number!r}.{hint}")


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    above: float | None = None,
    maximum: float = math.inf,
) -> float:
    """Return ``value`` as a finite float, in [minimum, maximum] and strictly above ``above``.

    Raises:
        TypeError: ``value`` is not a real number.
        ValueError: it is NaN, infinite or out of range.
    """
    allowed = "a finite number"
    if above is not None:
        allowed += f" above {above:g}"
    elif minimum > -math.inf:
        allowed += f" of at least {minimum:g}"
    if maximum < math.inf:
        allowed += f"{'' if allowed == 'a finite number' else ' and'} of at most {maximum:g}"
    if not _is_number(value):
        raise TypeError(f"{name} must be {allowed}, got {value!r}.")
    number = float(value)
    inside = minimum <= number <= maximum and (above is None or number > above)
    if not math.isfinite(number) or not inside:
        raise ValueError(f"{name} must be {allowed}, got {number!r}.")
    return number


def check_count(name: str, value: Any, *, minimum: int = 1, maximum: int | None = None) -> int:
    """Return ``value`` as an int in ``[minimum, maximum]``; 3.0 counts as 3, 2.5 does not.

    Raises:
        TypeError: ``value`` is not a number.
        ValueError: it is not whole, or out of range.
    """
    allowed = f"a whole number of at least {minimum}"
    if maximum is not None:
        allowed = f"a whole number from {minimum} to {maximum}"
    if not _is_number(value):
        raise TypeError(f"{name} must be {allowed}, got {value!r}.")
    whole = math.isfinite(value) and value == int(value)
    if not whole or value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")
    return int(value)


def check_choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; a near miss gets a "did you mean".

    Raises:
        ValueError: ``value`` is none of them.
    """
    if value in allowed:
        return value
    hint = did_you_mean(value, allowed)
    raise ValueError(f"{name} must be one of {quoted_list(allowed)}, got {value!r}.{hint}")


def check_finite(name: str, tensor: Tensor) -> Tensor:
    """Return ``tensor`` if no value of it is NaN or infinite.

    Raises:
        ValueError: how many values are not finite, and where the first one is.
    """
    if not tensor.is_floating_point():
        return tensor
    bad = ~torch.isfinite(tensor)
    count = int(bad.sum())
    if count:
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(
            f"{name} must be finite, got {count} NaN or infinite of {tensor.numel()} values "
            f"(the first at index {first})."
        )
    return tensor


def check_module(name: str, value: Any) -> nn.Module:
    """Return ``value`` if it is an ``nn.Module``; a class passed for an instance is named.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, nn.Module):
        return value
    if isinstance(value, type) and issubclass(value, nn.Module):
        raise TypeError(
            f"{name} must be a torch.nn.Module, got the class {value.__name__}. "
            f"Did you mean {value.__name__}()?"
        )
    raise TypeError(f"{name} must be a torch.nn.Module, got {type(value).__name__}.")


def quoted_list(names: Collection[str]) -> str:
    """Return names as a readable list: ``'a', 'b' or 'c'``."""
    quoted: Sequence[str] = [repr(name) for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def did_you_mean(value: Any, allowed: Collection[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest allowed name, or an empty text."""
    # Imported here: difflib is only wanted once something has gone wrong.
    from difflib import get_close_matches  # noqa: PLC0415

    names = {name.lower(): name for name in allowed}  # "MNIST" is a near miss of "mnist"
    near = get_close_matches(str(value).lower(), list(names), n=1)
    return f" Did you mean {names[near[0]]!r}?" if near else ""


def one_line(error: BaseException) -> str:
    """Return ``"KindOfError: its message"`` on one line, for a sentence about a caller's code."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
