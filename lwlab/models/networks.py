"""The small networks of the lessons, in order of size.

Each takes ``input_shape`` and ``num_classes``, a ``width`` that makes a thin student and a wide
teacher from one class, and a ``seed``: the same seed gives the same weights, and the caller's
random stream is left alone. Inputs are ``(N, *input_shape)`` float, outputs ``(N, num_classes)``
logits. The comments at the end of a line give the shape after it, for the default sizes.

Max-pooling stands before ReLU throughout: both only pick or clip values in order, so the output is
the same to the bit, and ReLU has a quarter of the work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lwlab.checks import check_count
from lwlab.models.layers import seeded

__all__ = ["LeNet5", "LeNet300", "ResNet8", "SimpleCNN"]


class SimpleCNN(nn.Module):
    """The classic beginner's network: 3x3 convolutions (two of them), then two linear layers.

    Args:
        input_shape: (channels, height, width) of one image, height and width at least 4, and at
            least ``2 ** depth``.
        num_classes: number of logits.
        width: channels of the first convolution; each further one has twice as many.
        hidden: units of the first linear layer.
        depth: number of convolutions, each halved by pooling: ``conv1``, ``conv2``, ...
        seed: of the initial weights.

    Raises:
        ValueError: a size is not a whole number of at least 1, or the image is too small.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 8, 8),
        num_classes: int = 10,
        width: int = 32,
        hidden: int = 128,
        seed: int = 0,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self.depth = check_count("depth", depth)
        smallest = max(4, 2**self.depth)
        channels, height, size = _image_shape("SimpleCNN", input_shape, smallest=smallest)
        self.input_shape, self.num_classes = (channels, height, size), num_classes
        self.width, self.hidden = check_count("width", width), check_count("hidden", hidden)
        with seeded(seed):
            for number in range(1, self.depth + 1):
                self.add_module(f"conv{number}", nn.Conv2d(channels, width, 3, padding=1))
                channels, width = width, 2 * width
            pixels = (height // 2**self.depth) * (size // 2**self.depth)
            self.fc1 = nn.Linear(channels * pixels, hidden)
            self.fc2 = nn.Linear(hidden, check_count("num_classes", num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, num_classes)`` for images ``(N, channels, height, width)``."""
        x = images
        for number in range(1, self.depth + 1):  # (N, 32, 4, 4), then (N, 64, 2, 2)
            x = F.relu(F.max_pool2d(getattr(self, f"conv{number}")(x), 2))
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 128)
        return self.fc2(x)  # (N, 10)


class LeNet300(nn.Module):
    """LeNet-300-100: three linear layers, the oldest benchmark of network pruning.

    Args:
        input_shape: shape of one input, flattened before the first layer.
        num_classes: number of logits.
        width: units of the first hidden layer; the second has a third of it.
        seed: of the initial weights.

    Raises:
        ValueError: a size is not a whole number, or ``width`` is below 3.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition".
    """

    def __init__(
        self,
        input_shape: tuple[int, ...] = (1, 28, 28),
        num_classes: int = 10,
        width: int = 300,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.input_shape = tuple(check_count("input_shape", size) for size in input_shape)
        self.num_classes, self.width = num_classes, check_count("width", width, minimum=3)
        with seeded(seed):
            self.fc1 = nn.Linear(torch.Size(self.input_shape).numel(), width)
            self.fc2 = nn.Linear(width, width // 3)
            self.fc3 = nn.Linear(width // 3, check_count("num_classes", num_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(N, num_classes)`` for inputs ``(N, *input_shape)``."""
        x = F.relu(self.fc1(inputs.flatten(1)))  # (N, 300)
        x = F.relu(self.fc2(x))  # (N, 100)
        return self.fc3(x)  # (N, 10)


class LeNet5(nn.Module):
    """LeNet-5 in the variant that Caffe made common: 20-50-500-10, 431,080 parameters.

    Args:
        input_shape: (channels, height, width) of one image, height and width at least 16.
        num_classes: number of logits.
        width: channels of the first convolution; 2.5 times as many in the second, 25 times as many
            units in the linear layer.
        seed: of the initial weights.

    Raises:
        ValueError: a size is not a whole number, ``width`` is below 2, or the image below 16x16.

    Source: LeCun et al. 1998; the Caffe model zoo's ``lenet_train_test.prototxt``.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
        width: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__()
        channels, height, size = _image_shape("LeNet5", input_shape, smallest=16)
        self.input_shape, self.num_classes = (channels, height, size), num_classes
        self.width = check_count("width", width, minimum=2)
        # Two unpadded 5x5 convolutions, each halved by pooling.
        rows, columns = (((side - 4) // 2 - 4) // 2 for side in (height, size))
        with seeded(seed):
            self.conv1 = nn.Conv2d(channels, width, 5)
            self.conv2 = nn.Conv2d(width, width * 5 // 2, 5)
            self.fc1 = nn.Linear(width * 5 // 2 * rows * columns, width * 25)
            self.fc2 = nn.Linear(width * 25, check_count("num_classes", num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, num_classes)`` for images ``(N, channels, height, width)``."""
        x = F.max_pool2d(self.conv1(images), 2)  # (N, 20, 12, 12)
        x = F.max_pool2d(self.conv2(x), 2)  # (N, 50, 4, 4)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 500)
        return self.fc2(x)  # (N, 10)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm, and a shortcut around them.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        stride: of the first convolution; where it is not 1, or the channels differ, the shortcut is
            a 1x1 convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels_out)
        changes_shape = stride != 1 or channels_in != channels_out
        self.shortcut = (
            nn.Conv2d(channels_in, channels_out, 1, stride) if changes_shape else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``relu(body(x) + shortcut(x))``."""
        body = F.relu(self.bn1(self.conv1(x)))
        body = self.bn2(self.conv2(body))
        return F.relu(body + self.shortcut(x))


class ResNet8(nn.Module):
    """The residual network of MLPerf Tiny's image classification task.

    Args:
        input_shape: (channels, height, width) of one image, height and width at least 4.
        num_classes: number of logits.
        width: channels of the first stack; the second and third have twice and four times as many.
        seed: of the initial weights.

    Raises:
        ValueError: a size is not a whole number of at least 1, or the image is below 4x4.

    Source: Banbury et al. 2021, "MLPerf Tiny Benchmark", arXiv:2106.07597; He et al. 2016,
    arXiv:1512.03385.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        num_classes: int = 10,
        width: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__()
        channels, height, size = _image_shape("ResNet8", input_shape, smallest=4)
        self.input_shape, self.num_classes = (channels, height, size), num_classes
        self.width = check_count("width", width)
        with seeded(seed):
            self.conv = nn.Conv2d(channels, width, 3, padding=1)
            self.bn = nn.BatchNorm2d(width)
            self.stack1 = ResidualBlock(width, width, stride=1)
            self.stack2 = ResidualBlock(width, 2 * width, stride=2)
            self.stack3 = ResidualBlock(2 * width, 4 * width, stride=2)
            self.fc = nn.Linear(4 * width, check_count("num_classes", num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, num_classes)`` for images ``(N, channels, height, width)``."""
        x = F.relu(self.bn(self.conv(images)))  # (N, 16, 32, 32)
        x = self.stack3(self.stack2(self.stack1(x)))  # (N, 64, 8, 8)
        return self.fc(x.mean(dim=(2, 3)))  # (N, 10)


def _image_shape(model: str, shape: tuple[int, ...], *, smallest: int) -> tuple[int, int, int]:
    """Return ``shape`` as (channels, height, width), each checked."""
    sizes = tuple(check_count("input_shape", size) for size in shape)
    if len(sizes) != 3 or min(sizes[1:]) < smallest:
        raise ValueError(
            f"input_shape must be (channels, height, width) with height and width of at least "
            f"{smallest} for {model}, got {tuple(shape)!r}."
        )
    return sizes
