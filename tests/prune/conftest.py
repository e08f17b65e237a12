"""What the tests of the criteria share: a guard that a model is as it was."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch


def _everything(model):
    parameters = dict(model.named_parameters())
    return {
        "state": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "objects": {name: id(parameter) for name, parameter in parameters.items()},
        "grads": {
            name: None if parameter.grad is None else (id(parameter.grad), parameter.grad.clone())
            for name, parameter in parameters.items()
        },
        "needed": {name: parameter.requires_grad for name, parameter in parameters.items()},
        "flags": {name: (type(m), m.training) for name, m in model.named_modules()},
        "hooks": {name: len(m._forward_hooks) for name, m in model.named_modules()},
        "stream": torch.get_rng_state(),
    }


def _same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


@pytest.fixture
def unchanged():
    """A context manager: state, gradients, flags, hooks and the random stream are left alone."""

    @contextmanager
    def guard(model):
        before = _everything(model)
        yield
        after = _everything(model)
        assert [part for part in before if not _same(before[part], after[part])] == []

    return guard
