"""The criteria of PruneLab: what each one ranks by, in a sentence, in code, and computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lwlab import prune
from lwlab.data import Dataset, Split
from lwlab.models import compressible_layers, layer_names
from lwlab.units import format_count

__all__ = ["CRITERIA", "Criteria", "Criterion"]

_Score = Callable[[nn.Module, Split, list[str]], prune.Importance]


@dataclass(frozen=True)
class Criterion:
    """A way to rank weights.

    Attributes:
        label: in the menu.
        note: what goes first, in one sentence; ``{examples}`` and ``{last}`` are filled
            in.
        code: the expression that computes it from ``model``, ``split`` and ``layers``.
        score: computes it.
        examples: how many training examples it looks at; 0 for none.
        channels: whether it scores whole channels; the last layer is then left out.
    """

    label: str
    note: str
    code: str
    score: _Score
    examples: int = 0
    channels: bool = False


def _activation_entropy(model: nn.Module, split: Split, layers: list[str]) -> prune.Importance:
    return prune.spread_channels(prune.activation_entropy(model, split, layers=layers), model)


def _weight_entropy(model: nn.Module, _split: Split, layers: list[str]) -> prune.Importance:
    return {
        layer.name: prune.spread_over_weight(prune.weight_entropy(layer.weight), layer.weight)
        for layer in compressible_layers(model)
        if layer.name in layers
    }


_LEFT_OUT = "The last layer, {last}, is left out: every class needs its row."

CRITERIA: dict[str, Criterion] = {
    "magnitude": Criterion(
        "magnitude",
        "The smallest |weight| goes first.",
        "prune.magnitude",
        lambda *_: prune.magnitude,
    ),
    "random": Criterion(
        "random",
        "Weights go by lot, the same ones each time: what any criterion has to beat.",
        "prune.RandomImportance(seed=0)",
        lambda *_: prune.RandomImportance(seed=0),
    ),
    "taylor": Criterion(
        "Taylor",
        "The smallest (gradient x weight)\N{SUPERSCRIPT TWO} goes first, on {examples} training "
        "examples.",
        "prune.taylor_importance({model}, {split})",
        lambda model, split, _: prune.taylor_importance(model, split),
        examples=500,
    ),
    "snip": Criterion(
        "SNIP",
        "The smallest |gradient x weight| goes first, on {examples} training examples. It is made "
        "for networks before training.",
        "prune.snip_importance({model}, {split})",
        lambda model, split, _: prune.snip_importance(model, split),
        examples=500,
    ),
    "obd": Criterion(
        "optimal brain damage",
        "The smallest curvature x weight\N{SUPERSCRIPT TWO} goes first, on {examples} training "
        "examples.",
        "prune.obd_saliency({model}, {split})",
        # Gauss-Newton: exact on networks of ReLU. The method "exact" would take minutes.
        lambda model, split, _: prune.obd_saliency(model, split),
        examples=100,
    ),
    "activation_entropy": Criterion(
        "activation entropy",
        "Whole channels go, first those whose answers to {examples} training examples vary least. "
        + _LEFT_OUT,
        "prune.spread_channels(\n"
        "    prune.activation_entropy({model}, {split}, layers=layers), {model})",
        _activation_entropy,
        examples=500,
        channels=True,
    ),
    "weight_entropy": Criterion(
        "weight entropy",
        "Whole channels go, first those with the least varied weights; layers of different size "
        "compare badly, so choose scope layer. " + _LEFT_OUT,
        "{{\n    layer.name: prune.spread_over_weight(prune.weight_entropy(layer.weight), "
        "layer.weight)\n    for layer in compressible_layers({model}) if layer.name in layers}}",
        _weight_entropy,
        channels=True,
    ),
}


class Criteria:
    """The criteria on one model; what needs data is computed at the first use, and kept.

    Args:
        model: the unpruned network.
        dataset: examples come from its train split.
    """

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        self._model, self._train = model, dataset.train
        self._scores: dict[str, prune.Importance] = {}

    def importance(self, name: str) -> prune.Importance:
        """Return the importance by the criterion ``name``, as ``prune.mask_model_`` takes it."""
        if name not in self._scores:
            self._scores[name] = self.importance_of(name, self._model)
        return self._scores[name]

    def importance_of(self, name: str, model: nn.Module) -> prune.Importance:
        """Return the importance in another state of the network; computed at each call."""
        criterion = CRITERIA[name]
        layers = self.layers(name) or []
        return criterion.score(model, self._train.take(max(1, criterion.examples)), layers)

    def layers(self, name: str) -> list[str] | None:
        """Return the layers that the criterion can prune; None for all.

        Raises:
            ValueError: there is none: all but the last one, and the model has only that.
        """
        if not CRITERIA[name].channels:
            return None
        names = layer_names(self._model)
        if len(names) < 2:
            raise ValueError(
                f"criterion must be one of single weights for a network of one layer, got "
                f"{name!r}, which leaves the last layer out. Try 'magnitude'."
            )
        return list(names[:-1])

    def scores(self, name: str) -> dict[str, Tensor]:
        """Return the importance of each weight as tensors by layer name."""
        weights = {layer.name: layer.weight.detach() for layer in compressible_layers(self._model)}
        return prune.layer_importances(weights, self.importance(name))

    def note(self, name: str) -> str:
        """Return what goes first, as one plain sentence or two."""
        return CRITERIA[name].note.format(
            examples=format_count(self._examples(name)),
            last=layer_names(self._model)[-1],
        )

    def code(self, name: str, model: str = "model") -> str:
        """Return the expression that computes the criterion on the variable ``model``."""
        return CRITERIA[name].code.format(
            model=model,
            split=f"dataset.train.take({self._examples(name)})",
        )

    def _examples(self, name: str) -> int:
        return min(CRITERIA[name].examples, len(self._train))
