"""How much a model weighs: numbers counted, zeros counted, bytes of real files.

Counts and files are of the *effective* tensors: what the forward pass uses, with masks and other
parametrizations applied. Before, ``state_dict`` holds more than that (the mask, the weights under
it), and nobody would ship it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lwlab import packing
from lwlab.measure.evaluating import evaluating
from lwlab.models import compressible_layers, plain_state

__all__ = [
    "gzip_bytes",
    "layer_sparsities",
    "num_nonzero",
    "num_parameters",
    "packed_bytes",
    "plain_bytes",
    "sparsity",
]


def num_parameters(model: nn.Module) -> int:
    """Return how many numbers the parameters of ``model`` hold.

    A parameter that several layers share counts once. A parametrized one counts with its effective
    shape; what the parametrization keeps for itself (originals, masks, scales) does not, and
    neither do buffers, such as the running means of BatchNorm.

    Raises:
        TypeError: ``model`` is not an ``nn.Module``.
        ValueError: it has lazy layers that have seen no input yet.
    """
    with evaluating(model):
        return sum(tensor.numel() for _, tensor in _parameters(model.modules()))


def num_nonzero(model: nn.Module) -> int:
    """Return how many of the numbers that ``num_parameters`` counts are not zero.

    Raises:
        TypeError, ValueError: as for ``num_parameters``.
    """
    with evaluating(model):
        return sum(int(tensor.count_nonzero()) for _, tensor in _parameters(model.modules()))


def sparsity(model: nn.Module) -> float:
    """Return zeros / all over the weights of the compressible layers, a fraction in [0, 1].

    Biases and normalization do not count; a weight that several layers share counts once. 0.0 for
    a model without such weights.

    Raises:
        TypeError, ValueError: as for ``num_parameters``.
    """
    with evaluating(model):
        layers = [layer.module for layer in compressible_layers(model)]
        weights = [tensor for name, tensor in _parameters(layers) if name == "weight"]
        nonzero = sum(int(weight.count_nonzero()) for weight in weights)
        return _zero_share(nonzero, sum(weight.numel() for weight in weights))


def layer_sparsities(model: nn.Module) -> dict[str, float]:
    """Return zeros / all of the weight of each compressible layer, by the layer's name.

    Raises:
        TypeError, ValueError: as for ``num_parameters``.
    """
    with evaluating(model):
        weights = {layer.name: layer.weight for layer in compressible_layers(model)}
        return {name: _zero_share(int(w.count_nonzero()), w.numel()) for name, w in weights.items()}


def plain_bytes(model: nn.Module) -> int:
    """Return the length of the file that ``torch.save`` makes of the model's tensors.

    Raises:
        TypeError, ValueError: as for ``num_parameters``.
    """
    return len(_plain_file(model))


def gzip_bytes(model: nn.Module) -> int:
    """Return the length of that file after gzip at its strongest level.

    Raises:
        TypeError, ValueError: as for ``num_parameters``.
    """
    return len(gzip.compress(_plain_file(model), compresslevel=9, mtime=0))


def packed_bytes(model: nn.Module) -> int:
    """Return the length of the model's packed file; see ``lwlab.packing``.

    Raises:
        TypeError, ValueError: as for ``num_parameters``, or a tensor that cannot be packed.
    """
    with evaluating(model):
        return len(packing.to_bytes(model))


def _zero_share(nonzero: int, total: int) -> float:
    return (total - nonzero) / total if total else 0.0


def _plain_file(model: nn.Module) -> bytes:
    file = io.BytesIO()
    with evaluating(model):
        torch.save(plain_state(model), file)
    return file.getvalue()


def _parameters(modules: Iterable[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Yield (name in its module, effective tensor) of each distinct parameter of ``modules``."""
    seen: set[int] = set()
    inside: set[int] = set()  # modules that belong to a parametrization
    for module in modules:
        if id(module) in inside:
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter
        if parametrize.is_parametrized(module):
            inside |= {id(part) for part in module.parametrizations.modules()}
            for name, chain in module.parametrizations.items():
                # The originals; none where a buffer is parametrized.
                originals = {id(p) for p in chain.parameters(recurse=False)}
                if originals - seen:
                    seen |= originals
                    yield name, getattr(module, name)
