"""What DistillLab is asked for: what is seen of the teacher, and how three students are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lwlab.checks import (
    check_choice,
    check_count,
    check_fraction,
    check_number,
)
from lwlab.distill.objectives import KINDS
from lwlab.distill.softening import check_temperature

__all__ = ["ALONE", "CONTROLS", "DISTILLED", "ORDERS", "DistillParams"]

ALONE, DISTILLED = "alone", "distilled"
CONTROLS = ("label smoothing", "shuffled", "random teacher", "equal step")
ORDERS = ("hesitant", "as they come")


@dataclass(frozen=True)
class DistillParams:
    """What is seen of the teacher, and how the next three students are trained.

    Attributes:
        temperature: softens the answers on screen, above 0; Start takes it for the students.
        order: ``hesitant`` shows the images first where the teacher's two best classes are
            nearest to each other; or ``as they come``.
        example: which image of the validation split in that order, from 0.
        kind: of the soft term: ``kl``, ``mse``, ``dkd`` or ``dist``.
        alpha: weight of the soft term, in [0, 1].
        control: what is trained beside them, a name in ``CONTROLS``.
        epochs, learning_rate: of all three.
        seed: of their weights and batches.
    """

    temperature: float = 4.0
    order: str = "hesitant"
    example: int = 0
    kind: str = "kl"
    alpha: float = 0.9
    control: str = "label smoothing"
    epochs: int = 10
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        check_temperature(self.temperature)
        check_choice("order", self.order, ORDERS)
        check_count("example", self.example, minimum=0)
        check_choice("kind", self.kind, KINDS)
        check_fraction("alpha", self.alpha, allow_one=True)
        check_choice("control", self.control, CONTROLS)
        check_count("epochs", self.epochs)
        check_number("learning_rate", self.learning_rate, above=0)
        check_count("seed", self.seed, minimum=0)

    @property
    def softens(self) -> bool:
        """Whether the loss has a temperature: logits are matched without one."""
        return self.kind != "mse"

    @property
    def names(self) -> tuple[str, str, str]:
        """The three students."""
        return (ALONE, DISTILLED, self.control)

    def recipe(self) -> tuple[Any, ...]:
        """Return what decides how students are trained, but the seed: equal ones are counted."""
        softened = self.temperature if self.softens else None
        return (self.kind, softened, self.alpha, self.control, self.epochs, self.learning_rate)
