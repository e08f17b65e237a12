import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import SimpleCNN, seeded


@pytest.fixture(scope="session")
def small():
    """Images of 4x4 in three classes, told apart by a bright corner."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(99) % 3
    images = 0.3 * torch.rand(99, 1, 4, 4, generator=generator)
    for label, (row, column) in enumerate([(0, 0), (0, 3), (3, 0)]):
        images[targets == label, 0, row, column] += 1
    return data.from_arrays(images, targets)


@pytest.fixture
def network():
    """Make small networks by seed; with BatchNorm and dropout where ``moody``."""

    def make(seed=0, moody=False):
        if not moody:
            return SimpleCNN((1, 4, 4), 3, width=8, hidden=16, seed=seed)
        with seeded(seed):
            return nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(0.5),
                nn.Linear(64, 3),
            )

    return make


@pytest.fixture
def logits():
    """Make logits ``(count, classes)`` by seed."""

    def make(seed, count=8, classes=3):
        generator = torch.Generator().manual_seed(seed)
        return 3 * torch.randn(count, classes, generator=generator)

    return make
