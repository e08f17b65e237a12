"""The steps that train: they move weights, and leave what was done to the weights in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lwlab.checks import check_count, check_fraction, check_number
from lwlab.distill import Teacher
from lwlab.pipeline.quantizers import learn_new_steps_
from lwlab.pipeline.step import Bench, Step, check_flag, set_field_
from lwlab.train import Record

__all__ = ["Distil", "FineTune", "Train", "TrainQuantized"]


@dataclass(frozen=True)
class _Training(Step):
    """What all of them have.

    Attributes:
        epochs: passes over the training split.
        learning_rate: at the start, above 0; it falls to 0 along a cosine.
    """

    epochs: int = 2
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        rate = check_number("learning_rate", self.learning_rate, above=0)
        set_field_(self, epochs=check_count("epochs", self.epochs), learning_rate=rate)

    def _times(self) -> str:
        """Return ``"1 epoch"`` or ``"3 epochs"``, with the learning rate."""
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        return f"{epochs} at learning rate {self.learning_rate:g}"


@dataclass(frozen=True)
class Train(_Training):
    """Train the float model on the labels.

    What it becomes is the teacher of the steps after it, unless ``run`` was given one.

    Attributes:
        epochs: passes over the training split.
        learning_rate: at the start, above 0; it falls to 0 along a cosine.

    Raises:
        TypeError, ValueError: a field is out of range.
    """

    epochs: int = 10
    learning_rate: float = 2e-3

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        return f"Train for {self._times()}"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Train ``bench.model``."""
        yield from bench.train(epochs=self.epochs, learning_rate=self.learning_rate)
        self.hand_on_(bench)

    def hand_on_(self, bench: Bench) -> None:
        """Make what was trained the teacher of the steps after it, unless there is one."""
        if not bench.own_teacher:
            bench.teacher = Teacher(bench.model)


@dataclass(frozen=True)
class Distil(_Training):
    """Train on the answers of the teacher: the one given to ``run``, else the float model.

    After pruning, masks stay on; after weight sharing, the shared values are what is trained.

    Attributes:
        epochs: passes over the training split.
        learning_rate: at the start, above 0; it falls to 0 along a cosine.
        temperature: above 0, how much the answers are softened.
        alpha: weight of the teacher's answers, in [0, 1]; the rest is for the labels.

    Raises:
        TypeError, ValueError: a field is out of range.

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531.
    """

    epochs: int = 5
    learning_rate: float = 1e-3
    temperature: float = 4.0
    alpha: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        temperature = check_number("temperature", self.temperature, above=0)
        alpha = check_fraction("alpha", self.alpha, allow_one=True)
        set_field_(self, temperature=temperature, alpha=alpha)

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        setting = f"temperature {self.temperature:g}, alpha {self.alpha:g}"
        return f"Learn from the teacher for {self._times()} ({setting})"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Train ``bench.model``."""
        loss = bench.distillation(temperature=self.temperature, alpha=self.alpha)
        yield from bench.train(epochs=self.epochs, learning_rate=self.learning_rate, loss=loss)


@dataclass(frozen=True)
class FineTune(_Training):
    """Train on after a cut: masks stay on, and shared weights move together.

    Attributes:
        epochs: passes over the training split.
        learning_rate: at the start, above 0; it falls to 0 along a cosine.
        distil: learn the teacher's answers along with the labels.

    Raises:
        TypeError, ValueError: a field is out of range.
    """

    distil: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("distil", self.distil)

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        return f"Fine-tune for {self._times()}{_from_teacher(self.distil)}"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Train ``bench.model``."""
        loss = bench.loss(self.distil)
        yield from bench.train(epochs=self.epochs, learning_rate=self.learning_rate, loss=loss)


@dataclass(frozen=True)
class TrainQuantized(_Training):
    """Train through the rounding: the model computes with quantized weights while it learns.

    Attributes:
        epochs: passes over the training split.
        learning_rate: at the start, above 0; it falls to 0 along a cosine.
        learned_step: the steps of the grids are trained too (LSQ). Layers of 1 bit keep their
            rule, and steps that are learned already are trained on.
        distil: learn the teacher's answers along with the labels.

    Raises:
        TypeError, ValueError: a field is out of range.

    Source: Esser et al. 2020, "Learned step size quantization", arXiv:1902.08153.
    """

    learned_step: bool = True
    distil: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("learned_step", self.learned_step)
        check_flag("distil", self.distil)

    def describe(self) -> str:
        """Return one plain line that says what will be done."""
        steps = ", steps learned" if self.learned_step else ""
        return f"Train through the rounding for {self._times()}{steps}{_from_teacher(self.distil)}"

    def apply_(self, bench: Bench) -> Iterator[Record]:
        """Train ``bench.model``."""
        if self.learned_step:
            learn_new_steps_(bench.model)
        loss = bench.loss(self.distil)
        yield from bench.train(epochs=self.epochs, learning_rate=self.learning_rate, loss=loss)


def _from_teacher(distil: bool) -> str:
    return ", learning from the teacher too" if distil else ""
