"""The lines of Python that reproduce what DistillLab shows."""

from __future__ import annotations

from lwlab.labs.distill.params import DistillParams
from lwlab.labs.distill.race import BATCH_SIZE
from lwlab.labs.distill.result import DistillResult, RaceResult

__all__ = ["code"]

_CONTROLS = {
    "label smoothing": "label_smoothing(student, {rate})",
    "shuffled": "shuffled(student, knowing, **settings)",
    "random teacher": "random_teacher(student, knowing, **settings)",
    "equal step": "equal_step(taught)",
}


def code(
    params: DistillParams,
    result: DistillResult,
    *,
    teacher_name: str,
    student_name: str,
    steps_per_record: int,
) -> str:
    """Return the code of a state: the answer on screen, then the students.

    Args:
        params: what is on screen.
        result: likewise.
        teacher_name: class of the teacher.
        student_name: class of the student.
        steps_per_record: of the training, to stop at the same step.
    """
    race = result.race
    lines = [
        *(_imports(race) if race else ["from lwlab import distill"]),
        "",
        f"# teacher: your trained {teacher_name}; student: a {student_name}, drawn anew for each",
        "# seed; dataset: the one this lab was given",
        "knowing = distill.Teacher(teacher)",
        f"answer = knowing.answers(dataset.validation)[[{result.answer.index}]]",
        f"print(distill.soften(answer, temperature={params.temperature!r}))",
    ]
    if race is not None:
        seeds = result.seeds.seeds if result.seeds and not race.active else (race.params.seed,)
        lines += ["", *_arms(race.params)]
        lines += (
            _stopped(race, steps_per_record)
            if race.state == "stopped"
            else _whole(race.params, seeds)
        )
    return "\n".join(lines)


def _imports(race: RaceResult) -> list[str]:
    arms = sorted({"alone", "distilled", race.params.control.replace(" ", "_")})
    lines = [f"from lwlab.distill.arms import {', '.join(arms)}"]
    if race.state == "stopped":
        lines = [
            "from lwlab import distill, measure",
            *lines,
            "from lwlab.distill.lockstep import train_side_by_side",
        ]
    else:
        lines = [
            "from lwlab import distill",
            *lines,
            "from lwlab.distill.student_table import summarize_students",
            "from lwlab.distill.students import train_students",
        ]
    return lines


def _arms(params: DistillParams) -> list[str]:
    rate = f"learning_rate={params.learning_rate!r}"
    control = _CONTROLS[params.control].format(rate=rate)
    return [
        (
            f"settings = dict(temperature={params.temperature!r}, alpha={params.alpha!r}, "
            f"kind={params.kind!r}, {rate})"
        ),
        "taught = distilled(student, knowing, **settings)",
        "arms = {",
        f'    "alone": alone(student, {rate}),',
        '    "distilled": taught,',
        f'    "{params.control}": {control},',
        "}",
    ]


def _whole(params: DistillParams, seeds: tuple[int, ...]) -> list[str]:
    return [
        (
            f"rows = list(train_students(arms, dataset, seeds={list(seeds)}, "
            f"epochs={params.epochs}, batch_size={BATCH_SIZE}))"
        ),
        'print(summarize_students(rows, against="alone"))',
    ]


def _stopped(race: RaceResult, steps_per_record: int) -> list[str]:
    taken = max((len(records) for records in race.records.values()), default=0)
    params = race.params
    return [
        f"training = train_side_by_side(arms, dataset, seed={params.seed}, epochs={params.epochs},",
        (
            f"                              batch_size={BATCH_SIZE}, "
            f"steps_per_record={steps_per_record})"
        ),
        f"for number, records in zip(range({taken}), training):  # then Stop",
        "    print(number, {name: record.loss for name, record in records.items()})",
        "for name, network in training.students.items():",
        "    print(name, measure.accuracy(network, dataset.validation))",
    ]
