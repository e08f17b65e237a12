"""PruneLab: move the cut, see the measured accuracy and the real file follow; then fine-tune."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import nn

from lwlab import measure, prune
from lwlab.checks import check_module
from lwlab.data import Dataset
from lwlab.journal import Entry
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.first_params import first_params
from lwlab.labs.journaling import json_params, one_try, origin_of
from lwlab.labs.live_plot import Screen
from lwlab.labs.prune import controls as widgets_of
from lwlab.labs.prune.bench import Bench
from lwlab.labs.prune.desk import Desk
from lwlab.labs.prune.params import PruneParams
from lwlab.labs.prune.result import PruneResult
from lwlab.labs.prune.view import PruneView
from lwlab.models import compressible_layers

__all__ = ["PruneLab"]


class PruneLab(Lab[PruneParams, PruneResult]):
    """Prune ``model`` by a slider; every figure is measured on the validation split.

    Fine-tune trains the weights that are left, live; Stop keeps what is there, and any move of the
    cut shows the network without fine-tuning again. The fold "Layer by layer" has a slider a
    layer, beside what that layer bears alone. Nothing happens to ``model`` itself: each setting is
    tried on a copy. ``lab.pruned_model()`` gives the copy that is on screen.

    Args:
        model: a trained network with convolutions or linear layers.
        dataset: sliders see its validation split, criteria and fine-tuning its train split, the
            test button its test split.
        after: keep the lab locked until this prediction is made or skipped.
        **first: first values of the controls, by the fields of ``PruneParams``:
            ``PruneLab(model, dataset, sparsity=0.8, criterion="taylor")``.

    Raises:
        TypeError, ValueError: an argument is out of range, or there is nothing to prune.
    """

    def __init__(
        self, model: nn.Module, dataset: Dataset, *, after: Gate | None = None, **first: Any
    ) -> None:
        params = first_params(PruneParams, type(self).__name__, first)
        self._dataset, self._bench = dataset, Bench(check_module("model", model), dataset)
        weights = {layer.name: layer.weight.detach() for layer in compressible_layers(model)}
        self._view = PruneView(weights, self._bench, type(model).__name__, dataset)
        baseline, self._origin = self._bench.baseline, origin_of(model, dataset)
        self._desk = Desk(list(weights), params.layer_sparsities, params.budget, baseline)
        self._buttons = widgets_of.Buttons()
        self.tune_button, self.stop_button = self._buttons.tune, self._buttons.stop
        self.test_button = self._buttons.test
        self.measure_button, self.fill_button = self._desk.measure_button, self._desk.fill_button
        controls = widgets_of.controls(params, weights, self._desk)
        # Before the lab itself hears of it: a slider of the desk means the desk.
        controls["layer_sparsities"].observe(self._on_desk, names="value")
        self._connect_buttons()
        super().__init__(
            params=dataclasses.replace(params, layer_sparsities=self._desk.choices.value),
            controls=controls,
            rows=widgets_of.rows(controls, self._desk, self._buttons),
            buttons=[self.tune_button, self.test_button, self.measure_button, self.fill_button],
            after=after,
        )
        self.compute_first()

    def _connect_buttons(self) -> None:
        for button, action in (
            (self.tune_button, self.finetune),
            (self.stop_button, self.stop),
            (self.test_button, self.score_on_test),
            (self.measure_button, self._measure_or_stop),
            (self.fill_button, self.fill_for_budget),
        ):
            button.on_click(lambda _, action=action: self.pressed(action))

    # ---- the buttons ---------------------------------------------------------------------------

    def finetune(self) -> None:
        """Train the weights that are left, from the network right after the cut.

        Raises:
            ValueError: the schedule is a rising one, and the cut has no sparsity to raise.
        """
        params = self.read_controls()
        self._bench.start_tuning(params)
        self.request(params)

    def stop(self) -> None:
        """End the fine-tuning or the measuring; what is there by then stays."""
        self._bench.stop()

    def score_on_test(self) -> None:
        """Score the network on screen on the test split; the next move takes the figure away."""
        self.request(self._bench.keep_tuning(self.read_controls()), "test")

    def measure_sensitivity(self) -> None:
        """Prune each layer alone, by the present criterion, and measure; or go on with it."""
        params = self.read_controls()
        self._bench.scans.start(params.criterion)
        self.moved(params)

    def fill_for_budget(self) -> None:
        """Choose the sparsity of each layer by its sensitivity, so that the file fits the budget.

        Raises:
            ValueError: nothing is measured yet, or the budget is out of reach.
        """
        params = self.read_controls()
        allowed = round(params.budget * self._bench.baseline.size_bytes)
        self.set(layer_sparsities=self._bench.scans.allocate(params.criterion, allowed))

    def set(self, **changes: Any) -> None:
        """Move controls by name: ``lab.set(criterion="taylor")``.

        ``layer_sparsities={"conv1": 0.5}`` leaves the layers that it does not name where they are,
        and prunes by layers.

        Raises:
            ValueError: there is no such control, layer or value; nothing is moved.
        """
        if "layer_sparsities" in changes:
            merged = self._desk.choices.merged(changes["layer_sparsities"])
            changes = {"by": "layers", **changes, "layer_sparsities": merged}
        super().set(**changes)

    def pruned_model(self) -> nn.Module:
        """Return the network on screen as a plain module: masks baked in, ready to save."""
        pruned = copy.deepcopy(self._bench.network(self.params))
        prune.bake_(pruned)
        return pruned

    # ---- compute and draw ----------------------------------------------------------------------

    def moved(self, params: PruneParams) -> None:
        """Measure the new cut; another cut than the fine-tuned one drops the fine-tuning."""
        self.request(self._bench.keep_tuning(params))

    def compute(self, params: PruneParams) -> Iterator[Part[PruneResult]]:
        """Prune a copy, write its file, score it in parts; then go on with what takes long."""
        try:
            yield from self._bench.parts(params, self._worker.outdated)
        finally:
            self._buttons.show(running=self._bench.running(params))

    def act(self, action: str, params: PruneParams, result: PruneResult) -> PruneResult:
        """Add the accuracy on the test split."""
        scored = measure.accuracy(self._bench.network(params), self._dataset.test)
        return dataclasses.replace(result, test_accuracy=scored)

    def draw(self, params: PruneParams, result: PruneResult) -> Screen:
        """Return the cut or the recovery, accuracy against size, and what is to be seen below."""
        self._buttons.show(running=self._bench.running(params))
        self._desk.show(params, result, measuring=self._bench.scans.running(params.criterion))
        return self._view.draw(params, result, [past for _, past in self.history])

    def journal_entries(self, params: PruneParams, result: PruneResult) -> tuple[Entry]:
        """Return the try on screen; settings of the fine-tuning count only where there was one."""
        tuned = () if result.tuned else ("epochs", "learning_rate", "schedule")
        return one_try(
            self,
            self._origin,
            json_params(params, without=("show", "budget", *tuned)),
            result,
            note="fine-tuned" if result.tuned else "",
        )

    def _measure_or_stop(self) -> None:
        if self._bench.scans.running(self.read_controls().criterion):
            self._bench.scans.stop()
        else:
            self.measure_sensitivity()

    def _on_desk(self, _change: Any) -> None:
        if not self._silent and self.controls["by"].value != "layers":
            self._show_in_controls({"by": "layers"})
