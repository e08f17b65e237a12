"""Pruning: zero the weights that matter least, and keep them zero while the rest trains on.

Read ``importance`` (what matters), then ``masks`` (where to cut), then ``masking`` (how a mask sits
on a model). What matters by data: ``gradient``, ``curvature``, ``entropy``.
"""

from lwlab.prune.curvature import MOST_EXACT_WEIGHTS, obd_saliency
from lwlab.prune.entropy import (
    activation_entropy,
    histogram_entropy,
    spread_channels,
    spread_over_weight,
    weight_entropy,
)
from lwlab.prune.gradient import snip_importance, taylor_importance
from lwlab.prune.importance import (
    RandomImportance,
    layer_importances,
    magnitude,
    random_importance,
)
from lwlab.prune.masking import apply_masks_, bake_, choose_masks, current_masks, mask_model_
from lwlab.prune.masks import deviation_mask, global_masks, threshold_mask, topk_mask
from lwlab.prune.parametrization import Mask

__all__ = [
    "MOST_EXACT_WEIGHTS",
    "Mask",
    "RandomImportance",
    "activation_entropy",
    "apply_masks_",
    "bake_",
    "choose_masks",
    "current_masks",
    "deviation_mask",
    "global_masks",
    "histogram_entropy",
    "layer_importances",
    "magnitude",
    "mask_model_",
    "obd_saliency",
    "random_importance",
    "snip_importance",
    "spread_channels",
    "spread_over_weight",
    "taylor_importance",
    "threshold_mask",
    "topk_mask",
    "weight_entropy",
]
