"""Ways to compare the features of two layers, as settings for ``FeatureDistillation``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from lwlab.checks import check_number
from lwlab.distill.features.attention import attention_loss
from lwlab.distill.features.hints import hint_loss, make_regressor
from lwlab.distill.features.relational import angle_loss, distance_loss

__all__ = ["Attention", "Hint", "Match", "Relation"]


class Match(Protocol):
    """A way to compare features; write one's own with these two methods."""

    def regressor(self, student: Tensor, teacher: Tensor, seed: int) -> nn.Module | None:
        """Return what has to be learned to compare features of these shapes, or None."""

    def loss(self, student: Tensor, teacher: Tensor, regressor: nn.Module | None) -> Tensor:
        """Return a differentiable scalar; no gradient reaches the teacher."""


@dataclass(frozen=True)
class Hint:
    """``hint_loss``: the student's features, through a learned regressor, become the teacher's."""

    def regressor(self, student: Tensor, teacher: Tensor, seed: int) -> nn.Module:
        """Return ``make_regressor(student, teacher, seed)``."""
        return make_regressor(student, teacher, seed)

    def loss(self, student: Tensor, teacher: Tensor, regressor: nn.Module | None) -> Tensor:
        """Return ``hint_loss(student, teacher, regressor)``."""
        return hint_loss(student, teacher, regressor)


@dataclass(frozen=True)
class Attention:
    """``attention_loss``: the student looks where the teacher looks.

    Args:
        power: as for ``attention_map``.

    Raises:
        TypeError, ValueError: ``power`` is no number of at least 1.
    """

    power: float = 2.0

    def __post_init__(self) -> None:
        check_number("power", self.power, minimum=1)

    def regressor(self, student: Tensor, teacher: Tensor, seed: int) -> None:
        """Return None: nothing has to be learned."""
        del student, teacher, seed

    def loss(self, student: Tensor, teacher: Tensor, regressor: nn.Module | None) -> Tensor:
        """Return ``attention_loss(student, teacher, power=power)``."""
        del regressor
        return attention_loss(student, teacher, power=self.power)


@dataclass(frozen=True)
class Relation:
    """``distance_weight * distance_loss + angle_weight * angle_loss``.

    The paper takes 25 and 50 for classification; the defaults have their ratio, and the factor is
    left to the weight of ``FeatureDistillation``.

    Args:
        distance_weight: at least 0.
        angle_weight: at least 0.

    Raises:
        TypeError, ValueError: a weight is no such number.
    """

    distance_weight: float = 1.0
    angle_weight: float = 2.0

    def __post_init__(self) -> None:
        check_number("distance_weight", self.distance_weight, minimum=0)
        check_number("angle_weight", self.angle_weight, minimum=0)

    def regressor(self, student: Tensor, teacher: Tensor, seed: int) -> None:
        """Return None: nothing has to be learned."""
        del student, teacher, seed

    def loss(self, student: Tensor, teacher: Tensor, regressor: nn.Module | None) -> Tensor:
        """Return the weighted sum; a term of weight 0 is not computed."""
        del regressor
        terms = ((self.distance_weight, distance_loss), (self.angle_weight, angle_loss))
        values = [weight * term(student, teacher) for weight, term in terms if weight]
        return sum(values, start=0 * student.sum())
