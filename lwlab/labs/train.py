"""TrainLab: watch a network learn, with Start, Pause and Stop that work while it runs."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from lwlab import plots
from lwlab.checks import check_count, check_module, check_number
from lwlab.data import Dataset
from lwlab.labs import train_view as view
from lwlab.labs.base import Lab
from lwlab.labs.contract import Gate, Part
from lwlab.labs.live_plot import Screen
from lwlab.train import LossFunction, PenaltyFunction, Record, cross_entropy, fit

__all__ = ["TrainLab", "TrainParams", "TrainResult"]

# Eight pictures a second look live; more only fill the connection to the browser.
_SECONDS_BETWEEN_PICTURES = 0.125
_RECORDS_AN_EPOCH = 8


@dataclass(frozen=True)
class TrainParams:
    """What ``fit`` is asked for; each field is one of its arguments."""

    epochs: int = 10
    learning_rate: float = 2e-3
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        check_count("epochs", self.epochs)
        check_number("learning_rate", self.learning_rate, above=0)
        check_count("batch_size", self.batch_size)
        check_count("seed", self.seed, minimum=0)


@dataclass(frozen=True)
class TrainResult:
    """A training so far.

    Attributes:
        records: all records of ``fit``, oldest first.
        state: ``ready``, ``running``, ``stopped`` or ``finished``.
    """

    records: tuple[Record, ...] = ()
    state: str = "running"

    @property
    def validation_accuracy(self) -> float | None:
        """Fraction right on the validation split at the last epoch that ended; None before."""
        scored = [r.validation_accuracy for r in self.records if r.validation_accuracy is not None]
        return scored[-1] if scored else None


class TrainLab(Lab[TrainParams, TrainResult]):
    """Train ``model`` in place and watch: loss and accuracy curves, time left, three buttons.

    Start always begins with the weights the model had when the lab was made, so that two runs
    differ only by what was changed between them; the run before stays in the picture as a ghost.
    So does the training given as ``ghost``, from the beginning: train a network in float, quantize
    a copy, and see behind its curves those of its float twin. Controls count at the next Start.

    In a notebook, show the lab in one cell and let the next one say ``await lab.done()``: "Run
    all" waits there while the buttons still work. In a script, ``lab.run()``.

    Args:
        model: takes ``(B, *dataset.input_shape)``, returns logits.
        dataset: its train split is learned; curves show its validation split, never test.
        epochs, learning_rate, batch_size, seed: first values of the controls.
        loss: as in ``fit``.
        penalty: as in ``fit``.
        ghost: records of another training, which all runs are seen before.
        ghost_name: what the legend calls it.
        after: keep the lab locked until this prediction is made or skipped.

    Raises:
        TypeError, ValueError: as in ``fit``; ``ghost`` holds no records, or its name is no text,
            or that of the run before.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        *,
        epochs: int = 10,
        learning_rate: float = 2e-3,
        batch_size: int = 64,
        seed: int = 0,
        loss: LossFunction = cross_entropy,
        penalty: PenaltyFunction | None = None,
        ghost: Sequence[Record] | None = None,
        ghost_name: str = "float",
        after: Gate | None = None,
    ) -> None:
        params = TrainParams(epochs, learning_rate, batch_size, seed)
        self._model = check_module("model", model)
        self._first_weights = copy.deepcopy(model.state_dict())
        self._dataset, self._loss, self._penalty = dataset, loss, penalty
        self._given_ghost = view.given_ghost(ghost, ghost_name)
        self._ghost: tuple[Record, ...] = ()
        self._stop, self._go_on = threading.Event(), threading.Event()
        controls = view.controls(params)
        self.start_button = view.button("Start", "play", "success")
        self.pause_button = view.button("Pause", "pause", "")
        self.stop_button = view.button("Stop", "stop", "")
        super().__init__(
            params=params,
            controls=controls,
            rows=view.rows(controls, [self.start_button, self.pause_button, self.stop_button]),
            buttons=[self.start_button],
            after=after,
        )
        self.start_button.on_click(lambda _: self.pressed(self.start))
        self.pause_button.on_click(lambda _: self.pressed(self.pause))
        self.stop_button.on_click(lambda _: self.pressed(self.stop))
        self._show_buttons("ready")
        self._standing.show(self.draw(params, TrainResult(state="ready")))

    # ---- the buttons ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or begin again, from the weights the model came with."""
        self._ready_to_go()
        self.request(self.read_controls())

    def pause(self) -> None:
        """Hold a running training between two steps; called again, it goes on."""
        if self.pause_button.disabled:
            return
        if self._go_on.is_set():
            self._go_on.clear()
            self._show_buttons("paused")
        else:
            self._go_on.set()
            self._show_buttons("running")

    def stop(self) -> None:
        """End the training; the model keeps what it has learned so far."""
        self._stop.set()
        self._go_on.set()

    async def done(self) -> TrainResult:
        """Wait for the end of the training, starting it if nobody has; the buttons go on working.

        Raises:
            Exception: what stopped the training; the lab shows it too.
        """
        if self.result is None and self._worker.idle():
            self.start()
        while not self._worker.idle():
            await asyncio.sleep(0.05)
        if self.error is not None:
            raise self.error
        return self.result

    def run(self) -> TrainResult:
        """Train in the calling thread; interrupting the kernel (or Ctrl-C) is Stop.

        For scripts, and for front ends such as Colab that drop what other threads send.
        """
        params = self.read_controls()
        self._ready_to_go()
        try:
            for part in self.compute(params):
                self._publish(params, part)
        except KeyboardInterrupt:
            records = self.result.records if self.result else ()
            self._publish(params, Part(TrainResult(records, "stopped")))
        return self.result

    # ---- compute and draw ----------------------------------------------------------------------

    def compute(self, params: TrainParams) -> Iterator[Part[TrainResult]]:
        """Train, yielding the records so far about eight times a second."""
        self._show_buttons("running")
        try:
            self._model.load_state_dict(self._first_weights)
            records: list[Record] = []
            shown_at = 0.0
            for record in self._fit(params):
                records.append(record)
                paused = not self._go_on.is_set()
                if paused or time.monotonic() - shown_at >= _SECONDS_BETWEEN_PICTURES:
                    shown_at = time.monotonic()
                    text = "Paused." if paused else view.time_left(record)
                    yield Part(TrainResult(tuple(records)), estimate=text)
                if paused:
                    self._go_on.wait()
                if self._stop.is_set():
                    break
            yield Part(
                TrainResult(tuple(records), "stopped" if self._stop.is_set() else "finished")
            )
        finally:
            self._show_buttons("ready")

    def draw(self, params: TrainParams, result: TrainResult) -> Screen:
        """Return curves over their ghosts, a progress bar and the code."""
        ghosts = {**self._given_ghost, view.RUN_BEFORE: self._ghost}
        lasts = (run[-1] for run in (*self._given_ghost.values(), result.records) if run)
        total = max((last.total_steps for last in lasts), default=None)
        figures = plots.training_curves(result.records, total_steps=total, ghost=ghosts)
        headline, code = view.headline(params, result), view.code(self._model, params)
        return Screen(figures, headline, code=code)

    def _fit(self, params: TrainParams) -> Iterator[Record]:
        steps_an_epoch = max(1, len(self._dataset.train) // params.batch_size)
        return fit(
            self._model,
            self._dataset,
            epochs=params.epochs,
            learning_rate=params.learning_rate,
            batch_size=params.batch_size,
            seed=params.seed,
            loss=self._loss,
            penalty=self._penalty,
            steps_per_record=max(1, min(10, steps_an_epoch // _RECORDS_AN_EPOCH)),
        )

    def _ready_to_go(self) -> None:
        self._ghost = self.result.records if self.result else ()
        self._stop.clear()
        self._go_on.set()
        self._show_buttons("running")

    def _show_buttons(self, state: str) -> None:
        running = state in ("running", "paused")
        self.pause_button.disabled = self.stop_button.disabled = not running
        self.pause_button.description = "Go on" if state == "paused" else "Pause"
        self.pause_button.icon = "play" if state == "paused" else "pause"

    def moved(self, params: TrainParams) -> None:
        """Do nothing yet: controls count at the next Start, so that no touch loses a training."""
