"""One training loop for every technique: a generator of records.

    for record in fit(model, dataset, epochs=5):
        print(record.epoch, record.loss, record.validation_accuracy)

``fit`` knows no technique by name. Distillation is a ``loss``, sparsity-inducing training is a
``penalty`` added to it, pruning and quantization-aware training are parametrizations of the model.
Because it is a generator, whoever reads the records is in charge: ``break`` stops the training, a
plot redraws between two records, a pruning schedule moves its masks there.

Data stay in memory as tensors and a batch is one indexed read: on networks of this size a
DataLoader spends more time handing over batches than the network spends on them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lwlab.checks import check_count, check_module, check_number
from lwlab.data import Dataset
from lwlab.data.dataset import UNLABELLED
from lwlab.measure import accuracy, fastest_layout
from lwlab.train.augmenting import check_augmentation, preparation
from lwlab.train.choices import (
    Augmentation,
    LossFunction,
    OptimizerFactory,
    PenaltyFunction,
    Schedule,
    adam,
    constant,
    cross_entropy,
)
from lwlab.train.records import Batch, Record, TrainingDivergedError
from lwlab.train.surroundings import RandomStream, training

__all__ = ["fit"]


def fit(
    model: nn.Module,
    dataset: Dataset,
    *,
    epochs: int = 10,
    learning_rate: float = 2e-3,
    batch_size: int = 64,
    loss: LossFunction = cross_entropy,
    penalty: PenaltyFunction | None = None,
    seed: int = 0,
    steps_per_record: int | None = None,
    schedule: Schedule = constant,
    optimizer: OptimizerFactory = adam,
    augment: Augmentation | None = None,
) -> Iterator[Record]:
    """Train ``model`` in place on ``dataset.train``, yielding a record at the end of each epoch.

    The same seed, data and number of threads give the same weights bit for bit. Shuffling and
    dropout draw from a stream of their own; the caller's random stream is left alone. Between two
    records the model has the training flags it came with.

    Args:
        model: takes inputs ``(B, *dataset.input_shape)``, returns logits ``(B, num_classes)``.
        dataset: its train split is learned, its validation split scored after each epoch.
        epochs: passes over the train split.
        learning_rate: of the optimizer, above 0.
        batch_size: examples a step. A last batch of a single example joins the one before it,
            since BatchNorm has no variance of one value.
        loss: ``(outputs, batch) -> scalar``, differentiable.
        penalty: ``model -> scalar`` added to the loss, for instance an L1 norm of the weights.
        seed: of the shuffling and of layers that draw at random.
        steps_per_record: also yield a record each so many steps, for live plots.
        schedule: ``progress in [0, 1) -> factor`` on the learning rate, asked before each step.
        optimizer: ``(parameters, learning_rate) -> torch optimizer`` over the trainable parameters.
        augment: ``(inputs, generator) -> inputs`` on each batch of training inputs, such as
            ``Shift(2)``; the generator is ``fit``'s own, the same for one seed whatever the model.

    Returns:
        A generator; nothing is trained before the first record is asked for.

    Raises:
        TypeError, ValueError: at the call, for arguments out of range, or nothing to train.
        TrainingDivergedError: while running, as soon as a loss is NaN or infinite.
    """
    check_module("model", model)
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset must be an lwlab.data.Dataset, got {type(dataset).__name__}. "
            f"Try data.from_arrays."
        )
    plan = _Plan(
        epochs=check_count("epochs", epochs),
        batch_size=check_count("batch_size", batch_size),
        learning_rate=check_number("learning_rate", learning_rate, above=0),
        loss=loss,
        penalty=penalty,
        schedule=schedule,
        steps_per_record=_record_interval(steps_per_record),
        augment=check_augmentation(augment),
    )
    seed = check_count("seed", seed, minimum=0)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            "model must have at least one parameter with requires_grad=True, got none. "
            "Unfreeze a layer with layer.requires_grad_(True)."
        )
    return _run(model, dataset, plan, optimizer(parameters, plan.learning_rate), seed)


@dataclass(frozen=True)
class _Plan:
    """The checked settings of one call of ``fit``."""

    epochs: int
    batch_size: int
    learning_rate: float
    loss: LossFunction
    penalty: PenaltyFunction | None
    schedule: Schedule
    steps_per_record: int | None
    augment: Augmentation | None


@dataclass
class _Tally:
    """Running sums since the last record."""

    loss: float = 0.0
    steps: int = 0
    correct: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))


def _record_interval(steps_per_record: int | None) -> int | None:
    return None if steps_per_record is None else check_count("steps_per_record", steps_per_record)


def _run(
    model: nn.Module,
    dataset: Dataset,
    plan: _Plan,
    optimizer: torch.optim.Optimizer,
    seed: int,
) -> Iterator[Record]:
    """Yield records; the stream and the flags are ours only between two yields."""
    stream = RandomStream(seed)
    shuffler = torch.Generator().manual_seed(seed)
    count = len(dataset.train)
    steps_an_epoch = len(_batches(torch.arange(count), plan.batch_size))
    total_steps = plan.epochs * steps_an_epoch
    layout = fastest_layout(model, dataset.train.inputs[:2])
    prepare = preparation(layout, plan.augment, seed)
    step, seconds = 0, 0.0
    for epoch in range(1, plan.epochs + 1):
        tally = _Tally()
        batches = _batches(torch.randperm(count, generator=shuffler), plan.batch_size)
        for chunk in _chunks(batches, plan.steps_per_record):
            started = time.perf_counter()
            with stream.active(), training(model):
                for indices in chunk:
                    _set_learning_rate(optimizer, plan, step / total_steps)
                    _step(model, dataset, indices, plan, optimizer, tally, prepare, step)
                    step += 1
            epoch_ends = step == epoch * steps_an_epoch
            validated = accuracy(model, dataset.validation).value if epoch_ends else None
            seconds += time.perf_counter() - started
            yield Record(
                step=step,
                total_steps=total_steps,
                epoch=epoch,
                loss=tally.loss / tally.steps,
                training_accuracy=_fraction_right(tally, dataset.train.targets[torch.cat(chunk)]),
                validation_accuracy=validated,
                seconds=seconds,
            )
            tally = _Tally()


def _step(
    model: nn.Module,
    dataset: Dataset,
    indices: Tensor,
    plan: _Plan,
    optimizer: torch.optim.Optimizer,
    tally: _Tally,
    prepare: Callable[[Tensor], Tensor],
    step: int,
) -> None:
    """Make one optimizer step on the examples at ``indices`` and add it to ``tally``."""
    inputs = prepare(dataset.train.inputs[indices])
    batch = Batch(inputs, dataset.train.targets[indices], indices, plan.augment is not None)
    outputs = model(batch.inputs)
    loss = plan.loss(outputs, batch)
    if plan.penalty is not None:
        loss = loss + plan.penalty(model)
    value = loss.item()
    if not math.isfinite(value):
        # Raised before the update, so that the weights stay the last finite ones.
        raise TrainingDivergedError(
            f"the loss became {value} at step {step + 1}, with learning rate "
            f"{optimizer.param_groups[0]['lr']:g}. Try a learning rate 10 times smaller, and check "
            f"that the inputs are scaled to about [0, 1]."
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    tally.loss += value
    tally.steps += 1
    tally.correct += (outputs.detach().argmax(dim=1) == batch.targets).sum()


def _fraction_right(tally: _Tally, targets: Tensor) -> float:
    labelled = int((targets != UNLABELLED).sum())
    return int(tally.correct) / labelled if labelled else math.nan


def _set_learning_rate(optimizer: torch.optim.Optimizer, plan: _Plan, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * plan.schedule(progress)


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Cut ``order`` into batches; a single left-over example joins the batch before it."""
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        last = batches.pop()
        batches[-1] = torch.cat([batches[-1], last])
    return batches


def _chunks(batches: list[Tensor], steps_per_record: int | None) -> Iterator[list[Tensor]]:
    size = steps_per_record or len(batches)
    for start in range(0, len(batches), size):
        yield batches[start : start + size]
