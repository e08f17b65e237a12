"""Pruning: zero the weights that matter least, and keep them zero while the rest trains on.

Read ``importance`` (what matters), then ``masks`` (where to cut), then ``masking`` (how a mask sits
on a model).
"""

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
    "Mask",
    "RandomImportance",
    "apply_masks_",
    "bake_",
    "choose_masks",
    "current_masks",
    "deviation_mask",
    "global_masks",
    "layer_importances",
    "magnitude",
    "mask_model_",
    "random_importance",
    "threshold_mask",
    "topk_mask",
]
