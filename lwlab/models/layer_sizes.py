"""What a layer must say of itself (``in_channels``, ``groups``, ...) for given tensor shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from lwlab.checks import check_choice, check_count

__all__ = ["Shape", "new_sizes"]

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


class _Outcome(NamedTuple):
    """What a layer has to be: its attributes, and the shapes its tensors must have."""

    attributes: dict[str, Any]
    expected: Shapes


def new_sizes(
    module: nn.Module, title: str, shapes: Mapping[str, Shape], groups: int | None = None
) -> dict[str, Any]:
    """Return the attributes of ``module`` for new shapes of its tensors; nothing changes.

    Args:
        module: one layer.
        title: what to call it in the sentence of an error.
        shapes: the new shapes by tensor name; the other tensors stay as they are.
        groups: as in ``replace_tensors_``.

    Raises:
        ValueError: as for ``replace_tensors_``.
    """
    names, rule = _kind(module, title)
    _check_grouped(module, title, groups)
    old = _old_shapes(module, title, names)
    for name, shape in shapes.items():
        check_choice(f"the name of a tensor of {title}", name, old)
        _check_shape(module, f"{name} of {title}", shape, old[name])
    new = {**old, **shapes}
    outcome = rule(module, title, new, groups)
    for name, shape in outcome.expected.items():
        if name in new and new[name] != shape:
            raise ValueError(
                f"{name} of {title} must be of shape {shape} to fit the rest of the layer, got "
                f"{new[name]}."
            )
    return outcome.attributes


def _kind(module: nn.Module, title: str) -> tuple[tuple[str, ...], Callable[..., _Outcome]]:
    for kinds, names, rule in _KINDS:
        if isinstance(module, kinds):
            return names, rule
    raise ValueError(
        f"{title} must be a convolution, linear, normalization, PReLU or embedding layer to be "
        f"resized, got {type(module).__name__}."
    )


def _check_grouped(module: nn.Module, title: str, groups: int | None) -> None:
    if groups is None:
        return
    if not isinstance(module, (_ConvNd, nn.GroupNorm)):
        raise ValueError(f"groups must be left out for {title}, which has none, got {groups!r}.")
    check_count("groups", groups)


def _old_shapes(module: nn.Module, title: str, names: tuple[str, ...]) -> Shapes:
    """Return the shapes of the tensors the layer has, each one checked to be its own."""
    if parametrize.is_parametrized(module):
        hidden = next(iter(module.parametrizations))
        under = type(module.parametrizations[hidden][0]).__name__
        raise ValueError(
            f"{hidden} of {title} must be free of parametrizations to be resized, got one under "
            f"{under}. Make it permanent first, a mask with prune.bake_."
        )
    shapes = {}
    for name in names:
        tensor = getattr(module, name, None)
        if tensor is None:
            continue
        if tensor is not module._parameters.get(name, module._buffers.get(name)):
            raise ValueError(
                f"{name} of {title} must be a parameter or buffer to be resized, got a tensor "
                f"that is computed from others, as torch.nn.utils.prune and weight_norm do. Make "
                f"that permanent first."
            )
        if is_lazy(tensor):
            raise ValueError(
                f"{name} of {title} must have values before it can be resized, got an "
                f"uninitialized {type(module).__name__}. Run the model once on a batch."
            )
        shapes[name] = tuple(tensor.shape)
    return shapes


def _check_shape(module: nn.Module, title: str, shape: Shape, old: Shape) -> None:
    if len(shape) != len(old):
        raise ValueError(
            f"{title} must keep its {len(old)} dimensions, got shape {shape} for {old}."
        )
    if isinstance(module, _ConvNd) and shape[2:] != old[2:]:
        raise ValueError(f"{title} must keep its kernel size {old[2:]}, got shape {shape}.")
    if 0 in shape:
        raise ValueError(f"{title} must keep at least one channel, got shape {shape}.")


def _conv(module: _ConvNd, title: str, shapes: Shapes, groups: int | None) -> _Outcome:
    # The first dimension is whole, the second the part of one group; transposed turns in and out.
    first, second = shapes["weight"][:2]
    count = _group_count(module, first, second) if groups is None else groups
    if first % count:
        raise ValueError(
            f"weight of {title} must be of a size that {count} groups divide, got {first}."
        )
    transposed = isinstance(module, _ConvTransposeNd)
    inputs, outputs = (first, second * count) if transposed else (second * count, first)
    return _Outcome(
        {"in_channels": inputs, "out_channels": outputs, "groups": count}, {"bias": (outputs,)}
    )


def _group_count(module: _ConvNd, first: int, second: int) -> int:
    old_first, old_second = module.weight.shape[:2]
    width = old_first // module.groups
    whole_groups = module.groups > 1 and second == old_second and first % width == 0
    return first // width if whole_groups else module.groups


def _linear(module: nn.Linear, title: str, shapes: Shapes, groups: None) -> _Outcome:
    outputs, inputs = shapes["weight"]
    return _Outcome({"in_features": inputs, "out_features": outputs}, {"bias": (outputs,)})


def _batch_norm(module: _NormBase, title: str, shapes: Shapes, groups: None) -> _Outcome:
    if not shapes:
        return _Outcome({}, {})
    [width] = next(iter(shapes.values()))
    return _Outcome({"num_features": width}, dict.fromkeys(shapes, (width,)))


def _group_norm(module: nn.GroupNorm, title: str, shapes: Shapes, groups: int | None) -> _Outcome:
    width = shapes["weight"][0] if shapes else module.num_channels
    count = groups or module.num_groups
    if width % count:
        raise ValueError(
            f"weight of {title} must be of a size that {count} groups divide, got {width}."
        )
    return _Outcome({"num_channels": width, "num_groups": count}, dict.fromkeys(shapes, (width,)))


def _layer_norm(module: nn.LayerNorm, title: str, shapes: Shapes, groups: None) -> _Outcome:
    shape = shapes.get("weight", tuple(module.normalized_shape))
    return _Outcome({"normalized_shape": shape}, {"bias": shape})


def _prelu(module: nn.PReLU, title: str, shapes: Shapes, groups: None) -> _Outcome:
    return _Outcome({"num_parameters": shapes["weight"][0]}, {})


def _embedding(module: nn.Embedding, title: str, shapes: Shapes, groups: None) -> _Outcome:
    count, width = shapes["weight"]
    if module.padding_idx is not None and module.padding_idx >= count:
        raise ValueError(
            f"weight of {title} must keep its padding row {module.padding_idx}, got {count} rows."
        )
    return _Outcome({"num_embeddings": count, "embedding_dim": width}, {})


_BOTH = ("weight", "bias")
_KINDS: tuple[tuple[Any, tuple[str, ...], Callable[..., _Outcome]], ...] = (
    (_ConvNd, _BOTH, _conv),
    (nn.Linear, _BOTH, _linear),
    (_NormBase, (*_BOTH, "running_mean", "running_var"), _batch_norm),
    (nn.GroupNorm, _BOTH, _group_norm),
    ((nn.LayerNorm, nn.RMSNorm), _BOTH, _layer_norm),
    (nn.PReLU, ("weight",), _prelu),
    (nn.Embedding, ("weight",), _embedding),
)
