"""Prepare the activations of a model: a quantizer wherever a tensor must be stored as codes.

    prepare_activations     returns a copy with quantizers, their ranges from calibration data
    quantized_activations   reads the quantizers
    activation_bits         reads their widths

Calibration runs the model on some training data, in float, and lets an observer look at each
point. A few hundred examples are usual: extremes settle quickly, and labels are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from lwlab.checks import check_choice, check_count, check_finite, check_module
from lwlab.data import Split
from lwlab.measure.evaluating import evaluating, forward
from lwlab.quantize.activations.activation import FakeQuantizeActivation
from lwlab.quantize.activations.points import Point, find_points
from lwlab.quantize.activations.tracing import trace
from lwlab.quantize.granularity import PerTensor
from lwlab.quantize.grid import Grid
from lwlab.quantize.observers import MinMax, Observer, check_observer

__all__ = [
    "activation_bits",
    "calibration_inputs",
    "prepare_activations",
    "quantized_activations",
]

_HOME = "activations"  # the submodule that holds the quantizers


def prepare_activations(
    model: nn.Module,
    calibration: Split | Tensor,
    *,
    num_bits: int | Mapping[str, int] = 8,
    symmetric: bool = False,
    range_rule: Observer | None = None,
    follow: bool = True,
    batch_size: int = 100,
) -> fx.GraphModule:
    """Return a copy of ``model`` with quantized activations; ``model`` stays as it is.

    The copy is a traced model (see ``trace``) with the quantizers in ``copy.activations``, one for
    each point (see ``points``). Weights that are prepared stay prepared, and the ranges are found
    for the activations that these give. It trains: ranges follow (see ``activation``).

    Args:
        model: any module that can be traced, with one input.
        calibration: inputs from the training data, as a ``Split`` or a tensor ``(N, *shape)``.
        num_bits: 1 to 8 for all points. A dict gives each point its own, and leaves the points that
            are not in it in float.
        symmetric: fix the zero points in the middle.
        range_rule: an observer such as ``Percentile()``, which is not changed; ``MinMax()`` if
            None.
        follow: let the ranges follow in training.
        batch_size: inputs per forward pass, at the most.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the model has activation quantizers already, cannot be traced or has no point;
            the calibration data are empty, not finite or of a shape that the model does not take;
            a point does not exist, or a width is out of range.
    """
    check_module("model", model)
    if quantized_activations(model):
        raise ValueError(
            "model must have its activations in float, got one whose activations are quantized "
            "already. Prepare the model that it was made from."
        )
    rule = check_observer(MinMax() if range_rule is None else range_rule)
    inputs = calibration_inputs(calibration)
    batch_size = check_count("batch_size", batch_size)
    prepared = trace(model)
    points = _points_of(prepared)
    grids = _grids(num_bits, symmetric, [point.name for point in points])
    watches = {point.name: _Watch(point.name, rule) for point in points if point.name in grids}
    _insert_(prepared, points, watches)
    with evaluating(prepared):
        for batch in inputs.split(batch_size):
            forward(prepared, batch.clone())
    for name, watch in watches.items():
        prepared.get_submodule(_HOME)[name] = watch.quantizer(grids[name], follow)
    prepared.get_submodule(_HOME).train(prepared.training)
    return prepared


def quantized_activations(model: nn.Module) -> dict[str, FakeQuantizeActivation]:
    """Return the quantizers of the activations by the name of their point, in order.

    Raises:
        TypeError: ``model`` is no module.
    """
    check_module("model", model)
    return {
        path.rpartition(".")[2]: module
        for path, module in model.named_modules()
        if isinstance(module, FakeQuantizeActivation)
    }


def activation_bits(model: nn.Module) -> dict[str, int]:
    """Return the width of each quantized activation by the name of its point.

    It is what ``prepare_activations`` takes as ``num_bits``.

    Raises:
        TypeError: ``model`` is no module.
    """
    return {name: quantizer.num_bits for name, quantizer in quantized_activations(model).items()}


def calibration_inputs(calibration: Split | Tensor) -> Tensor:
    """Return the inputs to calibrate with: finite, at least one.

    Raises:
        TypeError: ``calibration`` is neither a ``Split`` nor a floating-point tensor.
        ValueError: it is empty, or has NaN or infinite values.
    """
    inputs = calibration.inputs if isinstance(calibration, Split) else calibration
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        got = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
        raise TypeError(
            f"calibration must be a Split or a tensor of floating-point inputs, got {got}. Try "
            f"dataset.train.take(500)."
        )
    if inputs.dim() == 0 or inputs.numel() == 0:
        raise ValueError(
            f"calibration must hold at least one input, got shape {tuple(inputs.shape)}. Try "
            f"dataset.train.take(500)."
        )
    return check_finite("calibration", inputs)


class _Watch(nn.Module):
    """Stands where the quantizer will stand, and looks at what comes by."""

    def __init__(self, name: str, rule: Observer) -> None:
        super().__init__()
        self.name, self.rule, self.extremes = name, rule.fresh(), MinMax()

    def forward(self, x: Any) -> Any:
        """Return ``x`` itself."""
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"activation {self.name!r} must be a floating-point tensor, got {got}")
        rows = PerTensor().rows(check_finite(f"activation {self.name!r}", x))
        self.rule.observe(rows)
        self.extremes.observe(rows)
        return x

    def quantizer(self, grid: Grid, follow: bool) -> FakeQuantizeActivation:
        """Return the quantizer for what was seen."""
        low, high = self.rule.range(grid)
        return FakeQuantizeActivation(
            low.clone(),
            high.clone(),
            num_bits=grid.num_bits,
            symmetric=grid.symmetric,
            range_rule=self.rule,
            extremes=torch.cat(self.extremes.range(grid)),
            follow=follow,
        )


def _points_of(model: fx.GraphModule) -> list[Point]:
    points = find_points(model)
    if not points:
        raise ValueError(
            "model must have a convolution, linear layer, sum, join or average to quantize the "
            "inputs of, got one without."
        )
    if hasattr(model, _HOME):
        raise ValueError(
            f"model must leave the name {_HOME!r} to the quantizers, got one that has such an "
            f"attribute. Rename it."
        )
    return points


def _grids(num_bits: Any, symmetric: bool, names: list[str]) -> dict[str, Grid]:
    """Return the checked grid of each point that is to be quantized."""
    if not isinstance(num_bits, Mapping):
        return dict.fromkeys(names, Grid(num_bits, bool(symmetric)))
    if not num_bits:
        raise ValueError("num_bits must name at least one point, got none. Try num_bits=8.")
    return {
        check_choice("num_bits", name, names): Grid(width, bool(symmetric))
        for name, width in num_bits.items()
    }


def _insert_(
    model: fx.GraphModule, points: list[Point], quantizers: Mapping[str, nn.Module]
) -> None:
    """Let all that takes the tensor of a point, but the output, take it from its quantizer."""
    model.add_submodule(_HOME, nn.ModuleDict(quantizers))
    for point in points:
        if point.name not in quantizers:
            continue
        with model.graph.inserting_after(point.tail):
            node = model.graph.call_module(f"{_HOME}.{point.name}", (point.tail,))
        point.tail.replace_all_uses_with(
            node, delete_user_cb=lambda user, own=node: user is not own and user.op != "output"
        )
    model.graph.lint()
    model.recompile()
