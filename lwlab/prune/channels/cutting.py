"""What is left of one layer: its tensors without the channels that go.

A convolution with g groups is g small convolutions side by side, and its weight g blocks one below
the other. In each block rows and columns go; a block of which no input is left goes whole, as in a
depthwise convolution. A linear layer is the case of one block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from lwlab.models.resize import replace_tensors_

__all__ = ["LayerCut", "check_fits", "count_removed", "cut_layer_", "zero_layer_"]

_MIXING = (_ConvNd, nn.Linear, nn.Embedding)
_PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, eq=False)
class LayerCut:
    """What stays of one layer.

    Attributes:
        layer: its name.
        outputs: bool ``(out,)``, True stays; None where all do.
        inputs: bool ``(in,)``, True stays; None where all do, or the layer has no inputs of its
            own (BatchNorm).
    """

    layer: str
    outputs: Tensor | None
    inputs: Tensor | None


def cut_layer_(module: nn.Module, cut: LayerCut) -> None:
    """Take the channels out of ``module``."""
    tensors, groups = _kept_tensors(module, cut)
    if tensors:
        replace_tensors_(module, tensors, groups=groups)
        return
    # A normalization without tensors: nothing but its own note of how many channels there are.
    width = int(cut.outputs.sum())
    if isinstance(module, nn.GroupNorm):
        module.num_channels = module.num_groups = width
    else:
        module.num_features = width


@torch.no_grad()
def zero_layer_(module: nn.Module, cut: LayerCut) -> None:
    """Write zeros where ``cut_layer_`` would take away."""
    if isinstance(module, _MIXING):
        parts = [rows[:, None] & columns for rows, columns in _blocks(module, cut)]
        kept = torch.cat(parts).to(module.weight.device)
        others = [1] * (module.weight.ndim - 2)
        module.weight.masked_fill_(~kept.reshape(*kept.shape, *others), 0)
    elif module.weight is not None:
        module.weight[~cut.outputs] = 0
    bias = getattr(module, "bias", None)
    if bias is not None and cut.outputs is not None:
        bias[~cut.outputs] = 0


def count_removed(module: nn.Module, cut: LayerCut) -> int:
    """Return how many numbers the parameters of ``module`` lose."""
    kept, _ = _kept_tensors(module, cut)
    parameters = dict(module.named_parameters(recurse=False))
    return sum(
        parameters[name].numel() - t.numel() for name, t in kept.items() if name in parameters
    )


def check_fits(module: nn.Module | None, cut: LayerCut) -> None:
    """Check that a cut was planned for a layer like this one.

    Raises:
        ValueError: there is no such layer, or it has other numbers of channels.
    """
    planned = tuple(None if side is None else len(side) for side in (cut.inputs, cut.outputs))
    found = (None, None) if module is None else _widths(module)
    if any(want not in (None, have) for want, have in zip(planned, found, strict=True)):
        raise ValueError(
            f"plan must be one of this model, got another number of channels of layer "
            f"{cut.layer!r}. Make a new one with plan_channels."
        )


def _widths(module: nn.Module) -> tuple[int | None, int | None]:
    """Return how many inputs and outputs a layer has."""
    if isinstance(module, _MIXING):
        rows, columns = module.weight.shape[0], module.weight.shape[1] * _groups(module)
        return (rows, columns) if _is_transposed(module) else (columns, rows)
    for name in ("num_features", "num_channels", "num_parameters"):
        if hasattr(module, name):
            return None, getattr(module, name)
    return None, None


def _kept_tensors(module: nn.Module, cut: LayerCut) -> tuple[dict[str, Tensor], int | None]:
    """Return the smaller tensors by name, and the number of groups where the layer has any."""
    if not isinstance(module, _MIXING):
        found = {name: getattr(module, name, None) for name in _PER_CHANNEL}
        kept = {name: t.detach()[cut.outputs] for name, t in found.items() if t is not None}
        return kept, int(cut.outputs.sum()) if isinstance(module, nn.GroupNorm) else None
    blocks = module.weight.detach().chunk(_groups(module))
    parts = [
        block[rows][:, columns]
        for block, (rows, columns) in zip(blocks, _blocks(module, cut), strict=True)
        if rows.any() and columns.any()
    ]
    tensors = {"weight": torch.cat(parts)}
    bias = getattr(module, "bias", None)
    if bias is not None and cut.outputs is not None:
        tensors["bias"] = bias.detach()[cut.outputs]
    return tensors, len(parts) if isinstance(module, _ConvNd) else None


def _blocks(module: nn.Module, cut: LayerCut) -> list[tuple[Tensor, Tensor]]:
    """Return which rows and columns stay in each block of the weight."""
    sides = [
        torch.ones(width, dtype=torch.bool) if kept is None else kept
        for width, kept in zip(_widths(module), (cut.inputs, cut.outputs), strict=True)
    ]
    rows, columns = sides if _is_transposed(module) else reversed(sides)
    groups = _groups(module)
    return list(zip(rows.chunk(groups), columns.chunk(groups), strict=True))


def _groups(module: nn.Module) -> int:
    return module.groups if isinstance(module, _ConvNd) else 1


def _is_transposed(module: nn.Module) -> bool:
    """Return whether the rows of the weight are the inputs: ``(in, out / groups, ...)``."""
    return isinstance(module, (_ConvTransposeNd, nn.Embedding))
