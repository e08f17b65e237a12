"""PenaltyLab: one network trained under several penalties at once, and what a cut makes of each."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from lwlab import measure, prune
from lwlab.checks import check_choice, check_count, check_number
from lwlab.data import Dataset
from lwlab.labs import penalty_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.live_plot import Screen
from lwlab.models import compressible_layers
from lwlab.train import PenaltyFunction, Record, fit

__all__ = ["PENALTIES", "PenaltyLab", "PenaltyParams", "PenaltyResult", "PenaltyRun"]

PENALTIES: dict[str, type | None] = {
    "no penalty": None,
    "L2": prune.L2Penalty,
    "L1": prune.L1Penalty,
    "group lasso": prune.GroupLassoPenalty,
    "BatchNorm scales": prune.BatchNormScalePenalty,
}
_ALWAYS = ("no penalty", "L2", "L1")
_SPARSITIES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
_NEAR_ZERO = 1e-3
_SECONDS_BETWEEN_PICTURES = 0.125
_PICTURES_AN_EPOCH = 4
_BATCH_SIZE = 64


@dataclass(frozen=True)
class PenaltyParams:
    """How the networks are trained.

    Attributes:
        strength: of every penalty, above 0.
        epochs: passes over the train split.
        beside: what is compared with L1 and L2, a name in ``PENALTIES``.
        seed: of the shuffling, the same for all.
    """

    strength: float = 3e-4
    epochs: int = 10
    beside: str = "no penalty"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        check_number("strength", self.strength, above=0)
        check_count("epochs", self.epochs)
        allowed = [name for name in PENALTIES if name not in _ALWAYS[1:]]
        check_choice("beside", self.beside, allowed)
        check_count("seed", self.seed, minimum=0)

    def names(self) -> tuple[str, ...]:
        """Return the penalties under which a network is trained, the ghost first."""
        return (*_ALWAYS, *({self.beside} - set(_ALWAYS)))


@dataclass(frozen=True, eq=False)
class PenaltyRun:
    """One of the networks.

    Attributes:
        weights: copy of its compressible weights, all in one tensor.
        near_zero: share of them with ``|w| < 0.001``.
        accuracy: fraction right on the validation split after the newest epoch; None before.
        curve: (sparsity, accuracy) after a global magnitude cut, nothing trained again; empty
            until the training is over.
    """

    weights: torch.Tensor
    near_zero: float
    accuracy: float | None = None
    curve: tuple[tuple[float, measure.Accuracy], ...] = ()


@dataclass(frozen=True, eq=False)
class PenaltyResult:
    """The networks at one moment.

    Attributes:
        runs: by the name of the penalty.
        networks: the networks themselves, which train on until the result is whole.
    """

    runs: dict[str, PenaltyRun]
    networks: dict[str, nn.Module]


class PenaltyLab(Lab[PenaltyParams, PenaltyResult]):
    """Train copies of ``model`` under different penalties, live; then cut each at many sparsities.

    Every move of a control trains all of them anew, from the weights that ``model`` had when the
    lab was made, with the same batches. ``model`` itself is left as it is;
    ``lab.trained_model("L1")`` gives a copy of a trained one.

    Args:
        model: any network with convolutions or linear layers, trained or not.
        dataset: its train split is learned; accuracies are of its validation split.
        strength, epochs, beside, seed: first values of the controls, see ``PenaltyParams``.
        after: keep the lab locked until this prediction is made or skipped.

    Raises:
        TypeError, ValueError: an argument is out of range, or there is nothing to train.
    """

    history_length = 1  # a result holds whole networks

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        *,
        strength: float = 3e-4,
        epochs: int = 10,
        beside: str = "no penalty",
        seed: int = 0,
        after: Gate | None = None,
    ) -> None:
        params = PenaltyParams(strength, epochs, beside, seed)
        _check_fit(model, dataset)
        self._model, self._dataset = copy.deepcopy(model), dataset
        controls = view.controls(params, _choices(model))
        super().__init__(params=params, controls=controls, rows=view.rows(controls), after=after)
        self.compute_first()

    def trained_model(self, penalty: str) -> nn.Module:
        """Return a copy of the network on screen that was trained under ``penalty``.

        Raises:
            ValueError: no network was trained under it.
        """
        networks = self.result.networks
        return copy.deepcopy(networks[check_choice("penalty", penalty, networks)])

    def compute(self, params: PenaltyParams) -> Iterator[Part[PenaltyResult]]:
        """Train all copies side by side, a picture a few times a second; then cut each."""
        networks = {name: copy.deepcopy(self._model) for name in params.names()}
        shown_at = 0.0
        trainings = [self._fit(network, name, params) for name, network in networks.items()]
        for records in zip(*trainings, strict=True):
            if time.monotonic() - shown_at >= _SECONDS_BETWEEN_PICTURES:
                shown_at = time.monotonic()
                result = self._moment(networks, records)
                yield Part(result, f"Training: epoch {records[0].epoch} of {params.epochs}.")
        yield Part(self._moment(networks, records, cut=True))

    def draw(self, params: PenaltyParams, result: PenaltyResult) -> Screen:
        """Return a histogram for each network, and accuracy against sparsity for all."""
        return view.draw(params, result, type(self._model).__name__)

    def _fit(self, network: nn.Module, name: str, params: PenaltyParams) -> Iterator[Record]:
        kind = PENALTIES[name]
        penalty: PenaltyFunction | None = None if kind is None else kind(params.strength)
        steps_an_epoch = -(-len(self._dataset.train) // _BATCH_SIZE)
        return fit(
            network,
            self._dataset,
            epochs=params.epochs,
            batch_size=_BATCH_SIZE,
            seed=params.seed,
            penalty=penalty,
            steps_per_record=max(1, steps_an_epoch // _PICTURES_AN_EPOCH),
        )

    def _moment(
        self, networks: dict[str, nn.Module], records: tuple[Record, ...], *, cut: bool = False
    ) -> PenaltyResult:
        """Return where the networks stand; ``cut`` measures their curves as well."""
        runs = {
            name: PenaltyRun(
                weights := _weights(network),
                float((weights.abs() < _NEAR_ZERO).float().mean()),
                record.validation_accuracy,
                self._curve(network) if cut else (),
            )
            for (name, network), record in zip(networks.items(), records, strict=True)
        }
        return PenaltyResult(runs, networks)

    def _curve(self, network: nn.Module) -> tuple[tuple[float, measure.Accuracy], ...]:
        pruned = copy.deepcopy(network)
        curve = []
        for sparsity in _SPARSITIES:
            prune.mask_model_(pruned, sparsity=sparsity)
            curve.append((sparsity, measure.accuracy(pruned, self._dataset.validation)))
        return tuple(curve)


def _check_fit(model: nn.Module, dataset: Dataset) -> None:
    """Raise what ``fit`` or a penalty would, before a widget is made."""
    fit(model, dataset, epochs=1)
    prune.L1Penalty(1.0)(model)


def _choices(model: nn.Module) -> list[str]:
    """Return what can be compared with L1 and L2 on this model."""
    normalized = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    return ["no penalty", "group lasso", *(["BatchNorm scales"] if normalized else [])]


def _weights(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([layer.weight.flatten() for layer in compressible_layers(network)])
