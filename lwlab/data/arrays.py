"""A data set from one's own arrays: any inputs with whole-number classes, split in three."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lwlab.checks import check_finite, check_fraction
from lwlab.data.dataset import Dataset, Split
from lwlab.data.splitting import stratified_split
from lwlab.units import format_count

__all__ = ["from_arrays"]

# One example of each class for each of train, validation and test.
_MINIMUM_PER_CLASS = 3
_RENUMBER = "Try numpy.unique(targets, return_inverse=True)[1]."


def from_arrays(
    inputs: Tensor | np.ndarray,
    targets: Tensor | np.ndarray | Sequence[int],
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    name: str = "own data",
    validation_fraction: float = 0.15,
    test_fraction: float = 0.15,
) -> Dataset:
    """Return a ``Dataset`` of copies of one's own examples, split at random but stratified.

    Validation and test get ``round(fraction * N)`` examples, each class its share within one. Every
    class appears in every split; where a class is so small that this needs it, a split is a little
    larger or smaller. The data are copied, detached from any graph and moved to the CPU: later
    changes of the arguments do not reach the data set. No global random stream is touched.

    Args:
        inputs: (N, ...) real numbers: a numpy array or torch tensor of any shape from (N, 1) on.
            They become float32 **as given, not rescaled**: bytes from 0 to 255 stay 0.0 to 255.0.
            A network learns best from values of about -1 to 1: divide an image by 255 first.
        targets: (N,) classes 0, 1, 2, ... without a gap, at least 3 examples of each. Floats are
            taken if all are whole (2.0 is class 2), as in a table read from a file.
        class_names: one name per class; by default the classes' numbers.
        seed: 0 to 2**32 - 1; decides which example goes where, the same on every machine.
        name: what plots and tables call the data set.
        validation_fraction: part of the examples for validation, in (0, 1).
        test_fraction: part of the examples for test, in (0, 1); less than 1 together.

    Raises:
        TypeError: an argument is of the wrong kind (complex numbers, text, objects, ...).
        ValueError: empty inputs, lengths that differ, NaN or infinite values, classes that are
            negative, fractional, missing or too small, names that do not fit, bad fractions.
    """
    fractions = _check_fractions(validation_fraction, test_fraction)
    labels = _as_labels(targets)
    values = _as_inputs(inputs)
    if len(values) != len(labels):
        raise ValueError(
            f"targets must have one class per input, got {format_count(len(labels))} targets for "
            f"{format_count(len(values))} inputs."
        )
    num_classes = _check_classes(labels)
    names = _check_name_count(class_names, num_classes)
    sizes = [round(fraction * len(labels)) for fraction in fractions]
    parts = [torch.from_numpy(part) for part in stratified_split(labels, sizes, seed)]
    # Indexing with a tensor copies, so that no split shares memory with the caller's arrays.
    classes = torch.from_numpy(labels)
    return Dataset(name, *(Split(values[part], classes[part]) for part in parts), names)


def _check_fractions(validation: float, test: float) -> tuple[float, float]:
    fractions = (
        check_fraction("validation_fraction", validation),
        check_fraction("test_fraction", test),
    )
    if min(fractions) == 0:
        raise ValueError(
            "validation_fraction and test_fraction must be above 0, got "
            f"{fractions[0]:g} and {fractions[1]:g}. "
            "Try lwlab.data.Dataset(...) for splits of your own."
        )
    if sum(fractions) >= 1:
        raise ValueError(
            "validation_fraction + test_fraction must be below 1, got "
            f"{fractions[0]:g} + {fractions[1]:g}."
        )
    return fractions


def _as_array(name: str, values: Any) -> np.ndarray | Tensor:
    """Return real numbers as a strided CPU tensor or a numpy array, not yet copied."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        if values.is_complex() or values.is_quantized:
            raise TypeError(f"{name} must be real numbers, got {values.dtype}.")
        return values.to_dense() if values.layout != torch.strided else values
    if not (hasattr(values, "__array__") or isinstance(values, (list, tuple))):
        raise TypeError(
            f"{name} must be a numpy array or a torch tensor, got {type(values).__name__}."
        )
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be rectangular, got rows of unequal length.") from None
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must be real numbers, got numpy dtype {array.dtype}.")
    return array


def _as_inputs(inputs: Any) -> Tensor:
    values = _as_array("inputs", inputs)
    shape = tuple(values.shape)
    if len(shape) < 2:
        hint = " Try inputs.reshape(-1, 1)." if len(shape) == 1 and shape[0] else ""
        raise ValueError(f"inputs must have shape (N, ...), got {shape}.{hint}")
    if 0 in shape:
        raise ValueError(f"inputs must not be empty, got shape {shape}.")
    if isinstance(values, np.ndarray):
        # A copy takes foreign byte orders, negative strides and read-only memory in its stride;
        # what is too large for float32 becomes infinite and is named by the check below.
        with np.errstate(over="ignore"):
            values = torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
    return check_finite("inputs as float32", values.to(torch.float32))


def _as_labels(targets: Any) -> np.ndarray:
    values = _as_array("targets", targets)
    shape = tuple(values.shape)
    if len(shape) != 1:
        raise ValueError(f"targets must have shape (N,), got {shape}.{_shape_hint(shape)}")
    if isinstance(values, Tensor):
        # numpy knows no bfloat16.
        values = (values.double() if values.is_floating_point() else values).numpy()
    bad = np.flatnonzero(~_is_class(values))
    if len(bad):
        raise ValueError(
            f"targets must be whole numbers from 0, got {values[bad[0]].item()!r} "
            f"at index {bad[0]}."
        )
    return values.astype(np.int64)


def _is_class(values: np.ndarray) -> np.ndarray:
    # Above 2**31 nothing is a class, and int64 could not hold every such number.
    return (values >= 0) & (values < 2**31) & (values == np.floor(values))


def _shape_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 and shape[1] > 1:
        return " Try targets.argmax(1) if they are one-hot."
    return " Try targets.reshape(-1)." if len(shape) == 2 else ""


def _check_classes(labels: np.ndarray) -> int:
    """Return the number of classes, none missing and none too small to be split."""
    present, counts = np.unique(labels, return_counts=True)
    highest = int(present[-1])
    if len(present) <= highest:
        # Only the first few are looked for: a label of 1,000,000 must not list a million classes.
        missing = np.setdiff1d(np.arange(min(highest, len(present) + 3)), present)[:3]
        unsaid = highest + 1 - len(present) - len(missing)
        more = f" and {format_count(unsaid)} more" if unsaid else ""
        raise ValueError(
            f"targets must use every class from 0 to {highest}, got no example of "
            f"{', '.join(map(str, missing))}{more}. {_RENUMBER}"
        )
    if len(present) < 2:
        raise ValueError("targets must use at least 2 classes, got 1.")
    if counts.min() < _MINIMUM_PER_CLASS:
        raise ValueError(
            f"targets must have at least {_MINIMUM_PER_CLASS} examples of each class, one for each "
            f"split, got {counts.min()} of class {counts.argmin()}."
        )
    return len(present)


def _check_name_count(names: Sequence[str] | None, num_classes: int) -> tuple[str, ...]:
    if names is None:
        return tuple(str(label) for label in range(num_classes))
    if isinstance(names, Sized) and not isinstance(names, str) and len(names) != num_classes:
        raise ValueError(
            f"class_names must name {num_classes} classes, 0 to {num_classes - 1}, "
            f"got {len(names)} names."
        )
    return names  # The Dataset checks the rest.
