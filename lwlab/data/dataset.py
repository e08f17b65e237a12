"""What a data set is here: tensors held in memory, in three splits that do not overlap.

Sliders, scans, early stopping and searches see *validation* only; *test* is scored at the end, on
purpose. Building a ``Dataset`` checks once that its parts fit together, so that nothing downstream
has to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lwlab.checks import check_count
from lwlab.units import format_count

__all__ = ["UNLABELLED", "Dataset", "Split"]

UNLABELLED = -1
"""The target of a training example whose class is not known; a loss leaves it out."""


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their classes. Two splits are equal only if they are the same object.

    Attributes:
        inputs: float32 tensor of shape (N, *input_shape).
        targets: int64 tensor of shape (N,), the class of each example.

    Raises:
        TypeError: a part is no tensor or has another dtype.
        ValueError: the shapes do not fit together.
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        _check_tensor("inputs", self.inputs, torch.float32)
        _check_tensor("targets", self.targets, torch.int64)
        if self.inputs.ndim < 2:
            raise ValueError(f"inputs must have shape (N, ...), got {tuple(self.inputs.shape)}.")
        if self.targets.shape != self.inputs.shape[:1]:
            raise ValueError(
                f"targets must have shape ({len(self.inputs)},), one class per input, "
                f"got {tuple(self.targets.shape)}."
            )

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return f"Split({format_count(len(self))} x {_shape_text(self.inputs.shape[1:])})"

    def take(self, count: int) -> Split:
        """Return the first ``count`` examples, or all where there are fewer.

        The result shares memory with this split. The splits of ``load`` and ``from_arrays`` are in
        a shuffled order, so that their first examples are a fair sample.

        Raises:
            TypeError: ``count`` is not a number.
            ValueError: ``count`` is not a whole number of at least 1.
        """
        count = check_count("count", count)
        return Split(self.inputs[:count], self.targets[:count])

    def select(self, indices: Tensor | np.ndarray | Sequence[int]) -> Split:
        """Return a copy of the examples at ``indices``, in that order; none is allowed.

        Raises:
            TypeError: ``indices`` are not whole numbers.
            ValueError: they are not in one dimension, or out of range.
        """
        indices = _as_indices(indices, len(self)).to(self.targets.device)
        return Split(self.inputs[indices], self.targets[indices])


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A named set of labelled examples in three splits.

    A set with a test split of its own, which ``from_arrays`` would mix, is built with this
    constructor directly.

    Attributes:
        name: what plots and tables call it.
        train: examples to learn from; a target of -1 (``UNLABELLED``) says that the class is not
            known.
        validation: examples to choose by.
        test: examples to report, once.
        class_names: the name of class 0, of class 1, ...; all different.

    Raises:
        TypeError: a split is no ``Split``, or a name no text.
        ValueError: an empty split, shapes that differ, a name used twice, a target without a name.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a text, got {self.name!r}.")
        # The one assignment to a frozen field: a list of names becomes the tuple that is promised.
        object.__setattr__(self, "class_names", _check_class_names(self.class_names))
        for split_name in ("train", "validation", "test"):
            self._check_split(split_name, getattr(self, split_name))

    def _check_split(self, name: str, split: Split) -> None:
        if not isinstance(split, Split):
            raise TypeError(f"{name} must be a Split, got {type(split).__name__}.")
        if not len(split):
            raise ValueError(f"{name} must hold at least one example, got an empty split.")
        shape = tuple(split.inputs.shape[1:])
        if shape != self.input_shape:
            raise ValueError(
                f"{name} must have inputs of the shape of train's, {self.input_shape}, got {shape}."
            )
        self._check_targets(name, split)

    def _check_targets(self, name: str, split: Split) -> None:
        # What is not labelled can be learned from, with a teacher, and never scored.
        lowest, spared = (UNLABELLED, " or -1 for no label,") if name == "train" else (0, "")
        low, high = int(split.targets.min()), int(split.targets.max())
        if low < lowest or high >= self.num_classes:
            wrong = low if low < lowest else high
            raise ValueError(
                f"{name} must have targets from 0 to {self.num_classes - 1}, one per class name,"
                f"{spared} got {wrong}."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example, such as (1, 28, 28): channels, height, width."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def __repr__(self) -> str:
        sizes = " / ".join(format_count(len(s)) for s in (self.train, self.validation, self.test))
        return (
            f"Dataset({self.name!r}: {sizes} train / validation / test, "
            f"inputs {_shape_text(self.input_shape)}, {self.num_classes} classes)"
        )


def _shape_text(shape: Sequence[int]) -> str:
    return "x".join(str(size) for size in shape)


def _check_tensor(name: str, value: object, dtype: torch.dtype) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor of {dtype}, got {type(value).__name__}.")
    if value.dtype != dtype:
        raise TypeError(f"{name} must be a tensor of {dtype}, got {value.dtype}.")


def _check_class_names(names: Sequence[str]) -> tuple[str, ...]:
    # A single text is a sequence of letters too, and never what was meant.
    listed = isinstance(names, Iterable) and not isinstance(names, str)
    if not listed or not all(isinstance(name, str) for name in names):
        raise TypeError(f"class_names must be a sequence of texts, got {names!r}.")
    names = tuple(str(name) for name in names)
    if not names:
        raise ValueError("class_names must name at least one class, got none.")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"class_names must all be different, got {name!r} more than once.")
    return names


def _as_indices(indices: Tensor | np.ndarray | Sequence[int], length: int) -> Tensor:
    found = indices if isinstance(indices, Tensor) else torch.as_tensor(np.asarray(indices))
    if found.numel() == 0:  # An empty list arrives as floats.
        found = found.long()
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise TypeError(f"indices must be whole numbers, got {found.dtype}.")
    if found.ndim != 1:
        raise ValueError(f"indices must be in one dimension, got shape {tuple(found.shape)}.")
    outside = found[(found < 0) | (found >= length)]
    if len(outside):
        raise ValueError(f"indices must be from 0 to {length - 1}, got {int(outside[0])}.")
    return found.long()
