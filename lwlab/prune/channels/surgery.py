"""remove_channels: a new model without the channels, and zero_channels_, its masked twin.

The twin is the proof. It has the shape of the original and zeros where channels would go: in the
producers' rows, in what follows them, and in the consumers' columns, so that nothing of the channel
reaches the rest, whatever the activation makes of zero. Its outputs must be those of the smaller
model, up to the rounding of sums of another length.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_module, one_line
from lwlab.prune.channels.checking import plain_copy
from lwlab.prune.channels.cutting import check_fits, cut_layer_, zero_layer_
from lwlab.prune.channels.plan import ChannelPlan
from lwlab.prune.channels.planning import plan_channels
from lwlab.prune.channels.trace import run, tensors_in
from lwlab.prune.importance import Importance
from lwlab.prune.structured import filter_norm

__all__ = ["remove_channels", "zero_channels_"]


def remove_channels(
    model: nn.Module,
    *,
    pruning_ratio: float | Mapping[str, float] | None = None,
    example_inputs: Any = None,
    importance: Importance = filter_norm,
    scope: str = "layer",
    layers: Iterable[str] | None = None,
    plan: ChannelPlan | None = None,
) -> nn.Module:
    """Return a smaller copy of ``model``, without the least important channels.

    A plain model: layers of the same classes with fewer channels, on the same device and of the
    same dtype, with the same training and ``requires_grad`` flags. Masks are made permanent in it.
    ``model`` is left as it is. Attributes of its own, such as ``width``, stay what they were. An
    optimizer must be made anew.

    With ``example_inputs`` the result is proved before it is returned: it runs, and computes what
    the original computes with zeros in place of the channels.

    Args:
        model: any module.
        pruning_ratio: as for ``plan_channels``; left out with ``plan``.
        example_inputs: as for ``plan_channels``; with ``plan`` it may be left out.
        importance: as for ``plan_channels``.
        scope: as for ``plan_channels``.
        layers: as for ``plan_channels``.
        plan: what ``plan_channels`` returned for this model, in place of the arguments above.

    Raises:
        TypeError, ValueError: as for ``plan_channels``; not exactly one of ``pruning_ratio`` and
            ``plan`` is given; the plan is one of another model; or the proof fails.
    """
    check_module("model", model)
    if (pruning_ratio is None) == (plan is None):
        got = "none" if plan is None else "both"
        raise ValueError(
            f"exactly one of pruning_ratio and plan must be given, got {got}. "
            f"Try pruning_ratio=0.5."
        )
    if plan is None:
        plan = plan_channels(
            model,
            pruning_ratio=pruning_ratio,
            example_inputs=example_inputs,
            importance=importance,
            scope=scope,
            layers=layers,
        )
    smaller = plain_copy(model)
    modules = _planned_modules(smaller, plan)
    for cut in plan.cuts:
        cut_layer_(modules[cut.layer], cut)
    if example_inputs is not None:
        _prove(model, smaller, plan, example_inputs)
    return smaller


def zero_channels_(model: nn.Module, plan: ChannelPlan) -> None:
    """Write zeros into ``model`` where ``remove_channels`` would take channels away.

    The model keeps its shape and computes what the smaller one does. Masks must be baked before.

    Raises:
        TypeError: ``model`` is no ``nn.Module``.
        ValueError: the plan is one of another model, or a layer in it is parametrized.
    """
    modules = _planned_modules(check_module("model", model), plan)
    for cut in plan.cuts:
        if parametrize.is_parametrized(modules[cut.layer]):
            raise ValueError(
                f"layer {cut.layer!r} must be free of parametrizations to be zeroed, got one. "
                f"Make it permanent first, a mask with prune.bake_."
            )
    for cut in plan.cuts:
        zero_layer_(modules[cut.layer], cut)


def _planned_modules(model: nn.Module, plan: ChannelPlan) -> dict[str, nn.Module]:
    if not isinstance(plan, ChannelPlan):
        raise TypeError(f"plan must be a ChannelPlan, got {type(plan).__name__}.")
    modules = {name or "model": module for name, module in model.named_modules()}
    for cut in plan.cuts:
        check_fits(modules.get(cut.layer), cut)
    return modules


def _prove(model: nn.Module, smaller: nn.Module, plan: ChannelPlan, example_inputs: Any) -> None:
    """Check that the smaller model computes what the masked twin computes."""
    twin = plain_copy(model)
    zero_channels_(twin, plan)
    expected, again = (list(tensors_in(run(twin, example_inputs, seed))) for seed in (0, 1))
    try:
        found = list(tensors_in(run(copy.deepcopy(smaller), example_inputs)))
    except ValueError as error:
        raise ValueError(
            f"model must run once channels are removed, got {one_line(error.__cause__)}. Leave "
            f"layers out: name the others in layers=[...]."
        ) from error
    if not all(map(_is_close, expected, again)):
        return  # forward draws random numbers: there is nothing to compare
    if len(found) != len(expected) or not all(map(_is_close, found, expected)):
        raise ValueError(
            "model must compute the same with channels removed as with channels at zero, got "
            "something else: forward must depend on the number of channels in a way that is not "
            "seen. Leave layers out: name the others in layers=[...]."
        )


def _is_close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    if not expected.is_floating_point() or not torch.isfinite(expected).any():
        return True  # a class that was picked may flip where two scores are equal
    # Sums of another length round otherwise; what is meant is a result that is plainly another.
    tolerance = torch.finfo(expected.dtype).eps ** 0.25
    defined = torch.isfinite(expected)  # log(0) times 0, where a channel at zero has no logarithm
    found, expected = found[defined], expected[defined]
    return bool(((found - expected).abs() <= tolerance * expected.abs().max()).all())
