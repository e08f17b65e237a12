"""Walking the layers of any ``nn.Module``, also of one whose weights are seen through masks.

Two questions are answered here for the whole library:

* which layers can be compressed (``compressible_layers``), and
* what a model's tensors *really are* (``plain_state``): a weight under a parametrization, such as a
  pruning mask, is stored by torch as ``parametrizations.weight.original`` plus the mask; what the
  forward pass uses, and what a file should hold, is the result under its plain name ``weight``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab.checks import check_count, check_module

__all__ = [
    "CompressibleLayer",
    "compressible_layers",
    "layer_names",
    "plain_state",
    "seeded",
]

# isinstance, never type(): a parametrized nn.Linear is of a class made by torch on the fly.
_COMPRESSIBLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class CompressibleLayer:
    """A layer whose ``weight`` can be pruned or quantized.

    Attributes:
        name: dotted path in the model, such as ``"features.0"``; ``"model"`` for the model itself.
        module: the convolution or linear layer; ``module.weight`` is its effective weight.
    """

    name: str
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        """The weight as the forward pass sees it, parametrizations applied; not detached."""
        return self.module.weight


def compressible_layers(model: nn.Module) -> list[CompressibleLayer]:
    """Return the convolutions and linear layers of ``model`` in order; a shared module once.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
    """
    check_module("model", model)
    return [
        CompressibleLayer(name or "model", module)
        for name, module in model.named_modules()
        if isinstance(module, _COMPRESSIBLE)
    ]


def layer_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the compressible layers of ``model``."""
    return tuple(layer.name for layer in compressible_layers(model))


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of ``model`` under their plain names, parametrizations applied.

    For a model without parametrizations this is its ``state_dict``: parameters and persistent
    buffers, detached, sharing memory with the model. A parametrized tensor appears once, as the
    forward pass sees it. What a parametrization keeps for itself (originals, masks) is left out.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
    """
    check_module("model", model)
    # A module used under two names counts under both, as it does in a state_dict.
    modules = dict(model.named_modules(remove_duplicate=False))
    hidden = tuple(
        _join(prefix, "parametrizations.")
        for prefix, module in modules.items()
        if parametrize.is_parametrized(module)
    )
    state = {name: t for name, t in model.state_dict().items() if not name.startswith(hidden)}
    effective: dict[tuple[int, str], Tensor] = {}  # computed once, so that both names share it
    with torch.no_grad():
        for prefix, module in modules.items():
            if not parametrize.is_parametrized(module):
                continue
            for tensor_name in module.parametrizations:
                key = (id(module), tensor_name)
                if key not in effective:
                    effective[key] = getattr(module, tensor_name).detach()
                state[_join(prefix, tensor_name)] = effective[key]
    return _in_module_order(modules, state)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _in_module_order(modules: Iterable[str], state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Order ``state`` by module, weight before bias.

    Masking and baking reorder torch's own ``state_dict``; a file should not change with that.
    """
    order = {prefix: position for position, prefix in enumerate(modules)}

    def position(name: str) -> tuple[int, int]:
        prefix, _, tensor_name = name.rpartition(".")
        return order.get(prefix, len(order)), {"weight": 0, "bias": 1}.get(tensor_name, 2)

    return dict(sorted(state.items(), key=lambda item: position(item[0])))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under its own seed; the caller's random stream goes on as if nothing was.

    Raises:
        TypeError, ValueError: ``seed`` is not a whole number of at least 0.
    """
    seed = check_count("seed", seed, minimum=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
