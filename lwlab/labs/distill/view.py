"""How DistillLab looks: its figures, its headline with the image, its table of seeds."""

from __future__ import annotations

import base64
from html import escape

from plotly.graph_objects import Figure

from lwlab import plots
from lwlab.data import Dataset
from lwlab.labs.distill.code import code
from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.race import steps_per_record
from lwlab.labs.distill.result import Answer, DistillResult, RaceResult, Score, SeedsResult
from lwlab.labs.live_plot import Screen
from lwlab.measure.paired import verdict
from lwlab.plots.soft_answers import class_similarity_map, soft_answer_bars
from lwlab.plots.students import student_curves, students_against_size
from lwlab.plots.thumbnail import is_picture, thumbnail_png
from lwlab.units import format_bytes, format_percent, format_ratio

__all__ = ["DistillView"]

_PICTURE = "width:72px;height:72px;object-fit:contain;image-rendering:pixelated;background:#000"
_SHOWN_CLASSES = 3
_LEGEND = 22  # pixels: the map beside the bars has none


class DistillView:
    """Draws results of DistillLab.

    It holds what does not change while the controls move, and the figures of the students, which a
    moved temperature leaves as they are: only what has changed is drawn anew.

    Args:
        dataset: for names and pictures.
        teacher_name: class of the teacher, for the code.
        student_name: class of the student.
    """

    def __init__(self, dataset: Dataset, teacher_name: str, student_name: str) -> None:
        self._dataset = dataset
        self._names = [str(name) for name in dataset.class_names]
        self._models = {"teacher_name": teacher_name, "student_name": student_name}
        self._learned: tuple[object, tuple[Figure, ...]] = (None, ())

    def draw(self, params: DistillParams, result: DistillResult) -> Screen:
        """Return the screen of ``result``."""
        figures = self._teacher_figures(params, result)
        if result.race is not None:
            figures += self._student_figures(result.race, result.teacher)
        return Screen(
            figures,
            headline=self._headline(params, result),
            details="" if result.seeds is None else _seeds_html(result.race.params, result.seeds),
            code=code(
                params,
                result,
                steps_per_record=steps_per_record(self._dataset),
                **self._models,
            ),
        )

    def _teacher_figures(self, params: DistillParams, result: DistillResult) -> tuple[Figure, ...]:
        answer, warm = result.answer, params.temperature
        likeness = class_similarity_map(
            result.similarity, class_names=self._names, temperature=warm
        )
        frame = likeness.layout
        cells = frame.height - frame.margin.t - frame.margin.b
        bars = soft_answer_bars(
            answer.probabilities,
            class_names=self._names,
            temperature=warm,
            label=answer.label,
            title=f"The teacher's answer to image {answer.index}",
            plot_height=cells - _LEGEND,
        )
        return bars, likeness

    def _student_figures(self, race: RaceResult, teacher: Score) -> tuple[Figure, ...]:
        shown = (race.records, race.scores, teacher)
        if self._learned[0] != shown:
            self._learned = shown, _student_figures(race, teacher)
        return self._learned[1]

    def _headline(self, params: DistillParams, result: DistillResult) -> str:
        rows = "".join(
            f'<tr><th style="white-space:nowrap">{name}</th><td>{text}</td></tr>'
            for name, text in (
                ("teacher", self._teacher_text(result.teacher, params, result.answer)),
                ("students", _race_text(result.race, result.teacher)),
                ("next Start", _next_text(params, result.race)),
            )
        )
        return (
            '<div style="display:flex;gap:14px;align-items:center">'
            f"{self._picture(result.answer)}<table>{rows}</table></div>"
        )

    def _picture(self, answer: Answer) -> str:
        image = self._dataset.validation.inputs[answer.index]
        if not is_picture(tuple(image.shape)):
            return ""
        data = base64.b64encode(thumbnail_png(image)).decode("ascii")
        text = escape(f"image {answer.index}, label {self._label(answer)}")
        return f'<img src="data:image/png;base64,{data}" style="{_PICTURE}" alt="{text}">'

    def _label(self, answer: Answer) -> str:
        return "none" if answer.label is None else self._names[answer.label]

    def _teacher_text(self, teacher: Score, params: DistillParams, answer: Answer) -> str:
        chances = answer.probabilities
        order = sorted(range(len(chances)), key=lambda i: -chances[i])[:_SHOWN_CLASSES]
        said = ", ".join(
            f"<strong>{escape(self._names[i])}</strong>&nbsp;{format_percent(chances[i])}"
            for i in order
        )
        return (
            f"says {said} at T = {params.temperature:.3g} of image {answer.index}, label "
            f"{escape(self._label(answer))}; {_scored(teacher)} in all"
        )


def _scored(score: Score) -> str:
    return f"{format_percent(score.accuracy.value)} right from {format_bytes(score.size_bytes)}"


def _student_figures(race: RaceResult, teacher: Score) -> tuple[Figure, Figure]:
    points = {name: score and _point(name, score) for name, score in race.scores.items()}
    return (
        student_curves(race.records, teacher=teacher.accuracy.value),
        students_against_size(points, teacher=_point("teacher", teacher)),
    )


def _point(name: str, score: Score) -> plots.TradeoffPoint:
    accuracy = score.accuracy
    return plots.TradeoffPoint(name, accuracy.value, accuracy.low, accuracy.high, score.size_bytes)


def _race_text(race: RaceResult | None, teacher: Score) -> str:
    """Return HTML: where the three stand, and a progress bar."""
    if race is None:
        return "Press <b>Start</b> to train three at once, from the same weights."
    scored = ", ".join(
        f"{escape(name)}&nbsp;"
        + ("..." if score is None else f"<strong>{format_percent(score.accuracy.value)}</strong>")
        for name, score in race.scores.items()
    )
    known = next((score for score in race.scores.values() if score is not None), None)
    smaller = ""
    if known is not None:
        ratio = format_ratio(teacher.size_bytes / known.size_bytes)
        smaller = f"; {format_bytes(known.size_bytes)} each, {ratio} smaller than the teacher"
    return f"{scored}{smaller}<br>{_progress(race)}"


def _progress(race: RaceResult) -> str:
    last = next((records[-1] for records in race.records.values() if records), None)
    step, total = (0, 1) if last is None else (last.step, last.total_steps)
    epoch = 0 if last is None else last.epoch
    params = race.params
    return (
        f'<progress value="{step}" max="{total}" aria-label="progress"></progress> '
        f"epoch {epoch} of {params.epochs}, seed {params.seed}, {race.state}; {_recipe(params)}"
    )


def _recipe(params: DistillParams) -> str:
    softened = f" at T = {params.temperature:.3g}" if params.softens else ""
    return escape(f"{params.kind}{softened}, alpha {params.alpha:.3g}, control {params.control}")


def _next_text(params: DistillParams, race: RaceResult | None) -> str:
    epochs = f"{params.epochs} epoch{'s' if params.epochs > 1 else ''}"
    rate = f"learning rate {params.learning_rate:.2g}"
    text = f"seed {params.seed}, {_recipe(params)}, {epochs}, {rate}"
    if race is None or race.params.recipe() == params.recipe():
        return text
    return f"{text} <b>(another recipe: a table of its own)</b>"


def _seeds_html(params: DistillParams, seeds: SeedsResult) -> str:
    """Return the table of the finished seeds, and the distilled student against the control."""
    count = len(seeds.seeds)
    one = "" if count > 1 else " One seed says little: press Start again."
    return (
        '<div style="flex:1 1 100%;overflow-x:auto">'
        f'<h4 style="margin:4px 0;font-weight:400">Finished: {_recipe(params)}, seeds '
        f"{', '.join(map(str, seeds.seeds))}</h4>"
        f"{seeds.table._repr_html_()}"
        f"<p>Distilled against {escape(params.control)}: "
        f"<b>{escape(verdict(seeds.over_control))}</b>.{one}</p></div>"
    )
