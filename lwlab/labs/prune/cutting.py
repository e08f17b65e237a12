"""From the parameters of PruneLab to a pruned copy of its model."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from lwlab import prune
from lwlab.labs.prune.criteria import Criteria
from lwlab.labs.prune.params import PruneParams
from lwlab.models import compressible_layers, layer_names

__all__ = ["Cutter", "all_masks"]


class Cutter:
    """Prunes copies of ``model``; the model itself is left alone.

    Args:
        model: the unpruned network.
        criteria: of the same network.
    """

    def __init__(self, model: nn.Module, criteria: Criteria) -> None:
        self._model, self._criteria = model, criteria

    def pruned(self, params: PruneParams) -> nn.Module:
        """Return a masked copy of the model.

        Raises:
            ValueError: the criterion cannot prune a layer that ``params`` names.
        """
        pruned = copy.deepcopy(self._model)
        if params.by == "n_of_m":
            kept, group = params.kept_of_group
            scores = self._criteria.scores(params.criterion)
            masks = {name: prune.n_of_m_mask(s, kept, group) for name, s in scores.items()}
            prune.apply_masks_(pruned, masks)
        elif not params.ranked:
            prune.mask_model_(pruned, **{params.by: getattr(params, params.by)})
        elif params.by == "sparsity" or params.chosen_layers:
            importance = self._criteria.importance(params.criterion)
            prune.mask_model_(pruned, **self.sparsity(params), importance=importance)
        return pruned

    def sparsity(self, params: PruneParams) -> dict[str, Any]:
        """Return how much of what to prune, as ``mask_model_`` and ``prune_iteratively`` take it.

        Raises:
            ValueError: the criterion leaves out a layer that ``params`` names.
        """
        layers = self._criteria.layers(params.criterion)
        if params.by == "layers":
            left_out = sorted(set(params.chosen_layers) - set(layers or params.chosen_layers))
            if left_out:
                raise ValueError(
                    f"sparsity of layer {left_out[0]!r} must be 0 for criterion "
                    f"{params.criterion!r}, which leaves the last layer out."
                )
            return {"sparsity": params.chosen_layers}
        named = {} if layers is None else {"layers": layers}
        return {"sparsity": params.sparsity, "scope": params.scope, **named}


def all_masks(network: nn.Module) -> dict[str, Tensor]:
    """Return the mask of each compressible layer; one that keeps all where there is none."""
    present = prune.current_masks(network)
    names = layer_names(network)
    if all(name in present for name in names):
        return {name: present[name] for name in names}
    return {
        layer.name: present.get(layer.name, layer.weight.detach() == layer.weight.detach())
        for layer in compressible_layers(network)
    }
