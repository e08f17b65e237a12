"""From a model and inputs to one class per input, fast.

Inputs go in with their channels last (see ``layout``), and batches of 250 keep the activations in
the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lwlab.checks import check_count, check_module
from lwlab.data import Split
from lwlab.measure.evaluating import evaluating, forward
from lwlab.measure.layout import channels_last, has_image_convolutions

__all__ = ["NO_ANSWER", "Predictor", "check_split", "predictions"]

NO_ANSWER = -1
"""The class of an input whose logits hold a NaN. It equals no target, so it counts as wrong."""


def predictions(model: nn.Module, inputs: Tensor, batch_size: int = 250) -> Tensor:
    """Return the class that ``model`` gives each input: the place of its largest logit.

    An input whose logits hold a NaN gets ``NO_ANSWER`` (-1), so that a network that was cut too
    far scores badly rather than stopping a live plot.

    Args:
        model: takes ``(B, *shape)``, returns floating-point logits ``(B, C)`` with C of at least 2.
        inputs: tensor ``(N, *shape)``; it is left alone, also by a model that works in place.
        batch_size: inputs per forward pass, at the most.

    Returns:
        int64 tensor ``(N,)`` on the CPU.

    Raises:
        TypeError: an argument, or what the model returns, is of another type.
        ValueError: no inputs, a model that fails on them, or outputs of another shape.
    """
    return Predictor(model, batch_size)(inputs)


class Predictor:
    """Predicts part after part with one model, and remembers the layout that works for it.

    Args:
        model: as for ``predictions``.
        batch_size: inputs per forward pass, at the most.

    Attributes:
        num_classes: C of the logits, known after the first call.
    """

    def __init__(self, model: nn.Module, batch_size: int = 250) -> None:
        self._model = check_module("model", model)
        self._batch_size = check_count("batch_size", batch_size)
        self._channels_last = has_image_convolutions(model)
        self.num_classes = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the classes of ``inputs``; see ``predictions``."""
        return self._in_batches(inputs, self._classes)

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits of ``inputs``, ``(N, C)`` on the CPU; NaN where the model gives NaN."""
        return self._in_batches(inputs, lambda batch: self._logits(batch).cpu())

    def _in_batches(self, inputs: Tensor, answer: Callable[[Tensor], Tensor]) -> Tensor:
        if not isinstance(inputs, Tensor):
            raise TypeError(f"inputs must be a tensor, got {type(inputs).__name__}.")
        if inputs.ndim < 1 or not len(inputs):
            raise ValueError(
                f"inputs must hold at least one example, got shape {tuple(inputs.shape)}."
            )
        # Batches of nearly one size: a last batch of one input would take other, slower kernels.
        batches = inputs.tensor_split(math.ceil(len(inputs) / self._batch_size))
        with evaluating(self._model):
            answers = torch.cat([answer(batch) for batch in batches])
        return answers.clone()  # out here it becomes an ordinary tensor

    def _logits(self, batch: Tensor) -> Tensor:
        logits = _check_logits(self._outputs(batch), len(batch))
        self.num_classes = logits.shape[1]
        return logits

    def _classes(self, batch: Tensor) -> Tensor:
        logits = self._logits(batch)
        unanswered = logits.isnan().any(dim=1)
        return logits.argmax(dim=1).masked_fill(unanswered, NO_ANSWER).cpu()

    def _outputs(self, batch: Tensor) -> object:
        if self._channels_last and batch.ndim == 4:
            try:
                return self._model(channels_last(batch))
            except Exception:  # Tensor.view, for one, refuses this layout: on with the plain one.
                self._channels_last = False
        # A clone keeps the strides of what it is given, and these may be what failed.
        return forward(self._model, batch.clone(memory_format=torch.contiguous_format))


def check_split(split: Split) -> Split:
    """Return ``split`` if it is a ``Split`` with examples in it.

    Raises:
        TypeError: it is something else, such as a whole ``Dataset``.
        ValueError: it is empty.
    """
    if not isinstance(split, Split):
        raise TypeError(
            f"split must be a Split, got {type(split).__name__}. Try dataset.validation."
        )
    if not len(split):
        raise ValueError("split must hold at least one example, got an empty split.")
    return split


def _check_logits(outputs: object, count: int) -> Tensor:
    allowed = f"floating-point logits of shape ({count}, classes) for {count} inputs"
    if not isinstance(outputs, Tensor):
        raise TypeError(
            f"model must return {allowed}, got {type(outputs).__name__}. "
            f"Let forward return the logits alone."
        )
    if not outputs.is_floating_point():
        raise TypeError(f"model must return {allowed}, got {outputs.dtype}.")
    if outputs.ndim != 2 or len(outputs) != count:
        raise ValueError(f"model must return {allowed}, got shape {tuple(outputs.shape)}.")
    if outputs.shape[1] < 2:
        raise ValueError(
            f"model must return logits of at least 2 classes, got {outputs.shape[1]}. "
            f"Give a yes-or-no model two outputs."
        )
    return outputs
