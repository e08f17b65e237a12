"""Sensitivity: what pruning one layer alone costs, for each layer and many sparsities.

    for sensitivity in scan_sensitivity(model, dataset.validation):
        print(sensitivity.done, "of", sensitivity.total)

A layer that keeps its accuracy at 95 % is worth pruning far; one that collapses at 50 % is not, and
a single such layer ruins the whole network. The scan says nothing about two layers pruned together:
their losses add up only roughly. Next: ``allocation``, which chooses by it.

Because it is a generator, whoever reads is in charge: a plot redraws between two points, ``break``
stops, and ``known=`` the last sensitivity goes on where it stopped.

Source: Han et al. 2015, "Learning both weights and connections", arXiv:1506.02626, section 5;
Li et al. 2017, "Pruning filters for efficient ConvNets", arXiv:1608.08710, section 3.2.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from lwlab.checks import check_fraction
from lwlab.data import Split
from lwlab.measure import accuracy
from lwlab.measure.layer_scan import check_same_baseline, check_same_scan
from lwlab.measure.predicting import check_split
from lwlab.prune.importance import Importance, layer_importances, magnitude
from lwlab.prune.masks import global_masks
from lwlab.prune.parametrization import mask_of, set_mask_
from lwlab.prune.sensitivity_table import Sensitivity, check_sparsities
from lwlab.prune.targets import Target, check_targets, select_targets

__all__ = ["SPARSITIES", "Sensitivity", "rising_masks", "scan_sensitivity"]

SPARSITIES = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Sparsities that a scan tries unless told otherwise: closer together where layers break."""


def scan_sensitivity(
    model: nn.Module,
    split: Split,
    *,
    sparsities: Iterable[float] = SPARSITIES,
    layers: Iterable[str] | None = None,
    importance: Importance = magnitude,
    tolerance: float | None = None,
    known: Sensitivity | None = None,
) -> Iterator[Sensitivity]:
    """Prune one layer at a time, at one sparsity after the other, and measure the accuracy.

    Each point is the accuracy after ``mask_model_(copy, sparsity={layer: sparsity})``: the other
    layers are as they came. The first yield has the baseline and what is known, each further one
    has one point more, layer after layer. Every yield is a whole table of its own.

    Args:
        model: any module with convolutions or linear layers; left as it is. It is copied when the
            first value is asked for.
        split: examples to measure on; choices are made on ``dataset.validation``.
        sparsities: fractions in [0, 1), rising.
        layers: names of the layers to scan; None takes all convolutions and linear layers.
        importance: what is kept, as in ``mask_model_``; computed once.
        tolerance: once the accuracy of a layer is more than this below the baseline, a fraction in
            [0, 1], its higher sparsities are skipped; None measures all.
        known: an earlier sensitivity of the same model, split, layers and sparsities; what it has
            measured is not measured again. The tolerance may be another one.

    Returns:
        A generator; nothing is run before the first value is asked for.

    Raises:
        TypeError, ValueError: at the call, as for ``mask_model_`` and ``accuracy``, or if
            ``known`` is of other layers or sparsities; at the first value, if its baseline is not
            what the model reaches now.
    """
    sparsities = check_sparsities(sparsities)
    tolerance = (
        None if tolerance is None else check_fraction("tolerance", tolerance, allow_one=True)
    )
    check_split(split)
    targets = select_targets(model, layers)
    check_targets(model, targets)
    weights = {name: target.original.detach() for name, target in targets.items()}
    scores = layer_importances(weights, importance)
    global_masks(scores, 0.0)  # checks them all, in the sentences of mask_model_
    if known is not None:
        check_same_scan(known, Sensitivity, tuple(targets), sparsities)
    return _scan(model, split, sparsities, scores, tolerance, known)


def _scan(
    model: nn.Module,
    split: Split,
    sparsities: tuple[float, ...],
    scores: dict[str, Tensor],
    tolerance: float | None,
    known: Sensitivity | None,
) -> Iterator[Sensitivity]:
    pruned = copy.deepcopy(model)
    baseline = accuracy(pruned, split)
    table = Sensitivity.empty(baseline, tuple(scores), sparsities, tolerance)
    if known is not None:
        check_same_baseline(known.baseline, baseline, "pruning")
        table = dataclasses.replace(table, accuracies=known.accuracies)
    yield table
    for name, target in select_targets(pruned, scores).items():
        untouched = _present_mask(target)
        for sparsity, mask in rising_masks(scores[name], sparsities):
            if table.is_settled(name, sparsity):
                continue
            set_mask_(target.module, target.tensor_name, mask)
            table = table.with_point(name, sparsity, accuracy(pruned, split))
            yield table
        set_mask_(target.module, target.tensor_name, untouched)


def _present_mask(target: Target) -> Tensor:
    """Return the mask that a weight has, or one that keeps everything."""
    present = mask_of(target.module, target.tensor_name)
    if present is None:
        return torch.ones_like(target.original, dtype=torch.bool)
    return present.mask


def rising_masks(importance: Tensor, sparsities: Iterable[float]) -> Iterator[tuple[float, Tensor]]:
    """Yield each sparsity with its ``topk_mask``, from one sort; the next step changes the mask.

    Args:
        importance: any shape, without NaN.
        sparsities: fractions in [0, 1), rising.
    """
    # Stable, so that among equal values the earlier position is pruned first, as in topk_mask.
    order = importance.flatten().argsort(stable=True)
    mask = torch.ones_like(order, dtype=torch.bool)
    for sparsity in sparsities:
        mask[order[: round(sparsity * len(order))]] = False
        yield sparsity, mask.reshape(importance.shape)
