"""What DistillLab shows at one setting."""

from __future__ import annotations

from dataclasses import dataclass, field

from lwlab import measure
from lwlab.distill.student_table import StudentTable
from lwlab.labs.distill.params import DistillParams
from lwlab.measure.paired import PairedDifference
from lwlab.train import Record

__all__ = ["Answer", "DistillResult", "RaceResult", "Score", "SeedsResult"]


@dataclass(frozen=True)
class Score:
    """One network, measured.

    Attributes:
        accuracy: on the validation split.
        size_bytes: length of its packed file.
    """

    accuracy: measure.Accuracy
    size_bytes: int


@dataclass(frozen=True)
class Answer:
    """The teacher's softened answer to one image.

    Attributes:
        index: position of the image in the validation split.
        label: its class; None if it has none.
        probabilities: one a class, they sum to 1.
    """

    index: int
    label: int | None
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class RaceResult:
    """Three students at one moment of their training.

    Attributes:
        params: the settings that they are trained with.
        records: what ``fit`` yielded so far, by the name of the student.
        scores: after the newest epoch, and once it has ended as measured; None before.
        state: ``running``, ``paused``, ``stopped``, ``finished`` or ``failed``.
    """

    params: DistillParams
    records: dict[str, tuple[Record, ...]]
    scores: dict[str, Score | None]
    state: str

    @property
    def active(self) -> bool:
        """Whether it is not over."""
        return self.state in ("running", "paused")


@dataclass(frozen=True)
class SeedsResult:
    """The finished seeds of one recipe.

    Attributes:
        seeds: ascending.
        table: mean, spread, and each against the student without a teacher.
        over_control: the distilled student against the control.
    """

    seeds: tuple[int, ...]
    table: StudentTable
    over_control: PairedDifference


@dataclass(frozen=True)
class DistillResult:
    """What the teacher says, and how far the students are.

    Attributes:
        answer: to the image on screen.
        similarity: mean softened answer of each true class over the validation split; None for a
            class without examples.
        teacher: the teacher itself.
        race: the students under training, or the last ones; None before Start.
        seeds: the finished seeds of the recipe of ``race``; None before the first.
    """

    answer: Answer
    similarity: tuple[tuple[float, ...] | None, ...] = field(repr=False)
    teacher: Score
    race: RaceResult | None = None
    seeds: SeedsResult | None = None
