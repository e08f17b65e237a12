"""Allocation: how many bits each layer gets, so that the file meets a budget at the least loss.

    *_, sensitivity = scan_bits(model, dataset.validation)
    plan = allocate_bits(sensitivity, model, target_bytes=60_000, split=dataset.validation)
    prepare_(model, num_bits=plan.bits)

The file that counts is the one that is written: headers, scales and biases included. What a layer
or a channel takes of it is estimated, by writing each layer alone; then the whole file is written,
and the choice is made again with the difference, until it fits.

Several ways to spend a budget are tried (see ``candidates``). That the losses of layers add up, and
that a channel's loss goes with its rounding error, are assumptions; so the plans are scored on a
split, and the best one is taken. One width for all layers is among them: the plan is never worse
than that, on this split. The best of several scores is a little lucky: for a fair figure score the
model on ``dataset.test``.

Source: Yao et al. 2021, "HAWQ-V3", arXiv:2011.10680, section 3.3: widths by integer programming.
"""

from __future__ import annotations

from torch import nn

from lwlab.checks import check_count
from lwlab.data import Split
from lwlab.measure.predicting import check_split
from lwlab.quantize.fake_channels import check_by_channel
from lwlab.quantize.granularity import Granularity
from lwlab.quantize.mixed.candidates import candidates, refilled
from lwlab.quantize.mixed.costs import layer_costs
from lwlab.quantize.mixed.plan import BitPlan
from lwlab.quantize.mixed.sensitivity_table import BitSensitivity
from lwlab.quantize.mixed.trial import Trial
from lwlab.quantize.observers import Observer
from lwlab.quantize.targets import select_layers
from lwlab.units import format_count

__all__ = ["ENOUGH", "allocate_bits"]

ENOUGH = 0.97
"""The part of a budget from which on nothing is left to spend."""


def allocate_bits(
    sensitivity: BitSensitivity,
    model: nn.Module,
    *,
    target_bytes: int,
    split: Split | None = None,
    by_channel: bool = True,
    granularity: Granularity | None = None,
    range_rule: Observer | None = None,
    symmetric: bool = True,
) -> BitPlan:
    """Return the widths with which the packed file of ``model`` is at most ``target_bytes`` long.

    Only widths that were measured are chosen, for whole layers and, with ``by_channel``, for output
    channels. Layers that were not scanned stay as they are, and count.

    How good it is: by whole layers the integer program is solved exactly, by channels to within a
    thousandth of the bound that ``plan.loss_bound`` gives. Both minimize the *predicted* loss for
    the bytes as they are estimated, a layer's shared alike by its channels.

    Args:
        sensitivity: a scan of ``model``, whole or not.
        model: what was scanned; left as it is.
        target_bytes: the longest that the file may be.
        split: examples to score the plans on, such as ``dataset.validation``; the best is taken.
            None: the one with the least predicted loss, without a look at the accuracy.
        by_channel: give channels widths of their own where it helps.
        granularity: as in the scan; for ``by_channel``, ``PerChannel()`` or ``PerGroup(size)``.
        range_rule: as in the scan.
        symmetric: as in the scan.

    Returns:
        A plan whose ``size_bytes`` is the length of the file that ``packing.to_bytes`` wrote.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the budget is below the smallest file; a layer of the scan is not in the model
            or cannot be quantized; ``granularity`` does not fit.
    """
    if not isinstance(sensitivity, BitSensitivity):
        raise TypeError(
            f"sensitivity must be a BitSensitivity, got {type(sensitivity).__name__}. Try the last "
            f"one that scan_bits yields."
        )
    target_bytes = check_count("target_bytes", target_bytes)
    select_layers(model, sensitivity.layers)
    if split is not None:
        check_split(split)
    if by_channel and granularity is not None:
        check_by_channel(granularity)
    settings = {"granularity": granularity, "range_rule": range_rule, "symmetric": symmetric}
    costs = layer_costs(sensitivity, model, settings)
    trial = Trial(model, costs, settings, target_bytes)
    _check_reachable(trial)
    plans = candidates(trial, by_channel=bool(by_channel))
    if split is None:
        return min(plans, key=lambda plan: plan.predicted_loss)
    scored = [trial.scored(plan, split) for plan in plans]
    # max takes the first of equals: candidates come in the order of what they are expected to give.
    best = max(scored, key=lambda plan: plan.accuracy.correct)
    return _using_enough(trial, best, split) if by_channel else best


def _using_enough(trial: Trial, best: BitPlan, split: Split) -> BitPlan:
    """Return a plan with as many right answers that uses the budget, if one is found.

    A plan that leaves much of the budget and still scores best does so by a few examples: by luck.
    """
    if best.used >= ENOUGH or not best.is_by_layer:
        return best
    for plan in refilled(trial, best):
        if plan.used >= ENOUGH:
            scored = trial.scored(plan, split)
            if scored.accuracy.correct >= best.accuracy.correct:
                return scored
    return best


def _check_reachable(trial: Trial) -> None:
    smallest = trial.smallest()
    size = trial.size_of(smallest)
    if size > trial.target_bytes:
        widths = sorted({layer for widths in smallest.values() for layer in widths})
        named = " and ".join(map(str, widths))
        raise ValueError(
            f"target_bytes must be at least {format_count(size)}, the file with {named} bits "
            f"everywhere, got {format_count(trial.target_bytes)}. Scan narrower widths, or prune "
            f"first."
        )
