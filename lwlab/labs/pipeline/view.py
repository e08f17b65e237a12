"""How PipelineLab looks: the files step by step, the front, the scorecards."""

from __future__ import annotations

import json
from html import escape

from plotly.graph_objects import Figure

from lwlab import packing
from lwlab.journal import Entry
from lwlab.labs.live_plot import Screen
from lwlab.labs.pack.result import by_purpose
from lwlab.labs.pipeline.bench import SOURCE, Bench
from lwlab.labs.pipeline.code import code
from lwlab.labs.pipeline.params import PipelineParams
from lwlab.labs.pipeline.result import AttemptResult, PipelineLabResult
from lwlab.pipeline import StepRecord, StepScorecard
from lwlab.plots.front import FrontPoint, pareto_front_plot
from lwlab.plots.packing import Rung, byte_ladder
from lwlab.units import format_bytes, format_duration, format_percent, format_ratio

__all__ = ["PipelineView"]

_SHOWN_TRIES = 400
_CELL = "padding:2px 14px 2px 0;text-align:left;vertical-align:baseline"


class PipelineView:
    """Draws results of PipelineLab; it holds what does not change while steps are carried out.

    Args:
        bench: its baseline is shown.
        model_name: for the code.
        with_teacher: whether the lab was given a teacher, for the code.
        start: the packed file of the model before the first step.
    """

    def __init__(self, bench: Bench, model_name: str, with_teacher: bool, start: bytes) -> None:
        self._baseline = bench.baseline
        self._code = {"model_name": model_name, "with_teacher": with_teacher}
        self._start = by_purpose(packing.breakdown(start))
        self._parts: tuple[object, dict[int, dict[str, int]]] = (None, {})  # of one run, by step
        self._front: tuple[object, Figure | None] = (None, None)

    def draw(self, params: PipelineParams, result: PipelineLabResult) -> Screen:
        """Return the screen of ``result``."""
        return Screen(
            (self._ladder(params, result.run), self._front_figure(result)),
            headline=self._headline(params, result),
            details="" if result.run is None else self._table(result.run),
            code=code(params, **self._code),
        )

    # ---- the figures ---------------------------------------------------------------------------

    def _ladder(self, params: PipelineParams, run: AttemptResult | None) -> Figure:
        steps = params.steps if run is None else run.params.steps
        records = () if run is None else run.records
        before = Rung("start", self._start, format_percent(self._baseline.accuracy.value))
        if run is not None and self._parts[0] is not run.params:
            self._parts = run.params, {}
        rungs = [before, *(self._rung(record) for record in records)]
        for number, step in enumerate(steps[len(records) :], start=len(records) + 1):
            note = _progress_note(run) if number == len(records) + 1 else "to come"
            rungs.append(Rung(f"{number} {step.name}", None, note))
        return byte_ladder(
            rungs,
            present=len(records) if records else None,
            longest=self._baseline.size_bytes,
            title="The file, step by step",
        )

    def _rung(self, record: StepRecord) -> Rung:
        known = self._parts[1]
        if record.index not in known:
            known[record.index] = by_purpose(packing.breakdown(record.data))
        accuracy = format_percent(record.scorecard.accuracy.value)
        return Rung(f"{record.index} {record.step.name}", known[record.index], accuracy)

    def _front_figure(self, result: PipelineLabResult) -> Figure:
        run = result.run
        finished = 0 if run is None else len(run.records)
        shown = (result.tries, result.chosen, run and run.params, finished)
        if self._front[1] is None or self._front[0] != shown:
            self._front = shown, self._draw_front(result)
        return self._front[1]

    def _draw_front(self, result: PipelineLabResult) -> Figure:
        run = result.run
        card = self._baseline
        return pareto_front_plot(
            [_point(entry) for entry in result.tries[-_SHOWN_TRIES:]],
            [_point(entry) for entry in result.front],
            run=() if run is None else _run_points(run),
            chosen=None if result.chosen is None else _point(result.chosen),
            baseline=FrontPoint("before", card.accuracy.value, card.size_bytes),
            title="All tries: a click brings one back",
        )

    # ---- the texts -----------------------------------------------------------------------------

    def _headline(self, params: PipelineParams, result: PipelineLabResult) -> str:
        lines = [("run", self._run_text(params, result.run)), ("journal", _journal_text(result))]
        if result.chosen is not None:
            lines.append(("chosen", _chosen_text(result.chosen)))
        rows = "".join(
            f'<tr><th style="white-space:nowrap">{name}</th><td>{text}</td></tr>'
            for name, text in lines
        )
        return f"<table>{rows}</table>"

    def _run_text(self, params: PipelineParams, run: AttemptResult | None) -> str:
        if run is None:
            card = self._baseline
            return (
                f"<strong>{format_percent(card.accuracy.value)}</strong> right from "
                f"<strong>{format_bytes(card.size_bytes)}</strong> before; press <b>Run</b>"
            )
        other = "" if run.params == params else "; <b>the blocks are another pipeline by now</b>"
        return f"{self._reached(run)}<br>{_bar(run)}{other}"

    def _reached(self, run: AttemptResult) -> str:
        card = run.records[-1].scorecard if run.records else self._baseline
        smaller = format_ratio(self._baseline.size_bytes / card.size_bytes)
        where = f"after step {run.records[-1].index}" if run.records else "before"
        return (
            f"<strong>{format_percent(card.accuracy.value)}</strong> right from "
            f"<strong>{format_bytes(card.size_bytes)}</strong> {where}, {smaller} smaller than "
            "at the start"
        )

    def _table(self, run: AttemptResult) -> str:
        cards = [("start", "as it was given", self._baseline, None)]
        cards += [
            (f"{r.index} {r.step.name}", r.step.describe(), r.scorecard, r.seconds)
            for r in run.records
        ]
        head = "".join(
            f'<th style="{_CELL}">{escape(text)}</th>'
            for text in ("step", "what was done", *cards[0][2].cells(), "time")
        )
        body = "".join(_row(*card) for card in cards)
        return (
            '<div style="flex:1 1 100%;overflow-x:auto"><h4 style="margin:4px 0;font-weight:400">'
            "Each step, measured from the file that was loaded back</h4>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


def _progress_note(run: AttemptResult | None) -> str:
    if run is None or not run.active:
        return "to come" if run is None else run.state
    if run.progress is None:
        return "at work"
    return f"{format_percent(run.progress.fraction, 0)} trained"


def _point(entry: Entry) -> FrontPoint:
    label = f"{entry.source}: {entry.note}" if entry.note else entry.source
    return FrontPoint(label, entry.accuracy, entry.size_bytes, entry.key)


def _run_points(run: AttemptResult) -> list[FrontPoint]:
    return [
        FrontPoint(
            f"step {record.index}, {record.step.name}",
            record.scorecard.accuracy.value,
            record.scorecard.size_bytes,
            key,
        )
        for record, key in zip(run.records, run.keys, strict=True)
    ]


def _bar(run: AttemptResult) -> str:
    count = len(run.params.steps)
    done = len(run.records) + (run.progress.fraction if run.progress else 0)
    return (
        f'<progress value="{done:.2f}" max="{count}" aria-label="progress"></progress> '
        f"{len(run.records)} of {count} steps, seed {run.params.seed}, {run.state}"
    )


def _journal_text(result: PipelineLabResult) -> str:
    tries, best = len(result.tries), len(result.front)
    text = f"{tries} {'try' if tries == 1 else 'tries'} with this model, {best} on the front"
    if result.complaint:
        text += f"; <b>{escape(result.complaint)}</b>"
    return text


def _chosen_text(entry: Entry) -> str:
    what = f"{format_percent(entry.accuracy)} right from {format_bytes(entry.size_bytes)}"
    if entry.recipe is not None:
        steps = "its steps are in the blocks"
    else:
        steps = f"no steps, its parameters are {json.dumps(entry.params)}"
    source = "" if entry.source == SOURCE else f"by {entry.source}, "
    return f"{what}: {escape(source + (entry.note or 'no note'))}; {escape(steps)}"


def _row(name: str, done: str, card: StepScorecard, seconds: float | None) -> str:
    time = "" if seconds is None else format_duration(seconds)
    cells = (name, done, *card.cells().values(), time)
    return "".join(["<tr>", *(f'<td style="{_CELL}">{escape(c)}</td>' for c in cells), "</tr>"])
