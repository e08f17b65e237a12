"""Data sets with less to learn from: few labels, a class left out. Only the train split changes.

Validation and test stay as they are, so that what was left out can be asked for.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lwlab.checks import check_choice, check_count
from lwlab.data.dataset import UNLABELLED, Dataset, Split

__all__ = ["few_labels", "only_labelled", "without_class"]


def few_labels(dataset: Dataset, per_class: int, seed: int = 0) -> Dataset:
    """Return ``dataset`` with all but a few training labels taken away: their targets become -1.

    The inputs stay, in their order: with a teacher there is much to learn from them. A class
    without any label in the train split, as after ``without_class``, stays without.

    Args:
        dataset: its inputs are shared, not copied.
        per_class: labels left of each class.
        seed: 0 to 2**32 - 1; decides which, the same on every machine. A larger ``per_class`` adds
            to those of a smaller one.

    Raises:
        TypeError: ``dataset`` is no ``Dataset``.
        ValueError: a number is out of range, or a class has fewer labels than that.
    """
    _check_dataset(dataset)
    per_class = check_count("per_class", per_class)
    seed = check_count("seed", seed, minimum=0, maximum=2**32 - 1)
    targets = dataset.train.targets.numpy(force=True)
    # RandomState, not Generator or torch: its stream alone is promised never to change (NEP 19).
    order = np.random.RandomState(seed).permutation(len(targets))
    kept = []
    for label, name in enumerate(dataset.class_names):
        members = order[targets[order] == label]
        if 0 < len(members) < per_class:
            raise ValueError(
                f"per_class must be at most the number of training labels of each class, got "
                f"{per_class} with {len(members)} of class {name!r}."
            )
        kept.append(members[:per_class])
    places = torch.from_numpy(np.concatenate(kept)).to(dataset.train.targets.device)
    left = torch.full_like(dataset.train.targets, UNLABELLED)
    left[places] = dataset.train.targets[places]
    name = f"{dataset.name} with {per_class} labels a class"
    return _with_train(dataset, name, Split(dataset.train.inputs, left))


def only_labelled(dataset: Dataset) -> Dataset:
    """Return ``dataset`` with the training examples that have a label: what a student alone has.

    Args:
        dataset: such as one from ``few_labels``.

    Raises:
        TypeError: ``dataset`` is no ``Dataset``.
        ValueError: no training example has a label.
    """
    _check_dataset(dataset)
    keep = dataset.train.targets != UNLABELLED
    if not keep.any():
        raise ValueError("dataset must have at least one training label, got none.")
    return _with_train(dataset, f"{dataset.name}, labelled only", _selected(dataset, keep))


def without_class(dataset: Dataset, left_out: str | int) -> Dataset:
    """Return ``dataset`` without the training examples of one class; it keeps its place and name.

    An example without a label (-1) stays, whatever it shows: leave classes out before labels.

    Args:
        dataset: left as it is.
        left_out: name or number of the class.

    Raises:
        TypeError: ``dataset`` is no ``Dataset``, or ``left_out`` neither text nor number.
        ValueError: there is no such class, or nothing would be left.
    """
    _check_dataset(dataset)
    if isinstance(left_out, str):
        names = dataset.class_names
        label = names.index(check_choice("left_out", left_out, names))
    else:
        label = check_count("left_out", left_out, minimum=0, maximum=dataset.num_classes - 1)
    keep = dataset.train.targets != label
    if not keep.any():
        raise ValueError(
            f"dataset must have training examples of another class than "
            f"{dataset.class_names[label]!r}, got none."
        )
    name = f"{dataset.name} without {dataset.class_names[label]}"
    return _with_train(dataset, name, _selected(dataset, keep))


def _selected(dataset: Dataset, keep: Tensor) -> Split:
    return dataset.train.select(keep.nonzero().squeeze(1))


def _with_train(dataset: Dataset, name: str, train: Split) -> Dataset:
    return Dataset(name, train, dataset.validation, dataset.test, dataset.class_names)


def _check_dataset(dataset: Dataset) -> None:
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}. "
            f"Try data.from_arrays."
        )
