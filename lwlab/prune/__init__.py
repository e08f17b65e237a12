"""Pruning: zero the weights that matter least, and keep them zero while the rest trains on.

Read ``importance`` (what matters), then ``masks`` (where to cut), then ``masking`` (how a mask sits
on a model). What matters by data: ``gradient``, ``curvature``, ``entropy``; which is better:
``comparing``. Making weights small in training: ``penalties``, ``shrinkage``, ``variational``. How
much to cut when: ``schedule``, ``iterative``, ``movement``, ``lottery``; how much of each layer:
``sensitivity``, ``allocation``. Whole channels: ``structured`` masks them, ``channels`` takes them
out.
"""

from lwlab.prune.allocation import allocate
from lwlab.prune.channels import (
    ChannelGroup,
    ChannelPlan,
    Edge,
    Node,
    Refusal,
    plan_channels,
    remove_channels,
    zero_channels_,
)
from lwlab.prune.comparing import (
    CHANNEL_CRITERIA,
    WEIGHT_CRITERIA,
    ComparisonRow,
    Criterion,
    channel_masks,
    compare_criteria,
)
from lwlab.prune.comparison_table import (
    CriterionSummary,
    SummaryTable,
    read_rows,
    summarize,
    write_rows,
)
from lwlab.prune.curvature import MOST_EXACT_WEIGHTS, obd_saliency
from lwlab.prune.entropy import (
    activation_entropy,
    histogram_entropy,
    spread_channels,
    spread_over_weight,
    weight_entropy,
)
from lwlab.prune.further import ModelImportance, prune_further_
from lwlab.prune.gradient import snip_importance, taylor_importance
from lwlab.prune.importance import (
    Importance,
    RandomImportance,
    layer_importances,
    magnitude,
    random_importance,
)
from lwlab.prune.iterative import PruningRecord, SparsitySchedule, prune_iteratively
from lwlab.prune.lottery import (
    TicketRecord,
    find_ticket,
    reinitialized,
    remaining_after,
    reset_layers_,
)
from lwlab.prune.masking import apply_masks_, bake_, choose_masks, current_masks, mask_model_
from lwlab.prune.masks import (
    deviation_mask,
    global_masks,
    n_of_m_mask,
    quantile_threshold,
    threshold_mask,
    topk_mask,
)
from lwlab.prune.movement import (
    LearnedMask,
    current_scores,
    fix_masks_,
    learn_masks_,
    movement_gradient,
    set_sparsity_,
)
from lwlab.prune.parametrization import Mask
from lwlab.prune.penalties import BatchNormScalePenalty, GroupLassoPenalty, L1Penalty, L2Penalty
from lwlab.prune.rewinding import copied_state, rewind_
from lwlab.prune.schedule import cubic, linear, one_shot
from lwlab.prune.sensitivity import SPARSITIES, scan_sensitivity
from lwlab.prune.sensitivity_table import Sensitivity
from lwlab.prune.shrinkage import soft_threshold
from lwlab.prune.structured import channel_mask, filter_norm
from lwlab.prune.variational import (
    KLPenalty,
    current_log_alphas,
    fix_noise_,
    learn_noise_,
    noise_masks,
)

__all__ = [
    "CHANNEL_CRITERIA",
    "MOST_EXACT_WEIGHTS",
    "SPARSITIES",
    "WEIGHT_CRITERIA",
    "BatchNormScalePenalty",
    "ChannelGroup",
    "ChannelPlan",
    "ComparisonRow",
    "Criterion",
    "CriterionSummary",
    "Edge",
    "GroupLassoPenalty",
    "Importance",
    "KLPenalty",
    "L1Penalty",
    "L2Penalty",
    "LearnedMask",
    "Mask",
    "ModelImportance",
    "Node",
    "PruningRecord",
    "RandomImportance",
    "Refusal",
    "Sensitivity",
    "SparsitySchedule",
    "SummaryTable",
    "TicketRecord",
    "activation_entropy",
    "allocate",
    "apply_masks_",
    "bake_",
    "channel_mask",
    "channel_masks",
    "choose_masks",
    "compare_criteria",
    "copied_state",
    "cubic",
    "current_log_alphas",
    "current_masks",
    "current_scores",
    "deviation_mask",
    "filter_norm",
    "find_ticket",
    "fix_masks_",
    "fix_noise_",
    "global_masks",
    "histogram_entropy",
    "layer_importances",
    "learn_masks_",
    "learn_noise_",
    "linear",
    "magnitude",
    "mask_model_",
    "movement_gradient",
    "n_of_m_mask",
    "noise_masks",
    "obd_saliency",
    "one_shot",
    "plan_channels",
    "prune_further_",
    "prune_iteratively",
    "quantile_threshold",
    "random_importance",
    "read_rows",
    "reinitialized",
    "remaining_after",
    "remove_channels",
    "reset_layers_",
    "rewind_",
    "scan_sensitivity",
    "set_sparsity_",
    "snip_importance",
    "soft_threshold",
    "spread_channels",
    "spread_over_weight",
    "summarize",
    "taylor_importance",
    "threshold_mask",
    "topk_mask",
    "weight_entropy",
    "write_rows",
    "zero_channels_",
]
