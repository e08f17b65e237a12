"""PipelineLab: drag steps into an order, run them, and see what each of them is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from lwlab import packing
from lwlab.data import Dataset
from lwlab.distill import Teacher
from lwlab.journal import Entry, Journal, default_journal
from lwlab.labs.contract import Gate, Part
from lwlab.labs.first_params import first_params
from lwlab.labs.held_lab import HeldLab
from lwlab.labs.live_plot import Click, Screen
from lwlab.labs.pipeline import controls as widgets_of
from lwlab.labs.pipeline.attempt import Attempt
from lwlab.labs.pipeline.bench import Bench
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.labs.pipeline.result import AttemptResult, PipelineLabResult
from lwlab.labs.pipeline.view import PipelineView
from lwlab.pipeline import Step, recipe_from_json, recipe_to_json

__all__ = ["PipelineLab"]


class PipelineLab(HeldLab[PipelineParams, PipelineLabResult]):
    """Put steps into an order, run them on a copy of ``model``, and see each of them measured.

    Blocks are dragged, or moved with the arrow keys; the form below is for the chosen one. An order
    that makes no sense says so, and cannot be run. Each finished step is packed, loaded back,
    scored and kept in the journal; the front shows all tries with this model, also those of other
    labs. A click on a try brings it back: its steps into the blocks, its network into
    ``lab.model_of(lab.chosen)``.

    In a notebook, show the lab in one cell and let the next one say ``await lab.done()``; in a
    script, ``lab.run()``. Nothing happens to ``model`` itself.

    Args:
        model: plain, trained or to be trained by the first step.
        dataset: its train split is learned; all that is shown is of its validation split.
        teacher: whom the steps learn from that distil; None for the model as it is before the cut.
        journal: where tries are kept; None for the default one (see ``journal.default_journal``).
        after: keep the lab locked until this prediction is made or skipped.
        **first: first values of the controls: ``PipelineLab(model, dataset, steps=[Prune(0.9)])``.

    Raises:
        TypeError, ValueError: an argument is out of range, or the model is not plain.
    """

    # A result holds the files of its steps.
    history_length = 20

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        teacher: nn.Module | Teacher | None = None,
        journal: Journal | None = None,
        *,
        after: Gate | None = None,
        **first: Any,
    ) -> None:
        params = first_params(PipelineParams, type(self).__name__, first)
        if journal is not None and not isinstance(journal, Journal):
            raise TypeError(f"journal must be a Journal, got {type(journal).__name__}.")
        self._bench = Bench(model, dataset, teacher, journal or default_journal())
        self._view = PipelineView(
            self._bench, type(model).__name__, teacher is not None, packing.to_bytes(model)
        )
        self._buttons = widgets_of.Buttons()
        self.run_button, self.pause_button = self._buttons.run, self._buttons.pause
        self.stop_button = self._buttons.stop
        for button, action in (
            (self.run_button, self.start),
            (self.pause_button, self.pause),
            (self.stop_button, self.stop),
        ):
            button.on_click(lambda _, action=action: self.pressed(action))
        controls = widgets_of.controls(params)
        self._list = controls["steps"]
        super().__init__(
            params=params,
            controls=controls,
            rows=widgets_of.rows(controls, self._buttons),
            buttons=[self.run_button],
            after=after,
        )
        self._list.observe(lambda _: self._show_buttons(), names=["fault", "disabled"])
        self.live.on_click(self._clicked)
        self.compute_first()

    # ---- the buttons ---------------------------------------------------------------------------

    @property
    def held(self) -> Attempt | None:
        """The present run, or the last; None before the first."""
        return self._bench.attempt

    def begin(self) -> PipelineParams:
        """Make a new run of the steps in the blocks; one that is under way is given up.

        Raises:
            ValueError: their order makes no sense, or a field is out of range.
        """
        params = self._runnable()
        self._bench.start(params)
        return params

    def _runnable(self) -> PipelineParams:
        if self._list.fault:
            raise ValueError(self._list.fault)
        return self.read_controls()

    def outcome(self) -> AttemptResult:
        """Return the run at its end."""
        return self._bench.result().run

    # ---- the steps, and tries that come back ---------------------------------------------------

    def set_steps(self, steps: Sequence[Step | dict[str, Any]]) -> None:
        """Put steps into the blocks; an order that makes no sense is allowed, and said so.

        Raises:
            TypeError, ValueError: one of them is no step, or a field is out of range.
        """
        self.set(steps=PipelineParams(steps=steps).steps)

    def recipe(self) -> str:
        """Return the steps in the blocks as JSON, to be kept and shared.

        Raises:
            ValueError: their order makes no sense.
        """
        params = self._runnable()
        return recipe_to_json(params.steps, params.seed)

    @property
    def tries(self) -> tuple[Entry, ...]:
        """All tries with this model and data set, oldest first."""
        return self._bench.tries.entries

    @property
    def chosen(self) -> Entry | None:
        """The try that was brought back last; None before."""
        return self._bench.chosen

    def bring_back(self, entry: Entry) -> None:
        """Bring a try back: mark it, and put its steps and its seed into the controls.

        A try of another lab has no steps: it is marked, and its parameters are shown.

        Raises:
            ValueError: its recipe cannot be read; nothing is moved.
        """
        recipe = None if entry.recipe is None else recipe_from_json(entry.recipe)
        self._bench.chosen = entry
        if recipe is not None:
            self._show_in_controls({"steps": recipe.steps, "seed": recipe.seed})
        self.request(self.read_controls())

    def model_of(self, entry: Entry) -> nn.Module:
        """Return the network of a try: a new, plain one, loaded from the file in the journal.

        Raises:
            ValueError: its file was not kept.
        """
        return self._bench.model_of(entry)

    def _clicked(self, click: Click) -> None:
        entry = self._bench.tries.find(click.custom) if click.figure == 1 else None
        if entry is not None:
            self.bring_back(entry)

    # ---- compute and draw ----------------------------------------------------------------------

    def parts(
        self, params: PipelineParams, outdated: Callable[[], bool]
    ) -> Iterator[Part[PipelineLabResult]]:
        """Go on with the run, a picture a few times a second."""
        yield from self._bench.parts(outdated)

    def draw(self, params: PipelineParams, result: PipelineLabResult) -> Screen:
        """Return the file step by step, and the front."""
        self._show_buttons()
        return self._view.draw(params, result)

    def _show_buttons(self) -> None:
        attempt = self._bench.attempt
        state = "" if attempt is None else attempt.state
        self._buttons.show(state, fault=self._list.fault, locked=self._list.disabled)

    def _remember(self, params: PipelineParams, result: PipelineLabResult) -> None:
        """Keep a result without its files and its tries, which the journal has."""
        super()._remember(params, dataclasses.replace(result, run=None, tries=(), front=()))
