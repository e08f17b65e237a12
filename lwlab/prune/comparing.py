"""Which criterion is better? The same cut by each, on networks of several seeds.

    trained networks -> for each criterion and sparsity: cut, score, recover, score again -> rows

One network says little: a criterion can be lucky. So every criterion cuts *the same* networks, one
for each seed, and ``summarize`` looks at the differences pair by pair. Next: ``comparison_table``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_count, check_fraction, check_module
from lwlab.data import Dataset, Split
from lwlab.measure import accuracy
from lwlab.models.layers import compressible_layers, layer_names
from lwlab.prune.entropy import activation_entropy, spread_channels, weight_entropy
from lwlab.prune.gradient import taylor_importance
from lwlab.prune.importance import RandomImportance, layer_importances, magnitude
from lwlab.prune.masking import apply_masks_
from lwlab.prune.masks import topk_mask
from lwlab.prune.structured import filter_norm
from lwlab.train import fit

__all__ = [
    "CHANNEL_CRITERIA",
    "WEIGHT_CRITERIA",
    "ComparisonRow",
    "Criterion",
    "channel_masks",
    "compare_criteria",
]

_CALIBRATION_EXAMPLES = 500

Criterion = Callable[[nn.Module, Dataset, int], Mapping[str, Tensor]]
"""``(model, dataset, seed) -> scores by layer name``: one number a channel, or one a weight."""


@dataclass(frozen=True)
class ComparisonRow:
    """One network, cut by one criterion.

    Attributes:
        criterion: name of what chose.
        sparsity: fraction that was cut.
        seed: which network.
        as_cut: fraction right before anything is trained again.
        recovered: fraction right after fine-tuning; ``as_cut`` where there was none.
    """

    criterion: str
    sparsity: float
    seed: int
    as_cut: float
    recovered: float


def _filter_norms(model: nn.Module, dataset: Dataset, seed: int) -> dict[str, Tensor]:
    del dataset, seed
    return {layer.name: filter_norm(layer.weight) for layer in compressible_layers(model)}


def _random_channels(model: nn.Module, dataset: Dataset, seed: int) -> dict[str, Tensor]:
    del dataset
    noise = RandomImportance(seed)
    return {
        layer.name: noise.of_layer(layer.name, layer.weight.detach().flatten(1)[:, 0])
        for layer in compressible_layers(model)
    }


def _activation_entropies(model: nn.Module, dataset: Dataset, seed: int) -> dict[str, Tensor]:
    del seed
    return activation_entropy(model, _calibration(dataset))


def _weight_entropies(model: nn.Module, dataset: Dataset, seed: int) -> dict[str, Tensor]:
    del dataset, seed
    return {layer.name: weight_entropy(layer.weight) for layer in compressible_layers(model)}


def _calibration(dataset: Dataset) -> Split:
    return dataset.train.take(min(_CALIBRATION_EXAMPLES, len(dataset.train)))


CHANNEL_CRITERIA: dict[str, Criterion] = {
    "random": _random_channels,
    "filter norm": _filter_norms,
    "activation entropy": _activation_entropies,
    "weight entropy": _weight_entropies,
}
"""What can choose whole channels, the baseline first."""


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {layer.name: layer.weight.detach() for layer in compressible_layers(model)}


WEIGHT_CRITERIA: dict[str, Criterion] = {
    "random": lambda model, _, seed: layer_importances(_weights(model), RandomImportance(seed)),
    "magnitude": lambda model, _, __: layer_importances(_weights(model), magnitude),
    "Taylor": lambda model, dataset, _: taylor_importance(model, _calibration(dataset)),
}
"""What can choose single weights, the baseline first."""


def channel_masks(
    model: nn.Module, scores: Mapping[str, Tensor], sparsity: float
) -> dict[str, Tensor]:
    """Return masks that prune exactly ``round(sparsity * channels)`` whole channels of each layer.

    Biases stay, so that a pruned channel still says the same to every example.

    Args:
        model: where the layers are; left as it is.
        scores: ``(channels,)`` by layer name; higher keeps. Other layers get no mask.
        sparsity: fraction in [0, 1).

    Raises:
        TypeError, ValueError: as from ``topk_mask`` and ``spread_channels``.
    """
    return spread_channels({n: topk_mask(s, sparsity) for n, s in scores.items()}, model)


def compare_criteria(
    models: Sequence[nn.Module],
    dataset: Dataset,
    criteria: Mapping[str, Criterion] = CHANNEL_CRITERIA,
    *,
    sparsities: Sequence[float],
    layers: Iterable[str] | None = None,
    recover_epochs: int = 0,
    split: Split | None = None,
) -> Iterator[ComparisonRow]:
    """Cut each model by each criterion at each sparsity, recover it, and yield what was measured.

    Every criterion cuts exactly as many channels, or weights, of each layer: ``round(sparsity *
    n)``, which in a narrow layer can be all n. A criterion with a score for each channel cuts whole
    channels, one with a score for each weight single weights. Fine-tuning is ``fit`` with the seed
    of the network, the masks staying on; it sees the train split alone.

    Args:
        models: trained networks of one kind, numbered as seeds 0, 1, ...; left as they are.
        dataset: its train split gives scores and recovery.
        criteria: by name, such as ``CHANNEL_CRITERIA`` or ``WEIGHT_CRITERIA``.
        sparsities: fractions in [0, 1).
        layers: names of layers to cut; None takes all but the last, whose outputs are the classes:
            all of them are needed.
        recover_epochs: epochs of fine-tuning after the cut; 0 for none.
        split: what the accuracies are of; None takes the validation split.

    Raises:
        TypeError, ValueError: an argument is out of range or empty, a model has a single layer, a
            layer does not exist or has no score, or as from the criteria.
    """
    networks = _listed("models", models, nn.Module, "trained network")
    fractions = _listed("sparsities", sparsities, float, "fraction")
    fractions = [check_fraction("sparsities", value) for value in fractions]
    epochs = check_count("recover_epochs", recover_epochs, minimum=0)
    wanted = layers if layers is None else _listed("layers", layers, str, "name")
    cut = [(model, _layers_to_cut(model, wanted)) for model in networks]
    scored_on = dataset.validation if split is None else split
    return _rows(cut, dataset, criteria, fractions, epochs, scored_on)


def _listed(name: str, values: Iterable, kind: type, noun: str) -> list:
    """Return ``values`` as a list; a single one is told apart, even where it can be iterated."""
    if isinstance(values, kind):
        raise TypeError(f"{name} must be a list, got a single {noun}. Put it into [ ].")
    found = list(values)
    if not found:
        raise ValueError(f"{name} must hold at least one {noun}, got none.")
    return found


def _layers_to_cut(model: nn.Module, layers: Sequence[str] | None) -> list[str]:
    names = layer_names(check_module("models", model))
    if layers is not None:
        return [check_choice("layers", layer, names) for layer in layers]
    if len(names) < 2:
        raise ValueError(
            f"models must have at least two layers to cut all but the last, got "
            f"{type(model).__name__} with {len(names)}."
        )
    return list(names[:-1])


def _rows(
    models: Sequence[tuple[nn.Module, list[str]]],
    dataset: Dataset,
    criteria: Mapping[str, Criterion],
    sparsities: Sequence[float],
    epochs: int,
    split: Split,
) -> Iterator[ComparisonRow]:
    for seed, (model, layers) in enumerate(models):
        for name, criterion in criteria.items():
            found = criterion(model, dataset, seed)
            for layer in layers:
                if layer not in found:
                    raise ValueError(
                        f"criteria must score each layer, got none of {layer!r} from {name!r}."
                    )
            scores = {layer: found[layer] for layer in layers}
            for sparsity in sparsities:
                pruned = _cut(model, scores, sparsity)
                as_cut = recovered = accuracy(pruned, split).value
                if epochs:
                    for _ in fit(pruned, dataset, epochs=epochs, seed=seed):
                        pass
                    recovered = accuracy(pruned, split).value
                yield ComparisonRow(name, sparsity, seed, as_cut, recovered)


@torch.no_grad()
def _cut(model: nn.Module, scores: Mapping[str, Tensor], sparsity: float) -> nn.Module:
    pruned = copy.deepcopy(model)
    whole_channels = all(score.ndim == 1 for score in scores.values())
    if whole_channels:
        masks = channel_masks(pruned, scores, sparsity)
    else:
        masks = {name: topk_mask(score, sparsity) for name, score in scores.items()}
    apply_masks_(pruned, masks)
    return pruned
