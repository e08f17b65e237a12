"""Learn from the layers of a teacher: a loss for ``fit`` that looks inside both networks.

    pairs = [("conv2", "conv2")]
    with FeatureDistillation(student, teacher, dataset, pairs, match=Hint()) as loss:
        for record in fit(student, dataset, loss=loss): ...

The loss watches the student's layers by hooks, and lets the student host what a match has to learn
(a regressor), so that ``fit`` trains both; it knows nothing of either. After the block the student
is a plain model again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import chain
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from lwlab.checks import check_module, check_number
from lwlab.data import Dataset
from lwlab.distill.features.guests import hosted
from lwlab.distill.features.matches import Attention, Match
from lwlab.distill.features.recording import check_layer, features_of, recorded
from lwlab.distill.teacher import Teacher
from lwlab.measure import fastest_layout
from lwlab.train import Batch, LossFunction, cross_entropy

__all__ = ["FeatureDistillation"]

Pairs = Iterable[tuple[str, str]]


class FeatureDistillation:
    """``base(outputs, batch) + weight * sum over pairs of match(student's, teacher's features)``.

    Usable inside a ``with`` block only. It holds for its student, and for deep copies made inside
    the block; a copy's regressors stay as they are.

    Args:
        student: the very model that ``fit`` will train.
        teacher: a trained network of the same inputs, or a ``Teacher`` of one. It answers each
            batch anew, as the student sees it.
        dataset: as for ``fit``; a few of its inputs tell the shapes of the features.
        pairs: (layer of the student, layer of the teacher) by dotted names; any submodule whose
            output is ``(N, D)`` or ``(N, C, H, W)``.
        match: ``Attention()``, ``Hint()``, ``Relation()``, or one's own ``Match``.
        weight: of the features, at least 0.
        base: the loss of the outputs, such as a ``Distillation``; by default of the labels alone.
        activation: what follows the layers, elementwise, applied to the features of both:
            attention and hints are about activations. ``torch.nn.Identity()`` for none.
        seed: of the regressors.

    Attributes:
        regressors: by pair, where something has to be learned.

    Raises:
        TypeError, ValueError: at once, for a layer that does not exist or is not called, features
            that do not go together, no pairs, or arguments of another kind. When called: outside
            of the block, or another model than the student was run.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: Teacher | nn.Module,
        dataset: Dataset,
        pairs: Pairs,
        *,
        match: Match | None = None,
        weight: float = 1.0,
        base: LossFunction = cross_entropy,
        activation: Callable[[Tensor], Tensor] = torch.relu,
        seed: int = 0,
    ) -> None:
        self._student = check_module("student", student)
        self._teacher = _single(teacher)
        self._pairs = _checked_pairs(pairs)
        for ours, theirs in self._pairs:
            check_layer("layer of the student", ours, student)
            check_layer("layer of the teacher", theirs, self._teacher)
        self._match = Attention() if match is None else match
        self._weight = check_number("weight", weight, minimum=0)
        self._base, self._activation = base, activation
        self._stack: ExitStack | None = None
        self._found: dict[str, Tensor] = {}
        self.regressors: dict[tuple[str, str], nn.Module] = {}
        self._dry_run(_examples(dataset), seed)

    def _dry_run(self, inputs: Tensor, seed: int) -> None:
        """Make the regressors, and compare once: what does not go together is told now."""
        self._layout = fastest_layout(self._teacher, inputs)
        ours = features_of(self._student, inputs, self._names(0))
        theirs = self._teachers_features(inputs)
        for number, pair in enumerate(self._pairs):
            features = ours[pair[0]], theirs[pair[1]]
            regressor = self._match.regressor(*features, seed + number)
            if regressor is not None:
                self.regressors[pair] = regressor
            with torch.no_grad():
                self._match.loss(*features, regressor)

    def __enter__(self) -> Self:
        if self._stack is not None:
            raise ValueError("FeatureDistillation must be entered once, got a block in its block.")
        parameters = chain.from_iterable(r.parameters() for r in self.regressors.values())
        with ExitStack() as stack:
            self._found = stack.enter_context(recorded(self._student, self._names(0)))
            stack.enter_context(hosted(self._student, parameters))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def _names(self, side: int) -> list[str]:
        return list(dict.fromkeys(pair[side] for pair in self._pairs))

    def _teachers_features(self, inputs: Tensor) -> dict[str, Tensor]:
        # The student's layout need not be one that the teacher takes. Not contiguous(): it leaves
        # the strides of an image of one channel as they are.
        plain = inputs.clone(memory_format=torch.contiguous_format)
        return features_of(self._teacher, self._layout(plain), self._names(1))

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the student's logits and features, a differentiable scalar."""
        if self._stack is None:
            raise ValueError(
                "FeatureDistillation must be used inside its block, got a call outside. Write "
                "with FeatureDistillation(...) as loss: and train there."
            )
        ours = dict(self._found)
        self._found.clear()  # What is left here later would be of another batch.
        if len(ours) < len(self._names(0)):
            raise ValueError(
                "FeatureDistillation must be given the outputs of its student, got those of a "
                "model that it does not watch. Train the student that it was made with."
            )
        theirs = self._teachers_features(batch.inputs)
        loss = self._base(outputs, batch)
        for pair in self._pairs:
            student, teacher = self._activation(ours[pair[0]]), self._activation(theirs[pair[1]])
            found = self._match.loss(student, teacher, self.regressors.get(pair))
            loss = loss + self._weight * found
        return loss


def _examples(dataset: Dataset) -> Tensor:
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}. "
            f"Try data.from_arrays."
        )
    return dataset.train.inputs[:4]


def _single(teacher: Teacher | nn.Module) -> nn.Module:
    known = teacher if isinstance(teacher, Teacher) else Teacher(teacher)
    if len(known.models) > 1:
        raise ValueError(
            f"teacher must be one network to be looked into, got {len(known.models)}. Name one of "
            f"them."
        )
    return known.models[0]


def _checked_pairs(pairs: Pairs) -> list[tuple[str, str]]:
    allowed = "a list of (layer of the student, layer of the teacher)"
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise TypeError(f"pairs must be {allowed}, got {pairs!r}.")
    found = [tuple(pair) if isinstance(pair, (tuple, list)) else pair for pair in pairs]
    for pair in found:
        if not (
            isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(n, str) for n in pair)
        ):
            raise TypeError(f"pairs must be {allowed}, got {pair!r} in it. Try [('fc1', 'fc1')].")
    if not found:
        raise ValueError(f"pairs must be {allowed}, at least one, got none.")
    return found
