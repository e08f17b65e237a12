"""Rewinding: a trained, masked network back at its initial weights, with its masks on.

    initial = copied_state(model)      # before training
    ... train, mask_model_ ...
    rewind_(model, initial)            # kept weights at their initial values, the rest at 0

Next: ``lottery``, which does so again and again.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_finite, did_you_mean
from lwlab.models.layers import plain_state
from lwlab.prune.masking import current_masks
from lwlab.prune.parametrization import mask_of, original_of

__all__ = ["check_masked", "check_state", "copied_state", "rewind_"]


def copied_state(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the tensors of ``model`` under their plain names, for ``rewind_``.

    Raises:
        TypeError: ``model`` is no module.
    """
    return {name: tensor.clone() for name, tensor in plain_state(model).items()}


def rewind_(model: nn.Module, initial_state: Mapping[str, Tensor]) -> None:
    """Take all tensors of a masked ``model`` back to ``initial_state``; the masks stay.

    Kept weights, biases, normalization and its running statistics get their initial values to the
    bit; so do the stored originals of pruned weights, which still count as 0.

    Args:
        model: with masks on it.
        initial_state: a *copy* of the state by plain names, such as ``copied_state`` returns: the
            tensors of ``model.state_dict()`` itself would have changed with the model.

    Raises:
        TypeError: ``model`` is no module, or the state does not hold tensors.
        ValueError: the model has no masks; the state has other names or shapes, shares memory
            with the model, or is not finite. The model is as it was.
    """
    check_masked(model, "be rewound")
    check_state(model, initial_state)
    with torch.no_grad():
        for name, place in _places(model).items():
            place.copy_(initial_state[name])


def check_masked(model: nn.Module, purpose: str) -> None:
    """Check that there are masks on ``model``.

    Raises:
        TypeError: ``model`` is no module. ValueError: it has no masks.
    """
    if not current_masks(model):
        raise ValueError(
            f"model must have masks to {purpose}, got one without any. Try prune.mask_model_ first."
        )


def check_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Check that ``model`` can be taken back to ``state``; nothing is changed.

    Raises:
        TypeError, ValueError: as for ``rewind_``.
    """
    places = _places(model)
    taken = "Take it with prune.copied_state(model) before training."
    for name in [*places, *state]:
        if name not in state or name not in places:
            kind = "no" if name in places else "an unknown"
            hint = did_you_mean(name, state if name in places else places)
            raise ValueError(
                f"initial_state must hold the tensors of the model, got {kind} {name!r}.{hint} "
                f"{taken}"
            )
    memory = {tensor.untyped_storage().data_ptr() for tensor in places.values()}
    for name, place in places.items():
        tensor = state[name]
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"initial_state must hold tensors, got {type(tensor).__name__} as {name!r}."
            )
        if tensor.shape != place.shape or tensor.dtype != place.dtype:
            raise ValueError(
                f"initial_state must fit the model, {place.dtype} {tuple(place.shape)} for "
                f"{name!r}, got {tensor.dtype} {tuple(tensor.shape)}."
            )
        if tensor.numel() and tensor.untyped_storage().data_ptr() in memory:
            raise ValueError(
                f"initial_state must be a copy, got {name!r} in the memory of the model, where it "
                f"changes with it. {taken}"
            )
        check_finite(f"initial_state of {name!r}", tensor)


def _places(model: nn.Module) -> dict[str, Tensor]:
    """Return by plain name the tensors that hold a model's state, behind masks the originals."""
    modules = dict(model.named_modules(remove_duplicate=False))
    return {name: _place(modules, name) for name in plain_state(model)}


def _place(modules: dict[str, nn.Module], name: str) -> Tensor:
    path, _, tensor_name = name.rpartition(".")
    module = modules[path]
    if not parametrize.is_parametrized(module, tensor_name):
        found = module._parameters.get(tensor_name)
        return module._buffers[tensor_name] if found is None else found.detach()
    if mask_of(module, tensor_name) is None:
        other = type(module.parametrizations[tensor_name][0]).__name__
        raise ValueError(
            f"tensor {name!r} must be plain or masked to be rewound, got one under {other}. "
            f"Remove that first."
        )
    return original_of(module, tensor_name).detach()
