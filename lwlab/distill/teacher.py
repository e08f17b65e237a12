"""The teacher: one network or several, frozen, whose answers a student learns from.

A ``Teacher`` holds deep copies in evaluation mode, without gradients. It is no ``nn.Module``, so
that it never ends up among the parameters of a student that keeps a reference to it. Training the
original on, or training the student, leaves the answers as they are.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lwlab.checks import check_count, check_finite, check_module
from lwlab.data import Split
from lwlab.distill.softening import check_temperature
from lwlab.measure.predicting import Predictor, check_split

__all__ = ["Teacher"]


class Teacher:
    """Answers with logits; several networks answer as one (an ensemble).

    An ensemble averages what its members say, in one of the two ways of the paper. By default it is
    the geometric mean of their probabilities, which is the mean of their logits and so holds at
    every temperature. With ``temperature=T`` it is the arithmetic mean of the probabilities
    softened by T: ``soften(teacher.logits(x), T)`` is exactly that mean, and only at this T.

    Args:
        models: one ``nn.Module`` that returns logits ``(B, C)``, or several of the same classes.
            They are copied.
        temperature: at which the probabilities of several networks are averaged; None for the mean
            of the logits.
        batch_size: inputs per forward pass, at the most.

    Attributes:
        models: the copies, as a tuple.
        temperature: as given.

    Raises:
        TypeError: a model is no ``nn.Module``.
        ValueError: no model, a temperature for a single one, or out of range.

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 1 (ensembles as teachers).
    """

    def __init__(
        self,
        models: nn.Module | Iterable[nn.Module],
        *,
        temperature: float | None = None,
        batch_size: int = 250,
    ) -> None:
        single = isinstance(models, (nn.Module, type)) or not isinstance(models, Iterable)
        members = [models] if single else list(models)
        name = "models" if single else "each of models"
        members = [check_module(name, member) for member in members]
        if not members:
            raise ValueError("models must hold at least one network, got none.")
        if temperature is not None:
            check_temperature(temperature)
            if len(members) == 1:
                raise ValueError(
                    f"temperature must be left out for a teacher of one network, which has "
                    f"nothing to average, got {temperature!r}."
                )
        self.temperature = temperature
        self.models = tuple(_frozen(member) for member in members)
        self._predictors = [
            Predictor(m, check_count("batch_size", batch_size)) for m in self.models
        ]
        self._answers: WeakKeyDictionary[Split, Tensor] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"Teacher({', '.join(type(model).__name__ for model in self.models)})"

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits ``(N, C)`` of ``inputs``, computed now, without a graph.

        Raises:
            TypeError, ValueError: no tensor of inputs, a model that fails on them or returns no
                logits, networks of different classes, or answers that are NaN or infinite.
        """
        answers = [predictor.logits(inputs) for predictor in self._predictors]
        counts = {answer.shape[1] for answer in answers}
        if len(counts) > 1:
            raise ValueError(
                f"models must all tell the same classes apart, got "
                f"{' and '.join(str(count) for count in sorted(counts))} of them."
            )
        return check_finite("the teacher's logits", self._mean(answers))

    def _mean(self, answers: list[Tensor]) -> Tensor:
        if len(answers) == 1:
            return answers[0]
        stacked = torch.stack(answers)
        if self.temperature is None:
            return stacked.mean(dim=0)
        logarithms = (stacked / self.temperature).log_softmax(dim=2)
        mean = logarithms.logsumexp(dim=0) - math.log(len(answers))
        return self.temperature * mean

    def answers(self, split: Split) -> Tensor:
        """Return the logits of all examples of ``split`` by position, computed at the first call.

        The tensor is kept as long as the split is, and shared: do not change it.

        Raises:
            TypeError, ValueError: ``split`` is no ``Split`` or empty, or as for ``logits``.
        """
        check_split(split)
        if split not in self._answers:
            self._answers[split] = self.logits(split.inputs)
        return self._answers[split]


def _frozen(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode whose parameters ask for no gradient."""
    own = copy.deepcopy(model)
    for module in own.modules():
        # One by one: eval() may be overridden and do more than that.
        module.training = False
    return own.requires_grad_(False)
