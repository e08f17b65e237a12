"""The affine map between real numbers and codes, the heart of this package.

    code = clamp(round(x / scale) + zero_point, quant_min, quant_max)
    x   ~= (code - zero_point) * scale

``scale`` is the distance of two neighbours on the grid; ``zero_point`` is the code that means
exactly 0. ``quantize`` goes there, ``dequantize`` back, ``fake_quantize`` both ways at once: real
numbers in, the nearest real numbers *on the grid* out, differentiable. Which scale to take is
another question: ``grid`` and ``observers``.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", arXiv:1712.05877, section 2.1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lwlab.quantize.rounding import Rounding, round_nearest, round_straight_through

__all__ = ["dequantize", "fake_quantize", "quantize"]


def quantize(
    x: Tensor,
    scale: Tensor | float,
    zero_point: Tensor | int,
    *,
    quant_min: int,
    quant_max: int,
    rounding: Rounding = round_nearest,
) -> Tensor:
    """Return the codes of ``x``, int32: ``clamp(round(x / scale) + zero_point)``.

    >>> quantize(torch.tensor([-0.3, 0.0, 0.26, 9.0]), 0.1, 0, quant_min=-8, quant_max=7)
    tensor([-3,  0,  3,  7], dtype=torch.int32)

    int32 and not int8 in memory, since arithmetic on int8 wraps around without a word:
    ``codes - zero_point`` would be wrong. How few bits a code needs is for the file.

    Args:
        x: floating point, any shape. An infinite value takes the last code.
        scale: above 0; a number, or a tensor that broadcasts against ``x``.
        zero_point: int32, in [quant_min, quant_max]; a number, or a tensor as ``scale``.
        quant_min: smallest code.
        quant_max: largest code.
        rounding: from ``rounding``, or any function of a tensor.

    Raises:
        TypeError: ``x`` is not floating point, or ``zero_point`` is not whole.
        ValueError: a scale is not above 0, or so small that 1 / scale is infinite; a zero point is
            out of range; the shapes do not fit; ``x`` has a NaN, which no code can hold.
    """
    x, scale, zero_point = _checked(x, scale, zero_point, quant_min, quant_max)
    if bool(x.isnan().any()):
        count = int(x.isnan().sum())
        raise ValueError(f"x must not hold NaN, got {count} NaN of {x.numel()} values.")
    low, high = _bounds(zero_point, quant_min, quant_max, x.dtype)
    steps = torch.clamp(rounding(x.detach() * (1 / scale.detach())), low, high)
    return (steps.to(torch.int64) + zero_point).to(torch.int32)


def dequantize(codes: Tensor, scale: Tensor | float, zero_point: Tensor | int) -> Tensor:
    """Return the real numbers that ``codes`` stand for: ``(codes - zero_point) * scale``.

    >>> dequantize(torch.tensor([-3, 0, 7]), 0.5, 0)
    tensor([-1.5000,  0.0000,  3.5000])

    Args:
        codes: whole numbers, any shape.
        scale: a number (the result is float32), or a tensor that broadcasts against ``codes``.
        zero_point: a number, or a tensor as ``scale``.

    Raises:
        TypeError: ``codes`` are not whole numbers.
    """
    if not isinstance(codes, Tensor) or codes.is_floating_point() or codes.is_complex():
        kind = codes.dtype if isinstance(codes, Tensor) else type(codes).__name__
        raise TypeError(f"codes must be a tensor of whole numbers, got {kind}. Try quantize first.")
    scale = torch.as_tensor(scale)
    return (codes.to(torch.int64) - zero_point).to(scale.dtype) * scale


def fake_quantize(
    x: Tensor,
    scale: Tensor | float,
    zero_point: Tensor | int,
    *,
    quant_min: int,
    quant_max: int,
    rounding: Rounding = round_nearest,
) -> Tensor:
    """Return ``x`` moved onto the grid: ``dequantize(quantize(x))``, still a float, differentiable.

    >>> fake_quantize(torch.tensor([-0.3, 0.26, 9.0]), 0.25, 0, quant_min=-8, quant_max=7)
    tensor([-0.2500,  0.2500,  1.7500])

    Bit for bit what ``torch.fake_quantize_per_tensor_affine`` and ``..._per_channel_affine`` give,
    apart from these: NaN stays NaN (torch gives the smallest code), infinite and huge values take
    the end they are nearest to (torch's per-channel kernel overflows to the smallest code), and 0
    stays 0 at a zero point beyond 2**24, where torch's sum in float32 loses it.

    Gradients: the rounding passes them unchanged (straight-through), the clamp stops them. So d/dx
    is 1 for what lies on the grid and 0 for what was clipped. The gradient to ``scale``, if
    it wants one, comes out as in LSQ (Esser et al. 2020): round(x / s) - x / s inside, the end of
    the grid outside.

    Args:
        x: floating point, any shape. float16 and bfloat16 are computed in float32.
        scale: above 0; a number, or a tensor that broadcasts against ``x``. A number is taken as
            float32, as torch does.
        zero_point: int32, in [quant_min, quant_max]; a number, or a tensor as ``scale``.
        quant_min: smallest code.
        quant_max: largest code.
        rounding: from ``rounding``, or any function of a tensor.

    Returns:
        A tensor of the shape and dtype of ``x``.

    Raises:
        TypeError, ValueError: as ``quantize``, but for NaN.
    """
    given = x.dtype if isinstance(x, Tensor) else None
    x, scale, zero_point = _checked(x, scale, zero_point, quant_min, quant_max)
    low, high = _bounds(zero_point, quant_min, quant_max, x.dtype)
    # The zero point moves the ends instead of being added and subtracted: the same number, exact
    # for every int32. Times 1 / scale and not divided by it, to the bit as torch does.
    steps = torch.clamp(round_straight_through(x * (1 / scale), rounding), low, high)
    # + 0.0 turns -0.0 into 0.0: a code has no sign for it.
    return ((steps + 0.0) * scale).to(given)


def _bounds(zero_point: Tensor, quant_min: int, quant_max: int, dtype: torch.dtype):
    """Return the ends of the grid in steps from zero."""
    return (quant_min - zero_point).to(dtype), (quant_max - zero_point).to(dtype)


def _checked(
    x: Any, scale: Any, zero_point: Any, quant_min: int, quant_max: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return x (at least float32), the scale in its dtype and the zero point as int64."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a floating-point tensor, got {kind}.")
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if not isinstance(scale, Tensor):
        scale = torch.tensor(scale, dtype=torch.float32, device=x.device)
    scale = scale.to(x.dtype)
    _check_scale(scale)
    zero_point = torch.as_tensor(zero_point, device=x.device)
    _check_zero_point(zero_point, quant_min, quant_max)
    for name, tensor in (("scale", scale), ("zero_point", zero_point)):
        _check_broadcast(name, tensor, x)
    return x, scale, zero_point.to(torch.int64)


def _check_scale(scale: Tensor) -> None:
    smallest, largest = (
        (float(end) for end in scale.detach().aminmax()) if scale.numel() else (1.0, 1.0)
    )
    if not (0 < smallest and largest < math.inf):  # also False for NaN
        bad = smallest if not smallest > 0 else largest
        raise ValueError(f"scale must be finite and above 0, got {bad!r}.")
    if math.isinf(float(1 / scale.detach().min()) if scale.numel() else 1.0):
        raise ValueError(
            f"scale must be large enough for 1 / scale to be finite, got {smallest!r}. Try at "
            f"least {torch.finfo(scale.dtype).tiny:.3g}."
        )


def _check_zero_point(zero_point: Tensor, quant_min: int, quant_max: int) -> None:
    if quant_min > quant_max:
        raise ValueError(f"quant_min must be at most quant_max, got {quant_min} and {quant_max}.")
    if zero_point.is_floating_point() or zero_point.is_complex():
        raise TypeError(f"zero_point must be whole (int32), got {zero_point.dtype}.")
    if zero_point.numel() == 0:
        return
    for end in zero_point.aminmax():
        if not quant_min <= int(end) <= quant_max:
            raise ValueError(
                f"zero_point must be a code from {quant_min} to {quant_max}, so that 0 is on the "
                f"grid, got {int(end)}."
            )


def _check_broadcast(name: str, tensor: Tensor, x: Tensor) -> None:
    # Aligned at the end, each length 1 or that of x; so the result has the shape of x.
    tail = x.shape[x.dim() - tensor.dim() :] if tensor.dim() <= x.dim() else None
    if tail is None or any(a not in (1, b) for a, b in zip(tensor.shape, tail, strict=True)):
        raise ValueError(
            f"{name} must broadcast against x of shape {tuple(x.shape)}, got shape "
            f"{tuple(tensor.shape)}. Try granularity.spread({name}, x.shape)."
        )
