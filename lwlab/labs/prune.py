"""PruneLab: move the cut, see the measured accuracy and the real file follow."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import ipywidgets as widgets
import torch
from torch import nn

from lwlab import measure, packing, prune
from lwlab.checks import check_choice, check_fraction, check_module, check_number
from lwlab.data import Dataset
from lwlab.labs import prune_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.live_plot import Screen
from lwlab.models import compressible_layers
from lwlab.units import format_count

__all__ = ["PruneLab", "PruneParams", "PruneResult"]

_WAYS = ("sparsity", "threshold", "deviations")
_SCOPES = ("global", "layer")


@dataclass(frozen=True)
class PruneParams:
    """Where the cut is.

    Attributes:
        by: which of the next three is meant.
        sparsity: share of all weights to prune, in [0, 1).
        threshold: prune ``|w|`` below this number, in every layer.
        deviations: prune ``|w|`` below this many standard deviations of its layer.
        scope: ``global`` or ``layer``, the ranking that ``sparsity`` counts in.
    """

    by: str = "sparsity"
    sparsity: float = 0.5
    threshold: float = 0.0
    deviations: float = 0.0
    scope: str = "global"

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("by", self.by, _WAYS)
        check_fraction("sparsity", self.sparsity)
        check_number("threshold", self.threshold, minimum=0)
        check_number("deviations", self.deviations, minimum=0)
        check_choice("scope", self.scope, _SCOPES)

    def as_arguments(self) -> dict[str, float | str]:
        """Return what ``prune.mask_model_`` is called with."""
        if self.by == "sparsity":
            return {"sparsity": self.sparsity, "scope": self.scope}
        return {self.by: getattr(self, self.by)}


@dataclass(frozen=True)
class PruneResult:
    """What was measured at one setting.

    Attributes:
        accuracy: on the validation split, or on a part of it while the rest is coming.
        breakdown: every byte of the packed file.
        sparsity: zeros / all, over the compressible weights.
        masks: bool tensor of each layer, True keeps.
        test_accuracy: on the test split, if it was asked for at this setting.
    """

    accuracy: measure.Accuracy
    breakdown: packing.Breakdown
    sparsity: float
    masks: dict[str, torch.Tensor]
    test_accuracy: measure.Accuracy | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return self.breakdown.total


class PruneLab(Lab[PruneParams, PruneResult]):
    """Prune ``model`` by a slider; every figure is measured on the validation split.

    Nothing happens to ``model`` itself: each setting is tried on a copy. ``lab.pruned_model()``
    gives the copy that is on screen.

    Args:
        model: a trained network with convolutions or linear layers.
        dataset: sliders see its validation split, the test button its test split.
        by, sparsity, threshold, deviations, scope: first values of the controls, see
            ``PruneParams``.
        after: keep the lab locked until this prediction is made or skipped.

    Raises:
        TypeError, ValueError: an argument is out of range, or there is nothing to prune.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        *,
        by: str = "sparsity",
        sparsity: float = 0.5,
        threshold: float = 0.0,
        deviations: float = 0.0,
        scope: str = "global",
        after: Gate | None = None,
    ) -> None:
        params = PruneParams(by, sparsity, threshold, deviations, scope)
        self._model, self._dataset = check_module("model", model), dataset
        self._baseline = self._measure(self._pruned(PruneParams(sparsity=0.0)))
        weights = {layer.name: layer.weight.detach() for layer in compressible_layers(model)}
        self._view = view.PruneView(weights, self._baseline, type(model).__name__)
        controls = view.controls(params, weights)
        self.test_button = widgets.Button(
            description="Score on test", tooltip="Once, when all choices are made"
        )
        self.test_button.on_click(lambda _: self.pressed(self.score_on_test))
        super().__init__(
            params=params,
            controls=controls,
            rows=view.rows(controls, self.test_button),
            buttons=[self.test_button],
            after=after,
        )
        self.compute_first()

    def score_on_test(self) -> None:
        """Score the present setting on the test split; the next move takes the figure away."""
        self.request(self.read_controls(), "test")

    def pruned_model(self) -> nn.Module:
        """Return the network on screen as a plain module: masks baked in, ready to save."""
        pruned = self._pruned(self.params)
        prune.bake_(pruned)
        return pruned

    def compute(self, params: PruneParams) -> Iterator[Part[PruneResult]]:
        """Prune a copy, write its file, score it in parts."""
        pruned = self._pruned(params)
        everything = len(self._dataset.validation)
        for result in self._results(pruned):
            seen = result.accuracy.total
            estimate = (
                f"Estimate from {format_count(seen)} of {format_count(everything)} validation "
                f"examples; the rest is being scored."
            )
            yield Part(result, "" if seen == everything else estimate)

    def act(self, action: str, params: PruneParams, result: PruneResult) -> PruneResult:
        """Add the accuracy on the test split."""
        scored = measure.accuracy(self._pruned(params), self._dataset.test)
        return dataclasses.replace(result, test_accuracy=scored)

    def draw(self, params: PruneParams, result: PruneResult) -> Screen:
        """Return the histogram with the cut, accuracy against size, layers, and the file."""
        return self._view.draw(params, result, [past for _, past in self.history])

    def _pruned(self, params: PruneParams) -> nn.Module:
        pruned = copy.deepcopy(self._model)
        prune.mask_model_(pruned, **params.as_arguments())
        return pruned

    def _results(self, pruned: nn.Module) -> Iterator[PruneResult]:
        breakdown = packing.breakdown(packing.to_bytes(pruned))
        masks, sparsity = prune.current_masks(pruned), measure.sparsity(pruned)
        for accuracy in measure.accuracy_in_parts(pruned, self._dataset.validation):
            yield PruneResult(accuracy, breakdown, sparsity, masks)

    def _measure(self, model: nn.Module) -> PruneResult:
        *_, whole = self._results(model)
        return whole
