"""Which model and data set a try is of: tries of different models do not share a front."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import nn

from lwlab.models.layers import plain_state

__all__ = ["Origin", "model_fingerprint"]

_DIGITS = 12  # 48 bits: two of a million models are alike by chance once in 500 journals


def model_fingerprint(*models: nn.Module) -> str:
    """Return 12 hexadecimal digits that name the architecture and the weights of ``models``.

    The SHA-256 of the classes of all modules and of the name, type, shape and bytes of each tensor.
    The same in every process and on every machine; nothing of the models changes.

    Args:
        *models: one, or the members of an ensemble.

    Raises:
        TypeError: one is not an ``nn.Module``.
    """
    digest = hashlib.sha256()
    for model in models:
        state = plain_state(model)  # also the check
        for name, module in model.named_modules():
            # A parametrized layer is of a class made by torch, and holds modules of its own.
            if "parametrizations" not in name.split("."):
                digest.update(
                    f"{name}:{type(module).__name__.removeprefix('Parametrized')};".encode()
                )
        for name, tensor in state.items():
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().data)
    return digest.hexdigest()[:_DIGITS]


@dataclass(frozen=True)
class Origin:
    """What a try began with.

    Attributes:
        model: ``model_fingerprint`` of it.
        dataset: name of the data set.
    """

    model: str
    dataset: str
