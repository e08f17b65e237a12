"""Allocation: how far to prune each layer, so that a target is met at the least measured loss.

    choices = allocate(sensitivity, model, sparsity=0.9)
    mask_model_(model, sparsity=choices)

For each layer one of its measured points is chosen (a multiple-choice knapsack, solved exactly):

    minimize   sum over layers of loss(layer, sparsity of the layer)
    such that  the weights pruned, or the bytes saved, reach the target

The loss of a point is the drop of its accuracy, or that of a milder point of the same layer if that
is larger, and never below 0: a higher sparsity that scores better by chance is not better. That the
losses of layers add up is an assumption; measure the network that comes out.

The same knapsack, with saliencies for losses and milliseconds for bytes: Shen et al. 2022,
"Structural pruning via latency-saliency knapsack", arXiv:2210.06659.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from lwlab.checks import check_count, check_fraction
from lwlab.measure import packed_bytes
from lwlab.prune.importance import Importance, layer_importances, magnitude
from lwlab.prune.masking import mask_model_
from lwlab.prune.parametrization import mask_of, set_mask_
from lwlab.prune.sensitivity import rising_masks
from lwlab.prune.sensitivity_table import Sensitivity
from lwlab.prune.targets import Target, check_targets, select_targets
from lwlab.units import format_count

__all__ = ["allocate"]


@dataclass(frozen=True)
class _Option:
    """One sparsity of one layer: examples lost, and how much of the target it brings."""

    layer: str
    sparsity: float
    lost: int
    gain: int = 0


_Choices = dict[str, float]


def allocate(
    sensitivity: Sensitivity,
    model: nn.Module,
    *,
    sparsity: float | None = None,
    target_bytes: int | None = None,
    importance: Importance = magnitude,
) -> dict[str, float]:
    """Return a sparsity for each scanned layer: the least summed loss that meets the target.

    Only points that were measured are chosen, and 0, which leaves a layer as it is. Among equal
    losses the choice with the least sum of squared sparsities is taken: it has no extremes where
    none are needed.

    Args:
        sensitivity: a scan of ``model``, whole or not.
        model: what was scanned; left as it is.
        sparsity: prune at least this fraction of the weights of the scanned layers together.
        target_bytes: make the packed file of the pruned model no longer than this. The file is
            written to see it: a layer's savings are measured on the layer packed alone, and
            where those do not add up exactly, the choice is tightened until the whole file fits.
        importance: as in the scan; it decides which weights go, and by that how well they pack.

    Returns:
        Sparsity by layer name, for ``mask_model_(model, sparsity=...)``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: not exactly one target is given; it is out of range or out of reach; a layer
            of the scan is not in the model or cannot be masked.
    """
    if (sparsity is None) == (target_bytes is None):
        given = "none" if sparsity is None else "both"
        raise ValueError(f"exactly one of sparsity and target_bytes must be given, got {given}.")
    if not isinstance(sensitivity, Sensitivity):
        raise TypeError(
            f"sensitivity must be a Sensitivity, got {type(sensitivity).__name__}. Try the last "
            f"one that scan_sensitivity yields."
        )
    targets = select_targets(model, sensitivity.layers)
    check_targets(model, targets)
    if target_bytes is not None:
        return _for_bytes(sensitivity, model, check_count("target_bytes", target_bytes), importance)
    return _for_sparsity(sensitivity, targets, check_fraction("sparsity", sparsity))


def _for_sparsity(
    sensitivity: Sensitivity, targets: dict[str, Target], sparsity: float
) -> _Choices:
    counts = {name: target.original.numel() for name, target in targets.items()}
    options = {
        name: [_with_gain(o, round(o.sparsity * counts[name])) for o in _options(sensitivity, t)]
        for name, t in targets.items()
    }
    everything = sum(counts.values())
    # The same sparsity in each layer is enough: rounded layer by layer, it may be one weight less.
    needed = min(round(sparsity * everything), sum(round(sparsity * n) for n in counts.values()))

    def pruned(choices: _Choices) -> int:
        return sum(round(choices[name] * count) for name, count in counts.items())

    choices = _tightened(options, needed, pruned)
    if choices is None:
        reachable = math.floor(1e4 * pruned(_furthest(options)) / everything) / 1e4
        raise ValueError(
            f"sparsity must be at most {reachable:g}, which the highest measured points make "
            f"together, got {sparsity}. Scan higher sparsities, or with a larger tolerance."
        )
    return choices


def _for_bytes(
    sensitivity: Sensitivity, model: nn.Module, target_bytes: int, importance: Importance
) -> _Choices:
    options = _byte_options(sensitivity, model, importance)
    whole = packed_bytes(model)
    trial = copy.deepcopy(model)

    def saved(choices: _Choices) -> int:
        mask_model_(trial, sparsity=choices, importance=importance)
        return whole - packed_bytes(trial)

    choices = _tightened(options, whole - target_bytes, saved)
    if choices is None:
        smallest = whole - saved(_furthest(options))
        raise ValueError(
            f"target_bytes must be at least {format_count(smallest)}, the file that the highest "
            f"measured points make, got {format_count(target_bytes)}. Scan higher sparsities, or "
            f"with a larger tolerance."
        )
    return choices


def _options(sensitivity: Sensitivity, target: Target) -> list[_Option]:
    """Return what can be chosen for a layer, losses rising with the sparsity."""
    row = sensitivity.accuracies[sensitivity.layers.index(target.name)]
    options = []
    # On a layer that is masked already, sparsity 0 would lift its mask: that was not measured.
    if mask_of(target.module, target.tensor_name) is None:
        options.append(_Option(target.name, 0.0, 0))
    lost = 0
    for sparsity, point in zip(sensitivity.sparsities, row, strict=True):
        if point is None:
            continue
        lost = max(lost, sensitivity.baseline.correct - point.correct)
        if sparsity > 0 or not options:
            options.append(_Option(target.name, sparsity, lost))
    if not options:
        raise ValueError(
            f"sensitivity must hold a point of each masked layer, got none of {target.name!r}. "
            f"Let the scan go on."
        )
    return options


def _byte_options(
    sensitivity: Sensitivity, model: nn.Module, importance: Importance
) -> dict[str, list[_Option]]:
    """Return the options of each layer with the bytes they save on the layer packed alone."""
    trial = copy.deepcopy(model)
    found = {}
    for name, target in select_targets(trial, sensitivity.layers).items():
        options = _options(sensitivity, target)
        weight = target.original.detach()
        scores = layer_importances({name: weight}, importance)[name]
        before = packed_bytes(target.module)
        found[name] = []
        masks = rising_masks(scores, [option.sparsity for option in options])
        for option, (_, mask) in zip(options, masks, strict=True):
            set_mask_(target.module, target.tensor_name, mask)
            found[name].append(_with_gain(option, before - packed_bytes(target.module)))
    return found


def _with_gain(option: _Option, gain: int) -> _Option:
    return dataclasses.replace(option, gain=gain)


def _furthest(options: dict[str, list[_Option]]) -> _Choices:
    """Return what reaches furthest, whatever it costs."""
    return {
        name: max(row, key=lambda option: option.gain).sparsity for name, row in options.items()
    }


def _tightened(
    options: dict[str, list[_Option]], needed: int, reached: Callable[[_Choices], int]
) -> _Choices | None:
    """Return the cheapest choices that really reach ``needed``; None if nothing does."""
    wanted = needed
    while (choices := _cheapest(options, wanted)) is not None:
        missing = needed - reached(choices)
        if missing <= 0:
            return choices
        wanted += missing
    return None


def _cheapest(options: dict[str, list[_Option]], wanted: int) -> _Choices | None:
    """Solve the knapsack: one option a layer, gains of at least ``wanted``, the least loss."""
    # Imported here: a quarter of a second that only an allocation needs.
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415

    flat = [option for row in options.values() for option in row]
    # Examples lost are whole numbers: what is added for ties stays below one of them in all.
    costs = [option.lost + 0.5 * option.sparsity**2 / len(options) for option in flat]
    one_a_layer = np.array([[option.layer == name for option in flat] for name in options], float)
    gains = np.array([[option.gain for option in flat]], float)
    solution = milp(
        costs,
        integrality=np.ones(len(flat)),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_a_layer, 1, 1),
            LinearConstraint(gains, wanted, np.inf),
        ],
        options={"mip_rel_gap": 0},
    )
    if solution.x is None:
        return None
    taken = [option for option, share in zip(flat, solution.x, strict=True) if share > 0.5]
    return {option.layer: option.sparsity for option in taken}
