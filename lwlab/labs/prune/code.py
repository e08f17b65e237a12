"""The lines of Python that reproduce what PruneLab shows."""

from __future__ import annotations

from lwlab.labs.prune.criteria import CRITERIA, Criteria
from lwlab.labs.prune.params import PruneParams
from lwlab.labs.prune.tuning import BATCH_SIZE, Recovery

__all__ = ["code"]


def code(
    params: PruneParams,
    recovery: Recovery | None,
    criteria: Criteria,
    *,
    model_name: str,
    steps_per_record: int,
) -> str:
    """Return the code of a state: cut, fine-tune, measure, save.

    Args:
        params: what is on screen.
        recovery: its fine-tuning, if there is one.
        criteria: of the same network.
        model_name: class of the network.
        steps_per_record: of the fine-tuning, to stop at the same step.
    """
    tuned = recovery is not None and recovery.ended
    gradual = tuned and params.schedule != "one_shot"
    lines = [*_imports(params, tuned=tuned, gradual=gradual), ""]
    lines.append(f"pruned = copy.deepcopy(model)  # your trained {model_name}")
    if params.ranked and CRITERIA[params.criterion].channels:
        lines.append("layers = layer_names(model)[:-1]  # all but the last one")
    if not gradual:
        lines += _cut(params, criteria)
    if tuned:
        loop = _gradual(params, criteria) if gradual else _fit(params)
        lines += _training(loop, recovery, steps_per_record)
    lines.append("print(measure.accuracy(pruned, dataset.validation))")
    lines.append('print(packing.save(pruned, "pruned.lwlab"), "bytes")')
    return "\n".join(lines)


def _imports(params: PruneParams, *, tuned: bool, gradual: bool) -> list[str]:
    models = []
    if params.by == "n_of_m" or (params.ranked and params.criterion == "weight_entropy"):
        models.append("compressible_layers")
    if params.ranked and CRITERIA[params.criterion].channels:
        models.append("layer_names")
    lines = ["import copy", "", "from lwlab import measure, packing, prune"]
    if models:
        lines.append(f"from lwlab.models import {', '.join(models)}")
    if gradual:
        lines.append("from lwlab.prune.iterative import prune_iteratively")
    elif tuned:
        lines.append("from lwlab.train import fit")
    return lines


def _cut(params: PruneParams, criteria: Criteria) -> list[str]:
    if not params.ranked:
        return [f"prune.mask_model_(pruned, {params.by}={getattr(params, params.by)!r})"]
    lines, argument = [], ""
    if params.criterion != "magnitude" or params.by == "n_of_m":
        lines.append(f"importance = {criteria.code(params.criterion)}")
        argument = ", importance=importance"
    if params.by == "n_of_m":
        kept, group = params.kept_of_group
        return [
            *lines,
            "weights = {layer.name: layer.weight.detach() for layer in compressible_layers(model)}",
            "scores = prune.layer_importances(weights, importance)",
            f"masks = {{n: prune.n_of_m_mask(s, {kept}, {group}) for n, s in scores.items()}}",
            "prune.apply_masks_(pruned, masks)",
        ]
    if params.by == "layers" and not params.chosen_layers:
        return []
    return [*lines, f"prune.mask_model_(pruned, {_sparsity(params)}{argument})"]


def _sparsity(params: PruneParams) -> str:
    if params.by == "layers":
        return f"sparsity={params.chosen_layers!r}"
    layers = ", layers=layers" if CRITERIA[params.criterion].channels else ""
    return f"sparsity={params.sparsity!r}, scope={params.scope!r}{layers}"


def _fit(params: PruneParams) -> str:
    return f"fit(pruned, dataset, epochs={params.epochs}, {_learning(params)}"


def _gradual(params: PruneParams, criteria: Criteria) -> str:
    importance = ""
    if params.criterion == "random":
        importance = f"\n    importance={criteria.code('random')},"
    elif params.criterion != "magnitude":
        importance = f"\n    model_importance=lambda m: {criteria.code(params.criterion, 'm')},"
    return (
        f"prune_iteratively(\n    pruned, dataset, {_sparsity(params)},{importance}\n"
        f"    steps={params.epochs}, schedule=prune.{params.schedule}, {_learning(params)}"
    )


def _learning(params: PruneParams) -> str:
    return f"learning_rate={params.learning_rate!r}, batch_size={BATCH_SIZE}"


def _training(loop: str, recovery: Recovery, steps_per_record: int) -> list[str]:
    """Return the loop; where Stop was pressed, one that ends at the same record."""
    if recovery.state != "stopped":
        return [f"for record in {loop}):", "    print(record.validation_accuracy)"]
    return [
        f"records = {loop}, steps_per_record={steps_per_record})",
        f"for number, record in zip(range({len(recovery.points)}), records):  # then Stop",
        "    print(number, record.validation_accuracy)",
    ]
