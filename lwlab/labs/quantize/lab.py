"""QuantizeLab: move the bits, see the grid, the noise, the measured accuracy and the real file."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import nn

from lwlab import measure
from lwlab.checks import check_choice, check_module
from lwlab.data import Dataset
from lwlab.journal import Entry
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.first_params import first_params
from lwlab.labs.journaling import json_params, one_try, origin_of
from lwlab.labs.live_plot import Drag, Screen
from lwlab.labs.quantize import controls as widgets_of
from lwlab.labs.quantize.bench import Bench
from lwlab.labs.quantize.desk import Desk
from lwlab.labs.quantize.params import BY_HAND, BY_LAYER, Clip, QuantizeParams
from lwlab.labs.quantize.result import QuantizeResult
from lwlab.labs.quantize.scanning import scan_key
from lwlab.labs.quantize.view import QuantizeView

__all__ = ["QuantizeLab"]


class QuantizeLab(Lab[QuantizeParams, QuantizeResult]):
    """Quantize ``model`` by a slider; every figure is measured on the validation split.

    The histogram shows the float weights of one layer and the grid they go to. Its two lines are
    the ends of the range: drag them, and that layer has its range by hand. The fold "Layer by
    layer" has a width for each layer, beside what that layer bears alone; "More" quantizes the
    activations too. Nothing happens to ``model`` itself: each setting is tried on a copy.
    ``lab.quantized_model()`` gives the copy that is on screen.

    Args:
        model: a trained network with convolutions or linear layers.
        dataset: sliders see its validation split, the ranges of activations its train split, the
            test button its test split.
        after: keep the lab locked until this prediction is made or skipped.
        **first: first values of the controls, by the fields of ``QuantizeParams``:
            ``QuantizeLab(model, dataset, num_bits=3, granularity="tensor")``.

    Raises:
        TypeError, ValueError: an argument is out of range, or there is nothing to quantize.
    """

    def __init__(
        self, model: nn.Module, dataset: Dataset, *, after: Gate | None = None, **first: Any
    ) -> None:
        params = first_params(QuantizeParams, type(self).__name__, first)
        self._dataset, self._bench = dataset, Bench(check_module("model", model), dataset)
        layers, self._origin = self._bench.layers, origin_of(model, dataset)
        params = dataclasses.replace(params, layer=params.layer or self._bench.largest_layer)
        check_choice("layer", params.layer, layers)
        self._view = QuantizeView(self._bench, type(model).__name__, dataset)
        counts = {name: w.numel() for name, w in self._bench.quantizers.weights.items()}
        self._desk = Desk(counts, params.layer_bits, params.budget, self._bench.baseline)
        self._buttons = widgets_of.Buttons()
        self.stop_button, self.test_button = self._buttons.stop, self._buttons.test
        self.measure_button, self.fill_button = self._desk.measure_button, self._desk.fill_button
        controls = widgets_of.controls(params, layers, self._desk)
        # Before the lab itself hears of them: what one control means for another.
        controls["layer_bits"].observe(self._on_desk, names="value")
        controls["clips"].observe(self._on_clips, names="value")
        controls["rule"].observe(self._on_rule, names="value")
        self._connect_buttons()
        super().__init__(
            params=dataclasses.replace(params, layer_bits=self._desk.choices.value),
            controls=controls,
            rows=widgets_of.rows(controls, self._desk, self._buttons),
            buttons=[self.test_button, self.measure_button, self.fill_button],
            after=after,
        )
        self.live.on_drag(lambda drag: self.pressed(lambda: self._dragged(drag)))
        self.compute_first()

    def _connect_buttons(self) -> None:
        for button, action in (
            (self.stop_button, self.stop),
            (self.test_button, self.score_on_test),
            (self.measure_button, self._measure_or_stop),
            (self.fill_button, lambda: self.request(self.read_controls(), "fill")),
        ):
            button.on_click(lambda _, action=action: self.pressed(action))

    # ---- the buttons ---------------------------------------------------------------------------

    def stop(self) -> None:
        """End the measuring; what is there by then stays."""
        self._bench.scans.stop()

    def score_on_test(self) -> None:
        """Score the network on screen on the test split; the next move takes the figure away."""
        self.request(self.read_controls(), "test")

    def measure_sensitivity(self) -> None:
        """Quantize each layer alone, with the present scales, and measure; or go on with it."""
        params = self.read_controls()
        self._bench.scans.start(scan_key(params))
        self.request(params)

    def fill_for_budget(self) -> None:
        """Choose the width of each layer by its sensitivity, so that the file fits the budget.

        Raises:
            ValueError: nothing is measured yet, or the budget is out of reach.
        """
        params = self.read_controls()
        allowed = round(params.budget * self._bench.baseline.size_bytes)
        self.set(layer_bits=self._bench.scans.allocate(scan_key(params), allowed))

    def clip(self, layer: str, low: float, high: float) -> None:
        """End the range of ``layer`` at ``low`` and ``high``; dragging its lines does the same.

        Raises:
            ValueError: there is no such layer, or 0 is not between the ends.
        """
        self.set(clips={layer: (low, high)})

    def set(self, **changes: Any) -> None:
        """Move controls by name: ``lab.set(num_bits=3)``.

        ``layer_bits={"conv1": 2}`` and ``clips={"conv1": (-0.2, 0.2)}`` leave the layers that they
        do not name where they are, and switch to widths by layer and to ranges by hand.

        Raises:
            ValueError: there is no such control, layer or value; nothing is moved.
        """
        if "layer_bits" in changes:
            merged = self._desk.choices.merged(changes["layer_bits"])
            changes = {"num_bits": BY_LAYER, **changes, "layer_bits": merged}
        if "clips" in changes:
            merged = self.controls["clips"].merged(changes["clips"])
            changes = {"rule": BY_HAND, **changes, "clips": merged}
        if changes.get("rule") == BY_HAND:
            changes = {"rest": self.read_controls().by_rest().rule, **changes}
        super().set(**changes)

    def quantized_model(self) -> nn.Module:
        """Return the network on screen, prepared: it trains on, and packs to the file shown."""
        return copy.deepcopy(self._bench.network(self.params))

    # ---- compute and draw ----------------------------------------------------------------------

    def compute(self, params: QuantizeParams) -> Iterator[Part[QuantizeResult]]:
        """Quantize a copy, write its file, score it in parts; then go on with a scan that runs."""
        try:
            yield from self._bench.parts(params, self._worker.outdated)
        finally:
            self._buttons.show(running=self._bench.running(params))

    def act(self, action: str, params: QuantizeParams, result: QuantizeResult) -> QuantizeResult:
        """Add the accuracy on the test split; or move the desk, which asks for a new result."""
        if action == "fill":  # here, since files are written and scored: no slider waits for it
            self.fill_for_budget()
            return result
        scored = measure.accuracy(self._bench.network(params), self._dataset.test)
        return dataclasses.replace(result, test_accuracy=scored)

    def draw(self, params: QuantizeParams, result: QuantizeResult) -> Screen:
        """Return the grid, accuracy against size, and what is to be seen below."""
        measuring = self._bench.running(params)
        self._buttons.show(running=measuring)
        self._desk.show(params, result, measuring=measuring)
        lines = result.view.lines if params.rule == BY_HAND else None  # else nobody sees them
        self.controls["clips"].show(result.view.name, lines)
        return self._view.draw(params, result, [past for _, past in self.history])

    def journal_entries(self, params: QuantizeParams, result: QuantizeResult) -> tuple[Entry]:
        """Return the try on screen."""
        return one_try(
            self, self._origin, json_params(params, without=("layer", "show", "budget")), result
        )

    # ---- what one control means for another ----------------------------------------------------

    def _dragged(self, drag: Drag) -> None:
        view = self.result.view
        if drag.figure != 0 or view.lines is None:
            return
        self.clip(view.name, *_moved(view.lines, drag, symmetric=self.params.symmetric))

    def _measure_or_stop(self) -> None:
        if self._bench.running(self.read_controls()):
            self.stop()
        else:
            self.measure_sensitivity()

    def _on_desk(self, _change: Any) -> None:
        if not self._silent and self.controls["num_bits"].value != BY_LAYER:
            self._show_in_controls({"num_bits": BY_LAYER})

    def _on_clips(self, _change: Any) -> None:
        if not self._silent and self.controls["rule"].value != BY_HAND:
            rest = self.controls["rule"].value
            self._show_in_controls({"rest": rest, "rule": BY_HAND})

    def _on_rule(self, change: Any) -> None:
        if not self._silent and change["new"] == BY_HAND:
            self._show_in_controls({"rest": change["old"]})


def _moved(lines: Clip, drag: Drag, *, symmetric: bool) -> Clip:
    """Return the ends after a drag of one line; on a symmetric grid the other one follows."""
    smallest = 1e-3 * (lines[1] - lines[0])  # a range has to be left
    if symmetric:
        end = max(abs(drag.x), smallest)
        return -end, end
    if drag.shape == 0:
        return min(drag.x, 0.0 if lines[1] > 0 else -smallest), lines[1]
    return lines[0], max(drag.x, 0.0 if lines[0] < 0 else smallest)
