"""Small networks for the tests of integer inference, each with something of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from lwlab.models import LeNet5, ResNet8, SimpleCNN, seeded


class Joined(nn.Module):
    """DenseNet's way: each layer takes all that came before."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(6, 4, 3, padding=1)
        self.head = nn.Linear(10, 3)

    def forward(self, x):
        x = torch.cat([x, F.relu(self.first(x))], 1)
        x = torch.cat([x, F.relu(self.second(x))], dim=1)
        return self.head(torch.mean(x, (2, 3)))


class Depthwise(nn.Module):
    """MobileNet's way: convolutions of single channels, ReLU6, a residual difference."""

    def __init__(self):
        super().__init__()
        self.point = nn.Conv2d(2, 6, 1)
        self.depth = nn.Conv2d(6, 6, 3, padding="same", groups=6, bias=False)
        self.grouped = nn.Conv2d(6, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=1, groups=2)
        self.clamped, self.pool = nn.ReLU6(), nn.AdaptiveAvgPool2d((2, 3))
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        x = F.relu(self.point(x))
        x = x - self.clamped(self.depth(x))
        x = torch.clamp(self.grouped(x), min=-0.05, max=0.1)
        return self.head(torch.flatten(self.pool(x), 1))


def sequence():
    """Layers over one dimension, with a BatchNorm."""
    return nn.Sequential(
        nn.Conv1d(2, 4, 5, stride=2, padding=2), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(4, 5, 3, dilation=2), nn.Dropout(0.3), nn.AvgPool1d(2), nn.Flatten(),
        nn.Linear(15, 3),
    )  # fmt: skip


def averages():
    """Average pooling with borders, with and without them counted, and with another divisor."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.AvgPool2d(3, stride=2, padding=1), nn.Conv2d(3, 4, 2), nn.ReLU(),
        nn.AvgPool2d((2, 1), padding=(1, 0), count_include_pad=False), nn.Conv2d(4, 4, 1),
        nn.AvgPool2d(2, divisor_override=3), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def volume():
    """Layers over three dimensions."""
    return nn.Sequential(
        nn.Conv3d(1, 3, 2, padding=1), nn.MaxPool3d(2), nn.ReLU(), nn.Conv3d(3, 2, 2), nn.Flatten(),
        nn.Linear(2, 3),
    )  # fmt: skip


class Island(nn.Module):
    """A sigmoid between layers: no integers for it."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate, self.head = nn.Conv2d(2, 3, 3), nn.Sigmoid(), nn.Linear(108, 3)

    def forward(self, x):
        x = self.gate(self.conv(x))
        return self.head(x.view(x.size(0), -1)).softmax(-1)


IMAGES = (2, 8, 8)
NETWORKS = {
    "SimpleCNN": (lambda: SimpleCNN(IMAGES, width=3, hidden=8), IMAGES),
    "ResNet8": (lambda: ResNet8(IMAGES, width=2), IMAGES),
    "LeNet5": (lambda: LeNet5((1, 16, 16), width=2), (1, 16, 16)),
    "joined": (Joined, IMAGES),
    "depthwise": (Depthwise, IMAGES),
    "sequence": (sequence, (2, 40)),
    "averages": (averages, (2, 12, 10)),
    "volume": (volume, (1, 4, 4, 4)),
    "island": (Island, IMAGES),
}


def trained_looking(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network in evaluation mode, its BatchNorms off their start, and inputs around 0."""
    make, shape = NETWORKS[name]
    with seeded(1):
        model = make()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 2)
                nn.init.uniform_(module.weight, -1.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
        inputs = torch.randn(12, *shape) + 0.4
    return model.eval(), inputs
