"""How long a forward pass takes, on this machine, by the clock."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_count
from lwlab.measure.evaluating import evaluating, forward
from lwlab.units import format_count, format_milliseconds

__all__ = ["Latency", "folded", "latency"]


@dataclass(frozen=True)
class Latency:
    """The time of one forward pass, as a median with its spread.

    Attributes:
        median_ms: half of the passes took less, milliseconds.
        low_ms: 10 % of the passes took less.
        high_ms: 90 % of the passes took less.
        threads: how many threads torch used.
        batch_size: inputs in one pass.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    threads: int
    batch_size: int

    def overlaps(self, other: Latency) -> bool:
        """Return whether the two ranges share a value: no gain can be claimed then."""
        return self.low_ms <= other.high_ms and other.low_ms <= self.high_ms

    def __str__(self) -> str:
        low, high = format_milliseconds(self.low_ms), format_milliseconds(self.high_ms)
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        batch = format_count(self.batch_size)
        return f"{format_milliseconds(self.median_ms)} ({low} to {high}), {threads}, batch {batch}"


def latency(model: nn.Module, inputs: Tensor, repeats: int = 50, warmup: int = 10) -> Latency:
    """Time ``model(inputs)``: first ``warmup`` passes that do not count, then ``repeats``.

    A model whose weights are seen through parametrizations computes these in each pass, and is
    timed so; ``folded`` gives the plain model that would be shipped.

    Args:
        model: takes ``inputs`` as they are; it is run in their memory layout.
        inputs: one batch ``(N, *shape)``.
        repeats: passes that count.
        warmup: passes before them, in which memory is taken and kernels are chosen.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``, or ``inputs`` no tensor.
        ValueError: a count out of range, no input, or a model that fails on the inputs.
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a tensor, got {type(inputs).__name__}.")
    if inputs.ndim < 1 or not len(inputs):
        raise ValueError(f"inputs must hold at least one example, got shape {tuple(inputs.shape)}.")
    repeats = check_count("repeats", repeats)
    warmup = check_count("warmup", warmup, minimum=0)
    with evaluating(model):
        batch = inputs.clone()
        for _ in range(warmup):
            forward(model, batch)
        times = [_milliseconds(model, batch) for _ in range(repeats)]
    low, median, high = (float(value) for value in np.percentile(times, [10, 50, 90]))
    return Latency(median, low, high, torch.get_num_threads(), len(inputs))


def folded(model: nn.Module) -> nn.Module:
    """Return ``model`` with its parametrizations computed once, as it would be loaded from a file.

    A model without parametrizations is returned as it is; else a copy, for measuring only: its
    parameters need no gradient.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
        ValueError: it has lazy layers that have seen no input yet.
    """
    with evaluating(model):
        if not any(parametrize.is_parametrized(module) for module in model.modules()):
            return model
    twin = copy.deepcopy(model)
    for module in list(twin.modules()):
        if parametrize.is_parametrized(module):
            _fold_(module)
    return twin


def _fold_(module: nn.Module) -> None:
    # Not parametrize.remove_parametrizations: it changes the class of the module, which a deep copy
    # shares with its original, and would break the original.
    with evaluating(module):
        effective = {name: getattr(module, name) for name in module.parametrizations}
    parameters = {n for n, chain in module.parametrizations.items() if [*chain.parameters(False)]}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, tensor in effective.items():
        if name in parameters:
            module.register_parameter(name, nn.Parameter(tensor.clone(), requires_grad=False))
        else:
            module.register_buffer(name, tensor.clone())


def _milliseconds(model: nn.Module, batch: Tensor) -> float:
    started = time.perf_counter_ns()
    forward(model, batch)
    return (time.perf_counter_ns() - started) / 1e6
