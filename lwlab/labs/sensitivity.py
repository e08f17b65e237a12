"""SensitivityLab: which layer bears how much pruning, and what the choices make together."""

from __future__ import annotations

import copy
import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lwlab import measure, packing, prune
from lwlab.checks import check_fraction, check_module
from lwlab.data import Dataset
from lwlab.labs import sensitivity_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.live_plot import Click, Screen
from lwlab.prune.allocation import allocate
from lwlab.prune.sensitivity import SPARSITIES, Sensitivity, scan_sensitivity
from lwlab.units import format_count

__all__ = ["SensitivityLab", "SensitivityParams", "SensitivityResult"]

# Eight pictures a second look live; more only fill the connection to the browser.
_SECONDS_BETWEEN_PICTURES = 0.125


@dataclass(frozen=True)
class SensitivityParams:
    """How far each layer is pruned.

    Attributes:
        target: share of all weights that the choices were last filled for, in [0, 1).
        choices: sparsity by layer name; 0 leaves a layer as it is.
    """

    target: float = 0.0
    choices: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every field."""
        check_fraction("target", self.target)
        for name, value in self.choices.items():
            check_fraction(f"sparsity of layer {name!r}", value)


@dataclass(frozen=True)
class SensitivityResult:
    """The scan so far, and what was measured with all choices together.

    Attributes:
        sensitivity: the scan; each point with one layer pruned.
        accuracy: of all choices together on the validation split, or on a part of it while the
            rest is coming.
        breakdown: every byte of the packed file of all choices together.
        sparsity: zeros / all, over the compressible weights.
        zeros: zeros / all of each compressible layer.
    """

    sensitivity: Sensitivity
    accuracy: measure.Accuracy
    breakdown: packing.Breakdown
    sparsity: float
    zeros: dict[str, float]

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return self.breakdown.total


class SensitivityLab(Lab[SensitivityParams, SensitivityResult]):
    """Scan ``model`` layer by layer, live; click on a cell to prune that layer so far.

    The heatmap has a row a layer: the accuracy with that layer *alone* pruned. The cells in a frame
    are the choices, and all choices *together* are measured: accuracy on the validation split, and
    the packed file. "Allocate for" fills the choices by ``prune.allocate`` from what is measured by
    then. Nothing happens to ``model``; ``lab.pruned_model()`` gives the network on screen.

    Args:
        model: a trained network with convolutions or linear layers; it is copied.
        dataset: everything is measured on its validation split.
        sparsities: the columns, fractions in [0, 1), rising.
        tolerance: early exit of the scan, as in ``scan_sensitivity``.
        known: an earlier scan of the same model to go on with, as in ``scan_sensitivity``.
        after: keep the lab locked until this prediction is made or skipped.

    Raises:
        TypeError, ValueError: as in ``scan_sensitivity``.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        *,
        sparsities: Iterable[float] = SPARSITIES,
        tolerance: float | None = None,
        known: Sensitivity | None = None,
        after: Gate | None = None,
    ) -> None:
        self._model, self._dataset = copy.deepcopy(check_module("model", model)), dataset
        self._scan = scan_sensitivity(
            self._model, dataset.validation, sparsities=sparsities, tolerance=tolerance, known=known
        )
        self._table = next(self._scan)
        self._target = 0.0
        self._scanning = threading.Event()
        baseline = self._measured(SensitivityParams(), self._table.baseline)
        self._view = view.SensitivityView(self._model, baseline)
        controls = view.controls(self._table.layers, self._view.columns)
        self.scan_button = view.scan_button()
        params = SensitivityParams(choices=controls["choices"].value)
        super().__init__(
            params=params,
            controls=controls,
            rows=view.rows(controls, self.scan_button),
            buttons=[self.scan_button],
            after=after,
        )
        self.scan_button.on_click(lambda _: self.pressed(self._stop_or_go_on))
        self.live.on_click(lambda click: self.pressed(lambda: self._clicked(click)))
        self._scanning.set()
        self.compute_first()

    @property
    def choices(self) -> dict[str, float]:
        """Sparsity by layer name, of the result on screen."""
        return dict(self.params.choices)

    def choose(self, layer: str, sparsity: float) -> None:
        """Prune ``layer`` to ``sparsity``, one of the columns; a click on its cell does the same.

        Raises:
            ValueError: there is no such layer or column.
        """
        self.set(choices={layer: sparsity})

    def set(self, **changes: Any) -> None:
        """Move controls: ``lab.set(target=0.9)`` or ``lab.set(choices={"conv1": 0.5})``.

        Layers that are not named keep their choice. A new target fills all choices.

        Raises:
            ValueError: there is no such control, layer or column; nothing is moved.
        """
        if "choices" in changes:
            changes["choices"] = self.controls["choices"].merged(changes["choices"])
        super().set(**changes)

    def stop(self) -> None:
        """Let the scan rest after the point it is at."""
        self._scanning.clear()
        self._show_button()

    def go_on(self) -> None:
        """Let the scan go on where it rests."""
        self._scanning.set()
        self.request(self.read_controls())

    def pruned_model(self) -> nn.Module:
        """Return the network on screen as a plain module: masks baked in, ready to save."""
        pruned = self._pruned(self.params)
        prune.bake_(pruned)
        return pruned

    def compute(self, params: SensitivityParams) -> Iterator[Part[SensitivityResult]]:
        """Measure the choices together, in parts; then go on with the scan, if it runs."""
        everything = len(self._dataset.validation)
        pruned = self._pruned(params)
        for accuracy in measure.accuracy_in_parts(pruned, self._dataset.validation):
            result = self._measured(params, accuracy)
            seen = f"{format_count(accuracy.total)} of {format_count(everything)}"
            estimate = f"Estimate from {seen} validation examples; the rest is being scored."
            yield Part(result, self._progress() if accuracy.total == everything else estimate)
        if not self._progress():
            return
        shown_at = time.monotonic()
        for table in self._scan:
            self._table = table
            if not self._progress():
                break
            if time.monotonic() - shown_at >= _SECONDS_BETWEEN_PICTURES or self._worker.outdated():
                shown_at = time.monotonic()
                yield Part(self._with_table(result), self._progress())
        yield Part(self._with_table(result))

    def draw(self, params: SensitivityParams, result: SensitivityResult) -> Screen:
        """Return the heatmap, accuracy against size, zeros of the layers, and the file."""
        self._show_button()
        return self._view.draw(params, result, [past for _, past in self.history])

    def moved(self, params: SensitivityParams) -> None:
        """Measure the choices; a target that moved fills them first."""
        if params.target == self._target:
            self.request(params)
            return
        self._target = params.target
        self.pressed(lambda: self._allocate(params))

    def _allocate(self, params: SensitivityParams) -> None:
        choices = allocate(self._table, self._model, sparsity=params.target)
        self._show_in_controls({"choices": choices})
        self.request(dataclasses.replace(params, choices=choices))

    def _clicked(self, click: Click) -> None:
        cell = self._view.cell_of(click)
        if cell is not None:
            self.choose(*cell)

    def _stop_or_go_on(self) -> None:
        if self._scanning.is_set() and self._table.done < self._table.total:
            self.stop()
        else:
            self.go_on()

    def _progress(self) -> str:
        """Return how far the running scan is; empty when it rests or is through."""
        done, total = self._table.done, self._table.total
        if done == total or not self._scanning.is_set():
            return ""
        return f"Scanning: {done} of {total} measured."

    def _show_button(self) -> None:
        view.show_scan(self.scan_button, self._table, running=bool(self._progress()))

    def _pruned(self, params: SensitivityParams) -> nn.Module:
        pruned = copy.deepcopy(self._model)
        chosen = {name: value for name, value in params.choices.items() if value > 0}
        if chosen:
            prune.mask_model_(pruned, sparsity=chosen)
        return pruned

    def _with_table(self, result: SensitivityResult) -> SensitivityResult:
        return dataclasses.replace(result, sensitivity=self._table)

    def _measured(self, params: SensitivityParams, accuracy: measure.Accuracy) -> SensitivityResult:
        pruned = self._pruned(params)
        return SensitivityResult(
            self._table,
            accuracy,
            packing.breakdown(packing.to_bytes(pruned)),
            measure.sparsity(pruned),
            measure.layer_sparsities(pruned),
        )
