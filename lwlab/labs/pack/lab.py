"""PackLab: prune, quantize, and see the bytes of the file fall, coding by coding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import nn

from lwlab import measure
from lwlab.checks import check_module
from lwlab.data import Dataset
from lwlab.journal import Entry
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.first_params import first_params
from lwlab.labs.journaling import json_params, one_try, origin_of
from lwlab.labs.live_plot import Screen
from lwlab.labs.pack import controls as widgets_of
from lwlab.labs.pack.bench import Bench
from lwlab.labs.pack.params import PackParams
from lwlab.labs.pack.result import PackResult
from lwlab.labs.pack.view import PackView

__all__ = ["PackLab"]


class PackLab(Lab[PackParams, PackResult]):
    """Write ``model`` as small as you like, and see what every byte is for.

    The weights are pruned over all layers and quantized; then the file is written with the codings
    that are ticked, loaded back, and scored. The first figure has a bar for the file without any
    coding and one for each that is switched on, against the Shannon bound of the same numbers; the
    second has the layers of the file. Nothing happens to ``model`` itself.
    ``lab.packed_model()`` gives what comes out of the file, ``lab.data()`` the file.

    Args:
        model: a trained network with convolutions or linear layers. Quantizers and codebooks that
            it brings are taken off a copy; masks stay as zeros.
        dataset: sliders see its validation split, the test button its test split.
        after: keep the lab locked until this prediction is made or skipped.
        **first: first values of the controls, by the fields of ``PackParams``:
            ``PackLab(model, dataset, sparsity=0.9, codings=("bitmask",))``.

    Raises:
        TypeError, ValueError: an argument is out of range, or there is nothing to quantize.
    """

    def __init__(
        self, model: nn.Module, dataset: Dataset, *, after: Gate | None = None, **first: Any
    ) -> None:
        params = first_params(PackParams, type(self).__name__, first)
        self._dataset, self._bench = dataset, Bench(check_module("model", model), dataset)
        self._origin = origin_of(model, dataset)
        name = type(model).__name__.removeprefix("Parametrized")
        self._view = PackView(self._bench, name)
        self._buttons = widgets_of.Buttons()
        self.containers_button, self.test_button = self._buttons.containers, self._buttons.test
        for button, action in (
            (self.containers_button, self.compare_containers),
            (self.test_button, self.score_on_test),
        ):
            button.on_click(lambda _, action=action: self.pressed(action))
        controls = widgets_of.controls(params)
        super().__init__(
            params=params,
            controls=controls,
            rows=widgets_of.rows(controls, self._buttons),
            buttons=[self.containers_button, self.test_button],
            after=after,
        )
        self.compute_first()

    def compare_containers(self) -> None:
        """Write the network on screen as ``torch.save``, gzip and npz do; it takes a moment."""
        self.request(self.read_controls(), "containers")

    def score_on_test(self) -> None:
        """Score the file on screen on the test split; the next move takes the figure away."""
        self.request(self.read_controls(), "test")

    def packed_model(self) -> nn.Module:
        """Return the network that comes out of the file on screen: a new, plain one."""
        return self._bench.loaded(self.params)

    def data(self) -> bytes:
        """Return the file on screen; ``packing.from_bytes_(model, data)`` loads it."""
        return self._bench.file(self.params).data

    def compute(self, params: PackParams) -> Iterator[Part[PackResult]]:
        """Shrink a copy, write its file, load it back, score that; then fill in the ladder."""
        yield from self._bench.parts(params, self._worker.outdated)

    def act(self, action: str, params: PackParams, result: PackResult) -> PackResult:
        """Add the other containers, or the accuracy on the test split."""
        if action == "containers":
            return dataclasses.replace(result, containers=self._bench.containers(params))
        scored = measure.accuracy(self._bench.loaded(params), self._dataset.test)
        return dataclasses.replace(result, test_accuracy=scored)

    def draw(self, params: PackParams, result: PackResult) -> Screen:
        """Return the ladder of codings, and the layers of the file."""
        return self._view.draw(params, result)

    def journal_entries(self, params: PackParams, result: PackResult) -> tuple[Entry]:
        """Return the try on screen, with its file."""
        return one_try(
            self, self._origin, json_params(params), result, state=self._bench.file(params).data
        )
