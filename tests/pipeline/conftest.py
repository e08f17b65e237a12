import pytest
import torch
from torch import nn

from lwlab import data
from lwlab.models import SimpleCNN, seeded
from lwlab.pipeline.benches import bench_for
from lwlab.train import fit


@pytest.fixture(scope="session")
def small():
    """Images of 4x4 in three classes, told apart by a bright corner."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(120) % 3
    images = 0.5 * torch.rand(120, 1, 4, 4, generator=generator)
    for label, (row, column) in enumerate([(0, 0), (0, 3), (3, 0)]):
        images[targets == label, 0, row, column] += 1
    return data.from_arrays(images, targets, name="corners")


@pytest.fixture(scope="session")
def _trained(small):
    model = SimpleCNN((1, 4, 4), 3, width=4, hidden=12)
    for _ in fit(model, small, epochs=12, learning_rate=1e-2):
        pass
    return model.state_dict()


@pytest.fixture
def network(_trained):
    """A small network that tells the corners apart."""
    model = SimpleCNN((1, 4, 4), 3, width=4, hidden=12)
    model.load_state_dict(_trained)
    return model


@pytest.fixture
def normalized():
    """A network with BatchNorm and dropout, as it was made."""
    with seeded(1):
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(128, 3),
        )


@pytest.fixture(scope="session")
def bench_of(small):
    """Put a copy of a model on a bench."""
    return lambda model, **settings: bench_for(model, small, **settings)


@pytest.fixture(scope="session")
def same():
    """Whether two models have the same numbers, to the bit."""

    def same(one, other):
        mine, theirs = one.state_dict(), other.state_dict()
        return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)

    return same
