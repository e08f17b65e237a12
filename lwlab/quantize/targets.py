"""Which layers can be quantized, and why one cannot."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from lwlab.checks import check_choice, check_finite
from lwlab.models.layers import layer_names
from lwlab.quantize.stacking import stack_of, top_of, weight_below

__all__ = ["check_layer", "select_layers"]


def select_layers(model: nn.Module, layers: Iterable[str] | None = None) -> list[str]:
    """Return the names of the layers to quantize, in the model's order.

    Args:
        model: any module.
        layers: names of convolutions or linear layers; None takes all.

    Raises:
        TypeError: ``model`` is no module, or ``layers`` is a single text.
        ValueError: there is no such layer, or none at all.
    """
    allowed = layer_names(model)
    if not allowed:
        raise ValueError(
            f"model must have a convolution or linear layer to quantize, got "
            f"{type(model).__name__} without one."
        )
    if layers is None:
        return list(allowed)
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got {layers!r}. Try [{layers!r}].")
    wanted = {check_choice("layers", name, allowed) for name in layers}
    if not wanted:
        raise ValueError("layers must name at least one layer, got none. Leave it out for all.")
    return [name for name in allowed if name in wanted]


def check_layer(model: nn.Module, name: str, module: nn.Module, kind: type[nn.Module]) -> None:
    """Check that the weight of a layer can be quantized; nothing is changed.

    Args:
        model: the whole model.
        name: of the layer, for the sentence.
        module: the layer.
        kind: the parametrization that will come on top, or be replaced there.

    Raises:
        ValueError: it is computed, lazy, on the meta device, tied to another, not floating point,
            not finite, or has another parametrization above one of ``kind``.
    """
    title = f"weight of layer {name!r}"
    _check_top(title, module, kind)
    originals = _originals(module)
    if not originals:
        raise ValueError(
            f"{title} must be a parameter, got a tensor that is computed from others, as "
            f"torch.nn.utils.prune does. Make that permanent first."
        )
    for original in originals:
        _check_original(title, module, original)
        others = [path for path in _owners(model, original) if path != name]
        if others:
            raise ValueError(
                f"{title} must be its own to be quantized, got one shared with {others[0]!r}. "
                f"Leave the layer out: name the others in layers=[...]."
            )
    check_finite(title, weight_below(module, kind))


def _check_top(title: str, module: nn.Module, kind: type[nn.Module]) -> None:
    stack = stack_of(module)
    if top_of(module, kind) is None and any(isinstance(part, kind) for part in stack):
        raise ValueError(
            f"{title} must have its {kind.__name__} on top, got {type(stack[-1]).__name__} above "
            f"it. Remove that first."
        )


def _originals(module: nn.Module) -> list[Tensor]:
    """Return the parameters behind the weight; none where it is no parameter."""
    if parametrize.is_parametrized(module, "weight"):
        return [p for p in module.parametrizations["weight"]._parameters.values() if p is not None]
    weight = module._parameters.get("weight")
    return [] if weight is None else [weight]


def _check_original(title: str, module: nn.Module, original: Tensor) -> None:
    if is_lazy(original):
        raise ValueError(
            f"{title} must have values before it can be quantized, got an uninitialized "
            f"{type(module).__name__}. Run the model once on a batch."
        )
    if original.is_meta:
        raise ValueError(
            f"{title} must have values before it can be quantized, got one on the meta device. "
            f"Build the model on the CPU."
        )
    if not original.is_floating_point():
        raise ValueError(f"{title} must be floating point, got {original.dtype}.")


def _owners(model: nn.Module, parameter: Tensor) -> list[str]:
    """Return the names of the modules that hold a parameter."""
    return [
        f".{path}".partition(".parametrizations.")[0].removeprefix(".") or "model"
        for path, module in model.named_modules()
        if any(p is parameter for p in module._parameters.values())
    ]
