"""What a technique can tell a file about a tensor: codes and scales instead of floats.

A model computes with float tensors, also where each value is a code of a few bits times a scale.
From the floats alone that is hard to see. The parametrization that makes them knows; if it has a
method ::

    stored_form(weight) -> ScaledCodes | None        weight: what the parametrization gets as input

then the file holds the codes. This package knows no technique by name, and believes no
description: codes are written only if the floats that they give are the model's, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.packing.rows import Rows

__all__ = ["ScaledCodes", "described_tensors"]


@dataclass(frozen=True, eq=False)
class ScaledCodes:
    """A tensor as ``(code - zero_point) * scale``, one scale and zero point per row.

    Attributes:
        codes: whole numbers in the tensor's shape.
        scale: float32, (rows,).
        zero_point: whole numbers, (rows,): the code of 0.
        num_bits: bits of a code, 1 to 8; or one width per row, a tensor of whole numbers (rows,).
            Binary codes, one below and one above their zero point, have 1 bit; the zero point
            itself may stand between them for pruned elements.
        rows: which codes share a scale.

    Raises:
        TypeError: codes or zero points are not whole numbers, or the scales not float32.
        ValueError: widths are not 1 to 8, or the numbers of rows do not fit.
    """

    codes: Tensor
    scale: Tensor
    zero_point: Tensor
    num_bits: int | Tensor
    rows: Rows = field(default_factory=Rows)

    def __post_init__(self) -> None:
        for name in ("codes", "zero_point"):
            tensor = getattr(self, name)
            if tensor.is_floating_point() or tensor.is_complex():
                raise TypeError(f"{name} must be whole numbers, got {tensor.dtype}.")
        if self.scale.dtype != torch.float32:
            raise TypeError(f"scale must be float32, got {self.scale.dtype}.")
        groups, _ = self.rows.sizes(tuple(self.codes.shape))
        widths = self.widths
        shapes = (tuple(self.scale.shape), tuple(self.zero_point.shape), widths.shape)
        if shapes != ((groups,),) * 3:
            raise ValueError(
                f"scale, zero_point and num_bits must have one number for each of the {groups} "
                f"rows, got shapes {', '.join(map(str, shapes))}."
            )
        if widths.min() < 1 or widths.max() > 8:
            raise ValueError(
                f"num_bits must be 1 to 8, got {int(widths.min())} to {int(widths.max())}."
            )

    @property
    def widths(self) -> np.ndarray:
        """The bits of a code in each row, int64, (rows,)."""
        if isinstance(self.num_bits, Tensor):
            return self.num_bits.detach().cpu().numpy().astype(np.int64)
        return np.full(len(self.scale), self.num_bits, np.int64)


@torch.no_grad()
def described_tensors(model: nn.Module) -> dict[str, ScaledCodes]:
    """Return what the topmost parametrization of each tensor says of it, by the plain name.

    Tensors without a parametrization, without the method, or of which it says nothing are left
    out. The model stays as it is.
    """
    described: dict[tuple[int, str], ScaledCodes | None] = {}
    found = {}
    for name, module, tensor_name in _parametrized(model):
        key = (id(module), tensor_name)  # a module used under two names is asked once
        if key not in described:
            described[key] = _description(module.parametrizations[tensor_name])
        if described[key] is not None:
            found[name] = described[key]
    return found


def _parametrized(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield (dotted path, owner, name in the owner) of each parametrized tensor."""
    for prefix, module in model.named_modules(remove_duplicate=False):
        if parametrize.is_parametrized(module):
            for name in module.parametrizations:
                yield f"{prefix}.{name}" if prefix else name, module, name


def _description(chain: nn.Module) -> ScaledCodes | None:
    describe = getattr(chain[-1], "stored_form", None)
    takes_several = len(chain) == 1 and not chain.is_tensor  # then there is no one weight below
    return None if describe is None or takes_several else describe(_below_top(chain))


def _below_top(chain: nn.Module) -> Tensor:
    """Return what the topmost parametrization of a stack gets as input."""
    originals = [chain.original] if chain.is_tensor else _originals(chain)
    below = list(chain)[:-1]
    if not below:
        return originals[0].detach()
    # The lowest may take several tensors: weight_norm takes a direction and a length.
    weight = below[0](*originals)
    for part in below[1:]:
        weight = part(weight)
    return weight.detach()


def _originals(chain: nn.Module) -> list[Tensor]:
    return [getattr(chain, f"original{index}") for index in range(chain.ntensors)]
