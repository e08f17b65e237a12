"""Iterative pruning: cut a little, train on, cut again.

    for record in prune_iteratively(model, dataset, sparsity=0.9, steps=10):
        print(record.step, record.sparsity, record.validation_accuracy)

What one large cut destroys, training often cannot mend. After a small cut the weights that are left
take over first, and the next cut is chosen on weights that know about the last one. What is pruned
stays pruned: at each step only the rest is up for choice (see ``further``).

Because it is a generator, whoever reads the records is in charge: a plot redraws between two
records, ``break`` stops. The model is then masked at the sparsity of the last record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from lwlab.checks import check_count, check_fraction
from lwlab.data import Dataset
from lwlab.measure import accuracy
from lwlab.prune.further import (
    ModelImportance,
    Sparsity,
    check_criterion,
    check_higher,
    prunable,
    prune_further_,
    pruned_share,
    sparsity_by_layer,
)
from lwlab.prune.importance import Importance, layer_importances, magnitude
from lwlab.prune.schedule import cubic
from lwlab.prune.targets import Target
from lwlab.train import Record, Schedule, constant, fit

__all__ = ["PruningRecord", "SparsitySchedule", "prune_iteratively"]

SparsitySchedule = Callable[[float, float, float], float]
"""``(progress, final, initial) -> sparsity``, such as ``cubic``, ``linear`` and ``one_shot``."""


@dataclass(frozen=True)
class PruningRecord:
    """The state of an iterative pruning at one moment.

    Attributes:
        step: the step that is under way, from 1; ``steps``: how many there are.
        sparsity: pruned fraction of the weights of all layers that are to be pruned, as counted.
        validation_accuracy: fraction right on the validation split, just after the cut and at the
            end of each epoch; None at other moments.
        training: ``fit``'s record; None just after the cut, before any training of this step.
    """

    step: int
    steps: int
    sparsity: float
    validation_accuracy: float | None
    training: Record | None


def prune_iteratively(
    model: nn.Module,
    dataset: Dataset,
    *,
    sparsity: Sparsity,
    steps: int = 5,
    epochs_per_step: int = 1,
    schedule: SparsitySchedule = cubic,
    scope: str = "global",
    importance: Importance = magnitude,
    model_importance: ModelImportance | None = None,
    layers: Iterable[str] | None = None,
    seed: int = 0,
    learning_rate_schedule: Schedule = constant,
    **training: Any,
) -> Iterator[PruningRecord]:
    """Prune ``model`` in place in steps, and train it on ``dataset.train`` after each.

    Step k of K cuts to ``schedule(k / K, sparsity, initial)`` and yields a record, then trains
    ``epochs_per_step`` epochs and yields a record with each of ``fit``'s. ``initial`` is the
    sparsity that the model has already (0 without masks). ``one_shot`` cuts all in step 1 and
    trains as long as the others do, which makes it a fair baseline.

    Args:
        model: as for ``fit``.
        dataset: as for ``fit``.
        sparsity: at the end, a fraction in [0, 1); a dict gives each layer its own.
        steps: how many cuts.
        epochs_per_step: epochs of training after each cut.
        schedule: ``(progress, final, initial) -> sparsity``; it must not fall.
        scope: with one ``sparsity``: ``"global"`` counts over all layers together, ``"layer"`` in
            each.
        importance: a function of one weight tensor, random, or ready tensors, as for
            ``prune_further_``.
        model_importance: in its place, a function of the model, asked anew before each cut.
        layers: names of the layers to prune; None takes all convolutions and linear layers.
        seed: step k trains with the seed ``1000 * seed + k``.
        learning_rate_schedule: ``fit``'s ``schedule``, begun anew in each step.
        training: goes to ``fit``: ``learning_rate``, ``batch_size``, ``loss``, ``penalty``,
            ``steps_per_record``, ``optimizer``. The optimizer is made anew in each step.

    Returns:
        A generator; nothing is changed before the first record is asked for.

    Raises:
        TypeError, ValueError: at the call, as for ``fit`` and ``mask_model_``; also if the model
            has a higher sparsity already or the schedule lets it fall.
        TrainingDivergedError: while running, as from ``fit``.

    Source: Han et al. 2015, arXiv:1506.02626, section 3; the schedules: Zhu & Gupta 2017,
    arXiv:1710.01878.
    """
    steps = check_count("steps", steps)
    seed = check_count("seed", seed, minimum=0)
    targets = prunable(model, sparsity, layers)
    plan = _planned(targets, sparsity_by_layer(targets, sparsity, scope), schedule, steps)
    check_criterion(importance, model_importance)
    if model_importance is None:
        layer_importances({name: t.original.detach() for name, t in targets.items()}, importance)
    if "epochs" in training:
        raise TypeError("epochs must be given as epochs_per_step here, got epochs.")
    settings = {
        "epochs": check_count("epochs_per_step", epochs_per_step),
        "schedule": learning_rate_schedule,
        **training,
    }
    fit(model, dataset, seed=seed, **settings)  # Never started: it checks its arguments.
    criterion = {"importance": importance, "model_importance": model_importance}
    return _run(model, dataset, targets, plan, criterion, seed, settings)


def _run(
    model: nn.Module,
    dataset: Dataset,
    targets: dict[str, Target],
    plan: list[dict[str, float]] | list[float],
    criterion: dict[str, Any],
    seed: int,
    settings: dict[str, Any],
) -> Iterator[PruningRecord]:
    """Cut and train, step after step of ``plan``."""
    steps = len(plan)
    for step, wanted in enumerate(plan, start=1):
        chosen = None if isinstance(wanted, dict) else list(targets)
        prune_further_(model, sparsity=wanted, layers=chosen, **criterion)
        reached = pruned_share(targets.values())
        validated = accuracy(model, dataset.validation).value
        yield PruningRecord(step, steps, reached, validated, None)
        for record in fit(model, dataset, seed=1000 * seed + step, **settings):
            yield PruningRecord(step, steps, reached, record.validation_accuracy, record)


def _planned(
    targets: dict[str, Target],
    wanted: dict[str, float] | float,
    schedule: SparsitySchedule,
    steps: int,
) -> list[dict[str, float]] | list[float]:
    """Return the sparsity of each step, by layer or over all, checked."""
    if not isinstance(wanted, dict):
        return _curve("sparsity", wanted, list(targets.values()), schedule, steps)
    curves = {
        name: _curve(f"sparsity of layer {name!r}", final, [targets[name]], schedule, steps)
        for name, final in wanted.items()
    }
    return [{name: curve[step] for name, curve in curves.items()} for step in range(steps)]


def _curve(
    name: str, final: float, targets: list[Target], schedule: SparsitySchedule, steps: int
) -> list[float]:
    """Return the sparsity of ``targets`` at each step: it never falls."""
    check_higher(name, final, targets)
    # A share that was reached by rounding up may lie a little above the fraction that was wanted.
    initial = min(pruned_share(targets), final)
    curve = [initial]
    for step in range(1, steps + 1):
        value = check_fraction(f"{name} by the schedule", schedule(step / steps, final, initial))
        if value < curve[-1]:
            raise ValueError(
                f"{name} by the schedule must never fall, got {value:g} after {curve[-1]:g} at "
                f"step {step}. Try prune.cubic."
            )
        curve.append(value)
    return curve[1:]
