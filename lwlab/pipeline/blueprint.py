"""How a prepared model is built, as JSON, so that another process can build it again.

A ``state_dict`` has the numbers of a prepared model but not its build: which layers have masks,
quantizers, tables, and how wide they are. The blueprint has just that. Built again from the model
that the pipeline was given, and filled with the numbers, the model is the same to the bit, and
trains on as if nothing had happened.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lwlab.models.layers import compressible_layers, plain_state
from lwlab.models.resize import resize_
from lwlab.pipeline.quantizers import learns
from lwlab.pipeline.rounding import (
    RANGE_RULES,
    granularity_from,
    granularity_name,
    range_rule_name,
)
from lwlab.prune import Mask, apply_masks_
from lwlab.quantize import Codebook, FakeQuantize, SharedWeights, learn_steps_, prepare_
from lwlab.quantize.stacking import put_on_top_, stack_of

__all__ = ["blueprint_of", "built_from"]


def blueprint_of(model: nn.Module) -> dict[str, Any]:
    """Return the build of a model on which steps were carried out, as JSON can hold it.

    Returns:
        ``"shapes"``: of its tensors as they are computed with; ``"layers"``: what lies over the
        weight of each layer, the lowest first.
    """
    return {
        "shapes": {name: list(tensor.shape) for name, tensor in plain_state(model).items()},
        "layers": {
            layer.name: [_described(part) for part in stack_of(layer.module)]
            for layer in compressible_layers(model)
            if stack_of(layer.module)
        },
    }


def built_from(blueprint: Mapping[str, Any], start: nn.Module) -> nn.Module:
    """Return a model of this build; its numbers are of no meaning yet. ``start`` stays as it is.

    Args:
        blueprint: from ``blueprint_of``.
        start: the plain model that the pipeline was given.

    Raises:
        KeyError, TypeError, ValueError: the blueprint is not of this model.
    """
    model = copy.deepcopy(start)
    resize_(model, blueprint["shapes"])
    for name, parts in blueprint["layers"].items():
        for part in parts:
            _BUILDERS[part["part"]](model, name, part)
    return model


def _described(part: nn.Module) -> dict[str, Any]:
    if isinstance(part, Mask):
        return {"part": "mask"}
    if isinstance(part, SharedWeights):
        return {"part": "table", "values": len(part.centroids), "keep_zeros": part.keep_zeros}
    if isinstance(part, FakeQuantize):
        bits = part.num_bits
        return {
            "part": "grid",
            "num_bits": list(bits) if isinstance(bits, tuple) else bits,
            "granularity": granularity_name(part.granularity),
            "range_rule": range_rule_name(part.range_rule),
            "learned": learns(part),
        }
    raise TypeError(f"no step puts a {type(part).__name__} on a weight.")


def _put_mask_(model: nn.Module, name: str, part: Mapping[str, Any]) -> None:
    del part
    apply_masks_(model, {name: torch.ones_like(_layer(model, name).weight, dtype=torch.bool)})


def _put_table_(model: nn.Module, name: str, part: Mapping[str, Any]) -> None:
    weight = _layer(model, name).weight.detach()
    centroids = torch.zeros(part["values"])
    codes = torch.zeros(weight.shape, dtype=torch.int64)
    table = Codebook(codes, centroids, part["keep_zeros"], weight.dtype)
    put_on_top_(_layer(model, name), SharedWeights(table).to(weight.device), SharedWeights)


def _put_grid_(model: nn.Module, name: str, part: Mapping[str, Any]) -> None:
    prepare_(
        model,
        num_bits={name: part["num_bits"]},
        granularity=granularity_from(part["granularity"]),
        range_rule=RANGE_RULES[part["range_rule"]](),
    )
    if part["learned"]:
        learn_steps_(model, start="current", layers=[name])


_BUILDERS = {"mask": _put_mask_, "table": _put_table_, "grid": _put_grid_}


def _layer(model: nn.Module, name: str) -> nn.Module:
    return {layer.name: layer.module for layer in compressible_layers(model)}[name]
