"""Networks of all kinds, with weights and statistics drawn so that a mistake shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lwlab.models import LeNet5, LeNet300, ResNet8, SimpleCNN
from lwlab.models.layers import seeded


def conv_bn(channels_in, channels_out, kernel=3, **kwargs):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False, **kwargs),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class MobileNet(nn.Module):
    """Depthwise separable convolutions with strides; one depthwise layer doubles the channels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, stride=2),
            conv_bn(8, 8, groups=8),
            conv_bn(8, 16, 1),
            conv_bn(16, 32, groups=16, stride=2),
            conv_bn(32, 16, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 5))

    def forward(self, x):
        return self.head(self.pool(F.hardswish(self.features(x))))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8 + 4 * i) for i in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(8 + 4 * i, 4, 3, padding=1) for i in range(3))
        self.norm, self.fc = nn.BatchNorm2d(20), nn.Linear(20 * 4 * 4, 5)

    def forward(self, x):
        maps = [self.first(x)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            maps.append(conv(F.relu(norm(torch.cat(maps, 1)))))
        x = F.avg_pool2d(torch.sigmoid(self.norm(torch.cat(maps, dim=1))), 2)
        return self.fc(x.view(x.size(0), -1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = conv_bn(2, 8), conv_bn(8, 16)
        self.middle = conv_bn(16, 16)
        self.up1 = nn.ConvTranspose2d(16, 12, 2, stride=2)
        self.merge1 = conv_bn(12 + 16, 8)
        self.up2 = nn.ConvTranspose2d(8, 8, 2, stride=2, groups=8)
        self.merge2, self.out = conv_bn(8 + 8, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        x = torch.cat([two, self.up1(self.middle(F.max_pool2d(two, 2)))], dim=1)
        x = torch.cat((self.up2(self.merge1(x)), one), 1)
        return {"mask": self.out(self.merge2(x)), "input": x.shape[0]}


class Transformer(nn.Module):
    """One block on tokens: attention, residual stream, MLP, mean over tokens."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.position = nn.Parameter(torch.zeros(1, 6, 16))
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.gate, self.value = nn.Linear(16, 24), nn.Linear(16, 24)
        self.back, self.head = nn.Linear(24, 16), nn.Linear(16, 5)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.norm2(x))
        x = x + self.back(F.silu(self.gate(x)) * self.value(x))
        return self.head(x.mean(dim=1))


class ResNeXt(nn.Module):
    """Grouped convolutions, squeeze and excitation, a shortcut."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 16)
        self.narrow, self.grouped = conv_bn(16, 24, 1), conv_bn(24, 16, groups=4)
        self.squeeze, self.excite = nn.Linear(16, 6), nn.Linear(6, 16)
        self.wide, self.fc = nn.Conv2d(16, 16, 1), nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.grouped(self.narrow(x))
        scale = self.excite(F.relu(self.squeeze(y.mean((2, 3)))))
        y = self.wide(y * torch.sigmoid(scale)[:, :, None, None])
        return self.fc(F.adaptive_avg_pool2d(F.relu(x + y), 1).flatten(1))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.three = nn.Conv2d(3, 6, 1), conv_bn(3, 8)
        self.five = nn.Sequential(conv_bn(3, 4, 1), nn.PReLU(4), nn.Conv2d(4, 6, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(3, 4, 1), nn.InstanceNorm2d(4))
        self.last, self.fc = nn.Conv2d(24, 8, 3, padding=1, groups=1), nn.Linear(8, 5)

    def forward(self, x):
        branches = [branch(x) for branch in (self.one, self.three, self.five, self.pool)]
        x = F.leaky_relu(self.last(torch.cat(branches, 1)))
        batch, channels, *_ = x.shape
        return self.fc(x.reshape(batch, channels, -1).amax(-1))


class Sound(nn.Module):
    """1d convolutions, BatchNorm without weights, a gate over halves, chunks."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv1d(2, 12, 5, stride=2), nn.BatchNorm1d(12, affine=False)
        self.conv2, self.conv3 = nn.Conv1d(12, 16, 3), nn.Conv1d(8, 12, 3)
        self.norm3, self.fc = nn.GroupNorm(12, 12), nn.Linear(6, 5)

    def forward(self, x):
        x = torch.tanh(self.norm1(self.conv1(x)))
        x = F.glu(self.conv2(x), dim=1)
        one, two = self.norm3(self.conv3(x)).chunk(2, dim=1)
        return self.fc((one * torch.sigmoid(two)).permute(0, 2, 1).mean(1))


class Twice(nn.Module):
    """One convolution and one BatchNorm used at each of three steps, with Python control flow."""

    def __init__(self):
        super().__init__()
        self.stem, self.step = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.fc = nn.BatchNorm2d(8), nn.Linear(8 * 4, 5)

    def forward(self, x):
        if x.ndim == 3 or x.shape[-1] < 4:
            raise ValueError("too small")
        x = self.stem(x)
        for _ in range(x.shape[2] // 4 + 1):
            x = F.elu(self.norm(self.step(x)))
        x += 1.0
        return self.fc(F.adaptive_max_pool2d(x, (2, 2)).view(x.size(0), x.size(1) * 4))


def vgg():
    return nn.Sequential(
        *conv_bn(3, 8),
        *conv_bn(8, 8),
        nn.MaxPool2d(2),
        *conv_bn(8, 16),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 20),
        nn.BatchNorm1d(20),
        nn.ReLU6(),
        nn.Dropout(),
        nn.Linear(20, 5),
    )


def autoencoder():
    return nn.Sequential(
        *(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 4)),
        *(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 20)),
    )


IMAGES = (3, 3, 8, 8)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "SimpleCNN": (lambda: SimpleCNN(width=8, hidden=24), (3, 1, 8, 8)),
    "LeNet300": (lambda: LeNet300(width=30), (3, 1, 28, 28)),
    "LeNet5": (LeNet5, (2, 1, 28, 28)),
    "ResNet8": (lambda: ResNet8(width=8), IMAGES),
    "VGG": (vgg, IMAGES),
    "MobileNet": (MobileNet, IMAGES),
    "DenseNet": (DenseNet, IMAGES),
    "U-Net": (UNet, (2, 2, 8, 8)),
    "Transformer": (Transformer, (3, 6)),
    "ResNeXt": (ResNeXt, IMAGES),
    "Inception": (Inception, IMAGES),
    "Sound": (Sound, (3, 2, 32)),
    "Twice": (Twice, (3, 1, 8, 8)),
    "autoencoder": (autoencoder, (3, 20)),
}


@torch.no_grad()
def randomize_(model):
    """Draw biases, normalization and statistics anew: initial zeros and ones hide mistakes."""
    for module in model.modules():
        for name, tensor in {**module._parameters, **module._buffers}.items():
            if tensor is None or not tensor.is_floating_point():
                continue
            if tensor.ndim > 1:
                tensor.mul_(1.5)  # more life in what is left of three quarters
            elif name in ("weight", "running_var"):
                tensor.uniform_(0.5, 1.5)
            else:
                tensor.uniform_(-0.2, 0.6)
    return model


def build(name):
    make, shape = NETWORKS[name]
    with seeded(3):
        model = randomize_(make())
        inputs = torch.randint(11, shape) if name == "Transformer" else torch.randn(shape)
    return model, inputs


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Threads cost more than they give on networks as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build_network():
    """A function: name -> (model, inputs)."""
    return build


@pytest.fixture(params=NETWORKS)
def network(request):
    """Each of the networks in turn, as (model, inputs)."""
    return build(request.param)


class Written(nn.Module):
    """A model from a few layers and a function of them and the inputs."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.written = forward

    def forward(self, *args, **kwargs):
        return self.written(self, *args, **kwargs)


@pytest.fixture(scope="session")
def written():
    """A function: (forward, layers by name) -> model with drawn weights."""

    def make(forward, **layers):
        with seeded(4):
            for layer in layers.values():
                for module in layer.modules():
                    if hasattr(module, "reset_parameters"):
                        module.reset_parameters()
            return randomize_(Written(forward, **layers))

    return make
