"""Networks small enough for a laptop, and a way to walk the layers of any model."""

from lwlab.models.layers import (
    CompressibleLayer,
    compressible_layers,
    layer_names,
    plain_state,
    seeded,
)
from lwlab.models.mlp import MLP
from lwlab.models.networks import LeNet5, LeNet300, ResNet8, SimpleCNN
from lwlab.models.resize import replace_tensors_, resize_

__all__ = [
    "MLP",
    "CompressibleLayer",
    "LeNet5",
    "LeNet300",
    "ResNet8",
    "SimpleCNN",
    "compressible_layers",
    "layer_names",
    "plain_state",
    "replace_tensors_",
    "resize_",
    "seeded",
]
