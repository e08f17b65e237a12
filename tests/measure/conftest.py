"""Models to measure, and a picture of everything that measuring might change."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from lwlab.data import Split
from lwlab.models import SimpleCNN, seeded


class KeepLarge(nn.Module):
    """A mask as pruning sets one: zero where the weight is below the median."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("mask", weight.abs() > weight.abs().median())

    def forward(self, weight):
        return torch.where(self.mask, weight, torch.zeros((), dtype=weight.dtype))


class Breaks(nn.Module):
    """A layer that fails when it is run."""

    def forward(self, inputs):
        raise RuntimeError("the wire\n  came off")


def masked_(model):
    for layer in [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]:
        parametrize.register_parametrization(layer, "weight", KeepLarge(layer.weight.detach()))
    return model


def lived_in(model):
    """Return ``model`` in the state of one in use: mixed flags, a frozen part, hooks, gradients."""
    model.train()
    model.conv2.eval()
    model.fc2.requires_grad_(False)
    model.conv1.register_forward_hook(lambda *_: None)
    model.fc1.register_forward_pre_hook(lambda *_: None)
    model(torch.rand(2, 1, 8, 8)).sum().backward()
    return model


def breaking():
    """A model whose second half fails: what was set up before must come back."""
    model = lived_in(SimpleCNN())
    model.fc2 = Breaks()
    return model


def power_iterating():
    """A model whose weight changes its own state when it is looked at in training mode."""
    model = SimpleCNN()
    with seeded(0):
        spectral_norm(model.fc1)
    return lived_in(model)


KINDS = {
    "new": SimpleCNN,
    "new masked": lambda: masked_(SimpleCNN()),
    "breaking": breaking,
    "float": lambda: lived_in(SimpleCNN()),
    "masked": lambda: lived_in(masked_(SimpleCNN())),
    "spectral": power_iterating,
    "channels_last": lambda: lived_in(SimpleCNN().to(memory_format=torch.channels_last)),
}


def picture(model):
    """Return everything of a model that a measurement could change, in a form that compares."""
    hooks = {
        (path, key): list(value)
        for path, module in model.named_modules()
        for key, value in vars(module).items()
        if "hooks" in key and value is not None
    }
    tensors = {
        name: (id(p), p.data_ptr(), p.stride(), p.requires_grad, id(p.grad), p._version)
        for name, p in model.named_parameters()
    }
    gradients = {n: p.grad.tolist() for n, p in model.named_parameters() if p.grad is not None}
    modules = {path: (id(m), type(m), m.training) for path, m in model.named_modules()}
    state = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    return hooks, tensors, gradients, modules, state, torch.get_rng_state().tolist()


@pytest.fixture(scope="session")
def make_model():
    """Return a maker of models for images of 1x8x8, by their kind."""
    return lambda kind: KINDS[kind]()


@pytest.fixture(scope="session", name="picture")
def picture_fixture():
    """Return ``picture``; test modules cannot import from here."""
    return picture


@pytest.fixture(scope="session")
def digits_like():
    """300 random images of 8x8 with random classes."""
    generator = torch.Generator().manual_seed(7)
    inputs = torch.rand(300, 1, 8, 8, generator=generator)
    return Split(inputs, torch.randint(10, (300,), generator=generator))


@pytest.fixture
def logits_split():
    """Return a maker of splits whose inputs are logits, for ``nn.Identity`` as the model."""

    def make(classes, targets, num_classes=3):
        logits = nn.functional.one_hot(torch.tensor(classes), num_classes).float()
        return Split(logits, torch.tensor(targets))

    return make
