"""What a training must not disturb: the caller's random stream, the model's training flags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["RandomStream", "training"]


class RandomStream:
    """A random stream of our own, switched in while we work and out before anybody else runs."""

    def __init__(self, seed: int) -> None:
        self._state = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Draw from this stream inside the block, and from the caller's again after it."""
        callers = torch.get_rng_state()
        torch.set_rng_state(self._state)
        try:
            yield
        finally:
            self._state = torch.get_rng_state()
            torch.set_rng_state(callers)


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into training mode, and every module back into its own afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag
