"""The steps that take weights away: single ones, or whole channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lwlab.checks import check_choice, check_count, check_fraction, check_number
from lwlab.models.layers import compressible_layers
from lwlab.pipeline.step import Bench, Step, set_field_
from lwlab.prune import (
    Importance,
    RandomImportance,
    activation_entropy,
    apply_masks_,
    choose_masks,
    cubic,
    current_masks,
    filter_norm,
    layer_importances,
    magnitude,
    n_of_m_mask,
    remove_channels,
    taylor_importance,
)
from lwlab.train import Record
from lwlab.units import format_percent

__all__ = ["CHANNEL_CRITERIA", "CRITERIA", "SCOPES", "Prune", "RemoveChannels"]

SCOPES = ("global", "layer")
_SHOWN = 512  # training examples that a criterion with gradients looks at
_EXAMPLES = 8  # inputs with which the removal of channels is proved


def _magnitudes(bench: Bench) -> Mapping[str, Tensor]:
    return layer_importances(_weights(bench.model), magnitude)


def _random(bench: Bench) -> Mapping[str, Tensor]:
    return layer_importances(_weights(bench.model), RandomImportance(bench.seed))


def _taylor(bench: Bench) -> Mapping[str, Tensor]:
    return taylor_importance(bench.model, bench.dataset.train.take(_SHOWN))


CRITERIA: dict[str, Callable[[Bench], Mapping[str, Tensor]]] = {
    "magnitude": _magnitudes,
    "taylor": _taylor,
    "random": _random,
}
"""What weights are kept by, by its name in a recipe; all are at least 0."""


def _entropies(bench: Bench) -> Mapping[str, Tensor]:
    return activation_entropy(bench.model, bench.dataset.train.take(_SHOWN))


CHANNEL_CRITERIA: dict[str, Callable[[Bench], Importance | Mapping[str, Tensor]]] = {
    "norm": lambda _: filter_norm,
    "entropy": _entropies,
}
"""What channels are kept by, by its name in a recipe."""


@dataclass(frozen=True)
class Prune(Step):
    """Set the least important weights to 0 and keep them there. What is pruned stays pruned.

    Attributes:
        sparsity: zeros / all weights afterwards, a fraction in [0, 1); None with ``pattern``.
        scope: ``"global"`` counts over all layers together, ``"layer"`` in each.
        criterion: ``"magnitude"``, ``"taylor"`` (by gradients on training examples) or
            ``"random"``, the baseline.
        pattern: ``"2:4"`` keeps 2 of each 4 neighbours, in place of a sparsity.
        epochs: 0 cuts at once. Otherwise as many cuts, small ones at the end, each followed by an
            epoch of training.
        learning_rate: of that training, above 0.

    Raises:
        TypeError, ValueError: a field is out of range, or not exactly one of ``sparsity`` and
            ``pattern`` is given.

    Source: Han et al. 2015, arXiv:1506.02626; gradual: Zhu & Gupta 2017, arXiv:1710.01878.
    """

    sparsity: float | None = None
    scope: str = "global"
    criterion: str = "magnitude"
    pattern: str | None = None
    epochs: int = 0
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if (self.sparsity is None) == (self.pattern is None):
            got = "none" if self.pattern is None else "both"
            raise ValueError(
                f"exactly one of sparsity and pattern must be given, got {got}. Try sparsity=0.9."
            )
        if self.pattern is None:
            set_field_(self, sparsity=check_fraction("sparsity", self.sparsity))
        else:
            _check_pattern(self.pattern, self.epochs)
        check_choice("scope", self.scope, SCOPES)
        check_choice("criterion", self.criterion, tuple(CRITERIA))
        set_field_(
            self,
            epochs=check_count("epochs", self.epochs, minimum=0),
            learning_rate=check_number("learning_rate", self.learning_rate, above=0),
        )

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        by = "at random" if self.criterion == "random" else f"by {self.criterion}"
        if self.pattern is not None:
            kept, _, group = self.pattern.partition(":")
            return f"Keep {kept} of every {group} neighbouring weights, {by}"
        where = "over all layers" if self.scope == "global" else "in each layer"
        cuts = f", in {self.epochs} cuts with an epoch after each" if self.epochs else ""
        return f"Prune {format_percent(self.sparsity)} of the weights {where}, {by}{cuts}"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Put masks on ``bench.model``, and train between them if the cut is gradual."""
        if not self.epochs:
            self._cut_(bench, self.sparsity)
            return
        initial = min(_pruned_share(bench.model), self.sparsity)
        for cut in range(1, self.epochs + 1):
            self._cut_(bench, cubic(cut / self.epochs, self.sparsity, initial))
            seed = 1000 * bench.seed + cut  # no other step has it
            yield from bench.train(epochs=1, learning_rate=self.learning_rate, seed=seed)

    def _cut_(self, bench: Bench, sparsity: float | None) -> None:
        """Put on masks that prune more than those that are there, never less."""
        present = _present_masks(bench.model)
        scores = {
            # Below all others, so that what is pruned counts first and is never brought back.
            name: torch.where(present[name], score, -1)
            for name, score in CRITERIA[self.criterion](bench).items()
        }
        if self.pattern is None:
            masks = choose_masks(
                bench.model, sparsity=sparsity, scope=self.scope, importance=scores
            )
        else:
            kept, group = _pattern_counts(self.pattern)
            masks = {name: n_of_m_mask(score, kept, group) for name, score in scores.items()}
        apply_masks_(bench.model, {name: mask & present[name] for name, mask in masks.items()})


@dataclass(frozen=True)
class RemoveChannels(Step):
    """Take the least important channels out: fewer weights and fewer multiplications.

    Zeros that are pruned stay pruned.

    Attributes:
        pruning_ratio: channels removed / all, a fraction in [0, 1).
        scope: ``"layer"`` counts in each group of layers that are cut together, ``"global"`` over
            all groups.
        channel_criterion: ``"norm"`` of a channel's weights, or the ``"entropy"`` of what it says
            to training examples: a channel that says the same to all of them tells nothing.

    Raises:
        TypeError, ValueError: a field is out of range.

    Source: Li et al. 2017, arXiv:1608.08710; entropy: Luo & Wu 2017, arXiv:1706.05791.
    """

    pruning_ratio: float = 0.25
    scope: str = "layer"
    channel_criterion: str = "norm"

    def __post_init__(self) -> None:
        set_field_(self, pruning_ratio=check_fraction("pruning_ratio", self.pruning_ratio))
        check_choice("scope", self.scope, SCOPES)
        check_choice("channel_criterion", self.channel_criterion, tuple(CHANNEL_CRITERIA))

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        where = "in each layer" if self.scope == "layer" else "over all layers"
        by = "" if self.channel_criterion == "norm" else f", by {self.channel_criterion}"
        return f"Remove {format_percent(self.pruning_ratio)} of the channels {where}{by}"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Put a smaller model on the bench."""
        masked = current_masks(bench.model)
        bench.model = remove_channels(
            bench.model,
            pruning_ratio=self.pruning_ratio,
            example_inputs=bench.dataset.train.inputs[:_EXAMPLES],
            scope=self.scope,
            importance=CHANNEL_CRITERIA[self.channel_criterion](bench),
        )
        # The cut made the zeros permanent but holds nothing at 0: training would fill them.
        weights = _weights(bench.model)
        apply_masks_(bench.model, {name: weights[name] != 0 for name in masked})
        yield from ()


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {layer.name: layer.weight.detach() for layer in compressible_layers(model)}


def _present_masks(model: nn.Module) -> dict[str, Tensor]:
    masks = current_masks(model)
    return {
        name: masks.get(name, torch.ones_like(weight, dtype=torch.bool))
        for name, weight in _weights(model).items()
    }


def _pruned_share(model: nn.Module) -> float:
    masks = _present_masks(model).values()
    return sum(int((~mask).sum()) for mask in masks) / max(1, sum(m.numel() for m in masks))


def _check_pattern(pattern: str, epochs: int) -> None:
    counts = _pattern_counts(pattern)
    if counts is None or not 1 <= counts[0] < counts[1] <= 64:
        raise ValueError(
            f"pattern must be two whole numbers n:m with n below m and m at most 64, got "
            f"{pattern!r}. Try '2:4'."
        )
    if epochs:
        raise ValueError(f"epochs must be 0 with a pattern, which has no small cuts, got {epochs}.")


def _pattern_counts(pattern: str) -> tuple[int, int] | None:
    kept, _, group = pattern.partition(":") if isinstance(pattern, str) else ("", "", "")
    both = kept.isascii() and kept.isdigit() and group.isascii() and group.isdigit()
    short = len(kept) < 4 and len(group) < 4
    return (int(kept), int(group)) if both and short else None
