"""ChannelLab: whole channels go, and everything that a smaller network saves is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lwlab import measure, packing, prune
from lwlab.checks import check_choice, check_fraction, check_module
from lwlab.data import Dataset
from lwlab.journal import Entry
from lwlab.labs import channel_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.journaling import json_params, one_try, origin_of
from lwlab.labs.live_plot import Screen
from lwlab.models import compressible_layers
from lwlab.units import format_count

__all__ = ["CRITERIA", "ChannelLab", "ChannelParams", "ChannelResult", "Costs"]

CRITERIA = ("filter norm", "activation entropy", "random")
_SCOPES = ("layer", "global")
_CALIBRATION_EXAMPLES = 500
_TIMED_EXAMPLES = 64
_TIMING_MS = 60  # for each of the two networks, at every move


@dataclass(frozen=True)
class ChannelParams:
    """How the network is cut.

    Attributes:
        pruning_ratio: share of the channels to remove, in [0, 1).
        criterion: which channels go first, a name in ``CRITERIA``.
        scope: ``layer`` takes the same share of each group, ``global`` ranks all together.
    """

    pruning_ratio: float = 0.5
    criterion: str = "filter norm"
    scope: str = "layer"

    def __post_init__(self) -> None:
        """Check every field."""
        check_fraction("pruning_ratio", self.pruning_ratio)
        check_choice("criterion", self.criterion, CRITERIA)
        check_choice("scope", self.scope, _SCOPES)


@dataclass(frozen=True)
class Costs:
    """What a network costs.

    Attributes:
        parameters: all of them.
        macs: multiply-accumulates for one example.
        latency: of a batch.
        breakdown: every byte of its packed file.
    """

    parameters: int
    macs: int
    latency: measure.Latency
    breakdown: packing.Breakdown


@dataclass(frozen=True, eq=False)
class ChannelResult:
    """What was measured at one setting.

    Attributes:
        accuracy: on the validation split, or on a part of it while the rest is coming.
        costs: of the smaller network.
        plan: what was removed, and what could not be.
        whole_latency: of the whole network, measured at the same moment.
    """

    accuracy: measure.Accuracy
    costs: Costs
    plan: prune.ChannelPlan
    whole_latency: measure.Latency

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return self.costs.breakdown.total


class ChannelLab(Lab[ChannelParams, ChannelResult]):
    """Remove channels of ``model`` by a slider: accuracy, parameters, arithmetic, time and bytes.

    Nothing happens to ``model`` itself. ``lab.pruned_model()`` gives the smaller network that is on
    screen, a plain module to train on.

    Args:
        model: a trained network; see ``prune.plan_channels`` for what can be cut.
        dataset: accuracies are of its validation split; activation entropy is computed on its
            train split.
        pruning_ratio, criterion, scope: first values of the controls, see ``ChannelParams``.
        after: keep the lab locked until this prediction is made or skipped.

    Raises:
        TypeError, ValueError: an argument is out of range, or no channel of the model can go.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        *,
        pruning_ratio: float = 0.5,
        criterion: str = "filter norm",
        scope: str = "layer",
        after: Gate | None = None,
    ) -> None:
        params = ChannelParams(pruning_ratio, criterion, scope)
        self._model, self._dataset = check_module("model", model), dataset
        self._origin = origin_of(model, dataset)
        self._example = dataset.validation.inputs[:1]
        self._scores: dict[str, prune.Importance] = {}
        plan = self._plan(ChannelParams(pruning_ratio=0.0))
        costs = self._costs(model)
        accuracy = measure.accuracy(model, dataset.validation)
        baseline = ChannelResult(accuracy, costs, plan, costs.latency)
        layers = _rows(model, plan)
        self._view = view.ChannelView(layers, baseline, type(model).__name__)
        controls = view.controls(params)
        super().__init__(params=params, controls=controls, rows=view.rows(controls), after=after)
        self.compute_first()

    def pruned_model(self) -> nn.Module:
        """Return a copy of the smaller network on screen."""
        return prune.remove_channels(self._model, plan=self.result.plan)

    def compute(self, params: ChannelParams) -> Iterator[Part[ChannelResult]]:
        """Cut, weigh and time the smaller network, then score it in parts."""
        plan = self._plan(params)
        small = prune.remove_channels(self._model, plan=plan)
        # Both now: what else runs on the machine should weigh on both alike.
        whole_latency, costs = self._latency(self._model), self._costs(small)
        everything = len(self._dataset.validation)
        for accuracy in measure.accuracy_in_parts(small, self._dataset.validation):
            estimate = (
                f"Estimate from {format_count(accuracy.total)} of {format_count(everything)} "
                f"validation examples; the rest is being scored."
            )
            whole = accuracy.total == everything
            result = ChannelResult(accuracy, costs, plan, whole_latency)
            yield Part(result, "" if whole else estimate)

    def draw(self, params: ChannelParams, result: ChannelResult) -> Screen:
        """Return the groups, accuracy against size, and all costs beside those before."""
        return self._view.draw(params, result, [past for _, past in self.history])

    def journal_entries(self, params: ChannelParams, result: ChannelResult) -> tuple[Entry]:
        """Return the try on screen; its latency is of a batch, and so stays out."""
        return one_try(self, self._origin, json_params(params), result)

    def _plan(self, params: ChannelParams) -> prune.ChannelPlan:
        return prune.plan_channels(
            self._model,
            pruning_ratio=params.pruning_ratio,
            example_inputs=self._example,
            importance=self._importance(params.criterion),
            scope=params.scope,
        )

    def _importance(self, criterion: str) -> prune.Importance | Mapping[str, Tensor]:
        """Return what ranks the channels; entropies need data and are computed once."""
        if criterion not in self._scores:
            self._scores[criterion] = {
                "filter norm": lambda: prune.filter_norm,
                "random": lambda: prune.RandomImportance(seed=0),
                "activation entropy": self._entropy,
            }[criterion]()
        return self._scores[criterion]

    def _entropy(self) -> dict[str, Tensor]:
        examples = self._dataset.train.take(min(_CALIBRATION_EXAMPLES, len(self._dataset.train)))
        return prune.activation_entropy(self._model, examples)

    def _costs(self, model: nn.Module) -> Costs:
        return Costs(
            measure.num_parameters(model),
            measure.macs(model, self._dataset.input_shape),
            self._latency(model),
            packing.breakdown(packing.to_bytes(model)),
        )

    def _latency(self, model: nn.Module) -> measure.Latency:
        batch = self._dataset.validation.inputs[:_TIMED_EXAMPLES]
        once = measure.latency(model, batch, repeats=1, warmup=2).median_ms
        repeats = int(min(20, max(3, _TIMING_MS / max(once, 0.01))))
        return measure.latency(model, batch, repeats=repeats, warmup=0)


def _rows(model: nn.Module, plan: prune.ChannelPlan) -> tuple[str, ...]:
    """Return the layers to show: what holds weights, and what a group goes through."""
    wanted = {layer.name for layer in compressible_layers(model)}
    for group in plan.groups:
        wanted.update(group.producers, group.followers, group.consumers)
    named = [name or "model" for name, _ in model.named_modules()]
    return tuple(name for name in named if name in wanted)
