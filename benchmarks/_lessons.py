"""What a small network is taught from: warped images, and a teacher's answers to them.

For ``records.py`` and ``packed.py``. A network of a few thousand weights learns more from a teacher
and from warped images than from the labels of the images as they are. The images are warped once
and the teacher answers them once; all seeds and settings then learn from the same ``Lessons``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab import data
from lwlab.distill import Distillation, Teacher
from lwlab.models.layers import seeded
from lwlab.train import Batch, LossFunction, Record, fit

__all__ = ["Lessons", "TeacherNetwork", "Warp", "trained_teacher"]

CHUNK = 5000  # images warped at once
TEACHER_RATE = 3e-3


@dataclass(frozen=True)
class Warp:
    """An augmentation: turn, stretch, shear and shift each image at random, all evenly spread.

    Args:
        degrees: turned by up to so much, to either side.
        stretch: height and width multiplied by 1 - stretch to 1 + stretch.
        shear: columns moved by up to so many pixels a row.
        pixels: shifted by up to so many.
    """

    degrees: float = 12.0
    stretch: float = 0.12
    shear: float = 0.15
    pixels: float = 2.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return warped copies of images ``(B, channels, side, side)``; what comes in is 0."""
        count, size = len(images), list(images.shape)

        def draw(reach: float, *shape: int) -> Tensor:
            return reach * (2 * torch.rand(count, *shape, generator=generator) - 1)

        angle = draw(math.radians(self.degrees))
        wide, tall = 1 + draw(self.stretch), 1 + draw(self.stretch)
        shear, zero = draw(self.shear), torch.zeros(count)
        cosine, sine = angle.cos(), angle.sin()
        turned = torch.stack([cosine, -sine, sine, cosine], dim=1).view(count, 2, 2)
        sheared = torch.stack([wide, shear, zero, tall], dim=1).view(count, 2, 2)
        shift = draw(2 * self.pixels / size[-1], 2, 1)  # the grid runs from -1 to 1
        grid = F.affine_grid(torch.cat([turned @ sheared, shift], dim=2), size, align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


class TeacherNetwork(nn.Module):
    """Four 3x3 convolutions with BatchNorm and one linear layer, for images of 28x28.

    Args:
        width: channels of the first convolution; then twice, twice and four times as many.
        seed: of the initial weights.
    """

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        with seeded(seed):
            self.features = nn.Sequential(
                *_convolution(1, width),
                nn.MaxPool2d(2),
                *_convolution(width, 2 * width),
                *_convolution(2 * width, 2 * width),
                nn.MaxPool2d(2),
                *_convolution(2 * width, 4 * width),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.Dropout(0.3),
            )
            self.last = nn.Linear(4 * width * 3 * 3, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, 10)``."""
        return self.last(self.features(images))


def _convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]


def one_cycle(progress: float) -> float:
    """Let the learning rate rise for a tenth of the training, then fall along half a cosine."""
    return min(1.0, 0.05 + 10 * progress) * 0.5 * (1 + math.cos(math.pi * progress))


def in_half_precision(*arguments: object, **settings: object) -> Iterator[Record]:
    """Run ``fit`` with matrix products in bfloat16, about twice as fast on processors with it."""
    # Without the cache: it would keep the weights of the first step until the end.
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        yield from fit(*arguments, **settings)


@dataclass(frozen=True)
class Lessons:
    """Warped training images with a teacher's answers to them.

    Attributes:
        dataset: its train split holds all copies, the unwarped images first.
        logits: (N, 10): what the teacher says to each of them.
        original: the data set with its own train split.
    """

    dataset: data.Dataset
    logits: Tensor
    original: data.Dataset

    @classmethod
    def make(cls, dataset: data.Dataset, copies: int, warp: Warp) -> Lessons:
        """Warp the training images; copy k comes from seed k, so it is the same each time.

        Args:
            dataset: whose train split is copied; validation and test stay.
            copies: how many of each image, the unwarped one included.
            warp: the augmentation.
        """
        inputs = [dataset.train.inputs]
        for copy in range(1, copies):
            generator = torch.Generator().manual_seed(copy)
            inputs += [warp(part, generator) for part in dataset.train.inputs.split(CHUNK)]
        train = data.Split(torch.cat(inputs), dataset.train.targets.repeat(copies))
        return cls(replace(dataset, train=train), torch.empty(0, 10), dataset)

    def with_answers(self, logits: Tensor) -> Lessons:
        """Return these lessons with answers that were kept."""
        return replace(self, logits=logits)

    def answered_by(self, network: nn.Module) -> Lessons:
        """Return these lessons with the answers of ``network``."""
        return replace(self, logits=Teacher(network).answers(self.dataset.train))

    def take(self, count: int) -> Lessons:
        """Return the first ``count`` images with their answers."""
        train = self.dataset.train.take(count)
        dataset = replace(self.dataset, train=train)
        return Lessons(dataset, self.logits[:count], self.original)

    def loss(self, temperature: float, alpha: float) -> LossFunction:
        """Return the distillation loss, which looks the answers up."""
        return Distillation(self._answers, temperature=temperature, alpha=alpha)

    def _answers(self, batch: Batch) -> Tensor:
        return self.logits[batch.indices]


def trained_teacher(
    dataset: data.Dataset, *, width: int, epochs: int, batch_size: int
) -> TeacherNetwork:
    """Train a teacher on images that are warped anew in each epoch, and print how it does."""
    teacher = TeacherNetwork(width, seed=0)
    for record in in_half_precision(
        teacher,
        dataset,
        epochs=epochs,
        learning_rate=TEACHER_RATE,
        batch_size=batch_size,
        schedule=one_cycle,
        augment=Warp(),
    ):
        print(
            f"teacher, epoch {record.epoch}: validation error "
            f"{100 * (1 - record.validation_accuracy):.2f} %, {record.seconds:.0f} s",
            flush=True,
        )
    return teacher
