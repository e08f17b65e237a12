"""Is it the teacher, or only a larger step? How far two losses move the same model.

A soft term with T^2 in it, or large weights, can have several times the gradient of cross-entropy.
The student then learns with a larger effective step, and a gain may come from that alone. These
functions measure it on a copy; ``Scaled`` or a larger learning rate gives a control that takes
steps of the same size without a teacher.
"""

from __future__ import annotations

import copy
from itertools import islice

import torch
from torch import Tensor, nn

from lwlab.checks import check_count, check_module
from lwlab.data import Dataset
from lwlab.train.choices import LossFunction, OptimizerFactory, adam
from lwlab.train.loop import fit

__all__ = ["distance_travelled", "gradient_norm", "gradient_ratio", "step_ratio"]


def gradient_norm(
    model: nn.Module,
    dataset: Dataset,
    loss: LossFunction,
    *,
    batch_size: int = 64,
    num_batches: int = 8,
    seed: int = 0,
) -> float:
    """Return the mean length of the gradient over all parameters, at the weights of ``model``.

    Mean over the first batches that ``fit`` would take with this seed; the weights do not move.

    Args:
        model: left as it is.
        dataset: the batches come from its train split.
        loss: as for ``fit``.
        batch_size: as for ``fit``.
        num_batches: how many, at the most: those of one epoch.
        seed: as for ``fit``.

    Raises:
        TypeError, ValueError: an argument is out of range; see ``fit``.
    """
    num_batches = check_count("num_batches", num_batches)
    lengths: list[float] = []
    frozen = copy.deepcopy(check_module("model", model))
    # Steps of size 0, recorded one by one: the gradients lie in the parameters at each record.
    steps = fit(
        frozen,
        dataset,
        epochs=1,
        learning_rate=1.0,
        batch_size=batch_size,
        loss=loss,
        seed=seed,
        steps_per_record=1,
        schedule=_no_step,
        optimizer=_plain_descent,
    )
    for _ in islice(steps, num_batches):
        gradients = [p.grad for p in frozen.parameters() if p.grad is not None]
        lengths.append(float(_length(gradients)))
    return sum(lengths) / len(lengths)


def gradient_ratio(
    model: nn.Module,
    dataset: Dataset,
    loss: LossFunction,
    reference: LossFunction,
    *,
    batch_size: int = 64,
    num_batches: int = 8,
    seed: int = 0,
) -> float:
    """Return ``gradient_norm`` of ``loss`` divided by that of ``reference``, on the same batches.

    ``Scaled(reference, gradient_ratio(...))`` starts, under plain SGD, with the steps of ``loss``.
    Under Adam the length of a gradient does not matter: see ``step_ratio``.

    Args:
        model: left as it is.
        dataset: as for ``gradient_norm``.
        loss: such as a ``Distillation``.
        reference: such as ``train.cross_entropy``.
        batch_size: as for ``fit``.
        num_batches: as for ``gradient_norm``.
        seed: as for ``fit``.

    Raises:
        TypeError, ValueError: as for ``gradient_norm``, or the reference has no gradient.
    """
    below = gradient_norm(
        model, dataset, reference, batch_size=batch_size, num_batches=num_batches, seed=seed
    )
    above = gradient_norm(
        model, dataset, loss, batch_size=batch_size, num_batches=num_batches, seed=seed
    )
    return _quotient(above, below)


def distance_travelled(
    model: nn.Module,
    dataset: Dataset,
    loss: LossFunction,
    *,
    steps: int = 20,
    learning_rate: float = 2e-3,
    batch_size: int = 64,
    optimizer: OptimizerFactory = adam,
    seed: int = 0,
) -> float:
    """Return how far the parameters are from where they started, after a few steps of ``fit``.

    The length of the difference, over all parameters. It holds for any optimizer, also for those
    that, like Adam, do not care for the length of a gradient.

    Args:
        model: left as it is; a copy is trained.
        dataset: as for ``fit``.
        loss: as for ``fit``.
        steps: how many, at the most: those of one epoch.
        learning_rate: as for ``fit``.
        batch_size: as for ``fit``.
        optimizer: as for ``fit``.
        seed: as for ``fit``.

    Raises:
        TypeError, ValueError: an argument is out of range; see ``fit``.
    """
    moved = copy.deepcopy(check_module("model", model))
    records = fit(
        moved,
        dataset,
        epochs=1,
        learning_rate=learning_rate,
        batch_size=batch_size,
        loss=loss,
        seed=seed,
        steps_per_record=check_count("steps", steps),
        optimizer=optimizer,
    )
    next(records)
    pairs = zip(moved.parameters(), model.parameters(), strict=True)
    return float(_length([(new - old).detach() for new, old in pairs]))


def step_ratio(
    model: nn.Module,
    dataset: Dataset,
    loss: LossFunction,
    reference: LossFunction,
    *,
    steps: int = 20,
    learning_rate: float = 2e-3,
    batch_size: int = 64,
    optimizer: OptimizerFactory = adam,
    seed: int = 0,
) -> float:
    """Return ``distance_travelled`` with ``loss`` divided by that with ``reference``.

    A control of equal effective step is ``reference`` with this many times the learning rate.

    Args:
        model: left as it is.
        dataset: as for ``fit``.
        loss: such as a ``Distillation``.
        reference: such as ``train.cross_entropy``.
        steps: as for ``distance_travelled``.
        learning_rate: as for ``fit``.
        batch_size: as for ``fit``.
        optimizer: as for ``fit``.
        seed: as for ``fit``.

    Raises:
        TypeError, ValueError: as for ``distance_travelled``, or the reference does not move.
    """
    settings = {
        "steps": steps,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "seed": seed,
    }
    below = distance_travelled(model, dataset, reference, **settings)
    return _quotient(distance_travelled(model, dataset, loss, **settings), below)


def _quotient(above: float, below: float) -> float:
    if below == 0:
        raise ValueError(
            "reference must have a gradient that is not 0, got 0. Give it a batch with labels."
        )
    return above / below


def _length(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors]).norm()


def _no_step(progress: float) -> float:
    del progress
    return 0.0


def _plain_descent(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=learning_rate)
