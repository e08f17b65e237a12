"""Arms of an experiment: each says everything about one way to train a student.

    arms = {
        "alone": alone(student),
        "distilled": distilled(student, teacher, temperature=4, alpha=0.9),
        "shuffled": shuffled(student, teacher, temperature=4, alpha=0.9),
    }

Several arms are trained over the same seeds by ``train_students``, or side by side by
``train_side_by_side``. The controls of a distilled student are ready-made: without a teacher, with
label smoothing, with answers in the wrong places, with a teacher that knows nothing, and with
larger steps. ``standard_arms`` gives all six.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from lwlab.checks import check_choice
from lwlab.distill.answers import Answers, CachedAnswers, LiveAnswers, ShuffledAnswers
from lwlab.distill.arm import Arm, Start, StudentFactory, labels_alone
from lwlab.distill.objectives import Distillation, LabelSmoothing
from lwlab.distill.stepping import step_ratio
from lwlab.distill.teacher import Teacher
from lwlab.distill.untrained import untrained
from lwlab.train import LossFunction, cross_entropy

__all__ = [
    "alone",
    "distilled",
    "equal_step",
    "label_smoothing",
    "random_teacher",
    "shuffled",
    "standard_arms",
]

# Far from the seeds of students: a teacher must not begin with the weights of its student.
_TEACHER_SEED = 1_000_003

_LOSS_SETTINGS = {f.name for f in dataclasses.fields(Distillation)} - {"answers"}
_ARM_SETTINGS = {f.name for f in dataclasses.fields(Arm)} - {"student", "make_loss"}


def alone(student: nn.Module | StudentFactory, **settings: Any) -> Arm:
    """Return the arm that learns from the labels alone.

    Args:
        student: as for ``Arm``.
        settings: of ``Arm``: ``learning_rate``, ``augment``, ...

    Raises:
        TypeError, ValueError: as from ``Arm``.
    """
    return Arm(student, **settings)


def label_smoothing(
    student: nn.Module | StudentFactory, *, amount: float = 0.1, **settings: Any
) -> Arm:
    """Return the control whose soft labels are the same for all examples of a class.

    Args:
        student: as for ``Arm``.
        amount: as for ``LabelSmoothing``.
        settings: of ``Arm``.

    Raises:
        TypeError, ValueError: as from ``Arm`` and ``LabelSmoothing``.
    """
    loss = LabelSmoothing(amount)
    return Arm(student, make_loss=lambda start: loss, **settings)


def distilled(
    student: nn.Module | StudentFactory, teacher: Teacher | nn.Module, **settings: Any
) -> Arm:
    """Return the arm that learns from a teacher.

    The teacher answers once about each training example; with ``augment`` about each batch, as the
    student sees it.

    Args:
        student: as for ``Arm``.
        teacher: a trained network, or a ``Teacher``.
        settings: of ``Distillation`` (``temperature``, ``alpha``, ``kind``, ...) and of ``Arm``
            (``learning_rate``, ``augment``, ...).

    Raises:
        TypeError, ValueError: as from ``Teacher``, ``Distillation`` and ``Arm``; a setting is of
            neither.
    """
    teacher = _teacher(teacher)
    return _taught(student, lambda start: teacher, settings)


def shuffled(
    student: nn.Module | StudentFactory, teacher: Teacher | nn.Module, **settings: Any
) -> Arm:
    """Return the control with the teacher's answers, each to another example of the batch.

    Args:
        student: as for ``distilled``.
        teacher: as for ``distilled``.
        settings: as for ``distilled``.

    Raises:
        TypeError, ValueError: as from ``distilled``.
    """
    teacher = _teacher(teacher)
    return _taught(student, lambda start: teacher, settings, shuffle=True)


def random_teacher(
    student: nn.Module | StudentFactory, teacher: Teacher | nn.Module, **settings: Any
) -> Arm:
    """Return the control with a teacher of the same form that has learned nothing.

    Its weights are drawn for each seed anew.

    Args:
        student: as for ``distilled``.
        teacher: whose form is taken; its weights are not.
        settings: as for ``distilled``.

    Raises:
        TypeError, ValueError: as from ``distilled``. When trained: as from ``untrained``.
    """
    known = _teacher(teacher)

    def unknowing(start: Start) -> Teacher:
        members = [
            untrained(model, _TEACHER_SEED * (number + 1) + start.seed)
            for number, model in enumerate(known.models)
        ]
        return Teacher(members, temperature=known.temperature)

    return _taught(student, unknowing, settings)


def equal_step(arm: Arm, *, steps: int = 20) -> Arm:
    """Return the control without a teacher that begins with steps as long as those of ``arm``.

    The learning rate of ``arm`` is multiplied by ``step_ratio``: how far its loss moves the weights
    in the first steps, against cross-entropy. If a gain stays with this arm, it came from larger
    steps, which need no teacher. The ratio is measured for each seed, on a copy.

    Args:
        arm: usually a ``distilled`` one; all but its loss and learning rate is kept.
        steps: how many are compared; at the most those of one epoch.

    Raises:
        TypeError: ``arm`` is no ``Arm``.
    """
    if not isinstance(arm, Arm):
        raise TypeError(f"arm must be a distill.Arm, got {type(arm).__name__}. Try distilled(...).")

    def matched_rate(start: Start) -> float:
        rate = arm.rate(start)
        with arm.loss(start) as loss:
            ratio = step_ratio(
                start.student,
                start.dataset,
                loss,
                cross_entropy,
                steps=steps,
                learning_rate=rate,
                batch_size=start.batch_size,
                optimizer=arm.optimizer,
                seed=start.seed,
            )
        return rate * ratio

    return dataclasses.replace(arm, make_loss=labels_alone, learning_rate=matched_rate)


def standard_arms(
    student: nn.Module | StudentFactory,
    teacher: Teacher | nn.Module,
    *,
    smoothing: float = 0.1,
    **settings: Any,
) -> dict[str, Arm]:
    """Return a distilled student and all its controls, by name.

    The names: ``"alone"``, ``"label smoothing"``, ``"equal step"``, the controls without a teacher;
    ``"random teacher"``, ``"shuffled"``, the controls with one; ``"distilled"``.

    Args:
        student: as for ``distilled``.
        teacher: as for ``distilled``.
        smoothing: the amount of label smoothing.
        settings: as for ``distilled``.

    Raises:
        TypeError, ValueError: as from the single ones.
    """
    teacher = _teacher(teacher)
    taught = distilled(student, teacher, **settings)
    plain = {name: value for name, value in settings.items() if name in _ARM_SETTINGS}
    return {
        "alone": alone(student, **plain),
        "label smoothing": label_smoothing(student, amount=smoothing, **plain),
        "equal step": equal_step(taught),
        "random teacher": random_teacher(student, teacher, **settings),
        "shuffled": shuffled(student, teacher, **settings),
        "distilled": taught,
    }


def _teacher(teacher: Teacher | nn.Module) -> Teacher:
    return teacher if isinstance(teacher, Teacher) else Teacher(teacher)


def _taught(
    student: nn.Module | StudentFactory,
    find_teacher: Callable[[Start], Teacher],
    settings: Mapping[str, Any],
    *,
    shuffle: bool = False,
) -> Arm:
    """Return an arm that learns from the teacher found at its start, each setting in its place."""
    for name in settings:
        check_choice("a setting", name, _LOSS_SETTINGS | _ARM_SETTINGS)
    of_loss = {name: value for name, value in settings.items() if name in _LOSS_SETTINGS}
    of_arm = {name: value for name, value in settings.items() if name in _ARM_SETTINGS}
    Distillation(_no_answers, **of_loss)  # Checks the settings now, not when training begins.

    def make_loss(start: Start) -> LossFunction:
        teacher = find_teacher(start)
        live = of_arm.get("augment") is not None
        answers: Answers = LiveAnswers(teacher) if live else CachedAnswers(teacher, start.dataset)
        if shuffle:
            answers = ShuffledAnswers(answers, start.seed)
        return Distillation(answers, **of_loss)

    return Arm(student, make_loss=make_loss, **of_arm)


def _no_answers(batch: object) -> Any:
    raise AssertionError(f"never called, got {batch!r}")
