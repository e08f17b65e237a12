"""Students that become teachers: chains of networks, each of which learns from the one before.

* ``teach_chain``: teacher -> assistant -> student. Where a teacher is far too large for its
  student, an assistant of a size between them can pass more on (Mirzadeh et al. 2020, "Improved
  knowledge distillation via teacher assistant", arXiv:1902.03393).
* ``born_again``: all generations have the same form. The gain, if any, is not from a larger network
  (Furlanello et al. 2018, "Born-again neural networks", arXiv:1805.04770).
* An ensemble of them is ``Teacher([first, second, ...])``; ``teacher_accuracy`` scores it. Of the
  generations of a born-again network it is the paper's BANE.

    generations = [untrained(model, seed) for seed in (1, 2)]
    for record in teach_chain(model, generations, dataset, epochs=10): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from lwlab.checks import check_count, check_module
from lwlab.data import Dataset, Split
from lwlab.distill.answers import Answers, CachedAnswers, LiveAnswers
from lwlab.distill.objectives import Distillation
from lwlab.distill.teacher import Teacher
from lwlab.distill.untrained import untrained
from lwlab.measure import Accuracy, accuracy_of
from lwlab.measure.predicting import check_split
from lwlab.train import Record, cross_entropy, fit

__all__ = ["GenerationRecord", "born_again", "teach_chain", "teacher_accuracy"]


@dataclass(frozen=True)
class GenerationRecord:
    """The state of a chain of trainings at one moment.

    Attributes:
        generation: the one under training, from 1; ``generations``: how many there will be.
        training: ``fit``'s record of it.
        student: the network under training.
    """

    generation: int
    generations: int
    training: Record
    student: nn.Module

    @property
    def generation_ends(self) -> bool:
        """Whether this is the last record of its generation: the student is trained."""
        return self.training.step == self.training.total_steps


def teach_chain(
    teacher: Teacher | nn.Module,
    students: Iterable[nn.Module],
    dataset: Dataset,
    *,
    temperature: float = 4.0,
    alpha: float = 0.9,
    kind: str = "kl",
    seed: int = 0,
    **training: Any,
) -> Iterator[GenerationRecord]:
    """Train each student in place by the answers of the one before it, the first by ``teacher``.

    Args:
        teacher: a trained network, or a ``Teacher``; left as it is.
        students: with their initial weights, from the first to be taught to the last.
        dataset: as for ``fit``.
        temperature: as for ``Distillation``.
        alpha: as for ``Distillation``.
        kind: as for ``Distillation``.
        seed: student g, from 1, is trained with the seed ``1000 * seed + g``.
        training: goes to ``fit``: ``epochs``, ``learning_rate``, ``augment``, ...

    Returns:
        A generator; nothing is trained before the first record is asked for.

    Raises:
        TypeError, ValueError: at the call, as for ``Teacher``, ``Distillation`` and ``fit``; no
            student, or one of them twice.
        TrainingDivergedError: while running, as from ``fit``.
    """
    known = teacher if isinstance(teacher, Teacher) else Teacher(teacher)
    listed = _checked_students(students)
    seed = check_count("seed", seed, minimum=0)
    settings = {"temperature": temperature, "alpha": alpha, "kind": kind}
    Distillation(_unasked, **settings)
    for student in listed:
        # Never started: it checks its arguments.
        fit(student, dataset, loss=cross_entropy, seed=seed, **training)
    return _chain(known, listed, dataset, settings, seed, training)


def _chain(
    teacher: Teacher,
    students: list[nn.Module],
    dataset: Dataset,
    settings: dict[str, Any],
    seed: int,
    training: dict[str, Any],
) -> Iterator[GenerationRecord]:
    live = training.get("augment") is not None
    for number, student in enumerate(students, start=1):
        answers: Answers = LiveAnswers(teacher) if live else CachedAnswers(teacher, dataset)
        loss = Distillation(answers, **settings)
        for record in fit(student, dataset, loss=loss, seed=1000 * seed + number, **training):
            yield GenerationRecord(number, len(students), record, student)
        teacher = Teacher(student)


def born_again(
    model: nn.Module,
    dataset: Dataset,
    *,
    generations: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    alpha: float = 0.5,
    **training: Any,
) -> Iterator[GenerationRecord]:
    """Train ``generations`` networks of the form of ``model``, each by the one before it.

    The defaults of temperature and alpha are those of the paper, up to the factor 2: the labels,
    plus the teacher's answers as they are.

    Args:
        model: a trained network, the teacher of the first generation; left as it is.
        dataset: as for ``fit``.
        generations: at least 1.
        seed: generation g, from 1, has the initial weights and batches of seed ``1000 * seed + g``.
        temperature: as for ``Distillation``.
        alpha: as for ``Distillation``.
        training: as for ``teach_chain``, with ``kind``.

    Returns:
        A generator; each ``record.student`` is a network of its own.

    Raises:
        TypeError, ValueError: at the call, as from ``teach_chain`` and ``untrained``.
        TrainingDivergedError: while running, as from ``fit``.
    """
    check_module("model", model)
    count = check_count("generations", generations)
    seed = check_count("seed", seed, minimum=0)
    students = [untrained(model, 1000 * seed + number) for number in range(1, count + 1)]
    return teach_chain(
        model, students, dataset, temperature=temperature, alpha=alpha, seed=seed, **training
    )


def teacher_accuracy(teacher: Teacher, split: Split) -> Accuracy:
    """Return how often the largest logit of a teacher, also of an ensemble, is right.

    Args:
        teacher: what to score.
        split: what on.

    Raises:
        TypeError, ValueError: an argument is of another kind, or the teacher cannot answer.
    """
    if not isinstance(teacher, Teacher):
        raise TypeError(
            f"teacher must be a distill.Teacher, got {type(teacher).__name__}. Try Teacher(model)."
        )
    return accuracy_of(teacher.answers(check_split(split)).argmax(dim=1), split.targets)


def _checked_students(students: Iterable[nn.Module]) -> list[nn.Module]:
    if isinstance(students, (nn.Module, type)) or not isinstance(students, Iterable):
        raise TypeError(
            f"students must be a list of networks, got {type(students).__name__}. Put it into [ ]."
        )
    listed = [check_module("each of students", student) for student in students]
    if not listed:
        raise ValueError("students must hold at least one network, got none.")
    if len({id(student) for student in listed}) < len(listed):
        raise ValueError(
            "students must all be different networks, got one of them twice. Each is trained in "
            "place."
        )
    return listed


def _unasked(batch: object) -> Any:
    raise AssertionError(f"never called, got {batch!r}")
